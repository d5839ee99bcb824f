#include "daemon/daemon.h"

#include "base/limits.h"
#include "base/log.h"
#include "base/retry.h"
#include "base/stop.h"
#include "base/text.h"
#include "base/thread.h"
#include "daemon/health.h"
#include "daemon/listener.h"
#include "daemon/model_status.h"
#include "daemon/pauses.h"
#include "daemon/pending_count.h"
#include "daemon/run_queue.h"
#include "relay/burst.h"
#include "relay/scan_position.h"
#include "store/store.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define TICK_S       1.0   /* maximum interval at which a worker shows progress */
#define HELD_PAUSE_S 0.005 /* between checks for writers that hold an order back */
#define ROOM_PAUSE_S                                                                               \
	0.1         /* between checks whether the listener has had its turn to connect, or         \
			 whether it can be found out what is paused */
#define WATCH_S 1.0 /* between checks whether others keep signals locked */
#define LOCK_S  0.5 /* lock time-out of a model, because there are others to serve */

struct worker {
	struct daemon *daemon;
	unsigned number;
	struct store *store;
	struct burst *burst;
	struct retry connecting;
	struct instant used; /* when the session was last used */
	bool has_session;
	unsigned short jitter[3];
	_Atomic int64_t alive_ns; /* when it last made progress */
	pthread_t thread;
};

struct daemon {
	const struct config *config;
	struct broker *broker;
	struct metrics *metrics;
	struct run_queue *queue;
	struct health *health;
	struct pauses *pauses;
	struct listener *listener;
	struct worker *workers;
	unsigned worker_count;
	struct recovery *recovery;
	struct pending_count *pending_count; /* the main thread's */
	struct model_status *status;
	atomic_flag has_warned; /* of the session */
	pthread_mutex_t lock;
	size_t sent;
	double worst_ack;
};

/* A worker's visit to a model. */
struct visit {
	enum queue_reason reason;
	struct burst_result result;
	double rest; /* seconds until the next scan of the whole table; 0: the poll interval */
};

static bool is_ordered(const struct daemon *d, size_t model)
{
	return d->config->models[model].order_by.count > 0;
}

static void show_alive(struct worker *w)
{
	atomic_store(&w->alive_ns, clock_now().ns);
}

static struct instant tick(void)
{
	return instant_after(clock_now(), TICK_S);
}

/* Close the session, which releases its rows and ordered locks. */
static void lose_session(struct worker *w)
{
	if (w->has_session)
		health_lost(w->daemon->health);
	w->has_session = false;
	store_disconnect(w->store);
	queue_lost(w->daemon->queue, w->number);
	metrics_lost(w->daemon->metrics, w->number);
}

/* Once for each configuration.  If it fails, the session is lost, which its next use finds. */
static void warn_of_dangers(struct worker *w)
{
	struct error e;
	struct check_report dangers = { .is_silent = true };
	if (atomic_flag_test_and_set(&w->daemon->has_warned))
		return;
	if (!store_check_session(w->store, &dangers, &e))
		atomic_flag_clear(&w->daemon->has_warned);
	for (size_t i = 0; i < dangers.warnings; i++)
		log_warning("%s", dangers.findings[i].text);
	report_free(&dangers);
}

/* One attempt to connect, and a wait if it failed. */
static void connect_once(struct worker *w)
{
	struct daemon *d = w->daemon;
	struct error e;
	double delay = 0;
	double limit = fmin(d->config->timeout, CONNECT_S);
	lose_session(w);
	if (!health_try(d->health)) {
		queue_wait_closed(d->queue, instant_after(clock_now(), ROOM_PAUSE_S));
		return;
	}
	if (store_connect(w->store, instant_after(clock_now(), limit), &e)) {
		w->used = clock_now();
		w->has_session = true;
		retry_success(&w->connecting, w->used);
		health_connected(d->health);
		warn_of_dangers(w);
		return;
	}
	if (e.kind != ERROR_STOPPED)
		health_refused(d->health, e.text);
	retry_again(&w->connecting, ERROR_CONNECTION, clock_now(), erand48(w->jitter), &delay);
	queue_wait_closed(d->queue, instant_after(clock_now(), delay));
}

/* If there is nothing to do for a while, still detect that the database is unavailable. */
static void ping(struct worker *w)
{
	struct error e;
	struct instant start = w->used = clock_now();
	if (store_ping(w->store, &e)) {
		health_answered(w->daemon->health, start);
		return;
	}
	log_debug("%s", e.text);
	lose_session(w);
}

/* Make sure that the session is connected, that it is known what is paused, and that the broker
 * answers, so that no transaction is begun in vain.  False if not yet. */
static bool is_ready(struct worker *w)
{
	if (!store_connected(w->store)) {
		connect_once(w);
		return false;
	}
	if (health_yield(w->daemon->health)) {
		lose_session(w);
		return false;
	}
	if (instant_before(instant_after(w->used, PING_S), clock_now()) ||
		health_is_doubtful(w->daemon->health))
		ping(w);
	if (store_connected(w->store) && !pauses_look(w->daemon->pauses, w->store)) {
		queue_wait_closed(w->daemon->queue, instant_after(clock_now(), ROOM_PAUSE_S));
		return false;
	}
	return store_connected(w->store) && broker_await_up(w->daemon->broker, tick());
}

/* An ordered model is served by the session that holds its lock.  To describe a table and to wait
 * for a lock takes a while: operators may have paused the model since the worker took it. */
static bool may_serve(struct worker *w, const struct model *m, struct error *e)
{
	if (is_ordered(w->daemon, m->index)) {
		if (!store_lock(w->store, m, LOCK_EXCLUSIVE, e))
			return false;
		queue_keep(w->daemon->queue, w->number, m->index);
		metrics_leads(w->daemon->metrics, m->index, w->number);
	}
	return !queue_is_paused(w->daemon->queue, m->index) ||
	       error_set(e, ERROR_STOPPED, "paused");
}

/* A burst of an unordered model; one from the beginning of the table that finds nothing was a
 * sweep. */
static bool look(struct worker *w, const struct burst_order *order, struct burst_result *result,
	struct error *e)
{
	struct instant start = clock_now();
	bool was_failing = deferral_has_rows(order->deferral);
	bool ok = burst_run(w->burst, order, result, e);
	if (was_failing && result->put_off > 0 && result->sent == 0)
		deferral_extend(order->deferral, instant_seconds(start, clock_now()));
	if (ok && result->claimed == 0 && result->from_start && !deferral_is_full(order->deferral))
		position_swept(order->position, start, clock_now());
	return ok;
}

/* If there is nothing new after the position, scan from the beginning of the table; if a sweep
 * should wait, only from a little before the position.  If more rows are deferred than claims skip,
 * do neither before they are due, whatever the reason of the visit. */
static bool run_any(
	struct worker *w, struct burst_order order, struct visit *visit, struct error *e)
{
	bool is_full = deferral_is_full(order.deferral);
	order.from_start = order.from_start && !is_full;
	bool ok = look(w, &order, &visit->result, e);
	if (!ok || visit->result.claimed > 0 || visit->result.from_start || is_full)
		return ok;
	visit->rest = position_rest(order.position, clock_now());
	order.from_start = visit->rest <= 0;
	const struct model *m = order.model;
	if (!order.from_start &&
		(m->has_children || !position_step_back(order.position, m->table_state)))
		return true;
	return look(w, &order, &visit->result, e);
}

/* Claims skip rows that others have locked: if signals were counted, check whether they are held
 * (see held_rows.h).  If that cannot be determined, claims find out why. */
static void watch_locks(struct worker *w, const struct burst_order *order, struct visit *visit)
{
	struct model_status *status = w->daemon->status;
	const struct model *m = order->model;
	bool swept = visit->result.claimed == 0 && visit->result.from_start;
	struct text passed[2] = { 0 }, who = { 0 };
	struct sighting row;
	struct error e;
	if (deferral_is_full(order->deferral) || !status_looks(status, m->index, swept, &row))
		return;
	bool passes = deferral_list(order->deferral, &passed[0], &passed[1]);
	const char *const lists[] = { passed[0].text, passed[1].text };
	if (!store_see(w->store, m, passes ? lists : NULL, &row, &e)) {
		log_debug("%s", e.text);
	} else if (status_saw(status, m->index, swept, &row)) {
		store_describe_locker(w->store, &row, &who);
		status_tell_held(status, m->index, m->relation, who.text);
	}
	text_free(&passed[0]);
	text_free(&passed[1]);
	text_free(&who);
}

/* The shorter of two times to wait; 0 is none. */
static double shorter(double a, double b)
{
	return b <= 0 || (a > 0 && a < b) ? a : b;
}

/* Seconds until the next scan of the whole table; 0: the poll interval. */
static double rest_of(struct worker *w, const struct burst_order *order, double rest)
{
	struct instant now = clock_now();
	rest = shorter(rest, deferral_rest(order->deferral, now));
	if (!status_watches(w->daemon->status, order->model->index))
		return rest;
	return shorter(rest, fmax(WATCH_S, position_rest(order->position, now)));
}

static bool run_in_no_order(
	struct worker *w, struct burst_order order, struct visit *visit, struct error *e)
{
	struct model_status *status = w->daemon->status;
	size_t model = order.model->index;
	order.kind = CLAIM_FIRST;
	order.position = status_position(status, model);
	order.deferral = status_deferral(status, model);
	deferral_release(order.deferral, clock_now(), true);
	bool passes_over =
		deferral_has_rows(order.deferral); /* others may release them meanwhile */
	bool ok = run_any(w, order, visit, e);
	if (ok && visit->result.claimed == 0 && visit->result.from_start && !passes_over)
		status_emptied(status, model);
	if (ok)
		watch_locks(w, &order, visit);
	visit->result.locked = status_sees_rows(status, model);
	visit->rest = rest_of(w, &order, visit->rest);
	return ok;
}

static bool run_burst(struct worker *w, const struct model *m, struct visit *visit, struct error *e)
{
	struct burst_order order = {
		.model = m, .kind = CLAIM_ORDERED, .from_start = visit->reason == QUEUE_TIME
	};
	if (is_ordered(w->daemon, m->index))
		return burst_run(w->burst, &order, &visit->result, e);
	return run_in_no_order(w, order, visit, e);
}

static void note_sent(struct daemon *d, const struct burst_result *result)
{
	pthread_mutex_lock(&d->lock);
	d->sent += result->sent;
	if (result->ack_seconds > d->worst_ack)
		d->worst_ack = result->ack_seconds;
	pthread_mutex_unlock(&d->lock);
}

static void handle_error(struct worker *w, size_t model, struct instant start, struct error *e)
{
	if (e->kind == ERROR_STOPPED) {
		status_leave(w->daemon->status, model);
		queue_done(w->daemon->queue, model, QUEUE_LATER, 0);
		return;
	}
	store_blame(w->store, model, e);
	double delay = status_failure(w->daemon->status, model, e, start, erand48(w->jitter));
	metrics_stopped(w->daemon->metrics, model, status_is_stopped(w->daemon->status, model));
	if (error_policy(e->kind) == POLICY_RECONNECT)
		lose_session(w);
	else if (error_policy(e->kind) == POLICY_REPREPARE)
		store_forget(w->store, model);
	queue_done(w->daemon->queue, model, QUEUE_LATER, delay);
}

/* A model is quiet if a look that finds its table empty would change nothing but the time of the
 * next one.  With exactly-once delivery each visit also resolves what others left. */
static enum queue_outcome outcome_of(
	const struct worker *w, const struct model *m, const struct visit *visit)
{
	const struct burst_result *r = &visit->result;
	if (r->more)
		return QUEUE_FULL;
	bool is_quiet = r->claimed == 0 && r->put_off == 0 && !r->locked && visit->rest <= 0 &&
			w->daemon->config->delivery == DELIVERY_AT_LEAST_ONCE &&
			store_is_plain(w->store, m->index) &&
			!status_is_stopped(w->daemon->status, m->index);
	return is_quiet ? QUEUE_QUIET : QUEUE_EMPTIED;
}

static void serve(struct worker *w, size_t model, enum queue_reason reason)
{
	struct error e;
	/* The broker may have become unavailable while the worker waited for work. */
	if (!broker_is_up(w->daemon->broker)) {
		queue_done(w->daemon->queue, model, QUEUE_LATER, 0);
		return;
	}
	struct instant start = clock_now();
	struct visit visit = { .reason = reason };
	status_begin(w->daemon->status, model);
	const struct burst_result *result = &visit.result;
	const struct model *m = store_model(w->store, model, &e);
	bool may = m != NULL && may_serve(w, m, &e);
	bool ok = may && run_burst(w, m, &visit, &e);
	w->used = clock_now();
	if (m != NULL && m->dead_letter_problem != NULL &&
		(ok ? result->put_off_for : e.kind) == ERROR_REJECTED)
		store_forget(w->store, model); /* the next attempt finds out whether it is fixed */
	note_sent(w->daemon, result);
	metrics_served(
		w->daemon->metrics, model, result, ok ? result->put_off_for : e.kind, clock_now());
	if (!ok) {
		handle_error(w, model, start, &e);
		if (!may)
			burst_tend(w->burst); /* as a burst does */
		return;
	}
	if (result->put_off > 0 && result->sent == 0)
		status_leave(w->daemon->status, model); /* that is not a success */
	else
		status_success(w->daemon->status, model, result->sent > 0);
	metrics_stopped(w->daemon->metrics, model, status_is_stopped(w->daemon->status, model));
	if (result->held_back) {
		queue_done(w->daemon->queue, model, QUEUE_LATER, HELD_PAUSE_S);
		return;
	}
	queue_done(w->daemon->queue, model, outcome_of(w, m, &visit), visit.rest);
}

/* Poll the tables of quiet models together; those with rows are served next. */
static void poll_together(struct worker *w, const size_t *models, size_t count)
{
	static const struct burst_result nothing = { 0 };
	struct daemon *d = w->daemon;
	bool has[QUEUE_TOGETHER];
	struct error e;
	bool ok = store_see_rows(w->store, models, count, has, &e);
	w->used = clock_now();
	if (!ok)
		log_debug("%s", e.text); /* each is served by itself next */
	for (size_t i = 0; i < count; i++) {
		if (!ok || has[i]) {
			queue_done(d->queue, models[i], QUEUE_LATER, 0);
			continue;
		}
		status_begin(d->status, models[i]);
		status_success(d->status, models[i], false);
		metrics_served(d->metrics, models[i], &nothing, ERROR_NONE, w->used);
		queue_done(d->queue, models[i], QUEUE_QUIET, 0);
	}
}

/* Serve a model whose poll interval has passed; with others, if all were empty last time. */
static void serve_by_time(struct worker *w, size_t model)
{
	size_t models[QUEUE_TOGETHER], plain = 0;
	size_t count = queue_take_quiet(w->daemon->queue, w->number, model, models);
	for (size_t i = 0; i < count; i++)
		if (store_is_plain(w->store, models[i]))
			models[plain++] = models[i];
		else if (models[i] != model)
			queue_done(w->daemon->queue, models[i], QUEUE_LATER, 0);
	if (plain > 0) /* otherwise none was described in this session */
		poll_together(w, models, plain);
	if (count == 0 || !store_is_plain(w->store, model))
		serve(w, model, QUEUE_TIME);
}

/* Others may send a paused model in order. */
static void unlock(struct worker *w, size_t model)
{
	store_unlock(w->store, model);
	metrics_unlocked(w->daemon->metrics, model);
	queue_unlocked(w->daemon->queue, model);
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct run_queue *queue = w->daemon->queue;
	size_t model;
	enum queue_reason reason;
	while (!queue_wait_closed(queue, clock_now())) {
		show_alive(w);
		if (!is_ready(w))
			continue;
		if (!queue_take(queue, w->number, tick(), &model, &reason))
			burst_tend(w->burst);
		else if (reason == QUEUE_UNLOCK)
			unlock(w, model);
		else if (reason == QUEUE_TIME)
			serve_by_time(w, model);
		else
			serve(w, model, reason);
	}
	lose_session(w);
	return NULL;
}

static void start_worker(struct daemon *d, unsigned number)
{
	struct worker *w = &d->workers[number];
	w->daemon = d;
	w->number = number;
	w->store = store_new(d->config);
	store_limit_locks(w->store, LOCK_S);
	store_keep_rejected(w->store);
	w->burst = burst_new(d->config, w->store, d->broker,
		(struct burst_owner){ number, d->worker_count, d->recovery });
	w->connecting = retry_new(INFINITY, clock_now());
	w->jitter[0] = (unsigned short)(clock_now().ns >> 8);
	w->jitter[1] = (unsigned short)number;
	show_alive(w);
	thread_start(&w->thread, work, w, "a worker");
}

static void set_up_models(struct daemon *d)
{
	const struct config *config = d->config;
	d->status = status_new(config);
	for (size_t i = 0; i < config->model_count; i++) {
		if (is_ordered(d, i))
			queue_set_ordered(d->queue, i);
		if (!config_autoflushes(config, i))
			queue_set_off(d->queue, i);
	}
}

struct daemon *daemon_start(
	const struct config *config, struct broker *broker, struct metrics *metrics)
{
	struct daemon *d = memory_new(1, sizeof *d);
	d->config = config;
	d->broker = broker;
	d->metrics = metrics;
	atomic_flag_clear(&d->has_warned);
	d->worker_count = (unsigned)config->workers;
	d->queue = queue_new(config->model_count, d->worker_count, config->poll_interval);
	d->health = health_new(d->worker_count);
	pthread_mutex_init(&d->lock, NULL);
	set_up_models(d);
	d->pauses = pauses_new(config, d->queue, d->status, metrics);
	d->pending_count = pending_count_new(config, d->health, metrics, d->status);
	d->recovery = recovery_new(config->instance);
	d->workers = memory_new(d->worker_count, sizeof *d->workers);
	for (unsigned i = 0; i < d->worker_count; i++)
		start_worker(d, i);
	if (config->notify_channel[0] != '\0')
		d->listener = listener_start(config, d->queue, d->health, d->pauses);
	return d;
}

void daemon_stop(struct daemon *d)
{
	queue_close(d->queue);
	listener_stop(d->listener);
	for (unsigned i = 0; i < d->worker_count; i++) {
		pthread_join(d->workers[i].thread, NULL);
		burst_free(d->workers[i].burst);
		store_free(d->workers[i].store);
	}
	free(d->workers);
	recovery_free(d->recovery);
	pauses_free(d->pauses);
	status_free(d->status);
	pending_count_free(d->pending_count);
	health_free(d->health);
	queue_free(d->queue);
	pthread_mutex_destroy(&d->lock);
	free(d);
}

/* A worker waits for a database and a broker within a burst for at most a few times `timeout`. */
static double alive_limit(const struct daemon *d)
{
	return limit_alive(d->config->timeout);
}

/* The longest time in seconds for which a worker has not shown progress. */
static double silence(const struct daemon *d)
{
	struct instant now = clock_now(), seen = now;
	for (unsigned i = 0; i < d->worker_count; i++) {
		struct instant alive = { atomic_load(&d->workers[i].alive_ns) };
		seen = instant_earlier(seen, alive);
	}
	return instant_seconds(seen, now);
}

void daemon_view(struct daemon *d, struct daemon_view *view)
{
	double silent = silence(d);
	*view = (struct daemon_view){ .alive_limit = alive_limit(d) };
	if (silent > view->alive_limit)
		snprintf(view->alive, sizeof view->alive,
			"a worker has made no progress for %.0f s", silent);
	health_view(d->health, view->database, sizeof view->database);
	broker_view(d->broker, view->broker, sizeof view->broker);
}

struct daemon_report daemon_report(struct daemon *d)
{
	bool has_database = health_is_up(d->health);
	struct daemon_report r = { .is_ready = has_database && broker_is_up(d->broker),
		.has_database = has_database,
		.lost_database = health_is_down(d->health),
		.is_alive = silence(d) <= alive_limit(d) };
	pthread_mutex_lock(&d->lock);
	r.sent = d->sent;
	r.worst_ack = d->worst_ack;
	d->sent = 0;
	d->worst_ack = 0;
	pthread_mutex_unlock(&d->lock);
	return r;
}

void daemon_describe(struct daemon *d, struct text *t)
{
	status_describe(d->status, clock_now(), t);
}

bool daemon_count(struct daemon *d, size_t *pending, bool *more)
{
	return pending_count_take(d->pending_count, pending, more);
}
