#include "kafka/verdict.h"

#include "suite.h"

#include <string.h>

/* Of librdkafka's codes, and of some that Kafka may have in the future. */
enum { FIRST_CODE = -200, LAST_CODE = 200 };

/* Whose fault is what; all the rest is that of the cluster, the network or this host. */
static const struct {
	rd_kafka_resp_err_t code;
	enum verdict verdict;
} faults[] = {
	{ RD_KAFKA_RESP_ERR_NO_ERROR, VERDICT_STORED },
	/* The topic's: whatever is sent to it. */
	{ RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, VERDICT_TOPIC },
	{ RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, VERDICT_TOPIC },
	{ RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, VERDICT_TOPIC },
	{ RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, VERDICT_TOPIC },
	{ RD_KAFKA_RESP_ERR_INVALID_PARTITIONS, VERDICT_TOPIC },
	{ RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR, VERDICT_TOPIC },
	{ RD_KAFKA_RESP_ERR_INVALID_CONFIG, VERDICT_TOPIC },
	{ RD_KAFKA_RESP_ERR_POLICY_VIOLATION, VERDICT_TOPIC },
	{ RD_KAFKA_RESP_ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT, VERDICT_TOPIC },
	{ RD_KAFKA_RESP_ERR_UNSUPPORTED_COMPRESSION_TYPE, VERDICT_TOPIC },
	/* The row's. */
	{ RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, VERDICT_REJECTED },
	{ RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE, VERDICT_REJECTED },
	{ RD_KAFKA_RESP_ERR_INVALID_RECORD, VERDICT_REJECTED },
	{ RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP, VERDICT_REJECTED },
	{ RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION, VERDICT_REJECTED },
	{ RD_KAFKA_RESP_ERR__INVALID_ARG, VERDICT_REJECTED },
	{ RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, VERDICT_REJECTED },
};

static enum verdict expected(int code)
{
	for (size_t i = 0; i < COUNT(faults); i++)
		if (faults[i].code == code)
			return faults[i].verdict;
	return VERDICT_UNKNOWN;
}

START_TEST(each_code_is_somebodys_fault)
{
	for (int code = FIRST_CODE; code <= LAST_CODE; code++)
		ck_assert_msg(verdict_of(code) == expected(code), "code %d: verdict %d", code,
			verdict_of(code));
}
END_TEST

START_TEST(only_a_wrong_time_may_be_the_hosts)
{
	for (int code = FIRST_CODE; code <= LAST_CODE; code++)
		ck_assert_int_eq(
			verdict_is_of_time(code), code == RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP);
}
END_TEST

START_TEST(only_its_size_is_certainly_a_rows_own)
{
	for (int code = FIRST_CODE; code <= LAST_CODE; code++)
		ck_assert_int_eq(verdict_cause(code),
			code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE ||
					code == RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE
				? 0
				: code);
}
END_TEST

START_TEST(a_topic_that_is_missing_is_to_be_created)
{
	const char *text = "Broker: Unknown topic or partition; create it";
	ck_assert_str_eq(verdict_text(RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC), text);
	ck_assert_str_eq(verdict_text(RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART), text);
}
END_TEST

int main(void)
{
	const struct test tests[] = {
		{ each_code_is_somebodys_fault, 1, 0 },
		{ only_a_wrong_time_may_be_the_hosts, 1, 0 },
		{ only_its_size_is_certainly_a_rows_own, 1, 0 },
		{ a_topic_that_is_missing_is_to_be_created, 1, 0 },
	};
	return suite_run("verdict", tests, COUNT(tests));
}
