/*
 * property - which of librdkafka's properties may be set.  Any thread.
 */
#ifndef SIGNALBUS_PROPERTY_H
#define SIGNALBUS_PROPERTY_H

#include "base/error.h"
#include "base/text.h"
#include "config/config.h"

/* A config_property_check: whether librdkafka accepts the property, and signalbus allows it. */
enum property_answer property_check(const struct property *p, struct error *e);

/* Add the version of librdkafka, such as "2.0.2"; and what it was built with: " (gzip, snappy, …)".
 */
void property_add_library_version(struct text *t);
void property_add_library_features(struct text *t);

#endif
