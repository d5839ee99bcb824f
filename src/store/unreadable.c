/*
 * Rows of which some cannot be read: their text is invalid in the database's encoding, or an
 * expression fails for them.  A claim that reads none of this locks them, and they are read in
 * halves, until each such row is isolated; the others are sent without it.
 */
#include "base/text.h"
#include "base/utf8.h"
#include "model/size_guard.h"
#include "store/store_internal.h"

#include <stdlib.h>
#include <string.h>

/* Errors that are specific to rows: SQLSTATE classes of errors in data, or raised by user-defined
 * functions.  Any other error is specific to a row, too, if other rows can be read; if none can,
 * the model is at fault. */
static const char *const of_rows[] = { "21", "22", "23", "2F", "38", "39", "P0", "XX" };
static const char of_damage[] = "XX"; /* such a row cannot be copied either */

/* The rows that were read, each in one of several results. */
struct reading {
	struct rows **results;
	size_t result_count;
	struct place_read {
		const struct rows *rows;
		size_t row;
	} * places; /* one per row of the claim */
	size_t bytes;
	struct error why;     /* an output could not be read */
	struct error general; /* why a row could not be read, if not in a class of rows; otherwise
				 ERROR_NONE */
	size_t cut_to;        /* rows from this one on do not fit in the burst; 0: all do */
};

static bool is_state(const struct error *e, const char *class)
{
	return strncmp(e->sqlstate, class, strlen(class)) == 0;
}

static bool is_of_rows(const struct error *e)
{
	for (size_t i = 0; i < sizeof of_rows / sizeof of_rows[0]; i++)
		if (is_state(e, of_rows[i]))
			return true;
	return false;
}

bool store_may_be_row(const struct error *e)
{
	return e->sqlstate[0] != '\0' &&
	       (e->kind == ERROR_DATABASE ||
		       (e->kind == ERROR_PLAN && !is_state(e, "26000"))); /* not prepared */
}

/* Some rows: of those that follow each other, the refused ones, or the others. */
struct slice {
	size_t first, count;
	bool is_refused;
};

/* Their places, as two array literals. */
static void locate(const struct claim *claim, struct slice slice, struct text *arrays)
{
	for (size_t i = slice.first; i < slice.first + slice.count; i++) {
		if (claim_refuses(claim, i) != slice.is_refused)
			continue;
		sql_array_add(&arrays[0], rows_value(claim->rows, i, ROW_TABLEOID));
		sql_array_add(&arrays[1], rows_value(claim->rows, i, ROW_CTID));
	}
	sql_array_end(&arrays[0]);
	sql_array_end(&arrays[1]);
}

/* Execute a statement about some rows, which is freed. */
static bool read_with(
	struct trial *t, char *sql, struct db_call call, struct slice slice, struct error *e)
{
	struct text arrays[2] = { 0 };
	locate(t->claim, slice, arrays);
	const char *const values[] = { arrays[0].text, arrays[1].text };
	call.sql = sql;
	call.values = values;
	call.value_count = 2;
	bool ok = store_query(t->store, call, e);
	text_free(&arrays[0]);
	text_free(&arrays[1]);
	free(sql);
	return ok;
}

static bool release(struct trial *t, struct error *e)
{
	return store_query(t->store, (struct db_call){ .sql = "RELEASE SAVEPOINT part" }, e);
}

static bool is_same_row(const struct rows *a, size_t i, const struct rows *b, size_t k)
{
	return strcmp(rows_value(a, i, ROW_CTID), rows_value(b, k, ROW_CTID)) == 0 &&
	       strcmp(rows_value(a, i, ROW_TABLEOID), rows_value(b, k, ROW_TABLEOID)) == 0;
}

/* Find each row that is not refused in the results: often it follows the previous one. */
static bool place_rows(
	struct trial *t, const struct rows *rows, size_t first, size_t count, struct error *e)
{
	struct reading *r = t->arg;
	size_t found = rows_count(rows), at = 0;
	for (size_t i = first; i < first + count; i++) {
		size_t looked = 0;
		if (claim_refuses(t->claim, i))
			continue;
		while (looked < found && !is_same_row(t->claim->rows, i, rows, at % found)) {
			looked++;
			at++;
		}
		if (looked == found)
			/* uncovered: the row is locked */
			return error_set(e, ERROR_CONFLICT, "a locked row has disappeared");
		r->places[i] = (struct place_read){ rows, at++ % found };
	}
	return true;
}

/* Read some rows.  Those that do not fit in the burst are left for the next one. */
static bool read_rows(struct trial *t, size_t first, size_t count, struct error *e)
{
	struct reading *r = t->arg;
	struct rows *rows = NULL;
	size_t limit = (size_t)t->model->settings->burst_bytes, cut_to;
	const struct db_columns expected = store_claimed(t->model);
	const struct db_call call = { .rows = &rows,
		.expected = &expected,
		.max_bytes = limit,
		.cut_to = &cut_to,
		.row_max = size_guard_max(t->model) };
	if (r->cut_to > 0)
		return release(t, e);
	if (!read_with(t, sql_read(t->model), call, (struct slice){ first, count, false }, e))
		return false;
	r->results = memory_resize(r->results, r->result_count + 1, sizeof(struct rows *));
	r->results[r->result_count++] = rows;
	if (cut_to > 0)
		return error_set(e, ERROR_DATABASE, "the rows are too large to be read together");
	r->bytes += rows_bytes(rows);
	if (r->bytes > limit && first > 0)
		r->cut_to = first;
	return place_rows(t, rows, first, count, e) && release(t, e);
}

/* Also if together the rows are too large. */
static bool is_for_some(const struct error *e)
{
	return e->kind == ERROR_DATABASE || store_may_be_row(e);
}

/* The name of an output for people. */
static const char *name_of(const struct model *m, size_t output)
{
	size_t field = ROW_FIXED_FIELDS + output;
	for (size_t i = 0; i < m->member_count; i++)
		if (m->members[i].field == field)
			return m->members[i].name;
	for (size_t i = 0; i < m->header_count; i++)
		if (m->headers[i].field == field)
			return m->headers[i].name;
	return m->outputs[output].column != NO_FIELD ? m->columns[m->outputs[output].column].name
						     : "an expression";
}

/* Read one output of a row; *value is NULL if it cannot be read. */
static bool read_output(
	struct trial *t, size_t row, size_t output, struct rows **value, struct error *e)
{
	struct reading *r = t->arg;
	*value = NULL;
	if (!store_query(t->store, (struct db_call){ .sql = "SAVEPOINT part" }, e))
		/* uncovered: the session is lost at just this call */
		return false;
	const struct db_call call = { .rows = value, .row_max = size_guard_max(t->model) };
	if (read_with(t, sql_read_output(t->model, output), call, (struct slice){ row, 1, true },
		    &r->why))
		return release(t, e);
	return store_query(t->store, (struct db_call){ .sql = "ROLLBACK TO SAVEPOINT part" }, e);
}

/* Whether a refused row is too large: then only its place is read. */
static bool is_too_large(const struct trial *t, size_t row)
{
	return t->claim->refusals[row].kind == ERROR_REJECTED;
}

/* Read the place of a row as far as possible, and record what else cannot be read. */
static bool examine(struct trial *t, size_t row, struct text *reason, struct error *e)
{
	struct reading *r = t->arg;
	const struct model *m = t->model;
	size_t columns = ROW_FIXED_FIELDS + m->output_count;
	struct field *fields = memory_new(columns, sizeof *fields);
	struct rows **values = memory_new(m->output_count, sizeof(struct rows *));
	struct rows *own = rows_new(columns);
	bool ok = true;
	rows_fields(t->claim->rows, row, fields, ROW_FIXED_FIELDS);
	for (size_t i = 0; ok && i < m->output_count; i++) {
		struct field *f = &fields[ROW_FIXED_FIELDS + i];
		if (is_too_large(t, row) && !sql_is_place(m, i))
			continue;
		ok = read_output(t, row, i, &values[i], e);
		bool is_read = values[i] != NULL && rows_count(values[i]) == 1;
		if (ok && !is_read && reason->length == 0)
			text_addf(reason, "%s: %s", name_of(m, i), r->why.text);
		f->text = is_read && sql_is_place(m, i) ? rows_value(values[i], 0, 1) : NULL;
		f->length = f->text != NULL ? strlen(f->text) : 0;
	}
	rows_add(own, fields);
	r->results = memory_resize(r->results, r->result_count + 1, sizeof(struct rows *));
	r->results[r->result_count++] = own;
	r->places[row] = (struct place_read){ own, 0 };
	for (size_t i = 0; i < m->output_count; i++)
		rows_free(values[i]);
	free(values);
	free(fields);
	return ok;
}

/* Why a row is too large: a single output, or all together; to be freed. */
static char *describe_size(const struct model *m, const struct rows *sizes, size_t row)
{
	const char *name = "the row";
	size_t all = 0;
	for (size_t i = 0; i < m->output_count; i++) {
		size_t size = strtoul(rows_value(sizes, row, ROW_FIXED_FIELDS + i), NULL, 10);
		all += size;
		if (size > size_guard_max(m)) {
			all = size;
			name = name_of(m, i);
			break;
		}
	}
	return text_format("%s: too large: %zu bytes, and kafka.message_max_bytes is %zu", name,
		all, m->message_max);
}

/* Refuse those of some rows that are too large. */
static bool measure_rows(struct trial *t, size_t first, size_t count, struct error *e)
{
	struct rows *sizes = NULL;
	const struct db_call call = { .rows = &sizes };
	if (!read_with(t, sql_sizes(t->model), call, (struct slice){ first, count, false }, e))
		return false;
	for (size_t found = 0; found < rows_count(sizes); found++)
		for (size_t i = first; i < first + count; i++)
			if (is_same_row(t->claim->rows, i, sizes, found))
				trial_refuse(t, i,
					(struct refusal){
						.reason = describe_size(t->model, sizes, found),
						.what = REFUSED_READING,
						.kind = ERROR_REJECTED,
						.may_die = true });
	rows_free(sizes);
	return release(t, e);
}

/* What cannot be measured cannot be read either. */
static bool leave(struct trial *t, size_t row, const struct error *why, struct error *e)
{
	(void)t;
	(void)row;
	(void)why;
	(void)e;
	return true;
}

static bool refuse(struct trial *t, size_t row, const struct error *why, struct error *e)
{
	struct reading *r = t->arg;
	*e = *why;
	if (!store_may_be_row(why))
		return false;
	if (!is_of_rows(why))
		r->general = *why;
	trial_refuse(t, row,
		(struct refusal){ .reason = text_copy(why->text),
			.what = REFUSED_READING,
			.kind = ERROR_DATABASE,
			.may_die = !is_state(why, of_damage) });
	return true;
}

/* Whether a row from the second on can be read.  Returns false with e if the session is lost. */
static bool find_readable(struct trial *t, size_t count, bool *found, struct error *e)
{
	for (size_t i = 1; i < count && !*found && instant_before(clock_now(), t->deadline); i++) {
		struct error why;
		if (claim_refuses(t->claim, i))
			continue;
		if (!store_query(t->store, (struct db_call){ .sql = "SAVEPOINT part" }, e))
			/* uncovered: the session is lost at just this call */
			return false;
		*found = read_with(t, sql_read(t->model), (struct db_call){ 0 },
			(struct slice){ i, 1, false }, &why);
		if (!*found && why.kind == ERROR_STOPPED) {
			/* uncovered: a signal at just this call */
			*e = why;
			return false;
		}
		if (!store_query(
			    t->store, (struct db_call){ .sql = "ROLLBACK TO SAVEPOINT part" }, e))
			/* uncovered: the same */
			return false;
	}
	return true;
}

/* Record for each row what cannot be read. */
static bool examine_all(struct trial *t, struct error *e)
{
	for (size_t row = 0; row < t->claim->count; row++) {
		struct text reason = { 0 };
		if (!claim_refuses(t->claim, row))
			continue;
		if (!examine(t, row, &reason, e))
			/* uncovered: the session is lost at just this call */
			return false;
		if (reason.length == 0)
			continue; /* it is too large, or each output can be read separately */
		free(t->claim->refusals[row].reason);
		t->claim->refusals[row].reason = reason.text;
	}
	return true;
}

/* Whose fault a reason is that is none of rows usually: that of rows, if others of the tried ones
 * can be read, or could be before; else the model's.  A row that is all alone stays by itself: it
 * may be its own. */
static bool judge(struct trial *t, size_t tried, struct error *e)
{
	struct reading *r = t->arg;
	struct claim *claim = t->claim;
	bool *reads_some = &t->store->models[t->model->index].reads_some;
	bool is_general = r->general.kind != ERROR_NONE;
	size_t refused = 0;
	for (size_t row = 0; row < claim->count; row++)
		refused += claim_refuses(claim, row);
	bool some = refused < claim->count;
	/* In order, the rows after the first one were not tried yet. */
	if (is_general && claim->in_order && !some && !find_readable(t, tried, &some, e))
		/* uncovered: the session is lost at just this call */
		return false;
	*reads_some = *reads_some || (is_general && some);
	if (is_general && tried > 1 && !*reads_some) {
		*e = r->general;
		return false;
	}
	for (size_t row = 0; is_general && !some && row < claim->count; row++)
		claim->refusals[row].may_die = is_too_large(t, row);
	return examine_all(t, e);
}

/* Replace the bare rows with those that were read. */
static void take_over(struct trial *t)
{
	struct reading *r = t->arg;
	struct claim *claim = t->claim;
	size_t columns = ROW_FIXED_FIELDS + t->model->output_count;
	struct rows *rows = rows_new(columns);
	struct field *fields = memory_new(columns, sizeof *fields);
	if (r->cut_to > 0 && r->cut_to < claim->count)
		claim->count = claim->cut_to = r->cut_to;
	for (size_t i = 0; i < claim->count; i++) {
		rows_fields(r->places[i].rows, r->places[i].row, fields, columns);
		rows_add(rows, fields);
	}
	claim->more = claim->count < rows_count(claim->rows);
	rows_free(claim->rows);
	claim->rows = rows;
	free(fields);
}

/* An error that is not specific to any row, such as a missing privilege, is the model's. */
static bool read_none(struct trial *t, struct error *e)
{
	return store_query(t->store, (struct db_call){ .sql = "SAVEPOINT part" }, e) &&
	       read_with(t, sql_read(t->model), (struct db_call){ 0 }, (struct slice){ 0 }, e) &&
	       release(t, e);
}

/* Enough to find it. */
#define SHOWN_MAX 60

void store_check_text(const struct model *m, struct claim *claim)
{
	struct trial t = { .claim = claim };
	for (size_t row = 0; row < claim->count; row++)
		for (size_t i = 0; i < m->output_count && !claim_refuses(claim, row); i++) {
			const char *value = rows_value(claim->rows, row, ROW_FIXED_FIELDS + i);
			const char *invalid = value != NULL ? utf8_invalid(value) : NULL;
			if (invalid == NULL)
				continue;
			struct text reason = { 0 };
			char *shown = utf8_shown(invalid);
			text_addf(&reason, "%s: not UTF-8: ", name_of(m, i));
			text_add_short(&reason, shown, SHOWN_MAX);
			free(shown);
			trial_refuse(&t, row,
				(struct refusal){ .reason = reason.text,
					.what = REFUSED_READING,
					.kind = ERROR_DATABASE,
					.may_die = true });
		}
	trial_cut_order(claim);
}

bool store_read_apart(struct store *s, const struct model *m, struct claim *claim, struct error *e)
{
	struct reading r = { .places = memory_new(claim->count, sizeof *r.places) };
	struct trial measuring = { .store = s,
		.model = m,
		.claim = claim,
		.arg = &r,
		.try_rows = measure_rows,
		.refuse = leave,
		.is_for_row = is_for_some };
	struct trial reading = measuring;
	reading.try_rows = read_rows;
	reading.refuse = refuse;
	size_t tried = claim->count;
	bool ok = read_none(&measuring, e) && trial_run(&measuring, e);
	trial_cut_order(claim);
	ok = ok && trial_run(&reading, e);
	trial_cut_order(claim);
	bool any = measuring.any || reading.any;
	ok = ok && (!any || judge(&reading, tried, e));
	if (ok) {
		take_over(&reading);
		s->models[m->index].reads_apart = any;
	}
	for (size_t i = 0; i < r.result_count; i++)
		rows_free(r.results[i]);
	free(r.results);
	free(r.places);
	return ok;
}
