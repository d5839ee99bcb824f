/*
 * Why messages are not stored.  librdkafka retries, and reports broken connections only; it does
 * not report the broker's answers meanwhile.  So the cluster is queried for the leader of each
 * partition, and the leaders whether they answer.  A problem of a topic is recorded for that topic
 * (lane_topics.c), and a problem of a node in the broker, for all of its lanes (broker_nodes.c).
 */
#include "base/limits.h"
#include "kafka/ask.h"
#include "kafka/lane_internal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define ASK_MS          500
#define ASK_SETTINGS_MS 300
#define ASK_MAX_S       3.0 /* for a leader that has not answered for long */
#define NODES_MAX       100 /* of a cluster; those beyond are queried again */

/* A query of the cluster. */
struct look {
	struct lane *lane;
	rd_kafka_t *handle;
	const struct rd_kafka_metadata *cluster;
	const char *topic; /* the queried one; of others only the leaders are checked */
	struct instant since;
	int32_t answered[NODES_MAX]; /* leaders that answered */
	size_t answered_count;
};

/* How long to wait for a leader: longer each time, because a slow one answers eventually. */
static int ask_limit_ms(const struct lane *lane, unsigned failures)
{
	double seconds = fmin(ASK_MS / 1e3 * (1U << (failures < 4 ? failures : 4)), ASK_MAX_S);
	return (int)(fmin(seconds, lane->config->timeout / 4) * 1000);
}

/* Whether the leader of a partition is lost.  A known lost one is queried by the watch, if there is
 * one, or now if it is time; any other one now.  One that answers, but has closed a connection with
 * messages in flight, may be the reason. */
static bool is_lost(const struct look *k, const char *topic,
	const struct rd_kafka_metadata_partition *p, struct node_trouble *trouble)
{
	struct broker *broker = k->lane->broker;
	broker_node_known(broker, trouble);
	if (trouble->is_lost &&
		(broker->is_watched || instant_before(clock_now(), trouble->next_ask)))
		return true;
	int wait_ms = ask_limit_ms(k->lane, trouble->failures);
	bool answers = ask_leader(k->handle, topic, p->id, wait_ms);
	producer_poll(k->lane->producer, 0); /* for errors that were reported meanwhile */
	broker_node_asked(broker, trouble, answers, topic, p->id);
	return !answers;
}

static bool has_answered(const struct look *k, int32_t broker)
{
	for (size_t i = 0; i < k->answered_count; i++)
		if (k->answered[i] == broker)
			return true;
	return false;
}

/* Whether a partition accepts no messages, and why; or why it may not have accepted them. */
static bool is_away(struct look *k, const struct rd_kafka_metadata_topic *topic,
	const struct rd_kafka_metadata_partition *p, const struct topic_settings *s,
	struct judgement *j)
{
	struct node_trouble t = { .id = p->leader };
	char text[BROKER_REASON_MAX / 2] = "";
	bool is = ask_partition_trouble(p, s, text, sizeof text);
	if (!is && !has_answered(k, p->leader)) {
		ask_address(t.address, sizeof t.address, k->cluster, p->leader);
		is = is_lost(k, topic->topic, p, &t);
		const char *why = t.trouble.text[0] != '\0' && !t.was_up ? t.trouble.text
									 : "it does not answer";
		if (is)
			ask_say_unreached(text, sizeof text, k->cluster, p, why);
		else if (t.was_up && instant_before(k->since, t.at))
			snprintf(text, sizeof text, "%s", t.trouble.text);
		if (!is && k->answered_count < NODES_MAX)
			k->answered[k->answered_count++] = p->leader;
	}
	if (text[0] != '\0' && j->verdict != VERDICT_AWAY) {
		j->verdict = is ? VERDICT_AWAY : VERDICT_UNKNOWN;
		snprintf(j->text, sizeof j->text, "topic %s: %s", topic->topic, text);
	}
	return is;
}

static void look_at(struct look *k, const struct rd_kafka_metadata_topic *topic)
{
	struct lane *lane = k->lane;
	struct judgement j = { .verdict = VERDICT_STORED };
	struct topic_settings s = { 0 };
	int away = 0;
	int32_t first = LANE_ANY_PARTITION;
	bool is_asked =
		strcmp(topic->topic, k->topic) == 0 || lane_topic_is_away(lane, topic->topic);
	if (is_asked)
		s = ask_replica_settings(k->handle, topic, ASK_SETTINGS_MS);
	for (int i = 0; i < topic->partition_cnt; i++)
		if (is_away(k, topic, &topic->partitions[i], &s, &j) && away++ == 0)
			first = topic->partitions[i].id;
	if (!is_asked && j.verdict == VERDICT_UNKNOWN)
		return;
	j.reason = j.text;
	if (j.verdict != VERDICT_STORED)
		lane_topic_note(lane, topic->topic,
			away < topic->partition_cnt ? first : LANE_ANY_PARTITION, &j);
	else
		lane_topic_is_back(lane, topic->topic);
}

void lane_look(struct lane *lane, const char *topic)
{
	struct look k = { .lane = lane, .topic = topic };
	k.since = instant_after(clock_now(), -lane->config->timeout);
	lane->looked_ns = clock_now().ns;
	if (lane->producer == NULL)
		return;
	k.handle = producer_handle(lane->producer);
	rd_kafka_resp_err_t code = rd_kafka_metadata(k.handle, 0, NULL, &k.cluster, ASK_MS);
	bool is_answered = code == RD_KAFKA_RESP_ERR_NO_ERROR;
	broker_note_answer(lane->broker, is_answered ? "" : reason_of_code(code), lane->begun);
	if (!is_answered)
		return;
	for (int i = 0; i < k.cluster->topic_cnt; i++)
		look_at(&k, &k.cluster->topics[i]);
	rd_kafka_metadata_destroy(k.cluster);
}

void lane_late(
	struct lane *lane, const struct destination *to, const char *what, struct judgement *j)
{
	char unanswered[sizeof lane->broker->unanswered];
	broker_why_unanswered(lane->broker, unanswered, sizeof unanswered);
	const char *why = lane_topic_reason(lane, to, &j->verdict);
	if (why == NULL)
		why = unanswered[0] != '\0' ? unanswered : lane->trouble;
	bool says_all = j->verdict == VERDICT_AWAY || why[0] == '\0';
	/* cppcheck-suppress ctuuninitvar ; it is written to */
	snprintf(j->text, sizeof j->text, "%s%s%s", j->verdict == VERDICT_AWAY ? "" : what,
		says_all ? "" : ": ", why);
	j->cause = 0;
	j->reason = j->text;
}
