/*
 * In order, a producer's first message to a topic is sent alone: from an unknown producer, a broker
 * stores the second batch even if it has rejected the first (ProducerAppendInfo in Kafka accepts
 * any first sequence number).
 */
#include "base/text.h"
#include "kafka/lane_internal.h"

#include <stdlib.h>
#include <string.h>

static struct topic_start *start_of(struct lane *lane, const char *topic)
{
	for (size_t i = 0; i < lane->start_count; i++)
		if (strcmp(lane->starts[i].topic, topic) == 0)
			return &lane->starts[i];
	return NULL;
}

void lane_start_stored(struct lane *lane, const char *topic)
{
	struct topic_start *start = lane->in_order ? start_of(lane, topic) : NULL;
	if (start != NULL)
		start->is_stored = true;
}

bool lane_is_first(struct lane *lane, const char *topic)
{
	const struct topic_start *start = lane->in_order ? start_of(lane, topic) : NULL;
	return start != NULL && !start->is_stored;
}

void lane_forget_starts(struct lane *lane)
{
	for (size_t i = 0; i < lane->start_count; i++)
		free(lane->starts[i].topic);
	lane->start_count = 0;
}

/* Whether the first message to a topic is still in flight.  If there was none, the caller's is the
 * first. */
static bool is_on_the_way(struct lane *lane, const char *topic, bool *is_first)
{
	const struct topic_start *start = start_of(lane, topic);
	if (start != NULL)
		return !start->is_stored;
	lane->starts = memory_resize(lane->starts, lane->start_count + 1, sizeof *lane->starts);
	lane->starts[lane->start_count++] = (struct topic_start){ text_copy(topic), false };
	*is_first = true;
	return false;
}

bool lane_await_first(struct lane *lane, const char *topic, struct instant deadline)
{
	bool is_first = false;
	while (lane->in_order && !lane->is_lost && instant_before(clock_now(), deadline) &&
		is_on_the_way(lane, topic, &is_first))
		lane_flush(lane, deadline);
	return is_first;
}

void lane_forget_start(struct lane *lane, const char *topic)
{
	struct topic_start *start = start_of(lane, topic);
	if (start != NULL && !start->is_stored) {
		free(start->topic);
		*start = lane->starts[--lane->start_count];
	}
}
