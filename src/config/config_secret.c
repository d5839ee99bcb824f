/*
 * The sources of secrets, and which files of the configuration contain some.
 */
#include "config/config_value.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

#define FORMS "{ file = \"PATH\"; } or { command = ( \"PROGRAM\", \"ARGUMENT\" ); }"

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

void value_note_secret_file(struct config *c, const char *file)
{
	struct strings *files = &c->secret_files;
	for (size_t i = 0; i < files->count; i++)
		if (strcmp(files->items[i], file) == 0)
			return;
	files->items = memory_resize(files->items, files->count + 1, sizeof *files->items);
	files->items[files->count++] = file;
}

/* The words of a command: a list of strings, of which the first is the program, to be freed; NULL
 * if it is something else. */
static const char **read_command(const config_setting_t *s)
{
	if (s == NULL || (!config_setting_is_list(s) && !config_setting_is_array(s)))
		return NULL;
	int count = config_setting_length(s);
	const char **words = memory_new((size_t)count + 1, sizeof *words);
	bool ok = count > 0;
	for (int i = 0; i < count; i++) {
		words[i] = config_setting_get_string_elem(s, i);
		ok = ok && words[i] != NULL && (i > 0 || words[i][0] != '\0');
	}
	if (ok)
		return words;
	free(words);
	return NULL;
}

/* Read a group with one member that says where the secret is.  Returns false if it is none. */
static bool read_source(struct config *c, const config_setting_t *s, struct secret *secret)
{
	if (!config_setting_is_group(s) || config_setting_length(s) != 1)
		return false;
	const char **command = read_command(config_setting_get_member(s, "command"));
	if (command != NULL)
		secret->command = value_keep(c, command);
	return command != NULL || config_setting_lookup_string(s, "file", &secret->file) ||
	       config_setting_lookup_string(s, "env", &secret->env);
}

/* Record where the secret is that s names, if it is there now. */
static void set_secret(struct reader *r, const struct setting *row, const config_setting_t *s,
	struct secret *found)
{
	struct error e;
	found->setting = value_keep(r->config, value_full_name(row, s));
	found->place = value_place(r->config, s);
	if (found->file != NULL)
		value_note_secret_file(r->config, found->file);
	if (found->text == NULL && !r->checks->skips_secrets && !secret_check(found, &e))
		problems_add(r->problems, found->place, "%s", e.text);
}

void value_read_secret(
	struct reader *r, const struct setting *row, const config_setting_t *s, void *field)
{
	struct secret *secret = field;
	struct secret found = { .text = config_setting_get_string(s) };
	if (found.text == NULL && !read_source(r->config, s, &found)) {
		value_wrong_type(r, row, s, "a string, { env = \"NAME\"; }, " FORMS);
		return;
	}
	if (found.text != NULL && is_password(config_setting_name(s), found.text))
		value_note_secret_file(r->config, path_of(r->config, s));
	set_secret(r, row, s, &found);
	*secret = found;
}

void value_read_token(struct reader *r, const struct setting *row, const config_setting_t *s)
{
	struct config *c = r->config;
	struct secret found = { 0 };
	if (!read_source(c, s, &found) || found.env != NULL) {
		value_wrong_type(r, row, s, FORMS);
		return;
	}
	set_secret(r, row, s, &found);
	c->tokens = credentials_new();
	credentials_add(c->tokens, &found);
}
