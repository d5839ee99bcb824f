/*
 * Why messages are not stored.  librdkafka tries again, and tells of broken connections only; what
 * a broker answers meanwhile it keeps to itself.  So the cluster is asked for what it may be.
 */
#include "kafka/bus_ask.h"
#include "kafka/bus_own.h"
#include "kafka/bus_producer.h"

#include <stdio.h>
#include <string.h>

#define ASK_MS          500
#define ASK_SETTINGS_MS 300
#define AGAIN_S         0.5 /* several bursts are late at the same time, mostly */

/* Whose answer comes in time, and what it says. */
static void find_cause(rd_kafka_t *handle, char *cause, size_t size)
{
	const struct rd_kafka_metadata *answer;
	cause[0] = '\0';
	if (rd_kafka_metadata(handle, 0, NULL, &answer, ASK_MS) != RD_KAFKA_RESP_ERR_NO_ERROR)
		return;
	struct instant deadline = instant_after(clock_now(), ASK_MS / 1e3);
	for (int i = 0; i < answer->topic_cnt && instant_before(clock_now(), deadline); i++) {
		char text[256];
		const struct rd_kafka_metadata_topic *topic = &answer->topics[i];
		if (!ask_partitions(handle, topic, text, sizeof text, ASK_SETTINGS_MS))
			continue;
		snprintf(cause, size, "topic %s: %s", topic->topic, text);
		break;
	}
	rd_kafka_metadata_destroy(answer);
}

/* Under the lock: whether it is the caller who is to ask now. */
static bool is_due(struct bus *bus)
{
	struct instant now = clock_now();
	bool is = !instant_before(now, bus->next_diagnosis);
	if (is)
		bus->next_diagnosis = instant_after(now, AGAIN_S);
	return is;
}

void bus_diagnose(struct bus *bus)
{
	char cause[sizeof bus->cause] = "";
	pthread_mutex_lock(&bus->lock);
	bool is = is_due(bus);
	pthread_mutex_unlock(&bus->lock);
	if (!is)
		return;
	pthread_rwlock_rdlock(&bus->producer_lock);
	if (bus->producer != NULL)
		find_cause(producer_handle(bus->producer), cause, sizeof cause);
	pthread_rwlock_unlock(&bus->producer_lock);
	pthread_mutex_lock(&bus->lock);
	snprintf(bus->cause, sizeof bus->cause, "%s", cause);
	pthread_mutex_unlock(&bus->lock);
}

void bus_late(struct bus *bus, const char *what, struct judgement *j)
{
	pthread_mutex_lock(&bus->lock);
	const char *why = bus->cause[0] != '\0' ? bus->cause : bus->trouble;
	/* cppcheck-suppress ctuuninitvar ; it is written to */
	snprintf(j->text, sizeof j->text, "%s%s%s", what, why[0] != '\0' ? ": " : "", why);
	pthread_mutex_unlock(&bus->lock);
	j->verdict = VERDICT_LATE;
	j->reason = j->text;
}
