#include "daemon/run_queue.h"

#include "base/text.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

#define NOBODY UINT32_MAX

/* Models that are polled together: at least this many, which are due within this part of the poll
 * interval, or a longer one if these are too few.  With 1,000 models this takes a tenth of the CPU
 * of 1,000 claims. */
#define TOGETHER_MIN 8
#define SOON         0.25
#define FACTOR_MAX   4 /* to the whole interval */

struct entry {
	struct instant look;  /* when its poll interval has passed */
	struct instant pause; /* it is not due earlier, for whatever reason */
	bool off;
	bool is_paused;
	bool ordered;
	bool announced;
	bool more;
	bool quiet;
	bool failing;    /* it was to be left alone for a while: one worker is enough to try it */
	unsigned active; /* workers that serve it now */
	unsigned holder; /* the worker that holds its ordered lock, or NOBODY */
	uint64_t served; /* when it was last served, as a sequence number */
};

struct run_queue {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct entry *entries;
	size_t count;
	unsigned workers;
	double poll_interval;
	uint64_t served;
	bool is_woken;
	bool closed;
};

struct run_queue *queue_new(size_t count, unsigned workers, double poll_interval)
{
	struct run_queue *q = memory_new(1, sizeof *q);
	clock_condition_init(&q->changed);
	pthread_mutex_init(&q->lock, NULL);
	q->entries = memory_new(count, sizeof *q->entries);
	for (size_t i = 0; i < count; i++)
		q->entries[i].holder = NOBODY;
	q->count = count;
	q->workers = workers;
	q->poll_interval = poll_interval;
	return q;
}

void queue_free(struct run_queue *q)
{
	if (q == NULL)
		return;
	pthread_mutex_destroy(&q->lock);
	pthread_cond_destroy(&q->changed);
	free(q->entries);
	free(q);
}

void queue_set_ordered(struct run_queue *q, size_t model)
{
	q->entries[model].ordered = true;
}

void queue_set_off(struct run_queue *q, size_t model)
{
	q->entries[model].off = true;
}

void queue_pause(struct run_queue *q, size_t model, bool is_paused)
{
	struct entry *m = &q->entries[model];
	pthread_mutex_lock(&q->lock);
	m->is_paused = is_paused;
	m->look = m->pause = (struct instant){ 0 };
	pthread_cond_broadcast(&q->changed);
	pthread_mutex_unlock(&q->lock);
}

bool queue_is_paused(struct run_queue *q, size_t model)
{
	pthread_mutex_lock(&q->lock);
	bool is_paused = q->entries[model].is_paused;
	pthread_mutex_unlock(&q->lock);
	return is_paused;
}

void queue_wake(struct run_queue *q)
{
	pthread_mutex_lock(&q->lock);
	q->is_woken = true;
	pthread_cond_broadcast(&q->changed);
	pthread_mutex_unlock(&q->lock);
}

void queue_announce(struct run_queue *q, size_t model)
{
	pthread_mutex_lock(&q->lock);
	q->entries[model].announced = true;
	pthread_cond_broadcast(&q->changed);
	pthread_mutex_unlock(&q->lock);
}

void queue_announce_all(struct run_queue *q)
{
	for (size_t i = 0; i < q->count; i++)
		queue_announce(q, i);
}

/* Whether worker may serve the model now, if it were due. */
static bool is_free(const struct run_queue *q, const struct entry *m, unsigned worker)
{
	if (m->off)
		return false;
	if (m->is_paused)
		return m->active == 0 && m->holder == worker;
	if (m->ordered)
		return m->active == 0 && (m->holder == NOBODY || m->holder == worker);
	return m->active == 0 ||
	       (!m->failing && (m->more || m->announced) && m->active < q->workers);
}

/* When the model is due: at once if rows are known to be there. */
static struct instant time_of(const struct entry *m)
{
	if (m->announced || m->more)
		return m->pause;
	return instant_before(m->look, m->pause) ? m->pause : m->look;
}

/* The due model that was served least recently, or NULL; *next is when one becomes due by
 * itself. */
static struct entry *choose(
	struct run_queue *q, unsigned worker, struct instant now, struct instant *next)
{
	struct entry *best = NULL;
	for (size_t i = 0; i < q->count; i++) {
		struct entry *m = &q->entries[i];
		if (!is_free(q, m, worker))
			continue;
		struct instant t = time_of(m);
		if (instant_before(now, t))
			*next = instant_earlier(*next, t);
		else if (best == NULL || m->served < best->served)
			best = m;
	}
	return best;
}

static enum queue_reason take(struct run_queue *q, struct entry *m, struct instant now)
{
	m->active++;
	if (m->is_paused)
		return QUEUE_UNLOCK;
	enum queue_reason reason = m->more        ? QUEUE_MORE
				   : m->announced ? QUEUE_ANNOUNCED
						  : QUEUE_TIME;
	/* Even a table that is never found empty is scanned as a whole now and then. */
	if (!instant_before(now, m->look))
		reason = QUEUE_TIME;
	if (reason == QUEUE_TIME)
		m->look = instant_after(now, q->poll_interval);
	m->announced = false; /* later notifications cause another visit */
	m->served = ++q->served;
	return reason;
}

bool queue_take(struct run_queue *q, unsigned worker, struct instant deadline, size_t *model,
	enum queue_reason *reason)
{
	struct entry *m = NULL;
	pthread_mutex_lock(&q->lock);
	while (!q->closed && !q->is_woken) {
		struct instant now = clock_now(), next = deadline;
		m = choose(q, worker, now, &next);
		if (m != NULL || !instant_before(now, deadline))
			break;
		struct timespec until = instant_timespec(next);
		pthread_cond_timedwait(&q->changed, &q->lock, &until);
	}
	q->is_woken = false;
	if (m != NULL) {
		*model = (size_t)(m - q->entries);
		*reason = take(q, m, clock_now());
	}
	pthread_mutex_unlock(&q->lock);
	return m != NULL;
}

/* Whether a model is quiet, and due for the worker at a time because of nothing else. */
static bool is_quiet(
	const struct run_queue *q, const struct entry *m, unsigned worker, struct instant then)
{
	return m->quiet && !m->announced && !m->more && m->active == 0 && is_free(q, m, worker) &&
	       (!m->ordered || m->holder == worker) && !instant_before(then, time_of(m));
}

/* Add quiet models that are due until then to the first one.  Returns how many there are. */
static size_t gather(
	const struct run_queue *q, unsigned worker, struct instant then, size_t *models)
{
	size_t count = 1;
	for (size_t i = 0; i < q->count && count < QUEUE_TOGETHER; i++)
		if (is_quiet(q, &q->entries[i], worker, then))
			models[count++] = i;
	return count;
}

size_t queue_take_quiet(struct run_queue *q, unsigned worker, size_t model, size_t *models)
{
	size_t count = 0;
	struct instant now = clock_now();
	models[0] = model;
	pthread_mutex_lock(&q->lock);
	/* Models whose times are spread over the interval come together: from then on, they are due
	 * at the same time. */
	for (int factor = 1;
		q->entries[model].quiet && count < TOGETHER_MIN && factor <= FACTOR_MAX;
		factor *= 2)
		count = gather(
			q, worker, instant_after(now, factor * SOON * q->poll_interval), models);
	if (count < TOGETHER_MIN)
		count = 0;
	for (size_t i = 1; i < count; i++) {
		struct entry *m = &q->entries[models[i]];
		m->active++;
		m->look = instant_after(now, q->poll_interval);
		m->served = ++q->served;
	}
	pthread_mutex_unlock(&q->lock);
	return count;
}

void queue_done(struct run_queue *q, size_t model, enum queue_outcome outcome, double delay)
{
	struct entry *m = &q->entries[model];
	pthread_mutex_lock(&q->lock);
	m->active--;
	m->more = outcome == QUEUE_FULL;
	m->quiet = outcome == QUEUE_QUIET;
	m->failing = outcome == QUEUE_LATER && delay > 0;
	if (outcome == QUEUE_LATER) {
		m->pause = instant_after(clock_now(), delay);
		m->look = m->pause; /* then the whole table */
	} else if (outcome == QUEUE_EMPTIED && delay > 0) {
		m->look = instant_earlier(m->look, instant_after(clock_now(), delay));
	}
	pthread_cond_broadcast(&q->changed);
	pthread_mutex_unlock(&q->lock);
}

void queue_keep(struct run_queue *q, unsigned worker, size_t model)
{
	pthread_mutex_lock(&q->lock);
	q->entries[model].holder = worker;
	pthread_mutex_unlock(&q->lock);
}

void queue_unlocked(struct run_queue *q, size_t model)
{
	struct entry *m = &q->entries[model];
	pthread_mutex_lock(&q->lock);
	m->active--;
	m->holder = NOBODY;
	pthread_cond_broadcast(&q->changed);
	pthread_mutex_unlock(&q->lock);
}

void queue_lost(struct run_queue *q, unsigned worker)
{
	pthread_mutex_lock(&q->lock);
	for (size_t i = 0; i < q->count; i++)
		if (q->entries[i].holder == worker)
			q->entries[i].holder = NOBODY;
	pthread_cond_broadcast(&q->changed);
	pthread_mutex_unlock(&q->lock);
}

void queue_close(struct run_queue *q)
{
	pthread_mutex_lock(&q->lock);
	q->closed = true;
	pthread_cond_broadcast(&q->changed);
	pthread_mutex_unlock(&q->lock);
}

bool queue_wait_closed(struct run_queue *q, struct instant deadline)
{
	struct timespec until = instant_timespec(deadline);
	pthread_mutex_lock(&q->lock);
	while (!q->closed && instant_before(clock_now(), deadline))
		pthread_cond_timedwait(&q->changed, &q->lock, &until);
	bool closed = q->closed;
	pthread_mutex_unlock(&q->lock);
	return closed;
}
