/*
 * clock - monotonic time, deadlines, and how long to wait before trying again.  Any thread.
 *
 * Blocking calls in this program take a deadline (an instant), never a time-out, so that retries
 * inside them cannot stretch it.  The wall clock is not looked at: it may jump.
 */
#ifndef SIGNALBUS_CLOCK_H
#define SIGNALBUS_CLOCK_H

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

/* The instant that is seconds after from; INSTANT_NEVER where that is out of range. */
struct instant instant_after(struct instant from, double seconds);

bool instant_before(struct instant a, struct instant b);
struct instant instant_earlier(struct instant a, struct instant b);

/* Seconds from a to b; negative where b is before a. */
double instant_seconds(struct instant a, struct instant b);

/* What poll(2) wants: milliseconds from now to deadline, rounded up; 0 when it has passed;
 * -1 for INSTANT_NEVER. */
int instant_poll_ms(struct instant deadline, struct instant now);

/* What pthread_cond_timedwait(3) wants on a condition that uses CLOCK_MONOTONIC. */
struct timespec instant_timespec(struct instant i);

/* Seconds to wait before retry number n (from 1) after a serialization failure or a deadlock, as
 * Flask-SignalBus does it: at once, 0.1, 0.2, 0.4, 0.8, then 1.0; negative when there have been
 * retries enough. */
double clock_conflict_delay(unsigned n);

/* Seconds to wait before retry number n (from 1) after a connection or the broker was lost:
 * doubling from 0.1 to 10, the upper half of each step by chance.  dice is from [0, 1). */
double clock_backoff_delay(unsigned n, double dice);

#endif
