#include "base/outage.h"

#include "suite.h"

static struct instant at(double seconds)
{
	return instant_after((struct instant){ INT64_C(1000000000000) }, seconds);
}

START_TEST(a_reason_is_logged_once)
{
	struct outage o = { 0 };
	ck_assert(!outage_lasts(&o));
	ck_assert(outage_note(&o, "away", at(0)));
	for (int i = 0; i < 10000; i += 5)
		ck_assert(!outage_note(&o, "away", at(i)));
	ck_assert(outage_lasts(&o));
	ck_assert(outage_end(&o, at(10000)) == 10000);
	ck_assert(!outage_lasts(&o));
	ck_assert(outage_note(&o, "away", at(10001)));
}
END_TEST

START_TEST(what_has_not_begun_does_not_end)
{
	struct outage o = { 0 };
	ck_assert(outage_end(&o, at(5)) == 0);
}
END_TEST

START_TEST(another_reason_is_logged_after_a_pause)
{
	struct outage o = { 0 };
	ck_assert(outage_note(&o, "connection refused", at(0)));
	ck_assert(!outage_note(&o, "password refused", at(9.9)));
	ck_assert(outage_note(&o, "password refused", at(10)));
	ck_assert(!outage_note(&o, "password refused", at(100)));
	ck_assert(outage_note(&o, "connection refused", at(100)));
	ck_assert(outage_end(&o, at(101)) == 101);
}
END_TEST

START_TEST(reasons_that_alternate_fill_no_log)
{
	static const char *const reasons[] = { "broker a is away", "broker b is away" };
	struct outage o = { 0 };
	unsigned count = 0;
	const int day = 24 * 60 * 60;
	for (int i = 0; i < day; i++)
		count += outage_note(&o, reasons[i % 2], at(i));
	ck_assert_uint_ge(count, (unsigned)day / 601);
	ck_assert_uint_le(count, (unsigned)day / 600 + 7);
}
END_TEST

static const struct {
	const char *a, *b;
	bool same;
} pairs[] = {
	{ "", "", true },
	{ "process 7 has it", "process 812 has it", true },
	{ "after 1.5 s", "after 10.0 s", true },
	{ "a", "b", false },
	{ "away", "away for good", false },
	{ "away for good", "away", false },
	{ "7", "", true },
};

START_TEST(numbers_make_no_difference)
{
	ck_assert_int_eq(outage_same(pairs[_i].a, pairs[_i].b), pairs[_i].same);
}
END_TEST

START_TEST(a_long_reason_is_compared_as_far_as_it_is_kept)
{
	char reason[3000];
	struct outage o = { 0 };
	memset(reason, 'x', sizeof reason - 1);
	reason[sizeof reason - 1] = '\0';
	ck_assert(outage_note(&o, reason, at(0)));
	ck_assert(!outage_note(&o, reason, at(60)));
}
END_TEST

int main(void)
{
	const struct test tests[] = {
		{ a_reason_is_logged_once, 1, 0 },
		{ what_has_not_begun_does_not_end, 1, 0 },
		{ another_reason_is_logged_after_a_pause, 1, 0 },
		{ reasons_that_alternate_fill_no_log, 1, 0 },
		{ numbers_make_no_difference, COUNT(pairs), 0 },
		{ a_long_reason_is_compared_as_far_as_it_is_kept, 1, 0 },
	};
	return suite_run("outage", tests, COUNT(tests));
}
