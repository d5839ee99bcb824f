/*
 * The reporter: a thread that processes the producer's events, and replaces a producer that cannot
 * send any more.
 */
#include "base/log.h"
#include "kafka/ask.h"
#include "kafka/lane_internal.h"
#include "kafka/producer.h"

#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define TICK_MS        100
#define VERDICTS_S     1.0
#define HURRY_AGAIN_MS 5
#define JITTER         0.5

/* Under the lock: wake the thread that waits for a ledger that is now complete. */
static void wake_waiter(struct bus *bus, const struct ledger *l)
{
	for (struct waiter *w = bus->waiters; w != NULL; w = w->next)
		if (w->ledger == l)
			pthread_cond_signal(&w->complete);
}

void bus_record(struct bus *bus, struct ledger *l, size_t slot, const struct judgement *j)
{
	if (ledger_record(l, slot, j->verdict, j->reason))
		ledger_explain(l, slot, j->cause, j->blame);
	if (ledger_complete(l))
		wake_waiter(bus, l);
	if (bus->waiting_senders > 0)
		pthread_cond_broadcast(&bus->changed);
}

/* Of the reporter.  In the usual case nothing changes, so nothing is written. */
static void note_stored(struct bus *bus, const rd_kafka_message_t *report)
{
	bus_broker_works(bus, rd_kafka_message_broker_id(report));
	if (!atomic_load_explicit(&bus->main->has_stored, memory_order_relaxed))
		atomic_store(&bus->main->has_stored, true);
	bus->failed_producers = 0;
}

/* Under the lock. */
static void note_verdict(
	struct bus *bus, const rd_kafka_message_t *report, const struct judgement *j)
{
	const char *topic = rd_kafka_topic_name(report->rkt);
	if (j->verdict == VERDICT_STORED) {
		bus->trouble[0] = '\0';
		bus_start_stored(bus, topic);
		bus_topic_taken(bus, topic, report->partition);
	} else if ((j->verdict == VERDICT_TOPIC && !j->is_models) ||
		   /* For what cannot be sent again, as there is no time. */
		   (j->verdict == VERDICT_REJECTED && bus->in_order)) {
		bus_topic_note(bus, topic, BUS_ANY_PARTITION, j);
	}
}

/* A message's own report.  Reports of abandoned bursts find no ledger. */
static void on_report(rd_kafka_t *handle, const rd_kafka_message_t *report, void *arg)
{
	static const struct judgement stored = { .verdict = VERDICT_STORED };
	struct judgement failed;
	const struct judgement *j = &stored;
	struct bus *bus = arg;
	uint64_t word = (uint64_t)(uintptr_t)report->_private;
	bus->is_sending = false;
	if (report->err == RD_KAFKA_RESP_ERR__FATAL)
		/* uncovered: on_error() has reported it before */
		bus->is_fatal = true;
	if (report->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
		note_stored(bus, report);
	} else {
		bus_judge(bus, handle, report, &failed);
		j = &failed;
		if (bus->in_order) /* before any thread learns of the verdict */
			atomic_store(&bus->is_broken, true);
	}
	pthread_mutex_lock(&bus->lock);
	note_verdict(bus, report, j);
	for (size_t i = 0; i < bus->ledger_count; i++)
		if (bus->ledgers[i]->burst == word >> BUS_BURST_BITS)
			bus_record(bus, bus->ledgers[i], word & BUS_SLOT_MASK, j);
	pthread_mutex_unlock(&bus->lock);
}

static void on_error(rd_kafka_t *handle, int code, const char *reason, void *arg)
{
	char fatal[512];
	struct bus *bus = arg;
	log_debug("kafka: %s", reason);
	if (code == RD_KAFKA_RESP_ERR__FATAL) {
		bus->is_fatal = true;
		rd_kafka_fatal_error(handle, fatal, sizeof fatal);
		reason = fatal; /* this is logged once anyway */
	}
	if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
		bus_doubt(bus);
		return; /* which broker cannot be reached, and why, says more than that none can */
	}
	if (bus_broker_failed(bus, reason))
		return; /* that is no trouble for those that other brokers lead */
	pthread_mutex_lock(&bus->lock);
	ask_plain_reason(bus->trouble, sizeof bus->trouble, reason);
	pthread_mutex_unlock(&bus->lock);
}

static const struct producer_callbacks callbacks = { on_report, on_error };

/* The old producer's unsettled messages are lost with it. */
static void settle_lost(struct bus *bus)
{
	struct judgement j = { .verdict = VERDICT_UNKNOWN };
	bus_late(bus, &(struct destination){ 0 }, "the producer was replaced", &j);
	pthread_mutex_lock(&bus->lock);
	bus->lost_burst = bus->last_burst;
	bus_forget_starts(bus);
	for (size_t i = 0; i < bus->ledger_count; i++)
		for (size_t slot = 0; slot < bus->ledgers[i]->count; slot++)
			bus_record(bus, bus->ledgers[i], slot, &j);
	pthread_cond_broadcast(&bus->changed);
	pthread_mutex_unlock(&bus->lock);
}

void bus_make_producer(struct bus *bus, struct error *e)
{
	const struct producer_use use = { .callbacks = callbacks,
		.arg = bus,
		.wake_fd = bus->wake_fd,
		.in_order = bus->in_order,
		.is_alone = bus->is_alone,
		.batch_size = bus->batch_size };
	bus->producer = producer_new(bus->config, &use, e);
	bus->too_large = 0;
}

static void log_replacement(struct bus *bus)
{
	char said[512], text[sizeof said];
	producer_fatal_error(bus->producer, said, sizeof said);
	ask_plain_reason(text, sizeof text, said);
	if (text[0] == '\0') /* it was logged that no broker answers, or what was late */
		log_debug("kafka: a producer is replaced");
	else if (bus->in_order) /* an ordered sender reports what was not stored, and why */
		log_debug("kafka: the producer for ordered bursts is replaced: %s", text);
	else if (bus->failed_producers <= 1 || strcmp(bus->fatal, text) != 0)
		log_warning("kafka: the producer is replaced after a fatal error: %s", text);
	snprintf(bus->fatal, sizeof bus->fatal, "%s", text);
}

/* The reports of a rejected batch arrive immediately after its fatal error, and the rejected
 * message must not be lost. */
static void await_verdicts(struct bus *bus)
{
	struct instant deadline = instant_after(clock_now(), VERDICTS_S);
	while (bus->in_order && bus->producer != NULL && !atomic_load(&bus->is_broken) &&
		instant_before(clock_now(), deadline))
		producer_poll(bus->producer, 1);
}

/* Replace a producer with a fatal error, which can never send again, or one that would continue
 * after a gap. */
void bus_replace_producer(struct bus *bus)
{
	struct error e;
	pthread_rwlock_wrlock(&bus->producer_lock);
	if (bus->producer != NULL) {
		log_replacement(bus);
		producer_free(bus->producer);
	}
	bus->batch_size = bus->next_batch_size;
	bus_make_producer(bus, &e);
	if (bus->producer == NULL)
		/* uncovered: a producer with the same properties was created before, unless memory
		 * is exhausted */
		log_error("%s", e.text);
	bus->is_fatal = bus->producer == NULL; /* otherwise again, later */
	bus->is_sending = false;
	settle_lost(bus); /* before a sender in the middle of a burst uses the new producer */
	atomic_store(&bus->is_broken, false);
	pthread_rwlock_unlock(&bus->producer_lock);
}

/* Under the lock: whether any thread waits for messages that were handed over. */
static bool is_awaited(const struct bus *bus)
{
	for (const struct waiter *w = bus->waiters; w != NULL; w = w->next)
		if (!ledger_complete(w->ledger))
			return true;
	return false;
}

/* Begin to flush awaited messages, unless others are being handed over: they are flushed together
 * as soon as that is done.  A sender that waits for room in the producer's queue cannot finish
 * earlier. */
static bool begin_to_hurry(struct bus *bus)
{
	pthread_mutex_lock(&bus->lock);
	bus->is_hurried = bus->waiting_senders > 0 || (bus->filling == 0 && is_awaited(bus));
	bool is = bus->is_hurried;
	pthread_mutex_unlock(&bus->lock);
	return is;
}

static void end_to_hurry(struct bus *bus)
{
	pthread_mutex_lock(&bus->lock);
	bus->is_hurried = false;
	pthread_cond_broadcast(&bus->changed);
	pthread_mutex_unlock(&bus->lock);
}

/* Process the reports, and flush awaited messages.  librdkafka sends one batch of a partition at a
 * time, and busy-waits while it may not send what is ready (idempotence:
 * rd_kafka_toppar_producer_serve() in rdkafka_broker.c counts messages in flight instead of
 * requests).  So nothing is handed over during a flush, and nothing more is flushed until a report
 * has arrived; messages to other partitions wait for that, too, but not long. */
static void serve_producer(struct bus *bus)
{
	producer_poll(bus->producer, 0);
	while ((!bus->is_sending || !instant_before(clock_now(), bus->hurry_again)) &&
		begin_to_hurry(bus)) {
		bus->is_sending = true;
		bool is_left = producer_send_now(bus->producer);
		bus->hurry_again = instant_after(clock_now(), HURRY_AGAIN_MS / 1e3);
		end_to_hurry(bus);
		if (is_left)
			continue;
		bus->is_sending = false;
		return;
	}
}

/* Whether to replace the producer now.  After consecutive ones that could not send anything, each
 * waits longer: for example, every producer of a Kafka user without the privilege to write is
 * refused at once. */
static bool must_replace(struct bus *bus)
{
	struct instant now = clock_now();
	if (bus->is_fatal)
		await_verdicts(bus);
	if (atomic_load(&bus->is_broken))
		return true;
	if (!bus->is_fatal || instant_before(now, bus->next_producer))
		return false;
	double delay = clock_backoff_delay(++bus->failed_producers, JITTER);
	bus->next_producer = instant_after(now, delay);
	return true;
}

/* Wake the reporter. */
void bus_wake(struct bus *bus)
{
	if (eventfd_write(bus->wake_fd, 1) != 0)
		abort(); /* an eventfd can count far more than it gets */
}

void *bus_report_loop(void *arg)
{
	struct bus *bus = arg;
	struct pollfd fd = { .fd = bus->wake_fd, .events = POLLIN };
	uint64_t count;
	while (!atomic_load(&bus->leaving)) {
		poll(&fd, 1, bus->is_sending ? HURRY_AGAIN_MS : TICK_MS);
		/* Emptied before the queue is: an event in between wakes again. */
		ssize_t ignored = read(bus->wake_fd, &count, sizeof count);
		(void)ignored;
		if (bus->producer != NULL)
			serve_producer(bus);
		if (must_replace(bus))
			bus_replace_producer(bus);
	}
	return NULL;
}
