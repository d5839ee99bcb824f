#include "base/log_json.h"

#include "base/text.h"
#include "base/utf8.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Replace t with the characters that begin within the first size bytes of message, and a mark if
 * these are not all. */
static void take_characters(struct text *t, const char *message, size_t size)
{
	const char *s = message;
	text_clear(t);
	text_add(t, "", 0);
	while (*s != '\0' && (size_t)(s - message) < size) {
		size_t length = utf8_length(s);
		if (length > 0)
			text_add(t, s, length);
		else
			text_add(t, "\xEF\xBF\xBD", 3); /* U+FFFD */
		s += length > 0 ? length : 1;
	}
	if (*s != '\0')
		text_add(t, "\xE2\x80\xA6", 3); /* U+2026 */
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
	return utf8_shown_json(json);
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
		size = size * 3 / 4; /* escaping made it too long */
	}
	text_free(&characters);
	return length + 1;
}
