#include "model/message_shape.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

/* Types that a column may have. */
struct family {
	const char *what;
	unsigned oids[3];
};

static const struct family integers = { "an integer", { INT8_OID, INT2_OID, INT4_OID } };
static const struct family timestamps = { "a timestamp",
	{ DATE_OID, TIMESTAMP_OID, TIMESTAMPTZ_OID } };

static bool same_output(const struct output *a, const struct output *b)
{
	if (a->as_json != b->as_json || a->as_milliseconds != b->as_milliseconds)
		return false;
	if (a->sql != NULL && b->sql != NULL)
		return strcmp(a->sql, b->sql) == 0;
	return a->sql == b->sql && a->column == b->column;
}

/* The field of a claimed row that holds the output; requested at most once. */
static size_t field_of(struct model *m, struct output output)
{
	for (size_t i = 0; i < m->output_count; i++)
		if (same_output(&m->outputs[i], &output))
			return ROW_FIXED_FIELDS + i;
	m->outputs = memory_resize(m->outputs, m->output_count + 1, sizeof *m->outputs);
	m->outputs[m->output_count] = output;
	return ROW_FIXED_FIELDS + m->output_count++;
}

size_t shape_field(struct model *m, size_t column)
{
	const struct column *c = &m->columns[column];
	return field_of(
		m, (struct output){ .column = column, .form = c->form, .type_oid = c->type_oid });
}

/* The form in which a value is requested: in the message value to_json() of it, if its text is not
 * sufficient. */
static struct output json_or_text(enum value_form form, unsigned type_oid, bool in_value)
{
	bool as_json = in_value && form == FORM_SERVER;
	return (struct output){
		.as_json = as_json, .form = form, .type_oid = as_json ? JSON_OID : type_oid
	};
}

/* The field of a column, in the form of the value. */
static struct part column_part(struct model *m, size_t column, bool in_value)
{
	const struct column *c = &m->columns[column];
	struct output output = json_or_text(c->form, c->type_oid, in_value);
	output.column = column;
	return (struct part){ .name = c->name,
		.field = field_of(m, output),
		.form = c->form,
		.column = column,
		.type_oid = c->type_oid };
}

static struct part expression_part(struct model *m, const char *sql, bool in_value)
{
	struct expression found = { .sql = sql, .form = FORM_SERVER };
	for (size_t i = 0; i < m->expression_count; i++)
		if (strcmp(m->expressions[i].sql, sql) == 0)
			found = m->expressions[i];
	struct output output = json_or_text(found.form, found.type_oid, in_value);
	output.column = NO_FIELD;
	output.sql = sql;
	return (struct part){ .field = field_of(m, output),
		.form = found.form,
		.column = NO_FIELD,
		.type_oid = found.type_oid };
}

static bool resolve_item(
	struct model *m, const struct item *item, bool in_value, struct part *part, struct error *e)
{
	const char *setting = in_value ? "fields" : "headers";
	if (item->value != NULL) {
		*part = (struct part){
			.field = NO_FIELD, .constant = item->value, .column = NO_FIELD
		};
	} else if (item->sql != NULL) {
		*part = expression_part(m, item->sql, in_value);
	} else {
		size_t column = model_column(m, item->column);
		if (column == NO_FIELD)
			return model_no_column(m, item->place, setting, item->column, e);
		*part = column_part(m, column, in_value);
	}
	if (item->name != NULL)
		part->name = item->name;
	return true;
}

/* The parts from a list of the settings, in its order. */
static bool resolve_items(struct model *m, const struct items *items, bool in_value,
	struct part **parts, struct error *e)
{
	*parts = memory_new(items->count, sizeof **parts);
	for (size_t i = 0; i < items->count; i++)
		if (!resolve_item(m, &items->items[i], in_value, &(*parts)[i], e) &&
			!model_tolerates(m, e))
			return false;
	return true;
}

/* Find the column that a setting names; *column is NO_FIELD if it names none. */
static bool resolve_column(const struct model *m, const char *setting, const char *name,
	size_t *column, struct error *e)
{
	*column = name != NULL ? model_column(m, name) : NO_FIELD;
	if (name == NULL || *column != NO_FIELD)
		return true;
	return model_no_column(m, config_place(m->config, m->settings, setting), setting, name, e);
}

/* Check that the column of a setting has one of the types. */
static bool check_type(const struct model *m, const char *setting, size_t column,
	const struct family *family, struct error *e)
{
	const struct column *c = &m->columns[column];
	for (size_t i = 0; i < sizeof family->oids / sizeof family->oids[0]; i++)
		if (c->type_oid == family->oids[i])
			return true;
	return model_error(m, setting, e, "%s: column \"%s\" is of type %s, not %s", setting,
		c->name, c->type, family->what);
}

static bool resolve_value(struct model *m, struct error *e)
{
	const struct model_config *c = m->settings;
	size_t column;
	if (!resolve_column(m, "value", c->value, &column, e))
		return false;
	if (column != NO_FIELD) {
		m->value_field = shape_field(m, column);
		return true;
	}
	if (c->fields.count > 0) {
		m->member_count = c->fields.count;
		return resolve_items(m, &c->fields, true, &m->members, e);
	}
	m->member_count = m->column_count;
	m->members = memory_new(m->member_count, sizeof *m->members);
	for (size_t i = 0; i < m->column_count; i++)
		m->members[i] = column_part(m, i, true);
	return true;
}

static bool resolve_key(struct model *m, struct error *e)
{
	size_t column;
	if (!resolve_column(m, "key", m->settings->key, &column, e))
		return false;
	if (column != NO_FIELD)
		m->key_field = shape_field(m, column);
	return true;
}

static bool resolve_partition(struct model *m, struct error *e)
{
	size_t column;
	if (!resolve_column(m, "partition", m->settings->partition, &column, e) ||
		(column != NO_FIELD && !check_type(m, "partition", column, &integers, e)))
		return false;
	if (column != NO_FIELD)
		m->partition_field = shape_field(m, column);
	return true;
}

static bool resolve_timestamp(struct model *m, struct error *e)
{
	size_t column;
	if (!resolve_column(m, "timestamp", m->settings->timestamp, &column, e) ||
		(column != NO_FIELD && !check_type(m, "timestamp", column, &timestamps, e)))
		return false;
	if (column != NO_FIELD)
		m->timestamp_field = field_of(m, (struct output){ .column = column,
							 .as_milliseconds = true,
							 .form = FORM_NUMBER,
							 .type_oid = INT8_OID });
	return true;
}

static bool resolve_headers(struct model *m, struct error *e)
{
	m->header_count = m->settings->headers.count;
	return resolve_items(m, &m->settings->headers, false, &m->headers, e);
}

static bool resolve_topic(struct model *m, struct error *e)
{
	struct error wrong;
	if (!template_parse(&m->topic, m->settings->topic, &wrong))
		return model_error(m, "topic", e, "topic: %s", wrong.text);
	for (size_t i = 0; i < m->topic.count; i++) {
		struct template_part *part = &m->topic.parts[i];
		size_t column;
		if (!part->is_column)
			continue;
		if (resolve_column(m, "topic", part->text, &column, e))
			part->field = shape_field(m, column);
		else if (!model_tolerates(m, e))
			return false;
	}
	return true;
}

bool shape_resolve(struct model *m, struct error *e)
{
	static bool (*const resolvers[])(struct model *, struct error *) = { resolve_key,
		resolve_topic, resolve_headers, resolve_partition, resolve_timestamp };
	if (!resolve_value(m, e) && !model_tolerates(m, e))
		return false;
	m->primary_key_fields = memory_new(m->primary_key_count, sizeof *m->primary_key_fields);
	for (size_t i = 0; i < m->primary_key_count; i++)
		m->primary_key_fields[i] = shape_field(m, m->primary_key[i]);
	for (size_t i = 0; i < sizeof resolvers / sizeof resolvers[0]; i++)
		if (!resolvers[i](m, e) && !model_tolerates(m, e))
			return false;
	return true;
}
