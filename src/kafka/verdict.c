#include "kafka/verdict.h"

#include <stddef.h>

static const struct {
	rd_kafka_resp_err_t code;
	enum verdict verdict;
} verdicts[] = {
	{ RD_KAFKA_RESP_ERR_NO_ERROR, VERDICT_STORED },
	{ RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, VERDICT_TOPIC },
	{ RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, VERDICT_TOPIC },
	{ RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, VERDICT_TOPIC },
	{ RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, VERDICT_TOPIC },
	/* How the broker would create the topic, and what its settings accept: any row's
	 * message. */
	{ RD_KAFKA_RESP_ERR_INVALID_PARTITIONS, VERDICT_TOPIC },
	{ RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR, VERDICT_TOPIC },
	{ RD_KAFKA_RESP_ERR_INVALID_CONFIG, VERDICT_TOPIC },
	{ RD_KAFKA_RESP_ERR_POLICY_VIOLATION, VERDICT_TOPIC },
	{ RD_KAFKA_RESP_ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT, VERDICT_TOPIC },
	{ RD_KAFKA_RESP_ERR_UNSUPPORTED_COMPRESSION_TYPE, VERDICT_TOPIC },
	/* The size of the message, … */
	{ RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, VERDICT_REJECTED },
	{ RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE, VERDICT_REJECTED },
	/* … its content, such as no key for a compacted topic, … */
	{ RD_KAFKA_RESP_ERR_INVALID_RECORD, VERDICT_REJECTED },
	/* … its time, if the row has one, … */
	{ RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP, VERDICT_REJECTED },
	/* … and where it goes to. */
	{ RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION, VERDICT_REJECTED },
	{ RD_KAFKA_RESP_ERR__INVALID_ARG, VERDICT_REJECTED }, /* such as too long a topic name */
	{ RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, VERDICT_REJECTED },
};

enum verdict verdict_of(rd_kafka_resp_err_t code)
{
	for (size_t i = 0; i < sizeof verdicts / sizeof verdicts[0]; i++)
		if (verdicts[i].code == code)
			return verdicts[i].verdict;
	return VERDICT_UNKNOWN;
}

int verdict_cause(rd_kafka_resp_err_t code)
{
	bool is_of_size = code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE ||
			  code == RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE;
	return is_of_size ? 0 : code;
}

const char *verdict_text(rd_kafka_resp_err_t code)
{
	switch (code) {
	case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
	case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
		return "Broker: Unknown topic or partition; create it";
	case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
		return "Broker: Topic authorization failed; allow the Kafka user WRITE and "
		       "DESCRIBE";
	default:
		return rd_kafka_err2str(code);
	}
}

bool verdict_is_of_time(rd_kafka_resp_err_t code)
{
	return code == RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP;
}
