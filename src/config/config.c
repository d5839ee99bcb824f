#include "config/config.h"

#include "base/suggest.h"
#include "base/text.h"
#include "config/config_file.h"
#include "config/config_syntax.h"
#include "config/config_value.h"

#include <libgen.h>
#include <stdlib.h>
#include <string.h>

enum { INSTANCE_MAX = 100 };

static value_reader read_models;
static value_reader skip_defaults;

static value_reader *const value_readers[] = {
	[SETTING_STRING] = value_read_string,
	[SETTING_ADDRESS] = value_read_address,
	[SETTING_TOPIC] = value_read_topic,
	[SETTING_TEXT] = value_read_text,
	[SETTING_SECRET] = value_read_secret,
	[SETTING_BOOLEAN] = value_read_boolean,
	[SETTING_INTEGER] = value_read_integer,
	[SETTING_SECONDS] = value_read_seconds,
	[SETTING_CHOICE] = value_read_choice,
	[SETTING_STRINGS] = value_read_strings,
	[SETTING_FIELDS] = value_read_fields,
	[SETTING_HEADERS] = value_read_headers,
	[SETTING_PROPERTIES] = value_read_properties,
	[SETTING_MODELS] = read_models,
	[SETTING_DEFAULTS] = skip_defaults,
};

static void unknown_setting(
	struct reader *r, const struct setting_table *table, const config_setting_t *s)
{
	const struct setting_table *other =
		table == &top_settings ? &model_settings : &top_settings;
	struct nearest nearest = nearest_to(config_setting_name(s));
	for (size_t i = 0; i < table->count; i++)
		nearest_offer(&nearest, table->rows[i].name);
	const struct setting *called = setting_called(table, nearest.wanted);
	if (called != NULL)
		nearest.best = called->name;
	if (setting_find(other, nearest.wanted) != NULL)
		problems_add(r->problems, value_place(r->config, s),
			"unknown %s \"%s\"; it is a setting of %s", table->what, nearest.wanted,
			other->owner);
	else if (nearest.best != NULL)
		problems_add(r->problems, value_place(r->config, s),
			"unknown %s \"%s\"; did you mean \"%s\"?", table->what, nearest.wanted,
			nearest.best);
	else
		problems_add(r->problems, value_place(r->config, s), "unknown %s \"%s\"",
			table->what, nearest.wanted);
}

/* Read the members of group into target, according to the rows of table. */
static void read_group(struct reader *r, const config_setting_t *group,
	const struct setting_table *table, void *target)
{
	for (int i = 0; i < config_setting_length(group); i++) {
		const config_setting_t *s = config_setting_get_elem(group, (unsigned)i);
		const struct setting *row = setting_find(table, config_setting_name(s));
		if (row != NULL)
			value_readers[row->type](r, row, s, (char *)target + row->field);
		else
			unknown_setting(r, table, s);
	}
}

static void check_required(
	struct reader *r, const config_setting_t *group, const struct setting_table *table)
{
	for (size_t i = 0; i < table->count; i++)
		if (table->rows[i].required &&
			config_setting_get_member(group, table->rows[i].name) == NULL)
			problems_add(r->problems, value_place(r->config, group),
				"the %s \"%s\" is missing", table->what, table->rows[i].name);
}

/* A group may not set both "value" and "fields"; a model's own overrides that of defaults. */
static void check_exclusion(struct reader *r, const config_setting_t *group, struct model_config *m)
{
	const config_setting_t *value = config_setting_get_member(group, "value");
	const config_setting_t *fields = config_setting_get_member(group, "fields");
	if (value != NULL && fields != NULL)
		problems_add(r->problems, value_place(r->config, fields),
			"fields and value exclude each other");
	else if (value != NULL)
		m->fields = (struct items){ 0 };
	else if (fields != NULL)
		m->value = NULL;
}

/* The initial values of every model: the presets, overridden by "defaults". */
static void read_defaults(struct reader *r, const config_setting_t *root)
{
	static const char *const own[] = { "name", "table" };
	value_set_presets(&model_settings, &r->defaults);
	const config_setting_t *s = config_setting_get_member(root, "defaults");
	if (s == NULL)
		return;
	if (!config_setting_is_group(s)) {
		value_wrong_type(r, setting_find(&top_settings, "defaults"), s, "a group");
		return;
	}
	read_group(r, s, &model_settings, &r->defaults);
	check_exclusion(r, s, &r->defaults);
	for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
		const config_setting_t *member = config_setting_get_member(s, own[i]);
		if (member != NULL)
			problems_add(r->problems, value_place(r->config, member),
				"\"%s\" is a setting of a model, not of defaults", own[i]);
	}
}

/* Nothing to do: read_defaults() was called before the models, which need them. */
static void skip_defaults(
	struct reader *r, const struct setting *row, const config_setting_t *s, void *field)
{
	(void)r;
	(void)row;
	(void)s;
	(void)field;
}

static bool name_is_taken(const struct config *c, const char *name)
{
	for (size_t i = 0; i < c->model_count; i++)
		if (c->models[i].name != NULL && strcmp(c->models[i].name, name) == 0)
			return true;
	return false;
}

static void read_model(struct reader *r, const config_setting_t *s)
{
	struct config *c = r->config;
	struct model_config m = r->defaults;
	m.source = s;
	read_group(r, s, &model_settings, &m);
	check_exclusion(r, s, &m);
	check_required(r, s, &model_settings);
	if (m.topic == NULL && m.name != NULL) {
		m.topic = m.name;
		value_check_topic(r, config_place(c, &m, "name"), "topic (the name)", m.topic);
	}
	if (m.name != NULL && name_is_taken(c, m.name))
		problems_add(r->problems, config_place(c, &m, "name"),
			"another model already has the name \"%s\"", m.name);
	c->models[c->model_count++] = m;
}

static void read_models(
	struct reader *r, const struct setting *row, const config_setting_t *s, void *field)
{
	(void)field;
	if (!config_setting_is_list(s)) {
		value_wrong_type(
			r, row, s, "a list of groups such as ( { name = \"A\"; table = \"a\"; } )");
		return;
	}
	int count = config_setting_length(s);
	if (count == 0)
		problems_add(
			r->problems, value_place(r->config, s), "%s must not be empty", row->name);
	r->config->models = memory_new((size_t)count, sizeof *r->config->models);
	for (int i = 0; i < count; i++) {
		const config_setting_t *element = config_setting_get_elem(s, (unsigned)i);
		if (config_setting_is_group(element))
			read_model(r, element);
		else
			value_wrong_type(r, row, element, "a group");
	}
}

static struct config *config_new(const char *file)
{
	struct config *c = memory_new(1, sizeof *c);
	c->memory = memory_new(1, sizeof *c->memory);
	c->memory->file = text_copy(file);
	c->file = c->memory->file;
	c->database = (struct secret){ "database", { c->file, 1 }, .text = "" };
	c->kafka_secrets = credentials_new();
	c->instance = "signalbus";
	c->notify_channel = "signalbus";
	config_init(&c->memory->tree);
	char *path = text_copy(file);
	config_set_include_dir(&c->memory->tree, dirname(path));
	free(path);
	return c;
}

/* The place where the parser failed: it counts the end of the file as a separate line. */
static struct place error_place(const struct reader *r, const char *content)
{
	const struct config_t *tree = &r->config->memory->tree;
	unsigned line = (unsigned)config_error_line(tree), lines = 0;
	if (config_error_file(tree) != NULL)
		return (struct place){ config_error_file(tree), line };
	for (const char *p = content; (p = strchr(p, '\n')) != NULL; p++)
		lines++;
	return (struct place){ r->config->file, line > lines && lines > 0 ? lines : line };
}

/* The message of libconfig's parser (bison) about thousands of nested groups is useless. */
static const char *error_text(const struct config_t *tree)
{
	const char *text = config_error_text(tree);
	return strcmp(text, "memory exhausted") == 0 ? "groups and lists are nested too deeply"
						     : text;
}

/* libconfig's parser says "syntax error" and the line, and nothing else. */
static void explain_failure(struct reader *r, const char *content, const char *folder)
{
	const char *text = error_text(&r->config->memory->tree);
	bool is_explained =
		strcmp(text, "syntax error") == 0 || strcmp(text, "duplicate setting name") == 0;
	if (strcmp(text, "cannot open include file") == 0 &&
		config_error_file(&r->config->memory->tree) == NULL &&
		file_explain_include(error_place(r, content), content, folder, r->problems))
		return;
	if (!is_explained || !syntax_explain(r->config->file, content, folder, r->problems))
		problems_add(r->problems, error_place(r, content), "%s", text);
}

/* Rejected signals need a table to move to. */
static void check_dead_letters(struct reader *r)
{
	const struct config *c = r->config;
	for (size_t i = 0; i < c->model_count && c->dead_letter_table == NULL; i++)
		if (c->models[i].on_reject == ON_REJECT_DEAD_LETTER)
			problems_add(r->problems, config_place(c, &c->models[i], "on_reject"),
				"on_reject is \"dead-letter\", and dead_letter_table is not set");
}

/* It is part of the names of prepared transactions, which have 199 bytes at most. */
static void check_instance(struct reader *r)
{
	if (r->config->delivery == DELIVERY_EXACTLY_ONCE &&
		strlen(r->config->instance) > INSTANCE_MAX)
		problems_add(r->problems, config_place(r->config, NULL, "instance"),
			"instance has %zu bytes; with delivery = \"exactly-once\" it may have %d",
			strlen(r->config->instance), INSTANCE_MAX);
}

/* What a program prints is checked when it is used. */
static void check_database(struct reader *r, const struct secret *database)
{
	char *conninfo;
	struct error e;
	if (database->setting == NULL || database->command != NULL ||
		(database->text == NULL && r->checks->skips_secrets) ||
		!secret_read(database, INSTANT_NEVER, &conninfo, &e))
		return;
	if (!r->checks->database(conninfo, &e)) {
		if (strcmp(database->setting, "database") != 0)
			error_prefix(&e, "%s", database->setting);
		problems_add(r->problems, config_place(r->config, NULL, database->setting), "%s",
			e.text);
	}
	secret_free(conninfo);
}

/* Slots and prepared transactions are in the session that deletes (store/slot.c). */
static void check_listen(struct reader *r)
{
	if (r->config->database_listen.setting != NULL &&
		r->config->delivery == DELIVERY_EXACTLY_ONCE)
		problems_add(r->problems, config_place(r->config, NULL, "database_listen"),
			"database_listen excludes delivery = \"exactly-once\", which needs "
			"sessions "
			"of its own; remove it, and let database lead to the server");
}

static struct credentials *login_with(const struct config *c, const struct secret *database)
{
	struct credentials *login = credentials_new();
	credentials_add(login, database);
	if (c->database_password.setting != NULL)
		credentials_add(login, &c->database_password);
	return login;
}

static void set_logins(struct config *c)
{
	c->login = login_with(c, &c->database);
	if (c->database_listen.setting != NULL)
		c->listen_login = login_with(c, &c->database_listen);
}

static void read_tree(struct reader *r, const char *content)
{
	struct config_t *tree = &r->config->memory->tree;
	size_t before = r->problems->count;
	const char *folder = config_get_include_dir(tree);
	file_check_includes(r->config->file, content, folder, r->problems);
	if (r->problems->count > before)
		return;
	if (!config_read_string(tree, content)) {
		explain_failure(r, content, folder);
		return;
	}
	if (!file_check_sources(tree, r->problems))
		return;
	value_set_presets(&top_settings, r->config);
	read_defaults(r, config_root_setting(tree));
	read_group(r, config_root_setting(tree), &top_settings, r->config);
	check_required(r, config_root_setting(tree), &top_settings);
	unsigned comment = r->problems->count > before ? syntax_include_comment(content) : 0;
	if (comment > 0)
		problems_add(r->problems, (struct place){ r->config->file, comment },
			"\"#include\" begins a comment; write @include \"FILE\"");
	set_logins(r->config);
	check_database(r, &r->config->database);
	check_database(r, &r->config->database_listen);
	check_listen(r);
	check_dead_letters(r);
	check_instance(r);
}

struct config *config_load(
	const char *file, const struct config_checks *checks, struct problems *problems)
{
	char *content = file_read(file, FILE_MAIN, problems);
	if (content == NULL)
		return NULL;
	size_t before = problems->count;
	struct reader r = { config_new(file), { 0 }, checks, problems };
	read_tree(&r, content + value_mark_length(content));
	explicit_bzero(content, strlen(content)); /* it may have passwords */
	free(content);
	if (problems->count == before)
		return r.config;
	config_free(r.config);
	return NULL;
}

void config_free(struct config *c)
{
	if (c == NULL)
		return;
	struct config_memory *m = c->memory;
	config_destroy(&m->tree);
	for (size_t i = 0; i < m->owned_count; i++)
		free(m->owned[i]);
	free(m->owned);
	free(m->file);
	free(m);
	credentials_free(c->login);
	credentials_free(c->listen_login);
	credentials_free(c->kafka_secrets);
	credentials_free(c->tokens);
	free(c->kafka);
	free(c->models);
	free(c->secret_files.items);
	free(c);
}

struct place config_place(const struct config *c, const struct model_config *m, const char *setting)
{
	const config_setting_t *group =
		m != NULL ? m->source : config_root_setting(&c->memory->tree);
	const config_setting_t *s = config_setting_get_member(group, setting);
	return value_place(c, s != NULL ? s : group);
}

void config_add_library_version(struct text *t)
{
	text_addf(t, "%d.%d", LIBCONFIG_VER_MAJOR, LIBCONFIG_VER_MINOR);
}
