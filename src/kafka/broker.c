/*
 * The broker and its lanes, which are below it: they record in it (broker_state.c, broker_nodes.c)
 * and know nothing of each other.
 */
#include "kafka/broker.h"

#include "base/text.h"
#include "kafka/broker_internal.h"
#include "kafka/lane_internal.h"

#include <stdlib.h>

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
