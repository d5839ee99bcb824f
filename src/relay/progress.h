/*
 * progress - the progress of a long flush, as one line on a terminal that is updated in place, and
 * how many signals were sent at its end.  Any thread may add.
 */
#ifndef SIGNALBUS_PROGRESS_H
#define SIGNALBUS_PROGRESS_H

#include "base/clock.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

/* How far a model is. */
struct progress_count {
	size_t sent;
	size_t total; /* signals that were pending at the start */
};

/* The rate is that of the last PROGRESS_S seconds. */
enum { PROGRESS_S = 10 };

struct progress {
	pthread_mutex_t lock;
	struct progress_count all;
	struct progress_count *models; /* as many as there are */
	bool shown;                    /* whether there is a terminal */
	bool drawn;
	struct instant start;
	struct instant next; /* when to update it */
	/* What was sent until the beginnings of the last seconds, and these; a ring. */
	size_t sent_at[PROGRESS_S + 1];
	struct instant times[PROGRESS_S + 1];
	size_t samples;
};

void progress_init(struct progress *p, bool shown, size_t count);
void progress_expect(struct progress *p, size_t model, size_t more);

/* Signals of a model were sent; name is shown. */
void progress_add(struct progress *p, size_t model, const char *name, size_t sent);

/* Remove the line, print what was sent, and free what is held. */
void progress_end(struct progress *p);

/* The line as text, in at most size bytes: sent, total and percent, rate, and the model with the
 * time that its rest takes; only as many of these parts as the columns have room for. */
struct progress_state {
	struct progress_count all, model;
	double rate; /* per second */
	const char *name;
	size_t columns;
};
void progress_line(char *line, size_t size, const struct progress_state *state);

/* Signals per second in the last seconds.  Takes a sample if one is due. */
double progress_rate(struct progress *p, struct instant now);

#endif
