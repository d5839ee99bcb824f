#include "kafka/broker.h"

#include "base/text.h"
#include "kafka/broker_internal.h"
#include "kafka/lane_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The lane at place, created if there is none. */
static struct lane *have(
	struct broker *broker, struct lane **place, enum lane_kind kind, struct error *e)
{
	pthread_mutex_lock(&broker->lock);
	if (*place == NULL)
		*place = lane_new(broker, broker->config, kind, e);
	struct lane *lane = *place;
	pthread_mutex_unlock(&broker->lock);
	return lane;
}

struct broker *broker_new(const struct config *config, unsigned workers, struct error *e)
{
	struct broker *broker = memory_new(1, sizeof *broker);
	broker->config = config;
	broker->workers = workers;
	broker->lanes = memory_new(workers, sizeof(struct lane *));
	broker->alone = memory_new(workers, sizeof(struct lane *));
	broker->ordered = memory_new(config->model_count, sizeof(struct lane *));
	pthread_mutex_init(&broker->lock, NULL);
	clock_condition_init(&broker->up);
	clock_condition_init(&broker->doubtful);
	if (have(broker, &broker->lanes[0], LANE_USUAL, e) != NULL)
		return broker;
	broker_free(broker);
	return NULL;
}

static void free_lanes(struct lane **lanes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		lane_free(lanes[i]);
	free(lanes);
}

void broker_free(struct broker *broker)
{
	if (broker == NULL)
		return;
	broker_end_watch(broker);
	free_lanes(broker->lanes, broker->workers);
	free_lanes(broker->alone, broker->workers);
	free_lanes(broker->ordered, broker->config->model_count);
	free(broker->nodes);
	pthread_mutex_destroy(&broker->lock);
	pthread_cond_destroy(&broker->up);
	pthread_cond_destroy(&broker->doubtful);
	free(broker);
}

struct lane *broker_lane(struct broker *broker, unsigned worker)
{
	struct error e;
	struct lane *lane = have(broker, &broker->lanes[worker], LANE_USUAL, &e);
	return lane != NULL ? lane : broker->lanes[0];
}

struct lane *broker_lane_alone(struct broker *broker, unsigned worker, struct error *e)
{
	return have(broker, &broker->alone[worker], LANE_ALONE, e);
}

struct lane *broker_lane_ordered(struct broker *broker, size_t model, struct error *e)
{
	return have(broker, &broker->ordered[model], LANE_ORDERED, e);
}

static void poll_idle(struct broker *broker, struct lane **lanes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		pthread_mutex_lock(&broker->lock);
		struct lane *lane = lanes[i];
		pthread_mutex_unlock(&broker->lock);
		if (lane != NULL)
			lane_poll_idle(lane);
	}
}

void broker_poll_idle_lanes(struct broker *broker)
{
	poll_idle(broker, broker->lanes, broker->workers);
	poll_idle(broker, broker->alone, broker->workers);
	poll_idle(broker, broker->ordered, broker->config->model_count);
}

void broker_note_begin(struct broker *broker)
{
	pthread_mutex_lock(&broker->lock);
	if (broker->open_bursts++ == 0 && !broker->has_failed)
		broker->silent_since = clock_now();
	pthread_mutex_unlock(&broker->lock);
}

void broker_note_end(struct broker *broker, const char *late)
{
	pthread_mutex_lock(&broker->lock);
	broker->open_bursts--;
	broker->last_burst_end = clock_now();
	if (late == NULL) {
		broker->unanswered[0] = '\0';
	} else {
		broker->has_failed = true;
		snprintf(broker->lateness, sizeof broker->lateness, "%s", late);
	}
	pthread_mutex_unlock(&broker->lock);
	if (late != NULL)
		broker_doubt(broker);
}

bool broker_note_fatal(struct broker *broker, const char *text)
{
	pthread_mutex_lock(&broker->lock);
	bool is_news = strcmp(broker->fatal, text) != 0;
	snprintf(broker->fatal, sizeof broker->fatal, "%s", text);
	pthread_mutex_unlock(&broker->lock);
	return is_news;
}

void broker_forget_fatal(struct broker *broker)
{
	broker_note_fatal(broker, "");
}

void broker_note_answer(struct broker *broker, const char *why)
{
	struct instant last = { 0 };
	pthread_mutex_lock(&broker->lock);
	for (size_t i = 0; why[0] != '\0' && i < broker->node_count; i++)
		if (instant_before(last, broker->nodes[i].at)) {
			last = broker->nodes[i].at;
			why = broker->nodes[i].text;
		}
	snprintf(broker->unanswered, sizeof broker->unanswered, "%s", why);
	pthread_mutex_unlock(&broker->lock);
}

void broker_why_unanswered(struct broker *broker, char *text, size_t size)
{
	pthread_mutex_lock(&broker->lock);
	snprintf(text, size, "%s", broker->unanswered);
	pthread_mutex_unlock(&broker->lock);
}

bool broker_is_answered(struct broker *broker)
{
	char text[sizeof broker->unanswered];
	broker_why_unanswered(broker, text, sizeof text);
	return text[0] == '\0';
}

bool broker_is_up(struct broker *broker)
{
	return broker_await_up(broker, clock_now());
}

bool broker_await_up(struct broker *broker, struct instant deadline)
{
	struct timespec until = instant_timespec(deadline);
	pthread_mutex_lock(&broker->lock);
	while (!broker->is_up && instant_before(clock_now(), deadline))
		pthread_cond_timedwait(&broker->up, &broker->lock, &until);
	bool is_up = broker->is_up;
	pthread_mutex_unlock(&broker->lock);
	return is_up;
}

void broker_view(struct broker *broker, char *reason, size_t size)
{
	pthread_mutex_lock(&broker->lock);
	if (broker->is_up && broker->is_storing_nothing)
		snprintf(reason, size, "kafka: the broker answers, but stores nothing: %s",
			broker->lateness);
	else if (broker->is_up)
		reason[0] = '\0';
	else if (broker->silence[0] == '\0')
		snprintf(reason, size, "kafka: the broker has not answered yet");
	else
		snprintf(reason, size, "kafka: the broker does not answer: %s", broker->silence);
	pthread_mutex_unlock(&broker->lock);
}
