/*
 * What check says of the brokers' settings.  Real ones of the tests are never too old, nor silent.
 */
#include "suite.h"

#include "kafka/ask.h"
#include "kafka/transaction_check.h"

#include <stdlib.h>
#include <string.h>

static struct {
	struct broker_settings brokers[2];
	size_t problems;
	char text[512]; /* of the last one */
} world;

static struct rd_kafka_metadata_broker members[] = { { 1, "one", 9092 }, { 2, "two", 9092 } };
static struct rd_kafka_metadata cluster = { .broker_cnt = 2, .brokers = members };

rd_kafka_t *producer_make_consumer(
	const struct config *config, struct producer_events *events, struct error *e)
{
	(void)config, (void)events, (void)e;
	return (rd_kafka_t *)&world;
}

rd_kafka_resp_err_t rd_kafka_metadata(rd_kafka_t *rk, int all_topics, rd_kafka_topic_t *only_rkt,
	const struct rd_kafka_metadata **metadatap, int timeout_ms)
{
	(void)rk, (void)all_topics, (void)only_rkt, (void)timeout_ms;
	*metadatap = &cluster;
	return RD_KAFKA_RESP_ERR_NO_ERROR;
}

void rd_kafka_metadata_destroy(const struct rd_kafka_metadata *metadata)
{
	ck_assert_ptr_eq(metadata, &cluster);
}

void rd_kafka_destroy(rd_kafka_t *rk)
{
	ck_assert_ptr_eq(rk, &world);
}

struct broker_settings ask_broker_settings(rd_kafka_t *handle, int32_t broker, int wait_ms)
{
	(void)handle, (void)wait_ms;
	return world.brokers[broker - 1];
}

const char *reason_of_code(int code)
{
	return rd_kafka_err2name((rd_kafka_resp_err_t)code);
}

void report_problem(struct check_report *f, const char *model, const char *text)
{
	(void)f;
	ck_assert_ptr_null(model);
	world.problems++;
	snprintf(world.text, sizeof world.text, "%s", text);
}

/* Kafka's defaults. */
#define GOOD                                                                                       \
	{                                                                                          \
		true, true, true, 900000, 10080                                                    \
	}

static const struct {
	struct broker_settings second;
	const char *says; /* NULL: nothing */
} cases[] = {
	{ GOOD, NULL },
	{ { false, false, false, 0, 0 }, NULL }, /* it may not be asked */
	{ { true, false, false, 900000, 10080 }, "older than Kafka 3.6" },
	{ { true, true, false, 900000, 10080 }, "transaction.partition.verification.enable is" },
	{ { true, true, true, 129999, 10080 }, "transaction.max.timeout.ms is 129999, and" },
	{ { true, true, true, 130000, 1440 }, NULL },
	{ { true, true, true, 900000, 1439 }, "offsets.retention.minutes is 1439" },
};

START_TEST(each_broker_is_judged)
{
	const struct config config = { .timeout = 30 };
	struct check_report f = { 0 };
	struct error e;
	world.brokers[0] = (struct broker_settings)GOOD;
	world.brokers[1] = cases[_i].second;
	ck_assert(transaction_check(&config, &f, instant_after(clock_now(), 1), &e));
	ck_assert_uint_eq(world.problems, cases[_i].says != NULL);
	if (cases[_i].says == NULL)
		return;
	ck_assert_ptr_nonnull(strstr(world.text, "kafka: broker 2 at two:9092: "));
	ck_assert_ptr_nonnull(strstr(world.text, cases[_i].says));
}
END_TEST

int main(void)
{
	const struct test tests[] = {
		{ each_broker_is_judged, COUNT(cases), 0 },
	};
	return suite_run("transaction_check", tests, COUNT(tests));
}
