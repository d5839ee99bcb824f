/*
 * In order, a producer's first message to a topic is sent alone: from an unknown producer, a broker
 * stores the second batch even if it has rejected the first (ProducerAppendInfo in Kafka accepts
 * any first sequence number).
 */
#include "base/text.h"
#include "kafka/lane_internal.h"

#include <stdlib.h>
#include <string.h>

/* Under the lock. */
static struct topic_start *start_of(struct bus *bus, const char *topic)
{
	for (size_t i = 0; i < bus->start_count; i++)
		if (strcmp(bus->starts[i].topic, topic) == 0)
			return &bus->starts[i];
	return NULL;
}

void bus_start_stored(struct bus *bus, const char *topic)
{
	struct topic_start *start = bus->in_order ? start_of(bus, topic) : NULL;
	if (start != NULL)
		start->is_stored = true;
}

bool bus_is_first(struct bus *bus, const char *topic)
{
	const struct topic_start *start = bus->in_order ? start_of(bus, topic) : NULL;
	return start != NULL && !start->is_stored;
}

void bus_forget_starts(struct bus *bus)
{
	for (size_t i = 0; i < bus->start_count; i++)
		free(bus->starts[i].topic);
	bus->start_count = 0;
}

/* Under the lock: whether the first message to a topic is still in flight.  If there was none, the
 * caller's is the first. */
static bool is_on_the_way(struct bus *bus, const char *topic, bool *is_first)
{
	const struct topic_start *start = start_of(bus, topic);
	if (start != NULL)
		return !start->is_stored;
	bus->starts = memory_resize(bus->starts, bus->start_count + 1, sizeof *bus->starts);
	bus->starts[bus->start_count++] = (struct topic_start){ text_copy(topic), false };
	*is_first = true;
	return false;
}

bool bus_await_first(struct bus *bus, const char *topic, struct instant deadline)
{
	struct timespec until = instant_timespec(deadline);
	bool is_first = false;
	if (!bus->in_order)
		return false;
	pthread_mutex_lock(&bus->lock);
	bus->waiting_senders++;
	while (!atomic_load(&bus->is_broken) && instant_before(clock_now(), deadline) &&
		is_on_the_way(bus, topic, &is_first)) {
		bus_wake(bus); /* it is waited for */
		pthread_cond_timedwait(&bus->changed, &bus->lock, &until);
	}
	bus->waiting_senders--;
	pthread_mutex_unlock(&bus->lock);
	return is_first;
}

void bus_forget_start(struct bus *bus, const char *topic)
{
	pthread_mutex_lock(&bus->lock);
	struct topic_start *start = start_of(bus, topic);
	if (start != NULL && !start->is_stored) {
		free(start->topic);
		*start = bus->starts[--bus->start_count];
	}
	pthread_mutex_unlock(&bus->lock);
}
