#include "relay/deferral.h"

#include "suite.h"

#include <stdio.h>
#include <string.h>

/* A deferral at a time that the test sets, and what it reported. */
static struct {
	struct deferral *deferral;
	int64_t now_ns;
	size_t told, is_new, many;
} world;

struct instant scripted_clock_now(void);
struct instant scripted_clock_now(void)
{
	return (struct instant){ world.now_ns };
}

static struct instant now(void)
{
	return scripted_clock_now();
}

static void pass(double seconds)
{
	world.now_ns += (int64_t)(seconds * 1e9);
}

static void tell(void *arg, const struct error *e, enum deferral_news news)
{
	ck_assert_ptr_eq(arg, &world);
	ck_assert_int_eq(e->kind, ERROR_REJECTED);
	world.told++;
	world.is_new += news == DEFERRAL_NEW;
	world.many += news == DEFERRAL_MANY;
}

static void begin(void)
{
	world.now_ns = 1000000000;
	world.deferral = deferral_new(tell, &world);
}

static void add(int row, int reason)
{
	char ctid[32];
	struct error e;
	snprintf(ctid, sizeof ctid, "(0,%d)", row);
	error_set(&e, ERROR_REJECTED, "reason %d", reason);
	deferral_add(world.deferral, "16384", ctid, &e);
}

static void check_list(const char *expected_oids, const char *expected_ctids)
{
	struct text oids = { 0 }, ctids = { 0 };
	bool any = deferral_list(world.deferral, &oids, &ctids);
	ck_assert_int_eq(any, expected_oids != NULL);
	ck_assert_int_eq(deferral_has_rows(world.deferral), any);
	if (any) {
		ck_assert_str_eq(oids.text, expected_oids);
		ck_assert_str_eq(ctids.text, expected_ctids);
	}
	text_free(&oids);
	text_free(&ctids);
}

START_TEST(rows_are_passed_over_until_they_are_due)
{
	begin();
	check_list(NULL, NULL);
	ck_assert_double_eq(deferral_rest(world.deferral, now()), 0);
	add(1, 1);
	add(2, 1);
	check_list("{\"16384\",\"16384\"}", "{\"(0,1)\",\"(0,2)\"}");
	double rest = deferral_rest(world.deferral, now());
	ck_assert_double_ge(rest, 0.05);
	ck_assert_double_le(rest, 0.1);
	deferral_release(world.deferral, now(), true);
	ck_assert(deferral_has_rows(world.deferral));
	pass(rest);
	deferral_release(world.deferral, now(), true);
	check_list(NULL, NULL);
	add(3, 1);
	deferral_release(world.deferral, now(), false);
	check_list(NULL, NULL);
	deferral_free(world.deferral);
}
END_TEST

START_TEST(each_time_takes_longer_until_all_goes_well)
{
	begin();
	double longest = 0;
	for (int i = 0; i < 12; i++) {
		add(1, 1);
		double rest = deferral_rest(world.deferral, now());
		ck_assert_double_le(rest, 10);
		if (i < 7)
			ck_assert_double_gt(rest, longest * 0.99);
		longest = rest;
		pass(1);
		add(2, 1); /* puts nothing off any longer */
		ck_assert_double_eq_tol(
			deferral_rest(world.deferral, now()), rest > 1 ? rest - 1 : 0, 1e-6);
		deferral_release(world.deferral, now(), false);
	}
	ck_assert_double_ge(longest, 5);
	ck_assert_double_eq_tol(deferral_end(world.deferral, now()), 12, 1e-6);
	ck_assert_double_lt(deferral_end(world.deferral, now()), 0);
	add(1, 1);
	ck_assert_double_le(deferral_rest(world.deferral, now()), 0.1);
	deferral_free(world.deferral);
}
END_TEST

START_TEST(nothing_ends_while_rows_are_put_off)
{
	begin();
	ck_assert_double_lt(deferral_end(world.deferral, now()), 0);
	add(1, 1);
	pass(3);
	ck_assert_double_lt(deferral_end(world.deferral, now()), 0);
	deferral_release(world.deferral, now(), true);
	ck_assert_double_eq_tol(deferral_end(world.deferral, now()), 3, 1e-6);
	deferral_free(world.deferral);
}
END_TEST

START_TEST(each_reason_is_new_once)
{
	begin();
	for (int round = 0; round < 3; round++) {
		for (int row = 0; row < 10; row++)
			add(row, row % 2);
		deferral_release(world.deferral, now(), false);
	}
	ck_assert_uint_eq(world.told, 30);
	ck_assert_uint_eq(world.is_new, 2);
	ck_assert_double_ge(deferral_end(world.deferral, now()), 0);
	add(1, 1);
	ck_assert_uint_eq(world.is_new, 3);
	deferral_free(world.deferral);
}
END_TEST

START_TEST(a_limited_number_is_remembered)
{
	begin();
	for (int row = 0; row < DEFERRAL_MAX; row++)
		add(row, row);
	ck_assert(!deferral_is_full(world.deferral));
	for (int row = 0; row < 10; row++)
		add(DEFERRAL_MAX + row, DEFERRAL_MAX + row);
	ck_assert(deferral_is_full(world.deferral));
	ck_assert_uint_eq(world.is_new, DEFERRAL_TOLD_MAX);
	ck_assert_uint_eq(world.many, 1);
	struct text oids = { 0 }, ctids = { 0 };
	deferral_list(world.deferral, &oids, &ctids);
	ck_assert_ptr_null(strstr(ctids.text, "(0,1000)"));
	ck_assert_ptr_nonnull(strstr(ctids.text, "(0,999)"));
	text_free(&oids);
	text_free(&ctids);
	deferral_release(world.deferral, now(), false);
	ck_assert(!deferral_is_full(world.deferral));
	deferral_end(world.deferral, now());
	add(1, DEFERRAL_MAX);
	ck_assert_uint_eq(world.is_new, DEFERRAL_TOLD_MAX + 1);
	deferral_free(world.deferral);
}
END_TEST

START_TEST(the_rest_is_as_long_as_the_tries_took)
{
	begin();
	add(0, 1);
	double rest = deferral_rest(world.deferral, now());
	for (int row = 1; row <= 2 * DEFERRAL_MAX; row++) {
		pass(0.01);
		add(row, 1);
		deferral_extend(world.deferral, 0.01);
		deferral_release(world.deferral, now(), true);
		ck_assert(deferral_has_rows(world.deferral));
	}
	ck_assert(deferral_is_full(world.deferral));
	ck_assert_double_eq_tol(deferral_rest(world.deferral, now()), rest + 20, 1e-3);
	pass(rest + 20.001);
	deferral_release(world.deferral, now(), true);
	ck_assert(!deferral_has_rows(world.deferral));
	deferral_free(world.deferral);
}
END_TEST

START_TEST(rows_fail_until_the_end)
{
	struct instant since;
	enum error_kind kind;
	begin();
	ck_assert(!deferral_is_failing(world.deferral, &since, &kind));
	add(1, 1);
	pass(2);
	add(2, 1);
	deferral_release(world.deferral, now(), false);
	ck_assert(deferral_is_failing(world.deferral, &since, &kind));
	ck_assert_int_eq(kind, ERROR_REJECTED);
	ck_assert_double_eq_tol(instant_seconds(since, now()), 2, 1e-6);
	deferral_end(world.deferral, now());
	ck_assert(!deferral_is_failing(world.deferral, &since, &kind));
	deferral_free(world.deferral);
}
END_TEST

int main(void)
{
	const struct test tests[] = {
		{ rows_are_passed_over_until_they_are_due, 1, 0 },
		{ each_time_takes_longer_until_all_goes_well, 1, 0 },
		{ nothing_ends_while_rows_are_put_off, 1, 0 },
		{ each_reason_is_new_once, 1, 0 },
		{ a_limited_number_is_remembered, 1, 0 },
		{ the_rest_is_as_long_as_the_tries_took, 1, 0 },
		{ rows_fail_until_the_end, 1, 0 },
	};
	return suite_run("deferral", tests, COUNT(tests));
}
