/*
 * numeric - PostgreSQL's numeric values of any length in binary format.  Pure.
 */
#ifndef SIGNALBUS_NUMERIC_H
#define SIGNALBUS_NUMERIC_H

#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>

/* Add to t the text that numeric_out() prints for the output of numeric_send() (numeric.c in
 * PostgreSQL).  Returns false, with anything added, if the bytes are not a number. */
bool numeric_add(struct text *t, const unsigned char *bytes, size_t length);

#endif
