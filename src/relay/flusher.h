/*
 * flusher - the three flush commands: which bursts to run, in what order, and when to end.
 *
 *   flush         the signals that were pending at the start, after a wait
 *   flushmany     all signals, in no particular order, with several workers
 *   flushordered  all signals, in order, one sender at a time
 *
 * Running one blocks until it is done, has failed, or the process is asked to stop; bursts in
 * flight are settled in each case.  A model that fails is logged, and the others are flushed.
 *
 * flush and flushmany keep no order.  They share the ordered lock of a model with order_by, so that
 * nobody sends it in order meanwhile; if somebody does, they leave it out, with a warning.
 */
#ifndef SIGNALBUS_FLUSHER_H
#define SIGNALBUS_FLUSHER_H

#include "base/error.h"
#include "config/config.h"
#include "kafka/broker.h"
#include "relay/progress.h"

#include <stddef.h>

enum discipline { FLUSH_BY_KEY, FLUSH_MANY, FLUSH_ORDERED };

struct flusher;

struct flush_plan {
	enum discipline discipline;
	const struct config *config;
	struct broker *broker;
	const size_t *models; /* indexes in the configuration */
	size_t model_count;
	bool are_named;     /* by the user: leaving one out is an error */
	double wait;        /* FLUSH_BY_KEY: seconds between noting and sending */
	unsigned jobs;      /* FLUSH_MANY: workers, each with its own connection */
	bool show_progress; /* on standard error */
};

/* A flusher for a plan, which it borrows.  Its connections are kept between runs. */
struct flusher *flusher_new(const struct flush_plan *plan);
void flusher_free(struct flusher *f);

/* Flush once.  Adds the number of signals sent to *sent.  Returns false with the first error. */
bool flusher_run(struct flusher *f, size_t *sent, struct error *e);

#endif
