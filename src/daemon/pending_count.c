#include "daemon/pending_count.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "relay/backlog.h"
#include "store/store.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define PENDING_BOUND 100000
#define UNKNOWN       SIZE_MAX /* a count of a table that cannot be read */
#define COUNT_S       1.0      /* for one table */
#define COUNT_ALL_S   5.0      /* for all of them */
#define LOCK_S        0.1      /* a locked table is counted another time */

struct pending_count {
	struct config config; /* like senders, but with shorter time-outs */
	struct health *health;
	struct metrics *metrics;
	struct model_status *status;
	struct store *store;
	size_t *counts;          /* of each model, at the last count */
	bool *are_slow;          /* backlogs that are sent one signal at a time, as was logged */
	struct sighting *rows;   /* of each model that nobody here serves: one that is pending */
	bool lacks_dead_letters; /* their table cannot be used, which was logged */
	struct vacuum_holder holder;
	struct instant holder_since;
	size_t next; /* the model to continue with */
};

struct pending_count *pending_count_new(const struct config *config, struct health *health,
	struct metrics *metrics, struct model_status *status)
{
	struct pending_count *c = memory_new(1, sizeof *c);
	c->config = *config;
	c->config.timeout = config->timeout < COUNT_S ? config->timeout : COUNT_S;
	c->health = health;
	c->metrics = metrics;
	c->status = status;
	c->store = store_new(&c->config);
	store_limit_locks(c->store, LOCK_S);
	store_keep_rejected(c->store);
	c->counts = memory_new(config->model_count, sizeof *c->counts);
	c->are_slow = memory_new(config->model_count, sizeof *c->are_slow);
	c->rows = memory_new(config->model_count, sizeof *c->rows);
	return c;
}

void pending_count_free(struct pending_count *c)
{
	if (c == NULL)
		return;
	store_free(c->store);
	free(c->counts);
	free(c->are_slow);
	free(c->rows);
	free(c);
}

/* The estimate for a model whose count ended at its limit. */
static size_t estimate(struct pending_count *c, const struct model *m, size_t counted)
{
	struct error ignored;
	size_t count;
	return store_estimate(c->store, m, &count, &ignored) && count > counted ? count : counted;
}

/* Nobody in this process knows whether the rows that were counted are still the same ones: find out
 * with one of them. */
static bool see_row(struct pending_count *c, const struct model *m, struct error *e)
{
	struct sighting *row = &c->rows[m->index];
	bool was_known = row->ctid[0] != '\0';
	bool ok = store_see(c->store, m, NULL, row, e);
	bool is_same = row->ctid[0] != '\0';
	if (ok && was_known && !is_same)
		ok = store_see(c->store, m, NULL, row, e);
	if (ok && row->ctid[0] != '\0')
		metrics_seen(c->metrics, m->index, is_same, clock_now());
	return ok;
}

/* Log when the dead letter table cannot be used, which rejected rows need, and when it can. */
static void note_dead_letters(struct pending_count *c, const struct model *m)
{
	bool lacks = m->dead_letter_problem != NULL;
	if (lacks)
		store_forget(c->store, m->index); /* so that it is examined again */
	if (m->settings->on_reject != ON_REJECT_DEAD_LETTER || lacks == c->lacks_dead_letters)
		return;
	c->lacks_dead_letters = lacks;
	if (lacks)
		log_warning("rejected signals stay in their tables: %s", m->dead_letter_problem);
	else
		log_warning("rejected signals move to table %s now", m->dead_letters);
}

/* What else operators of a table want to know. */
static void note_table(struct pending_count *c, const struct model *m)
{
	struct error e;
	struct table_statistics statistics;
	bool is_served = !metrics_is_unserved(c->metrics, m->index);
	note_dead_letters(c, m);
	if (is_served || c->counts[m->index] == 0)
		c->rows[m->index] = (struct sighting){ 0 };
	else if (!see_row(c, m, &e))
		log_debug("counting: %s", e.text);
	if (store_connected(c->store) && store_table_statistics(c->store, m, &statistics, &e))
		metrics_table(c->metrics, m->index, &statistics);
}

/* While it is the same one, it has been held back at least since it was first seen. */
static void note_vacuum(struct pending_count *c)
{
	struct error ignored;
	struct vacuum_holder holder;
	struct instant now = clock_now();
	if (!store_vacuum_holder(c->store, &holder, &ignored))
		return;
	if (strcmp(holder.xid, c->holder.xid) != 0)
		c->holder_since = now;
	c->holder = holder;
	c->holder_since = instant_earlier(c->holder_since, instant_after(now, -holder.seconds));
	metrics_vacuum_held(
		c->metrics, holder.xid[0] != '\0' ? c->holder_since : (struct instant){ 0 });
}

/* How long the oldest transaction of the instance has been prepared. */
static void note_prepared(struct pending_count *c)
{
	struct error ignored;
	struct rows *rows;
	double oldest = 0;
	if (c->config.delivery != DELIVERY_EXACTLY_ONCE ||
		!store_list_prepared(c->store, &rows, &ignored))
		return;
	for (size_t i = 0; i < rows_count(rows); i++)
		oldest = fmax(oldest, strtod(rows_value(rows, i, PREPARED_SECONDS), NULL));
	rows_free(rows);
	metrics_prepared(c->metrics, oldest);
}

/* One line for a model, if the daemon sends it. */
static void warn_of_backlog(struct pending_count *c, size_t model, size_t count)
{
	const struct model_config *m = &c->config.models[model];
	if (m->burst_count > 1 || count < BACKLOG_MANY || !m->autoflush || !c->config.autoflush ||
		c->are_slow[model])
		return;
	c->are_slow[model] = true;
	backlog_warn(m, count, 0);
}

static bool count_model(struct pending_count *c, size_t model)
{
	struct error e;
	size_t count;
	const struct model *m = store_model(c->store, model, &e);
	if (m != NULL && store_count_some(c->store, m, PENDING_BOUND, &count, &e)) {
		c->counts[model] = count;
		if (count > 0)
			status_counted(c->status, model);
		if (count == PENDING_BOUND)
			count = estimate(c, m, count);
		metrics_pending(c->metrics, model, count, clock_now());
		warn_of_backlog(c, model, count);
		note_table(c, m);
		return store_connected(c->store);
	}
	log_debug("counting: %s", e.text); /* a worker logs the problem */
	store_forget(c->store, model);
	c->counts[model] = UNKNOWN;
	return store_connected(c->store);
}

static bool count_models(struct pending_count *c)
{
	struct instant deadline = instant_after(clock_now(), COUNT_ALL_S);
	bool ok = true;
	for (size_t i = 0; i < c->config.model_count && ok && instant_before(clock_now(), deadline);
		i++) {
		ok = count_model(c, c->next);
		c->next = (c->next + 1) % c->config.model_count;
	}
	return ok;
}

bool pending_count_take(struct pending_count *c, size_t *pending, bool *more)
{
	struct error ignored;
	bool ok = health_is_up(c->health);
	*pending = 0;
	*more = false;
	if (ok && !store_connected(c->store))
		ok = store_connect(c->store, instant_after(clock_now(), CONNECT_S), &ignored);
	ok = ok && count_models(c);
	if (ok) {
		note_vacuum(c);
		note_prepared(c);
	}
	if (!health_is_complete(c->health))
		store_disconnect(c->store); /* a worker may need the connection */
	for (size_t i = 0; i < c->config.model_count; i++) {
		*more = *more || c->counts[i] >= PENDING_BOUND;
		*pending += c->counts[i] == UNKNOWN ? 0 : c->counts[i];
	}
	return ok;
}
