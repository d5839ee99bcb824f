#include "base/text.h"
#include "catalog/catalog.h"
#include "store/store_internal.h"

#include <stdlib.h>
#include <string.h>

/* How many are requeued by one statement, unless some of them cannot be. */
#define REQUEUE_PAGE 500

/* Execute a statement, which is freed, with text parameters. */
static bool query(struct store *s, char *sql, struct db_call call, struct error *e)
{
	call.sql = sql;
	bool ok = store_query(s, call, e);
	free(sql);
	return ok;
}

/* A statement on the dead letters was refused: add to e, if privileges are missing, which, and how
 * to grant them.  Outside of a transaction.  Always returns false. */
static bool say_grant(struct store *s, const char *table, struct error *e)
{
	static const char sql[] =
		"SELECT pg_catalog.format('; user %I lacks %s; GRANT %2$s ON %3$s TO %1$I',"
		" CURRENT_USER, pg_catalog.string_agg(p.name, ', ' ORDER BY p.name DESC), d)"
		" FROM pg_catalog.to_regclass($1) AS d, (VALUES ('SELECT'), ('DELETE')) AS p (name)"
		" WHERE NOT pg_catalog.has_table_privilege(d, p.name) GROUP BY d";
	struct error ignored;
	struct rows *rows = NULL;
	struct db_call call = { .sql = sql, .values = &table, .value_count = 1, .rows = &rows };
	if (strcmp(e->sqlstate, "42501") == 0 && store_connected(s) &&
		store_query(s, call, &ignored) && rows_count(rows) > 0)
		error_suffix(e, rows_value(rows, 0, 0));
	rows_free(rows);
	return false;
}

/* The configured table's name, quoted for SQL, to be freed; NULL with e if it does not fit. */
static char *find_table(struct store *s, struct error *e)
{
	char *name;
	if (catalog_dead_letters(s->db, s->config, store_deadline(s), &name, e))
		return name;
	free(name);
	return NULL;
}

/* If the table exists, nobody may own it who could not have code executed as us before.  $1: its
 * name; $2: the oids of the signal tables. */
static const char define_sql[] =
	"SELECT pg_catalog.format($f$SET LOCAL signalbus.dead_letters = %L;\n"
	"SET LOCAL signalbus.tables = %L;\n"
	"DO $$\n"
	"DECLARE\n"
	"  wrong pg_catalog.text;\n"
	"BEGIN\n"
	"  SELECT pg_catalog.format('table %%s belongs to user %%s, who may not create triggers"
	" on the signal tables; DROP it', c.oid::pg_catalog.regclass, pg_catalog.quote_ident("
	"r.rolname))\n"
	"    INTO wrong FROM pg_catalog.pg_class c JOIN pg_catalog.pg_roles r\n"
	"    ON r.oid OPERATOR(pg_catalog.=) c.relowner\n"
	"    WHERE c.oid OPERATOR(pg_catalog.=)"
	" pg_catalog.to_regclass(pg_catalog.current_setting('signalbus.dead_letters'))\n"
	"    AND NOT r.rolsuper AND r.rolname OPERATOR(pg_catalog.<>) CURRENT_USER\n"
	"    AND NOT EXISTS (SELECT FROM pg_catalog.unnest(pg_catalog.current_setting("
	"'signalbus.tables')::pg_catalog.text[]) AS s (name)\n"
	"      WHERE " TRIGGERS_ALLOWED("r.oid",
		"pg_catalog.to_regclass(s.name)") ");\n"
						  "  IF wrong IS NOT NULL THEN\n"
						  "    RAISE EXCEPTION '%%', wrong;\n"
						  "  END IF;\n"
						  "END $$;\n"
						  "GRANT SELECT, INSERT, DELETE ON TABLE %s TO "
						  "%I;\n"
						  "$f$, $1::pg_catalog.text, COALESCE((SELECT "
						  "pg_catalog.array_agg(pg_catalog.format("
						  "'%I.%I', n.nspname, c.relname)) FROM "
						  "pg_catalog.pg_class c JOIN "
						  "pg_catalog.pg_namespace n"
						  " ON n.oid = c.relnamespace WHERE c.oid = ANY "
						  "($2::pg_catalog.oid[])), '{}'), $1,"
						  " CURRENT_USER)";

/* The statements after its definition, to be freed; NULL with e. */
static char *grants(struct store *s, const char *name, struct error *e)
{
	char *oids = catalog_find_signal_tables(s->db, s->config, store_deadline(s), e);
	const char *const values[] = { name, oids };
	struct rows *rows = NULL;
	struct db_call call = { .sql = define_sql,
		.values = values,
		.value_count = 2,
		.rows = &rows,
		.never_null = 1 };
	bool ok = oids != NULL && store_query(s, call, e);
	char *text = ok ? text_copy(rows_value(rows, 0, 0)) : NULL;
	rows_free(rows);
	free(oids);
	return text;
}

bool store_define_dead_letters(struct store *s, struct text *t, struct error *e)
{
	char *name;
	if (!catalog_dead_letters(s->db, s->config, store_deadline(s), &name, e) && name == NULL)
		/* uncovered: the session is lost at just this call */
		return false;
	text_addf(t,
		"CREATE TABLE IF NOT EXISTS %s (\n"
		"  id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,\n"
		"  model     pg_catalog.text NOT NULL,\n"
		"  signal    pg_catalog.jsonb NOT NULL,\n"
		"  error     pg_catalog.text NOT NULL,\n"
		"  failed_at pg_catalog.timestamptz NOT NULL DEFAULT pg_catalog.now()\n"
		");\n",
		name);
	char *statements = grants(s, name, e);
	if (statements != NULL)
		text_addf(t, "%s", statements);
	bool ok = statements != NULL;
	free(statements);
	free(name);
	return ok;
}

/* Which dead letters d a statement is about: those of the model $1, and of the ids $2 unless it is
 * NULL. */
#define CHOSEN                                                                                     \
	" WHERE d.model OPERATOR(pg_catalog.=) $1 AND ($2::pg_catalog.int8[] IS NULL"              \
	" OR d.id OPERATOR(pg_catalog.=) ANY ($2::pg_catalog.int8[]))"

bool store_missing_dead_letters(
	struct store *s, const struct dead_letters *which, struct rows **ids, struct error *e)
{
	struct text names = { 0 };
	char *table = find_table(s, e);
	if (table == NULL)
		return false;
	for (size_t i = 0; i < which->count; i++)
		sql_array_add(&names, s->config->models[which->models[i]].name);
	sql_array_end(&names);
	const char *const values[] = { names.text, which->ids };
	char *sql =
		text_format("SELECT i, d.model FROM pg_catalog.unnest($2::pg_catalog.int8[]) AS i"
			    " LEFT JOIN %s AS d ON d.id OPERATOR(pg_catalog.=) i"
			    " WHERE (d.model OPERATOR(pg_catalog.=)"
			    " ANY ($1::pg_catalog.text[])) IS NOT TRUE",
			table);
	bool ok = query(
		s, sql, (struct db_call){ .values = values, .value_count = 2, .rows = ids }, e);
	ok = ok || say_grant(s, table, e);
	text_free(&names);
	free(table);
	return ok;
}

bool store_count_dead_letters(
	struct store *s, size_t index, const char *ids, size_t *count, struct error *e)
{
	char *table = find_table(s, e);
	if (table == NULL)
		return false;
	const char *const values[] = { s->config->models[index].name, ids };
	struct rows *rows = NULL;
	char *sql = text_format("SELECT pg_catalog.count(*) FROM %s AS d" CHOSEN, table);
	bool ok = query(
		s, sql, (struct db_call){ .values = values, .value_count = 2, .rows = &rows }, e);
	ok = ok || say_grant(s, table, e);
	if (ok)
		*count = strtoul(rows_value(rows, 0, 0), NULL, 10);
	rows_free(rows);
	free(table);
	return ok;
}

/* The columns of the primary key as an array; empty for a model that cannot be read. */
static char *key_columns(struct store *s, size_t index)
{
	struct error ignored;
	struct text array = { 0 };
	const struct model *m = store_model(s, index, &ignored);
	for (size_t i = 0; m != NULL && i < m->primary_key_count; i++)
		sql_array_add(&array, m->columns[m->primary_key[i]].name);
	sql_array_end(&array);
	return array.text;
}

bool store_dead_letters(struct store *s, size_t index, const struct dead_letter_page *page,
	struct rows **rows, struct error *e)
{
	char *table = find_table(s, e);
	if (table == NULL)
		return false;
	char *key = key_columns(s, index);
	const char *const values[] = { s->config->models[index].name, page->ids, page->after, key };
	char *sql = text_format(
		"SELECT d.id, d.model, pg_catalog.to_json(d.failed_at) #>> '{}', COALESCE(("
		"SELECT pg_catalog.json_object_agg(k, d.signal -> k)"
		" FROM pg_catalog.unnest($4::pg_catalog.text[]) AS k)::pg_catalog.text, '{}'),"
		" d.error, d.signal FROM %s AS d" CHOSEN
		" AND d.id OPERATOR(pg_catalog.>) $3::pg_catalog.int8 ORDER BY d.id LIMIT %zu",
		table, page->count);
	struct db_call call = { .values = values, .value_count = 4, .rows = rows };
	bool ok = query(s, sql, call, e) || say_grant(s, table, e);
	free(key);
	free(table);
	return ok;
}

/* Which of the model's columns accept a value, to be freed; NULL with e. */
static bool *writable_columns(struct store *s, const struct model *m, struct error *e)
{
	static const char sql[] =
		"SELECT a.attname FROM pg_catalog.pg_attribute AS a"
		" WHERE a.attrelid OPERATOR(pg_catalog.=) pg_catalog.to_regclass($1)"
		" AND a.attnum OPERATOR(pg_catalog.>) 0::pg_catalog.int2 AND NOT a.attisdropped"
		" AND a.attgenerated OPERATOR(pg_catalog.=) ''";
	const char *const values[] = { m->relation };
	struct rows *rows;
	struct db_call call = { .sql = sql, .values = values, .value_count = 1, .rows = &rows };
	if (!store_query(s, call, e))
		/* uncovered: the session is lost at just this call */
		return NULL;
	bool *writable = memory_new(m->column_count, sizeof *writable);
	for (size_t i = 0; i < m->column_count; i++)
		for (size_t k = 0; k < rows_count(rows); k++)
			writable[i] = writable[i] ||
				      strcmp(m->columns[i].name, rows_value(rows, k, 0)) == 0;
	rows_free(rows);
	return writable;
}

/* Requeuing the dead letters of a model. */
struct return_trip {
	struct store *s;
	const struct model *m;
	const char *table; /* of the dead letters */
	const char *ids;   /* only these; or NULL */
	char *sql;
	struct rows *page; /* ids */
	size_t count;      /* requeued */
	struct requeued *requeued;
};

/* Dead letters of a page. */
struct range_of_page {
	size_t first, count;
};

static bool control(struct return_trip *r, const char *sql, struct error *e)
{
	return store_query(r->s, (struct db_call){ .sql = sql }, e);
}

/* Requeue some dead letters.  Returns false with the reason, for one of them, why not all can
 * be. */
static bool try_back(struct return_trip *r, struct range_of_page p, struct error *e)
{
	struct text ids = { 0 };
	for (size_t i = p.first; i < p.first + p.count; i++)
		sql_array_add(&ids, rows_value(r->page, i, 0));
	sql_array_end(&ids);
	const char *const values[] = { r->m->settings->name, ids.text };
	struct rows *rows = NULL;
	struct db_call call = { .sql = r->sql, .values = values, .value_count = 2, .rows = &rows };
	bool is_done = store_query(r->s, call, e);
	text_free(&ids);
	if (!is_done)
		return false;
	const char *wrong = rows_value(rows, 0, 2);
	if (wrong == NULL)
		r->count += strtoul(rows_value(rows, 0, 0), NULL, 10);
	else if (wrong[0] == '\0')
		error_set(e, ERROR_DATABASE,
			"table %s did not accept it; does a trigger or a rule prevent the INSERT?",
			r->m->relation);
	else
		error_set(e, ERROR_DATABASE,
			"column \"%s\" of table %s would have a different value; does a trigger "
			"change it, or has the table changed?",
			wrong, r->m->relation);
	bool ok = wrong == NULL;
	rows_free(rows);
	return ok;
}

/* Whether other sessions block all of them. */
static bool is_lock(const struct error *e)
{
	return strcmp(e->sqlstate, "55P03") == 0 || strcmp(e->sqlstate, "57014") == 0;
}

/* Requeue dead letters, in halves if they cannot be requeued all at once, until each one that must
 * stay is isolated.  Returns false with e if the error is not specific to one of them. */
static bool put_back(struct return_trip *r, struct range_of_page p, struct error *e)
{
	struct error reason;
	if (!control(r, "SAVEPOINT put_back", e))
		/* uncovered: the session is lost at just this call */
		return false;
	if (try_back(r, p, &reason))
		return control(r, "RELEASE SAVEPOINT put_back", e);
	*e = reason;
	if (!store_connected(r->s) || reason.kind == ERROR_STOPPED || is_lock(&reason))
		return error_prefix(e, "model \"%s\"", r->m->settings->name);
	if (!control(r, "ROLLBACK TO SAVEPOINT put_back", e) ||
		!control(r, "RELEASE SAVEPOINT put_back", e))
		/* uncovered: the session is lost at just this call */
		return false;
	if (p.count > 1) {
		size_t half = p.count / 2;
		return put_back(r, (struct range_of_page){ p.first, half }, e) &&
		       put_back(r, (struct range_of_page){ p.first + half, p.count - half }, e);
	}
	if (r->requeued->stayed++ < REQUEUE_REASONS) {
		char *line = text_format("model \"%s\": dead letter %s stays in table %s: %s",
			r->m->settings->name, rows_value(r->page, p.first, 0), r->table,
			reason.text);
		problems_add_line(&r->requeued->reasons, line);
		free(line);
	}
	return true;
}

/* Whether the user may move rows from the dead letters at all.  If not, that is one reason for all
 * that stay. */
static bool may_move(struct return_trip *r, size_t index, bool *may, struct error *e)
{
	static const char sql[] =
		"SELECT pg_catalog.format('user %I lacks %s on table %s; GRANT %2$s ON %3$s TO "
		"%1$I',"
		" CURRENT_USER, p.name, p.c) FROM (VALUES (pg_catalog.to_regclass($1), 'INSERT'),"
		" (pg_catalog.to_regclass($2), 'DELETE')) AS p (c, name) WHERE NOT CASE"
		" WHEN p.name OPERATOR(pg_catalog.=) 'INSERT' THEN "
		"pg_catalog.has_any_column_privilege(p.c, p.name)"
		" ELSE pg_catalog.has_table_privilege(p.c, p.name) END";
	const char *const values[] = { r->m->relation, r->table };
	struct rows *rows = NULL;
	size_t count;
	struct db_call call = { .sql = sql, .values = values, .value_count = 2, .rows = &rows };
	if (!store_query(r->s, call, e))
		/* uncovered: the session is lost at just this call */
		return false;
	*may = rows_count(rows) == 0;
	bool ok = *may || store_count_dead_letters(r->s, index, r->ids, &count, e);
	for (size_t i = 0; ok && i < rows_count(rows); i++) {
		char *line = text_format(
			"model \"%s\": %s", r->m->settings->name, rows_value(rows, i, 0));
		problems_add_line(&r->requeued->reasons, line);
		free(line);
	}
	if (ok && !*may)
		r->requeued->stayed += count;
	rows_free(rows);
	return ok;
}

/* Within a transaction. */
static bool put_all_back(struct return_trip *r, struct error *e)
{
	char *last = text_copy("0");
	bool ok = true;
	for (size_t got = REQUEUE_PAGE; ok && got == REQUEUE_PAGE;) {
		const char *const values[] = { r->m->settings->name, r->ids, last };
		char *sql = text_format("SELECT d.id FROM %s AS d" CHOSEN
					" AND d.id OPERATOR(pg_catalog.>) $3::pg_catalog.int8"
					" ORDER BY d.id LIMIT %d",
			r->table, REQUEUE_PAGE);
		struct db_call call = { .values = values, .value_count = 3, .rows = &r->page };
		ok = query(r->s, sql, call, e);
		got = ok ? rows_count(r->page) : 0;
		if (got > 0) {
			free(last);
			last = text_copy(rows_value(r->page, got - 1, 0));
			ok = put_back(r, (struct range_of_page){ 0, got }, e);
		}
		if (r->page != NULL)
			rows_free(r->page);
		r->page = NULL;
	}
	free(last);
	return ok;
}

/* r has no model yet. */
static bool requeue_model(struct return_trip r, size_t index, size_t *count, struct error *e)
{
	r.m = store_model(r.s, index, e);
	bool may;
	if (r.m == NULL || !may_move(&r, index, &may, e))
		/* uncovered: the table has gone since, or the session */
		return false;
	if (!may)
		return true;
	bool *writable = writable_columns(r.s, r.m, e);
	if (writable == NULL)
		/* uncovered: the table has gone since, or the session */
		return false;
	r.sql = sql_put_back(r.m, r.table, writable);
	free(writable);
	bool ok = put_all_back(&r, e);
	free(r.sql);
	*count = r.count;
	return ok;
}

/* Deferred constraints are checked at once: a row that violates one is isolated. */
bool store_requeue(struct store *s, const struct dead_letters *which, struct requeued *requeued,
	struct error *e)
{
	char *table = find_table(s, e);
	if (table == NULL)
		return false;
	const struct return_trip trip = {
		.s = s, .table = table, .ids = which->ids, .requeued = requeued
	};
	struct db_call begin[STORE_BEGIN_CALLS + 2];
	size_t count = store_begin_plain(s, begin);
	begin[count++] = db_role_path(s->db);
	begin[count++] = (struct db_call){ .sql = "SET CONSTRAINTS ALL IMMEDIATE" };
	bool ok = true;
	/* The models are read first, not with the search_path for the triggers on the rows. */
	for (size_t i = 0; ok && i < which->count; i++)
		ok = store_model(s, which->models[i], e) != NULL;
	ok = ok && db_run(s->db, begin, count, store_deadline(s), e);
	for (size_t i = 0; ok && i < which->count; i++)
		ok = requeue_model(trip, which->models[i], &requeued->counts[i], e);
	ok = ok && store_query(s, (struct db_call){ .sql = "COMMIT" }, e);
	if (!ok)
		store_abandon(s);
	free(table);
	return ok;
}

bool store_discard(struct store *s, size_t index, const char *ids, size_t *count, struct error *e)
{
	char *table = find_table(s, e);
	if (table == NULL)
		return false;
	const char *const values[] = { s->config->models[index].name, ids };
	size_t gone = 0;
	char *sql = text_format("DELETE FROM %s AS d" CHOSEN, table);
	struct db_call calls[STORE_BEGIN_CALLS + 3];
	size_t n = store_begin_plain(s, calls);
	calls[n++] = db_role_path(s->db);
	calls[n++] = (struct db_call){
		.sql = sql, .values = values, .value_count = 2, .affected = &gone
	};
	calls[n++] = (struct db_call){ .sql = "COMMIT" };
	bool ok = db_run(s->db, calls, n, store_deadline(s), e);
	if (!ok) {
		store_abandon(s);
		say_grant(s, table, e);
	}
	*count = gone;
	free(sql);
	free(table);
	return ok;
}
