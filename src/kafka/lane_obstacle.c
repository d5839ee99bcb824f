/*
 * Whether a message can be sent to its topic now: a topic in trouble is queried when it is due for
 * another attempt.
 */
#include "kafka/lane_internal.h"
#include "kafka/verdict.h"

#define AWAY_S 1.0 /* between checks whether a leader is back */

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
	struct topic_trouble *t = lane_topic_find(lane, to->topic);
	if (t == NULL) {
		look_at_new(lane, to->topic);
	} else if (!t->is_tried && lane_topic_concerns(t, to) &&
		   !instant_before(clock_now(), t->next_try)) {
		t->is_tried = t->verdict == VERDICT_TOPIC;
		t->next_try = instant_after(clock_now(), AWAY_S);
		if (t->verdict == VERDICT_AWAY)
			lane_look(lane, to->topic);
		else
			ask(lane, to->topic);
	}
	t = lane_topic_find(lane, to->topic);
	return t == NULL || t->is_tried || !lane_topic_concerns(t, to) ? NULL : t;
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
