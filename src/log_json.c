#include "log_json.h"

#include "text.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* How a character of several bytes begins: the smallest and the largest first byte, and those of
 * the second one, which exclude overlong forms, surrogates and what is beyond U+10FFFF (table 3-7
 * of the Unicode standard).  All further bytes are 80 to BF. */
static const struct {
	unsigned char first_min, first_max, second_min, second_max;
	size_t length;
} forms[] = {
	{ 0xC2, 0xDF, 0x80, 0xBF, 2 },
	{ 0xE0, 0xE0, 0xA0, 0xBF, 3 },
	{ 0xE1, 0xEC, 0x80, 0xBF, 3 },
	{ 0xED, 0xED, 0x80, 0x9F, 3 },
	{ 0xEE, 0xEF, 0x80, 0xBF, 3 },
	{ 0xF0, 0xF0, 0x90, 0xBF, 4 },
	{ 0xF1, 0xF3, 0x80, 0xBF, 4 },
	{ 0xF4, 0xF4, 0x80, 0x8F, 4 },
};

static bool has_bytes(const unsigned char *s, size_t form)
{
	if (s[1] < forms[form].second_min || s[1] > forms[form].second_max)
		return false;
	for (size_t i = 2; i < forms[form].length; i++)
		if (s[i] < 0x80 || s[i] > 0xBF)
			return false;
	return true;
}

/* The length of the character that s begins with; 0: it is no UTF-8.  A NUL ends s. */
static size_t character_length(const unsigned char *s)
{
	if (s[0] < 0x80)
		return 1;
	for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++)
		if (s[0] >= forms[i].first_min && s[0] <= forms[i].first_max)
			return has_bytes(s, i) ? forms[i].length : 0;
	return 0;
}

/* Put the characters that begin within the first size bytes of message in the place of what is in
 * t. */
static void take_characters(struct text *t, const char *message, size_t size)
{
	size_t length;
	text_clear(t);
	text_add(t, "", 0);
	for (const char *s = message; *s != '\0' && (size_t)(s - message) < size;
		s += length > 0 ? length : 1) {
		length = character_length((const unsigned char *)s);
		if (length > 0)
			text_add(t, s, length);
		else
			text_add(t, "\xEF\xBF\xBD", 3); /* U+FFFD */
	}
}

static char *print(const char *time, const char *level, const char *message)
{
	cJSON *object = cJSON_CreateObject();
	if (cJSON_AddStringToObject(object, "time", time) == NULL ||
		cJSON_AddStringToObject(object, "level", level) == NULL ||
		cJSON_AddStringToObject(object, "message", message) == NULL)
		abort();
	char *json = cJSON_PrintUnformatted(object);
	cJSON_Delete(object);
	if (json == NULL)
		abort();
	return json;
}

size_t log_json(char *line, const char *time, const char *level, const char *message)
{
	struct text characters = { 0 };
	size_t size = strlen(message);
	size_t length = LOG_JSON_BYTES;
	while (length >= LOG_JSON_BYTES) {
		take_characters(&characters, message, size);
		char *json = print(time, level, characters.text);
		length = strlen(json);
		if (length < LOG_JSON_BYTES) {
			memcpy(line, json, length);
			line[length] = '\n';
		}
		free(json);
		size = size * 3 / 4; /* escapes have made more of it than fits */
	}
	text_free(&characters);
	return length + 1;
}
