/*
 * bytea - bytea in PostgreSQL's text form: \x and two lower-case digits per byte.  Pure.
 */
#ifndef SIGNALBUS_BYTEA_H
#define SIGNALBUS_BYTEA_H

#include "base/text.h"

#include <stddef.h>

/* Replace t with the bytes that hex (of length, with its \x) represents. */
void bytes_from_hex(const char *hex, size_t length, struct text *t);
void bytes_to_base64(const char *hex, size_t length, struct text *t);

#endif
