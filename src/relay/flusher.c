#include "relay/flusher.h"

#include "base/log.h"
#include "base/retry.h"
#include "base/stop.h"
#include "base/text.h"
#include "relay/backlog.h"
#include "relay/burst.h"
#include "relay/scan_position.h"
#include "store/store.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

/* How many noted keys are fetched at a time, or a burst if that is larger. */
#define NOTED_AT_ONCE 1000

/* Between two attempts with models that writers hold back. */
#define HELD_PAUSE_S 0.005

/* The lock time-out of a model while there are other models. */
#define LOCK_S 0.5

/* What a warning says of a model with order_by that is flushed out of order, or of a paused one. */
enum order_warning { NOT_WARNED, WARNED_OF_FLUSH, WARNED_OF_LEAVING, WARNED_OF_PAUSE };

/* A model being flushed, by all workers. */
struct target {
	size_t index; /* in the configuration */
	struct flusher *flusher;
	struct position *position;
	struct deferral *deferral;
	struct error reason; /* under the lock: why rows of it are deferred */
	atomic_bool is_slow; /* one signal at a time, which was logged, also in an earlier run */
	atomic_bool failed;
	atomic_bool done;          /* a worker found nothing left */
	enum order_warning warned; /* under the lock: the last one, also of an earlier run */
	bool from_start; /* FLUSH_ORDERED: only rows that may have been inserted at the beginning
			    are left */
};

/* A target that a worker has deferred, so that it delays no others. */
struct task {
	bool is_put_off;
	bool needs_note;      /* FLUSH_BY_KEY: some fetched keys of the note are not done */
	struct instant due;   /* when to retry it */
	struct retry retry;   /* since its last progress */
	size_t sent;          /* FLUSH_MANY: by this worker … */
	struct instant since; /* … after the first burst */
};

struct worker {
	struct flusher *flusher;
	struct store *store;
	struct burst *burst;
	struct task *tasks; /* one for each target */
	struct retry retry;
	bool was_connected;       /* in this run … */
	bool is_spare;            /* … and if not, leaves the work to the connected ones */
	unsigned short jitter[3]; /* of erand48(3) */
	/* FLUSH_BY_KEY: fetched keys of a model, and the first one that is not done. */
	struct rows *keys;
	size_t next_key;
	pthread_t thread;
};

struct flusher {
	const struct flush_plan *plan;
	struct target *targets;
	struct worker *workers; /* as many as the plan has jobs */
	struct recovery *recovery;
	struct progress progress;
	atomic_bool is_unconfirmed; /* no standby confirms commits, which was logged */
	atomic_bool aborted;        /* database or broker unavailable: no model can continue */
	/* Under lock: */
	pthread_mutex_t lock;
	struct error error;          /* the error of the run; ERROR_NONE: none */
	unsigned connected, refused; /* workers … */
	struct error refusal;        /* … and why the last one was */
};

/* A row of a target is deferred.  The reason that the run may fail with is logged at the end,
 * others now.  A temporary one takes precedence: because of it the row is retried. */
static void note_put_off(void *arg, const struct error *e, enum deferral_news news)
{
	struct target *t = arg;
	struct error told = *e;
	pthread_mutex_lock(&t->flusher->lock);
	bool is_first = t->reason.kind == ERROR_NONE;
	if (is_first || (error_policy(t->reason.kind) == POLICY_GIVE_UP &&
				error_policy(e->kind) != POLICY_GIVE_UP)) {
		told = t->reason;
		t->reason = *e;
	}
	pthread_mutex_unlock(&t->flusher->lock);
	if (!is_first && news == DEFERRAL_NEW)
		log_warning("%s", told.text);
	else
		log_debug("%s", e->text);
	const struct model_config *m = &t->flusher->plan->config->models[t->index];
	if (news == DEFERRAL_MANY)
		log_warning(DEFERRAL_MANY_FORMAT, m->name, m->table);
}

struct flusher *flusher_new(const struct flush_plan *plan)
{
	struct flusher *f = memory_new(1, sizeof *f);
	f->plan = plan;
	pthread_mutex_init(&f->lock, NULL);
	f->targets = memory_new(plan->model_count, sizeof *f->targets);
	for (size_t i = 0; i < plan->model_count; i++) {
		f->targets[i].index = plan->models[i];
		f->targets[i].flusher = f;
		f->targets[i].position = position_new();
		f->targets[i].deferral = deferral_new(note_put_off, &f->targets[i]);
	}
	f->recovery = recovery_new(plan->config->instance);
	f->workers = memory_new(plan->jobs, sizeof *f->workers);
	for (unsigned i = 0; i < plan->jobs; i++) {
		struct worker *w = &f->workers[i];
		const struct burst_owner owner = { i, plan->jobs, f->recovery };
		w->flusher = f;
		w->store = store_new(plan->config);
		if (plan->model_count > 1)
			store_limit_locks(w->store, LOCK_S);
		w->tasks = memory_new(plan->model_count, sizeof *w->tasks);
		w->burst = burst_new(plan->config, w->store, plan->broker, owner);
		w->jitter[0] = (unsigned short)(clock_now().ns >> 8);
		w->jitter[1] = (unsigned short)i;
	}
	return f;
}

void flusher_free(struct flusher *f)
{
	if (f == NULL)
		return;
	for (unsigned i = 0; i < f->plan->jobs; i++) {
		burst_free(f->workers[i].burst);
		store_free(f->workers[i].store);
		free(f->workers[i].tasks);
	}
	for (size_t i = 0; i < f->plan->model_count; i++) {
		position_free(f->targets[i].position);
		deferral_free(f->targets[i].deferral);
	}
	recovery_free(f->recovery);
	free(f->workers);
	free(f->targets);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

/* A model's failure: log it, once, in the format of configuration errors if it is one. */
static void fail(struct flusher *f, struct target *t, const struct error *e)
{
	if (e->kind == ERROR_STOPPED || atomic_exchange(&t->failed, true))
		return;
	if (e->kind == ERROR_CONNECTION || e->kind == ERROR_POOLED || e->kind == ERROR_INSTANCE ||
		(e->kind == ERROR_BROKER && !broker_is_answered(f->plan->broker)))
		if (atomic_exchange(&f->aborted, true))
			return;
	pthread_mutex_lock(&f->lock);
	if (f->error.kind == ERROR_NONE || f->error.kind == ERROR_BUSY)
		f->error = *e;
	pthread_mutex_unlock(&f->lock);
	if (e->kind == ERROR_CONFIG)
		log_problem(e->text);
	else
		log_error("Caught error while sending pending signals: %s", e->text);
}

/* Whether a warning about the order of a model differs from the last one: repeated flushes give
 * the same one only once. */
static bool is_news(struct target *t, enum order_warning warning)
{
	pthread_mutex_lock(&t->flusher->lock);
	bool is_new = t->warned != warning;
	t->warned = warning;
	pthread_mutex_unlock(&t->flusher->lock);
	return is_new;
}

/* Without regard to its order, a model is sent only while nobody sends it in order. */
static bool lock_out_order(
	const struct worker *w, struct target *t, const struct model *m, struct error *e)
{
	if (m->settings->order_by.count == 0)
		return true;
	if (!store_lock(w->store, m, LOCK_SHARED, e))
		return false;
	if (is_news(t, WARNED_OF_FLUSH))
		log_warning("model \"%s\" has order_by, and is flushed in no particular order; "
			    "flushordered keeps the order",
			m->settings->name);
	return true;
}

/* Somebody sends the model in order: that includes what is pending now.  If another worker is done
 * with it, so is this one. */
static void leave_out(struct flusher *f, struct target *t, const struct error *e)
{
	if (atomic_load(&t->done) || atomic_exchange(&t->failed, true))
		return;
	if (is_news(t, WARNED_OF_LEAVING))
		log_warning("model \"%s\" is left out: %s, with flushordered",
			f->plan->config->models[t->index].name, e->text);
	pthread_mutex_lock(&f->lock);
	if (f->plan->are_named && f->error.kind == ERROR_NONE)
		f->error = *e;
	pthread_mutex_unlock(&f->lock);
}

/* When to retry, according to the kind of the error.  Returns false if there is no point in it. */
static bool plan_retry(struct worker *w, const struct error *e, struct instant *due)
{
	double delay;
	if (!retry_again(&w->retry, e->kind, clock_now(), erand48(w->jitter), &delay))
		return false;
	if (w->retry.waits == 1 && w->retry.conflicts == 0)
		log_warning("%s; trying again", e->text);
	else
		log_debug("%s; trying again in %.1f s", e->text, delay);
	*due = instant_after(clock_now(), delay);
	return true;
}

/* Wait until then.  Returns false also if the process is asked to stop. */
static bool wait_to_retry(struct worker *w, const struct error *e)
{
	struct instant due;
	return plan_retry(w, e, &due) && !stop_wait(due);
}

static size_t target_number(const struct target *t)
{
	return (size_t)(t - t->flusher->targets);
}

static struct task *task_of(const struct worker *w, const struct target *t)
{
	return &w->tasks[target_number(t)];
}

/* Defer a model until the others were flushed, with the rest of its time limit. */
static void put_off(struct worker *w, const struct target *t, struct instant due)
{
	struct task *task = task_of(w, t);
	task->is_put_off = true;
	task->due = due;
	task->retry = w->retry;
	retry_success(&w->retry, clock_now()); /* the others have their own */
}

static void drop_keys(struct worker *w)
{
	rows_free(w->keys);
	w->keys = NULL;
}

/* The remaining keys are noted again. */
static void lose_keys(struct worker *w, const struct target *t)
{
	if (w->keys != NULL)
		task_of(w, t)->needs_note = true;
	drop_keys(w);
}

/* Whether a model waits for what others need not wait for. */
static bool is_own_trouble(const struct worker *w, enum error_kind kind)
{
	const struct flush_plan *plan = w->flusher->plan;
	return kind == ERROR_TEMPORARY || kind == ERROR_MEMORY || kind == ERROR_TOPIC ||
	       (kind == ERROR_BROKER && plan->model_count > 1 && broker_is_answered(plan->broker));
}

/* Whether to retry, now or later, after an error in flushing a model. */
static bool recover(struct worker *w, const struct target *t, const struct error *e)
{
	struct instant due;
	if (e->kind == ERROR_UNCONFIRMED) { /* done all the same */
		if (!atomic_exchange(&w->flusher->is_unconfirmed, true))
			log_warning("%s", e->text);
		return true;
	}
	if (error_policy(e->kind) == POLICY_REPREPARE) {
		store_forget(w->store, t->index);
		lose_keys(w, t);
	}
	if (!is_own_trouble(w, e->kind))
		return wait_to_retry(w, e);
	if (!plan_retry(w, e, &due))
		return false;
	put_off(w, t, due);
	return true;
}

/* A worker's first attempt to connect has ended.  If it was refused, and others are connected,
 * these do all the work; so too few connections are not a failure. */
static void note_connecting(struct worker *w, bool ok, const struct error *e)
{
	struct flusher *f = w->flusher;
	if (w->was_connected)
		return;
	pthread_mutex_lock(&f->lock);
	w->was_connected = ok;
	w->is_spare = !ok && e->kind != ERROR_STOPPED && f->connected > 0;
	f->connected += ok;
	f->refused += w->is_spare;
	if (w->is_spare)
		f->refusal = *e;
	if (f->refused > 0 && f->connected + f->refused == f->plan->jobs)
		log_warning("only %u of %u connections to the database: %s", f->connected,
			f->plan->jobs, f->refusal.text);
	pthread_mutex_unlock(&f->lock);
}

/* Connect if needed, repeatedly until the time limit. */
static bool ensure_connected(struct worker *w, struct error *e)
{
	while (!store_connected(w->store)) {
		bool ok = store_connect(w->store, retry_deadline(&w->retry, clock_now()), e);
		note_connecting(w, ok, e);
		if (ok)
			return true;
		if (w->is_spare || !wait_to_retry(w, e))
			return false;
	}
	return true;
}

static void note_sent(struct worker *w, const struct target *t, const struct burst_result *result)
{
	progress_add(&w->flusher->progress, target_number(t),
		w->flusher->plan->config->models[t->index].name, result->sent);
	if (result->sent + result->dead_lettered > 0) /* also by a burst that failed in part */
		retry_success(&w->retry, clock_now());
}

/* One step of flushing a model: sets *more to whether another one follows. */
typedef bool step(
	struct worker *w, struct target *t, const struct model *m, bool *more, struct error *e);

static bool may_go_on(const struct flusher *f, const struct target *t)
{
	return !atomic_load(&t->failed) && !atomic_load(&f->aborted) && !stop_requested();
}

/* Take a model, possibly a deferred one.  Returns false if it is not due. */
static bool take_up(struct worker *w, struct target *t)
{
	struct task *task = task_of(w, t);
	if (task->is_put_off && instant_before(clock_now(), task->due))
		return false;
	if (task->is_put_off)
		w->retry = task->retry;
	task->is_put_off = false;
	if (w->flusher->plan->discipline == FLUSH_ORDERED)
		t->from_start = false;
	return true;
}

/* Take steps while there are more, unless the model fails or is deferred, or the process is asked
 * to stop.  Without a step only check that the model can be read. */
static void take_steps(struct worker *w, struct target *t, step *take_step)
{
	struct error e;
	const struct task *task = task_of(w, t);
	bool more = take_up(w, t);
	while (more && !task->is_put_off && !w->is_spare && may_go_on(w->flusher, t)) {
		if (!ensure_connected(w, &e)) {
			if (!w->is_spare)
				fail(w->flusher, t, &e);
			return;
		}
		const struct model *m = store_model(w->store, t->index, &e);
		if (m != NULL && take_step == NULL)
			return;
		/* Finding nothing does not end a series of failures: a row that cannot be sent is
		 * skipped once, and found again. */
		if (m != NULL && take_step(w, t, m, &more, &e))
			continue;
		if (e.kind == ERROR_BUSY && w->flusher->plan->discipline != FLUSH_ORDERED) {
			leave_out(w->flusher, t, &e);
			return;
		}
		store_blame(w->store, t->index, &e);
		if (!recover(w, t, &e)) {
			fail(w->flusher, t, &e);
			return;
		}
	}
}

static bool count_step(
	struct worker *w, struct target *t, const struct model *m, bool *more, struct error *e)
{
	(void)t;
	size_t count;
	if (!store_count(w->store, m, &count, e))
		return false;
	progress_expect(&w->flusher->progress, target_number(t), count);
	*more = false;
	return true;
}

/* All others are sent.  Returns false with the reason if rows are deferred, which may be claimed
 * again now. */
static bool end_pass(struct target *t, struct error *e)
{
	pthread_mutex_lock(&t->flusher->lock);
	struct error reason = t->reason;
	t->reason.kind = ERROR_NONE;
	pthread_mutex_unlock(&t->flusher->lock);
	if (reason.kind == ERROR_NONE)
		return true;
	*e = reason;
	deferral_release(t->deferral, clock_now(), false);
	position_reset(t->position);
	return false;
}

/* Count what is left after some time of sending one signal at a time. */
static void warn_of_backlog(struct worker *w, struct target *t, const struct model *m, size_t sent)
{
	struct task *task = task_of(w, t);
	struct instant now = clock_now();
	if (task->since.ns == 0) {
		task->since = now;
		return;
	}
	task->sent += sent;
	double seconds = instant_seconds(task->since, now);
	if (m->settings->burst_count > 1 || seconds < BACKLOG_AFTER_S ||
		atomic_exchange(&t->is_slow, true))
		return;
	double rate = (double)task->sent / seconds * w->flusher->plan->jobs;
	size_t pending;
	struct error ignored;
	burst_discard_prefetch(w->burst);
	if (store_count(w->store, m, &pending, &ignored) && (double)pending > rate * BACKLOG_LEFT_S)
		backlog_warn(m->settings, pending, rate);
}

/* A burst from the position on; at the end of the table also the rows before it. */
static bool many_step(
	struct worker *w, struct target *t, const struct model *m, bool *more, struct error *e)
{
	struct burst_result result;
	struct burst_order order = { .model = m, .kind = CLAIM_FIRST, .position = t->position };
	order.continues = true;
	order.deferral = t->deferral;
	if (!lock_out_order(w, t, m, e))
		return false;
	bool ok = burst_run(w->burst, &order, &result, e);
	/* In this same step, because finding nothing after a failure is not a success. */
	if (ok && result.claimed == 0 && !result.from_start && !deferral_is_full(t->deferral)) {
		position_reset(t->position);
		ok = burst_run(w->burst, &order, &result, e);
	}
	note_sent(w, t, &result);
	if (ok && result.claimed > 0)
		warn_of_backlog(w, t, m, result.sent);
	*more = !ok || result.claimed > 0;
	if (!*more)
		*more = !(ok = end_pass(t, e));
	if (!*more)
		atomic_store(&t->done, true);
	return ok;
}

/* Do not wait for writers here, so that they delay no other models. */
static bool ordered_step(
	struct worker *w, struct target *t, const struct model *m, bool *more, struct error *e)
{
	struct burst_result result;
	if (!store_lock(w->store, m, LOCK_EXCLUSIVE, e))
		return false;
	struct burst_order order = { .model = m, .kind = CLAIM_ORDERED };
	order.from_start = t->from_start;
	bool ok = burst_run(w->burst, &order, &result, e);
	note_sent(w, t, &result);
	t->from_start = ok && result.claimed == 0;
	*more = !ok || result.claimed > 0 || !(result.from_start || result.held_back);
	if (!ok || !result.held_back)
		return ok;
	if (instant_seconds(w->retry.since, clock_now()) >= w->retry.time_limit)
		return store_set_writer_error(w->store, m, e);
	put_off(w, t, instant_after(clock_now(), HELD_PAUSE_S));
	return true;
}

static bool note_step(
	struct worker *w, struct target *t, const struct model *m, bool *more, struct error *e)
{
	(void)t;
	*more = !store_note(w->store, m, e);
	return !*more;
}

/* Fetch keys until there are some; *more is false at the end of the note.  A note is lost with its
 * session: then the signals that are pending now are noted instead. */
static bool fetch_keys(struct worker *w, const struct target *t, const struct model *m, bool *more,
	struct error *e)
{
	size_t count = (size_t)m->settings->burst_count;
	if (w->keys != NULL)
		return true;
	struct task *task = task_of(w, t);
	if ((task->needs_note || !store_has_note(w->store, m->index)) &&
		!store_note(w->store, m, e))
		return false;
	task->needs_note = false;
	if (!store_noted(w->store, m, count > NOTED_AT_ONCE ? count : NOTED_AT_ONCE, &w->keys, e))
		return false;
	w->next_key = 0;
	*more = rows_count(w->keys) > 0;
	return true;
}

/* A burst of noted keys. */
static bool noted_step(
	struct worker *w, struct target *t, const struct model *m, bool *more, struct error *e)
{
	struct burst_result result = { 0 };
	if (!lock_out_order(w, t, m, e) || !fetch_keys(w, t, m, more, e))
		return false;
	size_t left = rows_count(w->keys) - w->next_key;
	size_t burst_count = (size_t)m->settings->burst_count;
	struct burst_order order = { .model = m,
		.kind = CLAIM_BY_KEY,
		.deferral = t->deferral,
		.keys = w->keys,
		.first_key = w->next_key,
		.key_count = left < burst_count ? left : burst_count };
	bool ok = left == 0 || burst_run(w->burst, &order, &result, e);
	if (left > 0)
		note_sent(w, t, &result);
	if (ok && !result.more)
		w->next_key += order.key_count;
	if (ok && w->next_key == rows_count(w->keys))
		drop_keys(w);
	if (ok && !*more) /* deferred signals are noted again */
		*more = !(ok = end_pass(t, e));
	return ok;
}

static void flush_target(struct worker *w, struct target *t, step *take_step)
{
	take_steps(w, t, take_step);
	burst_discard_prefetch(w->burst);
	lose_keys(w, t);
	struct task *task = task_of(w, t);
	task->is_put_off = task->is_put_off && may_go_on(w->flusher, t);
	if (!task->is_put_off)
		store_unlock(w->store, t->index);
}

/* Whether anything is deferred; *due is when to retry what is due first. */
static bool is_any_put_off(const struct worker *w, struct instant *due)
{
	bool is_any = false;
	*due = INSTANT_NEVER;
	for (size_t i = 0; i < w->flusher->plan->model_count; i++)
		if (w->tasks[i].is_put_off) {
			is_any = true;
			*due = instant_earlier(*due, w->tasks[i].due);
		}
	return is_any;
}

static void *work(void *arg)
{
	static step *const steps[] = { [FLUSH_BY_KEY] = noted_step,
		[FLUSH_MANY] = many_step,
		[FLUSH_ORDERED] = ordered_step };
	struct worker *w = arg;
	const struct flush_plan *plan = w->flusher->plan;
	struct instant due;
	retry_success(&w->retry, clock_now()); /* the time until now was spent waiting */
	for (size_t i = 0; i < plan->model_count; i++)
		retry_success(&w->tasks[i].retry, w->retry.since);
	for (size_t i = 0; i < plan->model_count; i++)
		flush_target(w, &w->flusher->targets[i], steps[plan->discipline]);
	while (is_any_put_off(w, &due)) {
		stop_wait(due);
		for (size_t i = 0; i < plan->model_count; i++)
			if (w->tasks[i].is_put_off)
				flush_target(w, &w->flusher->targets[i], steps[plan->discipline]);
	}
	return NULL;
}

/* The first worker works in this thread, the others in their own.  If there are too few threads,
 * the existing ones do all the work. */
static void work_all(struct flusher *f)
{
	unsigned count = 1;
	while (count < f->plan->jobs &&
		pthread_create(&f->workers[count].thread, NULL, work, &f->workers[count]) == 0)
		count++;
	if (count < f->plan->jobs)
		log_warning("only %u of %u workers got a thread", count, f->plan->jobs);
	work(&f->workers[0]);
	while (--count > 0)
		pthread_join(f->workers[count].thread, NULL);
}

/* Take the steps of each model in turn, with the first worker. */
static void each_model(struct flusher *f, step *take_step)
{
	for (size_t i = 0; i < f->plan->model_count; i++)
		take_steps(&f->workers[0], &f->targets[i], take_step);
}

/* Leave out what operators have paused. */
static void leave_out_paused(struct flusher *f)
{
	struct error e;
	struct worker *w = &f->workers[0];
	struct pause *pauses = memory_new(f->plan->config->model_count, sizeof *pauses);
	while (ensure_connected(w, &e) && !store_pauses(w->store, pauses, &e))
		if (!wait_to_retry(w, &e)) {
			log_warning(PAUSES_UNKNOWN, e.text);
			break;
		}
	for (size_t i = 0; i < f->plan->model_count; i++) {
		struct target *t = &f->targets[i];
		bool is_paused = pauses[t->index].is_paused;
		if (is_paused)
			atomic_store(&t->failed, true);
		if (is_paused && is_news(t, WARNED_OF_PAUSE))
			log_warning("model \"%s\" is left out: it is paused by %s; name it to "
				    "flush it, "
				    "or resume it with \"signalbus resume\"",
				f->plan->config->models[t->index].name, pauses[t->index].by);
		else if (!is_paused && t->warned == WARNED_OF_PAUSE)
			is_news(t, NOT_WARNED);
	}
	free(pauses);
}

static void run(struct flusher *f)
{
	const struct flush_plan *plan = f->plan;
	each_model(f, NULL); /* that the tables exist and match the configuration */
	if (f->error.kind == ERROR_CONFIG)
		return;
	if (!plan->are_named && plan->model_count > 0 && !atomic_load(&f->aborted))
		leave_out_paused(f);
	if (plan->show_progress)
		each_model(f, count_step);
	if (plan->discipline == FLUSH_BY_KEY) {
		each_model(f, note_step);
		if (!atomic_load(&f->aborted))
			stop_wait(instant_after(clock_now(), plan->wait));
	}
	work_all(f);
}

static void prepare_target(struct target *t)
{
	atomic_store(&t->failed, false);
	atomic_store(&t->done, false);
	deferral_release(t->deferral, clock_now(), false);
	deferral_end(t->deferral, clock_now());
	t->reason.kind = ERROR_NONE;
}

static void prepare_worker(struct worker *w)
{
	w->retry = retry_new(w->flusher->plan->config->timeout, clock_now());
	for (size_t i = 0; i < w->flusher->plan->model_count; i++)
		w->tasks[i] = (struct task){ .retry = w->retry };
	store_renew(w->store); /* tables may have changed since the last run */
	w->was_connected = store_connected(w->store);
	w->is_spare = false;
}

bool flusher_run(struct flusher *f, size_t *sent, struct error *e)
{
	f->error.kind = ERROR_NONE;
	atomic_store(&f->aborted, false);
	atomic_store(&f->is_unconfirmed, false);
	for (size_t i = 0; i < f->plan->model_count; i++)
		prepare_target(&f->targets[i]);
	f->connected = f->refused = 0;
	for (unsigned i = 0; i < f->plan->jobs; i++) {
		prepare_worker(&f->workers[i]);
		f->connected += f->workers[i].was_connected;
	}
	progress_init(&f->progress, f->plan->show_progress, f->plan->model_count);
	run(f);
	progress_end(&f->progress);
	*sent += f->progress.all.sent;
	*e = f->error;
	return e->kind == ERROR_NONE;
}
