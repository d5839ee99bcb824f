#include "catalog/catalog.h"
#include "store/store_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A statement that reads all of the tables that exist, to be freed; NULL: none does. */
static char *select_all(const struct rows *tables)
{
	struct text sql = { 0 };
	for (size_t i = 0; i < rows_count(tables); i++)
		if (rows_value(tables, i, PAUSE_TABLE_EXISTS)[0] == 't')
			text_addf(&sql,
				"%sSELECT p.model, p.changed_by, p.paused FROM %s AS p"
				" WHERE p.instance = $1",
				sql.length > 0 ? " UNION ALL " : "",
				rows_value(tables, i, PAUSE_TABLE_NAME));
	return sql.text;
}

static void note(struct store *s, const struct rows *rows, struct pause *pauses)
{
	for (size_t i = 0; i < rows_count(rows); i++)
		for (size_t k = 0; k < s->config->model_count; k++) {
			struct pause *p = &pauses[k];
			bool is_paused = rows_value(rows, i, 2)[0] == 't';
			if (strcmp(s->config->models[k].name, rows_value(rows, i, 0)) != 0 ||
				(p->is_paused && !is_paused))
				continue; /* of another schema, where its table was before */
			p->is_paused = is_paused;
			snprintf(p->by, sizeof p->by, "%s", rows_value(rows, i, 1));
		}
}

/* The tables may appear at any time, and without notice, so they are looked up each time. */
bool store_pauses(struct store *s, struct pause *pauses, struct error *e)
{
	struct rows *rows = NULL;
	char *oids = catalog_find_signal_tables(s->db, s->config, store_deadline(s), e);
	struct rows *tables =
		oids != NULL ? catalog_pause_tables(s->db, oids, PAUSES_READ, store_deadline(s), e)
			     : NULL;
	char *sql = tables != NULL ? select_all(tables) : NULL;
	struct db_call call = { .sql = sql,
		.values = &s->config->instance,
		.value_count = 1,
		.rows = &rows,
		.never_null = 3 };
	bool ok = tables != NULL && (sql == NULL || store_query(s, call, e));
	memset(pauses, 0, s->config->model_count * sizeof *pauses);
	if (ok && sql != NULL)
		note(s, rows, pauses);
	rows_free(rows);
	rows_free(tables);
	free(sql);
	free(oids);
	return ok;
}

#define PAUSE                                                                                      \
	"INSERT INTO %s AS p (instance, model, paused, changed_by, changed_at)"                    \
	" VALUES ($1, $2, true, SESSION_USER, pg_catalog.now())"                                   \
	" ON CONFLICT (instance, model) DO UPDATE SET paused = true,"                              \
	" changed_by = excluded.changed_by, changed_at = excluded.changed_at WHERE NOT p.paused"
#define RESUME                                                                                     \
	"UPDATE %s AS p SET paused = false, changed_by = SESSION_USER,"                            \
	" changed_at = pg_catalog.now() WHERE p.instance = $1 AND p.model = $2 AND p.paused"

/* Pause or resume a model in its table, which is created if it does not exist, in one
 * transaction. */
static bool change(struct store *s, const struct rows *table, const char *model,
	struct pause_change *c, struct error *e)
{
	const char *name = rows_value(table, 0, PAUSE_TABLE_NAME);
	bool exists = rows_value(table, 0, PAUSE_TABLE_EXISTS)[0] == 't';
	const char *const values[] = { s->config->instance, model };
	const char *const notice[] = { s->config->notify_channel, PAUSE_NOTIFICATION };
	struct db_call calls[STORE_BEGIN_CALLS + 5];
	size_t count = store_begin_plain(s, calls), affected = 0;
	char *create = text_format("CREATE TABLE %s " SQL_PAUSE_COLUMNS, name);
	char *grant = text_format("GRANT SELECT ON %s TO PUBLIC", name);
	char *set = c->is_paused ? text_format(PAUSE, name) : text_format(RESUME, name);
	if (!exists) {
		calls[count++] = (struct db_call){ .sql = create };
		calls[count++] = (struct db_call){ .sql = grant };
	}
	calls[count++] = (struct db_call){
		.sql = set, .values = values, .value_count = 2, .affected = &affected
	};
	if (s->config->notify_channel[0] != '\0')
		calls[count++] = (struct db_call){ .sql = "SELECT pg_catalog.pg_notify($1, $2)",
			.values = notice,
			.value_count = 2 };
	calls[count++] = (struct db_call){ .sql = "COMMIT" };
	bool ok = db_run(s->db, calls, count, store_deadline(s), e);
	if (!ok)
		store_abandon(s);
	c->is_new = affected > 0;
	free(create);
	free(grant);
	free(set);
	return ok;
}

static bool try_change(
	struct store *s, const struct model_config *m, struct pause_change *c, struct error *e)
{
	char *oid = NULL;
	struct text oids = { 0 };
	c->is_new = false;
	if (!catalog_find_table(s->db, m->table, store_deadline(s), &oid, e))
		return false;
	if (oid == NULL)
		return error_set(e, ERROR_DATABASE, "table %s does not exist", m->table);
	sql_array_add(&oids, oid);
	sql_array_end(&oids);
	free(oid);
	struct rows *table = catalog_pause_tables(s->db, oids.text,
		c->is_paused ? PAUSES_PAUSE : PAUSES_RESUME, store_deadline(s), e);
	text_free(&oids);
	if (table == NULL)
		return false;
	bool is_there = rows_count(table) > 0 && rows_value(table, 0, PAUSE_TABLE_EXISTS)[0] == 't';
	bool ok = (!c->is_paused && !is_there) || change(s, table, m->name, c, e);
	rows_free(table);
	return ok;
}

/* Another process may create the table in between. */
bool store_pause(struct store *s, size_t index, struct pause_change *c, struct error *e)
{
	const struct model_config *m = &s->config->models[index];
	bool ok = try_change(s, m, c, e);
	if (!ok && (strcmp(e->sqlstate, "42P07") == 0 || strcmp(e->sqlstate, "23505") == 0))
		ok = try_change(s, m, c, e);
	return ok || error_prefix(e, "model \"%s\"", m->name);
}
