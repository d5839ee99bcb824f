/*
 * type_facts - facts from the catalog about the values of a model's columns and expressions that
 * are not needed for sending, only for their JSON Schema.  Pure data.
 */
#ifndef SIGNALBUS_TYPE_FACTS_H
#define SIGNALBUS_TYPE_FACTS_H

#include <stdbool.h>
#include <stddef.h>

struct column_facts {
	bool not_null;
	unsigned long max_length; /* in characters; 0: none */
	char *comment;            /* NULL: none */
};

/* A type; the types of its parts are included as well. */
struct type_facts {
	unsigned oid;
	char kind;        /* pg_type.typtype: b base, c composite, d domain, e enum, … */
	unsigned base;    /* a domain's type */
	unsigned element; /* an array's; 0: not an array */
	bool is_any_json; /* has its own cast to json, which to_json() uses */
	char *labels;     /* of an enum, as a JSON array of strings; otherwise NULL */
	char *attributes; /* of a composite type, as a JSON array of [name, type's oid]; otherwise
			     NULL */
};

/* Zero-initialized is empty. */
struct facts {
	char *comment;                /* the table's; NULL: none */
	struct column_facts *columns; /* those of the model, in its order */
	size_t column_count;
	struct type_facts *types;
	size_t type_count;
};

void facts_free(struct facts *f);

/* The facts about a type, or NULL. */
const struct type_facts *facts_type(const struct facts *f, unsigned oid);

#endif
