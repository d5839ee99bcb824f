#include "model/model.h"

#include "base/suggest.h"
#include "base/text.h"
#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGE_MAX_BYTES 1000000 /* librdkafka's default */

static size_t message_max(const struct config *file)
{
	for (size_t i = 0; i < file->kafka_count; i++)
		if (strcmp(file->kafka[i].name, "message.max.bytes") == 0)
			return strtoul(file->kafka[i].value, NULL, 10);
	return MESSAGE_MAX_BYTES;
}

struct model *model_new(const struct config *file, size_t index)
{
	struct model *m = memory_new(1, sizeof *m);
	m->config = file;
	m->settings = &file->models[index];
	m->index = index;
	m->message_max = message_max(file);
	m->key_field = m->value_field = m->partition_field = m->timestamp_field = NO_FIELD;
	m->floor_field = NO_FIELD;
	return m;
}

void model_free(struct model *m)
{
	if (m == NULL)
		return;
	for (size_t i = 0; i < m->column_count; i++) {
		free(m->columns[i].name);
		free(m->columns[i].type);
		free(m->columns[i].cast);
		free(m->columns[i].operators);
	}
	template_free(&m->topic);
	free(m->relation);
	free(m->scope);
	free(m->table_state);
	free(m->dead_letters);
	free(m->dead_letter_problem);
	free(m->dead_letter_grant);
	free(m->columns);
	free(m->expressions);
	free(m->primary_key);
	free(m->order);
	free(m->outputs);
	free(m->claimed);
	free(m->members);
	free(m->headers);
	free(m->primary_key_fields);
	free(m);
}

void model_set_table(struct model *m, const char *relation, bool has_children)
{
	m->relation = text_copy(relation);
	m->scope = m->settings->where == NULL
			   ? text_copy(relation)
			   : text_format("%s WHERE %s", relation, m->settings->where);
	m->has_children = has_children;
}

struct column *model_add_column(struct model *m, const char *name, unsigned type_oid)
{
	m->columns = memory_resize(m->columns, m->column_count + 1, sizeof *m->columns);
	struct column *c = &m->columns[m->column_count++];
	*c = (struct column){
		.name = text_copy(name), .type_oid = type_oid, .form = type_form(type_oid)
	};
	return c;
}

void model_add_expression(struct model *m, const char *sql, unsigned type_oid)
{
	size_t count = m->expression_count + 1;
	m->expressions = memory_resize(m->expressions, count, sizeof *m->expressions);
	m->expressions[m->expression_count++] =
		(struct expression){ sql, type_form(type_oid), type_oid };
}

static size_t column_find(const struct model *m, const char *name)
{
	for (size_t i = 0; i < m->column_count; i++)
		if (strcmp(m->columns[i].name, name) == 0)
			return i;
	return NO_FIELD;
}

void model_add_primary_key(struct model *m, const char *column_name)
{
	size_t count = m->primary_key_count + 1;
	m->primary_key = memory_resize(m->primary_key, count, sizeof *m->primary_key);
	m->primary_key[m->primary_key_count++] = column_find(m, column_name);
}

bool model_error(
	const struct model *m, const char *setting, struct error *e, const char *format, ...)
{
	char message[sizeof e->text / 2];
	va_list args;
	va_start(args, format);
	if (vsnprintf(message, sizeof message, format, args) >= (int)sizeof message)
		utf8_mark_cut(message, sizeof message);
	va_end(args);
	struct place at = config_place(m->config, m->settings, setting);
	return error_set(e, ERROR_CONFIG, "%s:%u: %s", at.file, at.line, message);
}

bool model_tolerates(struct model *m, const struct error *e)
{
	if (m->mistakes == NULL || e->kind != ERROR_CONFIG)
		return false;
	problems_add_line(m->mistakes, e->text);
	return true;
}

bool model_no_column(
	const struct model *m, struct place at, const char *what, const char *name, struct error *e)
{
	struct nearest nearest = nearest_to(name);
	for (size_t i = 0; i < m->column_count; i++)
		nearest_offer(&nearest, m->columns[i].name);
	error_set(e, ERROR_CONFIG, "%s:%u: %s: table %s has no column \"%s\"", at.file, at.line,
		what, m->relation, name);
	size_t used = strlen(e->text);
	if (nearest.best != NULL)
		used += (size_t)snprintf(e->text + used, sizeof e->text - used,
			"; did you mean \"%s\"?", nearest.best);
	if (used >= sizeof e->text)
		utf8_mark_cut(e->text, sizeof e->text);
	return false;
}

/* Unquote a quoted name, in place. */
static void unquote(char *name)
{
	size_t length = strlen(name);
	if (length < 2 || name[0] != '"' || name[length - 1] != '"')
		return;
	name[length - 1] = '\0';
	char *to = name;
	for (const char *from = name + 1; *from != '\0'; from++) {
		if (from[0] == '"' && from[1] == '"')
			from++;
		*to++ = *from;
	}
	*to = '\0';
}

size_t model_column(const struct model *m, const char *text)
{
	size_t column = column_find(m, text);
	if (column != NO_FIELD)
		return column;
	char *name = text_copy(text);
	unquote(name);
	column = column_find(m, name);
	free(name);
	return column;
}
