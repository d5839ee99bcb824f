/*
 * listen - the daemon's ear: a session of its own that LISTENs on `notify_channel`, and announces
 * the models whose tables the notifications name.
 *
 * It connects when a worker has: the workers come first where connections are few.
 *
 * A notification is a hint only.  Whenever some may have been lost, all models are announced.
 */
#ifndef SIGNALBUS_LISTEN_H
#define SIGNALBUS_LISTEN_H

#include "config/config.h"
#include "daemon/due.h"
#include "daemon/health.h"

struct listener;

/* Start listening, in a thread of its own.  Borrows all three. */
struct listener *listener_start(
	const struct config *config, struct due *due, struct health *health);

/* Blocks for a moment.  NULL is fine. */
void listener_stop(struct listener *l);

#endif
