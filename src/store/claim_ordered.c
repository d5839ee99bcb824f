#include "store/store_internal.h"

#include "base/log.h"
#include "base/stop.h"
#include "base/text.h"
#include "model/size_guard.h"

#include <stdlib.h>

/* A list serves all bursts until it is used up, so it is longer than most bursts: creating it costs
 * a fraction of claiming as many rows, and writers are awaited once per list. */
#define LIST_ROWS 10000

/* How long a claim waits for writers; the caller may have other models to serve. */
#define WRITERS_WAIT_S 0.02

/* Before the second look at pg_locks; doubled for each other one, as long as WRITERS_WAIT_S lasts.
 */
#define PAUSE_S 0.001

#define WARN_AFTER_S 10.0

/* Sweeps are at least this far apart, and take at most this part of the time. */
#define SWEEP_S    1.0
#define SWEEP_PART 0.02

/* One ordered claim. */
struct attempt {
	struct store *store;
	const struct model *model;
	struct ordering *ordering;
	struct barrier *barrier;
	const struct claim_request *request;
	char *list, *writers, *take; /* names of the prepared statements */
	struct instant until;        /* when to stop waiting for writers */
	struct db_columns expected;  /* of the rows of a claim */
	struct claim *claim;         /* its rows are in a transaction; NULL: nothing is claimed */
	struct admission admission;  /* to them */
};

/* A row has arrived: report those that may be sent by now. */
static void admit_row(void *arg)
{
	struct attempt *a = arg;
	size_t before = a->admission.admitted;
	size_t count = barrier_admit(a->barrier, a->model, a->claim->rows, &a->admission);
	if (count == before)
		return;
	a->claim->is_streamed = true;
	a->request->on_row(a->request->arg, count);
}

static bool prepare(struct attempt *a, struct statement st, char **name, struct error *e)
{
	free(*name);
	*name = store_prepare(a->store, a->model, st, e);
	return *name != NULL;
}

static bool prepare_list(struct attempt *a, struct error *e)
{
	struct ordering *o = a->ordering;
	size_t burst = (size_t)a->model->settings->burst_count;
	const struct statement list = { o->from_floor ? "list_floor" : "list",
		sql_list(a->model, burst > LIST_ROWS ? burst : LIST_ROWS, o->from_floor),
		o->from_floor ? &o->prepared_floor_list : &o->prepared_list };
	if (!prepare(a, list, &a->list, e))
		/* uncovered: the session is lost at just this call */
		return false;
	const struct statement writers = { "writers", sql_writers(a->model, false),
		&o->prepared_writers };
	return prepare(a, writers, &a->writers, e);
}

static bool prepare_take(struct attempt *a, struct error *e)
{
	enum claim_kind kind = a->ordering->from_floor ? CLAIM_ORDERED_FROM : CLAIM_ORDERED;
	free(a->take);
	a->take = store_prepare_claim(a->store, a->model, kind,
		a->store->models[a->model->index].reads_apart ? CLAIM_BARE : 0, e);
	return a->take != NULL;
}

/* The claim: S2 of barrier.h. */
static struct db_call take_call(struct attempt *a, const char *const *floor)
{
	a->expected = store_claimed(a->model);
	bool is_bare = a->store->models[a->model->index].reads_apart;
	return (struct db_call){ .expected = is_bare ? NULL : &a->expected,
		.prepared = a->take,
		.values = floor,
		.value_count = a->ordering->from_floor,
		.rows = &a->claim->rows,
		.row_max = size_guard_max(a->model),
		.max_bytes = (size_t)a->model->settings->burst_bytes,
		.cut_to = &a->claim->cut_to };
}

static void note_list(
	struct attempt *a, struct rows *list, const struct rows *writers, struct instant start)
{
	struct ordering *o = a->ordering;
	struct instant now = clock_now();
	double apart = instant_seconds(start, now) / SWEEP_PART;
	if (!o->from_floor)
		o->next_sweep = instant_after(now, apart > SWEEP_S ? apart : SWEEP_S);
	o->in_doubt = rows_count(writers) > 0;
	o->is_warned = false;
	o->pause = PAUSE_S;
	barrier_begin(a->barrier, a->model, list, writers, now);
}

/* Create a list and find writers: S1 and L of barrier.h.  If none are expected, the claim, S2, is
 * in the same round trip, without which a message takes 1.1 instead of 0.9 ms (p50). */
static bool run_begin(struct attempt *a, struct error *e)
{
	struct ordering *o = a->ordering;
	struct rows *list = NULL, *writers = NULL;
	const char *const table[] = { a->model->relation }, *const floor[] = { o->floor };
	struct db_call calls[STORE_BEGIN_CALLS + 3];
	size_t count = store_begin(a->store, a->model, calls);
	calls[count++] = (struct db_call){
		.prepared = a->list, .values = floor, .value_count = o->from_floor, .rows = &list
	};
	calls[count++] = (struct db_call){
		.prepared = a->writers, .values = table, .value_count = 1, .rows = &writers
	};
	calls[count++] = take_call(a, floor);
	struct instant deadline = store_deadline(a->store), start = clock_now();
	bool ok = o->in_doubt ? db_run(a->store->db, calls + 1, count - 2, deadline, e)
			      : db_run(a->store->db, calls, count, deadline, e);
	if (ok)
		note_list(a, list, writers, start);
	else
		rows_free(list);
	rows_free(writers);
	return ok;
}

static bool begin(struct attempt *a, struct error *e)
{
	struct ordering *o = a->ordering;
	o->from_floor = o->floor != NULL && !a->request->from_start &&
			instant_before(clock_now(), o->next_sweep);
	return prepare_list(a, e) && prepare_take(a, e) && run_begin(a, e);
}

/* Claim the first rows. */
static bool take(struct attempt *a, struct error *e)
{
	const char *const floor[] = { a->ordering->floor };
	if (!prepare_take(a, e))
		/* uncovered: the session is lost at just this call */
		return false;
	struct db_call calls[STORE_BEGIN_CALLS + 1];
	size_t before = store_begin(a->store, a->model, calls);
	calls[before] = take_call(a, floor);
	if (store_may_stream(a->store, a->model, a->request)) {
		calls[before].on_row = admit_row;
		calls[before].arg = a;
	}
	return db_run(a->store->db, calls, before + 1, store_deadline(a->store), e);
}

/* Release the claimed rows. */
static bool release(struct attempt *a, struct error *e)
{
	rows_free(a->claim->rows);
	a->claim->rows = NULL;
	a->admission = (struct admission){ 0 };
	return store_roll_back(a->store, e);
}

/* Check which of the awaited writers are still there. */
static bool look(struct attempt *a, struct error *e)
{
	struct rows *writers = NULL;
	struct text among = { 0 };
	for (size_t i = 0; i < a->barrier->awaited_count; i++)
		sql_array_add(&among, a->barrier->awaited[i]);
	sql_array_end(&among);
	const char *const values[] = { a->model->relation, among.text };
	const struct statement awaited = { "awaited", sql_writers(a->model, true),
		&a->ordering->prepared_awaited };
	char *name = store_prepare(a->store, a->model, awaited, e);
	struct db_call call = {
		.prepared = name, .values = values, .value_count = 2, .rows = &writers
	};
	bool ok = name != NULL && store_query_model(a->store, a->model, call, e);
	if (ok) {
		barrier_look(a->barrier, writers);
		rows_free(writers);
	}
	text_free(&among);
	free(name);
	return ok;
}

/* Wait for the end of the awaited writers: W of barrier.h. */
static bool await_writers(struct attempt *a, struct error *e)
{
	struct ordering *o = a->ordering;
	while (look(a, e)) {
		struct instant now = clock_now();
		if (a->barrier->state != BARRIER_HELD || !instant_before(now, a->until))
			return true;
		if (stop_wait(instant_earlier(instant_after(now, o->pause), a->until)))
			/* uncovered: a signal within a few hundredths of a second */
			return true;
		o->pause *= 2;
	}
	/* uncovered: the session is lost at just this call */
	return false;
}

/* From the list to the claim, as far as possible.  Sets *count to how many rows may be sent; none
 * with an open barrier: the list is of no more use. */
static bool try_claim(struct attempt *a, size_t *count, struct error *e)
{
	struct barrier *b = a->barrier;
	*count = 0;
	if (b->state == BARRIER_NONE && !begin(a, e))
		return false;
	if (b->state == BARRIER_HELD && (!release(a, e) || !await_writers(a, e)))
		/* uncovered: the session is lost at just this call */
		return false;
	if (b->state != BARRIER_OPEN)
		return true;
	if (a->claim->rows == NULL && !take(a, e))
		return false;
	*count = barrier_admit(b, a->model, a->claim->rows, &a->admission);
	return true;
}

/* Claim, with a new list if the rest of the old one is gone, or other rows come before it. */
static bool claim_listed(struct attempt *a, size_t *count, bool *held_back, struct error *e)
{
	for (;;) {
		if (!try_claim(a, count, e))
			return false;
		*held_back = a->barrier->state == BARRIER_HELD;
		if (*count > 0 || a->barrier->state != BARRIER_OPEN)
			return true;
		barrier_reset(a->barrier);
		*held_back = !instant_before(clock_now(), a->until);
		if (!release(a, e) || *held_back)
			return store_connected(a->store);
	}
}

/* Describe an awaited writer for people.  The age of another role's session is visible only with
 * the role pg_read_all_stats. */
static bool describe_writer(struct store *s, const char *writer, struct text *t, struct error *e)
{
	static const char sql[] =
		"SELECT l.pid, COALESCE(p.gid, a.application_name, ''), pg_catalog.round(EXTRACT("
		"epoch FROM pg_catalog.clock_timestamp() - COALESCE(p.prepared, a.xact_start)))"
		" FROM pg_catalog.pg_locks l"
		" LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid"
		" LEFT JOIN pg_catalog.pg_locks x ON l.pid IS NULL AND x.pid IS NULL"
		" AND x.locktype = 'transactionid' AND x.virtualtransaction = l.virtualtransaction"
		" LEFT JOIN pg_catalog.pg_prepared_xacts p ON p.transaction = x.transactionid"
		" WHERE l.locktype = 'relation' AND l.virtualtransaction = $1"
		" ORDER BY 3 DESC NULLS LAST LIMIT 1";
	struct rows *rows;
	const char *const values[] = { writer };
	struct db_call call = { .sql = sql, .values = values, .value_count = 1, .rows = &rows };
	if (!store_query(s, call, e))
		/* uncovered: the session is lost at just this call */
		return false;
	bool found = rows_count(rows) > 0;
	if (!found)
		/* uncovered: the writer has ended since the check */
		text_addf(t, "a transaction that has just ended");
	else if (rows_value(rows, 0, 0) != NULL)
		text_addf(t, "the open transaction of server process %s (\"%s\")",
			rows_value(rows, 0, 0), rows_value(rows, 0, 1));
	else
		text_addf(t, "the prepared transaction \"%s\"", rows_value(rows, 0, 1));
	if (found && rows_value(rows, 0, 2) != NULL)
		text_addf(t, ", %s s old", rows_value(rows, 0, 2));
	rows_free(rows);
	return true;
}

bool store_set_writer_error(struct store *s, const struct model *m, struct error *e)
{
	const struct barrier *b = &s->models[m->index].ordering.barrier;
	struct text who = { 0 };
	if (b->state != BARRIER_HELD)
		/* uncovered: the same */
		text_addf(&who, "transactions that have just ended");
	else if (!describe_writer(s, b->awaited[0], &who, e))
		/* uncovered: the session is lost at just this call */
		return false;
	error_set(e, ERROR_DATABASE,
		"model \"%s\": the order is held back by %s: it has written to table %s and may "
		"yet commit earlier signals",
		m->settings->name, who.text, m->relation);
	text_free(&who);
	return false;
}

/* How long writers have been holding the order back; logged if that lasts. */
static double hold_seconds(struct attempt *a)
{
	struct error e;
	if (a->barrier->state != BARRIER_HELD)
		return 0;
	double seconds = instant_seconds(a->barrier->since, clock_now());
	if (seconds >= WARN_AFTER_S && !a->ordering->is_warned) {
		a->ordering->is_warned = true;
		store_set_writer_error(a->store, a->model, &e);
		log_warning("%s", e.text);
	}
	return seconds;
}

bool store_claim_ordered(struct store *s, const struct model *m,
	const struct claim_request *request, struct claim *claim, struct error *e)
{
	struct ordering *o = &s->models[m->index].ordering;
	struct attempt a = { .store = s,
		.model = m,
		.ordering = o,
		.barrier = &o->barrier,
		.request = request,
		.claim = claim,
		.until = instant_after(clock_now(), WRITERS_WAIT_S) };
	bool ok = claim_listed(&a, &claim->count, &claim->held_back, e);
	claim->in_order = true;
	claim->from_start = !o->from_floor;
	if (ok && claim->held_back)
		claim->held_seconds = hold_seconds(&a);
	free(a.list);
	free(a.writers);
	free(a.take);
	return ok;
}

void ordering_note_left(struct ordering *o, const struct model *m, const struct claim *claim,
	const struct row_outcome *outcomes)
{
	bool *flags = memory_new(claim->count, sizeof *flags);
	size_t last = 0;
	for (size_t i = 0; i < claim->count; i++) {
		flags[i] = outcome_leaves(outcomes[i].outcome);
		if (flags[i])
			last = i + 1;
	}
	barrier_note_sent(&o->barrier, m, claim->rows, flags, claim->count);
	free(flags);
	if (last == 0 || m->floor_field == NO_FIELD)
		return;
	free(o->floor);
	o->floor = text_copy(rows_value(claim->rows, last - 1, m->floor_field));
	o->from_floor = true;
}
