/*
 * clock - monotonic time, deadlines, and delays before retries.  Any thread.
 *
 * Blocking calls in this program take a deadline (an instant), never a time-out, so that retries
 * within them cannot extend it.  The wall clock is not used, because it may jump.
 */
#ifndef SIGNALBUS_CLOCK_H
#define SIGNALBUS_CLOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* A point on CLOCK_MONOTONIC. */
struct instant {
	int64_t ns;
};

/* An instant that never comes. */
#define INSTANT_NEVER ((struct instant){ INT64_MAX })

struct instant clock_now(void);

/* The instant that is seconds after from; INSTANT_NEVER if that is out of range. */
struct instant instant_after(struct instant from, double seconds);

bool instant_before(struct instant a, struct instant b);
struct instant instant_earlier(struct instant a, struct instant b);

/* Seconds from a to b; negative if b is before a. */
double instant_seconds(struct instant a, struct instant b);

/* The time-out for poll(2): milliseconds from now to deadline, rounded up; 0 if it has passed; -1
 * for INSTANT_NEVER. */
int instant_poll_ms(struct instant deadline, struct instant now);

/* Make a condition whose timed waits are on CLOCK_MONOTONIC, and the time for such a wait. */
void clock_condition_init(pthread_cond_t *condition);
struct timespec instant_timespec(struct instant i);

/* Seconds to wait before retry number n (from 1) after a serialization failure or a deadlock, on
 * the schedule of Flask-SignalBus: at once, 0.1, 0.2, 0.4, 0.8, then 1.0; negative after the last
 * retry. */
double clock_conflict_delay(unsigned n);

/* Seconds to wait before retry number n (from 1) after the connection to the database or the broker
 * was lost: doubling from 0.1 to 10, with the upper half of each step at random.  jitter is from
 * [0, 1). */
double clock_backoff_delay(unsigned n, double jitter);

#endif
