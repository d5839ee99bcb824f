/*
 * The lanes of the broker, each created on first use.
 */
#include "base/text.h"
#include "kafka/broker_internal.h"
#include "kafka/lane_internal.h"

#include <stdlib.h>

void broker_make_lanes(struct broker *broker)
{
	broker->lanes = memory_new(broker->workers, sizeof(struct lane *));
	broker->alone = memory_new(broker->workers, sizeof(struct lane *));
	broker->ordered = memory_new(broker->config->model_count, sizeof(struct lane *));
}

static void free_lanes(struct lane **lanes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		lane_free(lanes[i]);
	free(lanes);
}

void broker_free_lanes(struct broker *broker)
{
	free_lanes(broker->lanes, broker->workers);
	free_lanes(broker->alone, broker->workers);
	free_lanes(broker->ordered, broker->config->model_count);
}

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

struct lane *broker_first_lane(struct broker *broker, struct error *e)
{
	return have(broker, &broker->lanes[0], LANE_USUAL, e);
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
