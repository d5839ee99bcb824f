#include "daemon/model_status.h"

#include "log_doubles.h"

#include "suite.h"

enum { MODELS = 2 };

/* The clock, and what is tested. */
static struct {
	int64_t now_ns;
	struct model_config models[MODELS];
	struct config config;
	struct model_status *status;
} world;

struct instant scripted_clock_now(void);
struct instant scripted_clock_now(void)
{
	return (struct instant){ world.now_ns };
}

static void begin(void)
{
	static char names[MODELS][8] = { "A", "B" };
	world.now_ns = INT64_C(1000000000000);
	for (size_t i = 0; i < MODELS; i++)
		world.models[i].name = names[i];
	for (size_t i = 0; i < MODELS; i++)
		world.models[i].autoflush = true;
	world.config = (struct config){ .autoflush = true,
		.models = world.models,
		.model_count = MODELS,
		.timeout = 30,
		.poll_interval = 2 };
	world.status = status_new(&world.config);
}

static void end(void)
{
	status_free(world.status);
}

static void pass(double seconds)
{
	world.now_ns += (int64_t)(seconds * 1e9);
}

/* A visit of a model that takes so long, and fails. */
static double fail_model(size_t model, double seconds, enum error_kind kind, const char *text)
{
	struct error e;
	struct instant start = { world.now_ns };
	error_set(&e, kind, "%s", text);
	status_begin(world.status, model);
	pass(seconds);
	return status_failure(world.status, model, &e, start, 0);
}

static double fail_after(double seconds, enum error_kind kind, const char *text)
{
	return fail_model(0, seconds, kind, text);
}

static void succeed(bool has_sent)
{
	status_begin(world.status, 0);
	status_success(world.status, 0, has_sent);
}

#define BEGINNING "error: Caught error while sending pending signals: model \"A\": "

static const struct {
	enum error_kind kind;
	bool at_once;
} kinds[] = {
	{ ERROR_CONFIG, true },
	{ ERROR_DATABASE, true },
	{ ERROR_REJECTED, true },
	{ ERROR_TOPIC, true },
	{ ERROR_CONNECTION, false },
	{ ERROR_TEMPORARY, false },
	{ ERROR_CONFLICT, false },
	{ ERROR_PLAN, false },
	{ ERROR_BROKER, false },
};

START_TEST(what_may_pass_is_reported_when_it_has_lasted)
{
	begin();
	fail_after(1, kinds[_i].kind, "no");
	check_logged(kinds[_i].at_once ? BEGINNING "no\n" : "");
	ck_assert(status_is_stopped(world.status, 0));
	pass(28.9);
	fail_after(0, kinds[_i].kind, "no");
	check_logged(kinds[_i].at_once ? BEGINNING "no\n" : "");
	fail_after(0.1, kinds[_i].kind, "no");
	check_logged(BEGINNING "no\n");
	pass(10);
	succeed(true);
	check_logged(BEGINNING "no\nwarning: model \"A\": resumed after 40 s\n");
	ck_assert(!status_is_stopped(world.status, 0));
	/* All begins again. */
	logged[0] = '\0';
	fail_after(1, kinds[_i].kind, "no");
	check_logged(kinds[_i].at_once ? BEGINNING "no\n" : "");
	end();
}
END_TEST

START_TEST(what_takes_longer_than_the_timeout_is_reported_at_once)
{
	begin();
	fail_after(31, ERROR_CONNECTION, "model \"A\": the commit hangs");
	check_logged(BEGINNING "the commit hangs\n");
	end();
}
END_TEST

/* That nothing is left does not show that commits are confirmed again. */
START_TEST(unconfirmed_commits_are_reported_until_one_is_confirmed)
{
	begin();
	for (int i = 0; i < 3; i++) {
		fail_after(31, ERROR_UNCONFIRMED, "the commit hangs");
		succeed(false);
	}
	ck_assert(status_is_stopped(world.status, 0));
	succeed(true);
	check_logged(BEGINNING "the commit hangs\nwarning: model \"A\": resumed after 93 s\n");
	fail_after(31, ERROR_TEMPORARY, "locked");
	succeed(false);
	ck_assert(!status_is_stopped(world.status, 0));
	end();
}
END_TEST

START_TEST(what_passes_is_not_told)
{
	begin();
	for (int i = 0; i < 100; i++) {
		fail_after(29, ERROR_TEMPORARY, "locked");
		succeed(true);
	}
	check_logged("");
	end();
}
END_TEST

START_TEST(each_reason_is_reported_once)
{
	char many[32];
	begin();
	for (int i = 0; i < 10; i++) {
		fail_after(0, ERROR_DATABASE, "3 of 10 signals, process 4711");
		fail_after(0, ERROR_DATABASE, "10 of 10 signals, process 4");
		fail_after(0, ERROR_TOPIC, "no topic");
		fail_after(0, ERROR_TOPIC, "no table");
	}
	check_logged(BEGINNING "3 of 10 signals, process 4711\n" BEGINNING "no topic\n" BEGINNING
			       "no table\n");
	for (int i = 0; i < 20; i++) {
		snprintf(many, sizeof many, "%.*s", i, "aaaaaaaaaaaaaaaaaaaaaaa");
		fail_after(0, ERROR_DATABASE, many);
	}
	size_t count = 0;
	for (const char *p = logged; (p = strchr(p, '\n')) != NULL; p++)
		count++;
	ck_assert_uint_eq(count, 4);
	end();
}
END_TEST

START_TEST(to_see_nothing_proves_nothing_while_another_worker_is_at_it)
{
	begin();
	fail_after(0, ERROR_DATABASE, "no");
	status_begin(world.status, 0);
	succeed(false);
	ck_assert(status_is_stopped(world.status, 0));
	status_leave(world.status, 0);
	check_logged(BEGINNING "no\n");
	pass(5);
	succeed(false);
	check_logged(BEGINNING "no\nwarning: model \"A\": resumed after 5 s\n");
	end();
}
END_TEST

START_TEST(waits_back_off)
{
	begin();
	const enum error_kind kind = _i == 0 ? ERROR_DATABASE : ERROR_TEMPORARY;
	ck_assert_double_eq_tol(fail_after(0, kind, "no"), 0.05, 1e-6);
	ck_assert_double_eq_tol(fail_after(0, kind, "no"), 0.1, 1e-6);
	for (int i = 0; i < 20; i++)
		fail_after(0, kind, "no");
	ck_assert_double_eq_tol(fail_after(0, kind, "no"), 5, 1e-6);
	succeed(true);
	ck_assert_double_eq_tol(fail_after(0, kind, "no"), 0.05, 1e-6);
	end();
}
END_TEST

START_TEST(status_by_is_no_failure)
{
	begin();
	ck_assert_double_eq_tol(fail_after(0, ERROR_BUSY, "model \"A\": by another"), 1, 1e-6);
	check_logged("info: model \"A\": stands by: by another\n");
	fail_after(60, ERROR_BUSY, "by another");
	ck_assert(!status_is_stopped(world.status, 0));
	succeed(false);
	check_logged("info: model \"A\": stands by: by another\n"
		     "info: model \"A\": took over the ordered lock\n");
	succeed(false);
	logged[0] = '\0';
	fail_after(0, ERROR_BUSY, "by another");
	check_logged("info: model \"A\": stands by: by another\n");
	end();
}
END_TEST

START_TEST(those_that_fail_are_described)
{
	struct text t = { 0 };
	begin();
	fail_after(0, ERROR_TEMPORARY, "locked");
	status_describe(world.status, (struct instant){ world.now_ns }, &t);
	ck_assert_uint_eq(t.length, 0);
	pass(75);
	fail_after(0, ERROR_BROKER, "not stored");
	status_describe(world.status, (struct instant){ world.now_ns }, &t);
	ck_assert_str_eq(t.text, "; stopped: A (broker, 75 s)");
	text_free(&t);
	pass(5);
	fail_model(1, 0, ERROR_DATABASE, "no");
	status_describe(world.status, (struct instant){ world.now_ns }, &t);
	ck_assert_str_eq(t.text, "; stopped: A (broker, 80 s), B (database, 0 s)");
	text_free(&t);
	end();
}
END_TEST

START_TEST(what_operators_pause_is_described)
{
	struct text t = { 0 };
	begin();
	world.models[1].autoflush = false;
	status_pause(world.status, 0, true);
	status_describe(world.status, clock_now(), &t);
	ck_assert_str_eq(t.text, "; paused: A, B");
	text_free(&t);
	status_pause(world.status, 0, false);
	status_pause(world.status, 1, false);
	status_describe(world.status, clock_now(), &t);
	ck_assert_str_eq(t.text, "; paused: B");
	text_free(&t);
	end();
}
END_TEST

START_TEST(paused_models_are_described_and_long_lists_cut)
{
	struct model_config many[23];
	struct config config = {
		.models = many, .model_count = COUNT(many), .autoflush = true, .timeout = 30
	};
	struct text t = { 0 };
	for (size_t i = 0; i < COUNT(many); i++)
		many[i] = (struct model_config){ .name = i < 11 ? "S" : "P", .autoflush = i < 11 };
	struct model_status *status = status_new(&config);
	struct error e;
	world.now_ns = 1000000000;
	for (size_t i = 0; i < 11; i++) {
		status_begin(status, i);
		error_set(&e, ERROR_DATABASE, "no");
		status_failure(status, i, &e, clock_now(), 0);
	}
	status_describe(status, clock_now(), &t);
	ck_assert_str_eq(t.text,
		"; stopped: S (database, 0 s), S (database, 0 s), S (database, 0 s), S (database, "
		"0 s),"
		" S (database, 0 s), S (database, 0 s), S (database, 0 s), S (database, 0 s),"
		" S (database, 0 s), S (database, 0 s) and 1 more"
		"; paused: P, P, P, P, P, P, P, P, P, P and 2 more");
	text_free(&t);
	status_free(status);
}
END_TEST

/* A visit that finds nothing, or sends, and notes the place of a row unless it is NULL. */
static bool visit(bool swept, const char *ctid)
{
	struct sighting row;
	status_begin(world.status, 0);
	bool looks = status_looks(world.status, 0, swept, &row);
	snprintf(row.ctid, sizeof row.ctid, "%s", ctid);
	if (looks && status_saw(world.status, 0, swept, &row))
		status_tell_held(world.status, 0, "shop.a", "him");
	status_success(world.status, 0, !swept);
	return looks;
}

static void check_held(bool sees_rows, bool is_stopped)
{
	ck_assert(status_sees_rows(world.status, 0) == sees_rows);
	ck_assert(status_is_stopped(world.status, 0) == is_stopped);
}

#define HELD BEGINNING "table shop.a: signals have been locked for 31 s by him\n"

START_TEST(rows_that_others_keep_locked_stop_a_model)
{
	struct text t = { 0 };
	struct sighting row;
	begin();
	status_counted(world.status, 0);
	ck_assert(!visit(false, "(0,1)"));
	ck_assert(visit(true, "(0,1)"));
	ck_assert(!visit(true, "(0,1)")); /* not again at once */
	check_held(true, false);
	pass(1);
	status_begin(world.status, 0);
	ck_assert(status_looks(world.status, 0, false, &row));
	ck_assert_str_eq(row.ctid, "(0,1)"); /* the one to look at again */
	status_leave(world.status, 0);
	ck_assert(visit(true, "(0,1)"));
	check_held(true, false);
	pass(28.9);
	visit(true, "(0,1)");
	check_logged("");
	pass(1);
	visit(true, "(0,1)");
	visit(false, "(0,1)"); /* others are sent */
	pass(10);
	visit(true, "(0,1)");
	check_logged(HELD);
	check_held(true, true);
	status_describe(world.status, clock_now(), &t);
	ck_assert_str_eq(t.text, "; stopped: A (locked, 41 s)");
	text_free(&t);
	pass(1);
	ck_assert(visit(false, ""));
	check_logged(HELD "warning: model \"A\": resumed after 42 s\n");
	check_held(false, false);
	ck_assert(status_watches(world.status, 0)); /* there may be others */
	visit(true, "");
	ck_assert(!status_watches(world.status, 0));
	end();
}
END_TEST

START_TEST(rows_that_come_and_go_are_not_held)
{
	begin();
	ck_assert(!visit(true, "(0,1)")); /* none was counted */
	for (int i = 0; i < 100; i++) {
		status_counted(world.status, 0);
		visit(true, "(0,1)");
		pass(20);
		visit(true, "");
	}
	visit(true, "");
	check_logged("");
	check_held(false, false);
	end();
}
END_TEST

START_TEST(rows_of_another_worker_are_not_held)
{
	begin();
	status_counted(world.status, 0);
	visit(true, "(0,1)");
	status_begin(world.status, 0);
	for (int i = 0; i < 40; i++) {
		pass(1);
		ck_assert(!visit(true, "(0,1)"));
	}
	check_logged("");
	check_held(true, false);
	status_leave(world.status, 0);
	end();
}
END_TEST

START_TEST(rows_that_stay_for_a_failure_are_not_held)
{
	begin();
	status_counted(world.status, 0);
	visit(true, "(0,1)");
	fail_after(31, ERROR_BROKER, "no");
	ck_assert(!visit(true, "(0,1)"));
	check_held(false, false);
	end();
}
END_TEST

START_TEST(rows_that_are_sent_in_pieces_are_not_held)
{
	begin();
	status_counted(world.status, 0);
	visit(true, "(0,1)");
	for (int i = 0; i < 40; i++) {
		pass(1);
		visit(false, "(0,1)"); /* a backlog: nothing was skipped */
	}
	check_logged("");
	check_held(true, false);
	end();
}
END_TEST

static void put_off(void)
{
	struct error e;
	error_set(&e, ERROR_DATABASE, "model \"A\": signal (id)=(3)");
	deferral_add(status_deferral(world.status, 0), "16384", "(0,3)", &e);
}

static void empty(void)
{
	deferral_release(status_deferral(world.status, 0), clock_now(), false);
	status_begin(world.status, 0);
	status_emptied(world.status, 0);
	status_success(world.status, 0, false);
}

#define PUT_OFF "error: Caught error while sending pending signals: model \"A\": signal (id)=(3)\n"

START_TEST(rows_that_are_put_off_stop_a_model)
{
	struct text t = { 0 };
	begin();
	put_off();
	pass(7);
	succeed(true);
	ck_assert(status_is_stopped(world.status, 0));
	ck_assert(!status_is_stopped(world.status, 1));
	status_describe(world.status, clock_now(), &t);
	ck_assert_str_eq(t.text, "; stopped: A (database, 7 s)");
	text_free(&t);
	empty();
	check_logged(PUT_OFF "warning: model \"A\": resumed after 7 s\n");
	ck_assert(!status_is_stopped(world.status, 0));
	status_describe(world.status, clock_now(), &t);
	ck_assert_uint_eq(t.length, 0);
	end();
}
END_TEST

START_TEST(rows_without_number_are_reported_together)
{
	struct error e;
	begin();
	for (int i = 0; i < 100; i++) {
		error_set(&e, ERROR_DATABASE, "signal %d", i);
		deferral_add(status_deferral(world.status, 0), "16384", "(0,3)", &e);
	}
	size_t errors = 0, warnings = 0;
	for (const char *p = logged; (p = strstr(p, "error: ")) != NULL; p++)
		errors++;
	for (const char *p = logged; (p = strstr(p, "warning: ")) != NULL; p++)
		warnings++;
	ck_assert_uint_eq(errors, DEFERRAL_TOLD_MAX);
	ck_assert_uint_eq(warnings, 1);
	ck_assert_ptr_nonnull(strstr(logged, "warning: model \"A\""));
	end();
}
END_TEST

START_TEST(a_model_resumes_once_whatever_was_wrong)
{
	begin();
	fail_after(0, ERROR_DATABASE, "no");
	pass(3);
	put_off();
	pass(4);
	succeed(false);
	check_logged(BEGINNING "no\n" PUT_OFF);
	empty();
	check_logged(BEGINNING "no\n" PUT_OFF "warning: model \"A\": resumed after 7 s\n");
	end();
}
END_TEST

START_TEST(what_is_sent_ends_a_failure_though_rows_are_put_off)
{
	begin();
	fail_after(0, ERROR_DATABASE, "no");
	put_off();
	pass(5);
	succeed(true);
	check_logged(BEGINNING "no\n" PUT_OFF "warning: model \"A\": resumed after 5 s\n");
	ck_assert(status_is_stopped(world.status, 0));
	end();
}
END_TEST

int main(void)
{
	const struct test tests[] = {
		{ what_may_pass_is_reported_when_it_has_lasted, COUNT(kinds), 0 },
		{ what_takes_longer_than_the_timeout_is_reported_at_once, 1, 0 },
		{ unconfirmed_commits_are_reported_until_one_is_confirmed, 1, 0 },
		{ what_passes_is_not_told, 1, 0 },
		{ each_reason_is_reported_once, 1, 0 },
		{ to_see_nothing_proves_nothing_while_another_worker_is_at_it, 1, 0 },
		{ waits_back_off, 2, 0 },
		{ status_by_is_no_failure, 1, 0 },
		{ those_that_fail_are_described, 1, 0 },
		{ what_operators_pause_is_described, 1, 0 },
		{ paused_models_are_described_and_long_lists_cut, 1, 0 },
		{ rows_that_others_keep_locked_stop_a_model, 1, 0 },
		{ rows_that_come_and_go_are_not_held, 1, 0 },
		{ rows_of_another_worker_are_not_held, 1, 0 },
		{ rows_that_stay_for_a_failure_are_not_held, 1, 0 },
		{ rows_that_are_sent_in_pieces_are_not_held, 1, 0 },
		{ rows_that_are_put_off_stop_a_model, 1, 0 },
		{ rows_without_number_are_reported_together, 1, 0 },
		{ a_model_resumes_once_whatever_was_wrong, 1, 0 },
		{ what_is_sent_ends_a_failure_though_rows_are_put_off, 1, 0 },
	};
	return suite_run("model_status", tests, COUNT(tests));
}
