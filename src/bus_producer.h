/*
 * bus_producer - make and use one librdkafka producer.  Private to bus.c, with which it shares
 * librdkafka.
 */
#ifndef SIGNALBUS_BUS_PRODUCER_H
#define SIGNALBUS_BUS_PRODUCER_H

#include "config.h"
#include "error.h"
#include "message.h"

#include <librdkafka/rdkafka.h>

struct producer;

/* Called from within producer_poll(), with the arg of producer_new(). */
struct producer_callbacks {
	void (*report)(rd_kafka_t *handle, const rd_kafka_message_t *report, void *arg);
	void (*error)(rd_kafka_t *handle, int code, const char *reason, void *arg);
};

/* Make a producer that writes to the eventfd wake_fd when producer_poll() has something to do. */
struct producer *producer_new(const struct config *config,
	const struct producer_callbacks *callbacks, void *arg, int wake_fd, struct error *e);
void producer_free(struct producer *p);

/* Call the callbacks for all that has happened; does not wait. */
void producer_poll(struct producer *p);

/* Ask the cluster for its brokers; waits for the answer for half a second.  Why there is none is in
 * e. */
bool producer_probe(struct producer *p, struct error *e);

/* Why the producer can never send again. */
void producer_fatal_error(const struct producer *p, char *reason, size_t size);

/* Hand a message over without waiting; its bytes are copied, opaque comes back in its report.
 * Any thread. */
rd_kafka_resp_err_t producer_send(struct producer *p, const struct message *message, void *opaque);

#endif
