/*
 * Topics that are known to be missing or forbidden, or whose partitions' leaders are unreachable:
 * nothing is sent to one before its next attempt, so that a burst does not wait to learn that
 * again.  Each lane has its own, because each producer has its own view of the cluster.
 */
#include "base/text.h"
#include "kafka/lane_internal.h"
#include "kafka/verdict.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOPICS_MAX                                                                                 \
	1000       /* names made from columns may be any: beyond that the oldest is forgotten */
#define JITTER 0.5 /* many topics are not retried at the same time anyway */
#define AWAY_S 1.0 /* between checks whether a leader is back */

static struct topic_trouble *find(const struct lane *lane, const char *name)
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
	struct topic_trouble *t = find(lane, name);
	put_off(t != NULL ? t : add(lane, name), partition, j);
}

void lane_topic_taken(struct lane *lane, const char *name, int32_t partition)
{
	struct topic_trouble *t = lane->refused_count > 0 ? find(lane, name) : NULL;
	if (t != NULL && (t->partition == LANE_ANY_PARTITION || t->partition == partition))
		forget(lane, t);
}

void lane_topic_is_back(struct lane *lane, const char *name)
{
	struct topic_trouble *t = find(lane, name);
	if (t != NULL && t->verdict == VERDICT_AWAY)
		forget(lane, t);
}

bool lane_topic_is_away(const struct lane *lane, const char *name)
{
	const struct topic_trouble *t = find(lane, name);
	return t != NULL && t->verdict == VERDICT_AWAY;
}

/* Whether the known problem of a topic concerns a place in it. */
static bool concerns(const struct topic_trouble *t, const struct destination *to)
{
	return t->partition == LANE_ANY_PARTITION || t->partition == to->partition;
}

const char *lane_topic_reason(struct lane *lane, const struct destination *to, enum verdict *v)
{
	const struct topic_trouble *t = to->topic != NULL ? find(lane, to->topic) : NULL;
	*v = VERDICT_UNKNOWN;
	if (t == NULL || (to->partition != LANE_ANY_PARTITION && !concerns(t, to)))
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

/* The cluster's answer about a topic that was queried. */
static void note_code(struct lane *lane, const char *name, rd_kafka_resp_err_t code)
{
	const struct judgement j = { .verdict = verdict_of(code),
		.cause = verdict_cause(code),
		.reason = verdict_text(code) };
	if (j.verdict == VERDICT_TOPIC)
		lane_topic_note(lane, name, LANE_ANY_PARTITION, &j);
}

/* Query a topic that is due for an attempt; this makes the producer use it as soon as it exists. */
static void ask(struct lane *lane, const char *name)
{
	note_code(lane, name,
		lane->producer != NULL ? producer_ask_topic(lane->producer, name)
				       : RD_KAFKA_RESP_ERR__FATAL);
}

/* The same for an unknown topic, while others are missing or unreachable: a message to it that
 * waits in vain costs its burst a second. */
static void look_at_new(struct lane *lane, const char *name)
{
	if (lane->producer == NULL || producer_has_topic(lane->producer, name))
		return;
	ask(lane, name);
	if (lane->broker->node_count > 0)
		lane_look(lane, name);
}

/* Whether a problem was found with a node since this lane last checked: then check which topics
 * have lost their leaders, before sending messages that wait in vain. */
static bool must_look(const struct lane *lane)
{
	return lane->looked_ns < atomic_load(&lane->broker->troubled_ns);
}

/* Why messages cannot be sent to a place now; NULL: they can. */
static const struct topic_trouble *obstacle(struct lane *lane, const struct destination *to)
{
	if (must_look(lane))
		lane_look(lane, to->topic);
	struct topic_trouble *t = find(lane, to->topic);
	if (t == NULL) {
		look_at_new(lane, to->topic);
	} else if (!t->is_tried && concerns(t, to) && !instant_before(clock_now(), t->next_try)) {
		t->is_tried = t->verdict == VERDICT_TOPIC;
		t->next_try = instant_after(clock_now(), AWAY_S);
		if (t->verdict == VERDICT_AWAY)
			lane_look(lane, to->topic);
		else
			ask(lane, to->topic);
	}
	t = find(lane, to->topic);
	return t == NULL || t->is_tried || !concerns(t, to) ? NULL : t;
}

bool lane_topic_may_be_tried(
	struct lane *lane, const struct destination *to, struct ledger *l, size_t slot)
{
	if (lane->refused_count == 0 && !must_look(lane))
		return true;
	const struct topic_trouble *t = obstacle(lane, to);
	if (t != NULL)
		lane_record(l, slot,
			&(struct judgement){
				.verdict = t->verdict, .cause = t->cause, .reason = t->reason });
	return t == NULL;
}
