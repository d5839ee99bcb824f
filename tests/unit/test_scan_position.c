#include "store/scan_position.h"

#include "suite.h"

#include <string.h>

static const struct instant start = { INT64_C(1000000000000) };

static struct instant later(double seconds)
{
	return instant_after(start, seconds);
}

static struct position *at(const char *where)
{
	struct position *p = position_new();
	struct row_position place = { 0 };
	place_add(&place, where);
	position_set(p, &place);
	ck_assert_uint_eq(place.count, 0); /* it belongs to the position now */
	return p;
}

static bool is_at(struct position *p, const char *where)
{
	struct row_position place = position_get(p, NULL);
	bool is = where == NULL ? place.count == 0
				: place.count == 1 && strcmp(place.values[0], where) == 0;
	place_free(&place);
	return is;
}

/* A sweep that found nothing. */
static void sweep(struct position *p, double begin, double seconds)
{
	position_swept(p, later(begin), later(begin + seconds));
}

START_TEST(a_position_is_the_last_place_set)
{
	struct position *p = position_new();
	ck_assert(is_at(p, NULL));
	position_free(p);
	p = at("(7,1)");
	ck_assert(is_at(p, "(7,1)"));
	struct row_position place = { 0 };
	place_add(&place, "(9,4)");
	position_set(p, &place);
	ck_assert(is_at(p, "(9,4)"));
	position_free(p);
}
END_TEST

START_TEST(a_step_back_is_one_of_pages)
{
	static const struct {
		const char *from, *to;
	} steps[] = { { "(100,7)", "(68,0)" }, { "(33,1)", "(1,0)" }, { "(32,255)", "(0,0)" },
		{ "(0,1)", "(0,0)" }, { "(4294967294,1)", "(4294967262,0)" } };
	for (size_t i = 0; i < COUNT(steps); i++) {
		struct position *p = at(steps[i].from);
		ck_assert(position_step_back(p, NULL));
		ck_assert(is_at(p, steps[i].to));
		ck_assert(!position_step_back(p, NULL));
		ck_assert(is_at(p, steps[i].to));
		position_free(p);
	}
}
END_TEST

START_TEST(there_is_no_step_back_from_the_beginning)
{
	struct position *p = position_new();
	ck_assert(!position_step_back(p, NULL));
	ck_assert(is_at(p, NULL));
	position_free(p);
}
END_TEST

START_TEST(a_cheap_sweep_forgets_the_place_and_the_next_one_need_not_wait)
{
	struct position *p = at("(7,1)");
	for (int i = 0; i < 3; i++)
		sweep(p, i, 0.0015);
	ck_assert(is_at(p, NULL));
	ck_assert_double_eq(position_rest(p, later(2.0015)), 0);
	position_free(p);
}
END_TEST

START_TEST(one_slow_sweep_says_nothing)
{
	struct position *p = at("(7,1)");
	sweep(p, 0, 0.001);
	sweep(p, 1, 0.5);
	ck_assert(is_at(p, NULL));
	ck_assert_double_eq(position_rest(p, later(1.5)), 0);
	position_free(p);
}
END_TEST

START_TEST(expensive_sweeps_keep_the_place_and_take_a_fiftieth_of_the_time)
{
	struct position *p = at("(7,1)");
	sweep(p, 0, 0.030);
	struct row_position place = { 0 };
	place_add(&place, "(9,4)");
	position_set(p, &place);
	sweep(p, 1, 0.020);
	ck_assert(is_at(p, "(9,4)"));
	ck_assert_double_eq_tol(position_rest(p, later(1.020)), 1.0, 1e-6);
	ck_assert_double_eq_tol(position_rest(p, later(1.520)), 0.5, 1e-6);
	ck_assert_double_eq(position_rest(p, later(2.020)), 0);
	position_free(p);
}
END_TEST

START_TEST(when_the_dead_rows_are_gone_sweeps_are_cheap_again)
{
	struct position *p = at("(7,1)");
	sweep(p, 0, 0.030);
	sweep(p, 1, 0.030);
	sweep(p, 3, 0.001);
	ck_assert_double_eq(position_rest(p, later(3.001)), 0);
	ck_assert(is_at(p, NULL));
	position_free(p);
}
END_TEST

int main(void)
{
	const struct test tests[] = {
		{ a_position_is_the_last_place_set, 1, 0 },
		{ a_step_back_is_one_of_pages, 1, 0 },
		{ there_is_no_step_back_from_the_beginning, 1, 0 },
		{ a_cheap_sweep_forgets_the_place_and_the_next_one_need_not_wait, 1, 0 },
		{ one_slow_sweep_says_nothing, 1, 0 },
		{ expensive_sweeps_keep_the_place_and_take_a_fiftieth_of_the_time, 1, 0 },
		{ when_the_dead_rows_are_gone_sweeps_are_cheap_again, 1, 0 },
	};
	return suite_run("scan_position", tests, COUNT(tests));
}
