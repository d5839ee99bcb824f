#include "base/text.h"
#include "store/store_internal.h"

#include "model_fixture.h"
#include "suite.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { COUNT_ROWS = 60, OTHER = 3, KEPT = 40 };

/* A store whose session is scripted, and what it was asked for. */
static struct {
	struct store store;
	struct session_model described;
	struct model model;
	struct model_config settings;
	struct config config;
	struct claim claim;
	struct row_outcome outcomes[COUNT_ROWS];
	struct error error;
	/* The script: */
	bool prepare_fails, send_fails, deletion_fails, query_fails;
	enum error_kind commit_error; /* ERROR_NONE: it works */
	size_t deleted, locked;
	size_t limit;               /* how many one statement deletes, at most; 0: any number */
	bool has_kept;              /* KEPT is not deleted */
	enum error_kind move_error; /* of the row with this ctid */
	const char *unmoved;
	/* What happened: */
	bool is_committing;
	bool waits_again;
	size_t gone, released, moves; /* rows: deleted, and so for good; copied, or tried to */
	size_t sends, prefetch, receives, commits, abandons, roll_backs, restores, forgets;
} world;

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
	if (!world.prepare_fails)
		return text_copy(st.what);
	error_set(e, ERROR_CONNECTION, "lost");
	return NULL;
}

void lock_session_explain(struct lock_session *l, const struct model *m, struct error *e)
{
	(void)m;
	(void)e;
	ck_assert_ptr_null(l);
}

size_t store_begin(const struct store *s, const struct model *m, struct db_call *calls)
{
	(void)s;
	ck_assert(!m->as_role);
	calls[0] = (struct db_call){ .sql = "BEGIN" };
	return 1;
}

bool store_query_model(struct store *s, const struct model *m, struct db_call call, struct error *e)
{
	(void)s;
	(void)m;
	(void)call;
	(void)e;
	ck_abort();
}

bool db_restore_settings(const struct db *db, struct db_call *call)
{
	(void)db;
	(void)call;
	return false;
}

struct db_call db_role_path(struct db *db)
{
	(void)db;
	return (struct db_call){ .sql = "ROLE" };
}

static bool is_commit(const struct db_call *c)
{
	return c->sql != NULL && strcmp(c->sql, "COMMIT") == 0;
}

static bool is_lock_wait(const struct db_call *c)
{
	return c->sql != NULL && c->sql == world.store.longer_lock_wait;
}

/* Sent are the early deletion, then COMMIT, or both in one.  Before the deletion a hasty session is
 * set to wait for others' locks. */
bool db_send(struct db *db, const struct db_call *calls, size_t count, struct error *e)
{
	(void)db;
	for (size_t i = 0; i < count; i++) {
		bool is_delete =
			calls[i].prepared != NULL && strcmp(calls[i].prepared, "delete") == 0;
		ck_assert(i == count - 1 ? is_commit(&calls[i]) || is_delete
					 : is_delete || is_lock_wait(&calls[i]));
		ck_assert(!is_delete || world.waits_again == world.store.waits_longer);
		world.waits_again = world.waits_again || is_lock_wait(&calls[i]);
	}
	world.is_committing = is_commit(&calls[count - 1]);
	ck_assert(!world.is_committing || !world.store.waits_longer || world.waits_again);
	world.sends++;
	return !world.send_fails || error_set(e, ERROR_CONNECTION, "lost");
}

static const struct claim_request next_claim;

void store_prefetch(struct store *s, const struct model *m, const struct claim_request *next)
{
	ck_assert_ptr_eq(s, &world.store);
	ck_assert_ptr_eq(m, &world.model);
	ck_assert_ptr_eq(next, &next_claim);
	ck_assert(world.is_committing);
	world.prefetch++;
}

bool db_receive(struct db *db, const struct db_call *calls, size_t count, struct instant deadline,
	struct error *e)
{
	(void)db;
	(void)deadline;
	ck_assert_uint_eq(world.prefetch, world.is_committing);
	world.receives++;
	for (size_t i = 0; i < count; i++)
		if (calls[i].affected != NULL)
			*calls[i].affected = world.deleted;
	if (world.deletion_fails && !is_commit(&calls[0]))
		return error_set(e, ERROR_DATABASE, "refused");
	if (world.commit_error != ERROR_NONE)
		return error_set(e, world.commit_error, "refused");
	world.commits += is_commit(&calls[count - 1]);
	return true;
}

static struct rows *some_rows(size_t count)
{
	struct rows *rows = rows_new(1);
	const struct field field = { "4711", 4 };
	for (size_t i = 0; i < count; i++)
		rows_add(rows, &field);
	return rows;
}

bool db_was_late(const struct db *db, struct error *e)
{
	(void)db;
	(void)e;
	return false;
}

/* Savepoints, the transaction's number, or a row that is copied to the dead letters. */
bool store_query(struct store *s, struct db_call call, struct error *e)
{
	(void)s;
	ck_assert_int_eq(world.store.early, EARLY_NOT);
	if (world.query_fails)
		return error_set(e, ERROR_CONNECTION, "lost");
	if (call.rows != NULL)
		*call.rows = some_rows(1);
	world.waits_again = world.waits_again || is_lock_wait(&call);
	if (call.prepared == NULL) {
		if (strncmp(call.sql, "ROLLBACK TO", 11) == 0) {
			world.restores++;
			world.gone = world.released;
			if (strcmp(call.sql, "ROLLBACK TO SAVEPOINT settling") == 0)
				world.gone = world.released = 0;
		}
		if (strcmp(call.sql, "RELEASE SAVEPOINT part") == 0)
			world.released = world.gone;
		return true;
	}
	ck_assert_str_eq(call.prepared, "dead_letter");
	ck_assert_str_eq(call.values[0], "A");
	world.moves++;
	if (world.move_error != ERROR_NONE && strcmp(call.values[2], world.unmoved) == 0)
		return error_set(e, world.move_error, "no room");
	*call.affected = 1;
	return true;
}

/* Of a deletion: how many rows it is for, and whether the one with that number is among them.  A
 * length of a tid[] in binary format shows it. */
enum { HEADER = 20, ITEM = 4 + 6 };

static size_t rows_of(const struct db_call *call)
{
	return ((size_t)call->lengths[0] - HEADER) / ITEM;
}

static bool is_for(const struct db_call *call, size_t row)
{
	for (size_t i = 0; i < rows_of(call); i++)
		if ((unsigned char)call->values[0][HEADER + (i + 1) * ITEM - 1] == row + 1)
			return true;
	return false;
}

static bool run_deletion(const struct db_call *call, struct error *e)
{
	bool is_refused = world.has_kept && is_for(call, KEPT);
	if (is_refused || (world.limit > 0 && rows_of(call) > world.limit))
		return error_set(e, ERROR_DATABASE, "refused");
	*call->affected = rows_of(call);
	world.gone += rows_of(call);
	return true;
}

bool db_run(struct db *db, const struct db_call *calls, size_t count, struct instant deadline,
	struct error *e)
{
	(void)db;
	(void)deadline;
	for (size_t i = 0; i < count; i++) {
		const struct db_call *c = &calls[i];
		if (c->affected != NULL && !run_deletion(c, e))
			return false;
		if (c->rows != NULL)
			*c->rows = some_rows(world.locked);
		if (c->value_count == 2 && c->rows != NULL)
			ck_assert_str_eq(c->values[1], "4711");
		ck_assert(!is_commit(c));
		world.waits_again = world.waits_again || is_lock_wait(c);
		world.roll_backs += c->sql != NULL && strcmp(c->sql, "ROLLBACK") == 0;
	}
	return true;
}

bool store_connected(const struct store *s)
{
	return s != NULL;
}

bool claim_refuses(const struct claim *claim, size_t row)
{
	return claim->refusals != NULL && claim->refusals[row].reason != NULL;
}

void store_forget(struct store *s, size_t index)
{
	ck_assert_ptr_eq(&s->models[index], &world.described);
	world.forgets++;
}

void store_disconnect(struct store *s)
{
	(void)s;
}

void store_abandon(struct store *s)
{
	(void)s;
	world.abandons++;
}

void ordering_note_left(struct ordering *o, const struct model *m, const struct claim *claim,
	const struct row_outcome *outcomes)
{
	(void)o;
	(void)m;
	(void)claim;
	(void)outcomes;
}

/* A claim of rows after a burst that went well, all of which are stored. */
static void begin(void)
{
	world.settings.name = "A";
	world.settings.burst_bytes = 1 << 20;
	world.model.settings = &world.settings;
	world.config.timeout = 5;
	world.store.config = &world.config;
	world.model.relation = (char *)(uintptr_t) "shop.a";
	world.store.models = &world.described;
	world.store.longer_lock_wait = (char *)(uintptr_t) "wait";
	world.deleted = world.locked = COUNT_ROWS;
	world.claim = (struct claim){
		.rows = rows_new(ROW_FIXED_FIELDS), .count = COUNT_ROWS, .after_clean_burst = true
	};
	for (size_t i = 0; i < COUNT_ROWS; i++) {
		char ctid[32];
		snprintf(ctid, sizeof ctid, "(0,%zu)", i + 1);
		const struct field fields[] = { { ctid, strlen(ctid) }, { "16384", 5 } };
		rows_add(world.claim.rows, fields);
		world.outcomes[i].outcome = OUTCOME_DELETE;
	}
}

static void end(void)
{
	ck_assert_int_eq(world.store.early, EARLY_NOT);
	ck_assert_ptr_null(world.store.deletions.calls);
	rows_free(world.claim.rows);
	for (size_t i = 0; world.claim.refusals != NULL && i < COUNT_ROWS; i++)
		free(world.claim.refusals[i].reason);
	free(world.claim.refusals);
}

static void delete_early(void)
{
	store_delete_early(&world.store, &world.model, &world.claim);
}

static bool settle(void)
{
	const struct settle_request request = { .outcomes = world.outcomes, .next = &next_claim };
	return store_settle(&world.store, &world.model, &world.claim, &request, &world.error);
}

static bool keep(void)
{
	return store_undo_early_delete(&world.store, &world.model, &world.claim, &world.error);
}

/* With others to serve, the session waits long for locks only when it has sent something. */
START_TEST(what_is_deleted_early_is_committed_when_it_is_settled)
{
	begin();
	world.store.waits_longer = _i == 1;
	delete_early();
	ck_assert_int_eq(world.store.early, EARLY_SENT);
	ck_assert_uint_eq(world.commits, 0);
	ck_assert(settle());
	ck_assert_uint_eq(world.receives, 2);
	ck_assert_uint_eq(world.commits, 1);
	ck_assert(world.described.last_burst_clean);
	end();
}
END_TEST

START_TEST(a_commit_that_fails_is_abandoned)
{
	begin();
	delete_early();
	world.commit_error = _i == 0 ? ERROR_CONFLICT : ERROR_CONNECTION;
	ck_assert(!settle());
	ck_assert_int_eq(world.error.kind, world.commit_error);
	ck_assert_uint_eq(world.abandons, 1);
	end();
}
END_TEST

START_TEST(a_deletion_that_failed_is_not_committed)
{
	begin();
	world.deletion_fails = true;
	delete_early();
	ck_assert(!settle());
	ck_assert_str_eq(world.error.text, "refused");
	ck_assert_uint_eq(world.commits, 0);
	ck_assert_uint_eq(world.abandons, 1);
	end();
}
END_TEST

START_TEST(that_rows_were_kept_by_a_trigger_is_reported)
{
	begin();
	world.deleted--;
	delete_early();
	ck_assert(!settle());
	ck_assert_ptr_nonnull(strstr(world.error.text, "removed 59; does a trigger"));
	ck_assert_uint_eq(world.commits, 1);
	end();
}
END_TEST

/* The invariant that everything else serves. */
START_TEST(a_row_that_has_to_stay_is_never_committed)
{
	begin();
	delete_early();
	world.outcomes[OTHER].outcome = _i == 0 ? OUTCOME_KEEP : OUTCOME_DEFER;
	ck_assert(settle());
	ck_assert_uint_eq(world.roll_backs, 1);
	ck_assert_uint_eq(world.gone, COUNT_ROWS - 1);
	ck_assert_uint_eq(world.commits, 1);
	end();
}
END_TEST

static const struct {
	bool after_clean_burst, has_children;
	size_t count;
} usual[] = { { false, false, COUNT_ROWS }, { true, true, COUNT_ROWS }, { true, false, 49 } };

START_TEST(what_may_well_stay_is_not_deleted_early)
{
	begin();
	world.claim.after_clean_burst = usual[_i].after_clean_burst;
	world.claim.count = world.deleted = usual[_i].count;
	world.model.has_children = usual[_i].has_children;
	delete_early();
	ck_assert_int_eq(world.store.early, EARLY_NOT);
	ck_assert(keep());
	ck_assert_uint_eq(world.sends + world.roll_backs, 0);
	ck_assert(settle());
	ck_assert_uint_eq(world.commits, 1);
	end();
}
END_TEST

START_TEST(a_deletion_that_cannot_be_prepared_is_reported_when_it_is_settled)
{
	begin();
	world.prepare_fails = true;
	delete_early();
	ck_assert_int_eq(world.store.early, EARLY_NOT);
	ck_assert(!settle());
	ck_assert_str_eq(world.error.text, "lost");
	ck_assert_uint_eq(world.sends + world.commits, 0);
	ck_assert_uint_eq(world.abandons, 1);
	end();
}
END_TEST

/* Nothing is rolled back then: the locks go with the session. */
START_TEST(rows_that_cannot_be_locked_again_are_given_up)
{
	begin();
	delete_early();
	world.prepare_fails = true;
	ck_assert(!keep());
	ck_assert_str_eq(world.error.text, "lost");
	ck_assert_uint_eq(world.roll_backs, 0);
	ck_assert_uint_eq(world.abandons, 1);
	end();
}
END_TEST

START_TEST(a_session_that_is_lost_is_reported_when_it_is_settled)
{
	begin();
	world.send_fails = true;
	delete_early();
	ck_assert_int_eq(world.store.early, EARLY_NOT);
	ck_assert_ptr_null(world.store.deletions.calls);
	end();
}
END_TEST

START_TEST(rows_that_have_to_stay_are_locked_again)
{
	begin();
	delete_early();
	ck_assert(keep());
	ck_assert_uint_eq(world.roll_backs, 1);
	ck_assert_uint_eq(world.commits + world.abandons, 0);
	world.outcomes[OTHER].outcome = OUTCOME_KEEP;
	world.deleted = COUNT_ROWS - 1;
	ck_assert(settle());
	ck_assert(!world.described.last_burst_clean);
	ck_assert_uint_eq(world.commits, 1);
	end();
}
END_TEST

static void settle_first(void)
{
	world.store.early = EARLY_FIRST;
	ck_assert(settle());
	ck_assert_uint_eq(world.commits, 1);
	ck_assert_uint_eq(world.abandons, 0);
	ck_assert(!world.described.last_burst_clean);
}

/* As a whole the server may not take it, as it did not before. */
START_TEST(what_was_deleted_first_and_taken_back_is_deleted_by_parts)
{
	static const size_t limits[] = { 0, 5, 1 };
	begin();
	world.limit = limits[_i];
	world.outcomes[OTHER].outcome = OUTCOME_KEEP;
	settle_first();
	ck_assert_uint_ge(world.restores, 1);
	ck_assert_uint_eq(world.gone, COUNT_ROWS - 1);
	ck_assert_ptr_null(world.claim.refusals);
	ck_assert(!world.described.is_careful);
	end();
}
END_TEST

/* One that refers to OTHER, for instance; in order, all after it. */
START_TEST(what_was_sent_and_cannot_go_stays_alone)
{
	begin();
	world.has_kept = true;
	world.claim.in_order = _i == 1;
	world.outcomes[COUNT_ROWS - 1].outcome = OUTCOME_KEEP;
	settle_first();
	for (size_t i = 0; i < COUNT_ROWS; i++) {
		bool stays = i == KEPT || i == COUNT_ROWS - 1 || (_i == 1 && i > KEPT);
		ck_assert_int_eq(world.outcomes[i].outcome, stays ? OUTCOME_KEEP : OUTCOME_DELETE);
		ck_assert_int_eq(claim_refuses(&world.claim, i), i == KEPT);
	}
	ck_assert_uint_eq(world.gone, _i == 1 ? KEPT : COUNT_ROWS - 2);
	ck_assert_int_eq(world.claim.refusals[KEPT].what, REFUSED_DELETION);
	ck_assert(world.described.is_careful);
	end();
}
END_TEST

/* For a reason of its own one stays; for any other they all stay, and nobody tries it once more for
 * each. */
START_TEST(what_cannot_be_moved_stays_and_the_others_go)
{
	static const size_t dying[] = { 3, 20, 50 };
	bool is_own = _i == 0;
	begin();
	world.move_error = is_own ? ERROR_DATABASE : ERROR_PLAN;
	world.unmoved = "(0,21)";
	for (size_t i = 0; i < COUNT(dying); i++)
		world.outcomes[dying[i]] = (struct row_outcome){ OUTCOME_DEAD_LETTER, "rejected" };
	settle_first();
	for (size_t i = 0; i < COUNT_ROWS; i++) {
		bool is_dead = i == 3 || i == 20 || i == 50,
		     stays = i == 20 || (is_dead && !is_own);
		enum outcome expected = stays     ? OUTCOME_KEEP
					: is_dead ? OUTCOME_DEAD_LETTER
						  : OUTCOME_DELETE;
		ck_assert_int_eq(world.outcomes[i].outcome, expected);
		ck_assert_int_eq(claim_refuses(&world.claim, i), stays);
		if (stays)
			ck_assert_int_eq(world.claim.refusals[i].what, REFUSED_MOVING);
	}
	ck_assert_uint_eq(world.gone, COUNT_ROWS - (is_own ? 1 : 3));
	if (!is_own)
		ck_assert_uint_eq(world.moves, 2);
	end();
}
END_TEST

START_TEST(if_others_took_one_all_are_left_alone)
{
	begin();
	world.locked--;
	delete_early();
	ck_assert(!keep());
	ck_assert_int_eq(world.error.kind, ERROR_CONFLICT);
	ck_assert_uint_eq(world.abandons, 1);
	ck_assert_uint_eq(world.commits, 0);
	end();
}
END_TEST

START_TEST(what_cannot_be_kept_is_abandoned)
{
	begin();
	world.deletion_fails = _i == 0;
	world.query_fails = _i == 1;
	delete_early();
	ck_assert(!keep());
	ck_assert_int_eq(world.error.kind, _i == 0 ? ERROR_DATABASE : ERROR_CONNECTION);
	ck_assert_uint_eq(world.abandons, 1);
	ck_assert_uint_eq(world.roll_backs + world.commits, 0);
	end();
}
END_TEST

int main(void)
{
	const struct test tests[] = {
		{ what_is_deleted_early_is_committed_when_it_is_settled, 2, 0 },
		{ a_commit_that_fails_is_abandoned, 2, 0 },
		{ a_deletion_that_failed_is_not_committed, 1, 0 },
		{ that_rows_were_kept_by_a_trigger_is_reported, 1, 0 },
		{ a_row_that_has_to_stay_is_never_committed, 2, 0 },
		{ what_may_well_stay_is_not_deleted_early, COUNT(usual), 0 },
		{ a_deletion_that_cannot_be_prepared_is_reported_when_it_is_settled, 1, 0 },
		{ rows_that_cannot_be_locked_again_are_given_up, 1, 0 },
		{ a_session_that_is_lost_is_reported_when_it_is_settled, 1, 0 },
		{ rows_that_have_to_stay_are_locked_again, 1, 0 },
		{ what_was_deleted_first_and_taken_back_is_deleted_by_parts, 3, 0 },
		{ what_was_sent_and_cannot_go_stays_alone, 2, 0 },
		{ what_cannot_be_moved_stays_and_the_others_go, 2, 0 },
		{ if_others_took_one_all_are_left_alone, 1, 0 },
		{ what_cannot_be_kept_is_abandoned, 2, 0 },
	};
	return suite_run("early_delete", tests, COUNT(tests));
}
