/*
 * numeric - PostgreSQL's numbers of any length in their binary form.  Pure.
 */
#ifndef SIGNALBUS_NUMERIC_H
#define SIGNALBUS_NUMERIC_H

#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>

/* Add to t what numeric_out() prints of what numeric_send() sent (numeric.c in PostgreSQL).
 * Returns false, with anything added, where the bytes are no number. */
bool numeric_add(struct text *t, const unsigned char *bytes, size_t length);

#endif
