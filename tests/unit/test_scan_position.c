#include "base/text.h"
#include "relay/scan_position.h"
#include "store/store.h"

#include "model_fixture.h"
#include "suite.h"

#include <stdio.h>
#include <string.h>

enum { BURST = 10, PAGE = 4 /* rows */ };

static struct {
	struct model_config settings;
	struct model model;
	struct position *position;
	struct scan_range range;
	struct claim claim;
} world;

static void begin(void)
{
	static char state[] = "as it was";
	world.settings.burst_count = BURST;
	world.model = (struct model){ .settings = &world.settings, .table_state = state };
	world.position = position_new();
}

static void end(void)
{
	position_free(world.position);
}

static void take(bool is_shared)
{
	world.range = range_take(world.position, &world.model, false, is_shared);
}

/* Whether the range is of a kind, and reaches from a place to another one. */
static bool is(enum claim_kind kind, const char *from, const char *to)
{
	const struct scan_range *s = &world.range;
	return range_kind(s, CLAIM_BY_KEY) == kind &&
	       (from == NULL ? s->from.count == 0 : strcmp(s->from.values[0], from) == 0) &&
	       (to == NULL ? s->to.count == 0 : strcmp(s->to.values[0], to) == 0);
}

/* The range ends with a claim of count rows, the first one with a number, as pages hold them. */
static void find(size_t first, size_t count, bool more)
{
	struct claim claim = { .rows = rows_new(ROW_FIXED_FIELDS), .count = count, .more = more };
	for (size_t i = first; i < first + count; i++) {
		char ctid[32];
		snprintf(ctid, sizeof ctid, "(%zu,%zu)", i / PAGE, i % PAGE + 1);
		const struct field fields[] = { { ctid, strlen(ctid) }, { "1", 1 } };
		rows_add(claim.rows, fields);
	}
	range_end(&world.range, &world.model, &claim);
	rows_free(claim.rows);
}

/* Two workers in a backlog, whose first claim is over. */
static void begin_backlog(void)
{
	begin();
	take(true);
	ck_assert(is(CLAIM_FIRST, NULL, NULL));
	find(0, BURST, true); /* as far as (2,2) */
}

START_TEST(sessions_that_claim_at_the_same_time_have_consecutive_ranges)
{
	begin_backlog();
	take(true);
	ck_assert(is(CLAIM_RANGE, "(2,2)", "(4,4)"));
	ck_assert(range_has_end(&world.range));
	struct scan_range first = world.range;
	take(true);
	ck_assert(is(CLAIM_RANGE, "(4,4)", "(7,2)"));
	find(20, BURST, true);
	world.range = first;
	find(10, BURST, true);
	take(true);
	ck_assert(is(CLAIM_RANGE, "(7,2)", "(9,4)"));
	find(30, BURST / 2, false); /* too few rows to learn again */
	take(true);
	ck_assert(is(CLAIM_RANGE, "(9,4)", "(12,2)"));
	find(0, 0, false);
	end();
}
END_TEST

START_TEST(a_single_session_has_all_after_the_position)
{
	begin_backlog();
	take(false);
	ck_assert(is(CLAIM_NEXT, "(2,2)", NULL));
	ck_assert(!range_go_on(&world.range));
	find(0, 0, false);
	take(false);
	ck_assert(is(CLAIM_NEXT, "(2,2)", NULL));
	find(10, 1, false);
	take(false);
	ck_assert(is(CLAIM_NEXT, "(2,3)", NULL));
	find(0, 0, false);
	end();
}
END_TEST

/* How many rows a page holds is known of pages that were passed, by a claim that was full. */
static const struct {
	size_t first, count;
	bool more;
	bool has_children;
} unknown[] = {
	{ 0, BURST, false, false },
	{ 1, PAGE - 1, true, false },
	{ 0, BURST, true, true },
};

START_TEST(without_a_backlog_ranges_have_no_end)
{
	begin();
	take(true);
	size_t key[] = { ROW_CTID };
	world.model.has_children = unknown[_i].has_children;
	world.model.primary_key_fields = key;
	world.model.primary_key_count = 1;
	find(unknown[_i].first, unknown[_i].count, unknown[_i].more);
	take(true);
	ck_assert_int_eq(range_kind(&world.range, CLAIM_BY_KEY), CLAIM_NEXT);
	find(0, 0, false);
	end();
}
END_TEST

START_TEST(what_is_left_of_a_range_is_claimed_next)
{
	begin_backlog();
	take(true);
	find(10, BURST - 1, true); /* as many as fitted, and one before the end */
	take(true);
	ck_assert(is(CLAIM_NEXT, "(4,3)", NULL));
	find(19, BURST, true);
	take(true);
	ck_assert(is(CLAIM_RANGE, "(7,1)", "(9,3)"));
	find(0, 0, false);
	end();
}
END_TEST

START_TEST(if_rows_are_rare_the_next_range_has_no_end)
{
	begin_backlog();
	take(true);
	find(11, BURST / 2 - 1, false);
	take(true);
	ck_assert(is(CLAIM_NEXT, "(3,3)", NULL));
	find(0, 0, false);
	end();
}
END_TEST

/* The last rows may be within the range before. */
START_TEST(after_the_last_row_the_position_is_put_back)
{
	begin_backlog();
	take(true);
	find(10, BURST - 2, false);
	take(true);
	ck_assert(is(CLAIM_RANGE, "(4,4)", "(7,2)"));
	ck_assert(range_go_on(&world.range));
	ck_assert(is(CLAIM_NEXT, "(4,4)", "(7,2)"));
	ck_assert(!range_has_end(&world.range));
	ck_assert(!range_go_on(&world.range));
	find(0, 0, false);
	take(true);
	ck_assert(is(CLAIM_NEXT, "(1,4)", NULL));
	ck_assert(!range_go_on(&world.range));
	find(0, 0, false);
	take(true);
	ck_assert(is(CLAIM_NEXT, "(1,4)", NULL));
	find(0, 0, false);
	end();
}
END_TEST

START_TEST(of_several_that_found_nothing_the_first_one_decides)
{
	struct scan_range ranges[3] = { 0 };
	begin_backlog();
	for (size_t i = 0; i < COUNT(ranges); i++) {
		take(true);
		ranges[i] = world.range;
	}
	static const size_t ends[] = { 2, 0, 1 };
	for (size_t i = 0; i < COUNT(ends); i++) {
		world.range = ranges[ends[i]];
		ck_assert(range_go_on(&world.range));
		find(0, 0, false);
	}
	take(true);
	ck_assert(is(CLAIM_NEXT, "(0,2)", NULL));
	find(0, 0, false);
	end();
}
END_TEST

START_TEST(after_a_hole_it_continues)
{
	begin_backlog();
	take(true);
	ck_assert(range_go_on(&world.range));
	find(400, BURST, true);
	take(true);
	ck_assert(is(CLAIM_RANGE, "(102,2)", "(104,4)"));
	find(0, 0, false);
	end();
}
END_TEST

START_TEST(from_the_start_it_is_all_of_the_table)
{
	begin_backlog();
	world.range = range_take(world.position, &world.model, true, true);
	ck_assert(is(CLAIM_FIRST, NULL, NULL));
	find(0, 0, false);
	take(true);
	ck_assert(is(CLAIM_RANGE, "(2,2)", "(4,4)"));
	find(0, 0, false);
	end();
}
END_TEST

/* A ctid is no place in what has become a parent, nor is a key of another type one. */
START_TEST(a_table_that_has_changed_is_looked_at_from_its_beginning)
{
	static char other[] = "as it is now";
	begin_backlog();
	find(0, 0, false);
	world.model.table_state = other;
	if (_i == 1)
		ck_assert(!position_step_back(world.position, other));
	take(true);
	ck_assert(is(CLAIM_FIRST, NULL, NULL));
	find(0, 0, false);
	end();
}
END_TEST

START_TEST(without_a_position_it_is_none)
{
	world.range = range_take(NULL, &world.model, false, true);
	ck_assert(is(CLAIM_BY_KEY, NULL, NULL));
	ck_assert(!range_go_on(&world.range));
	find(0, 1, true);
}
END_TEST

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
	position_set(p, &place, 0);
	ck_assert_uint_eq(place.count, 0); /* it belongs to the position now */
	return p;
}

static bool is_at(struct position *p, const char *where)
{
	const struct model model = { 0 };
	struct scan_range range = range_take(p, &model, false, false);
	const struct row_position *from = &range.from;
	bool is = where == NULL ? from->count == 0
				: from->count == 1 && strcmp(from->values[0], where) == 0;
	range_free(&range);
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
	position_set(p, &place, 0);
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
	position_set(p, &place, 0);
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
		{ sessions_that_claim_at_the_same_time_have_consecutive_ranges, 1, 0 },
		{ a_single_session_has_all_after_the_position, 1, 0 },
		{ without_a_backlog_ranges_have_no_end, COUNT(unknown), 0 },
		{ what_is_left_of_a_range_is_claimed_next, 1, 0 },
		{ if_rows_are_rare_the_next_range_has_no_end, 1, 0 },
		{ after_the_last_row_the_position_is_put_back, 1, 0 },
		{ of_several_that_found_nothing_the_first_one_decides, 1, 0 },
		{ after_a_hole_it_continues, 1, 0 },
		{ from_the_start_it_is_all_of_the_table, 1, 0 },
		{ a_table_that_has_changed_is_looked_at_from_its_beginning, 2, 0 },
		{ without_a_position_it_is_none, 1, 0 },
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
