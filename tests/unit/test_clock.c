#include "base/clock.h"

#include "suite.h"

#include <limits.h>
#include <math.h>

static struct instant at(int64_t ns)
{
	return (struct instant){ ns };
}

START_TEST(now_never_goes_back)
{
	struct instant before = clock_now();
	for (int i = 0; i < 1000; i++) {
		struct instant now = clock_now();
		ck_assert(!instant_before(now, before));
		before = now;
	}
}
END_TEST

static const struct {
	int64_t from;
	double seconds;
	int64_t expected;
} sums[] = {
	{ 0, 0, 0 },
	{ 5, 0, 5 },
	{ 1, 1, 1000000001 },
	{ 0, 0.5, 500000000 },
	{ 0, 1e-9, 1 },
	{ 2000000000, -1, 1000000000 },
	{ 0, 9e9, INT64_C(9000000000000000000) },
	{ 0, 9.3e9, INT64_MAX },
	{ INT64_C(9000000000000000000), 1e9, INT64_MAX },
	{ 0, 1e300, INT64_MAX },
	{ 0, (double)INFINITY, INT64_MAX },
	{ INT64_MAX, 0, INT64_MAX },
	{ INT64_MAX, 1, INT64_MAX },
};

START_TEST(after_adds_seconds_and_stops_at_never)
{
	ck_assert_int_eq(instant_after(at(sums[_i].from), sums[_i].seconds).ns, sums[_i].expected);
}
END_TEST

START_TEST(before_is_strict)
{
	ck_assert(instant_before(at(1), at(2)));
	ck_assert(!instant_before(at(2), at(2)));
	ck_assert(!instant_before(at(3), at(2)));
	ck_assert(instant_before(at(INT64_MAX - 1), INSTANT_NEVER));
}
END_TEST

START_TEST(earlier_is_the_lesser_of_both)
{
	ck_assert_int_eq(instant_earlier(at(1), at(2)).ns, 1);
	ck_assert_int_eq(instant_earlier(at(2), at(1)).ns, 1);
	ck_assert_int_eq(instant_earlier(at(2), at(2)).ns, 2);
	ck_assert_int_eq(instant_earlier(INSTANT_NEVER, at(7)).ns, 7);
}
END_TEST

START_TEST(seconds_have_a_sign)
{
	ck_assert_double_eq(instant_seconds(at(0), at(1500000000)), 1.5);
	ck_assert_double_eq(instant_seconds(at(1500000000), at(0)), -1.5);
	ck_assert_double_eq(instant_seconds(at(9), at(9)), 0);
}
END_TEST

static const struct {
	int64_t deadline, now;
	int expected;
} polls[] = {
	{ 0, 0, 0 },
	{ 1000, 1000, 0 },
	{ 999, 1000, 0 },
	{ 1, 0, 1 },
	{ 999999, 0, 1 },
	{ 1000000, 0, 1 },
	{ 1000001, 0, 2 },
	{ INT64_C(2147483647) * 1000000, 0, INT_MAX },
	{ INT64_C(2147483648) * 1000000, 0, INT_MAX },
	{ INT64_MAX - 1, 0, INT_MAX },
	{ INT64_MAX, 0, -1 },
	{ INT64_MAX, INT64_MAX, -1 },
};

START_TEST(poll_waits_no_less_than_what_is_left)
{
	ck_assert_int_eq(
		instant_poll_ms(at(polls[_i].deadline), at(polls[_i].now)), polls[_i].expected);
}
END_TEST

START_TEST(timespec_splits_seconds_and_nanoseconds)
{
	struct timespec ts = instant_timespec(at(INT64_C(12000000034)));
	ck_assert_int_eq(ts.tv_sec, 12);
	ck_assert_int_eq(ts.tv_nsec, 34);
	ts = instant_timespec(at(999999999));
	ck_assert_int_eq(ts.tv_sec, 0);
	ck_assert_int_eq(ts.tv_nsec, 999999999);
}
END_TEST

/* Flask-SignalBus's schedule: 11 retries, the first at once. */
static const double conflict_delays[] = { 0, 0.1, 0.2, 0.4, 0.8, 1, 1, 1, 1, 1, 1 };

START_TEST(conflicts_are_retried_at_once_then_slower_up_to_a_second)
{
	ck_assert_double_eq_tol(clock_conflict_delay((unsigned)_i + 1), conflict_delays[_i], 1e-12);
}
END_TEST

START_TEST(conflicts_are_retried_eleven_times)
{
	ck_assert_double_ge(clock_conflict_delay(11), 0);
	ck_assert_double_lt(clock_conflict_delay(12), 0);
	ck_assert_double_lt(clock_conflict_delay(UINT_MAX), 0);
}
END_TEST

START_TEST(backoff_doubles_from_a_tenth_to_ten_seconds)
{
	static const double steps[] = { 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10, 10, 10 };
	for (unsigned n = 1; n <= COUNT(steps); n++) {
		double step = steps[n - 1];
		ck_assert_double_eq_tol(clock_backoff_delay(n, 0), step / 2, 1e-12);
		ck_assert_double_eq_tol(clock_backoff_delay(n, 0.5), step * 0.75, 1e-12);
		ck_assert_double_lt(clock_backoff_delay(n, 0.999999), step);
	}
}
END_TEST

START_TEST(backoff_stays_within_bounds_however_long_it_lasts)
{
	static const unsigned tries[] = { 0, 1, 8, 64, 1000, 1U << 31, UINT_MAX };
	for (size_t i = 0; i < COUNT(tries); i++)
		for (int eighths = 0; eighths < 8; eighths++) {
			double delay = clock_backoff_delay(tries[i], eighths / 8.0);
			ck_assert_double_ge(delay, 0.05);
			ck_assert_double_lt(delay, 10);
		}
}
END_TEST

int main(void)
{
	const struct test tests[] = {
		{ now_never_goes_back, 1, 0 },
		{ after_adds_seconds_and_stops_at_never, COUNT(sums), 0 },
		{ before_is_strict, 1, 0 },
		{ earlier_is_the_lesser_of_both, 1, 0 },
		{ seconds_have_a_sign, 1, 0 },
		{ poll_waits_no_less_than_what_is_left, COUNT(polls), 0 },
		{ timespec_splits_seconds_and_nanoseconds, 1, 0 },
		{ conflicts_are_retried_at_once_then_slower_up_to_a_second, COUNT(conflict_delays),
			0 },
		{ conflicts_are_retried_eleven_times, 1, 0 },
		{ backoff_doubles_from_a_tenth_to_ten_seconds, 1, 0 },
		{ backoff_stays_within_bounds_however_long_it_lasts, 1, 0 },
	};
	return suite_run("clock", tests, COUNT(tests));
}
