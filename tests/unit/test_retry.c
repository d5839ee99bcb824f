#include "base/retry.h"

#include "suite.h"

#include <stdio.h>

static const struct instant start = { INT64_C(1000000000000) };

static struct instant later(double seconds)
{
	return instant_after(start, seconds);
}

static const struct {
	enum error_kind kind;
	bool again;
} kinds[] = {
	{ ERROR_NONE, false },
	{ ERROR_CONFIG, false },
	{ ERROR_CONNECTION, true },
	{ ERROR_POOLED, false },
	{ ERROR_TEMPORARY, true },
	{ ERROR_MEMORY, true },
	{ ERROR_UNCONFIRMED, true },
	{ ERROR_CONFLICT, true },
	{ ERROR_PLAN, true },
	{ ERROR_DATABASE, false },
	{ ERROR_BROKER, true },
	{ ERROR_TOPIC, true },
	{ ERROR_REJECTED, false },
	{ ERROR_BUSY, false },
	{ ERROR_LOCKED, false },
	{ ERROR_INSTANCE, false },
	{ ERROR_STOPPED, false },
};

START_TEST(only_what_may_recover_is_retried)
{
	double delay = 0;
	struct retry r = retry_new(30, start);
	ck_assert_uint_eq(COUNT(kinds), ERROR_KINDS);
	ck_assert_int_eq(retry_again(&r, kinds[_i].kind, start, 0, &delay), kinds[_i].again);
}
END_TEST

START_TEST(conflicts_are_retried_eleven_times_however_short_the_time_limit)
{
	static const double delays[] = { 0, 0.1, 0.2, 0.4, 0.8, 1, 1, 1, 1, 1, 1 };
	struct retry r = retry_new(0, start);
	double delay;
	for (size_t i = 0; i < COUNT(delays); i++) {
		enum error_kind kind = i % 2 == 0 ? ERROR_CONFLICT : ERROR_PLAN;
		ck_assert(retry_again(&r, kind, later(100), 0.5, &delay));
		ck_assert_double_eq_tol(delay, delays[i], 1e-12);
	}
	ck_assert(!retry_again(&r, ERROR_CONFLICT, later(100), 0.5, &delay));
	ck_assert(!retry_again(&r, ERROR_CONFLICT, later(100), 0.5, &delay));
}
END_TEST

START_TEST(waits_back_off_and_the_last_ends_at_the_time_limit)
{
	/* Halves of 0.1, 0.2, … 6.4, then of 10, then what is left. */
	static const double delays[] = { 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5, 5, 5, 3.65 };
	struct retry r = retry_new(30, start);
	double waited = 0, delay;
	for (size_t i = 0; i < COUNT(delays); i++) {
		ck_assert(retry_again(&r, ERROR_BROKER, later(waited), 0, &delay));
		ck_assert_double_eq_tol(delay, delays[i], 1e-6);
		waited += delay;
	}
	ck_assert_double_eq_tol(waited, 30, 1e-6);
	ck_assert(!retry_again(&r, ERROR_BROKER, later(30), 0, &delay));
}
END_TEST

static const struct {
	double now;
	bool again;
	double delay;
} ends[] = {
	{ 9.9, true, 0.05 },
	{ 9.96, true, 0.04 },
	{ 10, false, 0 },
	{ 11, false, 0 },
	{ 3600, false, 0 },
};

START_TEST(waiting_ends_at_the_time_limit)
{
	double delay;
	struct retry r = retry_new(10, start);
	bool again = retry_again(&r, ERROR_CONNECTION, later(ends[_i].now), 0, &delay);
	ck_assert_int_eq(again, ends[_i].again);
	if (again)
		ck_assert_double_eq_tol(delay, ends[_i].delay, 1e-6);
}
END_TEST

START_TEST(an_attempt_ends_at_the_time_limit_but_has_a_second)
{
	struct retry r = retry_new(30, start);
	ck_assert_int_eq(retry_deadline(&r, later(10)).ns, later(30).ns);
	ck_assert_int_eq(retry_deadline(&r, later(29.5)).ns, later(30.5).ns);
	ck_assert_int_eq(retry_deadline(&r, later(30)).ns, later(31).ns);
}
END_TEST

START_TEST(jitter_spreads_the_waits)
{
	double low, high;
	struct retry a = retry_new(30, start);
	struct retry b = retry_new(30, start);
	ck_assert(retry_again(&a, ERROR_TOPIC, start, 0, &low));
	ck_assert(retry_again(&b, ERROR_TOPIC, start, 0.99, &high));
	ck_assert_double_eq_tol(low, 0.05, 1e-12);
	ck_assert_double_eq_tol(high, 0.0995, 1e-12);
}
END_TEST

START_TEST(conflicts_and_waits_are_counted_apart)
{
	double delay;
	struct retry r = retry_new(30, start);
	for (int i = 0; i < 5; i++)
		ck_assert(retry_again(&r, ERROR_CONNECTION, start, 0, &delay));
	ck_assert(retry_again(&r, ERROR_CONFLICT, start, 0, &delay));
	ck_assert_double_eq(delay, 0);
	ck_assert(retry_again(&r, ERROR_CONNECTION, start, 0, &delay));
	ck_assert_double_eq_tol(delay, 1.6, 1e-12);
}
END_TEST

START_TEST(success_resets_all_counts)
{
	double delay;
	struct retry r = retry_new(30, start);
	for (int i = 0; i < 12; i++)
		retry_again(&r, ERROR_CONFLICT, start, 0, &delay);
	for (int i = 0; i < 4; i++)
		retry_again(&r, ERROR_BROKER, start, 0, &delay);
	retry_success(&r, later(1000));
	ck_assert(retry_again(&r, ERROR_CONFLICT, later(1001), 0, &delay));
	ck_assert_double_eq(delay, 0);
	ck_assert(retry_again(&r, ERROR_BROKER, later(1029), 0, &delay));
	ck_assert_double_eq_tol(delay, 0.05, 1e-12);
	ck_assert(!retry_again(&r, ERROR_BROKER, later(1030), 0, &delay));
}
END_TEST

static const struct {
	enum error_kind kind;
	int status;
} statuses[] = {
	{ ERROR_NONE, 0 },
	{ ERROR_STOPPED, 0 },
	{ ERROR_CONFIG, 78 },
	{ ERROR_BUSY, 75 },
	{ ERROR_LOCKED, 75 },
	{ ERROR_INSTANCE, 1 },
	{ ERROR_CONNECTION, 1 },
	{ ERROR_POOLED, 1 },
	{ ERROR_TEMPORARY, 1 },
	{ ERROR_MEMORY, 1 },
	{ ERROR_UNCONFIRMED, 1 },
	{ ERROR_CONFLICT, 1 },
	{ ERROR_PLAN, 1 },
	{ ERROR_DATABASE, 1 },
	{ ERROR_BROKER, 1 },
	{ ERROR_TOPIC, 1 },
	{ ERROR_REJECTED, 1 },
};

START_TEST(exit_statuses_are_those_of_the_interface)
{
	ck_assert_int_eq(error_exit_status(statuses[_i].kind), statuses[_i].status);
}
END_TEST

START_TEST(an_error_is_one_line)
{
	struct error e;
	ck_assert(!error_set(&e, ERROR_DATABASE, "table %s:\n\tgone\r\n\n", "a"));
	ck_assert_int_eq(e.kind, ERROR_DATABASE);
	ck_assert_str_eq(e.text, "table a:  gone ");
	ck_assert_str_eq(e.sqlstate, "");
	snprintf(e.sqlstate, sizeof e.sqlstate, "42P01");
	ck_assert(!error_prefix(&e, "model \"%s\"", "A"));
	ck_assert_int_eq(e.kind, ERROR_DATABASE);
	ck_assert_str_eq(e.sqlstate, "42P01");
	ck_assert_str_eq(e.text, "model \"A\": table a:  gone ");
}
END_TEST

int main(void)
{
	const struct test tests[] = {
		{ only_what_may_recover_is_retried, COUNT(kinds), 0 },
		{ conflicts_are_retried_eleven_times_however_short_the_time_limit, 1, 0 },
		{ waits_back_off_and_the_last_ends_at_the_time_limit, 1, 0 },
		{ waiting_ends_at_the_time_limit, COUNT(ends), 0 },
		{ an_attempt_ends_at_the_time_limit_but_has_a_second, 1, 0 },
		{ jitter_spreads_the_waits, 1, 0 },
		{ conflicts_and_waits_are_counted_apart, 1, 0 },
		{ success_resets_all_counts, 1, 0 },
		{ exit_statuses_are_those_of_the_interface, COUNT(statuses), 0 },
		{ an_error_is_one_line, 1, 0 },
	};
	return suite_run("retry", tests, COUNT(tests));
}
