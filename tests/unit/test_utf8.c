#include "base/utf8.h"

#include "suite.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define CUT "\xE2\x80\xA6"

/* Text, what is shown of it, and what of that fits into 8 bytes with a NUL. */
static const struct {
	const char *text, *shown, *in_8;
} texts[] = {
	{ "", "", "" },
	{ "plain", "plain", "plain" },
	{ "seven 7", "seven 7", "seven 7" },
	{ "eight 88", "eight 88", "eigh" CUT },
	{ "\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80", "\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80",
		"\xC3\xA4" CUT },
	{ "\n\r\t", "\\n\\r\\t", "\\n\\r\\t" },
	{ "\n\r\tx", "\\n\\r\\tx", "\\n\\r\\tx" },
	{ "\n\r\txy", "\\n\\r\\txy", "\\n\\r" CUT },
	{ "\x01\x1b", "\\x01\\x1b", "\\x01" CUT },
	{ "\x7f", "\\u007f", "\\u007f" },
	{ "\xC2\x80\xC2\x9F\xC2\xA0", "\\u0080\\u009f\xC2\xA0", CUT },
	{ "\xD8\x9C\xE2\x80\x8E", "\\u061c\\u200e", CUT },
	/* NOLINTNEXTLINE(misc-misleading-bidirectional) */
	{ "\xE2\x80\xA8\xE2\x80\xAE", "\\u2028\\u202e", CUT },
	{ "\xE2\x81\xA6\xE2\x81\xA9", "\\u2066\\u2069", CUT },
	{ "\xE2\x80\x8D\xE2\x80\xAF", "\xE2\x80\x8D\xE2\x80\xAF", "\xE2\x80\x8D\xE2\x80\xAF" },
	{ "\x80z\xC3", "\\x80z\\xc3", "\\x80" CUT },
	{ "\\n", "\\n", "\\n" },
};

START_TEST(text_is_shown_on_one_line)
{
	char in_8[8];
	char *shown = utf8_shown(texts[_i].text);
	ck_assert_str_eq(shown, texts[_i].shown);
	free(shown);
	ck_assert_uint_eq(utf8_show(in_8, sizeof in_8, texts[_i].text), strlen(texts[_i].in_8));
	ck_assert_str_eq(in_8, texts[_i].in_8);
}
END_TEST

/* JSON, and the same value for a terminal. */
static const struct {
	const char *json, *shown;
} documents[] = {
	{ "", "" },
	{ "{\n\t\"a\": \"\\n\\u001b\"\n}", "{\n\t\"a\": \"\\n\\u001b\"\n}" },
	{ "\"\x7F \xC2\x9Bm\"", "\"\\u007f \\u009bm\"" },
	/* NOLINTNEXTLINE(misc-misleading-bidirectional) */
	{ "\"\xE2\x80\xAE\xF0\x9F\x98\x80\"", "\"\\u202e\xF0\x9F\x98\x80\"" },
};

START_TEST(json_is_shown_as_the_same_value)
{
	char *shown = utf8_shown_json(strdup(documents[_i].json));
	ck_assert_str_eq(shown, documents[_i].shown);
	free(shown);
}
END_TEST

/* Characters only, none of which controls anything.  An assertion for each would be slow. */
static bool is_safe(const char *shown)
{
	for (size_t length; *shown != '\0'; shown += length) {
		const unsigned char *s = (const unsigned char *)shown;
		length = utf8_length(shown);
		if (length == 0 || s[0] < ' ' || s[0] == 0x7F || (s[0] == 0xC2 && s[1] < 0xA0))
			return false;
	}
	return true;
}

static bool is_shown_safely(const char *bytes)
{
	char buffer[16];
	char *shown = utf8_shown(bytes);
	bool ok = is_safe(shown);
	for (size_t size = 4; size <= sizeof buffer; size++) {
		size_t length = utf8_show(buffer, size, bytes);
		ok = ok && length < size && strlen(buffer) == length && is_safe(buffer) &&
		     (strlen(shown) >= size || strcmp(buffer, shown) == 0);
	}
	free(shown);
	return ok;
}

/* All bytes, alone and after each other, and in buffers that are too small. */
START_TEST(any_bytes_are_safe)
{
	for (int i = 1; i <= 255; i++)
		for (int k = 0; k <= 255; k++) {
			const char bytes[] = { (char)i, (char)k, 'x', '\0' };
			if (!is_shown_safely(bytes))
				ck_abort_msg("%02x %02x", i, k);
		}
}
END_TEST

START_TEST(the_first_byte_that_is_no_character_is_found)
{
	static const char mixed[] = "\xC3\xA4z\xE9t\xE9";
	ck_assert_ptr_null(utf8_invalid(""));
	ck_assert_ptr_null(utf8_invalid("a\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80\x7f"));
	ck_assert_ptr_eq(utf8_invalid(mixed), mixed + 3);
	ck_assert_ptr_nonnull(utf8_invalid("\xED\xA0\x80")); /* a surrogate */
	ck_assert_ptr_nonnull(utf8_invalid("\xC0\x80"));
	ck_assert_ptr_nonnull(utf8_invalid("\xE2\x82"));
}
END_TEST

/* What snprintf() cut, at each place. */
START_TEST(what_was_cut_is_marked)
{
	static const char text[] = "a\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80z";
	for (size_t size = 4; size < sizeof text; size++) {
		char buffer[sizeof text];
		memcpy(buffer, text, size - 1);
		buffer[size - 1] = 0;
		utf8_mark_cut(buffer, size);
		size_t length = strlen(buffer);
		ck_assert_uint_lt(length, size);
		ck_assert(is_safe(buffer));
		ck_assert_str_eq(buffer + length - strlen(CUT), CUT);
		ck_assert_int_eq(strncmp(buffer, text, length - strlen(CUT)), 0);
	}
}
END_TEST

int main(void)
{
	const struct test tests[] = {
		{ text_is_shown_on_one_line, COUNT(texts), 0 },
		{ json_is_shown_as_the_same_value, COUNT(documents), 0 },
		{ any_bytes_are_safe, 1, 0 },
		{ the_first_byte_that_is_no_character_is_found, 1, 0 },
		{ what_was_cut_is_marked, 1, 0 },
	};
	return suite_run("utf8", tests, COUNT(tests));
}
