/*
 * The topics of the cluster, asked for by a consumer, which never reads: a producer that asks for a
 * topic by its name has the broker make it, where that is allowed (tried with librdkafka 2.0.2),
 * and in a list of all topics those are missing that the user may not see.
 */
#include "bus.h"
#include "bus_producer.h"
#include "stop.h"

#include <stdio.h>

/* How long a signal may have to wait for. */
#define SLICE_S 0.2

struct inquiry {
	rd_kafka_t *consumer;
	struct instant deadline;
	char trouble[512]; /* the last that it told of */
};

static void on_error(rd_kafka_t *handle, int code, const char *reason, void *arg)
{
	(void)handle;
	struct inquiry *q = arg;
	if (code != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) /* which one, and why, says more */
		snprintf(q->trouble, sizeof q->trouble, "%s", reason);
}

/* Properties that do not go together for a producer are the configuration's mistake. */
static bool check_producer(const struct config *config, struct error *e)
{
	char reason[512];
	rd_kafka_conf_t *conf = producer_properties(config, false, e);
	if (conf == NULL)
		/* uncovered: each property was tried when the file was read */
		return false;
	rd_kafka_t *producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof reason);
	if (producer == NULL) {
		producer_refused(config, reason, e);
		rd_kafka_conf_destroy(conf);
		return false;
	}
	rd_kafka_destroy(producer);
	return true;
}

static bool make_consumer(struct inquiry *q, const struct config *config, struct error *e)
{
	char reason[512];
	rd_kafka_conf_t *conf = producer_properties(config, false, e);
	if (conf == NULL)
		/* uncovered: each property was tried when the file was read */
		return false;
	rd_kafka_conf_set_opaque(conf, q);
	rd_kafka_conf_set_error_cb(conf, on_error);
	if (rd_kafka_conf_set(conf, "allow.auto.create.topics", "false", reason, sizeof reason) ==
		RD_KAFKA_CONF_OK)
		q->consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, reason, sizeof reason);
	if (q->consumer != NULL)
		return true;
	/* uncovered: a producer of the same properties was just made */
	rd_kafka_conf_destroy(conf);
	return error_set(e, ERROR_BROKER, "kafka: cannot ask for topics: %s", reason);
}

/* Ask for a topic, or with NULL for nothing but the brokers, until there is an answer. */
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
			/* uncovered: a signal amid an answer of the brokers */
			return error_set(e, ERROR_STOPPED, "asked to stop");
		if (!instant_before(clock_now(), q->deadline))
			return error_set(e, ERROR_BROKER, "kafka: no answer in time: %s",
				q->trouble[0] != '\0' ? q->trouble : rd_kafka_err2str(code));
	}
}

static void judge(struct bus_topic *t, const struct rd_kafka_metadata_topic *found)
{
	static const struct {
		rd_kafka_resp_err_t code;
		const char *problem;
	} problems[] = {
		{ RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, "does not exist; create it" },
		{ RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
			"the Kafka user may not see it; allow it WRITE and DESCRIBE" },
		{ RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION, "is no name that Kafka allows" },
	};
	t->problem[0] = '\0';
	for (size_t i = 0; i < sizeof problems / sizeof problems[0]; i++)
		if (found->err == problems[i].code) {
			snprintf(t->problem, sizeof t->problem, "%s", problems[i].problem);
			return;
		}
	for (int i = 0; i < found->partition_cnt; i++)
		if (found->partitions[i].leader < 0) {
			snprintf(t->problem, sizeof t->problem,
				"partition %d has no leader; start the brokers that have it",
				(int)found->partitions[i].id);
			return;
		}
	if (found->err != RD_KAFKA_RESP_ERR_NO_ERROR)
		/* uncovered: any other answer of a broker */
		snprintf(t->problem, sizeof t->problem, "%s", rd_kafka_err2str(found->err));
}

static bool ask_for(struct inquiry *q, struct bus_topic *t, struct error *e)
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
		if (answer->topic_cnt == 1)
			judge(t, &answer->topics[0]);
		rd_kafka_metadata_destroy(answer);
	}
	rd_kafka_topic_destroy(topic);
	return ok;
}

bool bus_topics(const struct config *config, struct bus_topic *topics, size_t count,
	struct instant deadline, struct error *e)
{
	struct inquiry q = { .deadline = deadline };
	const struct rd_kafka_metadata *answer;
	if (!check_producer(config, e) || !make_consumer(&q, config, e))
		return false;
	bool ok = ask(&q, NULL, &answer, e);
	if (ok)
		rd_kafka_metadata_destroy(answer);
	for (size_t i = 0; ok && i < count; i++)
		ok = ask_for(&q, &topics[i], e);
	rd_kafka_destroy(q.consumer);
	return ok;
}
