/*
 * json - the documents that --json prints.  Out of memory aborts.  Main thread only.
 */
#ifndef SIGNALBUS_JSON_H
#define SIGNALBUS_JSON_H

#include "cli/command.h"

#include <cjson/cJSON.h>

/* Aborts if it is NULL, as cJSON returns it out of memory. */
cJSON *json_made(cJSON *value);

/* A string, with what is not UTF-8 in it made visible; NULL: null. */
cJSON *json_text(const char *text);

cJSON *json_count(size_t count);

/* JSON from PostgreSQL, unchanged, so that numbers keep every digit; a string if it is no JSON. */
cJSON *json_embedded(const char *text);

/* The text of a document, in one line, for a terminal, too; to be freed.  Frees the document. */
char *json_line(cJSON *document);

/* Print a document, in one line, and free it.  Returns the exit status. */
int json_print(cJSON *document);

#endif
