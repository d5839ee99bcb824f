#include "daemon/metrics_internal.h"

#include <stdlib.h>
#include <string.h>

/* The kinds that errors are counted as.  A lock held by another process, or a request to stop, is
 * not an error. */
static const struct {
	bool counts;
	enum error_class class;
} kinds[ERROR_KINDS] = {
	[ERROR_CONFIG] = { true, CLASS_DATABASE },
	[ERROR_CONNECTION] = { true, CLASS_DATABASE },
	[ERROR_POOLED] = { true, CLASS_DATABASE },
	[ERROR_TEMPORARY] = { true, CLASS_DATABASE },
	[ERROR_MEMORY] = { true, CLASS_DATABASE },
	[ERROR_UNCONFIRMED] = { true, CLASS_DATABASE },
	[ERROR_CONFLICT] = { true, CLASS_SERIALIZATION },
	[ERROR_PLAN] = { true, CLASS_DATABASE },
	[ERROR_DATABASE] = { true, CLASS_DATABASE },
	[ERROR_BROKER] = { true, CLASS_BROKER },
	[ERROR_TOPIC] = { true, CLASS_BROKER },
	[ERROR_REJECTED] = { true, CLASS_REJECTED },
	[ERROR_LOCKED] = { true, CLASS_DATABASE },
	[ERROR_INSTANCE] = { true, CLASS_BROKER },
};

struct metrics *metrics_new(void)
{
	struct metrics *m = memory_new(1, sizeof *m);
	pthread_mutex_init(&m->shape, NULL);
	pthread_mutex_init(&m->lock, NULL);
	return m;
}

static void free_series(struct series *series, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(series[i].name);
		free(series[i].label);
	}
	free(series);
}

void metrics_free(struct metrics *m)
{
	if (m == NULL)
		return;
	free_series(m->series, m->count);
	pthread_mutex_destroy(&m->shape);
	pthread_mutex_destroy(&m->lock);
	free(m);
}

/* A model's series: that of the same name, or a new one. */
static struct series take_over(const struct metrics *m, const char *name, struct instant now)
{
	struct series s = { 0 };
	oldest_pending_begin(&s.lag, now);
	for (size_t i = 0; i < m->count; i++)
		if (strcmp(m->series[i].name, name) == 0)
			s = m->series[i];
	s.name = text_copy(name);
	s.label = metrics_label(name);
	return s;
}

void metrics_configure(struct metrics *m, const struct config *config, struct instant now)
{
	struct series *series = memory_new(config->model_count, sizeof *series);
	pthread_mutex_lock(&m->shape);
	for (size_t i = 0; i < config->model_count; i++) {
		const struct model_config *model = &config->models[i];
		series[i] = take_over(m, model->name, now);
		series[i].is_ordered = model->order_by.count > 0;
		series[i].is_off = !config_autoflushes(config, i);
		series[i].is_paused = false;
		series[i].stands_by = false;
		series[i].leader = 0;
		series[i].is_stopped = false;
		series[i].held_seconds = 0;
	}
	pthread_mutex_lock(&m->lock);
	free_series(m->series, m->count);
	m->series = series;
	m->count = config->model_count;
	m->poll_interval = config->poll_interval;
	m->has_all_buckets = config->metrics_buckets == METRICS_BUCKETS_ALL;
	m->is_exact = config->delivery == DELIVERY_EXACTLY_ONCE;
	pthread_mutex_unlock(&m->lock);
	pthread_mutex_unlock(&m->shape);
}

static void observe(struct histogram *h, double seconds)
{
	size_t bucket = 0;
	while (bucket < HISTOGRAM_BOUNDS && seconds > histogram_bounds[bucket])
		bucket++;
	h->counts[bucket]++;
	h->sum += seconds;
}

/* By another, or by nobody: metrics_seen() finds out which. */
static bool is_served_by_another(enum error_kind kind)
{
	return kind == ERROR_BUSY || kind == ERROR_LOCKED;
}

static void note_error(struct series *s, enum error_kind kind, struct instant now)
{
	bool stands_by = is_served_by_another(kind);
	if (stands_by && !s->stands_by)
		oldest_pending_begin(&s->lag, now);
	if (stands_by)
		s->leader = 0;
	if (!kinds[kind].counts)
		return;
	s->errors[kinds[kind].class]++;
	if (!stands_by)
		oldest_pending_failed(&s->lag, kind, now);
}

void metrics_served(struct metrics *m, size_t model, const struct burst_result *result,
	enum error_kind kind, struct instant now)
{
	struct series *s = &m->series[model];
	pthread_mutex_lock(&m->lock);
	s->sent += result->sent;
	s->dead_letters += result->dead_lettered;
	s->transactions[result->transaction]++;
	s->held_seconds = result->held_back ? result->held_seconds : 0;
	if (result->sent > 0) {
		observe(&s->burst, result->burst_seconds);
		observe(&s->acknowledgement, result->ack_seconds);
	}
	if (kind != ERROR_NONE)
		note_error(s, kind, now);
	else
		oldest_pending_served(
			&s->lag, !result->more && !result->held_back && !result->locked, now);
	s->stands_by = is_served_by_another(kind);
	pthread_mutex_unlock(&m->lock);
}

void metrics_leads(struct metrics *m, size_t model, unsigned worker)
{
	pthread_mutex_lock(&m->lock);
	m->series[model].leader = worker + 1;
	pthread_mutex_unlock(&m->lock);
}

void metrics_lost(struct metrics *m, unsigned worker)
{
	pthread_mutex_lock(&m->lock);
	for (size_t i = 0; i < m->count; i++)
		if (m->series[i].leader == worker + 1)
			m->series[i].leader = 0;
	pthread_mutex_unlock(&m->lock);
}

void metrics_unlocked(struct metrics *m, size_t model)
{
	pthread_mutex_lock(&m->lock);
	m->series[model].leader = 0;
	pthread_mutex_unlock(&m->lock);
}

void metrics_pause(struct metrics *m, size_t model, bool is_paused)
{
	pthread_mutex_lock(&m->lock);
	m->series[model].is_paused = is_paused;
	pthread_mutex_unlock(&m->lock);
}

void metrics_reloaded(struct metrics *m, bool ok, double time)
{
	pthread_mutex_lock(&m->lock);
	m->reloads.is_successful = ok;
	if (ok)
		m->reloads.success = time;
	pthread_mutex_unlock(&m->lock);
}

void metrics_stopped(struct metrics *m, size_t model, bool is_stopped)
{
	pthread_mutex_lock(&m->lock);
	m->series[model].is_stopped = is_stopped;
	pthread_mutex_unlock(&m->lock);
}

bool metrics_is_unserved(struct metrics *m, size_t model)
{
	pthread_mutex_lock(&m->lock);
	bool is_unserved = series_is_paused(&m->series[model]) || m->series[model].stands_by;
	pthread_mutex_unlock(&m->lock);
	return is_unserved;
}

void metrics_seen(struct metrics *m, size_t model, bool is_same, struct instant now)
{
	pthread_mutex_lock(&m->lock);
	oldest_pending_seen(&m->series[model].lag, is_same, now);
	pthread_mutex_unlock(&m->lock);
}

void metrics_table(struct metrics *m, size_t model, const struct table_statistics *statistics)
{
	pthread_mutex_lock(&m->lock);
	m->series[model].table = *statistics;
	pthread_mutex_unlock(&m->lock);
}

void metrics_vacuum_held(struct metrics *m, struct instant since)
{
	pthread_mutex_lock(&m->lock);
	m->vacuum_held_since = since;
	pthread_mutex_unlock(&m->lock);
}

void metrics_prepared(struct metrics *m, double seconds)
{
	pthread_mutex_lock(&m->lock);
	m->prepared_seconds = seconds;
	pthread_mutex_unlock(&m->lock);
}

void metrics_pending(struct metrics *m, size_t model, size_t count, struct instant now)
{
	pthread_mutex_lock(&m->lock);
	m->series[model].pending = count;
	if (count == 0)
		oldest_pending_counted_none(&m->series[model].lag, now);
	pthread_mutex_unlock(&m->lock);
}
