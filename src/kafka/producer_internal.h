/*
 * producer_internal - shared by the files of the producer.  Private to them.
 */
#ifndef SIGNALBUS_PRODUCER_INTERNAL_H
#define SIGNALBUS_PRODUCER_INTERNAL_H

#include "kafka/producer.h"

#include <stdatomic.h>

struct topic {
	rd_kafka_topic_t *handle;
	enum topic_start start;
	uint64_t asked;             /* the last burst in which its partitions were queried, … */
	rd_kafka_resp_err_t answer; /* … and the result */
};

struct producer {
	rd_kafka_t *handle;
	struct topic *topics; /* that were sent to, by name */
	size_t topic_count;
	size_t last_topic;      /* of them: usually that of the next message */
	bool is_patient;        /* the configuration sets how long messages wait for others */
	char *transactional_id; /* NULL: it has no transactions */
	/* Requests of the open transaction that were sent to a broker: */
	atomic_uint numbers_sent, ends_sent;
};

/* Count the requests that matter to transactions, of a producer that is made of conf. */
void producer_count_requests(struct producer *p, rd_kafka_conf_t *conf);

#endif
