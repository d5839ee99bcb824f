/*
 * binary_format - values in PostgreSQL's binary format, printed as PostgreSQL prints them with the
 * settings of db_connect().  Sending them in this format costs the server less.  Pure.
 *
 * The formats are those of the types' send functions (src/backend/utils/adt of PostgreSQL), which
 * do not change: libraries of many languages read them.
 */
#ifndef SIGNALBUS_BINARY_FORMAT_H
#define SIGNALBUS_BINARY_FORMAT_H

#include "base/text.h"
#include "postgres/rows.h"
#include "postgres/types.h"

#include <stdbool.h>

/* More than the longest text of bounded length, a timestamp BC. */
#define BINARY_ROOM 64

struct binary_type;

/* The type with an oid of pg_type; NULL if its values cannot be printed. */
const struct binary_type *binary_type(unsigned type_oid);

/* How a value of the type becomes JSON. */
enum value_form binary_form(unsigned type_oid);

/* The memory for a printed value: one whose length is bounded, and any other.  Zero-initialized is
 * empty; the owner frees text. */
struct binary_room {
	char bytes[BINARY_ROOM];
	struct text text;
};

/* Convert a value in binary format, which is not NULL, to its text form: in room, until the next
 * value is printed there, or in place.  Returns false if it is not a value of the type. */
bool binary_print(const struct binary_type *type, struct field *f, struct binary_room *room);

/* Add a tid, given in text form, to a parameter of type tid[] in binary format: t, which is empty
 * at first. */
void binary_tids_add(struct text *t, const char *tid);

#endif
