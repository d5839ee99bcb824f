#include "catalog/catalog_check_internal.h"

#include "base/stop.h"
#include "base/text.h"
#include "model/sql.h"

#include <stdlib.h>
#include <string.h>

static bool find_table(struct examination *x, struct error *e)
{
	const char *name = x->model->settings->table;
	return catalog_find_hidden(x->db, name, check_deadline(x->config), &x->table, e) ||
	       e->kind != ERROR_CONNECTION; /* catalog_examine() says what is wrong with the name */
}

/* Whether settings and table match. */
static bool check_settings(struct examination *x, struct error *e)
{
	if (!x->table.is_visible)
		return true;
	if (!catalog_examine(x->db, x->model, check_deadline(x->config), e))
		return false;
	for (size_t i = 0; i < x->mistakes.count; i++)
		check_problem(x, x->mistakes.lines[i]);
	x->fits = x->mistakes.count == 0;
	return true;
}

/* Whether the plan sorts rows.  An incremental sort does not count. */
static bool plan_sorts(const struct rows *plan)
{
	for (size_t i = 0; i < rows_count(plan); i++) {
		const char *line = rows_value(plan, i, 0);
		line += strspn(line, " ->");
		if (strcmp(line, "Sort") == 0)
			return true;
	}
	return false;
}

/* Plan a statement, which also shows whether the user may execute it.  A refusal goes to e.  The
 * planner only sorts if there is no other way. */
static bool explain(
	struct examination *x, char *sql, struct db_call call, bool *sorts, struct error *e)
{
	static const char planner[] = "SELECT pg_catalog.set_config(name, setting, true) FROM "
				      "(VALUES ('enable_sort', 'off'),"
				      " ('max_parallel_workers_per_gather', '0'))"
				      " AS s (name, setting)";
	struct rows *plan;
	char *explained = text_format("EXPLAIN (COSTS OFF) %s", sql);
	call.sql = explained;
	call.rows = &plan;
	struct db_call calls[4];
	size_t count = db_restore_settings_first(x->db, &calls[0]) ? 1 : 0;
	calls[count++] = (struct db_call){ .sql = planner };
	calls[count++] = db_role_path(x->db);
	calls[count++] = call;
	bool ok = db_run(x->db, calls, count, check_deadline(x->config), e);
	if (ok && sorts != NULL)
		/* cppcheck-suppress uninitvar ; it does not see who sets it */
		*sorts = plan_sorts(plan);
	rows_free(plan);
	free(explained);
	free(sql);
	return ok;
}

static void warn_of_sort(struct examination *x)
{
	char *remedy = sql_order_index(x->model);
	char *text = text_format("table %s: no index serves the order, so the server sorts the "
				 "table for every burst; %s",
		x->model->relation, remedy);
	check_warning(x, text);
	free(text);
	free(remedy);
}

/* Record a refusal for check_refusal(), and continue. */
static bool is_refused(struct examination *x, const struct error *e)
{
	x->refusal = *e;
	catalog_say_holder(
		x->db, x->model->settings->table, check_deadline(x->config), &x->refusal);
	return e->kind != ERROR_CONNECTION;
}

/* Whether the server accepts the claim statement. */
static bool check_claim(struct examination *x, struct error *e)
{
	if (!x->fits)
		return true;
	const struct model_config *c = x->model->settings;
	enum claim_kind kind = c->order_by.count > 0 ? CLAIM_ORDERED : CLAIM_FIRST;
	bool sorts = false;
	x->can_claim = explain(x, sql_claim(x->model, kind, (size_t)c->burst_count, false),
		(struct db_call){ 0 }, &sorts, e);
	if (sorts)
		warn_of_sort(x);
	return x->can_claim || is_refused(x, e);
}

static bool check_delete(struct examination *x, struct error *e)
{
	static const char *const values[] = { "{}", "0" };
	const struct db_call call = { .values = values, .value_count = 2 };
	if (!x->fits)
		return true;
	return explain(x, sql_delete(x->model), call, NULL, e) || is_refused(x, e);
}

/* What the server refuses for reasons that check_privileges() does not report better. */
static bool check_refusal(struct examination *x, struct error *e)
{
	(void)e;
	if (x->refusal.kind != ERROR_NONE && x->findings->problems == x->problems)
		check_problem(x, x->refusal.text);
	return true;
}

/* The checks of each model, in this order.  A check with is_in is omitted if there is no table. */
static const struct {
	check_part *check;
	bool is_in;
} checks[] = {
	{ find_table, false },
	{ check_settings, false },
	{ check_order, true },
	{ check_claim, true },
	{ check_delete, true },
	{ check_foreign_keys, true },
	{ check_privileges, true },
	{ check_dead_letters, true },
	{ check_replica_identity, true },
	{ check_refusal, true },
	{ check_sequences, true },
	{ check_order_lock, true },
	{ check_shared_rows, true },
	{ check_backlog, true },
	{ check_owner, true },
	{ check_autovacuum, true },
	{ check_trigger, true },
	{ check_prepared, true },
};

bool catalog_check(struct db *db, const struct config *config, size_t index, struct check_report *f,
	struct error *e)
{
	struct examination x = {
		.db = db, .config = config, .findings = f, .problems = f->problems
	};
	bool ok = true;
	x.model = model_new(config, index);
	x.model->mistakes = &x.mistakes;
	for (size_t i = 0; ok && !stop_requested() && i < sizeof checks / sizeof checks[0]; i++)
		if (x.table.oid != NULL || !checks[i].is_in)
			ok = checks[i].check(&x, e);
	if (!ok)
		catalog_say_holder(db, x.model->settings->table, check_deadline(config), e);
	model_free(x.model);
	problems_free(&x.mistakes);
	free(x.table.oid);
	return ok;
}
