/*
 * listener - the listener: a session that LISTENs on `notify_channel`, and announces the models
 * whose tables the notifications name.
 *
 * It connects after a worker has connected, so workers come first if connections are scarce.
 *
 * A notification is only a hint.  Whenever some may have been lost, all models are announced.
 */
#ifndef SIGNALBUS_LISTENER_H
#define SIGNALBUS_LISTENER_H

#include "config/config.h"
#include "daemon/health.h"
#include "daemon/pauses.h"
#include "daemon/run_queue.h"

struct listener;

/* Start listening, in its own thread.  Borrows all four. */
struct listener *listener_start(const struct config *config, struct run_queue *queue,
	struct health *health, struct pauses *pauses);

/* Blocks for a moment.  NULL is fine. */
void listener_stop(struct listener *l);

#endif
