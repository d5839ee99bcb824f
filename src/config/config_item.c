#include "config/config_value.h"

#include "base/suggest.h"
#include "base/text.h"

#include <string.h>

/* What an item may contain, in addition to its name, and where it is stored. */
static const struct {
	const char *name;
	size_t field;
	bool of_headers; /* only */
	bool may_be_empty;
} members[] = {
	{ "name", offsetof(struct item, name), false, false },
	{ "column", offsetof(struct item, column), false, false },
	{ "sql", offsetof(struct item, sql), false, false },
	{ "value", offsetof(struct item, value), true, true },
};

#define MEMBER_COUNT (sizeof members / sizeof members[0])

static size_t member_of(const char *name, bool is_header)
{
	for (size_t i = 0; i < MEMBER_COUNT; i++)
		if (strcmp(members[i].name, name) == 0 && (is_header || !members[i].of_headers))
			return i;
	return MEMBER_COUNT;
}

static void unknown_member(
	struct reader *r, const struct setting *row, const config_setting_t *s, bool is_header)
{
	struct nearest nearest = nearest_to(config_setting_name(s));
	for (size_t i = 0; i < MEMBER_COUNT; i++)
		if (is_header || !members[i].of_headers)
			nearest_offer(&nearest, members[i].name);
	if (nearest.best != NULL)
		problems_add(r->problems, value_place(r->config, s),
			"%s: unknown member \"%s\"; did you mean \"%s\"?", row->name,
			nearest.wanted, nearest.best);
	else
		problems_add(r->problems, value_place(r->config, s), "%s: unknown member \"%s\"",
			row->name, nearest.wanted);
}

static void read_member(
	struct reader *r, const struct setting *row, const config_setting_t *s, struct item *item)
{
	bool is_header = row->type == SETTING_HEADERS;
	size_t i = member_of(config_setting_name(s), is_header);
	const char *value = config_setting_get_string(s);
	if (i == MEMBER_COUNT)
		unknown_member(r, row, s, is_header);
	else if (value == NULL)
		value_wrong_type(r, row, s, "a string");
	else if (value[0] == '\0' && !members[i].may_be_empty)
		problems_add(r->problems, item->place, "%s: %s must not be empty", row->name,
			members[i].name);
	else
		*(const char **)((char *)item + members[i].field) = value;
}

static void check_group(struct reader *r, const struct setting *row, const config_setting_t *s)
{
	int sources = (config_setting_get_member(s, "column") != NULL) +
		      (config_setting_get_member(s, "sql") != NULL) +
		      (config_setting_get_member(s, "value") != NULL);
	if (config_setting_get_member(s, "name") == NULL)
		problems_add(r->problems, value_place(r->config, s),
			"%s: the member \"name\" is missing", row->name);
	if (sources != 1)
		problems_add(r->problems, value_place(r->config, s),
			"%s: each needs a name and one of %s", row->name,
			row->type == SETTING_HEADERS ? "\"column\", \"sql\" and \"value\""
						     : "\"column\" and \"sql\"");
}

static void read_item(
	struct reader *r, const struct setting *row, const config_setting_t *s, struct item *item)
{
	item->place = value_place(r->config, s);
	item->column = config_setting_get_string(s);
	if (item->column != NULL && item->column[0] == '\0')
		problems_add(r->problems, item->place, "%s: a column must not be empty", row->name);
	if (item->column != NULL)
		return;
	if (!config_setting_is_group(s)) {
		value_wrong_type(r, row, s, "a column's name or a group");
		return;
	}
	for (int i = 0; i < config_setting_length(s); i++)
		read_member(r, row, config_setting_get_elem(s, (unsigned)i), item);
	check_group(r, row, s);
}

static void read_items(
	struct reader *r, const struct setting *row, const config_setting_t *s, void *field)
{
	if (!config_setting_is_list(s) && !config_setting_is_array(s)) {
		value_wrong_type(r, row, s, "a list such as ( \"id\" )");
		return;
	}
	int count = config_setting_length(s);
	if (count == 0)
		problems_add(
			r->problems, value_place(r->config, s), "%s must not be empty", row->name);
	struct items *items = field;
	items->items = value_keep(r->config, memory_new((size_t)count, sizeof *items->items));
	items->count = (size_t)count;
	for (int i = 0; i < count; i++)
		read_item(r, row, config_setting_get_elem(s, (unsigned)i), &items->items[i]);
}

/* No two members of an object have the same name; two headers may. */
static void check_names(struct reader *r, const struct items *items)
{
	for (size_t i = 0; i < items->count; i++)
		for (size_t k = 0; k < i; k++) {
			const struct item *a = &items->items[i], *b = &items->items[k];
			const char *name = a->name != NULL ? a->name : a->column;
			const char *other = b->name != NULL ? b->name : b->column;
			if (name != NULL && other != NULL && strcmp(name, other) == 0)
				problems_add(r->problems, a->place, "fields: two are named \"%s\"",
					name);
		}
}

void value_read_fields(
	struct reader *r, const struct setting *row, const config_setting_t *s, void *field)
{
	read_items(r, row, s, field);
	check_names(r, field);
}

void value_read_headers(
	struct reader *r, const struct setting *row, const config_setting_t *s, void *field)
{
	read_items(r, row, s, field);
}
