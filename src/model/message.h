/*
 * message - a Kafka message, as the encoder builds it and a lane sends it.  Pure data; all
 * pointers are borrowed, but a large value may be kept.
 */
#ifndef SIGNALBUS_MESSAGE_H
#define SIGNALBUS_MESSAGE_H

#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct header {
	const char *name;
	const char *value; /* length bytes; never NULL */
	size_t length;
};

struct message {
	const char *topic;
	const char *key; /* NULL: no key; an empty key is a key */
	size_t key_length;
	bool is_keyless;   /* no message of its model has a key */
	const char *value; /* NULL: a tombstone; an empty value is not one */
	size_t value_length;
	/* The value is all of this text.  Whoever keeps the text leaves an empty one.  NULL: the
	 * value may only be copied. */
	struct text *holder;
	const struct header *headers;
	size_t header_count;
	bool has_partition; /* otherwise the key determines it */
	int32_t partition;
	int64_t timestamp_ms; /* since 1970; 0: the time of sending */
};

#endif
