/*
 * bus_verdict - what librdkafka's errors mean for a signal.  Pure.  Private to bus.c, with which it
 * shares librdkafka.
 */
#ifndef SIGNALBUS_BUS_VERDICT_H
#define SIGNALBUS_BUS_VERDICT_H

#include "bus_producer.h"
#include "ledger.h"

enum verdict bus_verdict_of(rd_kafka_resp_err_t code);

#endif
