#include "config/topic_template.h"

#include <stdlib.h>
#include <string.h>

#define TOPIC_MAX_LENGTH 249
#define SHOWN_LENGTH     60 /* of an invalid name in messages for people */

static const char legal[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

void template_free(struct template *t)
{
	for (size_t i = 0; i < t->count; i++)
		free(t->parts[i].text);
	free(t->parts);
	*t = (struct template){ 0 };
}

bool template_is_constant(const struct template *t)
{
	for (size_t i = 0; i < t->count; i++)
		if (t->parts[i].is_column)
			return false;
	return true;
}

static void add_part(struct template *t, const char *text, size_t length, bool is_column)
{
	t->parts = memory_resize(t->parts, t->count + 1, sizeof *t->parts);
	t->parts[t->count++] = (struct template_part){ .text = text_copy_bytes(text, length),
		.is_column = is_column };
}

/* The end of the name that begins at text: its closing brace; NULL if there is none. */
static const char *name_end(const char *text)
{
	if (text[0] != '"')
		return text[strcspn(text, "{}")] == '}' ? text + strcspn(text, "{}") : NULL;
	const char *p = text + 1;
	while (*p != '\0' && (p[0] != '"' || p[1] == '"'))
		p += p[0] == '"' ? 2 : 1;
	return p[0] == '"' && p[1] == '}' ? p + 1 : NULL;
}

/* If there are placeholders, whether the text between them leaves room for their values. */
static bool check_constants(const struct template *t, struct error *e)
{
	size_t length = 0;
	for (size_t i = 0; i < t->count; i++)
		length += t->parts[i].is_column ? 0 : strlen(t->parts[i].text);
	return template_is_constant(t) || length <= TOPIC_MAX_LENGTH ||
	       error_set(e, ERROR_CONFIG,
		       "%zu bytes outside of \"{}\"; a topic name has %d at most", length,
		       TOPIC_MAX_LENGTH);
}

bool template_parse(struct template *t, const char *text, struct error *e)
{
	const char *whole = text;
	*t = (struct template){ 0 };
	while (*text != '\0') {
		size_t plain = strspn(text, legal);
		if (plain > 0) {
			add_part(t, text, plain, false);
			text += plain;
			continue;
		}
		const char *end = text[0] == '{' ? name_end(text + 1) : NULL;
		if (text[0] == '{' && end == NULL)
			return error_set(e, ERROR_CONFIG, "\"{\" without its \"}\"");
		if (text[0] == '}')
			return error_set(e, ERROR_CONFIG, "\"}\" without its \"{\"");
		if (end == NULL)
			return topic_check(whole, ERROR_CONFIG, e);
		if (end == text + 1)
			return error_set(e, ERROR_CONFIG, "no column name in \"{}\"");
		add_part(t, text + 1, (size_t)(end - text) - 1, true);
		text = end + 1;
	}
	return check_constants(t, e) &&
	       (!template_is_constant(t) || topic_check(whole, ERROR_CONFIG, e));
}

bool template_expand(
	const struct template *t, const struct field *fields, struct text *topic, struct error *e)
{
	text_clear(topic);
	text_add(topic, "", 0);
	for (size_t i = 0; i < t->count; i++) {
		const struct template_part *part = &t->parts[i];
		if (!part->is_column)
			text_add(topic, part->text, strlen(part->text));
		else if (fields[part->field].text == NULL)
			return error_set(
				e, ERROR_REJECTED, "no topic: column \"%s\" is NULL", part->text);
		else
			text_add(topic, fields[part->field].text, fields[part->field].length);
	}
	return topic_check(topic->text, ERROR_REJECTED, e);
}

/* The beginning of name, for a log line: "?" replaces what is not printable ASCII. */
static void make_showable(const char *name, char *shown)
{
	size_t length = strlen(name);
	for (size_t i = 0; i < length && i < SHOWN_LENGTH; i++)
		shown[i] = name[i];
	if (length > SHOWN_LENGTH)
		memcpy(shown + SHOWN_LENGTH - 3, "...", 3);
	shown[length < SHOWN_LENGTH ? length : SHOWN_LENGTH] = '\0';
	for (char *p = shown; *p != '\0'; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
}

bool topic_check(const char *name, enum error_kind kind, struct error *e)
{
	char shown[SHOWN_LENGTH + 1];
	size_t length = strlen(name);
	make_showable(name, shown);
	if (length == 0)
		return error_set(e, kind, "the topic name is empty");
	if (name[strspn(name, legal)] != '\0')
		return error_set(e, kind,
			"invalid topic name \"%s\": use ASCII letters, digits, \".\", \"_\" and "
			"\"-\" only",
			shown);
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return error_set(e, kind, "invalid topic name \"%s\"", shown);
	if (length > TOPIC_MAX_LENGTH)
		return error_set(e, kind, "the topic name \"%s\" has %zu bytes; the limit is %d",
			shown, length, TOPIC_MAX_LENGTH);
	return true;
}
