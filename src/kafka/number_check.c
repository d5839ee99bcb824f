#include "kafka/number_check.h"

#include "base/stop.h"
#include "kafka/producer.h"

#include <string.h>

#define SLICE_MS 50

/* What the producer has reported. */
struct trial {
	struct producer_events events;
	bool is_over;
	char refusal[512]; /* empty: it has its number */
};

static void on_error(rd_kafka_t *handle, int code, const char *reason, void *arg)
{
	(void)reason;
	struct trial *t = arg;
	if (code != RD_KAFKA_RESP_ERR__FATAL)
		return;
	t->is_over = true;
	rd_kafka_fatal_error(handle, t->refusal, sizeof t->refusal);
}

/* librdkafka does not report success otherwise. */
static void on_statistics(const char *json, void *arg)
{
	struct trial *t = arg;
	const char *state = strstr(json, "\"idemp_state\"");
	const char *assigned = state != NULL ? strstr(state, "\"Assigned\"") : NULL;
	if (assigned != NULL && assigned < state + strlen("\"idemp_state\" : \"Assigned\""))
		t->is_over = true;
}

bool number_check(const struct config *config, struct instant deadline, struct error *e)
{
	struct trial t = { .events = { .error = on_error, .statistics = on_statistics } };
	t.events.arg = &t;
	struct producer *p = producer_new(config, &(struct producer_use){ .events = &t.events }, e);
	if (p == NULL)
		return false;
	while (!t.is_over && !stop_requested() && instant_before(clock_now(), deadline))
		producer_poll(p, SLICE_MS);
	producer_free(p);
	if (t.refusal[0] == '\0')
		return true;
	return error_set(e, ERROR_BROKER,
		strstr(t.refusal, "authorization failed") != NULL
			? "kafka: the Kafka user may write to no topic; allow it WRITE to the "
			  "topics of "
			  "the models (%s)"
			: "kafka: refused: %s",
		t.refusal);
}
