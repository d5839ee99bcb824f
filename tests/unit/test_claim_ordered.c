#include "base/stop.h"
#include "base/text.h"
#include "store/store_internal.h"

#include "log_doubles.h"
#include "model_fixture.h"
#include "suite.h"

#include <stdio.h>
#include <string.h>

enum { BURST = 3, ROWS_MAX = 16 };

/* A store whose session is scripted: a signal table, and who writes to it.  What was asked for is a
 * letter each: B is BEGIN, L a list, or F one from the floor; W looks for writers, A for those that
 * are awaited; C claims, or T from the floor; R rolls back; . is a pause, and ? asks who a writer
 * is.
 */
static struct {
	struct instant now;
	struct fixture fixture;
	struct store store;
	struct session_model described;
	struct model *model;
	const char *order_by[2];
	struct claim_request request;
	struct claim claim;
	struct error error;
	/* The script: */
	long long keys[ROWS_MAX]; /* in order; 0: there are no more */
	size_t unlisted;          /* the number of last ones that came after the list */
	const char *writer;       /* NULL: nobody writes */
	unsigned looks;           /* after this many the holder has ended; 0: never */
	const char *limit;        /* of a list */
	char fails;               /* what fails, by its letter */
	const char *who[3];       /* pid, name, age */
	bool is_gone;             /* who is asked for */
	double takes;             /* seconds, for a list */
	bool is_stopped;
	bool vanish; /* the rows of a list */
	/* What happened: */
	char prepared[256];
	char calls[128];
	char floor[32];
	double pauses[32];
	size_t pause_count;
	struct db_call took;
	char taker[32];
	size_t told[ROWS_MAX], told_count;
} world;

struct instant scripted_clock_now(void);
struct instant scripted_clock_now(void)
{
	return world.now;
}

static void pass(double seconds)
{
	world.now = instant_after(world.now, seconds);
}

static bool note(char letter)
{
	size_t end = strlen(world.calls);
	ck_assert_uint_lt(end, sizeof world.calls - 1);
	world.calls[end] = letter;
	return letter != world.fails;
}

bool stop_wait(struct instant deadline)
{
	note('.');
	ck_assert_uint_lt(world.pause_count, COUNT(world.pauses));
	world.pauses[world.pause_count++] = instant_seconds(world.now, deadline);
	world.now = deadline;
	return world.is_stopped;
}

static void add_row(struct rows *rows, const char *const *values, size_t count)
{
	struct field fields[4];
	ck_assert_uint_le(count, COUNT(fields));
	for (size_t i = 0; i < count; i++)
		fields[i] = (struct field){ values[i], values[i] != NULL ? strlen(values[i]) : 0 };
	rows_add(rows, fields);
}

static const char *key(size_t i)
{
	static char text[32];
	snprintf(text, sizeof text, "%lld", world.keys[i]);
	return text;
}

static size_t key_count(void)
{
	size_t count = 0;
	while (count < ROWS_MAX && world.keys[count] != 0)
		count++;
	return count;
}

static struct rows *listed(void)
{
	size_t count = key_count() - world.unlisted;
	struct rows *rows = rows_new(1);
	pass(world.takes);
	for (size_t i = 0; i < count; i++) {
		const char *const one[] = { key(i) };
		add_row(rows, one, 1);
	}
	for (size_t i = 0; world.vanish && i < count; i++)
		world.keys[i] += 100;
	return rows;
}

static struct rows *writers(void)
{
	struct rows *rows = rows_new(1);
	if (world.writer != NULL)
		add_row(rows, &world.writer, 1);
	return rows;
}

static void take(const struct db_call *call)
{
	world.took = *call;
	snprintf(world.taker, sizeof world.taker, "%s", call->prepared);
	*call->rows = rows_new(4);
	for (size_t i = 0; i < key_count() && i < BURST; i++) {
		const char *const values[] = { "(0,1)", "16384", key(i), "body" };
		add_row(*call->rows, values, 4);
		if (call->on_row != NULL)
			call->on_row(call->arg);
	}
}

static bool is_of(const struct db_call *call, const char *name)
{
	return call->prepared != NULL && strcmp(call->prepared, name) == 0;
}

static bool answer(const struct db_call *call)
{
	bool is_floor =
		call->prepared != NULL && (strstr(call->prepared, "floor") != NULL ||
						  strstr(call->prepared, "ordered_from") != NULL);
	if (is_floor)
		snprintf(world.floor, sizeof world.floor, "%s", call->values[0]);
	ck_assert(call->value_count > 0 || !is_floor);
	if (call->sql != NULL) {
		ck_assert_int_eq(call->sql[0], 'B');
		return note('B');
	}
	if (is_of(call, "list") || is_of(call, "list_floor")) {
		*call->rows = listed();
		return note(is_floor ? 'F' : 'L');
	}
	ck_assert_ptr_nonnull(call->prepared);
	ck_assert(is_of(call, "writers") || strncmp(call->prepared, "claim_", 6) == 0);
	if (is_of(call, "writers")) {
		ck_assert_str_eq(call->values[0], "shop.\"order\"");
		*call->rows = writers();
		return note('W');
	}
	take(call);
	return note(is_floor ? 'T' : 'C');
}

bool db_run(struct db *db, const struct db_call *calls, size_t count, struct instant deadline,
	struct error *e)
{
	(void)db;
	ck_assert_int_eq(deadline.ns, 1);
	for (size_t i = 0; i < count; i++)
		if (!answer(&calls[i]))
			return error_set(e, ERROR_CONNECTION, "lost");
	return true;
}

/* Claims in no order. */
bool db_send(struct db *db, const struct db_call *calls, size_t count, struct error *e)
{
	(void)db;
	(void)calls;
	(void)count;
	(void)e;
	ck_abort();
}

bool db_receive(struct db *db, const struct db_call *calls, size_t count, struct instant deadline,
	struct error *e)
{
	(void)deadline;
	return db_send(db, calls, count, e);
}

void db_heed_stop(struct db *db, bool heeds)
{
	(void)db;
	(void)heeds;
	ck_abort();
}

bool db_prove(const struct db *db, struct db_call *call)
{
	(void)db;
	(void)call;
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
	ck_abort();
}

bool db_is_utf8(const struct db *db)
{
	return db == NULL;
}

struct instant store_deadline(const struct store *s)
{
	(void)s;
	return (struct instant){ 1 };
}

/* Each is prepared once, by its name. */
char *store_prepare(struct store *s, const struct model *m, struct statement st, struct error *e)
{
	char name[32];
	(void)s;
	(void)m;
	snprintf(name, sizeof name, "<%s>", st.what);
	bool is_prepared = strstr(world.prepared, name) != NULL;
	ck_assert(is_prepared == *st.done);
	if (!is_prepared && strncmp(st.what, "list", 4) == 0)
		ck_assert_ptr_nonnull(strstr(st.sql, world.limit));
	free(st.sql);
	if (world.fails == 'p' && !error_set(e, ERROR_PLAN, "no"))
		return NULL;
	*st.done = true;
	size_t length = strlen(world.prepared);
	ck_assert_uint_lt(length + sizeof name, sizeof world.prepared);
	if (!is_prepared)
		snprintf(world.prepared + length, sizeof name, "%s", name);
	return text_copy(st.what);
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
	(void)m;
	calls[0] = (struct db_call){ .sql = "BEGIN" };
	return 1;
}

size_t store_begin_bare(const struct store *s, const struct model *m, struct db_call *calls)
{
	(void)s;
	(void)m;
	(void)calls;
	ck_abort();
}

/* Those that are awaited are asked for by what they are. */
bool store_query_model(struct store *s, const struct model *m, struct db_call call, struct error *e)
{
	(void)s;
	(void)m;
	ck_assert_str_eq(call.prepared, "awaited");
	ck_assert_str_eq(call.values[0], "shop.\"order\"");
	ck_assert_str_eq(call.values[1], "{\"3/17\"}");
	if (world.looks > 0 && --world.looks == 0)
		world.writer = NULL;
	if (!note('A'))
		return error_set(e, ERROR_CONNECTION, "lost");
	*call.rows = writers();
	return true;
}

bool store_query(struct store *s, struct db_call call, struct error *e)
{
	(void)s;
	(void)e;
	if (call.values == NULL) /* savepoints of a trial */
		return true;
	ck_assert_str_eq(call.values[0], "3/17");
	note('?');
	*call.rows = rows_new(3);
	if (!world.is_gone)
		add_row(*call.rows, world.who, 3);
	return true;
}

bool store_roll_back(struct store *s, struct error *e)
{
	(void)s;
	return note('R') || error_set(e, ERROR_CONNECTION, "lost");
}

bool store_connected(const struct store *s)
{
	return s == &world.store;
}

void store_forget(struct store *s, size_t index)
{
	(void)s;
	(void)index;
	ck_abort();
}

void store_abandon(struct store *s)
{
	(void)s;
	ck_abort();
}

static void begin(const char *order, size_t count)
{
	static const struct told_column columns[] = { { "id", INT8_OID, "bigint" },
		{ "body", TEXT_OID, "text" } };
	world.now = (struct instant){ INT64_C(1000000000000) };
	fixture_init(&world.fixture);
	world.fixture.settings.burst_count = BURST;
	world.fixture.settings.burst_bytes = 1 << 20;
	world.order_by[0] = order;
	world.order_by[1] = "id";
	world.fixture.settings.order_by =
		(struct strings){ world.order_by, strcmp(order, "id") == 0 ? 1 : 2 };
	world.model = fixture_resolved(&world.fixture, columns, COUNT(columns), "id");
	world.store.models = &world.described;
	world.request.kind = CLAIM_ORDERED;
	world.limit = "LIMIT 10000";
	for (size_t i = 0; i < count; i++)
		world.keys[i] = (long long)i + 1;
}

static void end(void)
{
	claim_free(&world.claim);
	ordering_reset(&world.described.ordering);
	model_free(world.model);
}

static bool claim(void)
{
	claim_free(&world.claim);
	world.claim = (struct claim){ .count = 4711 };
	memset(world.calls, 0, sizeof world.calls);
	return store_claim_ordered(
		&world.store, world.model, &world.request, &world.claim, &world.error);
}

static void check_claimed(size_t count, const char *calls)
{
	ck_assert(claim());
	ck_assert_str_eq(world.calls, calls);
	ck_assert_uint_eq(world.claim.count, count);
	ck_assert(world.claim.in_order);
	ck_assert(!world.claim.held_back);
	ck_assert_double_eq(world.claim.held_seconds, 0);
}

static void check_held(const char *calls, double seconds)
{
	ck_assert(claim());
	ck_assert_str_eq(world.calls, calls);
	ck_assert_uint_eq(world.claim.count, 0);
	ck_assert_ptr_null(world.claim.rows);
	ck_assert(world.claim.in_order);
	ck_assert(world.claim.held_back);
	ck_assert_double_eq_tol(world.claim.held_seconds, seconds, 1e-6);
}

/* The first ones of what was claimed are sent, except the last of them, if one
 * stays. */
static void settle(size_t sent, bool stays)
{
	struct row_outcome outcomes[BURST] = { { 0 } };
	for (size_t i = 0; i < world.claim.count; i++)
		outcomes[i].outcome = i < sent ? OUTCOME_DELETE : OUTCOME_KEEP;
	ck_assert_uint_eq(world.claim.count, sent + stays);
	ordering_note_left(&world.described.ordering, world.model, &world.claim, outcomes);
	for (size_t i = 0; i + sent < ROWS_MAX; i++)
		world.keys[i] = world.keys[i + sent];
}

START_TEST(a_list_comes_along_with_its_claim_and_serves_until_it_is_sent)
{
	begin("id", 7);
	check_claimed(3, "BLWC");
	ck_assert(world.claim.from_start);
	settle(3, false);
	check_claimed(3, "BT");
	ck_assert_str_eq(world.floor, "3");
	ck_assert(!world.claim.from_start);
	settle(3, false);
	check_claimed(1, "BT");
	settle(1, false);
	world.keys[0] = 8;
	check_claimed(1, "BFWT");
	end();
}
END_TEST

START_TEST(an_empty_table_has_no_list)
{
	begin("id", 0);
	check_claimed(0, "BLWC");
	check_claimed(0, "BLWC");
	end();
}
END_TEST

START_TEST(a_claim_is_made_as_any_other)
{
	begin("id", 3);
	world.described.reads_apart = _i == 1;
	check_claimed(3, "BLWC");
	ck_assert_str_eq(world.taker, _i == 1 ? "claim_ordered_0_2" : "claim_ordered_0_0");
	ck_assert((world.took.expected != NULL) == (_i == 0));
	ck_assert_uint_eq(world.took.max_bytes, 1 << 20);
	ck_assert_ptr_eq(world.took.cut_to, &world.claim.cut_to);
	ck_assert_ptr_null(world.took.on_row);
	end();
}
END_TEST

START_TEST(what_came_after_the_list_waits_for_the_next_one)
{
	begin(_i == 0 ? "id" : "body", 3);
	world.unlisted = 1;
	check_claimed(2, "BLWC");
	settle(2, false);
	world.unlisted = 0;
	check_claimed(1, _i == 0 ? "BFWT" : "BLWC");
	end();
}
END_TEST

START_TEST(a_list_is_as_long_as_a_burst)
{
	begin("id", 3);
	world.fixture.settings.burst_count = 20000;
	world.limit = "LIMIT 20000";
	check_claimed(3, "BLWC");
	end();
}
END_TEST

/* Its rows are gone, and others came before what is left of it. */
START_TEST(a_list_that_is_of_no_more_use_is_made_again)
{
	begin("body", 3);
	world.writer = "3/17";
	ck_assert(claim());
	for (size_t i = 0; i < 3; i++)
		world.keys[i] += 10;
	world.looks = 1;
	check_claimed(3, "RABCRLWBC");
	end();
}
END_TEST

/* While others send each list at once, say. */
START_TEST(lists_are_made_again_for_a_moment_only)
{
	begin("body", 3);
	world.vanish = true;
	world.takes = 0.009;
	check_held("BLWCRBLWCRBLWCR", 0);
	end();
}
END_TEST

static const double pauses[] = { 0.001, 0.002, 0.004, 0.008, 0.005 };

START_TEST(writers_are_waited_for_with_growing_pauses)
{
	begin("id", 3);
	world.writer = "3/17";
	world.looks = 3;
	check_claimed(3, "BLWCRA.A.ABC");
	ck_assert_uint_eq(world.pause_count, 2);
	for (size_t i = 0; i < 2; i++)
		ck_assert_double_eq_tol(world.pauses[i], pauses[i], 1e-9);
	end();
}
END_TEST

START_TEST(a_claim_waits_for_a_moment_only_and_the_next_continues)
{
	begin("id", 3);
	world.writer = "3/17";
	check_held("BLWCRA.A.A.A.A.A", 0.02);
	for (size_t i = 0; i < COUNT(pauses); i++)
		ck_assert_double_eq_tol(world.pauses[i], pauses[i], 1e-9);
	pass(0.98);
	world.pause_count = 0;
	check_held("RA.A", 1.02);
	ck_assert_double_eq_tol(world.pauses[0], 0.02, 1e-9);
	end();
}
END_TEST

START_TEST(pauses_have_a_limit)
{
	begin("id", 3);
	world.writer = "3/17";
	for (int i = 0; i < 10; i++) {
		world.pause_count = 0;
		ck_assert(claim());
	}
	ck_assert_uint_eq(world.pause_count, 1);
	ck_assert_double_eq_tol(world.pauses[0], 0.02, 1e-9);
	end();
}
END_TEST

START_TEST(if_writers_are_met_the_claim_comes_after_the_list)
{
	begin("id", 2);
	world.writer = "3/17";
	world.looks = 1;
	check_claimed(2, "BLWCRABC");
	settle(2, false);
	world.keys[0] = 3;
	check_claimed(1, "FWBT"); /* nobody any more … */
	settle(1, false);
	world.keys[0] = 4;
	check_claimed(1, "BFWT"); /* … so there is no doubt now */
	end();
}
END_TEST

#define HELD_BY "warning: model \"Order\": the order is held back by "
#define WRITTEN                                                                                    \
	": it has written to table shop.\"order\" and may yet commit earlier "                     \
	"signals\n"

static const struct {
	const char *who[3];
	bool is_gone;
	const char *warning;
} holders[] = {
	{ { "4711", "psql", "11" }, false,
		HELD_BY "the open transaction of server process 4711 (\"psql\"), 11 s "
			"old" WRITTEN },
	{ { "4711", "", NULL }, false,
		HELD_BY "the open transaction of server process 4711 (\"\")" WRITTEN },
	{ { NULL, "gid", "11" }, false,
		HELD_BY "the prepared transaction \"gid\", 11 s old" WRITTEN },
	{ { NULL, NULL, NULL }, true, HELD_BY "a transaction that has just ended" WRITTEN },
};

START_TEST(who_holds_the_order_back_for_long_is_named_once)
{
	begin("id", 3);
	world.writer = "3/17";
	memcpy(world.who, holders[_i].who, sizeof world.who);
	world.is_gone = holders[_i].is_gone;
	ck_assert(claim());
	pass(9.95);
	check_held("RA.A", 9.99);
	check_logged("");
	check_held("RA.A?", 10.01);
	check_logged(holders[_i].warning);
	pass(100);
	check_held("RA.A", 110.03);
	check_logged(holders[_i].warning);
	/* The next one is another matter. */
	world.looks = 1;
	check_claimed(3, "RABC");
	settle(3, false);
	world.keys[0] = 4;
	world.writer = "3/17";
	ck_assert(claim());
	pass(11);
	logged[0] = '\0';
	ck_assert(claim());
	check_logged(holders[_i].warning);
	end();
}
END_TEST

START_TEST(a_stop_ends_the_wait)
{
	begin("id", 3);
	world.writer = "3/17";
	world.is_stopped = true;
	check_held("BLWCRA.", 0.001);
	end();
}
END_TEST

static const struct {
	char letter;
	const char *calls;
} failures[] = {
	{ 'p', "" },
	{ 'L', "BL" },
	{ 'W', "BLW" },
	{ 'C', "BLWC" },
	{ 'R', "BLWCR" },
	{ 'A', "BLWCRA" },
};

START_TEST(a_failure_is_one_of_the_claim)
{
	begin("id", 3);
	world.writer = "3/17";
	world.fails = failures[_i].letter;
	ck_assert(!claim());
	ck_assert_str_eq(world.calls, failures[_i].calls);
	ck_assert_uint_eq(world.claim.count, 0);
	ck_assert_str_eq(world.error.text, world.fails == 'p' ? "no" : "lost");
	end();
}
END_TEST

START_TEST(a_claim_that_fails_after_its_list_keeps_that)
{
	begin("id", 3);
	world.writer = "3/17";
	ck_assert(claim());
	world.looks = 1;
	world.fails = 'C';
	ck_assert(!claim());
	ck_assert_str_eq(world.calls, "RABC");
	world.fails = '\0';
	check_claimed(3, "BC");
	end();
}
END_TEST

/* Against the barrier's assumptions rows may come before the floor. */
START_TEST(all_of_the_table_is_swept_now_and_then)
{
	double apart = _i == 0 ? 1 : 5;
	begin("id", 1);
	world.takes = _i == 0 ? 0.001 : 0.1; /* a fiftieth of the time at most */
	check_claimed(1, "BLWC");
	settle(1, false);
	world.takes = 0;
	pass(apart - 0.01);
	world.keys[0] = 2;
	check_claimed(1, "BFWT");
	ck_assert(!world.claim.from_start);
	settle(1, false);
	pass(0.02);
	world.keys[0] = 3;
	check_claimed(1, "BLWC");
	ck_assert(world.claim.from_start);
	settle(1, false);
	world.keys[0] = 4;
	check_claimed(1, "BFWT");
	settle(1, false);
	world.keys[0] = 5;
	world.request.from_start = true;
	check_claimed(1, "BLWC");
	end();
}
END_TEST

START_TEST(an_order_that_rows_do_not_leave_from_its_beginning_has_no_floor)
{
	begin("body", 3);
	check_claimed(3, "BLWC");
	settle(3, false);
	ck_assert_ptr_null(world.described.ordering.floor);
	world.keys[0] = 4;
	check_claimed(1, "BLWC");
	ck_assert(world.claim.from_start);
	end();
}
END_TEST

START_TEST(a_row_that_stays_is_the_next_one)
{
	begin("id", 4);
	check_claimed(3, "BLWC");
	world.claim.count = _i == 0 ? 3 : 1; /* the last one was refused */
	settle(_i == 0 ? 2 : 0, true);
	if (_i == 0)
		ck_assert_str_eq(world.described.ordering.floor, "2");
	else
		ck_assert_ptr_null(world.described.ordering.floor);
	check_claimed(_i == 0 ? 2 : 3, _i == 0 ? "BT" : "BC");
	ck_assert_str_eq(rows_value(world.claim.rows, 0, 2), _i == 0 ? "3" : "1");
	end();
}
END_TEST

START_TEST(facts_of_a_table_are_forgotten_except_its_statements)
{
	begin("id", 4);
	world.writer = "3/17";
	world.looks = 2;
	check_claimed(3, "BLWCRA.ABC");
	settle(3, false);
	struct ordering *o = &world.described.ordering;
	ordering_reset(o);
	ck_assert(o->prepared_list && o->prepared_writers && o->prepared_awaited);
	ck_assert(!o->prepared_floor_list);
	check_claimed(1, "BLWC");
	end();
}
END_TEST

static void tell(void *arg, size_t count)
{
	ck_assert_ptr_eq(arg, &world);
	ck_assert(world.claim.is_streamed);
	world.told[world.told_count++] = count;
}

/* Of a claim that comes with its list nothing is known yet. */
START_TEST(rows_are_announced_as_they_come)
{
	begin("id", 6);
	world.unlisted = 1;
	world.described.last_burst_clean = true;
	world.request.on_row = tell;
	world.request.arg = &world;
	check_claimed(3, "BLWC");
	ck_assert_uint_eq(world.told_count, 0);
	settle(3, false);
	check_claimed(2, "BT");
	ck_assert_uint_eq(world.told_count, 2); /* not of what was not listed */
	ck_assert_uint_eq(world.told[0], 1);
	ck_assert_uint_eq(world.told[1], 2);
	end();
}
END_TEST

/* The third and the sixth row are refused. */
static bool try_rows(struct trial *t, size_t first, size_t count, struct error *e)
{
	(void)t;
	for (size_t i = first; i < first + count; i++) {
		bool is_refused = i == 2 || i == 5;
		if (is_refused)
			return error_set(e, ERROR_DATABASE, "no");
	}
	return true;
}

static bool refuse(struct trial *t, size_t row, const struct error *why, struct error *e)
{
	(void)e;
	trial_refuse(t, row, (struct refusal){ .reason = text_copy(why->text) });
	return true;
}

START_TEST(in_order_a_refused_row_is_the_last_one)
{
	static const struct config config = { .timeout = 5 };
	struct trial t = {
		.store = &world.store, .claim = &world.claim, .try_rows = try_rows, .refuse = refuse
	};
	begin("id", 0);
	world.store.config = &config;
	world.claim = (struct claim){ .count = 8, .in_order = _i == 1 };
	ck_assert(trial_run(&t, &world.error));
	trial_cut_order(&world.claim);
	ck_assert_uint_eq(world.claim.count, _i == 1 ? 3 : 8);
	for (size_t i = 0; i < 8; i++)
		ck_assert(claim_refuses(&world.claim, i) == (i == 2 || (i == 5 && _i == 0)));
	end();
}
END_TEST

int main(void)
{
	const struct test tests[] = {
		{ a_list_comes_along_with_its_claim_and_serves_until_it_is_sent, 1, 0 },
		{ an_empty_table_has_no_list, 1, 0 },
		{ a_claim_is_made_as_any_other, 2, 0 },
		{ what_came_after_the_list_waits_for_the_next_one, 2, 0 },
		{ a_list_is_as_long_as_a_burst, 1, 0 },
		{ a_list_that_is_of_no_more_use_is_made_again, 1, 0 },
		{ lists_are_made_again_for_a_moment_only, 1, 0 },
		{ writers_are_waited_for_with_growing_pauses, 1, 0 },
		{ a_claim_waits_for_a_moment_only_and_the_next_continues, 1, 0 },
		{ pauses_have_a_limit, 1, 0 },
		{ if_writers_are_met_the_claim_comes_after_the_list, 1, 0 },
		{ who_holds_the_order_back_for_long_is_named_once, COUNT(holders), 0 },
		{ a_stop_ends_the_wait, 1, 0 },
		{ a_failure_is_one_of_the_claim, COUNT(failures), 0 },
		{ a_claim_that_fails_after_its_list_keeps_that, 1, 0 },
		{ all_of_the_table_is_swept_now_and_then, 2, 0 },
		{ an_order_that_rows_do_not_leave_from_its_beginning_has_no_floor, 1, 0 },
		{ a_row_that_stays_is_the_next_one, 2, 0 },
		{ facts_of_a_table_are_forgotten_except_its_statements, 1, 0 },
		{ rows_are_announced_as_they_come, 1, 0 },
		{ in_order_a_refused_row_is_the_last_one, 2, 0 },
	};
	return suite_run("claim_ordered", tests, COUNT(tests));
}
