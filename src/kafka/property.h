/*
 * property - which of librdkafka's properties may be set.  Any thread.
 */
#ifndef SIGNALBUS_PROPERTY_H
#define SIGNALBUS_PROPERTY_H

#include "base/error.h"
#include "config/config.h"

/* A config_property_check: whether librdkafka accepts the property, and signalbus allows it. */
enum property_answer property_check(const struct property *p, struct error *e);

#endif
