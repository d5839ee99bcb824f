#include "base/text.h"

#include "suite.h"

#include <signal.h>
#include <stdint.h>
#include <string.h>

/* The address sanitizer would end the process in its own way where memory cannot be had. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

START_TEST(an_empty_text_has_no_memory)
{
	struct text t = { 0 };
	ck_assert_ptr_null(t.text);
	text_clear(&t);
	ck_assert_ptr_null(t.text);
	text_free(&t);
	ck_assert_uint_eq(t.length, 0);
}
END_TEST

START_TEST(adding_nothing_makes_an_empty_string)
{
	struct text t = { 0 };
	text_add(&t, "", 0);
	ck_assert_str_eq(t.text, "");
	ck_assert_uint_eq(t.length, 0);
	text_add(&t, NULL, 0);
	text_addf(&t, "%s", "");
	ck_assert_str_eq(t.text, "");
	text_free(&t);
}
END_TEST

/* All lengths around the sizes at which memory grows; the sanitizers see a byte too many. */
START_TEST(a_text_of_any_length_ends_with_nul)
{
	for (size_t length = 0; length < 300; length++) {
		struct text t = { 0 };
		char bytes[300];
		memset(bytes, 'x', sizeof bytes);
		text_add(&t, bytes, length);
		ck_assert_uint_eq(t.length, length);
		ck_assert_uint_eq(strlen(t.text), length);
		ck_assert_uint_gt(t.size, t.length);
		text_free(&t);
	}
}
END_TEST

START_TEST(a_text_grows_byte_by_byte)
{
	struct text t = { 0 };
	for (unsigned i = 0; i < 100000; i++) {
		char byte = (char)('a' + i % 26);
		text_add(&t, &byte, 1);
	}
	ck_assert_uint_eq(t.length, 100000);
	ck_assert_uint_eq(strlen(t.text), 100000);
	for (unsigned i = 0; i < 100000; i++)
		ck_assert_int_eq(t.text[i], 'a' + (int)(i % 26));
	text_free(&t);
}
END_TEST

START_TEST(bytes_may_be_nul)
{
	struct text t = { 0 };
	text_add(&t, "a\0b", 3);
	text_addf(&t, "%d", 7);
	ck_assert_uint_eq(t.length, 4);
	ck_assert_mem_eq(t.text, "a\0b7", 5);
	text_free(&t);
}
END_TEST

START_TEST(formats_longer_than_the_memory_make_it_grow)
{
	char long_word[1000];
	struct text t = { 0 };
	memset(long_word, 'w', sizeof long_word - 1);
	long_word[sizeof long_word - 1] = '\0';
	text_addf(&t, "%s %zu", "a", (size_t)42);
	text_addf(&t, "<%s>", long_word);
	ck_assert_uint_eq(t.length, 4 + 999 + 2);
	ck_assert_mem_eq(t.text, "a 42<www", 8);
	ck_assert_str_eq(t.text + t.length - 3, "ww>");
	text_free(&t);
}
END_TEST

START_TEST(clear_keeps_the_memory)
{
	struct text t = { 0 };
	text_add(&t, "something", 9);
	char *memory = t.text;
	size_t size = t.size;
	text_clear(&t);
	ck_assert_str_eq(t.text, "");
	ck_assert_uint_eq(t.length, 0);
	text_add(&t, "other", 5);
	ck_assert_ptr_eq(t.text, memory);
	ck_assert_uint_eq(t.size, size);
	ck_assert_str_eq(t.text, "other");
	text_free(&t);
}
END_TEST

START_TEST(a_freed_text_is_empty_and_can_be_used_again)
{
	struct text t = { 0 };
	text_add(&t, "something", 9);
	text_free(&t);
	ck_assert_ptr_null(t.text);
	ck_assert_uint_eq(t.length, 0);
	ck_assert_uint_eq(t.size, 0);
	text_add(&t, "x", 1);
	ck_assert_str_eq(t.text, "x");
	text_free(&t);
}
END_TEST

START_TEST(copies_are_whole_and_apart)
{
	char original[] = "original";
	char *copy = text_copy(original);
	char *part = text_copy_bytes(original, 4);
	char *nothing = text_copy_bytes(original, 0);
	char *formatted = text_format("%s-%d", original, 1);
	memset(original, 'x', sizeof original - 1);
	ck_assert_str_eq(copy, "original");
	ck_assert_str_eq(part, "orig");
	ck_assert_str_eq(nothing, "");
	ck_assert_str_eq(formatted, "original-1");
	free(copy);
	free(part);
	free(nothing);
	free(formatted);
}
END_TEST

START_TEST(new_memory_is_zero_and_never_null)
{
	unsigned char *p = memory_new(1000, 3);
	for (size_t i = 0; i < 3000; i++)
		ck_assert_uint_eq(p[i], 0);
	free(p);
	void *nothing = memory_new(0, 16);
	ck_assert_ptr_nonnull(nothing);
	free(nothing);
}
END_TEST

START_TEST(resized_memory_keeps_its_content)
{
	int *p = memory_resize(NULL, 2, sizeof *p);
	p[0] = 11;
	p[1] = 22;
	p = memory_resize(p, 1000, sizeof *p);
	ck_assert_int_eq(p[0], 11);
	ck_assert_int_eq(p[1], 22);
	p = memory_resize(p, 0, sizeof *p);
	ck_assert_ptr_nonnull(p);
	free(p);
}
END_TEST

START_TEST(too_much_memory_aborts)
{
	volatile size_t count = SIZE_MAX / 2;
	free(memory_new(count, 4));
}
END_TEST

START_TEST(too_large_a_resize_aborts)
{
	volatile size_t count = SIZE_MAX / 2;
	free(memory_resize(NULL, count, 4));
}
END_TEST

START_TEST(a_long_text_is_shortened_in_its_middle)
{
	struct text t = { 0 };
	text_add_short(&t, "0123456789", 10);
	ck_assert_str_eq(t.text, "0123456789");
	text_clear(&t);
	text_add_short(&t, "0123456789", 5);
	ck_assert_str_eq(t.text, "01…789");
	text_clear(&t);
	text_add_short(&t, "äöüÄÖÜ", 6); /* no character is cut in two */
	ck_assert_str_eq(t.text, "ä…Ü");
	text_free(&t);
}
END_TEST

int main(void)
{
	const struct test tests[] = {
		{ an_empty_text_has_no_memory, 1, 0 },
		{ adding_nothing_makes_an_empty_string, 1, 0 },
		{ a_text_of_any_length_ends_with_nul, 1, 0 },
		{ a_text_grows_byte_by_byte, 1, 0 },
		{ bytes_may_be_nul, 1, 0 },
		{ formats_longer_than_the_memory_make_it_grow, 1, 0 },
		{ clear_keeps_the_memory, 1, 0 },
		{ a_freed_text_is_empty_and_can_be_used_again, 1, 0 },
		{ copies_are_whole_and_apart, 1, 0 },
		{ new_memory_is_zero_and_never_null, 1, 0 },
		{ resized_memory_keeps_its_content, 1, 0 },
		{ a_long_text_is_shortened_in_its_middle, 1, 0 },
		{ too_much_memory_aborts, 1, SIGABRT },
		{ too_large_a_resize_aborts, 1, SIGABRT },
	};
	return suite_run("text", tests, COUNT(tests));
}
