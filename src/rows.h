/*
 * rows - what a statement returned, in text form; implemented by db.c.  Does not change, so any
 * thread may read it.
 */
#ifndef SIGNALBUS_ROWS_H
#define SIGNALBUS_ROWS_H

#include <stddef.h>

struct rows;

/* A value in text form; text is NULL for NULL, else ends with NUL behind length bytes. */
struct field {
	const char *text;
	size_t length;
};

size_t rows_count(const struct rows *r);

/* The number of pg_type of a column's type (of a domain: its base type). */
unsigned rows_type(const struct rows *r, size_t column);

/* The value in a row and a column, NULL for NULL; borrowed from r. */
const char *rows_value(const struct rows *r, size_t row, size_t column);

/* Fill fields with the first count values of a row; borrowed from r. */
void rows_fields(const struct rows *r, size_t row, struct field *fields, size_t count);

void rows_free(struct rows *r);

#endif
