#include "store/store.h"

#include "base/limits.h"
#include "base/text.h"
#include "catalog/catalog.h"
#include "store/store_internal.h"

#include <math.h>
#include <stdlib.h>

struct store *store_new(const struct config *config)
{
	struct store *s = memory_new(1, sizeof *s);
	s->config = config;
	s->db = catalog_session(config);
	s->locks = lock_session_new(config);
	s->models = memory_new(config->model_count, sizeof *s->models);
	s->lock_wait = limit_lock(config->timeout);
	s->longer_lock_wait =
		text_format("SET LOCAL lock_timeout = %.0f", ceil(s->lock_wait * 1000));
	return s;
}

void store_free(struct store *s)
{
	if (s == NULL)
		return; /* uncovered: nobody frees a store that there is not */
	db_free(s->db);
	lock_session_free(s->locks);
	store_forget_sent(s);
	for (size_t i = 0; i < s->config->model_count; i++) {
		ordering_reset(&s->models[i].ordering);
		model_free(s->models[i].model);
	}
	free(s->models);
	free(s->longer_lock_wait);
	free(s->prepare);
	free(s->database);
	free(s->states[0]);
	free(s->states[1]);
	free(s);
}

/* New names for a new session. */
static void name_states(struct store *s)
{
	for (int i = 0; i < 2; i++) {
		free(s->states[i]);
		s->states[i] = text_format("table_state_%d_%s", i, db_token(s->db));
	}
}

struct instant store_deadline(const struct store *s)
{
	return instant_after(clock_now(), limit_answer(s->config->timeout));
}

void store_limit_locks(struct store *s, double seconds)
{
	db_limit_locks(s->db, seconds);
	lock_session_limit_locks(s->locks, seconds);
	s->waits_longer = s->waits_longer || seconds < s->lock_wait;
	s->lock_wait = fmin(s->lock_wait, seconds);
}

void store_keep_rejected(struct store *s)
{
	s->keeps_rejected = true;
}

bool store_connect(struct store *s, struct instant deadline, struct error *e)
{
	store_disconnect(s);
	if (!db_connect(s->db, deadline, e))
		return false;
	name_states(s);
	return true;
}

bool store_connected(const struct store *s)
{
	return db_connected(s->db) && !lock_session_is_lost(s->locks);
}

bool store_check_session(struct store *s, struct check_report *f, struct error *e)
{
	if (!catalog_check_role(s->db, store_deadline(s), f, e))
		return false;
	char *exposure = db_session_exposure(s->db);
	if (exposure != NULL)
		report_warning(f, NULL, exposure);
	free(exposure);
	return true;
}

void store_forget(struct store *s, size_t index)
{
	s->models[index].is_stale = true;
}

static void forget_all(struct store *s)
{
	for (size_t i = 0; i < s->config->model_count; i++)
		store_forget(s, i);
}

void store_renew(struct store *s)
{
	struct error e;
	forget_all(s);
	s->prepared_states[0] = s->prepared_states[1] = false;
	if (store_connected(s) && !db_deallocate(s->db, store_deadline(s), &e))
		store_disconnect(s);
}

int store_server_version(const struct store *s)
{
	return db_server_version(s->db);
}

void store_disconnect(struct store *s)
{
	forget_all(s);
	for (size_t i = 0; i < s->config->model_count; i++)
		s->models[i].noted = s->models[i].locked = false;
	store_forget_sent(s);
	s->prepared_states[0] = s->prepared_states[1] = false;
	s->has_slot = false;
	s->first_slot = 0;
	free(s->database);
	s->database = NULL;
	db_disconnect(s->db);
	lock_session_close(s->locks);
}

bool store_roll_back(struct store *s, struct error *e)
{
	db_discard(s->db, store_deadline(s)); /* what was sent early */
	store_forget_sent(s);
	if (!db_in_transaction(s->db) ||
		db_call(s->db, (struct db_call){ .sql = "ROLLBACK" }, store_deadline(s), e))
		return true;
	store_disconnect(s);
	return false;
}

void store_abandon(struct store *s)
{
	struct error ignored;
	store_roll_back(s, &ignored);
}

bool store_query(struct store *s, struct db_call call, struct error *e)
{
	return db_call(s->db, call, store_deadline(s), e);
}

/* One of a model's statements in one of the sessions. */
static bool query_model(struct db *db, const struct model *m, struct db_call call,
	struct instant deadline, struct error *e)
{
	struct db_call calls[3];
	size_t count = db_restore_settings_first(db, &calls[0]) ? 1 : 0;
	if (!m->as_role)
		return db_call(db, call, deadline, e);
	calls[count++] = db_role_path(db);
	calls[count++] = call;
	return db_run(db, calls, count, deadline, e);
}

bool store_query_model(struct store *s, const struct model *m, struct db_call call, struct error *e)
{
	return query_model(s->db, m, call, store_deadline(s), e);
}

struct db *store_lock_session(struct store *s, struct error *e)
{
	return lock_session_get(s->locks, s->db, store_deadline(s), e);
}

bool store_try_locks(struct store *s, struct error *e)
{
	return store_query(s, (struct db_call){ .sql = "BEGIN" }, e) && store_roll_back(s, e) &&
	       store_lock_session(s, e) != NULL;
}

bool store_ping(struct store *s, struct error *e)
{
	return store_query(s, (struct db_call){ .sql = "SELECT" }, e) &&
	       lock_session_ping(s->locks, store_deadline(s), e);
}

static bool close_note(struct store *s, size_t index, struct error *e)
{
	struct db *db = store_lock_session(s, e);
	s->models[index].noted = false;
	if (db == NULL)
		return false;
	char *sql = text_format("CLOSE noted_%zu_%s", index, db_token(db));
	bool ok = db_call(db, (struct db_call){ .sql = sql }, store_deadline(s), e);
	free(sql);
	return ok;
}

const struct model *store_model(struct store *s, size_t index, struct error *e)
{
	struct session_model *d = &s->models[index];
	if (d->model != NULL && !d->is_stale)
		return d->model;
	if (d->noted) /* keys of the table before it changed */
		close_note(s, index, e);
	ordering_reset(&d->ordering);
	model_free(d->model);
	db_heed_stop(s->db, true); /* it may wait for the holder of a lock on the table */
	*d = (struct session_model){ .noted = d->noted,
		.locked = d->locked,
		.lock_mode = d->lock_mode,
		.reads_apart = d->reads_apart,
		.is_careful = d->is_careful,
		.reads_some = d->reads_some,
		.generation = d->generation + 1,
		.model = catalog_read(s->db, s->config, index, store_deadline(s), e) };
	db_heed_stop(s->db, false);
	if (d->model == NULL || d->model->dead_letter_problem == NULL || s->keeps_rejected)
		return d->model;
	error_set(e, ERROR_CONFIG, "%s", d->model->dead_letter_problem);
	model_free(d->model);
	d->model = NULL;
	return NULL;
}

/* Execute a statement that counts, which is freed. */
static bool run_count(
	struct store *s, const struct model *m, char *sql, size_t *count, struct error *e)
{
	struct rows *rows;
	const struct db_call call = { .sql = sql, .rows = &rows, .never_null = 1 };
	bool ok = store_query_model(s, m, call, e);
	if (ok)
		*count = strtoul(rows_value(rows, 0, 0), NULL, 10);
	rows_free(rows);
	free(sql);
	return ok;
}

bool store_count(struct store *s, const struct model *m, size_t *count, struct error *e)
{
	return run_count(s, m, sql_count(m), count, e);
}

bool store_count_some(
	struct store *s, const struct model *m, size_t bound, size_t *count, struct error *e)
{
	return run_count(s, m, sql_count_some(m, bound), count, e);
}

bool store_estimate(struct store *s, const struct model *m, size_t *count, struct error *e)
{
	struct rows *rows = NULL;
	const char *const table[] = { m->relation };
	struct db_call call = { .sql = sql_live_rows,
		.values = table,
		.value_count = 1,
		.rows = &rows,
		.never_null = 1 };
	*count = 0;
	if (m->settings->where != NULL)
		return true;
	if (!store_query(s, call, e))
		/* uncovered: the session is lost at just this call */
		return false;
	*count = strtoul(rows_value(rows, 0, 0), NULL, 10);
	rows_free(rows);
	return true;
}

bool store_note(struct store *s, const struct model *m, struct error *e)
{
	if (store_has_note(s, m->index) && !close_note(s, m->index, e))
		/* uncovered: the session is lost at just this call */
		return false;
	struct db *db = store_lock_session(s, e);
	if (db == NULL)
		return false;
	char *sql = sql_note(m, db_token(db));
	bool ok = query_model(db, m, (struct db_call){ .sql = sql }, store_deadline(s), e);
	s->models[m->index].noted = ok;
	free(sql);
	return ok;
}

bool store_has_note(const struct store *s, size_t index)
{
	return s->models[index].noted;
}

bool store_noted(
	struct store *s, const struct model *m, size_t count, struct rows **keys, struct error *e)
{
	struct db *db = store_lock_session(s, e);
	*keys = NULL;
	if (db == NULL)
		return false;
	const struct db_call call = { .sql = sql_noted(m, db_token(db), count), .rows = keys };
	bool ok = db_call(db, call, store_deadline(s), e) &&
		  (rows_count(*keys) > 0 || close_note(s, m->index, e));
	free((char *)call.sql);
	if (ok)
		return true;
	rows_free(*keys);
	*keys = NULL;
	return false;
}

char *store_prepare(struct store *s, const struct model *m, struct statement st, struct error *e)
{
	char *name = text_format(
		"%s_%zu_%u_%s", st.what, m->index, s->models[m->index].generation, db_token(s->db));
	if (!*st.done)
		*st.done = store_query_model(
			s, m, (struct db_call){ .prepared = name, .sql = st.sql }, e);
	free(st.sql);
	if (*st.done)
		return name;
	free(name);
	return NULL;
}
