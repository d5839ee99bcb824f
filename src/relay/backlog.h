/*
 * backlog - a backlog that is sent one signal at a time, because burst_count is 1.
 */
#ifndef SIGNALBUS_BACKLOG_H
#define SIGNALBUS_BACKLOG_H

#include "config/config.h"

#include <stdbool.h>
#include <stddef.h>

/* How long a model is sent before a warning, and how much is left then, in seconds of sending. */
#define BACKLOG_AFTER_S 10.0
#define BACKLOG_LEFT_S  60.0

/* This many pending signals take long one by one, even if it is not known how long. */
#define BACKLOG_MANY 10000

/* Log a warning.  rate: the signals that are sent in a second; 0: unknown. */
void backlog_warn(const struct model_config *m, size_t pending, double rate);

#endif
