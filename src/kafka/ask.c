#include "kafka/ask.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void take_topic_setting(void *arg, const char *name, const char *value)
{
	struct topic_settings *s = arg;
	s->is_known = true;
	if (strcmp(name, "max.message.bytes") == 0)
		s->max_message_bytes = strtoul(value, NULL, 10);
	else if (strcmp(name, "min.insync.replicas") == 0)
		s->min_insync_replicas = (int)strtol(value, NULL, 10);
	else if (strcmp(name, "cleanup.policy") == 0)
		s->compacts = strstr(value, "compact") != NULL;
}

static void take_broker_setting(void *arg, const char *name, const char *value)
{
	struct broker_settings *s = arg;
	s->is_known = true;
	if (strcmp(name, "transaction.partition.verification.enable") == 0) {
		s->can_verify = true;
		s->verifies = strcmp(value, "true") == 0;
	} else if (strcmp(name, "transaction.max.timeout.ms") == 0) {
		s->transaction_max_ms = strtod(value, NULL);
	} else if (strcmp(name, "offsets.retention.minutes") == 0) {
		s->retention_minutes = strtod(value, NULL);
	}
}

/* Whose settings to query, and what to do with each. */
struct settings_query {
	rd_kafka_ResourceType_t type;
	const char *name;
	void (*take)(void *arg, const char *name, const char *value);
	void *arg;
};

static void take_answer(
	const struct settings_query *q, const rd_kafka_DescribeConfigs_result_t *result)
{
	size_t count, entries;
	const rd_kafka_ConfigResource_t **found =
		rd_kafka_DescribeConfigs_result_resources(result, &count);
	if (count != 1 || rd_kafka_ConfigResource_error(found[0]) != RD_KAFKA_RESP_ERR_NO_ERROR)
		return;
	const rd_kafka_ConfigEntry_t **settings =
		rd_kafka_ConfigResource_configs(found[0], &entries);
	for (size_t i = 0; i < entries; i++) {
		const char *value = rd_kafka_ConfigEntry_value(settings[i]);
		if (value != NULL)
			q->take(q->arg, rd_kafka_ConfigEntry_name(settings[i]), value);
	}
}

static void ask_settings(rd_kafka_t *handle, const struct settings_query *q, int wait_ms)
{
	char reason[256];
	rd_kafka_ConfigResource_t *what = rd_kafka_ConfigResource_new(q->type, q->name);
	rd_kafka_AdminOptions_t *options =
		rd_kafka_AdminOptions_new(handle, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
	rd_kafka_queue_t *answers = rd_kafka_queue_new(handle);
	rd_kafka_AdminOptions_set_request_timeout(options, wait_ms, reason, sizeof reason);
	rd_kafka_DescribeConfigs(handle, &what, 1, options, answers);
	rd_kafka_event_t *answer = rd_kafka_queue_poll(answers, wait_ms);
	const rd_kafka_DescribeConfigs_result_t *result =
		answer != NULL ? rd_kafka_event_DescribeConfigs_result(answer) : NULL;
	if (result != NULL && rd_kafka_event_error(answer) == RD_KAFKA_RESP_ERR_NO_ERROR)
		take_answer(q, result);
	if (answer != NULL)
		rd_kafka_event_destroy(answer);
	rd_kafka_queue_destroy(answers);
	rd_kafka_AdminOptions_destroy(options);
	rd_kafka_ConfigResource_destroy(what);
}

struct topic_settings ask_topic_settings(rd_kafka_t *handle, const char *topic, int wait_ms)
{
	struct topic_settings settings = { 0 };
	const struct settings_query q = { RD_KAFKA_RESOURCE_TOPIC, topic, take_topic_setting,
		&settings };
	ask_settings(handle, &q, wait_ms);
	return settings;
}

struct broker_settings ask_broker_settings(rd_kafka_t *handle, int32_t broker, int wait_ms)
{
	char name[16];
	struct broker_settings settings = { 0 };
	const struct settings_query q = { RD_KAFKA_RESOURCE_BROKER, name, take_broker_setting,
		&settings };
	snprintf(name, sizeof name, "%d", (int)broker);
	ask_settings(handle, &q, wait_ms);
	return settings;
}

bool ask_partition_trouble(const struct rd_kafka_metadata_partition *p,
	const struct topic_settings *s, char *text, size_t size)
{
	if (p->leader < 0)
		snprintf(text, size,
			"partition %d has no leader; start a broker that has a replica of it",
			(int)p->id);
	else if (s->is_known && p->isr_cnt < s->min_insync_replicas)
		snprintf(text, size,
			"partition %d has %d of %d replicas in sync, fewer than "
			"min.insync.replicas (%d); start the brokers that have the other replicas",
			(int)p->id, p->isr_cnt, p->replica_cnt, s->min_insync_replicas);
	else
		return false;
	return true;
}

struct topic_settings ask_replica_settings(
	rd_kafka_t *handle, const struct rd_kafka_metadata_topic *topic, int wait_ms)
{
	for (int i = 0; i < topic->partition_cnt; i++)
		if (topic->partitions[i].isr_cnt < topic->partitions[i].replica_cnt)
			return ask_topic_settings(handle, topic->topic, wait_ms);
	return (struct topic_settings){ 0 };
}

bool ask_leader(rd_kafka_t *handle, const char *topic, int32_t partition, int wait_ms)
{
	rd_kafka_topic_partition_list_t *where = rd_kafka_topic_partition_list_new(1);
	rd_kafka_topic_partition_list_add(where, topic, partition)->offset = 0;
	rd_kafka_resp_err_t code = rd_kafka_offsets_for_times(handle, where, wait_ms);
	rd_kafka_topic_partition_list_destroy(where);
	return code >= RD_KAFKA_RESP_ERR_UNKNOWN; /* the others are librdkafka's own */
}

void ask_address(char *text, size_t size, const struct rd_kafka_metadata *cluster, int32_t broker)
{
	snprintf(text, size, "an unknown address");
	for (int i = 0; i < cluster->broker_cnt; i++)
		if (cluster->brokers[i].id == broker)
			snprintf(text, size, "%s:%d", cluster->brokers[i].host,
				cluster->brokers[i].port);
}

void ask_say_unreached(char *text, size_t size, const struct rd_kafka_metadata *cluster,
	const struct rd_kafka_metadata_partition *p, const char *why)
{
	char address[256];
	ask_address(address, sizeof address, cluster, p->leader);
	snprintf(text, size,
		"the leader of partition %d, broker %d at %s (advertised.listeners), cannot be "
		"reached: %s",
		(int)p->id, (int)p->leader, address, why);
}
