/*
 * What all parts of catalog_check() use: asking the server, and reporting.
 */
#include "catalog/catalog_check_internal.h"

#include "base/limits.h"

#include <stdlib.h>

struct instant check_deadline(const struct config *config)
{
	return instant_after(clock_now(), limit_answer(config->timeout));
}

void check_problem(struct examination *x, const char *text)
{
	report_problem(x->findings, x->model->settings->name, text);
}

void check_warning(struct examination *x, const char *text)
{
	report_warning(x->findings, x->model->settings->name, text);
}

bool check_ask(struct examination *x, struct question q, struct error *e)
{
	struct rows *rows;
	const char *const values[] = { x->table.oid, q.parameter };
	struct db_call call = { .sql = q.sql, .values = values, .value_count = 2, .rows = &rows };
	if (!db_call(x->db, call, check_deadline(x->config), e))
		return false;
	for (size_t i = 0; i < rows_count(rows); i++)
		q.say(x, rows_value(rows, i, 0));
	rows_free(rows);
	return true;
}

bool check_warn(struct examination *x, const char *sql, char *parameter, struct error *e)
{
	bool ok = check_ask(x, (struct question){ sql, parameter, check_warning }, e);
	free(parameter);
	return ok;
}
