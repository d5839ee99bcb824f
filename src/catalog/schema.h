/*
 * schema - the JSON Schema (draft 2020-12) of a model's message value.  Pure.
 *
 * Every value that the model can send is valid by it.  What JSON Schema's formats have no words
 * for (infinity, dates BC) is not asserted: a format is an annotation by default.
 */
#ifndef SIGNALBUS_SCHEMA_H
#define SIGNALBUS_SCHEMA_H

#include "base/error.h"
#include "catalog/facts.h"
#include "model/model.h"

/* The schema as text to be freed.  NULL with ERROR_CONFIG where the value is no JSON. */
char *schema_print(const struct model *m, const struct facts *f, struct error *e);

#endif
