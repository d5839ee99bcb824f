#include "daemon/model_status.h"

#include "base/log.h"
#include "base/outage.h"
#include "base/retry.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STANDBY_S  1.0 /* between checks of an ordered lock that another process holds */
#define LISTED_MAX 10  /* names of models in a line */
#define TOLD_MAX   4   /* maximum number of logged reasons of one failure */

struct entry {
	struct position *position;
	struct deferral *deferral;
	struct retry retry;
	unsigned active;   /* workers that serve it now */
	unsigned failures; /* consecutive attempts that failed, other than by standing by */
	unsigned lasting;  /* of these, those that are not temporary */
	struct instant since;
	enum error_kind kind;
	char *told[TOLD_MAX]; /* the reasons that were logged since then */
	size_t told_count;
	struct hold hold;
	bool stands_by; /* another process holds its ordered lock, which was logged */
	bool is_paused; /* by an operator */
};

struct model_status {
	const struct config *config;
	pthread_mutex_t lock;
	struct entry *entries;
};

static void tell_put_off(void *arg, const struct error *e, enum deferral_news news)
{
	const struct model_config *m = arg;
	if (news == DEFERRAL_NEW)
		log_error("Caught error while sending pending signals: %s", e->text);
	else
		log_debug("%s", e->text);
	if (news == DEFERRAL_MANY)
		log_warning(DEFERRAL_MANY_FORMAT, m->name, m->table);
}

struct model_status *status_new(const struct config *config)
{
	struct model_status *s = memory_new(1, sizeof *s);
	s->config = config;
	pthread_mutex_init(&s->lock, NULL);
	s->entries = memory_new(config->model_count, sizeof *s->entries);
	for (size_t i = 0; i < config->model_count; i++) {
		s->entries[i].position = position_new();
		s->entries[i].deferral = deferral_new(tell_put_off, &config->models[i]);
		s->entries[i].retry = retry_new(INFINITY, clock_now());
	}
	return s;
}

static void forget_told(struct entry *m)
{
	while (m->told_count > 0)
		free(m->told[--m->told_count]);
}

void status_free(struct model_status *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < s->config->model_count; i++) {
		position_free(s->entries[i].position);
		deferral_free(s->entries[i].deferral);
		forget_told(&s->entries[i]);
	}
	free(s->entries);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

struct position *status_position(const struct model_status *s, size_t model)
{
	return s->entries[model].position;
}

struct deferral *status_deferral(const struct model_status *s, size_t model)
{
	return s->entries[model].deferral;
}

void status_begin(struct model_status *s, size_t model)
{
	pthread_mutex_lock(&s->lock);
	s->entries[model].active++;
	pthread_mutex_unlock(&s->lock);
}

void status_leave(struct model_status *s, size_t model)
{
	pthread_mutex_lock(&s->lock);
	s->entries[model].active--;
	pthread_mutex_unlock(&s->lock);
}

/* Under the lock: all problems of a model are over. */
static void end_failure(struct entry *m, const char *name, struct instant now)
{
	retry_success(&m->retry, now);
	if (m->told_count > 0)
		log_warning(
			"model \"%s\": resumed after %.0f s", name, instant_seconds(m->since, now));
	if (m->stands_by)
		log_info("model \"%s\": took over the ordered lock", name);
	forget_told(m);
	m->failures = m->lasting = 0;
	m->stands_by = false;
}

void status_emptied(struct model_status *s, size_t model)
{
	struct entry *m = &s->entries[model];
	struct instant now = clock_now();
	pthread_mutex_lock(&s->lock);
	/* Other workers that are serving it may have the rows locked. */
	double seconds = m->active == 1 ? deferral_end(m->deferral, now) : -1;
	if (seconds >= 0) {
		if (m->told_count > 0) /* one line for both */
			seconds = fmax(seconds, instant_seconds(m->since, now));
		forget_told(m);
		log_warning("model \"%s\": resumed after %.0f s", s->config->models[model].name,
			seconds);
	}
	pthread_mutex_unlock(&s->lock);
}

/* Whether rows of it are deferred, or were until a moment ago. */
static bool is_failing_in_part(const struct entry *m)
{
	struct instant since;
	enum error_kind kind;
	return deferral_is_failing(m->deferral, &since, &kind);
}

void status_success(struct model_status *s, size_t model, bool has_sent)
{
	struct entry *m = &s->entries[model];
	pthread_mutex_lock(&s->lock);
	m->active--;
	/* Only a commit shows that commits are confirmed again. */
	bool awaits_commit = m->failures > 0 && m->kind == ERROR_UNCONFIRMED;
	if (has_sent || (m->active == 0 && !awaits_commit && !is_failing_in_part(m)))
		end_failure(m, s->config->models[model].name, clock_now());
	pthread_mutex_unlock(&s->lock);
}

/* The part of text after the model, if it begins with the model. */
static const char *without_name(const char *text, const char *name)
{
	char start[300];
	int length = snprintf(start, sizeof start, "model \"%s\": ", name);
	return strncmp(text, start, (size_t)length) == 0 ? text + length : text;
}

/* Under the lock: log a reason, unless it was logged.  A recurring reason is not logged each
 * time. */
static void tell(struct entry *m, const char *name, const struct error *e)
{
	bool is_new = m->told_count < TOLD_MAX;
	for (size_t i = 0; i < m->told_count; i++)
		is_new = is_new && !outage_same(m->told[i], e->text);
	if (!is_new) {
		log_debug("%s", e->text);
		return;
	}
	log_error("Caught error while sending pending signals: model \"%s\": %s", name,
		without_name(e->text, name));
	m->told[m->told_count++] = text_copy(e->text);
}

/* Under the lock: another process sends the model.  Returns when to check again. */
static double stand_by(const struct model_status *s, size_t model, const struct error *e)
{
	struct entry *m = &s->entries[model];
	const char *name = s->config->models[model].name;
	if (!m->stands_by)
		log_info("model \"%s\": stands by: %s", name, without_name(e->text, name));
	m->stands_by = true;
	return s->config->poll_interval < STANDBY_S ? s->config->poll_interval : STANDBY_S;
}

/* Under the lock: the model has failed.  Returns when to try again. */
static double note_failure(const struct model_status *s, size_t model, const struct error *e,
	struct instant start, double jitter)
{
	struct entry *m = &s->entries[model];
	double delay = 0;
	struct instant now = clock_now();
	bool may_pass =
		retry_again(&m->retry, e->kind, now, jitter, &delay) && e->kind != ERROR_TOPIC;
	if (m->failures++ == 0)
		m->since = start;
	m->kind = e->kind;
	if (!m->hold.is_told)
		m->hold = (struct hold){ 0 }; /* the rows stay for this reason */
	if (!may_pass)
		delay = clock_backoff_delay(++m->lasting, jitter);
	if (!may_pass || instant_seconds(m->since, now) >= s->config->timeout)
		tell(m, s->config->models[model].name, e);
	else
		log_debug("%s", e->text);
	return delay;
}

double status_failure(struct model_status *s, size_t model, const struct error *e,
	struct instant start, double jitter)
{
	struct entry *m = &s->entries[model];
	pthread_mutex_lock(&s->lock);
	m->active--;
	double delay = e->kind == ERROR_BUSY ? stand_by(s, model, e)
					     : note_failure(s, model, e, start, jitter);
	pthread_mutex_unlock(&s->lock);
	return delay;
}

void status_pause(struct model_status *s, size_t model, bool is_paused)
{
	pthread_mutex_lock(&s->lock);
	s->entries[model].is_paused = is_paused;
	pthread_mutex_unlock(&s->lock);
}

bool status_is_stopped(struct model_status *s, size_t model)
{
	pthread_mutex_lock(&s->lock);
	const struct entry *m = &s->entries[model];
	bool is_stopped = m->failures > 0 || m->hold.is_told || is_failing_in_part(m);
	pthread_mutex_unlock(&s->lock);
	return is_stopped;
}

void status_counted(struct model_status *s, size_t model)
{
	pthread_mutex_lock(&s->lock);
	hold_suspect(&s->entries[model].hold);
	pthread_mutex_unlock(&s->lock);
}

/* While other workers of this process serve it, the rows may be theirs. */
bool status_looks(struct model_status *s, size_t model, bool swept, struct sighting *row)
{
	struct entry *m = &s->entries[model];
	pthread_mutex_lock(&s->lock);
	bool is_due = m->active == 1 && hold_is_due(&m->hold, swept, clock_now());
	*row = m->hold.row;
	pthread_mutex_unlock(&s->lock);
	return is_due;
}

bool status_saw(struct model_status *s, size_t model, bool swept, const struct sighting *row)
{
	struct entry *m = &s->entries[model];
	struct instant now = clock_now();
	pthread_mutex_lock(&s->lock);
	enum hold_news news = hold_saw(
		&m->hold, row->ctid[0] != '\0' ? row : NULL, swept, s->config->timeout, now);
	if (news == HOLD_ENDS)
		log_warning("model \"%s\": resumed after %.0f s", s->config->models[model].name,
			instant_seconds(m->hold.since, now));
	pthread_mutex_unlock(&s->lock);
	return news == HOLD_BEGINS;
}

void status_tell_held(struct model_status *s, size_t model, const char *table, const char *who)
{
	pthread_mutex_lock(&s->lock);
	log_error("Caught error while sending pending signals: model \"%s\": table %s: signals "
		  "have been locked for %.0f s by %s",
		s->config->models[model].name, table,
		instant_seconds(s->entries[model].hold.since, clock_now()), who);
	pthread_mutex_unlock(&s->lock);
}

bool status_sees_rows(struct model_status *s, size_t model)
{
	pthread_mutex_lock(&s->lock);
	bool sees = s->entries[model].hold.has_row;
	pthread_mutex_unlock(&s->lock);
	return sees;
}

bool status_watches(struct model_status *s, size_t model)
{
	pthread_mutex_lock(&s->lock);
	bool watches = hold_watches(&s->entries[model].hold);
	pthread_mutex_unlock(&s->lock);
	return watches;
}

/* Under the lock: whether rows are deferred, or others have some locked, and this was logged. */
static bool is_wrong_in_part(const struct entry *m, struct instant *since, const char **kind)
{
	struct instant failing;
	enum error_kind failed_for;
	if (deferral_is_failing(m->deferral, &failing, &failed_for)) {
		*since = failing;
		*kind = error_kind_name(failed_for);
		return true;
	}
	*since = m->hold.since;
	*kind = "locked";
	return m->hold.is_told;
}

/* A list of models that may be long. */
struct list {
	struct text *text;
	const char *title;
	size_t count;
};

/* Add a name.  Returns whether it is shown. */
static bool list_add(struct list *l, const char *name)
{
	if (l->count++ == 0)
		text_addf(l->text, "; %s: %s", l->title, name);
	else if (l->count <= LISTED_MAX)
		text_addf(l->text, ", %s", name);
	return l->count <= LISTED_MAX;
}

static void list_end(const struct list *l)
{
	if (l->count > LISTED_MAX)
		text_addf(l->text, " and %zu more", l->count - LISTED_MAX);
}

void status_describe(struct model_status *s, struct instant now, struct text *t)
{
	struct list stopped = { t, "stopped", 0 }, paused = { t, "paused", 0 };
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < s->config->model_count; i++) {
		const struct entry *m = &s->entries[i];
		struct instant since = m->since;
		const char *kind = error_kind_name(m->kind);
		if (m->told_count == 0 && !is_wrong_in_part(m, &since, &kind))
			continue;
		if (list_add(&stopped, s->config->models[i].name))
			text_addf(t, " (%s, %.0f s)", kind, instant_seconds(since, now));
	}
	list_end(&stopped);
	for (size_t i = 0; i < s->config->model_count; i++)
		if (s->entries[i].is_paused || !config_autoflushes(s->config, i))
			list_add(&paused, s->config->models[i].name);
	pthread_mutex_unlock(&s->lock);
	list_end(&paused);
}
