/*
 * topic_check - queries about topics, for `signalbus check`.  Any thread; blocks until its
 * deadline.
 */
#ifndef SIGNALBUS_TOPIC_CHECK_H
#define SIGNALBUS_TOPIC_CHECK_H

#include "base/clock.h"
#include "base/error.h"
#include "config/config.h"

#include <stdbool.h>
#include <stddef.h>

/* A topic to query. */
struct topic_check {
	const char *name;
	char problem[1024]; /* why nothing can be sent to it, with a remedy; empty: it can */
	char warning[256];  /* why some messages are not stored; the same */
	size_t max_bytes;   /* max.message.bytes; 0: unknown */
	bool compacts;      /* it does not accept messages without a key, as far as is known */
};

/* Query the cluster about count topics (none: whether it answers), until deadline, and check that
 * the leaders of their partitions can be reached.  This neither creates a topic nor sends a
 * message, so only whether the Kafka user may write to any topic is known, and topic settings that
 * it may not query (DESCRIBE_CONFIGS) are not.  Returns false with e if no broker answers in time
 * (ERROR_BROKER), the properties contradict each other (ERROR_CONFIG), or the process is asked to
 * stop (ERROR_STOPPED). */
bool topic_check_all(const struct config *config, struct topic_check *topics, size_t count,
	struct instant deadline, struct error *e);

#endif
