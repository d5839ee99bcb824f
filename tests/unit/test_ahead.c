#include "base/text.h"
#include "store/store_own.h"

#include "model_fixture.h"
#include "suite.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { COUNT_ROWS = 60, OTHER = 3 };

/* A store whose session is scripted, and what it was asked for. */
static struct {
	struct store store;
	struct described described;
	struct model model;
	struct model_config settings;
	struct config config;
	struct claim claim;
	struct disposal disposals[COUNT_ROWS];
	struct error error;
	/* The script: */
	bool prepare_fails, send_fails, deletion_fails, query_fails;
	enum error_kind commit_error; /* ERROR_NONE: it works */
	size_t deleted, locked;
	/* What happened: */
	bool is_committing;
	bool is_wary, waits_again;
	size_t sends, foreseen, receives, commits, abandons, roll_backs, restores, forgets;
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

size_t store_begin(
	const struct store *s, const struct model *m, const char *begin, struct db_call *calls)
{
	(void)s;
	ck_assert(!m->as_role);
	calls[0] = (struct db_call){ .sql = begin };
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

/* Before dead letters, which these tests have none of. */
struct db_call db_role_path(const struct db *db)
{
	(void)db;
	ck_abort();
}

static bool is_commit(const struct db_call *c)
{
	return c->sql != NULL && strcmp(c->sql, "COMMIT") == 0;
}

static bool is_patience(const struct db_call *c)
{
	return c->sql != NULL && c->sql == world.store.patience;
}

/* Sent are the deletion ahead, then COMMIT, or both in one.  Before the deletion a hasty session is
 * told to wait for others' locks; where rows were not locked, before COMMIT. */
bool db_send(struct db *db, const struct db_call *calls, size_t count, struct error *e)
{
	(void)db;
	for (size_t i = 0; i < count; i++) {
		bool is_delete =
			calls[i].prepared != NULL && strcmp(calls[i].prepared, "delete") == 0;
		ck_assert(i == count - 1 ? is_commit(&calls[i]) || is_delete
					 : is_delete || is_patience(&calls[i]));
		ck_assert(!is_delete || world.waits_again == world.store.is_hasty);
		world.waits_again = world.waits_again || is_patience(&calls[i]);
	}
	world.is_committing = is_commit(&calls[count - 1]);
	ck_assert(!world.is_committing ||
		  world.waits_again == (world.claim.is_taken || world.store.is_hasty));
	world.sends++;
	return !world.send_fails || error_set(e, ERROR_CONNECTION, "lost");
}

void store_send_foreseen(struct store *s, const struct model *m)
{
	ck_assert_ptr_eq(s, &world.store);
	ck_assert_ptr_eq(m, &world.model);
	ck_assert(world.is_committing);
	world.foreseen++;
}

bool db_receive(struct db *db, const struct db_call *calls, size_t count, struct instant deadline,
	struct error *e)
{
	(void)db;
	(void)deadline;
	ck_assert_uint_eq(world.foreseen, world.is_committing);
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

bool store_query(struct store *s, struct db_call call, struct error *e)
{
	(void)s;
	ck_assert_int_eq(world.store.ahead, AHEAD_NOT);
	if (world.query_fails)
		return error_set(e, ERROR_CONNECTION, "lost");
	*call.rows = some_rows(1);
	return true;
}

bool db_run(struct db *db, const struct db_call *calls, size_t count, struct instant deadline,
	struct error *e)
{
	(void)db;
	(void)deadline;
	(void)e;
	for (size_t i = 0; i < count; i++) {
		const struct db_call *c = &calls[i];
		if (c->affected != NULL)
			*c->affected = world.deleted;
		if (c->rows != NULL)
			*c->rows = some_rows(world.locked);
		if (c->value_count == 2 && c->rows != NULL)
			ck_assert_str_eq(c->values[1], "4711");
		ck_assert(!is_commit(c));
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

bool store_restore(struct store *s, struct error *e)
{
	(void)e;
	s->ahead = AHEAD_RESTORED;
	deletions_free(&s->deletions);
	world.restores++;
	return true;
}

bool store_delete_again(struct store *s, const struct model *m, const struct claim *claim,
	const struct disposal *disposals, struct error *e)
{
	static const struct disposal none[COUNT_ROWS];
	ck_assert_int_eq(s->ahead, AHEAD_RESTORED);
	ck_assert_ptr_eq(disposals, world.disposals);
	s->ahead = AHEAD_NOT;
	if (world.deletion_fails)
		return error_set(e, ERROR_DATABASE, "refused");
	return deletions_prepare(s, m, claim, none, e);
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
	const struct disposal *disposals)
{
	(void)o;
	(void)m;
	(void)claim;
	(void)disposals;
}

void store_be_wary(struct store *s, const struct model *m, bool was_sent)
{
	ck_assert_ptr_eq(s, &world.store);
	ck_assert_ptr_eq(m, &world.model);
	ck_assert(was_sent);
	world.is_wary = true;
}

/* A claim of rows behind a burst that went well, all of which are stored. */
static void begin(void)
{
	world.settings.name = "A";
	world.settings.burst_bytes = 1 << 20;
	world.model.config = &world.settings;
	world.model.relation = (char *)(uintptr_t) "shop.a";
	world.store.models = &world.described;
	world.store.patience = (char *)(uintptr_t) "wait";
	world.deleted = world.locked = COUNT_ROWS;
	world.claim = (struct claim){
		.rows = rows_new(ROW_FIXED_FIELDS), .count = COUNT_ROWS, .was_smooth = true
	};
	for (size_t i = 0; i < COUNT_ROWS; i++) {
		char ctid[32];
		snprintf(ctid, sizeof ctid, "(0,%zu)", i + 1);
		const struct field fields[] = { { ctid, strlen(ctid) }, { "16384", 5 } };
		rows_add(world.claim.rows, fields);
		world.disposals[i].fate = FATE_GOES;
	}
}

static void end(void)
{
	ck_assert_int_eq(world.store.ahead, AHEAD_NOT);
	ck_assert_ptr_null(world.store.deletions.calls);
	rows_free(world.claim.rows);
}

static void delete_ahead(void)
{
	store_delete_ahead(&world.store, &world.model, &world.claim);
}

static bool settle(void)
{
	const struct claim_request next = { .kind = CLAIM_NEXT };
	world.store.foreseen = &next;
	bool ok = store_settle(
		&world.store, &world.model, &world.claim, world.disposals, &world.error);
	ck_assert_ptr_null(world.store.foreseen); /* it is the caller's, whatever has failed */
	return ok;
}

static bool keep(void)
{
	return store_keep(&world.store, &world.model, &world.claim, &world.error);
}

/* With others to serve, the session waits long for locks only when it has sent something. */
START_TEST(what_is_deleted_ahead_is_committed_when_it_is_settled)
{
	begin();
	world.store.is_hasty = _i == 1;
	delete_ahead();
	ck_assert_int_eq(world.store.ahead, AHEAD_SENT);
	ck_assert_uint_eq(world.commits, 0);
	ck_assert(settle());
	ck_assert_uint_eq(world.receives, 2);
	ck_assert_uint_eq(world.commits, 1);
	ck_assert(world.described.is_smooth);
	end();
}
END_TEST

/* As store_take() does it, before anything is sent. */
static void delete_at_once(void)
{
	world.claim.is_taken = true;
	ck_assert(deletions_prepare(&world.store, &world.model, &world.claim, NULL, &world.error));
	ck_assert_uint_eq(world.store.deletions.first, 0);
	for (size_t i = 0; i < world.store.deletions.count; i++)
		*world.store.deletions.calls[i].affected = world.deleted;
	world.store.ahead = AHEAD_DONE;
	delete_ahead();
	ck_assert_uint_eq(world.sends, 0);
}

START_TEST(what_is_deleted_at_once_is_only_committed)
{
	begin();
	delete_at_once();
	ck_assert(settle());
	ck_assert_uint_eq(world.sends, 1);
	ck_assert_uint_eq(world.receives, 1);
	ck_assert_uint_eq(world.commits, 1);
	end();
}
END_TEST

START_TEST(a_conflict_at_the_commit_is_reason_to_lock_rows_if_they_were_not)
{
	begin();
	world.claim.is_taken = _i > 0;
	if (world.claim.is_taken)
		delete_at_once();
	world.commit_error = _i < 2 ? ERROR_CONFLICT : ERROR_CONNECTION;
	ck_assert(!settle());
	ck_assert_int_eq(world.error.kind, world.commit_error);
	ck_assert_int_eq(world.is_wary, _i == 1);
	ck_assert_uint_eq(world.abandons, 1);
	end();
}
END_TEST

START_TEST(rows_that_were_deleted_at_once_and_have_to_stay_are_locked)
{
	begin();
	delete_at_once();
	ck_assert(keep());
	ck_assert_uint_eq(world.receives, 0);
	ck_assert_uint_eq(world.roll_backs, 1);
	world.disposals[OTHER].fate = FATE_STAYS;
	world.deleted = COUNT_ROWS - 1;
	ck_assert(settle());
	ck_assert_uint_eq(world.commits, 1);
	end();
}
END_TEST

START_TEST(a_deletion_that_failed_is_not_committed)
{
	begin();
	world.deletion_fails = true;
	delete_ahead();
	ck_assert(!settle());
	ck_assert_str_eq(world.error.text, "refused");
	ck_assert_uint_eq(world.commits, 0);
	ck_assert_uint_eq(world.abandons, 1);
	end();
}
END_TEST

START_TEST(that_rows_were_kept_by_a_trigger_is_told)
{
	begin();
	world.deleted--;
	delete_ahead();
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
	delete_ahead();
	world.disposals[OTHER].fate = _i == 0 ? FATE_STAYS : FATE_DIES;
	settle();
}
END_TEST

static const struct {
	bool was_smooth, is_parent;
	size_t count;
} usual[] = { { false, false, COUNT_ROWS }, { true, true, COUNT_ROWS }, { true, false, 49 } };

START_TEST(what_may_well_stay_is_not_deleted_ahead)
{
	begin();
	world.claim.was_smooth = usual[_i].was_smooth;
	world.claim.count = world.deleted = usual[_i].count;
	world.model.is_parent = usual[_i].is_parent;
	delete_ahead();
	ck_assert_int_eq(world.store.ahead, AHEAD_NOT);
	ck_assert(keep());
	ck_assert_uint_eq(world.sends + world.roll_backs, 0);
	ck_assert(settle());
	ck_assert_uint_eq(world.commits, 1);
	end();
}
END_TEST

START_TEST(a_deletion_that_cannot_be_prepared_is_told_when_it_is_settled)
{
	begin();
	world.prepare_fails = true;
	delete_ahead();
	ck_assert_int_eq(world.store.ahead, AHEAD_NOT);
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
	delete_ahead();
	world.prepare_fails = true;
	ck_assert(!keep());
	ck_assert_str_eq(world.error.text, "lost");
	ck_assert_uint_eq(world.roll_backs, 0);
	ck_assert_uint_eq(world.abandons, 1);
	end();
}
END_TEST

START_TEST(a_session_that_is_lost_is_told_when_it_is_settled)
{
	begin();
	world.send_fails = true;
	delete_ahead();
	ck_assert_int_eq(world.store.ahead, AHEAD_NOT);
	ck_assert_ptr_null(world.store.deletions.calls);
	end();
}
END_TEST

START_TEST(rows_that_have_to_stay_are_locked_again)
{
	begin();
	delete_ahead();
	ck_assert(keep());
	ck_assert_uint_eq(world.roll_backs, 1);
	ck_assert_uint_eq(world.commits + world.abandons, 0);
	world.disposals[OTHER].fate = FATE_STAYS;
	world.deleted = COUNT_ROWS - 1;
	ck_assert(settle());
	ck_assert(!world.described.is_smooth);
	ck_assert_uint_eq(world.commits, 1);
	end();
}
END_TEST

/* As a whole the server may not take it, as it did not before. */
START_TEST(what_was_deleted_first_and_taken_back_is_deleted_by_parts)
{
	begin();
	world.store.ahead = AHEAD_FIRST;
	ck_assert(keep());
	ck_assert_uint_eq(world.restores, 1);
	world.disposals[OTHER].fate = FATE_STAYS;
	world.deletion_fails = _i == 1;
	ck_assert_int_eq(settle(), _i == 0);
	ck_assert_uint_eq(world.commits, _i == 0);
	ck_assert_uint_eq(world.abandons, _i == 1);
	ck_assert_int_eq(world.described.is_careful, _i == 1);
	ck_assert(!world.described.is_smooth);
	end();
}
END_TEST

START_TEST(where_others_took_one_all_are_left_alone)
{
	begin();
	world.locked--;
	delete_ahead();
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
	delete_ahead();
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
		{ what_is_deleted_ahead_is_committed_when_it_is_settled, 2, 0 },
		{ what_is_deleted_at_once_is_only_committed, 1, 0 },
		{ a_conflict_at_the_commit_is_reason_to_lock_rows_if_they_were_not, 3, 0 },
		{ rows_that_were_deleted_at_once_and_have_to_stay_are_locked, 1, 0 },
		{ a_deletion_that_failed_is_not_committed, 1, 0 },
		{ that_rows_were_kept_by_a_trigger_is_told, 1, 0 },
		{ a_row_that_has_to_stay_is_never_committed, 2, SIGABRT },
		{ what_may_well_stay_is_not_deleted_ahead, COUNT(usual), 0 },
		{ a_deletion_that_cannot_be_prepared_is_told_when_it_is_settled, 1, 0 },
		{ rows_that_cannot_be_locked_again_are_given_up, 1, 0 },
		{ a_session_that_is_lost_is_told_when_it_is_settled, 1, 0 },
		{ rows_that_have_to_stay_are_locked_again, 1, 0 },
		{ what_was_deleted_first_and_taken_back_is_deleted_by_parts, 2, 0 },
		{ where_others_took_one_all_are_left_alone, 1, 0 },
		{ what_cannot_be_kept_is_abandoned, 2, 0 },
	};
	return suite_run("ahead", tests, COUNT(tests));
}
