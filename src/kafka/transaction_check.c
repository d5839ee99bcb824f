#include "kafka/transaction_check.h"

#include "base/limits.h"
#include "base/text.h"
#include "kafka/ask.h"
#include "kafka/producer.h"

#include <stdlib.h>
#include <string.h>

#define SETTINGS_MS 2000
#define DAY_MINUTES 1440

static double transaction_ms(const struct config *config)
{
	for (size_t i = 0; i < config->kafka_count; i++)
		if (strcmp(config->kafka[i].name, "transaction.timeout.ms") == 0)
			return strtod(config->kafka[i].value, NULL);
	return 1000 * limit_transaction(config->timeout);
}

static void report_broker(
	struct check_report *f, const struct rd_kafka_metadata_broker *broker, char *text)
{
	char *line = text_format(
		"kafka: broker %d at %s:%d: %s", (int)broker->id, broker->host, broker->port, text);
	report_problem(f, NULL, line);
	free(line);
	free(text);
}

static void judge(const struct config *config, const struct rd_kafka_metadata_broker *broker,
	const struct broker_settings *s, struct check_report *f)
{
	double wanted_ms = transaction_ms(config);
	if (!s->can_verify)
		report_broker(f, broker,
			text_copy("it is older than Kafka 3.6, so it accepts late messages outside "
				  "of "
				  "their transaction, and delivery = \"exactly-once\" may repeat "
				  "signals; upgrade it"));
	else if (!s->verifies)
		report_broker(f, broker,
			text_copy(
				"transaction.partition.verification.enable is false, so it accepts "
				"late messages outside of their transaction, and delivery = "
				"\"exactly-once\" may repeat signals; set it to true"));
	if (s->transaction_max_ms > 0 && s->transaction_max_ms < wanted_ms)
		report_broker(f, broker,
			text_format("transaction.max.timeout.ms is %.0f, and signalbus asks for "
				    "%.0f; set it to %.0f or more",
				s->transaction_max_ms, wanted_ms, wanted_ms));
	if (s->retention_minutes > 0 && s->retention_minutes < DAY_MINUTES)
		report_broker(f, broker,
			text_format("offsets.retention.minutes is %.0f, so the number that decides "
				    "on a prepared transaction expires too early; set it to %d or "
				    "more",
				s->retention_minutes, DAY_MINUTES));
}

bool transaction_check(const struct config *config, struct check_report *f, struct instant deadline,
	struct error *e)
{
	const struct rd_kafka_metadata *cluster;
	/* A broker that is unavailable is a matter of the topics whose partitions it has. */
	struct producer_events events = { 0 };
	rd_kafka_t *consumer = producer_make_consumer(config, &events, e);
	if (consumer == NULL)
		return false;
	rd_kafka_resp_err_t code = rd_kafka_metadata(
		consumer, 0, NULL, &cluster, instant_poll_ms(deadline, clock_now()));
	for (int i = 0; code == RD_KAFKA_RESP_ERR_NO_ERROR && i < cluster->broker_cnt; i++) {
		const struct rd_kafka_metadata_broker *broker = &cluster->brokers[i];
		struct broker_settings s = ask_broker_settings(consumer, broker->id, SETTINGS_MS);
		if (s.is_known)
			judge(config, broker, &s, f);
	}
	if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
		rd_kafka_metadata_destroy(cluster);
	rd_kafka_destroy(consumer);
	return code == RD_KAFKA_RESP_ERR_NO_ERROR ||
	       error_set(e, ERROR_BROKER, "kafka: no answer in time: %s", reason_of_code(code));
}
