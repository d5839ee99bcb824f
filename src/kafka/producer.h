/*
 * producer - creates and uses one librdkafka producer.  Private to this folder, with which it
 * shares librdkafka.
 */
#ifndef SIGNALBUS_PRODUCER_H
#define SIGNALBUS_PRODUCER_H

#include "base/clock.h"
#include "base/error.h"
#include "config/config.h"
#include "kafka/login.h"
#include "kafka/reason.h"
#include "model/message.h"

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdint.h>

struct producer;

/* What a handle reports, from within rd_kafka_poll(), producer_poll() and producer_send_now().  It
 * is the handle's opaque, and has to outlive it. */
struct producer_events {
	void (*error)(rd_kafka_t *handle, int code, const char *reason, void *arg); /* or NULL */
	void (*statistics)(const char *json, void *arg);                            /* or NULL */
	void *arg;
	struct certificate_doubt certificate;
	struct login login;
};

/* A consumer with the same properties, for querying the cluster: it never creates a topic.  NULL
 * with e if it cannot be created; destroy it with rd_kafka_destroy(). */
rd_kafka_t *producer_make_consumer(
	const struct config *config, struct producer_events *events, struct error *e);

/* The same, with a group (number_reader.h). */
rd_kafka_t *producer_make_reader(const struct config *config, const char *group,
	struct producer_events *events, struct error *e);

struct producer_use {
	struct producer_events *events;
	/* Called like them, for each message, with the events as its argument: */
	void (*report)(rd_kafka_t *handle, const rd_kafka_message_t *report, void *events);
	bool in_order;                /* without gaps: see lane.h */
	bool is_alone;                /* one message per batch */
	size_t batch_size;            /* at most this many bytes per batch; 0: as configured */
	const char *transactional_id; /* NULL: it has no transactions */
};

/* Create a producer.  Does not wait for a broker.  NULL with e if that is not possible:
 * ERROR_CONFIG if the properties contradict each other. */
struct producer *producer_new(
	const struct config *config, const struct producer_use *use, struct error *e);
void producer_free(struct producer *p);

/* Call the callbacks for all pending events; waits up to wait_ms for one. */
void producer_poll(struct producer *p, int wait_ms);

/* The same, with a short wait; meanwhile all messages that were handed over are sent, however few,
 * unless the configuration sets how long messages wait for others (linger.ms).  Returns whether any
 * are not settled. */
bool producer_send_now(struct producer *p);

/* Its librdkafka handle, for querying the cluster (ask.h). */
rd_kafka_t *producer_handle(const struct producer *p);

/* Whether a message was handed over for a topic, or the topic was queried. */
bool producer_has_topic(const struct producer *p, const char *name);

/* Query the cluster for its brokers; waits at most wait_ms.  Returns why there is no answer. */
rd_kafka_resp_err_t producer_ask(struct producer *p, int wait_ms);

/* Query the cluster about a topic; waits half a second for the answer.  Returns what is wrong with
 * the topic, or why there is no answer. */
rd_kafka_resp_err_t producer_ask_topic(struct producer *p, const char *name);

/* The same, but only the first time in a burst, whose numbers begin with 1; later the same result.
 */
rd_kafka_resp_err_t producer_ask_topic_once(struct producer *p, const char *name, uint64_t burst);

/* What was sent to a topic, which is for the caller to set, valid until the next call; NULL if
 * librdkafka refuses the name. */
enum topic_start { START_NONE, START_SENT, START_STORED };
enum topic_start *producer_start_of(struct producer *p, const char *name);

/* A numeric property of a handle. */
size_t producer_property(rd_kafka_t *handle, const char *name);

/* Why the producer can never send again. */
void producer_fatal_error(const struct producer *p, char *reason, size_t size);

/* Hand a message over without waiting; its bytes are copied, but a large value that has
 * a holder is kept if this succeeds.  opaque is returned in its report. */
rd_kafka_resp_err_t producer_send(struct producer *p, const struct message *message, void *opaque);

/* The rest is for a producer with a transactional id (producer_transaction.c).  These calls wait
 * for the broker until deadline, and return false with the reason in e (ERROR_BROKER).
 *
 * Fence earlier producers of the same id: their requests are refused from now on, and the
 * transaction that they left is over. */
bool producer_init_transactions(struct producer *p, struct instant deadline, struct error *e);

bool producer_begin_transaction(struct producer *p, struct error *e);

/* The partition for which the number of a burst is stored as the committed offset, for the group
 * named like the transactional id. */
enum { NUMBER_PARTITION = 0 };

/* Abort, if that is possible within a second; otherwise the next producer's init does. */
void producer_abort(struct producer *p);

/* The number of a burst, as the committed offset of NUMBER_PARTITION of a topic, with the identity
 * of its database (base/identity.h) as the offset's metadata. */
struct stored_number {
	const char *topic;
	int64_t number;
	const char *database;
};

/* Store it in the transaction. */
bool producer_store_number(struct producer *p, const struct stored_number *n,
	struct instant deadline, struct error *e);

/* Commit.  Succeeds only if there is no doubt: each request of this transaction that a broker could
 * still execute, in this transaction or in a later one, was sent once, and answered with success.
 * librdkafka repeats requests by itself, and reports that too late or never; so they are counted
 * when they are sent. */
bool producer_commit(struct producer *p, struct instant deadline, struct error *e);

#endif
