/*
 * bus - the producer: sends messages to Kafka and notes in ledgers what the broker said of each.
 * The only place that includes librdkafka.
 *
 * One bus serves all workers of the process, at the same time.  A thread of its own takes the
 * broker's reports.  Only a message's own report without an error makes VERDICT_STORED; a refusal
 * by the producer itself never gets a report and is noted at once.  A producer that reports a
 * fatal error is replaced by a new one; messages that it had not settled are VERDICT_LATE.
 */
#ifndef SIGNALBUS_BUS_H
#define SIGNALBUS_BUS_H

#include "base/clock.h"
#include "base/error.h"
#include "config/config.h"
#include "model/ledger.h"
#include "model/message.h"

#include <stdbool.h>

struct bus;

/* A config_property_check: whether librdkafka takes the property, and signalbus allows it. */
enum property_answer bus_check_property(const struct property *p, struct error *e);

/* Start a producer for the properties of the configuration, which it borrows.  Does not wait for a
 * broker.  ERROR_CONFIG where the properties do not fit together. */
struct bus *bus_new(const struct config *config, struct error *e);

/* The bus for bursts of a model (by its index) that are sent in order, which belongs to bus; made
 * when first asked for.  It is the model's own, so that what fails of one model has no other one's
 * messages sent again.  Its producer sends without gaps: a message of a partition is stored only
 * where all that were sent before it since the producer was made are stored.
 *
 *   - A message that the broker rejects is a fatal error (enable.gapless.guarantee).  Batches that
 *     are on the way behind it are refused by the broker, since their sequence numbers do not
 *     fit, and without a new producer they are not sent again.
 *   - No message expires in the producer (message.timeout.ms=0), since what was handed over a
 *     little later might not.  So a sender that was frozen goes on where it had stopped.
 *   - A new producer's first message to a topic is sent alone, and the next ones when it is stored.
 *   - Whatever else is not stored, or not acknowledged by a burst's deadline, has the producer
 *     replaced.  Until that is done bus_send() refuses and bus_begin() waits.
 *
 * Only messages to other partitions, which Kafka keeps in no order with them, may be stored though
 * an earlier one is rejected. */
struct bus *bus_ordered(struct bus *bus, size_t model, struct error *e);

/* The bus for the large bursts of a worker, by its number, which is bus or belongs to it; made when
 * first asked for.  Of one producer one batch of a partition is on the way at a time (see
 * bus_report.c): with two of them, the bursts of two workers are.  Small bursts had better share a
 * producer, since there those that wait go in one batch. */
struct bus *bus_lane(struct bus *bus, unsigned worker);

/* The bus for a message that is to be judged by itself, which belongs to bus; made when first asked
 * for.  The broker rejects batches, and a batch may hold messages of several bursts: here each
 * message is a batch of its own. */
struct bus *bus_alone(struct bus *bus, struct error *e);

/* Messages that are not acknowledged are dropped. */
void bus_free(struct bus *bus);

/* From now on, a thread asks every two seconds, and whenever there is doubt, whether the broker
 * answers, and looks whether anything is stored of what is sent; a change is logged.  Producers
 * that have been without any broker for a minute are replaced, since what they know of the cluster
 * may be stale.
 */
void bus_watch(struct bus *bus);

/* Whether the broker answers, as far as is known; wait for that, until deadline at most. */
bool bus_is_up(struct bus *bus);
bool bus_await_up(struct bus *bus, struct instant deadline);

/* Whether any broker answered when the cluster was asked last, which is done when messages are
 * late, or all were acknowledged since then. */
bool bus_is_answered(struct bus *bus);

/* Put into reason, which has room for size bytes, why the broker does not answer, or why nothing
 * was stored for longer than a burst has time though something was sent; an empty text where
 * neither is so. */
void bus_view(struct bus *bus, char *reason, size_t size);

/* Open l for a burst of count messages at most: verdicts arrive in it, from another thread, until
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

/* The burst came to so many messages only: the slots behind them are none. */
void bus_shorten(struct bus *bus, struct ledger *l, size_t count);

/* Note a verdict that did not come from the producer. */
void bus_refuse(struct bus *bus, struct ledger *l, size_t slot, enum verdict v, const char *reason);

/* Who knows the message of a slot, which is good until the next is asked for; NULL: nobody. */
struct bus_memory {
	const struct message *(*message_of)(void *arg, size_t slot);
	void *arg;
};

/* Wait until each slot of l has a verdict.  Those that have none at deadline become VERDICT_LATE,
 * or VERDICT_AWAY where it is known what keeps their topic from being stored. */
void bus_await(
	struct bus *bus, struct ledger *l, struct instant deadline, const struct bus_memory *m);

/* Close l: it belongs to the caller again, and reports that still come for it are ignored. */
void bus_end(struct bus *bus, struct ledger *l);

/* A topic that is asked for. */
struct bus_topic {
	const char *name;
	char problem[1024]; /* what keeps it from being sent to, with a remedy; empty: nothing */
	char warning[256];  /* what keeps some messages from being stored; the same */
	bool compacts;      /* it takes no message without a key, as far as is known */
};

/* Ask the cluster for count topics (none: whether it answers), until deadline, and the leaders of
 * their partitions whether they can be reached.  Neither makes a topic nor sends a message, so
 * whether writing is allowed stays unknown, and so do settings of topics that the Kafka user may
 * not ask for (DESCRIBE_CONFIGS).  Returns false with e where no broker answers in time
 * (ERROR_BROKER), the properties do not go together (ERROR_CONFIG), or the process is asked to stop
 * (ERROR_STOPPED). */
bool bus_topics(const struct config *config, struct bus_topic *topics, size_t count,
	struct instant deadline, struct error *e);

#endif
