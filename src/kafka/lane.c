#include "kafka/lane.h"

#include "base/limits.h"
#include "base/text.h"
#include "kafka/lane_internal.h"
#include "kafka/producer.h"
#include "kafka/verdict.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define QUEUE_FULL_RETRY_S 0.1
#define TURN_S             1.0

static void *opaque_of(const struct ledger *l, size_t slot, const struct message *message)
{
	uint64_t own_time = message->timestamp_ms != 0 ? BUS_OWN_TIME : 0;
	uint64_t keyless = message->is_keyless ? BUS_KEYLESS : 0;
	return (void *)(uintptr_t)(l->burst << BUS_BURST_BITS | keyless | own_time | slot);
}

/* Free a bus without a running thread. */
static void discard(struct bus *bus)
{
	producer_free(bus->producer);
	bus_forget_starts(bus);
	free(bus->starts);
	bus_forget_topics(bus);
	free(bus->brokers);
	free(bus->ordered);
	if (bus->wake_fd >= 0)
		close(bus->wake_fd);
	pthread_rwlock_destroy(&bus->producer_lock);
	pthread_mutex_destroy(&bus->lock);
	pthread_cond_destroy(&bus->changed);
	pthread_cond_destroy(&bus->doubtful);
	free(bus);
}

static void make_locks(struct bus *bus)
{
	clock_condition_init(&bus->changed);
	clock_condition_init(&bus->doubtful);
	pthread_mutex_init(&bus->lock, NULL);
	pthread_rwlock_init(&bus->producer_lock, NULL);
}

/* Begin to serve the producer's reports. */
static bool start(struct bus *bus, struct error *e)
{
	bus->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (bus->wake_fd < 0)
		/* uncovered: no descriptor is left; make failing-calls */
		return error_set(
			e, ERROR_BROKER, "kafka: cannot create an eventfd: %s", strerror(errno));
	bus_make_producer(bus, e);
	if (bus->producer == NULL)
		return false;
	rd_kafka_t *handle = producer_handle(bus->producer);
	bus->message_max_bytes = producer_property(handle, "message.max.bytes");
	bus->queue_max_kbytes = producer_property(handle, "queue.buffering.max.kbytes");
	int error = pthread_create(&bus->reporter, NULL, bus_report_loop, bus);
	return error == 0 ||
	       error_set(e, ERROR_BROKER, "kafka: cannot create a thread: %s", strerror(error));
}

/* The purpose of a bus. */
struct use {
	struct bus *main; /* the one that it belongs to; NULL: it is the main one */
	bool in_order;
	bool is_alone;
};

static struct bus *make(const struct config *config, struct use use, struct error *e)
{
	struct bus *bus = memory_new(1, sizeof *bus);
	bus->config = config;
	bus->main = use.main != NULL ? use.main : bus;
	bus->in_order = use.in_order;
	bus->is_alone = use.is_alone;
	make_locks(bus);
	if (start(bus, e))
		return bus;
	discard(bus);
	return NULL;
}

struct bus *bus_new(const struct config *config, struct error *e)
{
	struct bus *bus = make(config, (struct use){ 0 }, e);
	if (bus != NULL)
		bus->ordered = memory_new(config->model_count, sizeof(struct bus *));
	return bus;
}

/* The bus at place, created if there is none. */
static struct bus *have(struct bus *main, struct bus **place, struct use use, struct error *e)
{
	pthread_mutex_lock(&main->lock);
	if (*place == NULL)
		*place = make(main->config, use, e);
	struct bus *bus = *place;
	pthread_mutex_unlock(&main->lock);
	return bus;
}

struct bus *bus_ordered(struct bus *bus, size_t model, struct error *e)
{
	return have(bus, &bus->ordered[model], (struct use){ .main = bus, .in_order = true }, e);
}

struct bus *bus_alone(struct bus *bus, struct error *e)
{
	return have(bus, &bus->alone, (struct use){ .main = bus, .is_alone = true }, e);
}

struct bus *bus_lane(struct bus *bus, unsigned worker)
{
	struct error e;
	struct bus *lane = worker % 2 == 1
				   ? have(bus, &bus->second_lane, (struct use){ .main = bus }, &e)
				   : bus;
	return lane != NULL ? lane : bus;
}

void bus_free(struct bus *bus)
{
	if (bus == NULL)
		return;
	atomic_store(&bus->leaving, true);
	bus_end_watch(bus);
	bus_wake(bus);
	pthread_join(bus->reporter, NULL); /* it watches for those that belong to this one */
	for (size_t i = 0; bus->ordered != NULL && i < bus->config->model_count; i++)
		bus_free(bus->ordered[i]);
	bus_free(bus->alone);
	bus_free(bus->second_lane);
	discard(bus);
}

/* Under the lock: wait for the new producer, if one is being created, and for the end of a
 * flush. */
static void await_turn(struct bus *bus)
{
	struct instant deadline = instant_after(clock_now(), TURN_S);
	struct timespec until = instant_timespec(deadline);
	while ((atomic_load(&bus->is_broken) || bus->is_hurried) &&
		instant_before(clock_now(), deadline))
		pthread_cond_timedwait(&bus->changed, &bus->lock, &until);
}

/* Record in the main bus that a burst begins. */
static void note_begin(struct bus *main)
{
	pthread_mutex_lock(&main->lock);
	if (main->open_bursts++ == 0 && !main->has_failed)
		main->silent_since = clock_now();
	pthread_mutex_unlock(&main->lock);
}

/* Why a burst was late; NULL: it was not.  In order, messages after the first one that was not
 * stored may be late because of it. */
static const char *lateness(const struct bus *bus, const struct ledger *l)
{
	for (size_t i = 0; i < l->count; i++) {
		const struct entry *entry = &l->entries[i];
		if (entry->verdict == VERDICT_UNKNOWN || entry->verdict == VERDICT_AWAY)
			return entry->reason != NULL ? entry->reason : "";
		if (bus->in_order && entry->verdict != VERDICT_STORED)
			break;
	}
	return NULL;
}

/* Record the result of a burst in the main bus. */
static void note_end(struct bus *bus, const struct ledger *l)
{
	struct bus *main = bus->main;
	const char *why = lateness(bus, l);
	pthread_mutex_lock(&main->lock);
	main->open_bursts--;
	main->last_burst_end = clock_now();
	if (why == NULL)
		main->unanswered[0] = '\0';
	if (why != NULL) {
		main->has_failed = true;
		snprintf(main->lateness, sizeof main->lateness, "%s", why);
	}
	pthread_mutex_unlock(&main->lock);
	if (why != NULL)
		bus_doubt(main);
}

void bus_begin(struct bus *bus, struct ledger *l, size_t count)
{
	if (count > BUS_SLOT_MASK)
		abort();
	note_begin(bus->main);
	pthread_mutex_lock(&bus->lock);
	await_turn(bus);
	bus->filling++;
	if (bus->ledger_count == BUS_LEDGERS_MAX)
		abort();
	ledger_begin(l, ++bus->last_burst, count);
	bus->ledgers[bus->ledger_count++] = l;
	pthread_mutex_unlock(&bus->lock);
}

void bus_truncate(struct bus *bus, struct ledger *l, size_t count)
{
	pthread_mutex_lock(&bus->lock);
	ledger_truncate(l, count);
	pthread_mutex_unlock(&bus->lock);
}

void bus_end(struct bus *bus, struct ledger *l)
{
	pthread_mutex_lock(&bus->lock);
	for (size_t i = 0; i < bus->ledger_count; i++)
		if (bus->ledgers[i] == l)
			bus->ledgers[i] = bus->ledgers[--bus->ledger_count];
	pthread_mutex_unlock(&bus->lock);
	note_end(bus, l);
}

void bus_refuse(struct bus *bus, struct ledger *l, size_t slot, enum verdict v, const char *reason)
{
	pthread_mutex_lock(&bus->lock);
	bus_record(bus, l, slot,
		&(struct judgement){ .verdict = v, .blame = BLAME_SOLE, .reason = reason });
	pthread_mutex_unlock(&bus->lock);
}

/* Wait for a report, because the queue is full, but not long: not every message in it is ours. */
static void wait_for_room(struct bus *bus, struct instant deadline)
{
	struct instant soon = instant_after(clock_now(), QUEUE_FULL_RETRY_S);
	struct timespec until = instant_timespec(instant_earlier(soon, deadline));
	pthread_mutex_lock(&bus->lock);
	bus->waiting_senders++;
	pthread_cond_timedwait(&bus->changed, &bus->lock, &until);
	bus->waiting_senders--;
	pthread_mutex_unlock(&bus->lock);
}

static struct destination destination_of(const struct message *message)
{
	return (struct destination){ message->topic,
		message->has_partition ? message->partition : BUS_ANY_PARTITION };
}

static void refuse_late(struct bus *bus, struct ledger *l, size_t slot,
	const struct message *message, const char *what)
{
	const struct destination to = destination_of(message);
	struct judgement j;
	bus_late(bus, &to, what, &j);
	bus_refuse(bus, l, slot, j.verdict, j.reason);
}

/* Whether a message that does not fit in the queue would not fit in an empty one either. */
static bool never_fits(const struct bus *bus, const struct message *message)
{
	return message->key_length + message->value_length > bus->queue_max_kbytes * 1024;
}

/* The producer did not take the message.  Always returns false. */
static bool note_refusal(struct bus *bus, struct ledger *l, size_t slot,
	const struct message *message, rd_kafka_resp_err_t code)
{
	struct judgement j = { .verdict = VERDICT_UNKNOWN };
	bus_judge_refusal(bus, code, message, &j);
	pthread_mutex_lock(&bus->lock);
	if (j.verdict == VERDICT_TOPIC)
		bus_topic_note(bus, message->topic, BUS_ANY_PARTITION, &j);
	bus_record(bus, l, slot, &j);
	pthread_mutex_unlock(&bus->lock);
	return false;
}

/* Pass the message to the producer, or refuse it. */
static bool hand_over(struct bus *bus, struct ledger *l, size_t slot, const struct message *message,
	struct instant deadline)
{
	rd_kafka_resp_err_t code;
	bool is_full = false;
	for (;;) {
		/* A process that was frozen for long must not send what others may have sent. */
		if (!instant_before(clock_now(), deadline)) {
			refuse_late(bus, l, slot, message,
				is_full ? "the queue of the producer stayed full"
					: "no time left to send it");
			return false;
		}
		if (atomic_load(&bus->is_broken)) {
			bus_refuse(
				bus, l, slot, VERDICT_UNKNOWN, "an earlier message was not stored");
			return false;
		}
		pthread_rwlock_rdlock(&bus->producer_lock);
		/* Earlier messages may be lost, with a producer that was replaced meanwhile, and
		 * this one must not overtake them. */
		code = l->burst <= bus->lost_burst || bus->producer == NULL
			       ? RD_KAFKA_RESP_ERR__FATAL
			       : producer_send(bus->producer, message, opaque_of(l, slot, message));
		pthread_rwlock_unlock(&bus->producer_lock);
		is_full = code == RD_KAFKA_RESP_ERR__QUEUE_FULL;
		if (!is_full || never_fits(bus, message))
			break;
		wait_for_room(bus, deadline);
	}
	return code == RD_KAFKA_RESP_ERR_NO_ERROR || note_refusal(bus, l, slot, message, code);
}

bool bus_send(struct bus *bus, struct ledger *l, size_t slot, const struct message *message,
	struct instant deadline)
{
	if (message->timestamp_ms != 0 && !atomic_load(&bus->has_own_times))
		atomic_store(&bus->has_own_times, true);
	const struct destination to = destination_of(message);
	if (!bus_topic_may_be_tried(bus, &to, l, slot))
		return false;
	bool is_first = bus_await_first(bus, message->topic, deadline);
	bool is_sent = hand_over(bus, l, slot, message, deadline);
	if (is_first && !is_sent)
		bus_forget_start(bus, message->topic);
	return is_sent;
}

/* What the producer still has must not be sent, and certainly not a part of it. */
static void break_off(struct bus *bus)
{
	atomic_store(&bus->is_broken, true);
	bus_wake(bus);
}

/* Under the lock: wait for a ledger to be complete.  Returns whether it is. */
static bool await_complete(struct bus *bus, const struct ledger *l, struct instant deadline)
{
	struct timespec until = instant_timespec(deadline);
	struct waiter w = { .ledger = l, .next = bus->waiters };
	struct waiter **place = &bus->waiters;
	clock_condition_init(&w.complete);
	/* cppcheck-suppress autoVariables ; it is taken off before it goes */
	bus->waiters = &w;
	while (!ledger_complete(l) && instant_before(clock_now(), deadline))
		pthread_cond_timedwait(&w.complete, &bus->lock, &until);
	while (*place != &w)
		place = &(*place)->next;
	*place = w.next;
	pthread_cond_destroy(&w.complete);
	return ledger_complete(l);
}

/* The next message, from *slot on, that has no verdict; false: there is none. */
static bool next_open(struct bus *bus, const struct ledger *l, size_t *slot)
{
	pthread_mutex_lock(&bus->lock);
	while (*slot < l->count && l->entries[*slot].verdict != VERDICT_NONE)
		++*slot;
	pthread_mutex_unlock(&bus->lock);
	return *slot < l->count;
}

/* Find out why messages wait: look at the topic of each. */
static void diagnose(
	struct bus *bus, const struct ledger *l, struct instant until, const struct bus_memory *m)
{
	char last[256] = "";
	for (size_t slot = 0; next_open(bus, l, &slot) && instant_before(clock_now(), until);
		slot++) {
		const struct message *message = m->message_of(m->arg, slot);
		if (message == NULL || strcmp(message->topic, last) == 0)
			continue;
		bus_look(bus, message->topic);
		snprintf(last, sizeof last, "%s", message->topic);
	}
}

/* What has no verdict by now is late. */
static void give_up(struct bus *bus, struct ledger *l, const struct bus_memory *m)
{
	static const struct message unknown = { 0 };
	for (size_t slot = 0; next_open(bus, l, &slot); slot++) {
		const struct message *message = m->message_of(m->arg, slot);
		refuse_late(bus, l, slot, message != NULL ? message : &unknown,
			"not acknowledged in time");
	}
	if (bus->in_order)
		break_off(bus);
}

static bool is_complete(struct bus *bus, const struct ledger *l, struct instant deadline)
{
	pthread_mutex_lock(&bus->lock);
	bool is = await_complete(bus, l, deadline);
	pthread_mutex_unlock(&bus->lock);
	return is;
}

void bus_await(
	struct bus *bus, struct ledger *l, struct instant deadline, const struct bus_memory *m)
{
	double pause = limit_diagnosis(bus->config->timeout);
	struct instant early = instant_earlier(instant_after(clock_now(), pause), deadline);
	struct instant late = instant_after(deadline, -pause);
	pthread_mutex_lock(&bus->lock);
	bus->filling--;
	/* Awaited messages may be flushed now: this ledger is, before the lock is released. */
	bus_wake(bus);
	bool is = await_complete(bus, l, early);
	pthread_mutex_unlock(&bus->lock);
	if (is)
		return;
	if (bus->main->broker_count > 0) /* so that others need not wait as long, in vain */
		diagnose(bus, l, late, m);
	if (is_complete(bus, l, late))
		return;
	diagnose(bus, l, deadline, m);
	if (!is_complete(bus, l, deadline))
		give_up(bus, l, m);
}
