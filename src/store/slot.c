/*
 * Slots and prepared transactions of delivery = "exactly-once".  A slot is leased to a session by
 * an advisory lock, which ends with the session.
 */
#include "base/limits.h"
#include "base/text.h"
#include "catalog/catalog.h"
#include "store/store_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* More senders of one instance than there can be. */
enum { SLOT_MAX = 1000 };

/* Whether this session has got the lock of a slot.  It can take a lock twice; so it must not ask
 * for one that it has.  A session that is silent for long loses its locks: see ordered_lock.c. */
static bool try_lock(struct store *s, unsigned slot, bool *got, struct error *e)
{
	static const char sql[] =
		"SELECT pg_catalog.pg_try_advisory_lock(" SQL_ADVISORY_KEY "),"
		" CASE WHEN pg_catalog.current_setting('idle_session_timeout', true) IS NOT NULL"
		" THEN pg_catalog.set_config('idle_session_timeout', $2, false) END";
	struct db *db = store_lock_session(s, e);
	if (db == NULL)
		return false;
	char limit[32];
	snprintf(limit, sizeof limit, "%.0f", 1000 * limit_silence(s->config->timeout));
	char *name = catalog_slot_lock(s->config, slot);
	const char *const values[] = { name, limit };
	struct rows *rows;
	struct db_call calls[2];
	size_t count = db_prove(db, &calls[0]) ? 1 : 0;
	calls[count++] = (struct db_call){
		.sql = sql, .values = values, .value_count = 2, .rows = &rows, .never_null = 1
	};
	bool ok = db_run(db, calls, count, store_deadline(s), e);
	free(name);
	if (!ok)
		return false;
	*got = rows_value(rows, 0, 0)[0] == 't';
	rows_free(rows);
	return true;
}

/* No sender has the last one: who has it keeps all of them. */
static bool say_all_taken(struct store *s, struct error *e)
{
	store_say_slot_holder(s, SLOT_MAX - 1, e);
	if (e->kind == ERROR_LOCKED)
		return error_prefix(e, "all slots are in use");
	return error_set(e, ERROR_BUSY,
		"instance \"%s\": all slots are in use; do others have its name?",
		s->config->instance);
}

bool store_take_slot(struct store *s, unsigned *slot, struct error *e)
{
	for (unsigned i = s->first_slot; !s->has_slot && i < SLOT_MAX; i++) {
		if (!try_lock(s, i, &s->has_slot, e))
			return false;
		s->slot = i;
	}
	*slot = s->slot;
	return s->has_slot || say_all_taken(s, e);
}

bool store_has_slot(const struct store *s)
{
	return s->has_slot;
}

bool store_keeps_slot(struct store *s, unsigned slot, struct error *e)
{
	static const char sql[] =
		"SELECT pg_catalog.count(*) FROM pg_catalog.pg_locks l"
		" WHERE l.pid = pg_catalog.pg_backend_pid() AND l.locktype = 'advisory'"
		" AND l.objsubid = 1 AND l.granted"
		" AND (l.classid::pg_catalog.int8 << 32 | l.objid::pg_catalog.int8)"
		"  = " SQL_ADVISORY_KEY
		" AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d"
		" WHERE d.datname = pg_catalog.current_database())";
	struct db *db = store_lock_session(s, e);
	if (db == NULL)
		return false;
	char *name = catalog_slot_lock(s->config, slot);
	struct rows *rows = catalog_query(db, store_deadline(s), sql, name, e);
	free(name);
	bool has = rows != NULL && rows_value(rows, 0, 0)[0] != '0';
	if (rows != NULL && !has) {
		error_set(e, ERROR_CONNECTION, "the session has lost slot %u of instance \"%s\"",
			slot, s->config->instance);
		store_disconnect(s);
	}
	rows_free(rows);
	return has;
}

/* The first value of the first row, to be freed; NULL with e on failure. */
static char *ask(struct store *s, const char *sql, const char *value, struct error *e)
{
	struct rows *rows = catalog_query(s->db, store_deadline(s), sql, value, e);
	char *answer = rows != NULL ? text_copy(rows_value(rows, 0, 0)) : NULL;
	rows_free(rows);
	return answer;
}

/* Everybody may execute the function that tells it, unless that was revoked; and a managed server
 * may lack it. */
static bool is_unknown_system(const struct error *e)
{
	return strcmp(e->sqlstate, "42501") == 0 || strcmp(e->sqlstate, "42883") == 0;
}

bool store_database(struct store *s, const char **identity, struct error *e)
{
	static const char system_sql[] =
		"SELECT system_identifier FROM pg_catalog.pg_control_system()"
		" WHERE $1::pg_catalog.text IS NULL";
	static const char database_sql[] =
		"SELECT pg_catalog.concat($1::pg_catalog.text, '/', d.oid, '/', d.datname) FROM"
		" pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()";
	if (s->database == NULL) {
		char *system = ask(s, system_sql, NULL, e);
		if (system == NULL && !is_unknown_system(e))
			return false;
		s->database = ask(s, database_sql, system != NULL ? system : "0", e);
		free(system);
	}
	*identity = s->database;
	return s->database != NULL;
}

bool store_leave_slot(struct store *s, struct error *e)
{
	s->has_slot = false;
	s->first_slot = s->slot + 1;
	return store_return_slot(s, s->slot, e);
}

bool store_borrow_slot(struct store *s, unsigned slot, bool *got, struct error *e)
{
	return try_lock(s, slot, got, e);
}

void store_say_slot_holder(struct store *s, unsigned slot, struct error *e)
{
	char *name = catalog_slot_lock(s->config, slot);
	char *what = text_format("slot %u of instance \"%s\"", slot, s->config->instance);
	catalog_say_lock_holder(
		s->db, (struct advisory_lock){ name, what, NULL }, store_deadline(s), e);
	free(what);
	free(name);
}

bool store_return_slot(struct store *s, unsigned slot, struct error *e)
{
	struct db *db = store_lock_session(s, e);
	if (db == NULL)
		return false;
	char *name = catalog_slot_lock(s->config, slot);
	const char *const values[] = { name };
	const struct db_call call = {
		.sql = "SELECT pg_catalog.pg_advisory_unlock(" SQL_ADVISORY_KEY ")",
		.values = values,
		.value_count = 1
	};
	bool ok = db_call(db, call, store_deadline(s), e);
	free(name);
	return ok;
}

bool store_list_slots(struct store *s, uint64_t *used, struct error *e)
{
	static const char sql[] =
		"SELECT n FROM pg_catalog.generate_series(0, $2::pg_catalog.int4) AS n"
		" JOIN pg_catalog.pg_locks l ON l.locktype = 'advisory' AND l.objsubid = 1"
		" AND (l.classid::pg_catalog.int8 << 32 | l.objid::pg_catalog.int8)"
		"  = pg_catalog.hashtextextended(pg_catalog.concat($1::pg_catalog.text, n), 0)"
		" WHERE l.database = (SELECT d.oid FROM pg_catalog.pg_database d"
		" WHERE d.datname = pg_catalog.current_database())";
	char *name = catalog_slot_lock(s->config, 0), last[16];
	name[strlen(name) - 1] = '\0'; /* without the number */
	snprintf(last, sizeof last, "%d", SLOTS_LISTED - 1);
	const char *const values[] = { name, last };
	struct rows *rows = NULL;
	const struct db_call call = {
		.sql = sql, .values = values, .value_count = 2, .rows = &rows, .never_null = 1
	};
	bool ok = store_query(s, call, e);
	*used = 0;
	for (size_t i = 0; ok && i < rows_count(rows); i++)
		*used |= UINT64_C(1) << strtoul(rows_value(rows, i, 0), NULL, 10);
	rows_free(rows);
	free(name);
	return ok;
}

/* How the names of the instance's prepared transactions begin; to be freed. */
static char *prefix_of(const struct store *s)
{
	return text_format("signalbus:%s:", s->config->instance);
}

/* Anybody may prepare a transaction with such a name.  One of another role counts if it has locked
 * a table from which both roles may delete: this role, or its successor, prepared it; but it cannot
 * be ended as this role. */
#define MAY_DELETE                                                                                 \
	" EXISTS (SELECT FROM pg_catalog.pg_locks x"                                               \
	" JOIN pg_catalog.pg_locks y ON y.virtualtransaction = x.virtualtransaction"               \
	" WHERE x.locktype = 'transactionid' AND x.transactionid = t.transaction"                  \
	" AND y.locktype = 'relation' AND y.mode = 'RowExclusiveLock'"                             \
	" AND y.database = (SELECT d.oid FROM pg_catalog.pg_database d"                            \
	" WHERE d.datname = pg_catalog.current_database())"                                        \
	" AND pg_catalog.has_table_privilege(y.relation, 'DELETE')"                                \
	" AND pg_catalog.has_table_privilege(t.owner, y.relation, 'DELETE'))"

bool store_list_prepared(struct store *s, struct rows **prepared, struct error *e)
{
	static const char sql[] =
		"SELECT p.slot, p.number, p.seconds FROM (SELECT"
		" pg_catalog.split_part(rest, ':', 1) AS slot,"
		" pg_catalog.split_part(rest, ':', 2) AS number, seconds, rest FROM (SELECT"
		" pg_catalog.substr(t.gid, pg_catalog.length($1) + 1) AS rest,"
		" pg_catalog.date_part('epoch', pg_catalog.now() - t.prepared) AS seconds"
		" FROM pg_catalog.pg_prepared_xacts t"
		" JOIN pg_catalog.pg_roles r ON r.rolname = CURRENT_USER"
		" WHERE t.database = pg_catalog.current_database()"
		" AND pg_catalog.starts_with(t.gid, $1)"
		" AND (r.rolsuper OR r.rolname = t.owner OR" MAY_DELETE ")) x) p"
		" WHERE p.rest ~ '^[0-9]{1,5}:([0-9]{1,18}|[1-8][0-9]{18})$'"
		" ORDER BY p.slot::pg_catalog.int8, p.number::pg_catalog.int8";
	char *prefix = prefix_of(s);
	const char *const values[] = { prefix };
	const struct db_call call = {
		.sql = sql, .values = values, .value_count = 1, .rows = prepared, .never_null = 3
	};
	bool ok = store_query(s, call, e);
	free(prefix);
	return ok;
}

/* The statement for a prepared transaction; to be freed. */
static char *statement(const struct store *s, const char *what, unsigned slot, int64_t number)
{
	struct text t = { 0 };
	text_addf(&t, "%s 'signalbus:", what);
	for (const char *p = s->config->instance; *p != '\0'; p++)
		text_addf(&t, *p == '\'' ? "''" : "%c", *p);
	text_addf(&t, ":%u:%lld'", slot, (long long)number);
	return t.text;
}

void store_prepare_as(struct store *s, int64_t number)
{
	free(s->prepare);
	s->prepare = number > 0 ? statement(s, "PREPARE TRANSACTION", s->slot, number) : NULL;
}

bool store_finish_prepared(struct store *s, const struct prepared *p, bool commits, struct error *e)
{
	/* In the session that has the slot: nobody else has had it since then. */
	struct db *db = store_lock_session(s, e);
	if (db == NULL)
		return false;
	const char *what = commits ? "COMMIT PREPARED" : "ROLLBACK PREPARED";
	char *sql = statement(s, what, p->slot, p->number);
	/* Not db_call(), which may put a statement before it: it cannot run in a transaction. */
	const struct db_call call = { .sql = sql };
	bool ok = db_run(db, &call, 1, store_deadline(s), e);
	free(sql);
	return ok;
}
