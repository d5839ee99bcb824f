#include "config/config_value.h"

#include "base/address.h"
#include "base/text.h"
#include "config/topic_template.h"

#include <errno.h>
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

/* "timeout", "kafka.linger_ms", "each element of order_by"; to be freed. */
static char *full_name(const struct setting *row, const config_setting_t *s)
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
	char *name = full_name(row, s);
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

/* The content of a secret file without line feeds at its end, or a byte order mark; NULL with a
 * problem. */
static const char *secret_from_file(
	struct reader *r, const struct setting *row, const config_setting_t *s, const char *path)
{
	char buffer[4096];
	FILE *f = fopen(path, "re");
	size_t length = f != NULL ? fread(buffer, 1, sizeof buffer, f) : 0;
	bool failed = f == NULL || ferror(f);
	int reason = errno;
	if (f != NULL)
		fclose(f);
	if (failed || length == sizeof buffer || memchr(buffer, '\0', length) != NULL) {
		char *setting = full_name(row, s);
		problems_add(r->problems, value_place(r->config, s), "%s: cannot read %s: %s",
			setting, path, failed ? strerror(reason) : "too long or not text");
		free(setting);
		return NULL;
	}
	while (length > 0 && (buffer[length - 1] == '\n' || buffer[length - 1] == '\r'))
		length--;
	buffer[length] = '\0';
	size_t mark = value_mark_length(buffer);
	return value_keep(r->config, text_copy_bytes(buffer + mark, length - mark));
}

static const char *secret_from_environment(
	struct reader *r, const struct setting *row, const config_setting_t *s, const char *name)
{
	const char *value = getenv(name);
	if (value != NULL)
		return value_keep(r->config, text_copy(value));
	char *setting = full_name(row, s);
	problems_add(r->problems, value_place(r->config, s),
		"%s: environment variable %s is not set", setting, name);
	free(setting);
	return NULL;
}

/* Whether a string in the file looks like a secret. */
static bool is_password(const char *setting, const char *value)
{
	const char *scheme = strstr(value, "://");
	const char *at = scheme != NULL ? strchr(scheme, '@') : NULL;
	const char *colon = scheme != NULL ? strchr(scheme + 3, ':') : NULL;
	return strstr(setting, "password") != NULL || strstr(setting, "secret") != NULL ||
	       strstr(setting, "key_pem") != NULL || strcasestr(value, "password") != NULL ||
	       (at != NULL && colon != NULL && colon < at);
}

/* The path of the file that contains s: libconfig 1.5 names an included one as @include does,
 * relative to the directory of the configuration. */
static const char *path_of(struct config *c, const config_setting_t *s)
{
	const char *included = config_setting_source_file(s);
	const char *folder = config_get_include_dir(&c->memory->tree);
	return included != NULL ? value_keep(c, text_format("%s/%s", folder, included)) : c->file;
}

static void note_secret_file(struct config *c, const char *file)
{
	struct strings *files = &c->secret_files;
	for (size_t i = 0; i < files->count; i++)
		if (strcmp(files->items[i], file) == 0)
			return;
	files->items = memory_resize(files->items, files->count + 1, sizeof *files->items);
	files->items[files->count++] = file;
}

void value_read_secret(
	struct reader *r, const struct setting *row, const config_setting_t *s, void *field)
{
	const char *name;
	const char *value = NULL;
	bool alone = config_setting_is_group(s) && config_setting_length(s) == 1;
	if (config_setting_get_string(s) != NULL) {
		value = config_setting_get_string(s);
		if (is_password(config_setting_name(s), value))
			note_secret_file(r->config, path_of(r->config, s));
	} else if (alone && config_setting_lookup_string(s, "file", &name)) {
		note_secret_file(r->config, name);
		value = r->checks->skips_secrets ? NULL : secret_from_file(r, row, s, name);
	} else if (alone && config_setting_lookup_string(s, "env", &name)) {
		value = r->checks->skips_secrets ? NULL : secret_from_environment(r, row, s, name);
	} else {
		value_wrong_type(
			r, row, s, "a string, { file = \"PATH\"; } or { env = \"NAME\"; }");
	}
	if (value != NULL)
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

/* The text of a property's value in librdkafka's syntax; NULL with a problem. */
static const char *property_value(
	struct reader *r, const struct setting *row, const config_setting_t *s)
{
	const char *secret = NULL;
	switch (config_setting_type(s)) {
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		return value_keep(r->config, text_format("%lld", config_setting_get_int64(s)));
	case CONFIG_TYPE_FLOAT:
		return value_keep(r->config, text_format("%.15g", config_setting_get_float(s)));
	case CONFIG_TYPE_BOOL:
		return config_setting_get_bool(s) ? "true" : "false";
	default:
		value_read_secret(r, row, s, &secret);
		return secret;
	}
}

/* librdkafka's names contain dots, and a few contain underscores instead (log_level). */
static enum property_answer check_property(
	struct reader *r, struct property *p, const char *written, struct error *e)
{
	enum property_answer answer = r->checks->property(p, e);
	if (answer != PROPERTY_UNKNOWN)
		return answer;
	struct error other;
	const struct property as_written = { written, p->value, p->place };
	answer = r->checks->property(&as_written, &other);
	if (answer != PROPERTY_UNKNOWN) {
		*p = as_written;
		*e = other;
	}
	return answer;
}

static bool is_among(const char *const *names, const char *name)
{
	for (; *names != NULL; names++)
		if (strcmp(*names, name) == 0)
			return true;
	return false;
}

/* Whether a property executes no code, or is in allow_kafka_properties, which may be further down
 * in the file.  Asked before librdkafka gets it: that loads plug-ins at once. */
static bool may_set(const struct reader *r, const char *name)
{
	static const char allowing[] = "allow_kafka_properties";
	const config_setting_t *allowed = config_lookup(&r->config->memory->tree, allowing);
	if (!is_among(setting_find(&top_settings, allowing)->choices, name))
		return true;
	for (int i = 0; allowed != NULL && i < config_setting_length(allowed); i++) {
		const char *one = config_setting_get_string_elem(allowed, i);
		if (one != NULL && strcmp(one, name) == 0)
			return true;
	}
	return false;
}

/* Files of which a property has the path. */
static void note_key_file(struct config *c, const char *written, const char *path)
{
	static const char *const keys[] = { "ssl_key_location", "ssl_keystore_location",
		"sasl_kerberos_keytab", "sasl_oauthbearer_assertion_private_key_file", NULL };
	if (is_among(keys, written))
		note_secret_file(c, path);
}

static void read_property(struct reader *r, const struct setting *row, const config_setting_t *s)
{
	struct config *c = r->config;
	const char *written = config_setting_name(s);
	char *name = value_keep(c, text_copy(written));
	for (char *p = name; (p = strchr(p, '_')) != NULL;)
		*p = '.';
	struct property p = { name, property_value(r, row, s), value_place(c, s) };
	struct error e;
	if (!may_set(r, written)) {
		problems_add(r->problems, p.place,
			"%s.%s executes or loads a program; if that is meant, set "
			"allow_kafka_properties = ( \"%s\" )",
			row->name, written, written);
		return;
	}
	if (p.value == NULL)
		return;
	if (check_property(r, &p, written, &e) != PROPERTY_TAKEN)
		problems_add(r->problems, p.place, "%s.%s: %s", row->name, written, e.text);
	note_key_file(c, written, p.value);
	c->kafka[c->kafka_count++] = p;
}

void value_read_properties(
	struct reader *r, const struct setting *row, const config_setting_t *s, void *field)
{
	(void)field;
	if (!config_setting_is_group(s)) {
		value_wrong_type(r, row, s, "a group");
		return;
	}
	int count = config_setting_length(s);
	struct config *c = r->config;
	if (config_setting_get_member(s, "bootstrap_servers") == NULL &&
		config_setting_get_member(s, "metadata_broker_list") == NULL)
		problems_add(r->problems, value_place(c, s), "%s: \"bootstrap_servers\" is missing",
			row->name);
	c->kafka = memory_new((size_t)count, sizeof *c->kafka);
	for (int i = 0; i < count; i++)
		read_property(r, row, config_setting_get_elem(s, (unsigned)i));
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
