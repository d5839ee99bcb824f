#include "standing.h"

#include "log.h"
#include "retry.h"
#include "text.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define STANDBY_S 1.0 /* between looks at an ordered lock that another process holds */

struct entry {
	struct position *position;
	struct retry retry;
	unsigned failures;
	char *failing;  /* what was logged when it stopped; NULL: it goes well */
	bool stands_by; /* another process holds its ordered lock, which has been logged */
};

struct standing {
	const struct config *config;
	pthread_mutex_t lock;
	struct entry *entries;
};

struct standing *standing_new(const struct config *config)
{
	struct standing *s = memory_new(1, sizeof *s);
	s->config = config;
	pthread_mutex_init(&s->lock, NULL);
	s->entries = memory_new(config->model_count, sizeof *s->entries);
	for (size_t i = 0; i < config->model_count; i++) {
		s->entries[i].position = position_new();
		s->entries[i].retry = retry_new(INFINITY, clock_now());
	}
	return s;
}

void standing_free(struct standing *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < s->config->model_count; i++) {
		position_free(s->entries[i].position);
		free(s->entries[i].failing);
	}
	free(s->entries);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

struct position *standing_position(const struct standing *s, size_t model)
{
	return s->entries[model].position;
}

void standing_success(struct standing *s, size_t model)
{
	struct entry *m = &s->entries[model];
	const char *name = s->config->models[model].name;
	pthread_mutex_lock(&s->lock);
	retry_success(&m->retry, clock_now());
	m->failures = 0;
	if (m->failing != NULL)
		log_info("model \"%s\": goes on", name);
	if (m->stands_by)
		log_info("model \"%s\": took over the ordered lock", name);
	free(m->failing);
	m->failing = NULL;
	m->stands_by = false;
	pthread_mutex_unlock(&s->lock);
}

/* Under the lock: say that a model has stopped, unless that was said already. */
static void log_failure(struct entry *m, const struct error *e)
{
	if (m->failing != NULL && strcmp(m->failing, e->text) == 0) {
		log_debug("%s", e->text);
		return;
	}
	log_error("Caught error while sending pending signals: %s", e->text);
	free(m->failing);
	m->failing = text_copy(e->text);
}

/* Under the lock: another process sends the model.  Returns when to look again. */
static double stand_by(const struct standing *s, size_t model, const struct error *e)
{
	struct entry *m = &s->entries[model];
	if (!m->stands_by)
		log_info("model \"%s\": stands by: %s", s->config->models[model].name, e->text);
	m->stands_by = true;
	return s->config->poll_interval < STANDBY_S ? s->config->poll_interval : STANDBY_S;
}

double standing_failure(struct standing *s, size_t model, const struct error *e, double dice)
{
	struct entry *m = &s->entries[model];
	double delay = 0;
	pthread_mutex_lock(&s->lock);
	bool expected = retry_again(&m->retry, e->kind, clock_now(), dice, &delay);
	if (e->kind == ERROR_BUSY) {
		delay = stand_by(s, model, e);
	} else if (!expected || e->kind == ERROR_TOPIC) {
		log_failure(m, e);
		delay = clock_backoff_delay(++m->failures, dice);
	} else {
		log_debug("%s", e->text);
	}
	pthread_mutex_unlock(&s->lock);
	return delay;
}
