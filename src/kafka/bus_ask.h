/*
 * bus_ask - questions to the cluster, by any handle of librdkafka.  Private to bus*.c, with which
 * it shares librdkafka.  Any thread; each waits for its answer.
 */
#ifndef SIGNALBUS_BUS_ASK_H
#define SIGNALBUS_BUS_ASK_H

#include "kafka/bus_producer.h"

#include <stdbool.h>
#include <stddef.h>

/* What a topic is set to.  Not known: the broker did not tell, since the Kafka user may not ask for
 * that (DESCRIBE_CONFIGS), for instance. */
struct topic_settings {
	bool is_known;
	size_t max_message_bytes;
	int min_insync_replicas;
	bool compacts;
};

/* Ask for the settings of a topic; waits for wait_ms at most. */
struct topic_settings ask_topic_settings(rd_kafka_t *handle, const char *topic, int wait_ms);

/* Put into text, which has room for size bytes, what keeps a partition from storing messages that
 * is otherwise as it should be: it has no leader, or fewer replicas in sync than the topic wants.
 * Returns whether there is anything. */
bool ask_partition_trouble(const struct rd_kafka_metadata_partition *p,
	const struct topic_settings *s, char *text, size_t size);

/* Ask for the settings that the latter needs, if some replicas of the topic are not in sync. */
struct topic_settings ask_replica_settings(
	rd_kafka_t *handle, const struct rd_kafka_metadata_topic *topic, int wait_ms);

/* Whether the leader of a partition answers within wait_ms, whatever it says. */
bool ask_leader(rd_kafka_t *handle, const char *topic, int32_t partition, int wait_ms);

/* Say that it cannot be reached, and why. */
void ask_say_unreached(char *text, size_t size, const struct rd_kafka_metadata *cluster,
	const struct rd_kafka_metadata_partition *p, const char *why);

/* The address of a broker, HOST:PORT, in text. */
void ask_address(char *text, size_t size, const struct rd_kafka_metadata *cluster, int32_t broker);

/* Make the reason that librdkafka gives for an error of a connection one for people: without what
 * changes from try to try, and with a hint where the server may be another one. */
void ask_plain_reason(char *text, size_t size, const char *reason);

/* What an error says, for people, where nothing else does. */
const char *ask_plain_code(rd_kafka_resp_err_t code);

#endif
