/*
 * ask - queries to the cluster, with any librdkafka handle.  Private to this folder, with which it
 * shares librdkafka.  Any thread; each call waits for the answer.
 */
#ifndef SIGNALBUS_ASK_H
#define SIGNALBUS_ASK_H

#include "kafka/producer.h"

#include <stdbool.h>
#include <stddef.h>

/* The settings of a topic.  Not known: the broker did not tell, for example because the Kafka user
 * may not query them (DESCRIBE_CONFIGS). */
struct topic_settings {
	bool is_known;
	size_t max_message_bytes;
	int min_insync_replicas;
	bool compacts;
};

/* Query the settings of a topic; waits at most wait_ms. */
struct topic_settings ask_topic_settings(rd_kafka_t *handle, const char *topic, int wait_ms);

/* The settings of a broker that matter to transactions.  Not known: the same. */
struct broker_settings {
	bool is_known;
	bool can_verify; /* transaction.partition.verification.enable exists: from Kafka 3.6 on */
	bool verifies;
	double transaction_max_ms;
	double retention_minutes; /* of committed offsets */
};

/* Query the settings of a broker; waits at most wait_ms. */
struct broker_settings ask_broker_settings(rd_kafka_t *handle, int32_t broker, int wait_ms);

/* Put into text, which has room for size bytes, why an otherwise correct partition does not store
 * messages: it has no leader, or fewer replicas in sync than the topic requires.  Returns whether
 * there is a reason. */
bool ask_partition_trouble(const struct rd_kafka_metadata_partition *p,
	const struct topic_settings *s, char *text, size_t size);

/* Query the settings that the latter needs, if some replicas of the topic are not in sync. */
struct topic_settings ask_replica_settings(
	rd_kafka_t *handle, const struct rd_kafka_metadata_topic *topic, int wait_ms);

/* Whether the leader of a partition answers within wait_ms, with any answer. */
bool ask_leader(rd_kafka_t *handle, const char *topic, int32_t partition, int wait_ms);

/* Write that it cannot be reached, and why. */
void ask_say_unreached(char *text, size_t size, const struct rd_kafka_metadata *cluster,
	const struct rd_kafka_metadata_partition *p, const char *why);

/* The address of a broker, HOST:PORT, in text. */
void ask_address(char *text, size_t size, const struct rd_kafka_metadata *cluster, int32_t broker);

#endif
