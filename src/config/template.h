/*
 * template - a topic that may differ from row to row: text with {column} placeholders.  Pure.
 *
 * A column's name stands in the braces as it is or, where it has a brace itself, quoted as in SQL.
 */
#ifndef SIGNALBUS_TEMPLATE_H
#define SIGNALBUS_TEMPLATE_H

#include "base/error.h"
#include "base/text.h"
#include "postgres/rows.h"

#include <stdbool.h>
#include <stddef.h>

struct template_part {
	char *text; /* as it is, or a column's name */
	bool is_column;
	size_t field; /* of a claimed row; whoever knows the columns sets it */
};

/* Zero-initialised is empty. */
struct template
{
	struct template_part *parts;
	size_t count;
};

/* Parse text.  Returns false with ERROR_CONFIG where braces do not pair, or where what stands
 * outside of them can be no part of a topic's name, or is too long for one by itself; t is to be
 * freed in any case. */
bool template_parse(struct template *t, const char *text, struct error *e);
void template_free(struct template *t);

/* Whether the topic is the same for each row. */
bool template_is_constant(const struct template *t);

/* Put the topic of a row in the place of what is in topic.  Returns false with ERROR_REJECTED where
 * a column is NULL or what comes out is no name for a topic. */
bool template_expand(
	const struct template *t, const struct field *fields, struct text *topic, struct error *e);

/* Whether name may be a topic's (Kafka's org.apache.kafka.common.internals.Topic.validate()).
 * Returns false with e of that kind where not. */
bool topic_check(const char *name, enum error_kind kind, struct error *e);

#endif
