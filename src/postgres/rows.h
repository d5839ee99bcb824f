/*
 * rows - the result of a statement, in text form.  Pure data in memory of its own: rows_free()
 * frees all of it.  It does not change once it is complete, so any thread may read it.
 */
#ifndef SIGNALBUS_ROWS_H
#define SIGNALBUS_ROWS_H

#include <stdbool.h>
#include <stddef.h>

struct rows;

/* A value in text form; text is NULL for NULL, otherwise a NUL follows length bytes. */
struct field {
	const char *text;
	size_t length;
};

/* A column of a result: its type (a domain's base type), and the table column whose value it is
 * unchanged, if any. */
struct row_column {
	unsigned type_oid;
	unsigned table_oid; /* 0: any … */
	int attnum;         /* … and any of its columns, if any */
};

/* Rows with this many columns, none at first; then add the types of the columns and, row by row,
 * its fields, which are copied. */
struct rows *rows_new(size_t columns);
void rows_set_type(struct rows *r, size_t column, unsigned type_oid);
void rows_add(struct rows *r, const struct field *fields);

size_t rows_count(const struct rows *r);

/* The total length of all values. */
size_t rows_bytes(const struct rows *r);

/* The oid in pg_type of a column's type (for a domain: its base type). */
unsigned rows_type(const struct rows *r, size_t column);

/* The value in a row and a column, NULL for NULL; borrowed from r. */
const char *rows_value(const struct rows *r, size_t row, size_t column);

/* Fill fields with the first count values of a row; borrowed from r. */
void rows_fields(const struct rows *r, size_t row, struct field *fields, size_t count);

/* The values of the first row from a column on as one text, which differs where one of them does;
 * to be freed. */
char *rows_join(const struct rows *r, size_t first_column);

void rows_free(struct rows *r);

#endif
