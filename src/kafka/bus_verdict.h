/*
 * bus_verdict - what librdkafka's errors mean for a signal: whose fault they are.  Pure.  Private
 * to bus.c, with which it shares librdkafka.
 */
#ifndef SIGNALBUS_BUS_VERDICT_H
#define SIGNALBUS_BUS_VERDICT_H

#include "kafka/bus_producer.h"
#include "model/ledger.h"

/* The one table of whose fault an error is: the row's (VERDICT_REJECTED), its topic's
 * (VERDICT_TOPIC), or that of the cluster, the network or this host (VERDICT_LATE): the row is kept
 * and tried again.  What the table does not name is the latter.
 *
 * What the broker says of a batch holds for each message of it, so VERDICT_REJECTED is final only
 * for a message that was sent by itself.  And if all rows of a burst are rejected for one cause it
 * is not theirs, whatever the table says: see ledger_failed_alike(). */
enum verdict bus_verdict_of(rd_kafka_resp_err_t code);

/* The code as a cause that several rows may share though none of them is at fault.  0: each row is
 * too large by itself, however many are. */
int bus_verdict_cause(rd_kafka_resp_err_t code);

/* What it says, for people: the same of a topic that does not exist, whoever has found that. */
const char *bus_verdict_text(rd_kafka_resp_err_t code);

/* Whether an error is about a message's time, which is the row's fault only where the row has one;
 * else this host gave it. */
bool bus_verdict_is_of_time(rd_kafka_resp_err_t code);

#endif
