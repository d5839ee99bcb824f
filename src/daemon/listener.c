#include "daemon/listener.h"

#include "base/limits.h"
#include "base/log.h"
#include "base/outage.h"
#include "base/retry.h"
#include "base/text.h"
#include "base/thread.h"
#include "catalog/catalog.h"
#include "model/triggers.h"
#include "postgres/db.h"
#include "store/store.h"

#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define NAMED_MAX    10 /* models in a line of the log */
#define ANSWER_S     10.0
#define SELF_TEST_S  2.0
#define WORKERS_S    0.1 /* between checks whether a worker is connected: workers come first */
#define ROOM_RETRY_S 0.1 /* while a worker has made room */
#define DEAF_TRIES   2   /* failures, while workers are connected, until this is logged */
#define DEAF_S       3.0 /* … and so long: workers may report the same shortage first */

struct listener {
	const struct config *config;
	struct run_queue *queue;
	struct health *health;
	struct pauses *pauses;
	struct db *db;
	char **relations; /* of the models, as in the notifications; NULL: not known */
	struct retry connecting;
	int stop_fd;
	pthread_t thread;
	char self_test[64]; /* the payload that proves that notifications arrive */
	bool proven;
	bool told;              /* the models without a trigger were logged */
	unsigned failures;      /* in a row */
	struct instant failing; /* since when; 0: it has not failed */
	struct outage deaf;     /* it does not listen, as logged */
	unsigned short jitter[3];
};

/* The deadline of a call that begins now. */
static struct instant answer_deadline(const struct listener *l)
{
	double seconds = l->config->timeout < ANSWER_S ? l->config->timeout : ANSWER_S;
	return instant_after(clock_now(), seconds);
}

static bool stopping(const struct listener *l)
{
	return queue_wait_closed(l->queue, clock_now());
}

/* Any notification may have been lost. */
static void announce_all(struct listener *l)
{
	pauses_announce(l->pauses);
	queue_announce_all(l->queue);
}

/* A table's name announces its models; an empty payload announces all. */
static void on_notification(void *arg, const char *payload)
{
	struct listener *l = arg;
	if (strcmp(payload, l->self_test) == 0)
		l->proven = true;
	else if (payload[0] == '\0')
		announce_all(l);
	else if (strcmp(payload, PAUSE_NOTIFICATION) == 0)
		pauses_announce(l->pauses);
	for (size_t i = 0; i < l->config->model_count; i++)
		if (l->relations[i] != NULL && strcmp(payload, l->relations[i]) == 0)
			queue_announce(l->queue, i);
}

/* The name in the notifications of a model's table, and whether a trigger sends them. */
static bool look_up(struct listener *l, size_t model, bool *has_trigger, struct error *e)
{
	static const char sql[] =
		"SELECT pg_catalog.format('%I.%I', n.nspname, c.relname),"
		" EXISTS (SELECT FROM (" TRIGGERS_FOUND ") AS found WHERE is_heard)"
		" FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n"
		" ON n.oid = c.relnamespace"
		" WHERE c.oid = $1::pg_catalog.oid";
	struct rows *rows;
	char *oid;
	struct instant deadline = answer_deadline(l);
	free(l->relations[model]);
	l->relations[model] = NULL;
	*has_trigger = false;
	if (!catalog_find_table(l->db, l->config->models[model].table, deadline, &oid, e))
		return db_connected(l->db); /* the workers report a wrong name */
	const char *const values[] = { oid, l->config->notify_channel };
	struct db_call call = {
		.sql = sql, .values = values, .value_count = 2, .rows = &rows, .never_null = 2
	};
	bool ok = db_call(l->db, call, deadline, e);
	free(oid);
	if (!ok)
		return false;
	if (rows_count(rows) == 1) {
		l->relations[model] = text_copy(rows_value(rows, 0, 0));
		*has_trigger = rows_value(rows, 0, 1)[0] == 't';
	}
	rows_free(rows);
	return true;
}

static bool look_up_all(struct listener *l, struct error *e)
{
	struct text silent = { 0 };
	size_t count = 0;
	bool ok = true;
	for (size_t i = 0; ok && i < l->config->model_count; i++) {
		bool has_trigger;
		ok = look_up(l, i, &has_trigger, e);
		if (ok && !has_trigger && config_autoflushes(l->config, i) && count++ < NAMED_MAX)
			text_addf(&silent, "%s%s", silent.length > 0 ? ", " : "",
				l->config->models[i].name);
	}
	if (count > NAMED_MAX)
		text_addf(&silent, " and %zu other models", count - NAMED_MAX);
	if (ok && !l->told && count > 0)
		log_info("no wake-up trigger on the tables of %s: polling every %g s (\"signalbus "
			 "triggers\" prints the triggers)",
			silent.text, l->config->poll_interval);
	l->told = l->told || ok;
	text_free(&silent);
	return ok;
}

static bool start_listening(struct listener *l, struct error *e)
{
	/* LISTEN takes no parameter; the server quotes the name. */
	struct rows *rows;
	struct instant deadline = answer_deadline(l);
	const char *const values[] = { l->config->notify_channel };
	struct db_call quote = {
		.sql = "SELECT pg_catalog.format('LISTEN %I', $1::pg_catalog.text)",
		.values = values,
		.value_count = 1,
		.rows = &rows,
		.never_null = 1
	};
	if (!db_call(l->db, quote, deadline, e))
		return false;
	bool ok = db_call(l->db, (struct db_call){ .sql = rows_value(rows, 0, 0) }, deadline, e);
	rows_free(rows);
	return ok;
}

/* Notify from another session, as applications do: a proxy with transaction pooling would swallow
 * notifications for this one. */
static bool notify_self(struct listener *l, struct error *e)
{
	struct db *other = catalog_session(l->config);
	struct instant deadline = instant_after(clock_now(), CONNECT_S);
	const char *const values[] = { l->config->notify_channel, l->self_test };
	struct db_call call = {
		.sql = "SELECT pg_catalog.pg_notify($1, $2)", .values = values, .value_count = 2
	};
	bool ok = db_connect(other, deadline, e) && db_call(other, call, deadline, e);
	db_free(other);
	return ok;
}

static bool test_self(struct listener *l, struct error *e)
{
	snprintf(l->self_test, sizeof l->self_test, "signalbus self-test %ld %jd", (long)getpid(),
		(intmax_t)clock_now().ns);
	l->proven = false;
	if (!notify_self(l, e)) { /* perhaps there is no connection left for that */
		log_debug("listener: not tested: %s", e->text);
		return true;
	}
	struct instant deadline = instant_after(clock_now(), SELF_TEST_S);
	while (!l->proven && !stopping(l) && instant_before(clock_now(), deadline)) {
		eventfd_t ignored; /* otherwise, a worker that wakes the listener makes it deaf */
		eventfd_read(l->stop_fd, &ignored);
		if (!db_listen(l->db, l->stop_fd,
			    instant_earlier(deadline, instant_after(clock_now(), 0.02)), e))
			return false;
	}
	if (!l->proven && !stopping(l))
		log_warning("notifications do not arrive (%s): polling all tables every %g s",
			l->config->listen_login != NULL
				? "does database_listen lead to another database?"
				: "does a proxy pool transactions?",
			l->config->poll_interval);
	return true;
}

/* Connect and listen.  Signals that were committed earlier were not announced. */
static bool set_up(struct listener *l, struct error *e)
{
	struct instant deadline = instant_after(clock_now(), CONNECT_S);
	if (!db_connect(l->db, deadline, e))
		return l->config->listen_login != NULL ? error_prefix(e, "database_listen") : false;
	if (!start_listening(l, e) || !look_up_all(l, e))
		return false;
	announce_all(l);
	return test_self(l, e);
}

/* Listen until the listener is stopped, or its session is lost, which a silent session shows only
 * when it is used.  While no worker is connected, give the connection up, because the workers may
 * lack it. */
static bool listen_on(struct listener *l, struct error *e)
{
	while (!stopping(l)) {
		struct db_call ping = { .sql = "SELECT" };
		eventfd_t ignored;
		if (!db_listen(l->db, l->stop_fd, instant_after(clock_now(), PING_S), e))
			return false;
		eventfd_read(l->stop_fd, &ignored);
		if (!health_has_worker(l->health))
			return error_set(e, ERROR_CONNECTION, "no worker is connected");
		if (stopping(l) || db_call(l->db, ping, answer_deadline(l), e))
			continue;
		l->failures = DEAF_TRIES; /* no notification for some time */
		return false;
	}
	return true;
}

/* Log that it does not listen; if no worker is connected, the workers log the problem. */
static void log_failure(struct listener *l, const struct error *e)
{
	log_debug("listener: %s", e->text);
	if (l->failures++ == 0)
		l->failing = clock_now();
	if (!health_has_worker(l->health))
		return;
	if (l->failures < DEAF_TRIES || health_is_short(l->health) ||
		instant_seconds(l->failing, clock_now()) < DEAF_S)
		return; /* workers may report the same shortage first */
	if (outage_note(&l->deaf, e->text, clock_now()))
		log_warning("cannot receive notifications: %s; polling all tables every %g s",
			e->text, l->config->poll_interval);
}

static void note_success(struct listener *l)
{
	struct instant now = clock_now();
	retry_success(&l->connecting, now);
	health_listens(l->health);
	if (outage_lasts(&l->deaf))
		log_warning("notifications are received again, after %.0f s",
			outage_end(&l->deaf, now));
	l->failures = 0;
	l->failing = (struct instant){ 0 };
}

/* Wait before the next attempt; if a worker gives up its connection meanwhile, it comes at once,
 * and then often: the server may not have noticed yet. */
static void wait_to_retry(struct listener *l)
{
	double delay = 0;
	eventfd_t ignored;
	retry_again(&l->connecting, ERROR_CONNECTION, clock_now(), erand48(l->jitter), &delay);
	if (health_want_room(l->health))
		delay = fmin(delay, ROOM_RETRY_S);
	struct pollfd roused = { .fd = l->stop_fd, .events = POLLIN };
	poll(&roused, 1, (int)(delay * 1000));
	eventfd_read(l->stop_fd, &ignored);
}

static void *listen_loop(void *arg)
{
	struct listener *l = arg;
	struct error e;
	while (!stopping(l)) {
		if (!health_has_worker(l->health)) {
			queue_wait_closed(l->queue, instant_after(clock_now(), WORKERS_S));
			continue;
		}
		bool ok = set_up(l, &e);
		if (ok)
			note_success(l);
		if (ok && listen_on(l, &e))
			continue; /* stopped */
		log_failure(l, &e);
		db_disconnect(l->db);
		wait_to_retry(l);
	}
	return NULL;
}

struct listener *listener_start(const struct config *config, struct run_queue *queue,
	struct health *health, struct pauses *pauses)
{
	struct listener *l = memory_new(1, sizeof *l);
	l->config = config;
	l->queue = queue;
	l->health = health;
	l->pauses = pauses;
	l->db = config->listen_login != NULL ? db_new(config->listen_login, config->timeout)
					     : catalog_session(config);
	db_set_ear(l->db, &(struct db_ear){ on_notification, l });
	l->relations = memory_new(config->model_count, sizeof *l->relations);
	l->connecting = retry_new(INFINITY, clock_now());
	l->jitter[0] = (unsigned short)(clock_now().ns >> 8);
	l->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	health_rouse(health, l->stop_fd);
	if (l->stop_fd < 0)
		abort();
	thread_start(&l->thread, listen_loop, l, "the listener");
	return l;
}

void listener_stop(struct listener *l)
{
	if (l == NULL)
		return;
	if (eventfd_write(l->stop_fd, 1) != 0)
		abort();
	pthread_join(l->thread, NULL);
	health_rouse(l->health, -1);
	close(l->stop_fd);
	db_free(l->db);
	for (size_t i = 0; i < l->config->model_count; i++)
		free(l->relations[i]);
	free(l->relations);
	free(l);
}
