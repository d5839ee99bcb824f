#include "cli/json.h"

#include "base/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

cJSON *json_made(cJSON *value)
{
	if (value == NULL)
		abort(); /* out of memory */
	return value;
}

cJSON *json_text(const char *text)
{
	if (text == NULL)
		return json_made(cJSON_CreateNull());
	if (utf8_invalid(text) == NULL)
		return json_made(cJSON_CreateString(text));
	char *shown = utf8_shown(text);
	cJSON *value = json_made(cJSON_CreateString(shown));
	free(shown);
	return value;
}

cJSON *json_count(size_t count)
{
	return json_made(cJSON_CreateNumber((double)count));
}

cJSON *json_embedded(const char *text)
{
	cJSON *parsed = text != NULL ? cJSON_Parse(text) : NULL;
	cJSON *value = parsed != NULL ? json_made(cJSON_CreateRaw(text)) : json_text(text);
	cJSON_Delete(parsed);
	return value;
}

char *json_line(cJSON *document)
{
	char *text = cJSON_PrintUnformatted(document);
	cJSON_Delete(document);
	if (text == NULL)
		abort();
	return utf8_shown_json(text);
}

int json_print(cJSON *document)
{
	char *text = json_line(document);
	puts(text);
	free(text);
	return command_finish_output();
}
