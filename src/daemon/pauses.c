#include "daemon/pauses.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"

#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

/* A look costs some statements. */
#define LOOK_MIN_S 0.5
/* An error that lasts this long does not pass by itself, so models are sent without knowing. */
#define UNKNOWN_S 3.0

struct pauses {
	const struct config *config;
	struct run_queue *queue;
	struct model_status *status;
	struct metrics *metrics;
	pthread_mutex_t lock;
	struct pause *current; /* of each model, as last read */
	bool is_known;
	bool is_due;
	bool is_failing;        /* which was logged … */
	struct instant failing; /* … then */
	struct instant next;
	uint64_t begun, applied; /* looks, as sequence numbers */
};

struct pauses *pauses_new(const struct config *config, struct run_queue *queue,
	struct model_status *status, struct metrics *metrics)
{
	struct pauses *p = memory_new(1, sizeof *p);
	p->config = config;
	p->queue = queue;
	p->status = status;
	p->metrics = metrics;
	pthread_mutex_init(&p->lock, NULL);
	p->current = memory_new(config->model_count, sizeof *p->current);
	return p;
}

void pauses_free(struct pauses *p)
{
	if (p == NULL)
		return;
	pthread_mutex_destroy(&p->lock);
	free(p->current);
	free(p);
}

void pauses_announce(struct pauses *p)
{
	pthread_mutex_lock(&p->lock);
	p->is_due = true;
	pthread_mutex_unlock(&p->lock);
	queue_wake(p->queue);
}

/* The number of a look that is due; 0: none is.  Until something is known, all workers look. */
static uint64_t begin(struct pauses *p)
{
	struct instant now = clock_now();
	pthread_mutex_lock(&p->lock);
	bool is_due = !p->is_known || p->is_due || !instant_before(now, p->next);
	p->is_due = false;
	if (is_due)
		p->next = instant_after(now, fmax(p->config->poll_interval, LOOK_MIN_S));
	uint64_t number = is_due ? ++p->begun : 0;
	pthread_mutex_unlock(&p->lock);
	return number;
}

/* Under the lock. */
static void apply(struct pauses *p, const struct pause *found)
{
	for (size_t i = 0; i < p->config->model_count; i++) {
		bool is_paused = found[i].is_paused;
		if (is_paused == p->current[i].is_paused)
			continue;
		p->current[i] = found[i];
		queue_pause(p->queue, i, is_paused);
		status_pause(p->status, i, is_paused);
		metrics_pause(p->metrics, i, is_paused);
		log_warning(
			is_paused ? "model \"%s\": paused by %s" : "model \"%s\": resumed by %s",
			p->config->models[i].name,
			found[i].by[0] != '\0' ? found[i].by : "an unknown user");
	}
}

/* Under the lock.  After a failure, look again soon. */
static void note_result(struct pauses *p, bool ok, const struct error *e)
{
	struct instant now = clock_now();
	if (!ok && !p->is_failing) {
		log_warning(PAUSES_UNKNOWN, e->text);
		p->failing = now;
	} else if (ok && p->is_failing) {
		log_warning("it can be read again which models are paused");
	}
	p->is_failing = !ok;
	if (!ok)
		p->next = instant_earlier(p->next, instant_after(now, LOOK_MIN_S));
	if (ok || (e->kind != ERROR_TEMPORARY && instant_seconds(p->failing, now) >= UNKNOWN_S))
		p->is_known = true;
}

bool pauses_look(struct pauses *p, struct store *s)
{
	struct error e;
	uint64_t number = begin(p);
	if (number == 0)
		return true;
	struct pause *found = memory_new(p->config->model_count, sizeof *found);
	bool ok = store_pauses(s, found, &e);
	pthread_mutex_lock(&p->lock);
	if (ok || store_connected(s))
		note_result(p, ok, &e);
	else
		p->is_due = true; /* the worker logs that its session is lost */
	if (ok && number > p->applied) {
		p->applied = number;
		apply(p, found);
	}
	bool is_known = p->is_known;
	pthread_mutex_unlock(&p->lock);
	free(found);
	return is_known;
}
