/*
 * broker - the Kafka cluster: whether it answers, what is wrong with it, and the lanes that send to
 * it (lane.h).
 *
 * One broker serves all workers of the process.  Any thread may call these functions; they take one
 * lock, briefly, which no caller needs to know of.
 */
#ifndef SIGNALBUS_BROKER_H
#define SIGNALBUS_BROKER_H

#include "base/clock.h"
#include "base/error.h"
#include "config/config.h"
#include "kafka/lane.h"

#include <stdbool.h>
#include <stddef.h>

struct broker;

/* Create the lane of the first worker, with the properties of the configuration, which it borrows.
 * Does not wait for a broker.  ERROR_CONFIG if the properties contradict each other. */
struct broker *broker_new(const struct config *config, unsigned workers, struct error *e);

/* No burst is open.  Unacknowledged messages are dropped. */
void broker_free(struct broker *broker);

/* The lanes belong to the broker and are created on first use.
 *
 * The lane of a worker, by its number.  A new one queries the cluster first, for at most half a
 * second, and so does one that stored nothing of its last burst while others did.  If it has no
 * answer although others store messages, the worker gets one of those, and they take turns with it;
 * its own one is tried again after waits that double from 1 to 64 seconds, with a new producer. */
struct lane *broker_lane(struct broker *broker, unsigned worker);

/* The lane with transactions of a worker (delivery = "exactly-once"), instead of all others. */
struct lane *broker_lane_transactional(struct broker *broker, unsigned worker);

/* The worker's lane for a message that is to be judged separately: the broker rejects batches, and
 * here each message is a batch of its own.  NULL with e if it cannot be created. */
struct lane *broker_lane_alone(struct broker *broker, unsigned worker, struct error *e);

/* The worker's lane for bursts that are sent in order: lane.h says what that means.  The next burst
 * of a model may use another worker's: when a burst has ended, none of its messages is in flight.
 * NULL with e if it cannot be created. */
struct lane *broker_lane_ordered(struct broker *broker, unsigned worker, struct error *e);

/* From now on, a thread asks every two seconds, and whenever in doubt, whether the broker answers,
 * and checks whether any of the sent messages are stored; a change is logged.  Producers that have
 * been without any broker for a minute are replaced, because their metadata may be stale. */
void broker_watch(struct broker *broker);

/* Whether the broker answers, as far as is known; wait for that, at most until deadline. */
bool broker_is_up(struct broker *broker);
bool broker_await_up(struct broker *broker, struct instant deadline);

/* Whether any broker answered when the cluster was asked last, which is done when messages are
 * late, or all were acknowledged since then. */
bool broker_is_answered(struct broker *broker);

/* Put into reason, which has room for size bytes, why the broker does not answer, or why nothing of
 * what was sent has been stored for longer than the time of a burst; an empty text if neither is
 * the case. */
void broker_view(struct broker *broker, char *reason, size_t size);

#endif
