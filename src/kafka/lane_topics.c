/*
 * Topics that are known to be missing or forbidden, or whose partitions' leaders are unreachable:
 * nothing is sent to one before its next attempt, so that a burst does not wait to learn that
 * again.  Each bus has its own, because each producer has its own view of the cluster.
 */
#include "base/text.h"
#include "kafka/lane_internal.h"
#include "kafka/producer.h"
#include "kafka/verdict.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOPICS_MAX                                                                                 \
	1000       /* names made from columns may be any: beyond that the oldest is forgotten */
#define JITTER 0.5 /* many topics are not retried at the same time anyway */
#define AWAY_S 1.0 /* between checks whether a leader is back */

/* Under the lock. */
static struct topic_trouble *find(const struct bus *bus, const char *name)
{
	for (size_t i = 0; i < bus->refused_count; i++)
		if (strcmp(bus->refused[i].name, name) == 0)
			return &bus->refused[i];
	return NULL;
}

/* Under the lock. */
static void forget(struct bus *bus, struct topic_trouble *t)
{
	free(t->name);
	free(t->reason);
	size_t place = (size_t)(t - bus->refused);
	size_t count = atomic_load(&bus->refused_count) - 1;
	memmove(t, t + 1, (count - place) * sizeof *t);
	atomic_store(&bus->refused_count, count);
}

/* Under the lock. */
static struct topic_trouble *add(struct bus *bus, const char *name)
{
	size_t count = atomic_load(&bus->refused_count);
	if (count == TOPICS_MAX) {
		forget(bus, &bus->refused[0]);
		count--;
	}
	bus->refused = memory_resize(bus->refused, count + 1, sizeof *bus->refused);
	bus->refused[count] = (struct topic_trouble){ .name = text_copy(name), .is_tried = true };
	atomic_store(&bus->refused_count, count + 1);
	return &bus->refused[count];
}

/* Under the lock: defer the topic, for longer each time.  One failed attempt has many reports. */
static void put_off(struct topic_trouble *t, int32_t partition, const struct judgement *j)
{
	if (!t->is_tried && (t->verdict == VERDICT_TOPIC || j->verdict != VERDICT_AWAY))
		return;
	t->partition = partition;
	free(t->reason);
	t->reason = text_copy(j->reason);
	t->verdict = j->verdict;
	t->cause = j->cause;
	t->is_tried = j->verdict != VERDICT_TOPIC && j->verdict != VERDICT_AWAY;
	double wait =
		j->verdict == VERDICT_AWAY ? AWAY_S : clock_backoff_delay(++t->failures, JITTER);
	t->next_try = instant_after(clock_now(), wait);
}

void bus_topic_note(struct bus *bus, const char *name, int32_t partition, const struct judgement *j)
{
	struct topic_trouble *t = find(bus, name);
	put_off(t != NULL ? t : add(bus, name), partition, j);
}

void bus_topic_taken(struct bus *bus, const char *name, int32_t partition)
{
	struct topic_trouble *t = bus->refused_count > 0 ? find(bus, name) : NULL;
	if (t != NULL && (t->partition == BUS_ANY_PARTITION || t->partition == partition))
		forget(bus, t);
}

void bus_topic_is_back(struct bus *bus, const char *name)
{
	struct topic_trouble *t = find(bus, name);
	if (t != NULL && t->verdict == VERDICT_AWAY)
		forget(bus, t);
}

bool bus_topic_is_away(struct bus *bus, const char *name)
{
	pthread_mutex_lock(&bus->lock);
	const struct topic_trouble *t = find(bus, name);
	bool is = t != NULL && t->verdict == VERDICT_AWAY;
	pthread_mutex_unlock(&bus->lock);
	return is;
}

/* Whether the known problem of a topic concerns a place in it. */
static bool concerns(const struct topic_trouble *t, const struct destination *to)
{
	return t->partition == BUS_ANY_PARTITION || t->partition == to->partition;
}

const char *bus_topic_reason(struct bus *bus, const struct destination *to, enum verdict *v)
{
	const struct topic_trouble *t = to->topic != NULL ? find(bus, to->topic) : NULL;
	*v = VERDICT_UNKNOWN;
	if (t == NULL || (to->partition != BUS_ANY_PARTITION && !concerns(t, to)))
		return NULL;
	if (t->verdict == VERDICT_AWAY)
		*v = VERDICT_AWAY;
	return t->reason;
}

void bus_forget_topics(struct bus *bus)
{
	while (bus->refused_count > 0)
		forget(bus, &bus->refused[bus->refused_count - 1]);
	free(bus->refused);
}

/* Under the lock: the cluster's answer about a topic that was queried. */
static void note_code(struct bus *bus, const char *name, rd_kafka_resp_err_t code)
{
	const struct judgement j = { .verdict = bus_verdict_of(code),
		.cause = bus_verdict_cause(code),
		.reason = bus_verdict_text(code) };
	if (j.verdict == VERDICT_TOPIC)
		bus_topic_note(bus, name, BUS_ANY_PARTITION, &j);
}

/* Query a topic that is due for an attempt; this makes the producer use it as soon as it exists. */
static rd_kafka_resp_err_t ask(struct bus *bus, const char *name)
{
	pthread_rwlock_rdlock(&bus->producer_lock);
	rd_kafka_resp_err_t code = bus->producer != NULL ? producer_ask_topic(bus->producer, name)
							 : RD_KAFKA_RESP_ERR__FATAL;
	pthread_rwlock_unlock(&bus->producer_lock);
	return code;
}

/* Whether the producer has not used the topic yet. */
static bool is_new(struct bus *bus, const char *name)
{
	pthread_rwlock_rdlock(&bus->producer_lock);
	bool is = bus->producer != NULL && !producer_has_topic(bus->producer, name);
	pthread_rwlock_unlock(&bus->producer_lock);
	return is;
}

/* Under the lock, which is released meanwhile: the same for an unknown topic, while others are
 * missing or unreachable: a message to it that waits in vain costs its burst a second. */
static void look_at_new(struct bus *bus, const char *name)
{
	pthread_mutex_unlock(&bus->lock);
	bool is = is_new(bus, name);
	rd_kafka_resp_err_t code = is ? ask(bus, name) : RD_KAFKA_RESP_ERR_NO_ERROR;
	if (is && bus->main->broker_count > 0)
		bus_look(bus, name);
	pthread_mutex_lock(&bus->lock);
	note_code(bus, name, code);
}

/* Under the lock, which is released meanwhile: it is time to retry the topic. */
static void look_again(struct bus *bus, const char *name, enum verdict v)
{
	rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
	pthread_mutex_unlock(&bus->lock);
	if (v == VERDICT_AWAY)
		bus_look(bus, name);
	else
		code = ask(bus, name);
	pthread_mutex_lock(&bus->lock);
	note_code(bus, name, code);
}

/* Whether a problem was found with a broker since this bus last checked: then check which topics
 * have lost their leaders, before sending messages that wait in vain. */
static bool must_look(const struct bus *bus)
{
	return atomic_load(&bus->looked_ns) < atomic_load(&bus->main->troubled_ns);
}

/* Under the lock, which is released meanwhile: why messages cannot be sent to a place now; NULL:
 * they can. */
static const struct topic_trouble *obstacle(struct bus *bus, const struct destination *to)
{
	if (must_look(bus)) {
		pthread_mutex_unlock(&bus->lock);
		bus_look(bus, to->topic);
		pthread_mutex_lock(&bus->lock);
	}
	struct topic_trouble *t = find(bus, to->topic);
	if (t == NULL) {
		look_at_new(bus, to->topic);
	} else if (!t->is_tried && concerns(t, to) && !instant_before(clock_now(), t->next_try)) {
		t->is_tried = t->verdict == VERDICT_TOPIC;
		t->next_try = instant_after(clock_now(), AWAY_S);
		look_again(bus, to->topic, t->verdict);
	}
	t = find(bus, to->topic);
	return t == NULL || t->is_tried || !concerns(t, to) ? NULL : t;
}

bool bus_topic_may_be_tried(
	struct bus *bus, const struct destination *to, struct ledger *l, size_t slot)
{
	if (bus->refused_count == 0 && !must_look(bus))
		return true;
	pthread_mutex_lock(&bus->lock);
	const struct topic_trouble *t = obstacle(bus, to);
	if (t != NULL)
		bus_record(bus, l, slot,
			&(struct judgement){
				.verdict = t->verdict, .cause = t->cause, .reason = t->reason });
	pthread_mutex_unlock(&bus->lock);
	return t == NULL;
}
