#include "bus_verdict.h"

#include <stddef.h>

/* What is to be made of librdkafka's errors.  An unknown one is VERDICT_LATE: the row is kept and
 * tried again. */
static const struct {
	rd_kafka_resp_err_t code;
	enum verdict verdict;
} verdicts[] = {
	{ RD_KAFKA_RESP_ERR_NO_ERROR, VERDICT_STORED },
	{ RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, VERDICT_TOPIC },
	{ RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, VERDICT_TOPIC },
	{ RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, VERDICT_TOPIC },
	{ RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, VERDICT_TOPIC },
	{ RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, VERDICT_REJECTED },
	{ RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE, VERDICT_REJECTED },
	{ RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE, VERDICT_REJECTED },
	{ RD_KAFKA_RESP_ERR_INVALID_RECORD, VERDICT_REJECTED },
	{ RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP, VERDICT_REJECTED },
	{ RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION, VERDICT_REJECTED },
	{ RD_KAFKA_RESP_ERR__INVALID_ARG, VERDICT_REJECTED }, /* such as too long a topic name */
	{ RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, VERDICT_REJECTED },
};

enum verdict bus_verdict_of(rd_kafka_resp_err_t code)
{
	for (size_t i = 0; i < sizeof verdicts / sizeof verdicts[0]; i++)
		if (verdicts[i].code == code)
			return verdicts[i].verdict;
	return VERDICT_LATE;
}
