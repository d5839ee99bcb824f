/*
 * lane - a producer: sends the messages of a burst to Kafka and records the broker's verdicts in
 * the burst's ledger.  Lanes come from a broker (broker.h).
 *
 * A lane serves one burst at a time, in the thread of its worker: reports are taken during the
 * calls below, and no lock is needed for them.  From lane_begin() to lane_end() the burst has the
 * lane to itself; another one waits in lane_begin().
 *
 * Only a message's own report without an error becomes VERDICT_STORED; a refusal by the producer
 * itself never gets a report and is recorded at once.  A producer that reports a fatal error is
 * replaced by a new one; its unsettled messages are VERDICT_UNKNOWN.
 *
 * The producer of an ordered lane sends without gaps: a message of a partition is stored only if
 * all messages that this producer sent before it are stored.
 *
 *   - A message that the broker rejects is a fatal error (enable.gapless.guarantee).  The broker
 *     refuses the batches in flight after it, because their sequence numbers do not match, and
 *     without a new producer they are not sent again.
 *   - No message expires in the producer (message.timeout.ms=0), because one that was handed over
 *     a little later might not.  So a sender that was frozen continues where it stopped.
 *   - A new producer's first message to a topic is sent alone, and the next ones when it is stored.
 *   - If any other message is not stored, or not acknowledged by the deadline of its burst, the
 *     producer is replaced before the call that finds this returns.
 *
 * Only messages to other partitions, which Kafka does not order with these, may be stored although
 * an earlier one is rejected.
 */
#ifndef SIGNALBUS_LANE_H
#define SIGNALBUS_LANE_H

#include "base/clock.h"
#include "base/error.h"
#include "model/ledger.h"
#include "model/message.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lane;

/* Open l for a burst of at most count messages: verdicts arrive in it until lane_end().  Waits
 * while another burst has the lane. */
void lane_begin(struct lane *lane, struct ledger *l, size_t count);

/* Send a message, whose bytes are copied, for a slot.  A topic that is known to be missing or
 * forbidden is refused at once (VERDICT_TOPIC), and tried again after waits that double from 0.1 to
 * 10 seconds.  A topic whose partitions lack a leader or in-sync replicas is refused (VERDICT_AWAY)
 * until they have them.  Waits while the producer's queue is full, until deadline; nothing is sent
 * after it.  Returns false if the producer refused the message; the verdict is in the ledger. */
bool lane_send(struct lane *lane, struct ledger *l, size_t slot, const struct message *message,
	struct instant deadline);

/* Returns the message of a slot, valid until the next call; NULL if unknown. */
struct lane_memory {
	const struct message *(*message_of)(void *arg, size_t slot);
	void *arg;
};

/* Wait until each slot of l has a verdict.  Those that have none at deadline become
 * VERDICT_UNKNOWN, or VERDICT_AWAY if it is known what keeps their topic from being stored. */
void lane_await(
	struct lane *lane, struct ledger *l, struct instant deadline, const struct lane_memory *m);

/* Close l: later reports for it are ignored. */
void lane_end(struct lane *lane, struct ledger *l);

/* The rest is for a lane with transactions (broker_lane_transactional()); lane_transaction.c.  Only
 * one thread uses such a lane.  Its messages count only after lane_commit().  Its producer is not
 * replaced by itself: without lane_fence() nothing is sent.  These calls wait for the broker until
 * deadline; failures are ERROR_BROKER.
 *
 * Make a new producer with the transactional id of a sender, INSTANCE-SLOT.  From then on the
 * broker refuses what others with this id send, even if it was sent before, and what they left open
 * is aborted.  ERROR_INSTANCE, and nothing is done, if another database has stored numbers for this
 * slot, or for the first one, which each instance uses. */
struct lane_sender {
	const char *instance;
	unsigned slot;
	const char *database; /* base/identity.h */
};
bool lane_fence(struct lane *lane, const struct lane_sender *sender, struct instant deadline,
	struct error *e);

/* Whether that is needed before the next transaction. */
bool lane_needs_fence(const struct lane *lane);

/* Begin a transaction, before lane_begin().  If another one is open, nothing of it counts. */
bool lane_begin_transaction(struct lane *lane, struct instant deadline, struct error *e);

/* Abort what is open, by fencing. */
void lane_abort(struct lane *lane, struct instant deadline);

/* The same without fencing, because another sender may have the id now, and is not disturbed: if it
 * has, nothing is aborted. */
void lane_drop(struct lane *lane);

/* Store the number of a burst in the transaction, for a topic. */
bool lane_store_number(struct lane *lane, const char *topic, int64_t number,
	struct instant deadline, struct error *e);

/* Commit.  Returns false if it is in doubt whether that was done: then only a number that is read
 * after lane_fence() tells. */
bool lane_commit(struct lane *lane, struct instant deadline, struct error *e);

/* Read the number that is stored for a topic, or the greatest of all topics (NULL); -1: there is
 * none.  ERROR_INSTANCE if another database has stored one, ERROR_CONFLICT if a transaction is
 * about to change it all the time; with NULL the broker may not notice that. */
bool lane_read_number(struct lane *lane, const char *topic, int64_t *number,
	struct instant deadline, struct error *e);

/* The same for all topics, and the broker notices a change to any topic of the cluster: it is asked
 * for each by its name. */
bool lane_read_all_numbers(
	struct lane *lane, int64_t *number, struct instant deadline, struct error *e);

/* The topic of the number that was read last, until the next call; NULL if there was none. */
const char *lane_numbered_topic(const struct lane *lane);

/* Wait until reads would see that the transaction, which is open, has a number for a topic.  Then
 * the broker that answers them coordinates the group now, and has stored all numbers before. */
bool lane_await_number(
	struct lane *lane, const char *topic, struct instant deadline, struct error *e);

#endif
