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

struct number_request {
	const char *group;    /* INSTANCE-SLOT */
	const char *topic;    /* NULL: the greatest number of all topics that have one */
	bool asks_all;        /* and for all topics of the cluster, by their names: only then does
				 the broker notice a change to a topic that has no number yet */
	const char *database; /* whose number it must be (base/identity.h) */
	bool may_change;      /* an open transaction may be about to change it */
};

/* Read the number of a group; -1: none is stored.  Waits for the broker until deadline;
 * ERROR_BROKER on failure, ERROR_CONFLICT if an open transaction is about to change it all the time
 * (unless request->may_change).  ERROR_INSTANCE if another database has stored any number for the
 * group.
 */
bool number_reader_read(struct number_reader *r, const struct number_request *request,
	int64_t *number, struct instant deadline, struct error *e);

/* The topic of the number that was read last, until the next call; NULL: there was no number. */
const char *number_reader_topic(const struct number_reader *r);

/* Wait until the broker answers that an open transaction is about to change the number for
 * request->topic.  Then it is the one that coordinates the group now.  ERROR_BROKER on failure. */
bool number_reader_await_change(struct number_reader *r, const struct number_request *request,
	struct instant deadline, struct error *e);

#endif
