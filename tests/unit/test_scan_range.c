#include "base/text.h"
#include "relay/scan_range.h"

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
	       (from == NULL ? s->span.from.count == 0
			     : strcmp(s->span.from.values[0], from) == 0) &&
	       (to == NULL ? s->span.to.count == 0 : strcmp(s->span.to.values[0], to) == 0);
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
	range_end(&world.range, &world.model, &claim, BURST);
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

START_TEST(without_a_backlog_rangees_have_no_end)
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

int main(void)
{
	const struct test tests[] = {
		{ sessions_that_claim_at_the_same_time_have_consecutive_ranges, 1, 0 },
		{ a_single_session_has_all_after_the_position, 1, 0 },
		{ without_a_backlog_rangees_have_no_end, COUNT(unknown), 0 },
		{ what_is_left_of_a_range_is_claimed_next, 1, 0 },
		{ if_rows_are_rare_the_next_range_has_no_end, 1, 0 },
		{ after_the_last_row_the_position_is_put_back, 1, 0 },
		{ of_several_that_found_nothing_the_first_one_decides, 1, 0 },
		{ after_a_hole_it_continues, 1, 0 },
		{ from_the_start_it_is_all_of_the_table, 1, 0 },
		{ a_table_that_has_changed_is_looked_at_from_its_beginning, 2, 0 },
		{ without_a_position_it_is_none, 1, 0 },
	};
	return suite_run("scan_range", tests, COUNT(tests));
}
