/*
 * facts - what the catalog says of the values of a model's columns and expressions, beyond what
 * sending takes: for their JSON Schema.  Pure data.
 */
#ifndef SIGNALBUS_FACTS_H
#define SIGNALBUS_FACTS_H

#include <stdbool.h>
#include <stddef.h>

struct column_facts {
	bool not_null;
	unsigned long max_length; /* in characters; 0: none */
	char *comment;            /* NULL: none */
};

/* A type, and all that its values are made of is there as well. */
struct type_facts {
	unsigned oid;
	char kind;        /* pg_type.typtype: b base, c composite, d domain, e enum, … */
	unsigned base;    /* a domain's type */
	unsigned element; /* an array's; 0: no array */
	bool is_any_json; /* has a cast to json of its own, which to_json() uses */
	char *labels;     /* an enum's, as a JSON array of strings; else NULL */
	char *attributes; /* a composite's, as a JSON array of [name, type's oid]; else NULL */
};

/* Zero-initialised is empty. */
struct facts {
	char *comment;                /* the table's; NULL: none */
	struct column_facts *columns; /* those of the model, in its order */
	size_t column_count;
	struct type_facts *types;
	size_t type_count;
};

void facts_free(struct facts *f);

/* What is known of a type, or NULL. */
const struct type_facts *facts_type(const struct facts *f, unsigned oid);

#endif
