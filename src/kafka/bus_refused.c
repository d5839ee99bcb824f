/*
 * Topics that are known to be missing or forbidden: nothing is sent to one before its next try, so
 * that who meets it does not wait to learn that again.  Each bus keeps its own, since each producer
 * has its own view of the cluster.
 */
#include "base/text.h"
#include "kafka/bus_own.h"
#include "kafka/bus_producer.h"
#include "kafka/bus_verdict.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOPICS_MAX                                                                                 \
	1000     /* names made from columns may be any: beyond that the oldest is forgotten */
#define DICE 0.5 /* many topics are not tried at the same time anyway */

/* Under the lock. */
static struct refused_topic *find(const struct bus *bus, const char *name)
{
	for (size_t i = 0; i < bus->refused_count; i++)
		if (strcmp(bus->refused[i].name, name) == 0)
			return &bus->refused[i];
	return NULL;
}

/* Under the lock. */
static void forget(struct bus *bus, struct refused_topic *t)
{
	free(t->name);
	free(t->reason);
	size_t place = (size_t)(t - bus->refused);
	size_t count = atomic_load(&bus->refused_count) - 1;
	memmove(t, t + 1, (count - place) * sizeof *t);
	atomic_store(&bus->refused_count, count);
}

/* Under the lock. */
static struct refused_topic *add(struct bus *bus, const char *name)
{
	size_t count = atomic_load(&bus->refused_count);
	if (count == TOPICS_MAX) {
		forget(bus, &bus->refused[0]);
		count--;
	}
	bus->refused = memory_resize(bus->refused, count + 1, sizeof *bus->refused);
	bus->refused[count] = (struct refused_topic){ .name = text_copy(name), .is_tried = true };
	atomic_store(&bus->refused_count, count + 1);
	return &bus->refused[count];
}

/* Under the lock: put the topic off, for longer each time.  One failed try has many reports. */
static void put_off(struct refused_topic *t, int cause, const char *reason)
{
	if (!t->is_tried)
		return;
	free(t->reason);
	t->reason = text_copy(reason);
	t->cause = cause;
	t->is_tried = false;
	t->next_try = instant_after(clock_now(), clock_backoff_delay(++t->failures, DICE));
}

void bus_topic_refused(struct bus *bus, const char *name, const struct judgement *j)
{
	struct refused_topic *t = find(bus, name);
	put_off(t != NULL ? t : add(bus, name), j->cause, j->reason);
}

void bus_topic_taken(struct bus *bus, const char *name)
{
	struct refused_topic *t = bus->refused_count > 0 ? find(bus, name) : NULL;
	if (t != NULL)
		forget(bus, t);
}

void bus_forget_topics(struct bus *bus)
{
	while (bus->refused_count > 0)
		forget(bus, &bus->refused[bus->refused_count - 1]);
	free(bus->refused);
}

/* Ask for a topic that is due for a try; that makes the producer use it as soon as it is there. */
static rd_kafka_resp_err_t ask(struct bus *bus, const char *name)
{
	pthread_rwlock_rdlock(&bus->producer_lock);
	rd_kafka_resp_err_t code = bus->producer != NULL ? producer_ask_topic(bus->producer, name)
							 : RD_KAFKA_RESP_ERR__FATAL;
	pthread_rwlock_unlock(&bus->producer_lock);
	return code;
}

/* Whether the producer has not met the topic yet. */
static bool is_new(struct bus *bus, const char *name)
{
	pthread_rwlock_rdlock(&bus->producer_lock);
	bool is = bus->producer != NULL && !producer_has_topic(bus->producer, name);
	pthread_rwlock_unlock(&bus->producer_lock);
	return is;
}

/* Under the lock, which is given up meanwhile: the same of a topic of which nothing is known, while
 * others are missing: a message to it that waits in vain costs its burst a second. */
static bool is_there(struct bus *bus, const char *name)
{
	pthread_mutex_unlock(&bus->lock);
	rd_kafka_resp_err_t code = is_new(bus, name) ? ask(bus, name) : RD_KAFKA_RESP_ERR_NO_ERROR;
	pthread_mutex_lock(&bus->lock);
	if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
		return true;
	const struct judgement j = { .verdict = bus_verdict_of(code),
		.cause = bus_verdict_cause(code),
		.reason = bus_verdict_text(code) };
	if (j.verdict == VERDICT_TOPIC)
		bus_topic_refused(bus, name, &j);
	return j.verdict != VERDICT_TOPIC;
}

/* Under the lock, which is given up meanwhile: whether the topic is to be tried now. */
static bool is_to_be_tried(struct bus *bus, const char *name)
{
	struct refused_topic *t = find(bus, name);
	if (t == NULL)
		return is_there(bus, name);
	if (t->is_tried)
		return true;
	if (instant_before(clock_now(), t->next_try))
		return false;
	t->is_tried = true;
	pthread_mutex_unlock(&bus->lock);
	rd_kafka_resp_err_t code = ask(bus, name);
	pthread_mutex_lock(&bus->lock);
	t = find(bus, name);
	if (t != NULL && bus_verdict_of(code) == VERDICT_TOPIC)
		put_off(t, code, bus_verdict_text(code));
	return t == NULL || t->is_tried;
}

bool bus_topic_may_be_tried(struct bus *bus, const char *name, struct ledger *l, size_t slot)
{
	if (bus->refused_count == 0)
		return true;
	pthread_mutex_lock(&bus->lock);
	bool may = is_to_be_tried(bus, name);
	const struct refused_topic *t = find(bus, name);
	if (!may && t != NULL) {
		struct judgement j = { .verdict = VERDICT_TOPIC, .cause = t->cause };
		j.reason = t->reason;
		bus_record(bus, l, slot, &j);
	}
	pthread_mutex_unlock(&bus->lock);
	return may;
}
