/*
 * binary - values in PostgreSQL's binary format, printed as PostgreSQL prints them with the
 * settings that db_connect() makes.  Sending them so costs the server less.  Pure.
 *
 * The formats are those of the types' send functions (src/backend/utils/adt of PostgreSQL), which
 * do not change: libraries of many languages read them.
 */
#ifndef SIGNALBUS_BINARY_H
#define SIGNALBUS_BINARY_H

#include "base/text.h"
#include "postgres/rows.h"
#include "postgres/types.h"

#include <stdbool.h>

/* More than the longest text of bounded length, a timestamp before Christ. */
#define BINARY_ROOM 64

struct binary_type;

/* The type of a number of pg_type; NULL where its values cannot be printed. */
const struct binary_type *binary_type(unsigned type_oid);

/* How a value of the type becomes JSON. */
enum value_form binary_form(unsigned type_oid);

/* Where a value is printed: one whose length is bounded, and any other.  Zero-initialised is empty;
 * who has it frees text. */
struct binary_room {
	char bytes[BINARY_ROOM];
	struct text text;
};

/* Make of a value in binary form, which is not NULL, its text form: in room, for as long as nothing
 * else is printed there, or where it is.  Returns false where it is no value of the type. */
bool binary_print(const struct binary_type *type, struct field *f, struct binary_room *room);

/* Add a tid, of which this is the text form, to a parameter of type tid[] in binary form: t, which
 * is empty at first. */
void binary_tids_add(struct text *t, const char *tid);

#endif
