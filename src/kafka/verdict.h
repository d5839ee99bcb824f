/*
 * verdict - what librdkafka's errors mean for a signal: what is at fault.  Pure.  Private to
 * lane*.c, with which it shares librdkafka.
 */
#ifndef SIGNALBUS_VERDICT_H
#define SIGNALBUS_VERDICT_H

#include "kafka/producer.h"
#include "model/ledger.h"

/* The only table of what is at fault for an error: the row (VERDICT_REJECTED), its topic
 * (VERDICT_TOPIC), or the cluster, the network or this host (VERDICT_UNKNOWN): the row is kept and
 * retried.  Errors that are not in the table belong to the last kind.
 *
 * What the broker says of a batch holds for each message of it, so VERDICT_REJECTED is final only
 * for a message that was sent by itself.  And if all rows of a burst are rejected for one cause it
 * is not theirs, whatever the table says: see ledger_failed_alike(). */
enum verdict verdict_of(rd_kafka_resp_err_t code);

/* The code as a cause that several rows may share although none of them is at fault.  0: the
 * message is too large, which is always the row's own fault. */
int verdict_cause(rd_kafka_resp_err_t code);

/* Its meaning, for people: the same text for a topic that does not exist, wherever that was
 * detected. */
const char *verdict_text(rd_kafka_resp_err_t code);

/* Whether an error is about a message's time, which is the row's fault only if the row has one;
 * otherwise this host set it. */
bool verdict_is_of_time(rd_kafka_resp_err_t code);

#endif
