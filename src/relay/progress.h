/*
 * progress - the progress of a long flush, as one line on a terminal that is updated in place.  Any
 * thread may add.
 */
#ifndef SIGNALBUS_PROGRESS_H
#define SIGNALBUS_PROGRESS_H

#include "base/clock.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

struct progress {
	pthread_mutex_t lock;
	size_t sent;
	size_t total; /* signals that were pending at the start */
	bool shown;   /* whether there is a terminal */
	bool drawn;
	struct instant start;
	struct instant next; /* when to update it */
};

void progress_init(struct progress *p, bool shown);
void progress_expect(struct progress *p, size_t more);
void progress_add(struct progress *p, size_t sent);

/* Remove the line, and release the lock. */
void progress_end(struct progress *p);

/* The line as text, in at most size bytes: sent, total, percent, rate, time left. */
void progress_line(char *line, size_t size, size_t sent, size_t total, double seconds);

#endif
