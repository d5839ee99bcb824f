#include "base/text.h"
#include "postgres/rows.h"

#include "suite.h"

#include <stdlib.h>
#include <string.h>

static struct field field(const char *text)
{
	return (struct field){ text, text != NULL ? strlen(text) : 0 };
}

START_TEST(rows_keep_what_was_added)
{
	struct rows *r = rows_new(2);
	rows_set_type(r, 0, 20);
	rows_set_type(r, 1, 25);
	char text[] = "abc";
	rows_add(r, (struct field[]){ field(text), field(NULL) });
	text[0] = 'x'; /* it was copied */
	rows_add(r, (struct field[]){ field(""), field("d") });
	ck_assert_uint_eq(rows_count(r), 2);
	ck_assert_uint_eq(rows_bytes(r), 4);
	ck_assert_uint_eq(rows_type(r, 0), 20);
	ck_assert_uint_eq(rows_type(r, 1), 25);
	ck_assert_str_eq(rows_value(r, 0, 0), "abc");
	ck_assert_ptr_null(rows_value(r, 0, 1));
	ck_assert_str_eq(rows_value(r, 1, 0), "");
	struct field fields[2];
	rows_fields(r, 1, fields, 2);
	ck_assert_str_eq(fields[1].text, "d");
	ck_assert_uint_eq(fields[0].length, 0);
	rows_free(r);
}
END_TEST

/* Of any size, in any order: what was added first does not move. */
START_TEST(values_stay_where_they_are)
{
	static const size_t sizes[] = { 0, 1, 100, 4095, 4096, 300000, 7, 262143, 262144, 3 };
	enum { ROUNDS = 40 };
	struct rows *r = rows_new(1);
	const char *seen[ROUNDS * sizeof sizes / sizeof sizes[0]];
	size_t count = 0, bytes = 0;
	for (size_t round = 0; round < ROUNDS; round++)
		for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
			char *value = memory_new(sizes[i] + 1, 1);
			memset(value, 'a' + (int)(count % 26), sizes[i]);
			rows_add(r, &(struct field){ value, sizes[i] });
			seen[count] = rows_value(r, count, 0);
			bytes += sizes[i];
			count++;
			free(value);
		}
	ck_assert_uint_eq(rows_bytes(r), bytes);
	for (size_t row = 0; row < count; row++) {
		struct field f;
		rows_fields(r, row, &f, 1);
		ck_assert_ptr_eq(f.text, seen[row]);
		ck_assert_uint_eq(f.length, sizes[row % (sizeof sizes / sizeof sizes[0])]);
		ck_assert_uint_eq(strlen(f.text), f.length);
		for (size_t i = 0; i < f.length; i++)
			if (f.text[i] != 'a' + (int)(row % 26))
				ck_abort_msg("byte %zu of row %zu is %c", i, row, f.text[i]);
	}
	rows_free(r);
}
END_TEST

START_TEST(rows_may_have_no_columns_and_results_no_rows)
{
	struct rows *r = rows_new(0);
	ck_assert_uint_eq(rows_count(r), 0);
	rows_add(r, NULL);
	rows_add(r, NULL);
	ck_assert_uint_eq(rows_count(r), 2);
	rows_free(r);
	rows_free(NULL);
}
END_TEST

int main(void)
{
	const struct test tests[] = { { rows_keep_what_was_added, 1, 0 },
		{ values_stay_where_they_are, 1, 0 },
		{ rows_may_have_no_columns_and_results_no_rows, 1, 0 } };
	return suite_run("rows", tests, COUNT(tests));
}
