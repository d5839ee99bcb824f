/*
 * cmd_run - the daemon's main thread: signals, configurations, systemd, the statistics line.
 */
#include "base/clock.h"
#include "base/error.h"
#include "base/stop.h"
#include "cli/command.h"
#include "daemon/daemon.h"
#include "daemon/status_pages.h"
#include "daemon/systemd.h"
#include "kafka/broker.h"
#include "kafka/exposure.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TICK_S       0.2
#define STATISTICS_S 60.0
#define STATUS_S     10.0
#define RECOUNT_S    1.0
#define NAMED_MAX    10 /* models in a line of the log */

#define EXIT_CANNOT_LISTEN 1 /* not EX_CONFIG: the port may be free later */

/* The objects that run under one configuration. */
struct running {
	struct config *config;
	struct broker *broker;
	struct daemon *daemon;
};

/* The state of the reports: in the log, to systemd and over HTTP. */
struct reporting {
	struct status_pages *monitor;
	bool ready;
	bool is_counted;    /* under this configuration */
	bool is_outdated;   /* the last reload failed */
	size_t sent;        /* since the process started */
	size_t sent_before; /* when the last statistics line was written */
	double worst_ack;
	struct instant next_statistics, next_status, next_alive, last_statistics;
};

/* Prepare to run under the current configuration; problems have been printed. */
static int load(const struct command_line *line, struct running *r, print_problem *print)
{
	struct error e;
	*r = (struct running){ .config = command_load_printing(line, LOG_LEVEL_INFO, print) };
	if (r->config == NULL)
		return EXIT_WRONG_CONFIG;
	r->broker = broker_new(r->config, (unsigned)r->config->workers, &e);
	if (r->broker != NULL)
		return 0;
	print(e.text);
	config_free(r->config);
	return error_exit_status(e.kind);
}

static void unload(struct running *r)
{
	broker_free(r->broker);
	config_free(r->config);
}

static void warn(void *arg, const char *text)
{
	(void)arg;
	log_warning("%s", text);
}

/* So that whoever has forgotten autoflush finds it. */
static void tell_of_unsent(const struct config *c)
{
	struct text names = { 0 };
	size_t count = 0;
	for (size_t i = 0; i < c->model_count; i++)
		if (!config_autoflushes(c, i) && ++count <= NAMED_MAX)
			text_addf(&names, "%s%s", count > 1 ? ", " : "", c->models[i].name);
	if (count > NAMED_MAX)
		text_addf(&names, " and %zu other models", count - NAMED_MAX);
	if (count > 0)
		log_info("autoflush = false, so these are not sent: %s", names.text);
	text_free(&names);
}

static void start(struct running *r, struct status_pages *monitor)
{
	tell_of_unsent(r->config);
	exposure_report(r->config, warn, NULL);
	broker_watch(r->broker);
	metrics_configure(status_pages_metrics(monitor), r->config, clock_now());
	r->daemon = daemon_start(r->config, r->broker, status_pages_metrics(monitor));
	status_pages_attach(monitor, r->daemon);
}

static void stop(struct running *r, struct status_pages *monitor)
{
	status_pages_detach(monitor);
	daemon_stop(r->daemon);
	unload(r);
}

/* Listen at the address of the loaded configuration; if that fails, unload it. */
static bool listen_for(struct running *r, struct status_pages *monitor)
{
	struct error e;
	if (status_pages_listen(monitor, r->config, &e))
		return true;
	log_error("%s", e.text);
	unload(r);
	return false;
}

/* Among the other lines of the log. */
static void log_problem_of_reload(const char *line)
{
	log_error("%s", line);
}

/* An invalid file leaves everything unchanged. */
static void reload(const struct command_line *line, struct running *r, struct reporting *t)
{
	struct running next;
	systemd_reloading();
	t->is_outdated = true;
	if (load(line, &next, log_problem_of_reload) != 0) {
		log_error("invalid configuration; keeping the previous one");
	} else if (!listen_for(&next, t->monitor)) {
		log_error("keeping the previous configuration");
	} else {
		t->sent += daemon_report(r->daemon).sent;
		stop(r, t->monitor);
		*r = next;
		start(r, t->monitor);
		t->is_counted = false;
		t->is_outdated = false;
		log_info("configuration reloaded");
	}
	metrics_reloaded(status_pages_metrics(t->monitor), !t->is_outdated, (double)time(NULL));
	if (t->ready)
		systemd_ready();
	t->next_status = clock_now();
}

static void log_statistics(
	struct reporting *t, const char *counts, const char *remarks, struct instant now)
{
	double seconds = instant_seconds(t->last_statistics, now);
	log_info("%s, %.0f/s, slowest acknowledgement %.3f s%s", counts,
		(double)(t->sent - t->sent_before) / seconds, t->worst_ack, remarks);
	t->sent_before = t->sent;
	t->worst_ack = 0;
	t->last_statistics = now;
	t->next_statistics = instant_after(now, STATISTICS_S);
}

/* Until the first count of a configuration, systemd keeps the status before it, with its stopped
 * models, unless the database is lost. */
static void report_status(
	const struct running *r, struct reporting *t, const struct daemon_report *report)
{
	size_t pending;
	bool more;
	bool is_counted = daemon_count(r->daemon, &pending, &more);
	struct text remarks = { 0 };
	struct instant now = clock_now();
	bool is_known = is_counted || report->lost_database;
	char *counts = is_counted ? text_format("%zu sent, %zu%s pending", t->sent, pending,
					    more ? "+" : "")
				  : text_format("%zu sent, %s", t->sent,
					    report->lost_database ? "waiting for the database"
								  : "pending unknown");
	text_addf(&remarks, "%s", t->is_outdated ? "; the last reload failed, see the log" : "");
	daemon_describe(r->daemon, &remarks);
	char *status = text_format("%s%s", counts, remarks.text);
	if (is_known || t->is_counted)
		systemd_status(status);
	t->is_counted = t->is_counted || is_counted;
	/* A count that fails while the database answers takes a while. */
	double pause = is_counted ? STATUS_S : report->has_database ? RECOUNT_S : TICK_S;
	t->next_status = instant_after(now, pause);
	if (!instant_before(now, t->next_statistics))
		log_statistics(t, counts, remarks.text, now);
	free(counts);
	free(status);
	text_free(&remarks);
}

static void report(const struct running *r, struct reporting *t)
{
	struct daemon_report done = daemon_report(r->daemon);
	struct instant now = clock_now();
	t->sent += done.sent;
	if (done.worst_ack > t->worst_ack)
		t->worst_ack = done.worst_ack;
	if (done.is_ready && !t->ready) {
		t->ready = true;
		systemd_ready();
	}
	double watchdog = systemd_watchdog_interval();
	if (watchdog > 0 && done.is_alive && !instant_before(now, t->next_alive)) {
		systemd_alive();
		t->next_alive = instant_after(now, watchdog / 3);
	}
	/* Also while the broker is unavailable from the start: people ask what is pending. */
	if ((t->ready || done.has_database) && !instant_before(now, t->next_status))
		report_status(r, t, &done);
}

/* Run under one configuration after another until asked to stop. */
static void run(const struct command_line *line, struct running *r, struct reporting *t)
{
	const struct config *c = r->config;
	log_info("started: signalbus %s, %s, %zu model%s, %s%s", SIGNALBUS_VERSION, c->file,
		c->model_count, c->model_count == 1 ? "" : "s",
		c->metrics_listen != NULL ? "metrics at " : "no metrics",
		c->metrics_listen != NULL ? c->metrics_listen : "");
	metrics_reloaded(status_pages_metrics(t->monitor), true, (double)time(NULL));
	start(r, t->monitor);
	while (!stop_requested()) {
		if (stop_take_reload())
			reload(line, r, t);
		report(r, t);
		status_pages_show_alive(t->monitor);
		stop_wait_reload(instant_after(clock_now(), TICK_S));
	}
	systemd_stopping();
	stop(r, t->monitor);
	log_info("stopped");
}

int cmd_run(const struct command_line *line)
{
	struct running r;
	struct instant now = clock_now();
	struct reporting t = { .last_statistics = now,
		.next_statistics = instant_after(now, STATISTICS_S) };
	if (!stop_install_reload()) {
		log_error("cannot wait for signals: %s", strerror(errno));
		return EXIT_FAILURE;
	}
	int status = load(line, &r, log_problem);
	if (status != 0)
		return status;
	t.monitor = status_pages_new();
	if (listen_for(&r, t.monitor))
		run(line, &r, &t);
	else
		status = EXIT_CANNOT_LISTEN;
	status_pages_free(t.monitor);
	return status;
}
