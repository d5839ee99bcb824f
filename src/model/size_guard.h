/*
 * size_guard - SQL that fails for a row which is far larger than any message, before the server
 * sends it: it would fill the memory of this process.  Pure.
 *
 * A claim compares what costs next to nothing: sizes that the server knows without making text of
 * a value, each by itself.  What this overlooks, such as the number 1e131000 or many large columns,
 * is noticed when it arrives (db_call.row_max).  Then, as after any failure of a claim, rows are
 * read apart, and first all text of a row is measured (sql_sizes()).
 */
#ifndef SIGNALBUS_SIZE_GUARD_H
#define SIGNALBUS_SIZE_GUARD_H

#include "base/text.h"
#include "model/model.h"

#include <stdbool.h>

/* The beginning of an expression that fails, to be completed by what the error shall also say and
 * "))". That must not be constant, or the server would compute it when it plans the statement. */
#define SIZE_GUARD_FAIL "pg_catalog.pg_size_bytes(pg_catalog.concat('too large: ', "

/* The largest row of a model that is read, in bytes of text. */
size_t size_guard_max(const struct model *m);

/* Whether values of the column may be so large. */
bool size_guard_applies(const struct column *c);

/* Add the condition that a value is too large, of a column to which SQL refers by this name. */
void size_guard_add(
	struct text *t, const struct model *m, const struct column *c, const char *reference);

/* Add the size of the text of a value, 0 for NULL: of a column, or of another expression (NULL). */
void size_guard_add_size(struct text *t, const struct column *c, const char *value);

#endif
