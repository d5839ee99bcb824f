/*
 * model_resolve() - the order, and what a claim returns, from the settings of a described model.
 */
#include "base/text.h"
#include "model/message_shape.h"
#include "model/model.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Remove " DESC" or " ASC" from the end of name.  Returns whether it was DESC. */
static bool cut_direction(char *name)
{
	static const struct {
		const char *word;
		bool descending;
	} directions[] = { { "asc", false }, { "desc", true } };
	size_t end = strlen(name);
	while (end > 0 && name[end - 1] == ' ')
		end--;
	for (size_t i = 0; i < 2; i++) {
		size_t length = strlen(directions[i].word);
		if (end <= length + 1 || name[end - length - 1] != ' ' ||
			strncasecmp(name + end - length, directions[i].word, length) != 0)
			continue;
		end -= length;
		while (end > 0 && name[end - 1] == ' ')
			end--;
		name[end] = '\0';
		return directions[i].descending;
	}
	return false;
}

static void add_order(struct model *m, size_t column, bool descending)
{
	for (size_t i = 0; i < m->order_count; i++)
		if (m->order[i].column == column)
			return; /* a second mention cannot change the order */
	m->order = memory_resize(m->order, m->order_count + 1, sizeof *m->order);
	m->order[m->order_count++] = (struct order_item){ column, descending };
}

static bool resolve_order(struct model *m, struct error *e)
{
	const struct strings *order_by = &m->settings->order_by;
	for (size_t i = 0; i < order_by->count; i++) {
		char *name = text_copy(order_by->items[i]);
		size_t column = model_column(m, name);
		bool descending = column == NO_FIELD && cut_direction(name);
		if (column == NO_FIELD)
			column = model_column(m, name);
		if (column == NO_FIELD)
			model_no_column(m, config_place(m->config, m->settings, "order_by"),
				"order_by", name, e);
		else
			add_order(m, column, descending);
		free(name);
		if (column == NO_FIELD && !model_tolerates(m, e))
			return false;
	}
	/* The primary key breaks ties, so that the order is total and repeatable. */
	for (size_t i = 0; i < m->primary_key_count; i++)
		add_order(m, m->primary_key[i], false);
	return true;
}

/* A primary key of one column that is the whole order is assumed to be a serial number, too.  With
 * a condition, rows may be added to the model long after they got their numbers. */
static void resolve_serial_order(struct model *m)
{
	if (m->order_count == 0) /* of a table without a primary key */
		return;
	const struct order_item *first = &m->order[0];
	m->serial_order = m->order_count == 1 || m->columns[first->column].is_serial;
	if (!m->serial_order || first->descending || m->settings->where != NULL)
		return;
	m->floor_field = shape_field(m, first->column);
}

/* The type of an output that uses to_json(). */
static unsigned type_behind(const struct model *m, const struct output *o)
{
	if (o->sql == NULL)
		return m->columns[o->column].type_oid;
	for (size_t i = 0; i < m->expression_count; i++)
		if (strcmp(m->expressions[i].sql, o->sql) == 0)
			return m->expressions[i].type_oid;
	return o->type_oid;
}

static struct row_column column_of(const struct model *m, const struct output *o)
{
	struct row_column c = { .type_oid = o->type_oid };
	if (o->sql == NULL && !o->as_json && !o->as_milliseconds) {
		c.table_oid = m->table_oid;
		c.attnum = m->columns[o->column].attnum;
	}
	return c;
}

static void resolve_claimed(struct model *m)
{
	size_t count = ROW_FIXED_FIELDS + m->output_count;
	m->claimed = memory_new(count + m->output_count, sizeof *m->claimed);
	m->claimed[ROW_CTID].type_oid = TID_OID;
	m->claimed[ROW_TABLEOID].type_oid = OID_OID;
	for (size_t i = 0; i < m->output_count; i++)
		m->claimed[ROW_FIXED_FIELDS + i] = column_of(m, &m->outputs[i]);
	for (size_t i = 0; i < m->output_count; i++)
		if (m->outputs[i].as_json)
			m->claimed[count++].type_oid = type_behind(m, &m->outputs[i]);
	m->claimed_count = count;
}

/* An expression, or to_json() of a type that is not built in, which may have a cast to json that is
 * a user-defined function. */
static bool is_peoples(const struct model *m, const struct output *o)
{
	return o->sql != NULL || (o->as_json && m->columns[o->column].type_oid >= FIRST_NORMAL_OID);
}

static void resolve_role(struct model *m)
{
	m->as_role = m->may_refuse || m->has_rule || m->settings->where != NULL;
	for (size_t i = 0; i < m->output_count; i++)
		m->as_role = m->as_role || is_peoples(m, &m->outputs[i]);
}

bool model_resolve(struct model *m, struct error *e)
{
	if (m->primary_key_count == 0 &&
		!model_error(m, "table", e, "table %s has no primary key", m->relation) &&
		!model_tolerates(m, e))
		return false;
	if (!shape_resolve(m, e) || !resolve_order(m, e))
		return false;
	resolve_serial_order(m);
	resolve_role(m);
	resolve_claimed(m);
	return true;
}
