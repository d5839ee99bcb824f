#include "catalog/type_facts.h"

#include <stdlib.h>

void facts_free(struct facts *f)
{
	for (size_t i = 0; i < f->column_count; i++)
		free(f->columns[i].comment);
	for (size_t i = 0; i < f->type_count; i++) {
		free(f->types[i].labels);
		free(f->types[i].attributes);
	}
	free(f->comment);
	free(f->columns);
	free(f->types);
	*f = (struct facts){ 0 };
}

const struct type_facts *facts_type(const struct facts *f, unsigned oid)
{
	for (size_t i = 0; i < f->type_count; i++)
		if (f->types[i].oid == oid)
			return &f->types[i];
	return NULL;
}
