/*
 * Topics that are known to be missing or forbidden, or whose partitions' leaders are unreachable:
 * nothing is sent to one before its next attempt, so that a burst does not wait to learn that
 * again.  Each lane has its own, because each producer has its own view of the cluster.
 */
#include "base/text.h"
#include "kafka/lane_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOPICS_MAX                                                                                 \
	1000       /* names made from columns may be any: beyond that the oldest is forgotten */
#define JITTER 0.5 /* many topics are not retried at the same time anyway */
#define AWAY_S 1.0 /* between checks whether a leader is back */

struct topic_trouble *lane_topic_find(const struct lane *lane, const char *name)
{
	for (size_t i = 0; i < lane->refused_count; i++)
		if (strcmp(lane->refused[i].name, name) == 0)
			return &lane->refused[i];
	return NULL;
}

static void forget(struct lane *lane, struct topic_trouble *t)
{
	free(t->name);
	free(t->reason);
	size_t place = (size_t)(t - lane->refused);
	size_t count = lane->refused_count - 1;
	memmove(t, t + 1, (count - place) * sizeof *t);
	lane->refused_count = count;
}

static struct topic_trouble *add(struct lane *lane, const char *name)
{
	size_t count = lane->refused_count;
	if (count == TOPICS_MAX) {
		forget(lane, &lane->refused[0]);
		count--;
	}
	lane->refused = memory_resize(lane->refused, count + 1, sizeof *lane->refused);
	lane->refused[count] = (struct topic_trouble){ .name = text_copy(name), .is_tried = true };
	lane->refused_count = count + 1;
	return &lane->refused[count];
}

/* defer the topic, for longer each time.  One failed attempt has many reports. */
static void put_off(struct topic_trouble *t, int32_t partition, const struct judgement *j)
{
	if (!t->is_tried && (t->verdict == VERDICT_TOPIC || j->verdict != VERDICT_AWAY))
		return;
	t->partition = partition;
	free(t->reason);
	t->reason = text_copy(j->reason);
	t->verdict = j->verdict;
	t->cause = j->cause;
	t->is_tried = j->verdict != VERDICT_TOPIC && j->verdict != VERDICT_AWAY;
	double wait =
		j->verdict == VERDICT_AWAY ? AWAY_S : clock_backoff_delay(++t->failures, JITTER);
	t->next_try = instant_after(clock_now(), wait);
}

void lane_topic_note(
	struct lane *lane, const char *name, int32_t partition, const struct judgement *j)
{
	struct topic_trouble *t = lane_topic_find(lane, name);
	put_off(t != NULL ? t : add(lane, name), partition, j);
}

void lane_topic_taken(struct lane *lane, const char *name, int32_t partition)
{
	struct topic_trouble *t = lane->refused_count > 0 ? lane_topic_find(lane, name) : NULL;
	if (t != NULL && (t->partition == LANE_ANY_PARTITION || t->partition == partition))
		forget(lane, t);
}

void lane_topic_is_back(struct lane *lane, const char *name)
{
	struct topic_trouble *t = lane_topic_find(lane, name);
	if (t != NULL && t->verdict == VERDICT_AWAY)
		forget(lane, t);
}

bool lane_topic_is_away(const struct lane *lane, const char *name)
{
	const struct topic_trouble *t = lane_topic_find(lane, name);
	return t != NULL && t->verdict == VERDICT_AWAY;
}

bool lane_topic_concerns(const struct topic_trouble *t, const struct destination *to)
{
	return t->partition == LANE_ANY_PARTITION || t->partition == to->partition;
}

const char *lane_topic_reason(struct lane *lane, const struct destination *to, enum verdict *v)
{
	const struct topic_trouble *t = to->topic != NULL ? lane_topic_find(lane, to->topic) : NULL;
	*v = VERDICT_UNKNOWN;
	if (t == NULL || (to->partition != LANE_ANY_PARTITION && !lane_topic_concerns(t, to)))
		return NULL;
	if (t->verdict == VERDICT_AWAY)
		*v = VERDICT_AWAY;
	return t->reason;
}

void lane_forget_topics(struct lane *lane)
{
	while (lane->refused_count > 0)
		forget(lane, &lane->refused[lane->refused_count - 1]);
	free(lane->refused);
}
