#include "daemon/metrics.h"

#include "daemon/oldest_pending.h"
#include "suite.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

static const struct instant start = { INT64_C(1000000000000) };

static struct model_config models[] = {
	{ .name = "A", .autoflush = true },
	{ .name = "B", .autoflush = true, .order_by = { .count = 1 } },
	{ .name = "C", .autoflush = false },
};

static struct config config = { .models = models,
	.model_count = COUNT(models),
	.autoflush = true,
	.poll_interval = 1,
	.metrics_buckets = METRICS_BUCKETS_ALL };

static struct instant later(double seconds)
{
	return instant_after(start, seconds);
}

static struct metrics *begin(void)
{
	struct metrics *m = metrics_new();
	metrics_configure(m, &config, start);
	return m;
}

/* What is printed when database and broker are up, some seconds after the start; to be freed. */
static char *page(struct metrics *m, double seconds)
{
	struct text t = { 0 };
	const struct process_use process = { .cpu_seconds = 1.5, .max_fds = 1024 };
	const struct metrics_world world = { true, true, &process, later(seconds) };
	metrics_print(m, &world, &t);
	return t.text;
}

/* Whether a page has a line. */
static bool has(const char *text, const char *line)
{
	char *wanted = text_format("\n%s\n", line);
	bool found = strstr(text, wanted) != NULL;
	free(wanted);
	return found;
}

#define HAS(text, line)        ck_assert_msg(has(text, line), "no line %s in\n%s", line, text)
#define LACKS_PART(text, part) ck_assert_msg(strstr(text, part) == NULL, "%s is in\n%s", part, text)

static void serve(struct metrics *m, size_t model, size_t sent, enum error_kind kind)
{
	const struct burst_result result = {
		.claimed = sent, .sent = sent, .burst_seconds = 0.02, .ack_seconds = 0.01
	};
	metrics_served(m, model, &result, kind, start);
}

static void check_build(const char *text)
{
	const char *build = strstr(text, "\nsignalbus_build_info{");
	ck_assert_ptr_nonnull(build);
	ck_assert_ptr_nonnull(strstr(build, "{version=\"" SIGNALBUS_VERSION "\",librdkafka=\""));
	ck_assert_ptr_nonnull(strstr(build, "\",libpq=\""));
}

START_TEST(the_first_page_has_all_metrics)
{
	struct metrics *m = begin();
	char *text = page(m, 0);
	ck_assert(strncmp(text, "# HELP signalbus_sent_total ", 28) == 0);
	HAS(text, "# TYPE signalbus_sent_total counter");
	HAS(text, "signalbus_sent_total{model=\"A\"} 0");
	HAS(text, "signalbus_sent_total{model=\"C\"} 0");
	HAS(text, "# TYPE signalbus_pending gauge");
	HAS(text, "signalbus_pending{model=\"A\"} 0");
	HAS(text, "signalbus_oldest_pending_seconds{model=\"A\"} 0");
	HAS(text, "signalbus_stopped{model=\"A\"} 0");
	HAS(text, "signalbus_errors_total{model=\"A\",kind=\"database\"} 0");
	HAS(text, "signalbus_errors_total{model=\"A\",kind=\"broker\"} 0");
	HAS(text, "signalbus_errors_total{model=\"A\",kind=\"rejected\"} 0");
	HAS(text, "signalbus_errors_total{model=\"A\",kind=\"serialization\"} 0");
	HAS(text, "# TYPE signalbus_burst_seconds histogram");
	HAS(text, "signalbus_burst_seconds_bucket{model=\"A\",le=\"0.001\"} 0");
	HAS(text, "signalbus_burst_seconds_bucket{model=\"A\",le=\"+Inf\"} 0");
	HAS(text, "signalbus_burst_seconds_sum{model=\"A\"} 0");
	HAS(text, "signalbus_burst_seconds_count{model=\"A\"} 0");
	HAS(text, "signalbus_ack_seconds_bucket{model=\"A\",le=\"60\"} 0");
	HAS(text, "signalbus_ordered_leader{model=\"B\"} 0");
	HAS(text, "signalbus_ordered_wait_seconds{model=\"B\"} 0");
	LACKS_PART(text, "signalbus_ordered_leader{model=\"A\"}");
	LACKS_PART(text, "signalbus_ordered_wait_seconds{model=\"A\"}");
	HAS(text, "signalbus_database_up 1");
	HAS(text, "signalbus_broker_up 1");
	HAS(text, "signalbus_paused{model=\"A\"} 0");
	HAS(text, "signalbus_paused{model=\"C\"} 1");
	HAS(text, "signalbus_table_dead_rows{model=\"A\"} 0");
	HAS(text, "signalbus_table_last_vacuum_timestamp_seconds{model=\"A\"} 0");
	HAS(text, "signalbus_vacuum_held_seconds 0");
	HAS(text, "process_cpu_seconds_total 1.5");
	HAS(text, "process_max_fds 1024");
	check_build(text);
	free(text);
	metrics_free(m);
}
END_TEST

static size_t count_parts(const char *text, const char *part)
{
	size_t count = 0;
	for (const char *p = text; (p = strstr(p, part)) != NULL; p++)
		count++;
	return count;
}

static const struct {
	int buckets, delivery;
	size_t plain, ordered;
} series_counts[] = {
	{ METRICS_BUCKETS_FEW, DELIVERY_AT_LEAST_ONCE, 20, 22 },
	{ METRICS_BUCKETS_FEW, DELIVERY_EXACTLY_ONCE, 23, 25 },
	{ METRICS_BUCKETS_ALL, DELIVERY_AT_LEAST_ONCE, 48, 50 },
};

/* Each costs memory in Prometheus, for each model. */
START_TEST(a_model_has_so_many_series)
{
	struct config own = config;
	own.metrics_buckets = series_counts[_i].buckets;
	own.delivery = series_counts[_i].delivery;
	struct metrics *m = metrics_new();
	metrics_configure(m, &own, start);
	serve(m, 0, 3, ERROR_NONE);
	char *text = page(m, 0);
	ck_assert_uint_eq(count_parts(text, "{model=\"A\""), series_counts[_i].plain);
	ck_assert_uint_eq(count_parts(text, "{model=\"B\""), series_counts[_i].ordered);
	HAS(text, "signalbus_burst_seconds_bucket{model=\"A\",le=\"1\"} 1");
	HAS(text, "signalbus_ack_seconds_bucket{model=\"A\",le=\"1\"} 1");
	HAS(text, "signalbus_ack_seconds_bucket{model=\"A\",le=\"+Inf\"} 1");
	free(text);
	metrics_free(m);
}
END_TEST

START_TEST(a_reload_succeeds_or_fails)
{
	struct metrics *m = begin();
	metrics_reloaded(m, true, 1700000000);
	metrics_reloaded(m, _i == 0, 1700000005);
	char *text = page(m, 0);
	HAS(text, _i == 0 ? "signalbus_config_last_reload_successful 1"
			  : "signalbus_config_last_reload_successful 0");
	HAS(text, _i == 0 ? "signalbus_config_last_reload_success_timestamp_seconds 1700000005"
			  : "signalbus_config_last_reload_success_timestamp_seconds 1700000000");
	free(text);
	metrics_free(m);
}
END_TEST

START_TEST(each_of_database_and_broker_is_up_or_not)
{
	struct metrics *m = begin();
	const struct metrics_world world = {
		.database_up = _i == 1, .broker_up = _i == 0, .now = start
	};
	struct text t = { 0 };
	metrics_print(m, &world, &t);
	HAS(t.text, _i == 1 ? "signalbus_database_up 1" : "signalbus_database_up 0");
	HAS(t.text, _i == 0 ? "signalbus_broker_up 1" : "signalbus_broker_up 0");
	HAS(t.text, "# TYPE process_threads gauge");
	LACKS_PART(t.text, "\nprocess_threads");
	text_free(&t);
	metrics_free(m);
}
END_TEST

START_TEST(bursts_are_counted_and_measured_if_something_was_sent)
{
	struct metrics *m = begin();
	serve(m, 0, 3, ERROR_NONE);
	serve(m, 0, 0, ERROR_NONE);
	serve(m, 0, 2, ERROR_REJECTED);
	char *text = page(m, 0);
	HAS(text, "signalbus_sent_total{model=\"A\"} 5");
	HAS(text, "signalbus_sent_total{model=\"B\"} 0");
	HAS(text, "signalbus_burst_seconds_bucket{model=\"A\",le=\"0.01\"} 0");
	HAS(text, "signalbus_burst_seconds_bucket{model=\"A\",le=\"0.025\"} 2");
	HAS(text, "signalbus_burst_seconds_bucket{model=\"A\",le=\"60\"} 2");
	HAS(text, "signalbus_burst_seconds_bucket{model=\"A\",le=\"+Inf\"} 2");
	HAS(text, "signalbus_burst_seconds_sum{model=\"A\"} 0.04");
	HAS(text, "signalbus_burst_seconds_count{model=\"A\"} 2");
	/* A bucket's bound is in it. */
	HAS(text, "signalbus_ack_seconds_bucket{model=\"A\",le=\"0.005\"} 0");
	HAS(text, "signalbus_ack_seconds_bucket{model=\"A\",le=\"0.01\"} 2");
	HAS(text, "signalbus_ack_seconds_sum{model=\"A\"} 0.02");
	HAS(text, "signalbus_ack_seconds_count{model=\"B\"} 0");
	free(text);
	metrics_free(m);
}
END_TEST

START_TEST(what_took_longer_than_all_bounds_is_in_the_last_bucket)
{
	struct metrics *m = begin();
	const struct burst_result result = { .sent = 1, .burst_seconds = 61, .ack_seconds = 60 };
	metrics_served(m, 0, &result, ERROR_NONE, start);
	char *text = page(m, 0);
	HAS(text, "signalbus_burst_seconds_bucket{model=\"A\",le=\"60\"} 0");
	HAS(text, "signalbus_burst_seconds_bucket{model=\"A\",le=\"+Inf\"} 1");
	HAS(text, "signalbus_ack_seconds_bucket{model=\"A\",le=\"60\"} 1");
	free(text);
	metrics_free(m);
}
END_TEST

static const struct {
	enum error_kind kind;
	const char *counted; /* NULL: no error */
} kinds[] = {
	{ ERROR_NONE, NULL },
	{ ERROR_CONFIG, "database" },
	{ ERROR_CONNECTION, "database" },
	{ ERROR_POOLED, "database" },
	{ ERROR_TEMPORARY, "database" },
	{ ERROR_MEMORY, "database" },
	{ ERROR_UNCONFIRMED, "database" },
	{ ERROR_CONFLICT, "serialization" },
	{ ERROR_PLAN, "database" },
	{ ERROR_DATABASE, "database" },
	{ ERROR_BROKER, "broker" },
	{ ERROR_TOPIC, "broker" },
	{ ERROR_REJECTED, "rejected" },
	{ ERROR_BUSY, NULL },
	{ ERROR_LOCKED, "database" },
	{ ERROR_INSTANCE, "broker" },
	{ ERROR_STOPPED, NULL },
};

START_TEST(errors_are_counted_by_kind)
{
	static const char *const classes[] = { "database", "broker", "rejected", "serialization" };
	struct metrics *m = begin();
	ck_assert_uint_eq(COUNT(kinds), ERROR_KINDS);
	serve(m, 0, 0, kinds[_i].kind);
	char *text = page(m, 0);
	for (size_t i = 0; i < COUNT(classes); i++) {
		bool counted =
			kinds[_i].counted != NULL && strcmp(kinds[_i].counted, classes[i]) == 0;
		char *line = text_format(
			"signalbus_errors_total{model=\"A\",kind=\"%s\"} %d", classes[i], counted);
		HAS(text, line);
		free(line);
	}
	free(text);
	metrics_free(m);
}
END_TEST

START_TEST(the_leader_has_a_worker_with_the_lock)
{
	struct metrics *m = begin();
	metrics_leads(m, 1, 3);
	metrics_lost(m, 2);
	char *text = page(m, 0);
	HAS(text, "signalbus_ordered_leader{model=\"B\"} 1");
	free(text);
	metrics_lost(m, 3);
	text = page(m, 0);
	HAS(text, "signalbus_ordered_leader{model=\"B\"} 0");
	free(text);
	metrics_leads(m, 1, 0);
	serve(m, 1, 0, ERROR_BUSY);
	text = page(m, 0);
	HAS(text, "signalbus_ordered_leader{model=\"B\"} 0");
	free(text);
	metrics_free(m);
}
END_TEST

START_TEST(a_paused_model_has_no_leader)
{
	struct metrics *m = begin();
	metrics_leads(m, 1, 0);
	metrics_pause(m, 1, true);
	metrics_unlocked(m, 1);
	metrics_pause(m, 2, true); /* which the configuration pauses, too */
	metrics_pause(m, 2, false);
	ck_assert(metrics_is_unserved(m, 1));
	ck_assert(metrics_is_unserved(m, 2));
	char *text = page(m, 0);
	HAS(text, "signalbus_ordered_leader{model=\"B\"} 0");
	HAS(text, "signalbus_paused{model=\"A\"} 0");
	HAS(text, "signalbus_paused{model=\"B\"} 1");
	HAS(text, "signalbus_paused{model=\"C\"} 1");
	free(text);
	metrics_pause(m, 1, false);
	text = page(m, 0);
	HAS(text, "signalbus_paused{model=\"B\"} 0");
	free(text);
	metrics_free(m);
}
END_TEST

START_TEST(an_order_is_held_back_as_long_as_the_last_try_says)
{
	struct metrics *m = begin();
	const struct burst_result held = { .held_back = true, .held_seconds = 7.5 };
	metrics_served(m, 1, &held, ERROR_NONE, start);
	char *text = page(m, 3);
	HAS(text, "signalbus_ordered_wait_seconds{model=\"B\"} 7.5");
	HAS(text, "signalbus_oldest_pending_seconds{model=\"B\"} 3");
	free(text);
	const struct burst_result done = { .held_seconds = 8, .sent = 1 };
	metrics_served(m, 1, &done, ERROR_NONE, later(3));
	text = page(m, 4);
	HAS(text, "signalbus_ordered_wait_seconds{model=\"B\"} 0");
	HAS(text, "signalbus_oldest_pending_seconds{model=\"B\"} 0");
	free(text);
	metrics_free(m);
}
END_TEST

START_TEST(pending_is_what_was_counted)
{
	struct metrics *m = begin();
	metrics_pending(m, 2, 100000, start);
	char *text = page(m, 0);
	HAS(text, "signalbus_pending{model=\"C\"} 100000");
	HAS(text, "signalbus_pending{model=\"A\"} 0");
	free(text);
	metrics_free(m);
}
END_TEST

static void check_oldest(struct metrics *m, double at, const char *model, int seconds)
{
	char *text = page(m, at);
	char *line =
		text_format("signalbus_oldest_pending_seconds{model=\"%s\"} %d", model, seconds);
	HAS(text, line);
	free(line);
	free(text);
}

/* Whoever does not serve a table knows it by its counts, and by a row that stays. */
START_TEST(what_nobody_here_serves_grows_old)
{
	struct metrics *m = begin();
	size_t model = _i == 0 ? 2 : 1;
	const char *name = _i == 0 ? "C" : "B";
	if (_i == 1)
		serve(m, model, 0, ERROR_BUSY);
	ck_assert(metrics_is_unserved(m, model));
	ck_assert(!metrics_is_unserved(m, 0));
	check_oldest(m, 100, "A", 100);
	check_oldest(m, 100, name, 0); /* as far as is known, it is empty */
	metrics_pending(m, model, 3, later(110));
	metrics_seen(m, model, true, later(110));
	check_oldest(m, 115, name, 115);
	if (_i == 1)
		serve(m, model, 0, ERROR_BUSY);
	metrics_seen(m, model, true, later(120));
	check_oldest(m, 125, name, 125);
	metrics_seen(m, model, false, later(130));
	check_oldest(m, 135, name, 5);
	metrics_pending(m, model, 0, later(140));
	check_oldest(m, 200, name, 0);
	if (_i == 1) {
		serve(m, model, 1, ERROR_NONE);
		ck_assert(!metrics_is_unserved(m, model));
	}
	metrics_free(m);
}
END_TEST

START_TEST(tables_and_what_holds_vacuum_back)
{
	struct metrics *m = begin();
	metrics_table(m, 1, &(struct table_statistics){ 12, 1700000000 });
	metrics_vacuum_held(m, start);
	char *text = page(m, 7);
	HAS(text, "signalbus_table_dead_rows{model=\"B\"} 12");
	HAS(text, "signalbus_table_last_vacuum_timestamp_seconds{model=\"B\"} 1700000000");
	HAS(text, "signalbus_vacuum_held_seconds 7");
	free(text);
	metrics_vacuum_held(m, (struct instant){ 0 });
	text = page(m, 8);
	HAS(text, "signalbus_vacuum_held_seconds 0");
	free(text);
	metrics_free(m);
}
END_TEST

START_TEST(transactions_are_counted_with_exactly_once_delivery_only)
{
	struct metrics *m = begin();
	struct config exact = config;
	struct burst_result result = { .transaction = TRANSACTION_ROLLED_BACK };
	char *text = page(m, 1);
	ck_assert_ptr_null(strstr(text, "signalbus_transactions_total"));
	ck_assert_ptr_null(strstr(text, "signalbus_prepared_oldest_seconds"));
	free(text);
	exact.delivery = DELIVERY_EXACTLY_ONCE;
	metrics_configure(m, &exact, start);
	metrics_served(m, 1, &result, ERROR_BROKER, later(1));
	metrics_prepared(m, 0.25); /* a burst in flight */
	text = page(m, 9);
	HAS(text, "signalbus_transactions_total{model=\"B\",outcome=\"rolled_back\"} 1");
	HAS(text, "signalbus_transactions_total{model=\"B\",outcome=\"committed\"} 0");
	HAS(text, "signalbus_prepared_oldest_seconds 0.25");
	free(text);
	metrics_prepared(m, 0);
	text = page(m, 9);
	HAS(text, "signalbus_prepared_oldest_seconds 0");
	free(text);
	metrics_free(m);
}
END_TEST

START_TEST(models_of_the_same_name_continue_under_another_configuration)
{
	struct model_config other[] = { { .name = "B", .autoflush = true },
		{ .name = "D", .autoflush = true }, { .name = "A", .autoflush = true } };
	struct config next = config;
	struct metrics *m = begin();
	serve(m, 0, 5, ERROR_NONE);
	serve(m, 1, 7, ERROR_NONE);
	metrics_leads(m, 1, 0);
	metrics_served(m, 0, &(struct burst_result){ .more = true, .sent = 1, .dead_lettered = 2 },
		ERROR_NONE, later(1));
	next.models = other;
	metrics_configure(m, &next, later(10));
	char *text = page(m, 12);
	HAS(text, "signalbus_sent_total{model=\"A\"} 6");
	HAS(text, "signalbus_sent_total{model=\"B\"} 7");
	HAS(text, "signalbus_dead_letters_total{model=\"A\"} 2");
	HAS(text, "signalbus_dead_letters_total{model=\"B\"} 0");
	HAS(text, "signalbus_sent_total{model=\"D\"} 0");
	HAS(text, "signalbus_oldest_pending_seconds{model=\"A\"} 12");
	HAS(text, "signalbus_oldest_pending_seconds{model=\"D\"} 0");
	LACKS_PART(text, "model=\"C\"");
	LACKS_PART(text, "signalbus_ordered_leader{model=\"B\"}");
	free(text);
	metrics_free(m);
}
END_TEST

static const struct {
	const char *name, *label;
} labels[] = {
	{ "a \"b\" \\c", "a \\\"b\\\" \\\\c" },
	{ "a\nb\tc", "a\\nb\tc" },
	{ "\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\x98", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\x98" },
	{ "a\xff", "a\xef\xbf\xbd" },
	{ "\xc3", "\xef\xbf\xbd" },
	{ "\xc3(", "\xef\xbf\xbd(" },
	{ "\xe2\x82", "\xef\xbf\xbd\xef\xbf\xbd" },
	{ "\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" }, /* a surrogate */
	{ "\xc0\x80", "\xef\xbf\xbd\xef\xbf\xbd" },                 /* overlong */
	{ "{},=", "{},=" },
};

START_TEST(names_are_escaped)
{
	struct model_config one = { .name = labels[_i].name };
	struct config c = { .models = &one, .model_count = 1 };
	struct metrics *m = metrics_new();
	metrics_configure(m, &c, start);
	char *text = page(m, 0);
	char *line = text_format("signalbus_sent_total{model=\"%s\"} 0", labels[_i].label);
	HAS(text, line);
	free(line);
	free(text);
	metrics_free(m);
}
END_TEST

static void *serve_often(void *arg)
{
	for (int i = 0; i < 10000; i++)
		serve(arg, 0, 1, i % 2 == 0 ? ERROR_NONE : ERROR_CONFLICT);
	return NULL;
}

START_TEST(no_count_is_lost_among_threads)
{
	enum { THREADS = 4 };
	pthread_t threads[THREADS];
	struct metrics *m = begin();
	for (size_t i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, serve_often, m), 0);
	for (int i = 0; i < 100; i++)
		free(page(m, 0));
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	char *text = page(m, 0);
	HAS(text, "signalbus_sent_total{model=\"A\"} 40000");
	HAS(text, "signalbus_errors_total{model=\"A\",kind=\"serialization\"} 20000");
	HAS(text, "signalbus_ack_seconds_count{model=\"A\"} 40000");
	free(text);
	metrics_free(m);
}
END_TEST

/* Histories of a table, and its lag after 100 s with looks that are due every 2 s. */
static const struct {
	const char *what;
	struct {
		char event; /* e: emptied, m: more, f: rejected, c: conflict, 0: counted none */
		double at;
	} events[6];
	bool is_reachable;
	double lag;
} histories[] = {
	{ "looked at just now", { { 'e', 99 } }, true, 0 },
	{ "the next look is a little late", { { 'e', 93.5 } }, true, 0 },
	{ "not looked at for long", { { 'e', 60 } }, true, 40 },
	{ "not looked at since all is away", { { 'e', 99 } }, false, 1 },
	{ "never emptied", { { 'm', 10 }, { 'm', 99 } }, true, 100 },
	{ "more than one burst", { { 'e', 70 }, { 'm', 99 } }, true, 30 },
	{ "a backlog that is gone", { { 'e', 10 }, { 'm', 20 }, { 'e', 99 } }, true, 0 },
	{ "a conflict", { { 'e', 90 }, { 'c', 99 } }, true, 10 },
	{ "a conflict that was resolved", { { 'c', 98 }, { 'e', 99 } }, true, 0 },
	{ "a row that is rejected", { { 'e', 10 }, { 'f', 99 } }, true, 90 },
	{ "while it is, others go", { { 'e', 10 }, { 'f', 90 }, { 'e', 99 } }, true, 90 },
	{ "for long it was not", { { 'f', 20 }, { 'e', 79 }, { 'e', 99 } }, true, 0 },
	{ "it is gone", { { 'f', 90 }, { '0', 98 } }, true, 0 },
	{ "gone, and more came", { { 'f', 90 }, { '0', 95 }, { 'm', 99 } }, true, 5 },
};

static void happen(struct oldest_pending *l, char event, struct instant now)
{
	if (event == 'e' || event == 'm')
		oldest_pending_served(l, event == 'e', now);
	else if (event == 'f')
		oldest_pending_failed(l, ERROR_REJECTED, now);
	else if (event == 'c')
		oldest_pending_failed(l, ERROR_CONFLICT, now);
	else
		oldest_pending_counted_none(l, now);
}

START_TEST(the_lag_is_since_the_table_was_last_empty)
{
	struct oldest_pending l;
	oldest_pending_begin(&l, start);
	for (size_t i = 0; histories[_i].events[i].event != '\0'; i++)
		happen(&l, histories[_i].events[i].event, later(histories[_i].events[i].at));
	double lag = oldest_pending_seconds(&l, histories[_i].is_reachable, 2, later(100));
	ck_assert_msg(lag == histories[_i].lag, "%s: %g", histories[_i].what, lag);
}
END_TEST

int main(void)
{
	const struct test tests[] = {
		{ the_first_page_has_all_metrics, 1, 0 },
		{ a_model_has_so_many_series, COUNT(series_counts), 0 },
		{ a_reload_succeeds_or_fails, 2, 0 },
		{ each_of_database_and_broker_is_up_or_not, 3, 0 },
		{ bursts_are_counted_and_measured_if_something_was_sent, 1, 0 },
		{ what_took_longer_than_all_bounds_is_in_the_last_bucket, 1, 0 },
		{ errors_are_counted_by_kind, COUNT(kinds), 0 },
		{ the_leader_has_a_worker_with_the_lock, 1, 0 },
		{ a_paused_model_has_no_leader, 1, 0 },
		{ an_order_is_held_back_as_long_as_the_last_try_says, 1, 0 },
		{ pending_is_what_was_counted, 1, 0 },
		{ what_nobody_here_serves_grows_old, 2, 0 },
		{ tables_and_what_holds_vacuum_back, 1, 0 },
		{ transactions_are_counted_with_exactly_once_delivery_only, 1, 0 },
		{ models_of_the_same_name_continue_under_another_configuration, 1, 0 },
		{ names_are_escaped, COUNT(labels), 0 },
		{ no_count_is_lost_among_threads, 1, 0 },
		{ the_lag_is_since_the_table_was_last_empty, COUNT(histories), 0 },
	};
	return suite_run("metrics", tests, COUNT(tests));
}
