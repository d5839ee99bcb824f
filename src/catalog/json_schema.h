/*
 * json_schema - the JSON Schema (draft 2020-12) of a model's message value.  Pure.
 *
 * Every value that the model can send is valid against it.  Values that JSON Schema's formats
 * cannot express (infinity, dates BC) are valid, because a format is only an annotation by default.
 */
#ifndef SIGNALBUS_JSON_SCHEMA_H
#define SIGNALBUS_JSON_SCHEMA_H

#include "base/error.h"
#include "catalog/type_facts.h"
#include "model/model.h"

/* The schema as text to be freed.  NULL with ERROR_CONFIG if the value is not JSON. */
char *schema_print(const struct model *m, const struct facts *f, struct error *e);

#endif
