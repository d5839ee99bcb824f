/*
 * number_reader - reads the numbers that transactions have stored for a group.  Private to this
 * folder.  It belongs to one thread at a time.
 *
 * It has a librdkafka handle of its own, which is a consumer with a group.  With any other handle
 * the process would crash when a broker answers that it is not the coordinator of the group, as
 * after a fail-over, or when the cluster is new: librdkafka (2.0 to 2.15) then makes the handle's
 * own group find its coordinator, without checking whether it has one (rd_kafka_handle_OffsetFetch;
 * confluentinc/librdkafka issue 5040).
 */
#ifndef SIGNALBUS_NUMBER_READER_H
#define SIGNALBUS_NUMBER_READER_H

#include "base/clock.h"
#include "base/error.h"
#include "config/config.h"

#include <stdbool.h>
#include <stdint.h>

struct number_reader;

/* Borrows config. */
struct number_reader *number_reader_new(const struct config *config);
void number_reader_free(struct number_reader *r);

/* A number that is stored as the committed offset of partition 0 of a topic. */
struct stored_number {
	const char *topic; /* NULL: the greatest of those of all topics */
	int64_t number;    /* -1: none is stored */
};

/* Read the number of a group, which no open transaction is about to change.  Waits for the broker
 * until deadline; ERROR_BROKER on failure. */
bool number_reader_read(struct number_reader *r, const char *group, struct stored_number *n,
	struct instant deadline, struct error *e);

#endif
