/*
 * The main thread of the daemon by a clock that does not wait, and with doubles of all that it
 * steers: what is logged once a minute, and what a reload does.
 */
#include "base/clock.h"
#include "base/stop.h"
#include "cli/command.h"
#include "daemon/daemon.h"
#include "daemon/status_pages.h"
#include "daemon/systemd.h"
#include "kafka/broker.h"

#include "log_doubles.h"

#include "suite.h"

#define NS INT64_C(1000000000)

static struct {
	int64_t now_ns, end_ns;
	char statuses[4096];
	size_t sent; /* that the next report of the daemon says */
	double worst_ack;
	const char *stopped;
	bool is_away;
	bool is_lost;               /* … as an attempt to connect has shown */
	int64_t reload_ns, away_ns; /* then a reload, and the database is unavailable for so long */
	int64_t away_until_ns;
	bool takes_reload, is_wrong; /* the file that is loaded next */
	int started, ready, reloading, stopping;
	int loaded, not_loaded; /* as the metrics have it */
} world;

static struct model_config models[] = { { .name = "A", .autoflush = true },
	{ .name = "B", .autoflush = true }, { .name = "C" }, { .name = "D" }, { .name = "E" },
	{ .name = "F" }, { .name = "G" }, { .name = "H" }, { .name = "I" }, { .name = "J" },
	{ .name = "K" }, { .name = "L" } };
static struct config config = {
	.file = "f", .models = models, .model_count = 2, .autoflush = true
};

struct instant scripted_clock_now(void);
struct instant scripted_clock_now(void)
{
	return (struct instant){ world.now_ns };
}

void log_problem(const char *line)
{
	log_error("bare: %s", line);
}

struct config *command_load_printing(
	const struct command_line *line, enum log_level level, print_problem *print)
{
	(void)line, (void)level;
	if (!world.is_wrong || world.started == 0)
		return &config;
	print("f:1: wrong");
	return NULL;
}

void config_free(struct config *c)
{
	ck_assert_ptr_eq(c, &config);
}

struct broker *broker_new(const struct config *c, unsigned workers, struct error *e)
{
	(void)e;
	ck_assert_uint_eq(workers, (unsigned)c->workers);
	return (struct broker *)&world;
}

void broker_free(struct broker *broker)
{
	ck_assert_ptr_eq(broker, &world);
}

void broker_watch(struct broker *broker)
{
	ck_assert_ptr_eq(broker, &world);
}

void metrics_configure(struct metrics *m, const struct config *c, struct instant now)
{
	(void)m, (void)c, (void)now;
}

void metrics_reloaded(struct metrics *m, bool ok, double time)
{
	(void)m;
	ck_assert_double_gt(time, 1e9);
	world.loaded += ok;
	world.not_loaded += !ok;
}

struct daemon *daemon_start(const struct config *c, struct broker *broker, struct metrics *m)
{
	(void)c, (void)broker, (void)m;
	world.started++;
	return (struct daemon *)&world;
}

void daemon_stop(struct daemon *d)
{
	ck_assert_ptr_eq(d, &world);
	world.started--;
}

static bool is_away(void)
{
	return world.is_away || world.now_ns < world.away_until_ns;
}

struct daemon_report daemon_report(struct daemon *d)
{
	ck_assert_ptr_eq(d, &world);
	struct daemon_report report = { .sent = world.sent,
		.worst_ack = world.worst_ack,
		.is_ready = !is_away(),
		.has_database = !is_away(),
		.lost_database = world.is_lost && is_away(),
		.is_alive = true };
	world.sent = 0;
	world.worst_ack = 0;
	return report;
}

bool daemon_count(struct daemon *d, size_t *pending, bool *more)
{
	ck_assert_ptr_eq(d, &world);
	*pending = 7;
	*more = true;
	return !is_away();
}

void daemon_describe(struct daemon *d, struct text *t)
{
	ck_assert_ptr_eq(d, &world);
	if (world.stopped != NULL)
		text_addf(t, "%s", world.stopped);
}

struct status_pages *status_pages_new(void)
{
	return (struct status_pages *)&world;
}

void status_pages_free(struct status_pages *m)
{
	ck_assert_ptr_eq(m, &world);
}

struct metrics *status_pages_metrics(const struct status_pages *m)
{
	(void)m;
	return NULL;
}

bool status_pages_listen(struct status_pages *m, const struct config *c, struct error *e)
{
	(void)m, (void)c, (void)e;
	return true;
}

void status_pages_attach(struct status_pages *m, struct daemon *d)
{
	(void)m, (void)d;
}

void status_pages_detach(struct status_pages *m)
{
	(void)m;
}

void status_pages_show_alive(struct status_pages *m)
{
	(void)m;
}

void systemd_ready(void)
{
	world.ready++;
}

void systemd_reloading(void)
{
	world.reloading++;
}

void systemd_stopping(void)
{
	world.stopping++;
}

void systemd_status(const char *status)
{
	size_t end = strlen(world.statuses);
	snprintf(world.statuses + end, sizeof world.statuses - end, "%s\n", status);
}

void systemd_alive(void)
{
}

double systemd_watchdog_interval(void)
{
	return 0;
}

bool stop_install_reload(void)
{
	return true;
}

bool stop_take_reload(void)
{
	bool is_due = world.reload_ns != 0 && world.now_ns >= world.reload_ns;
	bool takes = world.takes_reload || is_due;
	world.takes_reload = false;
	if (is_due) {
		world.reload_ns = 0;
		world.away_until_ns = world.now_ns + world.away_ns;
	}
	return takes;
}

bool stop_requested(void)
{
	return world.now_ns >= world.end_ns;
}

void stop_wait_reload(struct instant deadline)
{
	world.now_ns = deadline.ns;
}

/* Run the daemon's main thread for seconds; world has what it logs and what systemd receives. */
static void run(double seconds)
{
	const struct command_line line = { 0 };
	world.now_ns = INT64_C(1000000000000);
	world.end_ns = world.now_ns + (int64_t)(seconds * 1e9);
	ck_assert_int_eq(cmd_run(&line), 0);
	ck_assert_int_eq(world.started, 0);
	ck_assert_int_eq(world.stopping, 1);
}

START_TEST(a_statistics_line_comes_once_a_minute)
{
	world.sent = 600;
	world.worst_ack = 0.25;
	run(125);
	check_logged("info: started: signalbus " SIGNALBUS_VERSION ", f, 2 models, no metrics\n"
		     "info: 600 sent, 7+ pending, 10/s, slowest acknowledgement 0.250 s\n"
		     "info: 600 sent, 7+ pending, 0/s, slowest acknowledgement 0.000 s\n"
		     "info: stopped\n");
}
END_TEST

/* The same after a reload. */
START_TEST(it_names_the_models_that_are_not_sent)
{
	config.model_count = 4;
	world.takes_reload = true;
	run(1);
	check_logged("info: started: signalbus " SIGNALBUS_VERSION ", f, 4 models, no metrics\n"
		     "info: autoflush = false, so these are not sent: C, D\n"
		     "info: autoflush = false, so these are not sent: C, D\n"
		     "info: configuration reloaded\ninfo: stopped\n");
}
END_TEST

START_TEST(it_names_ten_models_that_are_not_sent)
{
	config.model_count = COUNT(models);
	config.autoflush = false;
	run(1);
	ck_assert_ptr_nonnull(
		strstr(logged, "sent: A, B, C, D, E, F, G, H, I, J and 2 other models\n"));
}
END_TEST

START_TEST(it_names_the_models_that_are_stopped)
{
	world.stopped = "; stopped: A (database, 5 s)";
	run(65);
	ck_assert_ptr_nonnull(strstr(logged, " s; stopped: A (database, 5 s)\n"));
}
END_TEST

START_TEST(systemd_is_notified_every_ten_seconds)
{
	world.sent = 3;
	run(25);
	ck_assert_str_eq(
		world.statuses, "3 sent, 7+ pending\n3 sent, 7+ pending\n3 sent, 7+ pending\n");
	check_logged("info: started: signalbus " SIGNALBUS_VERSION
		     ", f, 2 models, no metrics\ninfo: stopped\n");
	ck_assert_int_eq(world.ready, 1);
}
END_TEST

START_TEST(nothing_is_notified_before_the_servers_answer)
{
	world.is_away = true;
	run(130);
	ck_assert_str_eq(world.statuses, "");
	check_logged("info: started: signalbus " SIGNALBUS_VERSION
		     ", f, 2 models, no metrics\ninfo: stopped\n");
	ck_assert_int_eq(world.ready, 0);
}
END_TEST

START_TEST(a_reload_loses_no_count)
{
	world.sent = 5;
	world.takes_reload = true;
	run(1);
	check_logged("info: started: signalbus " SIGNALBUS_VERSION
		     ", f, 2 models, no metrics\ninfo: configuration reloaded\ninfo: stopped\n");
	ck_assert_str_eq(world.statuses, "5 sent, 7+ pending\n");
	ck_assert_int_eq(world.reloading, 1);
	ck_assert_int_eq(world.loaded, 2);
	ck_assert_int_eq(world.not_loaded, 0);
}
END_TEST

/* Connecting takes half a second: no outage is reported, and the count follows at once. */
START_TEST(a_reload_keeps_the_status_until_the_first_count)
{
	world.stopped = "; stopped: A (database, 5 s)";
	world.reload_ns = INT64_C(1000000000000) + 2 * NS;
	world.away_ns = NS / 2;
	run(5);
	ck_assert_str_eq(world.statuses, "0 sent, 7+ pending; stopped: A (database, 5 s)\n"
					 "0 sent, 7+ pending; stopped: A (database, 5 s)\n");
}
END_TEST

START_TEST(a_reload_reports_a_lost_database)
{
	world.reload_ns = INT64_C(1000000000000) + 2 * NS;
	world.away_ns = 100 * NS;
	world.is_lost = true;
	run(3);
	ck_assert_ptr_nonnull(strstr(world.statuses, "0 sent, waiting for the database\n"));
}
END_TEST

START_TEST(a_failed_reload_stays_visible)
{
	world.takes_reload = true;
	world.is_wrong = true;
	run(65);
	ck_assert_ptr_nonnull(
		strstr(logged, "error: f:1: wrong\nerror: invalid configuration; keeping the "
			       "previous one\n"));
	ck_assert_ptr_nonnull(strstr(logged, " s; the last reload failed, see the log\n"));
	ck_assert_ptr_nonnull(strstr(
		world.statuses, "0 sent, 7+ pending; the last reload failed, see the log\n"));
	ck_assert_int_eq(world.loaded, 1);
	ck_assert_int_eq(world.not_loaded, 1);
}
END_TEST

int main(void)
{
	const struct test tests[] = { { a_statistics_line_comes_once_a_minute, 1, 0 },
		{ it_names_the_models_that_are_stopped, 1, 0 },
		{ it_names_the_models_that_are_not_sent, 1, 0 },
		{ it_names_ten_models_that_are_not_sent, 1, 0 },
		{ systemd_is_notified_every_ten_seconds, 1, 0 },
		{ nothing_is_notified_before_the_servers_answer, 1, 0 },
		{ a_reload_loses_no_count, 1, 0 }, { a_failed_reload_stays_visible, 1, 0 },
		{ a_reload_keeps_the_status_until_the_first_count, 1, 0 },
		{ a_reload_reports_a_lost_database, 1, 0 } };
	return suite_run("cmd_run", tests, COUNT(tests));
}
