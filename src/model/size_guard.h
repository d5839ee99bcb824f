/*
 * size_guard - SQL that fails for a row which is far larger than any message, before the server
 * sends it: it would fill the memory of this process.  Pure.
 */
#ifndef SIGNALBUS_SIZE_GUARD_H
#define SIGNALBUS_SIZE_GUARD_H

#include "base/text.h"
#include "model/model.h"

#include <stdbool.h>

/* What the error contains, in quotes. */
#define SIZE_GUARD_ERROR "too large: "

/* The beginning of an expression that fails, to be completed by what the error shall also say and
 * "))". That must not be constant, or the server would compute it when it plans the statement. */
#define SIZE_GUARD_FAIL "pg_catalog.pg_size_bytes(pg_catalog.concat('" SIZE_GUARD_ERROR "', "

/* Whether values of the column may be so large. */
bool size_guard_applies(const struct column *c);

/* Add the condition that a value is too large, of a column to which SQL refers by this name. */
void size_guard_add(
	struct text *t, const struct model *m, const struct column *c, const char *reference);

/* Add an expression that is NULL, or fails with the size of a value that is too large. */
void size_guard_add_failure(
	struct text *t, const struct model *m, const struct column *c, const char *reference);

#endif
