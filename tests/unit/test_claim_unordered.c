#include "base/text.h"
#include "store/store_internal.h"

#include "model_fixture.h"
#include "suite.h"

#include <stdio.h>
#include <string.h>

/* A store whose session is scripted, and what it was asked for: a letter for each call, in capitals
 * when it is sent and in small ones when it is answered.  B is BEGIN, C a claim, or T where that
 * locks nothing; P proves the session, F the ordered lock, and M makes settings; R sets the role's
 * search_path, S how long what follows waits for locks, and D is
 * the deletion; - is an answer that nobody wants. */
static struct {
	struct fixture fixture;
	struct store store;
	struct session_model described;
	struct model *model;
	struct row_position from, to;
	struct claim claim;
	struct error error;
	/* The script: */
	bool has_changed, is_pooled, is_shared;
	bool send_fails, receive_fails, is_unprepared, plan_fails, has_null;
	size_t rows;
	/* What happened: */
	char calls[256];
	size_t prepared, planned, forgotten;
	bool heeds_stop;
} world;

static void write_down(const struct db_call *call, bool is_answer)
{
	size_t end = strlen(world.calls);
	char letter = call->sql != NULL ? call->sql[0] : 'C';
	ck_assert_uint_lt(end, sizeof world.calls - 1);
	world.calls[end] = (char)(is_answer ? letter - 'A' + 'a' : letter);
}

static const struct db_call *claim_of(const struct db_call *calls)
{
	while (calls->prepared == NULL || strncmp(calls->prepared, "claim", 5) != 0)
		calls++;
	return calls;
}

bool db_send(struct db *db, const struct db_call *calls, size_t count, struct error *e)
{
	(void)db;
	for (size_t i = 0; i < count; i++)
		write_down(&calls[i], false);
	ck_assert_str_eq(claim_of(calls)->values[0], "(0,5)");
	return !world.send_fails || error_set(e, ERROR_CONNECTION, "lost");
}

bool db_receive(struct db *db, const struct db_call *calls, size_t count, struct instant deadline,
	struct error *e)
{
	const struct field key = { world.has_null ? NULL : "6", world.has_null ? 0 : 1 };
	const struct field fields[ROW_FIXED_FIELDS + 2] = { { "(0,6)", 5 }, { "16384", 5 }, key,
		{ "six", 3 } };
	(void)db;
	(void)deadline;
	for (size_t i = 0; i < count; i++)
		write_down(&calls[i], true);
	if (world.receive_fails)
		return error_set(e, ERROR_DATABASE, "refused");
	struct rows *rows = *claim_of(calls)->rows = rows_new(COUNT(fields));
	for (size_t i = 0; i < world.rows; i++)
		rows_add(rows, fields);
	return true;
}

/* Nothing is deleted. */
bool db_run(struct db *db, const struct db_call *calls, size_t count, struct instant deadline,
	struct error *e)
{
	(void)db;
	(void)calls;
	(void)deadline;
	(void)e;
	ck_abort_msg("%zu calls", count);
}

bool db_is_utf8(const struct db *db)
{
	(void)db;
	return true;
}

void db_heed_stop(struct db *db, bool heeds)
{
	(void)db;
	world.heeds_stop = heeds;
}

struct instant store_deadline(const struct store *s)
{
	(void)s;
	return (struct instant){ 1 };
}

char *store_prepare(struct store *s, const struct model *m, struct statement st, struct error *e)
{
	(void)s;
	(void)m;
	free(st.sql);
	world.prepared += !*st.done;
	*st.done = true;
	return world.is_unprepared && !error_set(e, ERROR_PLAN, "no") ? NULL : text_copy(st.what);
}

bool db_prove(const struct db *db, struct db_call *call)
{
	(void)db;
	*call = (struct db_call){ .sql = "PROVE" };
	return world.is_pooled;
}

bool db_restore_settings(const struct db *db, struct db_call *call)
{
	(void)db;
	*call = (struct db_call){ .sql = "MAKE" };
	return world.is_shared;
}

void lock_session_fence(struct lock_session *l, const struct model *m, bool is_exclusive,
	struct db_call calls[FENCE_CALLS])
{
	ck_assert(l == world.store.locks && m == world.model && !is_exclusive);
	for (int i = 0; i < FENCE_CALLS; i++)
		calls[i] = (struct db_call){ .sql = "FENCE" };
}

void lock_session_explain(struct lock_session *l, const struct model *m, struct error *e)
{
	if (l != NULL)
		error_prefix(e, "%s explained", m->settings->name);
}

struct db_call db_role_path(struct db *db)
{
	(void)db;
	return (struct db_call){ .sql = "ROLE" };
}

/* Before the first claim, whether rows can be deleted. */
bool store_query_model(struct store *s, const struct model *m, struct db_call call, struct error *e)
{
	(void)s;
	(void)m;
	ck_assert_int_eq(strncmp(call.sql, "EXPLAIN (COSTS OFF) DELETE ", 27), 0);
	ck_assert_str_eq(world.calls, "");
	world.planned++;
	return !world.plan_fails || error_set(e, ERROR_DATABASE, "permission denied");
}

/* What the state of the table is, after a claim that failed; and savepoints. */
bool store_query(struct store *s, struct db_call call, struct error *e)
{
	const struct field now = { world.has_changed ? "other" : "same",
		world.has_changed ? 5 : 4 };
	(void)s;
	(void)e;
	if (call.prepared == NULL)
		return true;
	ck_assert_str_eq(call.prepared, "table_state");
	if (call.sql != NULL)
		return true;
	*call.rows = rows_new(1);
	rows_add(*call.rows, &now);
	return true;
}

void store_forget(struct store *s, size_t index)
{
	ck_assert_ptr_eq(&s->models[index], &world.described);
	world.forgotten++;
}

bool store_claim_ordered(struct store *s, const struct model *m,
	const struct claim_request *request, struct claim *claim, struct error *e)
{
	(void)s;
	(void)m;
	(void)request;
	(void)claim;
	(void)e;
	ck_abort();
}

bool store_connected(const struct store *s)
{
	return s != NULL;
}

bool store_roll_back(struct store *s, struct error *e)
{
	(void)e;
	store_forget_sent(s);
	return true;
}

void store_abandon(struct store *s)
{
	ck_assert_ptr_null(s->deletions.calls);
	store_forget_sent(s);
}

static void begin(void)
{
	static char lock_wait[] = "SET LOCAL lock_timeout = 27000";
	static const struct told_column columns[] = { { "id", INT8_OID, "bigint" },
		{ "body", TEXT_OID, "text" } };
	fixture_init(&world.fixture);
	world.fixture.settings.burst_count = 3;
	world.fixture.settings.burst_bytes = 1 << 20;
	world.model = fixture_resolved(&world.fixture, columns, COUNT(columns), "id");
	static char state[] = "table_state";
	world.store.states[0] = world.store.states[1] = state;
	world.model->table_state = text_copy("same");
	world.store.models = &world.described;
	world.store.longer_lock_wait = lock_wait;
	static char *values[] = { "(0,5)", "(1,5)" };
	world.from = (struct row_position){ .values = values, .count = 1 };
	world.to = (struct row_position){ .values = values + 1, .count = 1 };
	world.rows = 3;
}

static void end(void)
{
	deletions_free(&world.store.deletions);
	claim_free(&world.claim);
	model_free(world.model);
}

static struct claim_request request(enum claim_kind kind)
{
	return (struct claim_request){ .kind = kind, .from = &world.from, .to = &world.to };
}

static bool claim(enum claim_kind kind)
{
	struct claim_request r = request(kind);
	claim_free(&world.claim);
	return store_claim(&world.store, world.model, &r, &world.claim, &world.error);
}

/* As store_settle() does. */
static void prefetch(enum claim_kind kind)
{
	struct claim_request r = request(kind);
	store_prefetch(&world.store, world.model, &r);
}

/* A model that has people's code run: also one that nobody asks for in the end. */
START_TEST(a_claim_is_executed_with_the_path_of_the_role)
{
	begin();
	world.model->as_role = true;
	ck_assert(claim(CLAIM_NEXT));
	ck_assert_str_eq(world.calls, "BRCbrc");
	ck_assert_uint_eq(world.claim.count, 3);
	prefetch(CLAIM_NEXT);
	ck_assert_str_eq(world.calls, "BRCbrcBRC");
	store_forget_sent(&world.store);
	end();
}
END_TEST

START_TEST(claims_are_smaller_while_bursts_take_too_long)
{
	begin();
	world.fixture.settings.burst_count = 100;
	ck_assert(claim(CLAIM_NEXT));
	for (size_t size = 100; size > 0; size /= 2) {
		ck_assert_uint_eq(store_claim_size(&world.store, world.model), size);
		store_reduce_claims(&world.store, world.model);
	}
	ck_assert_uint_eq(store_claim_size(&world.store, world.model), 1);
	world.calls[0] = '\0';
	ck_assert(claim(CLAIM_NEXT));
	ck_assert_uint_eq(world.prepared, 2); /* another statement */
	ck_assert_uint_eq(store_claim_size(&world.store, world.model), 1);
	for (int i = 0; i < 10; i++)
		store_enlarge_claims(&world.store, world.model);
	ck_assert_uint_eq(store_claim_size(&world.store, world.model), 100);
	end();
}
END_TEST

static const enum claim_kind kinds[] = { CLAIM_NEXT, CLAIM_RANGE };

START_TEST(that_rows_can_be_deleted_is_found_out_before_they_are_claimed)
{
	begin();
	world.plan_fails = true;
	for (int i = 0; i < 2; i++)
		ck_assert(!claim(CLAIM_NEXT));
	ck_assert_str_eq(world.error.text, "permission denied");
	ck_assert_str_eq(world.calls, "");
	world.plan_fails = false;
	ck_assert(claim(CLAIM_NEXT));
	ck_assert_uint_eq(world.planned, 3);
	memset(world.calls, 0, sizeof world.calls);
	ck_assert(claim(CLAIM_NEXT));
	ck_assert_uint_eq(world.planned, 3);
	end();
}
END_TEST

START_TEST(a_child_whose_key_is_null_is_looked_at_again)
{
	begin();
	world.model->has_children = _i == 1;
	world.has_null = true;
	ck_assert_int_eq(claim(CLAIM_NEXT), _i == 0);
	ck_assert_uint_eq(world.forgotten, _i == 1);
	if (_i == 1)
		ck_assert_ptr_nonnull(strstr(world.error.text, "has NULL in its key"));
	end();
}
END_TEST

/* Else what does not fit the table any more would stop the model. */
/* Behind a pooler it shows first that it is in this session, with what that holds. */
START_TEST(a_claim_proves_its_session_if_a_pooler_may_change_it)
{
	begin();
	world.is_pooled = true;
	ck_assert(claim(CLAIM_NEXT));
	ck_assert_str_eq(world.calls, "BPCbpc");
	end();
}
END_TEST

/* Nothing is read before the lock, which is another session's, is proved to be held. */
START_TEST(a_claim_proves_an_ordered_lock_that_another_session_has)
{
	begin();
	world.is_shared = true;
	world.store.locks = (struct lock_session *)&world;
	ck_assert(claim(CLAIM_NEXT));
	ck_assert_str_eq(world.calls, "BMCbmc");
	world.described.locked = true;
	world.described.lock_mode = LOCK_SHARED;
	prefetch(CLAIM_NEXT);
	ck_assert_str_eq(world.calls, "BMCbmcBMFFC");
	world.receive_fails = true;
	ck_assert(!claim(CLAIM_NEXT));
	ck_assert_ptr_nonnull(strstr(world.error.text, " explained: "));
	end();
}
END_TEST

START_TEST(a_claim_that_fails_is_planned_again_if_the_table_has_changed)
{
	begin();
	world.receive_fails = true;
	world.has_changed = _i == 1;
	ck_assert(!claim(CLAIM_NEXT));
	ck_assert_int_eq(world.error.kind, _i == 1 ? ERROR_PLAN : ERROR_DATABASE);
	end();
}
END_TEST

START_TEST(a_prefetched_claim_is_only_received)
{
	begin();
	ck_assert(claim(kinds[_i]));
	ck_assert_str_eq(world.calls, "BCbc");
	struct instant before = clock_now();
	prefetch(kinds[_i]);
	struct instant after = clock_now();
	ck_assert_str_eq(world.calls, "BCbcBC");
	ck_assert(claim(kinds[_i]));
	ck_assert_str_eq(world.calls, "BCbcBCbc");
	ck_assert_uint_eq(world.claim.count, 3);
	ck_assert(world.claim.more);
	ck_assert(!instant_before(world.claim.since, before));
	ck_assert(!instant_before(after, world.claim.since));
	/* Only once. */
	ck_assert(claim(kinds[_i]));
	ck_assert_str_eq(world.calls, "BCbcBCbcBCbc");
	ck_assert(!instant_before(world.claim.since, after));
	ck_assert_uint_eq(world.prepared, 1);
	end();
}
END_TEST

START_TEST(a_statement_that_would_have_to_be_prepared_is_not_prefetched)
{
	begin();
	prefetch(CLAIM_NEXT);
	ck_assert(claim(CLAIM_RANGE));
	prefetch(CLAIM_NEXT);
	ck_assert_str_eq(world.calls, "BCbc");
	ck_assert_ptr_null(world.store.prefetched);
	end();
}
END_TEST

START_TEST(if_it_cannot_be_sent_it_is_claimed_as_usual)
{
	begin();
	ck_assert(claim(CLAIM_NEXT));
	world.send_fails = true;
	prefetch(CLAIM_NEXT);
	ck_assert_ptr_null(world.store.prefetched);
	world.send_fails = false;
	ck_assert(claim(CLAIM_NEXT));
	ck_assert_str_eq(world.calls, "BCbcBCBCbc");
	end();
}
END_TEST

START_TEST(a_prefetched_claim_that_fails_fails_as_any_other)
{
	begin();
	ck_assert(claim(CLAIM_NEXT));
	prefetch(CLAIM_NEXT);
	world.receive_fails = true;
	ck_assert(!claim(CLAIM_NEXT));
	ck_assert_str_eq(world.error.text, "refused");
	ck_assert_ptr_null(world.store.prefetched);
	ck_assert(!world.heeds_stop);
	world.receive_fails = false;
	ck_assert(claim(CLAIM_NEXT));
	ck_assert_str_eq(world.calls, "BCbcBCbcBCbc");
	end();
}
END_TEST

START_TEST(an_empty_one_leaves_no_transaction)
{
	begin();
	ck_assert(claim(CLAIM_NEXT));
	prefetch(CLAIM_NEXT);
	world.rows = 0;
	ck_assert(claim(CLAIM_NEXT));
	ck_assert_uint_eq(world.claim.count, 0);
	ck_assert_ptr_null(world.claim.rows);
	end();
}
END_TEST

START_TEST(a_statement_that_cannot_be_prepared_is_a_failure)
{
	begin();
	world.is_unprepared = true;
	ck_assert(!claim(CLAIM_NEXT));
	ck_assert_int_eq(world.error.kind, ERROR_PLAN);
	ck_assert_str_eq(world.calls, "");
	end();
}
END_TEST

int main(void)
{
	const struct test tests[] = {
		{ claims_are_smaller_while_bursts_take_too_long, 1, 0 },
		{ that_rows_can_be_deleted_is_found_out_before_they_are_claimed, 1, 0 },
		{ a_child_whose_key_is_null_is_looked_at_again, 2, 0 },
		{ a_claim_is_executed_with_the_path_of_the_role, 1, 0 },
		{ a_claim_proves_its_session_if_a_pooler_may_change_it, 1, 0 },
		{ a_claim_proves_an_ordered_lock_that_another_session_has, 1, 0 },
		{ a_claim_that_fails_is_planned_again_if_the_table_has_changed, 2, 0 },
		{ a_prefetched_claim_is_only_received, COUNT(kinds), 0 },
		{ a_statement_that_would_have_to_be_prepared_is_not_prefetched, 1, 0 },
		{ if_it_cannot_be_sent_it_is_claimed_as_usual, 1, 0 },
		{ a_prefetched_claim_that_fails_fails_as_any_other, 1, 0 },
		{ an_empty_one_leaves_no_transaction, 1, 0 },
		{ a_statement_that_cannot_be_prepared_is_a_failure, 1, 0 },
	};
	return suite_run("claim_unordered", tests, COUNT(tests));
}
