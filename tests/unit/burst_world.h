/*
 * burst_world - a burst that runs against the doubles, and what holds of it whatever happens.
 */
#ifndef SIGNALBUS_TEST_BURST_WORLD_H
#define SIGNALBUS_TEST_BURST_WORLD_H

#include "burst_doubles.h"

/* What runs: a burst on a model with a key, and what became of it. */
static struct {
	struct fixture fixture;
	struct store store;
	struct broker broker;
	struct model *model;
	struct recovery *recovery;
	struct burst *burst;
	struct burst_result result;
	struct error error;
} world;

static inline struct model *resolve(void)
{
	static const struct told_column columns[] = { { "id", INT8_OID, "bigint" },
		{ "body", TEXT_OID, "text" } };
	return fixture_resolved(&world.fixture, columns, COUNT(columns), "id");
}

/* A burst of another worker, or with another configuration, instead. */
static inline void replace_burst(unsigned worker, unsigned workers)
{
	burst_free(world.burst);
	world.burst = burst_new(&world.fixture.config, &world.store, &world.broker,
		(struct burst_owner){ worker, workers, world.recovery });
}

static inline void begin(void)
{
	fixture_init(&world.fixture);
	world.fixture.settings.key = "id";
	world.model = resolve();
	world.recovery = recovery_new("it");
	replace_burst(0, 1);
	script = (struct script){ 0 };
	seen = (struct seen){ 0 };
}

static inline void end(void)
{
	burst_free(world.burst);
	world.burst = NULL;
	recovery_free(world.recovery);
	model_free(world.model);
}

/* What holds of every burst, whatever happened.  That only stored rows are deleted is seen to where
 * they are deleted. */
static inline void check_burst(bool ok)
{
	ck_assert(!seen.in_transaction);
	ck_assert_uint_eq(seen.claims_open, 0);
	ck_assert_ptr_null(seen.open);
	ck_assert_uint_eq(seen.claims, 1);
	ck_assert_uint_le(seen.settles + seen.abandons, 1 + script.is_unconfirmed);
	ck_assert_uint_eq(world.result.sent, seen.deleted_count - seen.moved_count);
	ck_assert_uint_eq(world.result.dead_lettered, seen.moved_count);
	bool claimed = script.claim_error == ERROR_NONE;
	ck_assert_uint_eq(world.result.claimed, claimed ? script.rows : 0);
	bool is_excused = seen.in_order && seen.moved_count > 0;
	if (!is_excused)
		ck_assert_int_eq(
			ok, claimed && !script.is_unconfirmed &&
				    seen.deleted_count + world.result.put_off == script.rows);
	if (!ok)
		ck_assert_int_ne(world.error.kind, ERROR_NONE);
	for (size_t row = 1; seen.in_order && row < script.rows; row++)
		ck_assert_msg(!seen.deleted[row] || seen.deleted[row - 1],
			"row %zu is deleted before row %zu", row, row - 1);
	for (size_t row = 0; seen.deleted_count > 0 && !seen.in_order && row < script.rows; row++)
		ck_assert_int_eq(seen.deleted[row],
			(seen.stored[row] && !script.kept[row]) || seen.moved[row]);
}

static inline bool run_order(const struct burst_order *order)
{
	world.error = (struct error){ 0 };
	bool ok = burst_run(world.burst, order, &world.result, &world.error);
	check_burst(ok);
	return ok;
}

static inline bool run(enum claim_kind kind)
{
	return run_order(&(struct burst_order){ .model = world.model, .kind = kind });
}

/* Which rows were deleted: "d" a deleted one, "x" a dead letter, "." one that stays. */
static inline void check_deleted(const char *expected)
{
	char deleted[ROWS_MAX + 1] = "";
	for (size_t row = 0; row < script.rows; row++)
		deleted[row] = seen.moved[row] ? 'x' : seen.deleted[row] ? 'd' : '.';
	ck_assert_str_eq(deleted, expected);
}

#endif
