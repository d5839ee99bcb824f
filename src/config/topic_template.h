/*
 * topic_template - a topic that may differ from row to row: text with {column} placeholders.  Pure.
 *
 * A column name in the braces is unchanged or, if it contains a brace itself, quoted as in SQL.
 */
#ifndef SIGNALBUS_TOPIC_TEMPLATE_H
#define SIGNALBUS_TOPIC_TEMPLATE_H

#include "base/error.h"
#include "base/text.h"
#include "postgres/rows.h"

#include <stdbool.h>
#include <stddef.h>

struct template_part {
	char *text; /* literal text, or a column name */
	bool is_column;
	size_t field; /* of a claimed row; set when the columns are known */
};

/* Zero-initialized is empty. */
struct template
{
	struct template_part *parts;
	size_t count;
};

/* Parse text.  Returns false with ERROR_CONFIG if braces are unbalanced, or if the text outside
 * them cannot be part of a topic name, or is too long for one by itself; free t in any case. */
bool template_parse(struct template *t, const char *text, struct error *e);
void template_free(struct template *t);

/* Whether the topic is the same for each row. */
bool template_is_constant(const struct template *t);

/* Replace topic with the topic of a row.  Returns false with ERROR_REJECTED if a column is NULL or
 * the result is not a valid topic name. */
bool template_expand(
	const struct template *t, const struct field *fields, struct text *topic, struct error *e);

/* Whether name is a valid topic name (Kafka's org.apache.kafka.common.internals.Topic.validate()).
 * Returns false with e of that kind if not. */
bool topic_check(const char *name, enum error_kind kind, struct error *e);

#endif
