/*
 * number_check - whether the Kafka user may write at all: an idempotent producer gets its number
 * from the broker only if it may write to any topic, or has IDEMPOTENT_WRITE.  Any thread.
 */
#ifndef SIGNALBUS_NUMBER_CHECK_H
#define SIGNALBUS_NUMBER_CHECK_H

#include "base/clock.h"
#include "base/error.h"
#include "config/config.h"

/* Ask for a number with the properties of the configuration, until deadline; nothing is sent.
 * Returns false with e if the broker refuses it (ERROR_BROKER), or the properties contradict each
 * other (ERROR_CONFIG).  No answer is no refusal. */
bool number_check(const struct config *config, struct instant deadline, struct error *e);

#endif
