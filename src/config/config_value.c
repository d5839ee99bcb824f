#include "config/config_value.h"

#include "base/address.h"
#include "base/text.h"
#include "config/topic_template.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct place value_place(const struct config *c, const config_setting_t *s)
{
	const char *file = config_setting_source_file(s);
	unsigned line = config_setting_source_line(s); /* 0 for the file as a whole */
	return (struct place){ file != NULL ? file : c->file, line > 0 ? line : 1 };
}

void *value_keep(struct config *c, void *allocated)
{
	struct config_memory *m = c->memory;
	m->owned = memory_resize(m->owned, m->owned_count + 1, sizeof *m->owned);
	m->owned[m->owned_count++] = allocated;
	return allocated;
}

size_t value_mark_length(const char *content)
{
	static const char mark[] = "\xEF\xBB\xBF";
	return strncmp(content, mark, sizeof mark - 1) == 0 ? sizeof mark - 1 : 0;
}

static const char *type_name(const config_setting_t *s)
{
	switch (config_setting_type(s)) {
	case CONFIG_TYPE_GROUP:
		return "a group";
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		return "an integer";
	case CONFIG_TYPE_FLOAT:
		return "a floating-point number";
	case CONFIG_TYPE_STRING:
		return "a string";
	case CONFIG_TYPE_BOOL:
		return "a boolean";
	case CONFIG_TYPE_ARRAY:
		return "an array";
	case CONFIG_TYPE_LIST:
		return "a list";
	default:
		return "nothing";
	}
}

char *value_full_name(const struct setting *row, const config_setting_t *s)
{
	const char *name = config_setting_name(s);
	if (name == NULL)
		return text_format("each element of %s", row->name);
	return strcmp(name, row->name) == 0 ? text_copy(name)
					    : text_format("%s.%s", row->name, name);
}

void value_wrong_type(struct reader *r, const struct setting *row, const config_setting_t *s,
	const char *expected)
{
	char *name = value_full_name(row, s);
	problems_add(r->problems, value_place(r->config, s), "%s must be %s, not %s", name,
		expected, type_name(s));
	free(name);
}

void value_read_text(
	struct reader *r, const struct setting *row, const config_setting_t *s, void *field)
{
	const char *value = config_setting_get_string(s);
	if (value == NULL)
		value_wrong_type(r, row, s, "a string");
	else if (row->max > 0 && (double)strlen(value) > row->max)
		problems_add(r->problems, value_place(r->config, s),
			"%s must have %.0f bytes at most", row->name, row->max);
	else
		*(const char **)field = value;
}

void value_read_string(
	struct reader *r, const struct setting *row, const config_setting_t *s, void *field)
{
	const char *value = config_setting_get_string(s);
	if (value != NULL && value[0] == '\0')
		problems_add(
			r->problems, value_place(r->config, s), "%s must not be empty", row->name);
	else
		value_read_text(r, row, s, field);
}

void value_read_address(
	struct reader *r, const struct setting *row, const config_setting_t *s, void *field)
{
	struct address ignored;
	struct error e;
	const char *value = config_setting_get_string(s);
	if (value == NULL)
		value_wrong_type(r, row, s, "a string such as \"127.0.0.1:9464\"");
	else if (!address_parse(&ignored, value, &e))
		problems_add(r->problems, value_place(r->config, s), "%s: %s", row->name, e.text);
	else
		*(const char **)field = value;
}

void value_check_topic(struct reader *r, struct place at, const char *what, const char *topic)
{
	struct template t;
	struct error e;
	if (!template_parse(&t, topic, &e))
		problems_add(r->problems, at, "%s: %s", what, e.text);
	template_free(&t);
}

void value_read_topic(
	struct reader *r, const struct setting *row, const config_setting_t *s, void *field)
{
	const char *value = NULL;
	value_read_string(r, row, s, &value);
	if (value == NULL)
		return;
	value_check_topic(r, value_place(r->config, s), row->name, value);
	*(const char **)field = value;
}

void value_read_boolean(
	struct reader *r, const struct setting *row, const config_setting_t *s, void *field)
{
	if (config_setting_type(s) == CONFIG_TYPE_BOOL)
		*(bool *)field = config_setting_get_bool(s);
	else
		value_wrong_type(r, row, s, "true or false");
}

static bool in_range(
	struct reader *r, const struct setting *row, const config_setting_t *s, double value)
{
	if (value >= row->min && value <= row->max)
		return true;
	problems_add(r->problems, value_place(r->config, s), "%s must be %.10g to %.10g, not %.10g",
		row->name, row->min, row->max, value);
	return false;
}

static bool is_integer(const config_setting_t *s)
{
	return config_setting_type(s) == CONFIG_TYPE_INT ||
	       config_setting_type(s) == CONFIG_TYPE_INT64;
}

void value_read_integer(
	struct reader *r, const struct setting *row, const config_setting_t *s, void *field)
{
	if (!is_integer(s))
		value_wrong_type(r, row, s, "an integer");
	else if (in_range(r, row, s, (double)config_setting_get_int64(s)))
		*(long long *)field = config_setting_get_int64(s);
}

void value_read_seconds(
	struct reader *r, const struct setting *row, const config_setting_t *s, void *field)
{
	if (!config_setting_is_number(s)) {
		value_wrong_type(r, row, s, "a number of seconds");
		return;
	}
	double value =
		is_integer(s) ? (double)config_setting_get_int64(s) : config_setting_get_float(s);
	if (in_range(r, row, s, value))
		*(double *)field = value;
}

void value_read_choice(
	struct reader *r, const struct setting *row, const config_setting_t *s, void *field)
{
	const char *value = config_setting_get_string(s);
	if (value == NULL) {
		value_wrong_type(r, row, s, "a string");
		return;
	}
	struct text known = { 0 };
	for (int i = 0; row->choices[i] != NULL; i++) {
		if (strcmp(row->choices[i], value) == 0) {
			*(int *)field = i;
			text_free(&known);
			return;
		}
		text_addf(&known, "%s\"%s\"", i > 0 ? ", " : "", row->choices[i]);
	}
	problems_add(r->problems, value_place(r->config, s), "%s must be one of %s, not \"%s\"",
		row->name, known.text, value);
	text_free(&known);
}

static void add_string(struct reader *r, const struct setting *row, const config_setting_t *s,
	struct strings *strings)
{
	const char *value = config_setting_get_string(s);
	if (value[0] == '\0')
		problems_add(r->problems, value_place(r->config, s),
			"each element of %s must not be empty", row->name);
	for (size_t i = 0; i < strings->count; i++)
		if (strcmp(strings->items[i], value) == 0)
			problems_add(r->problems, value_place(r->config, s),
				"%s names \"%s\" twice", row->name, value);
	int ignored;
	if (row->choices != NULL)
		value_read_choice(r, row, s, &ignored);
	strings->items[strings->count++] = value;
}

void value_read_strings(
	struct reader *r, const struct setting *row, const config_setting_t *s, void *field)
{
	if (!config_setting_is_list(s) && !config_setting_is_array(s)) {
		value_wrong_type(r, row, s, "a list of strings such as ( \"id\" )");
		return;
	}
	int count = config_setting_length(s);
	if (count == 0)
		problems_add(
			r->problems, value_place(r->config, s), "%s must not be empty", row->name);
	struct strings *strings = field;
	strings->items = value_keep(r->config, memory_new((size_t)count, sizeof *strings->items));
	strings->count = 0;
	for (int i = 0; i < count; i++) {
		const config_setting_t *element = config_setting_get_elem(s, (unsigned)i);
		if (config_setting_get_string(element) == NULL)
			value_wrong_type(r, row, element, "a string");
		else
			add_string(r, row, element, strings);
	}
}

void value_set_presets(const struct setting_table *table, void *target)
{
	for (size_t i = 0; i < table->count; i++) {
		const struct setting *row = &table->rows[i];
		void *field = (char *)target + row->field;
		if (row->type == SETTING_BOOLEAN)
			*(bool *)field = row->preset != 0;
		else if (row->type == SETTING_INTEGER)
			*(long long *)field = (long long)row->preset;
		else if (row->type == SETTING_SECONDS)
			*(double *)field = row->preset;
		else if (row->type == SETTING_CHOICE)
			*(int *)field = (int)row->preset;
	}
}
