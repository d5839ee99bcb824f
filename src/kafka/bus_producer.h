/*
 * bus_producer - make and use one librdkafka producer.  Private to bus.c, with which it shares
 * librdkafka.
 */
#ifndef SIGNALBUS_BUS_PRODUCER_H
#define SIGNALBUS_BUS_PRODUCER_H

#include "base/error.h"
#include "config/config.h"
#include "model/message.h"

#include <librdkafka/rdkafka.h>

struct producer;

/* Called from within producer_poll(). */
struct producer_callbacks {
	void (*report)(rd_kafka_t *handle, const rd_kafka_message_t *report, void *arg);
	void (*error)(rd_kafka_t *handle, int code, const char *reason, void *arg);
};

/* A consumer with the same properties, which is for asking the cluster: it never makes a topic.
 * on_error is called from within rd_kafka_poll().  NULL with e where it cannot be made; to be
 * destroyed by rd_kafka_destroy(). */
rd_kafka_t *producer_make_consumer(const struct config *config,
	void (*on_error)(rd_kafka_t *handle, int code, const char *reason, void *arg), void *arg,
	struct error *e);

struct producer_use {
	struct producer_callbacks callbacks;
	void *arg;     /* of the callbacks */
	int wake_fd;   /* an eventfd that it writes to when producer_poll() has something to do */
	bool in_order; /* without gaps: see bus_ordered() */
	bool is_alone; /* one message a batch: see bus_alone() */
	size_t batch_size; /* at most so many bytes a batch; 0: as it is configured */
};

/* The properties of a producer, to be given to rd_kafka_new() or destroyed.  NULL with e where one
 * is wrong. */
rd_kafka_conf_t *producer_properties(const struct config *config, bool in_order, struct error *e);

/* Fill e with what rd_kafka_new() said.  Always returns false. */
bool producer_refused(const struct config *config, const char *reason, struct error *e);

struct producer *producer_new(
	const struct config *config, const struct producer_use *use, struct error *e);
void producer_free(struct producer *p);

/* Call the callbacks for all that has happened; waits for wait_ms until something does. */
void producer_poll(struct producer *p, int wait_ms);

/* The same, waiting for a moment; meanwhile what was handed over is sent, be it ever so little,
 * unless the configuration says how long messages wait for others (linger.ms).  Returns whether any
 * are not settled. */
bool producer_send_now(struct producer *p);

/* librdkafka's handle of it, for asking the cluster (bus_ask.h). */
rd_kafka_t *producer_handle(const struct producer *p);

/* Whether something was handed over for a topic, or it was asked for.  Any thread. */
bool producer_has_topic(struct producer *p, const char *name);

/* Ask the cluster for a topic; waits for the answer for half a second.  Returns what is wrong with
 * the topic, or why there is no answer.  Any thread. */
rd_kafka_resp_err_t producer_ask_topic(struct producer *p, const char *name);

/* A property of a handle that is a number. */
size_t producer_property(rd_kafka_t *handle, const char *name);

/* Why the producer can never send again. */
void producer_fatal_error(const struct producer *p, char *reason, size_t size);

/* Hand a message over without waiting; its bytes are copied, opaque comes back in its report.
 * Any thread. */
rd_kafka_resp_err_t producer_send(struct producer *p, const struct message *message, void *opaque);

#endif
