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
	broker->transactional = memory_new(broker->workers, sizeof(struct lane *));
	broker->ordered = memory_new(broker->workers, sizeof(struct lane *));
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
	free_lanes(broker->transactional, broker->workers);
	free_lanes(broker->ordered, broker->workers);
}

static struct lane *lane_at(struct broker *broker, struct lane **place)
{
	pthread_mutex_lock(&broker->lock);
	struct lane *lane = *place;
	pthread_mutex_unlock(&broker->lock);
	return lane;
}

/* The lane at place, created if there is none. */
static struct lane *have(
	struct broker *broker, struct lane **place, enum lane_kind kind, struct error *e)
{
	struct lane *lane = lane_at(broker, place);
	if (lane != NULL)
		return lane;
	pthread_mutex_lock(&broker->making);
	lane = lane_at(broker, place);
	if (lane == NULL)
		lane = lane_new(broker, broker->config, kind, e);
	pthread_mutex_lock(&broker->lock);
	*place = lane;
	pthread_mutex_unlock(&broker->lock);
	pthread_mutex_unlock(&broker->making);
	return lane;
}

struct lane *broker_first_lane(struct broker *broker, struct error *e)
{
	struct lane *lane = have(broker, &broker->lanes[0], LANE_USUAL, e);
	if (lane != NULL)
		atomic_store(&lane->fitness.is_proven, true); /* its first burst need not query */
	return lane;
}

/* Under the lock: of the lanes that have stored something and are not in doubt, the one with a
 * number; NULL: there are fewer. */
static struct lane *proven_lane(const struct broker *broker, unsigned number)
{
	for (unsigned i = 0; i < broker->workers; i++) {
		struct lane *lane = broker->lanes[i];
		if (lane != NULL && lane->fitness.has_stored &&
			atomic_load(&lane->fitness.is_proven) && number-- == 0)
			return lane;
	}
	return NULL;
}

/* A lane for a worker whose own one does not reach the broker; NULL: perhaps none does. */
static struct lane *substitute(struct broker *broker, unsigned worker)
{
	unsigned count = 0;
	pthread_mutex_lock(&broker->lock);
	if (broker->is_up || !broker->is_watched)
		while (proven_lane(broker, count) != NULL)
			count++;
	struct lane *lane = count > 0 ? proven_lane(broker, worker % count) : NULL;
	pthread_mutex_unlock(&broker->lock);
	return lane;
}

struct lane *broker_lane(struct broker *broker, unsigned worker)
{
	char why[512];
	struct error e;
	struct lane *own = have(broker, &broker->lanes[worker], LANE_USUAL, &e);
	if (atomic_load(&own->fitness.is_proven))
		return own;
	bool is_tried = broker_trial_is_due(broker, &own->fitness);
	if (is_tried && lane_answers(own, why, sizeof why)) {
		broker_note_fit(broker, &own->fitness);
		return own;
	}
	struct lane *other = substitute(broker, worker);
	if (other == NULL)
		return own;
	if (is_tried)
		broker_note_unfit(broker, &own->fitness, why);
	return other;
}

static struct lane *next_to_try(struct broker *broker)
{
	struct lane *found = NULL;
	struct instant now = clock_now();
	pthread_mutex_lock(&broker->lock);
	for (unsigned i = 0; found == NULL && i < broker->workers; i++) {
		struct lane *lane = broker->lanes[i];
		if (lane != NULL && lane->fitness.failures > 0 &&
			!instant_before(now, lane->fitness.next_trial))
			found = lane;
	}
	pthread_mutex_unlock(&broker->lock);
	return found;
}

void broker_try_lanes(struct broker *broker)
{
	char why[512];
	struct lane *lane = next_to_try(broker);
	for (; lane != NULL && lane_answers(lane, why, sizeof why); lane = next_to_try(broker))
		broker_note_fit(broker, &lane->fitness);
	if (lane != NULL)
		broker_note_unfit(broker, &lane->fitness, why);
}

struct lane *broker_lane_transactional(struct broker *broker, unsigned worker)
{
	struct error e; /* such a lane has no producer yet, so it can always be created */
	return have(broker, &broker->transactional[worker], LANE_TRANSACTIONAL, &e);
}

struct lane *broker_lane_alone(struct broker *broker, unsigned worker, struct error *e)
{
	return have(broker, &broker->alone[worker], LANE_ALONE, e);
}

struct lane *broker_lane_ordered(struct broker *broker, unsigned worker, struct error *e)
{
	return have(broker, &broker->ordered[worker], LANE_ORDERED, e);
}

static void poll_idle(struct broker *broker, struct lane **lanes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct lane *lane = lane_at(broker, &lanes[i]);
		if (lane != NULL)
			lane_poll_idle(lane);
	}
}

void broker_poll_idle_lanes(struct broker *broker)
{
	poll_idle(broker, broker->lanes, broker->workers);
	poll_idle(broker, broker->alone, broker->workers);
	poll_idle(broker, broker->ordered, broker->workers);
}
