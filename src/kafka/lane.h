/*
 * lane - the producer: sends messages to Kafka and records the broker's verdicts in ledgers.  The
 * only place that includes librdkafka.
 *
 * One bus serves all workers of the process, concurrently.  A thread of its own takes the delivery
 * reports.  Only a message's own report without an error becomes VERDICT_STORED; a refusal by the
 * producer itself never gets a report and is recorded at once.  A producer that reports a fatal
 * error is replaced by a new one; its unsettled messages are VERDICT_UNKNOWN.
 */
#ifndef SIGNALBUS_LANE_H
#define SIGNALBUS_LANE_H

#include "base/clock.h"
#include "base/error.h"
#include "config/config.h"
#include "model/ledger.h"
#include "model/message.h"

#include <stdbool.h>

struct bus;

/* A config_property_check: whether librdkafka accepts the property, and signalbus allows it. */
enum property_answer bus_check_property(const struct property *p, struct error *e);

/* Start a producer for the properties of the configuration, which it borrows.  Does not wait for a
 * broker.  ERROR_CONFIG if the properties contradict each other. */
struct bus *bus_new(const struct config *config, struct error *e);

/* The bus for bursts of a model (by its index) that are sent in order, which belongs to bus;
 * created on first use.  Each model has its own, so that a failure of one model causes no messages
 * of another to be sent again.  Its producer sends without gaps: a message of a partition is stored
 * only if all messages that this producer sent before it are stored.
 *
 *   - A message that the broker rejects is a fatal error (enable.gapless.guarantee).  The broker
 *     refuses the batches in flight after it, because their sequence numbers do not match, and
 *     without a new producer they are not sent again.
 *   - No message expires in the producer (message.timeout.ms=0), because one that was handed over
 *     a little later might not.  So a sender that was frozen continues where it stopped.
 *   - A new producer's first message to a topic is sent alone, and the next ones when it is stored.
 *   - If any other message is not stored, or not acknowledged by the deadline of its burst, the
 *     producer is replaced.  Until that is done bus_send() refuses and bus_begin() waits.
 *
 * Only messages to other partitions, which Kafka does not order with these, may be stored although
 * an earlier one is rejected. */
struct bus *bus_ordered(struct bus *bus, size_t model, struct error *e);

/* The bus for the large bursts of a worker, by its number, which is bus or belongs to it; created
 * on first use.  One producer has one batch of a partition in flight at a time (see
 * lane_reporter.c): with two of them, bursts of two workers are in flight.  Small bursts should
 * share a producer, because there those that wait are sent in one batch. */
struct bus *bus_lane(struct bus *bus, unsigned worker);

/* The bus for a message that is to be judged separately, which belongs to bus; created on first
 * use.  The broker rejects batches, and a batch may contain messages of several bursts: here each
 * message is a batch of its own. */
struct bus *bus_alone(struct bus *bus, struct error *e);

/* Unacknowledged messages are dropped. */
void bus_free(struct bus *bus);

/* From now on, a thread asks every two seconds, and whenever in doubt, whether the broker answers,
 * and checks whether any of the sent messages are stored; a change is logged.  Producers that have
 * been without any broker for a minute are replaced, because their metadata may be stale. */
void bus_watch(struct bus *bus);

/* Whether the broker answers, as far as is known; wait for that, at most until deadline. */
bool bus_is_up(struct bus *bus);
bool bus_await_up(struct bus *bus, struct instant deadline);

/* Whether any broker answered when the cluster was asked last, which is done when messages are
 * late, or all were acknowledged since then. */
bool bus_is_answered(struct bus *bus);

/* Put into reason, which has room for size bytes, why the broker does not answer, or why nothing of
 * what was sent has been stored for longer than the time of a burst; an empty text if neither is
 * the case. */
void bus_view(struct bus *bus, char *reason, size_t size);

/* Open l for a burst of at most count messages: verdicts arrive in it, from another thread, until
 * bus_end().  At most BUS_LEDGERS_MAX are open at a time. */
enum { BUS_LEDGERS_MAX = 256 };
void bus_begin(struct bus *bus, struct ledger *l, size_t count);

/* Send a message, whose bytes are copied, for a slot.  A topic that is known to be missing or
 * forbidden is refused at once (VERDICT_TOPIC), and tried again after waits that double from 0.1 to
 * 10 seconds; one whose partitions have no leader, or lost ones, or too few replicas, too
 * (VERDICT_AWAY), for as long as that is so.  Waits while the producer's queue is full,
 * until deadline; nothing is sent after it.  Returns false where the producer refused it; the
 * verdict is in the ledger. */
bool bus_send(struct bus *bus, struct ledger *l, size_t slot, const struct message *message,
	struct instant deadline);

/* Truncate the burst to count messages. */
void bus_truncate(struct bus *bus, struct ledger *l, size_t count);

/* Record a verdict that is not from the producer. */
void bus_refuse(struct bus *bus, struct ledger *l, size_t slot, enum verdict v, const char *reason);

/* Who knows the message of a slot, which is good until the next is asked for; NULL: nobody. */
struct bus_memory {
	const struct message *(*message_of)(void *arg, size_t slot);
	void *arg;
};

/* Wait until each slot of l has a verdict.  Those that have none at deadline become
 * VERDICT_UNKNOWN, or VERDICT_AWAY where it is known what keeps their topic from being stored. */
void bus_await(
	struct bus *bus, struct ledger *l, struct instant deadline, const struct bus_memory *m);

/* Close l: it belongs to the caller again, and later reports for it are ignored. */
void bus_end(struct bus *bus, struct ledger *l);

/* A topic to query. */
struct bus_topic {
	const char *name;
	char problem[1024]; /* why nothing can be sent to it, with a remedy; empty: it can */
	char warning[256];  /* why some messages are not stored; the same */
	bool compacts;      /* it does not accept messages without a key, as far as is known */
};

/* Query the cluster about count topics (none: whether it answers), until deadline, and check that
 * the leaders of their partitions can be reached.  This neither creates a topic nor sends a
 * message, so whether writing is allowed stays unknown, and so do topic settings that the Kafka
 * user may not query (DESCRIBE_CONFIGS).  Returns false with e if no broker answers in time
 * (ERROR_BROKER), the properties contradict each other (ERROR_CONFIG), or the process is asked to
 * stop (ERROR_STOPPED). */
bool bus_topics(const struct config *config, struct bus_topic *topics, size_t count,
	struct instant deadline, struct error *e);

#endif
