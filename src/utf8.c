#include "utf8.h"

#include <stdbool.h>

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
