/*
 * Drives what makes text from outside fit for a terminal with arbitrary bytes: what comes out has
 * no control characters, is UTF-8, and is the same document if it was JSON.
 */
#include "base/terminal.h"
#include "base/text.h"
#include "base/utf8.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool condition)
{
	if (!condition)
		abort();
}

static void check_shown(const char *text)
{
	check(utf8_invalid(text) == NULL);
	for (const char *p = text; *p != '\0'; p++)
		check((unsigned char)*p >= ' ' && *p != '\x7f');
	check(strstr(text, "\xC2\x9B") == NULL && strstr(text, "\xE2\x80\xAE") == NULL);
}

static void check_cut(const char *shown, size_t columns)
{
	char *head = text_copy_bytes(shown, terminal_cut(shown, columns));
	check(utf8_invalid(head) == NULL && terminal_width(head) <= strlen(head));
	free(head);
}

/* A document as cJSON prints it. */
static char *make_document(const char *text)
{
	cJSON *parsed = utf8_invalid(text) == NULL ? cJSON_Parse(text) : NULL;
	char *document = parsed != NULL ? cJSON_PrintUnformatted(parsed) : NULL;
	cJSON_Delete(parsed);
	return document;
}

/* cJSON prints some numbers as null. */
static void check_json(const char *text)
{
	char *document = make_document(text);
	if (document == NULL)
		return;
	char *shown = utf8_shown_json(text_copy(document));
	char *before = make_document(document), *after = make_document(shown);
	check_shown(shown);
	check(after != NULL && strcmp(before, after) == 0);
	free(document);
	free(shown);
	free(before);
	free(after);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char to[64];
	if (size == 0)
		return 0;
	char *text = text_copy_bytes((const char *)data + 1, size - 1);
	char *shown = utf8_shown(text);
	size_t room = 4 + data[0] % (sizeof to - 4);
	check_shown(shown);
	check_cut(shown, data[0]);
	check(utf8_show(to, room, text) == strlen(to) && strlen(to) < room);
	check_shown(to);
	check_json(text);
	free(shown);
	free(text);
	return 0;
}
