#include "base/utf8.h"

#include "base/text.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The representation of a character or a byte is no longer than this, with a NUL. */
#define SHOWN_BYTES 7

static const char ellipsis[] = "\xE2\x80\xA6";

/* How a character of several bytes begins: the smallest and the largest first byte, and those of
 * the second one, which exclude overlong forms, surrogates and code points beyond U+10FFFF (table
 * 3-7 of the Unicode standard).  All further bytes are 80 to BF. */
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

size_t utf8_length(const char *text)
{
	const unsigned char *s = (const unsigned char *)text;
	if (s[0] < 0x80)
		return 1;
	for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++)
		if (s[0] >= forms[i].first_min && s[0] <= forms[i].first_max)
			return has_bytes(s, i) ? forms[i].length : 0;
	return 0;
}

const char *utf8_invalid(const char *text)
{
	for (size_t length; *text != '\0'; text += length)
		if ((length = utf8_length(text)) == 0)
			return text;
	return NULL;
}

/* Characters above U+001F that control a terminal, begin a line, or change the order in which other
 * characters are displayed (Bidi_Control of the Unicode standard), so that text looks like another
 * one. */
static const struct {
	unsigned first, last;
} controls[] = {
	{ 0x7F, 0x9F },
	{ 0x061C, 0x061C },
	{ 0x200E, 0x200F },
	{ 0x2028, 0x202E },
	{ 0x2066, 0x2069 },
};

/* The code point of the character of length bytes, if it is one of these; 0: it is none. */
static unsigned control(const char *text, size_t length)
{
	const unsigned char *s = (const unsigned char *)text;
	unsigned code = length == 1   ? s[0]
			: length == 2 ? (s[0] & 0x1FU) << 6 | (s[1] & 0x3FU)
			: length == 3 ? (s[0] & 0xFU) << 12 | (s[1] & 0x3FU) << 6 | (s[2] & 0x3FU)
				      : 0;
	for (size_t i = 0; i < sizeof controls / sizeof controls[0]; i++)
		if (code >= controls[i].first && code <= controls[i].last)
			return code;
	return 0;
}

/* Write the representation of the character, or the byte, that text begins with.  Returns how many
 * bytes of text that was.  Control characters above U+001F are shown as in JSON. */
static size_t show_character(char shown[SHOWN_BYTES], const char *text)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t length = utf8_length(text);
	unsigned code = control(text, length);
	if (s[0] == '\n' || s[0] == '\r' || s[0] == '\t')
		snprintf(shown, SHOWN_BYTES, "\\%c", s[0] == '\n' ? 'n' : s[0] == '\r' ? 'r' : 't');
	else if (length == 0 || s[0] < ' ')
		snprintf(shown, SHOWN_BYTES, "\\x%02x", s[0]);
	else if (code != 0)
		snprintf(shown, SHOWN_BYTES, "\\u%04x", code & 0xFFFF);
	else
		snprintf(shown, SHOWN_BYTES, "%.*s", (int)length, text);
	return length > 0 ? length : 1;
}

size_t utf8_show(char *to, size_t size, const char *text)
{
	size_t used = 0, uncut = 0; /* uncut: the mark would have room after these */
	while (*text != '\0') {
		char shown[SHOWN_BYTES];
		text += show_character(shown, text);
		size_t length = strlen(shown);
		if (used + length >= size) {
			used = uncut + (size_t)snprintf(to + uncut, size - uncut, "%s", ellipsis);
			break;
		}
		memcpy(to + used, shown, length);
		used += length;
		if (used + sizeof ellipsis <= size)
			uncut = used;
	}
	to[used] = '\0';
	return used;
}

char *utf8_shown(const char *text)
{
	size_t size = strlen(text) * (SHOWN_BYTES - 1) + 1;
	char *shown = memory_new(size, 1);
	utf8_show(shown, size, text);
	return shown;
}

char *utf8_shown_json(char *json)
{
	struct text shown = { 0 };
	text_add(&shown, "", 0);
	for (const char *s = json; *s != '\0';) {
		size_t length = utf8_length(s);
		unsigned code = control(s, length);
		if (code != 0)
			text_addf(&shown, "\\u%04x", code);
		else
			text_add(&shown, s, length > 0 ? length : 1);
		s += length > 0 ? length : 1;
	}
	free(json);
	return shown.text;
}

void utf8_mark_cut(char *text, size_t size)
{
	size_t end = size - sizeof ellipsis;
	while (end > 0 && ((unsigned char)text[end] & 0xC0) == 0x80)
		end--;
	memcpy(text + end, ellipsis, sizeof ellipsis);
}
