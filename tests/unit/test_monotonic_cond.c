#include "base/clock.h"

#include "suite.h"

#include <threads.h>

static cnd_t condition;
static mtx_t mutex;

static void begin(void)
{
	ck_assert_int_eq(cnd_init(&condition), thrd_success);
	ck_assert_int_eq(mtx_init(&mutex, mtx_plain), thrd_success);
	ck_assert_int_eq(mtx_lock(&mutex), thrd_success);
}

static void end(void)
{
	mtx_unlock(&mutex);
	mtx_destroy(&mutex);
	cnd_destroy(&condition);
}

/* On the wall clock. */
static struct timespec in_ms(long ms)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	long ns = t.tv_nsec + ms % 1000 * 1000000;
	return (struct timespec){ t.tv_sec + ms / 1000 + ns / 1000000000, ns % 1000000000 };
}

/* So that the end of a second, too, is crossed. */
static const long waits_ms[] = { 150, 450, 750, 1050 };

START_TEST(a_wait_takes_its_time)
{
	begin();
	double seconds = (double)waits_ms[_i] / 1e3;
	struct instant start = clock_now();
	struct timespec until = in_ms(waits_ms[_i]);
	ck_assert_int_eq(cnd_timedwait(&condition, &mutex, &until), thrd_timedout);
	double waited = instant_seconds(start, clock_now());
	ck_assert_double_ge(waited, seconds - 0.001);
	ck_assert_double_lt(waited, seconds + 5);
	end();
}
END_TEST

static const struct timespec past[] = { { 0, 0 }, { 1, 999999999 }, { 1600000000, 1 } };

START_TEST(a_time_that_is_over_is_not_waited_for)
{
	begin();
	ck_assert_int_eq(cnd_timedwait(&condition, &mutex, &past[_i]), thrd_timedout);
	end();
}
END_TEST

static int wake(void *unused)
{
	(void)unused;
	mtx_lock(&mutex);
	cnd_signal(&condition);
	mtx_unlock(&mutex);
	return 0;
}

START_TEST(a_wait_is_ended_by_a_signal)
{
	thrd_t thread;
	begin();
	struct timespec until = in_ms(60000);
	ck_assert_int_eq(thrd_create(&thread, wake, NULL), thrd_success);
	ck_assert_int_eq(cnd_timedwait(&condition, &mutex, &until), thrd_success);
	ck_assert_int_eq(thrd_join(thread, NULL), thrd_success);
	end();
}
END_TEST

int main(void)
{
	const struct test tests[] = {
		{ a_wait_takes_its_time, COUNT(waits_ms), 0 },
		{ a_time_that_is_over_is_not_waited_for, COUNT(past), 0 },
		{ a_wait_is_ended_by_a_signal, 1, 0 },
	};
	return suite_run("monotonic_cond", tests, COUNT(tests));
}
