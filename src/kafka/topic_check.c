/*
 * Queries about topics, by a consumer, which never reads: a producer that queries a topic by its
 * name makes the broker create it, if that is allowed (tested with librdkafka 2.0.2), and a list of
 * all topics omits those that the user may not see.
 */
#include "kafka/topic_check.h"

#include "base/stop.h"
#include "base/text.h"
#include "kafka/ask.h"
#include "kafka/number_check.h"
#include "kafka/producer.h"
#include "kafka/reason.h"

#include <stdio.h>
#include <stdlib.h>

/* How long a signal may have to wait. */
#define SLICE_S 0.2

/* How long an unreachable leader is tried. */
#define LEADER_S 2.0

/* How long another server may take to answer, if one has refused. */
#define REFUSED_S 1.0

/* How long the producer may take to get its number. */
#define NUMBER_S 2.0

#define SETTINGS_MS  2000
#define KAFKAS_LIMIT 1048588 /* max.message.bytes of a topic for which it is not set */

/* A broker that leads partitions. */
struct leader {
	int32_t id;
	char *trouble; /* why it cannot be reached; NULL: it can */
};

struct inquiry {
	rd_kafka_t *consumer;
	struct instant deadline;
	struct producer_events events;
	struct trouble trouble;
	struct instant refused_since;
	struct leader *leaders; /* that were queried */
	size_t leader_count;
};

static void on_error(rd_kafka_t *handle, int code, const char *reason, void *arg)
{
	(void)handle;
	struct inquiry *q = arg;
	bool was_refused = q->trouble.is_refusal;
	trouble_note(&q->trouble, code, reason);
	if (!was_refused)
		q->refused_since = clock_now();
}

/* Query a topic or, with NULL, only the brokers, until there is an answer. */
static bool ask(struct inquiry *q, rd_kafka_topic_t *topic, const struct rd_kafka_metadata **answer,
	struct error *e)
{
	for (;;) {
		struct instant now = clock_now();
		struct instant soon = instant_earlier(instant_after(now, SLICE_S), q->deadline);
		rd_kafka_resp_err_t code = rd_kafka_metadata(
			q->consumer, 0, topic, answer, instant_poll_ms(soon, now));
		if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
			return true;
		rd_kafka_poll(q->consumer, 0); /* calls on_error() */
		if (stop_requested())
			/* uncovered: a signal during an answer of the brokers */
			return error_set(e, ERROR_STOPPED, "asked to stop");
		if (q->trouble.is_refusal &&
			instant_seconds(q->refused_since, clock_now()) >= REFUSED_S)
			return error_set(e, ERROR_BROKER, "kafka: refused: %s", q->trouble.text);
		if (!instant_before(clock_now(), q->deadline))
			return error_set(e, ERROR_BROKER, "kafka: no answer in time: %s",
				q->trouble.text[0] != '\0' ? q->trouble.text
							   : reason_of_code(code));
	}
}

/* What the cluster's answer says about a topic. */
static void judge(struct topic_check *t, const struct rd_kafka_metadata_topic *found)
{
	static const struct {
		rd_kafka_resp_err_t code;
		const char *problem;
	} problems[] = {
		{ RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, "does not exist; create it" },
		{ RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
			"the Kafka user may not see it; allow it WRITE and DESCRIBE" },
		{ RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION, "is not a valid topic name" },
	};
	for (size_t i = 0; i < sizeof problems / sizeof problems[0]; i++)
		if (found->err == problems[i].code) {
			snprintf(t->problem, sizeof t->problem, "%s", problems[i].problem);
			return;
		}
	if (found->err != RD_KAFKA_RESP_ERR_NO_ERROR &&
		found->err != RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE)
		/* uncovered: any other answer of a broker */
		snprintf(t->problem, sizeof t->problem, "%s", rd_kafka_err2str(found->err));
}

/* Why the leader of a partition does not answer, to be freed; NULL: it does. */
static char *reach(struct inquiry *q, const char *topic, int32_t partition)
{
	struct instant deadline = instant_after(clock_now(), LEADER_S);
	bool answers = false;
	q->trouble = (struct trouble){ 0 };
	while (!answers && !stop_requested() && instant_before(clock_now(), deadline)) {
		answers = ask_leader(q->consumer, topic, partition, (int)(SLICE_S * 1000));
		rd_kafka_poll(q->consumer, 0); /* calls on_error() */
	}
	if (answers)
		return NULL;
	return text_copy(q->trouble.text[0] != '\0' ? q->trouble.text : "no answer");
}

/* The result of querying the leader of a partition; each is queried once. */
static const struct leader *ask_leader_once(
	struct inquiry *q, const char *topic, const struct rd_kafka_metadata_partition *p)
{
	for (size_t i = 0; i < q->leader_count; i++)
		if (q->leaders[i].id == p->leader)
			return &q->leaders[i];
	q->leaders = memory_resize(q->leaders, q->leader_count + 1, sizeof *q->leaders);
	q->leaders[q->leader_count] = (struct leader){ p->leader, reach(q, topic, p->id) };
	return &q->leaders[q->leader_count++];
}

/* Whether the leaders of the topic's partitions can be reached at their advertised addresses. */
static void ask_leaders(
	struct inquiry *q, struct topic_check *t, const struct rd_kafka_metadata *answer)
{
	const struct rd_kafka_metadata_topic *found = &answer->topics[0];
	for (int i = 0; i < found->partition_cnt && t->problem[0] == '\0' && !stop_requested();
		i++) {
		const struct rd_kafka_metadata_partition *p = &found->partitions[i];
		const struct leader *leader = ask_leader_once(q, t->name, p);
		if (leader->trouble != NULL)
			ask_say_unreached(
				t->problem, sizeof t->problem, answer, p, leader->trouble);
	}
}

static void ask_settings(struct inquiry *q, struct topic_check *t)
{
	struct topic_settings s = ask_topic_settings(q->consumer, t->name, SETTINGS_MS);
	t->compacts = s.is_known && s.compacts;
	t->max_bytes = s.is_known ? s.max_message_bytes : 0;
}

/* Compare the topics' limits with message_max_bytes, which is one for all topics: it should be that
 * of the topic that accepts most, and then the others may accept less. */
static void compare_limits(
	const struct config *config, size_t allowed, struct topic_check *topics, size_t count)
{
	size_t largest = 0, known = 0;
	for (size_t i = 0; i < count; i++) {
		largest = topics[i].max_bytes > largest ? topics[i].max_bytes : largest;
		known += topics[i].max_bytes > 0;
	}
	char *lower = known == config->model_count
			      ? text_format(", or set kafka.message_max_bytes = %zu", largest)
			      : text_copy("");
	for (size_t i = 0; i < count; i++) {
		struct topic_check *t = &topics[i];
		if (t->max_bytes > 0 && largest < allowed)
			snprintf(t->warning, sizeof t->warning,
				"max.message.bytes is %zu, so larger messages are rejected, though "
				"kafka.message_max_bytes allows %zu; raise it%s",
				t->max_bytes, allowed, lower);
		else if (t->max_bytes > KAFKAS_LIMIT && t->max_bytes > allowed)
			snprintf(t->warning, sizeof t->warning,
				"max.message.bytes is %zu, but messages of more than "
				"kafka.message_max_bytes (%zu) are rejected; set "
				"kafka.message_max_bytes = %zu",
				t->max_bytes, allowed, largest);
	}
	free(lower);
}

static void examine(
	struct inquiry *q, struct topic_check *t, const struct rd_kafka_metadata *answer)
{
	const struct rd_kafka_metadata_topic *found = &answer->topics[0];
	judge(t, found);
	struct topic_settings s = { 0 };
	if (t->problem[0] == '\0')
		s = ask_replica_settings(q->consumer, found, SETTINGS_MS);
	for (int i = 0; i < found->partition_cnt && t->problem[0] == '\0'; i++)
		ask_partition_trouble(&found->partitions[i], &s, t->problem, sizeof t->problem);
	if (t->problem[0] != '\0')
		return;
	ask_leaders(q, t, answer);
	if (t->problem[0] == '\0')
		ask_settings(q, t);
}

static bool ask_for(struct inquiry *q, struct topic_check *t, struct error *e)
{
	const struct rd_kafka_metadata *answer;
	rd_kafka_topic_t *topic = rd_kafka_topic_new(q->consumer, t->name, NULL);
	if (topic == NULL) {
		/* uncovered: names over 512 bytes only */
		snprintf(t->problem, sizeof t->problem, "%s",
			rd_kafka_err2str(rd_kafka_last_error()));
		return true;
	}
	bool ok = ask(q, topic, &answer, e);
	if (ok) {
		/* The time that this takes, if a leader cannot be reached, is not deducted from the
		 * others'. */
		struct instant start = clock_now();
		if (answer->topic_cnt == 1)
			examine(q, t, answer);
		q->deadline = instant_after(q->deadline, instant_seconds(start, clock_now()));
		rd_kafka_metadata_destroy(answer);
	}
	rd_kafka_topic_destroy(topic);
	return ok;
}

static bool has_problem(const struct topic_check *topics, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (topics[i].problem[0] != '\0')
			return true;
	return false;
}

bool topic_check_all(const struct config *config, struct topic_check *topics, size_t count,
	struct instant deadline, struct error *e)
{
	struct inquiry q = { .deadline = deadline };
	const struct rd_kafka_metadata *answer;
	/* Contradictory properties of a producer are mistakes in the configuration. */
	if (!number_check(config, clock_now(), e))
		return false;
	q.events.error = on_error;
	q.events.arg = &q;
	q.consumer = producer_make_consumer(config, &q.events, e);
	if (q.consumer == NULL)
		return false;
	bool ok = ask(&q, NULL, &answer, e);
	if (ok)
		rd_kafka_metadata_destroy(answer);
	for (size_t i = 0; ok && i < count; i++)
		ok = ask_for(&q, &topics[i], e);
	ok = ok && (has_problem(topics, count) ||
			   number_check(config, instant_after(clock_now(), NUMBER_S), e));
	compare_limits(config, producer_property(q.consumer, "message.max.bytes"), topics, count);
	rd_kafka_destroy(q.consumer);
	for (size_t i = 0; i < q.leader_count; i++)
		free(q.leaders[i].trouble);
	free(q.leaders);
	return ok;
}
