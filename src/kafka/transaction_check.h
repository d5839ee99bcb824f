/*
 * transaction_check - queries about the brokers, for `signalbus check` with delivery =
 * "exactly-once".  Any thread; blocks until its deadline.
 */
#ifndef SIGNALBUS_TRANSACTION_CHECK_H
#define SIGNALBUS_TRANSACTION_CHECK_H

#include "base/check_report.h"
#include "base/clock.h"
#include "base/error.h"
#include "config/config.h"

#include <stdbool.h>

/* Query the settings of all brokers, and report those that transactions do not work with.  What the
 * Kafka user may not query (DESCRIBE_CONFIGS of the cluster) stays unknown.  Returns false with e
 * if no broker answers in time (ERROR_BROKER). */
bool transaction_check(const struct config *config, struct check_report *f, struct instant deadline,
	struct error *e);

#endif
