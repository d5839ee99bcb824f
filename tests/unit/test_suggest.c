#include "base/suggest.h"

#include "suite.h"

#include <stdbool.h>
#include <string.h>

static const char *const settings[] = { "name", "table", "topic", "key", "burst_count", "order_by",
	"autoflush" };

static const struct {
	const char *wanted, *best;
} searches[] = {
	{ "name", "name" },
	{ "tabel", "table" },
	{ "TABLE", "table" },
	{ "Topics", "topic" },
	{ "burstcount", "burst_count" },
	{ "burst_cuont", "burst_count" },
	{ "brst_cnt", "burst_count" },
	{ "orderby", "order_by" },
	{ "auto_flush", "autoflush" },
	{ "ke", "key" },
	{ "k", NULL },
	{ "order", "order_by" },
	{ "Burst", "burst_count" },
	{ "bur", "burst_count" },
	{ "aut", "autoflush" },
	{ "bu", NULL },
	{ "table_of_signals", "table" },
	{ "key_column_of_signals", "key" },
	{ "topic_of_all", "topic" },
	{ "", NULL },
	{ "somethingelse", NULL },
	{ "xyz", NULL },
};

START_TEST(the_nearest_name_is_found)
{
	struct nearest n = nearest_to(searches[_i].wanted);
	for (size_t i = 0; i < COUNT(settings); i++)
		nearest_offer(&n, settings[i]);
	if (searches[_i].best == NULL)
		ck_assert_ptr_null(n.best);
	else
		ck_assert_pstr_eq(n.best, searches[_i].best);
}
END_TEST

/* One letter may always be wrong, and one more for each three letters of the mistaken name. */
static const struct {
	const char *wanted, *candidate;
	size_t distance; /* 0: too far */
} limits[] = {
	{ "a", "b", 1 },
	{ "ab", "xb", 1 },
	{ "ab", "xy", 0 },
	{ "abc", "xyc", 2 },
	{ "abc", "xyz", 0 },
	{ "abcdef", "xyzdef", 3 },
	{ "abcdef", "wxyzef", 0 },
	{ "abcdef", "abc", 3 },
	{ "abcdef", "ab", 0 },
	{ "ab", "abcd", 0 },
	{ "abcd", "abdc", 2 }, /* letters that changed places count twice */
	{ "ab", "abc", 1 },
	{ "abc", "abcdef", 1 },
	{ "abc", "abcdefghijkl", 1 },
	{ "abcdefghi", "abc", 4 },
	{ "abcdefghi", "ab", 0 },
	{ "abc", "xabc", 1 },
};

/* A beginning is a good guess; still, what is hardly misspelt is better than it. */
START_TEST(a_beginning_may_yield_to_a_nearer_name)
{
	struct nearest n = nearest_to("flushorderd");
	nearest_offer(&n, "flush");
	ck_assert_pstr_eq(n.best, "flush");
	nearest_offer(&n, "flushordered");
	ck_assert_pstr_eq(n.best, "flushordered");
	n = nearest_to("time");
	nearest_offer(&n, "name");
	nearest_offer(&n, "timestamp");
	ck_assert_pstr_eq(n.best, "timestamp");
}
END_TEST

START_TEST(a_third_of_the_letters_and_one_may_be_wrong)
{
	struct nearest n = nearest_to(limits[_i].wanted);
	nearest_offer(&n, limits[_i].candidate);
	if (limits[_i].distance == 0) {
		ck_assert_ptr_null(n.best);
	} else {
		ck_assert_pstr_eq(n.best, limits[_i].candidate);
		ck_assert_uint_eq(n.distance, limits[_i].distance);
	}
}
END_TEST

START_TEST(the_first_of_equally_near_names_wins)
{
	struct nearest n = nearest_to("tab");
	nearest_offer(&n, "tax");
	nearest_offer(&n, "tap");
	ck_assert_pstr_eq(n.best, "tax");
	nearest_offer(&n, "tab");
	nearest_offer(&n, "tan");
	ck_assert_pstr_eq(n.best, "tab");
	ck_assert_uint_eq(n.distance, 0);
}
END_TEST

/* Lengths of the mistaken name and of the candidate, which repeat one letter. */
static const struct {
	size_t wanted, candidate;
	bool found;
} lengths[] = {
	{ 64, 64, true },
	{ 64, 63, true },
	{ 63, 64, true },
	{ 65, 64, false },
	{ 64, 65, false },
	{ 10000, 10000, false },
};

START_TEST(names_too_long_for_postgresql_are_passed_over)
{
	char *wanted = malloc(lengths[_i].wanted + 1);
	char *candidate = malloc(lengths[_i].candidate + 1);
	memset(wanted, 'a', lengths[_i].wanted);
	memset(candidate, 'a', lengths[_i].candidate);
	wanted[lengths[_i].wanted] = candidate[lengths[_i].candidate] = '\0';
	struct nearest n = nearest_to(wanted);
	nearest_offer(&n, candidate);
	ck_assert_int_eq(n.best == candidate, lengths[_i].found);
	free(wanted);
	free(candidate);
}
END_TEST

START_TEST(letters_beyond_ascii_are_bytes)
{
	struct nearest n = nearest_to("gr\xc3\xb6\xc3\x9f");
	nearest_offer(&n, "gr\xc3\xb6\xc3\x9f"
			  "e");
	ck_assert_ptr_nonnull(n.best);
	ck_assert_uint_eq(n.distance, 1);
}
END_TEST

int main(void)
{
	const struct test tests[] = {
		{ the_nearest_name_is_found, COUNT(searches), 0 },
		{ a_third_of_the_letters_and_one_may_be_wrong, COUNT(limits), 0 },
		{ a_beginning_may_yield_to_a_nearer_name, 1, 0 },
		{ the_first_of_equally_near_names_wins, 1, 0 },
		{ names_too_long_for_postgresql_are_passed_over, COUNT(lengths), 0 },
		{ letters_beyond_ascii_are_bytes, 1, 0 },
	};
	return suite_run("suggest", tests, COUNT(tests));
}
