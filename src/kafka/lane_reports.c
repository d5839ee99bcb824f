/*
 * The producer's reports, and its replacement by a new one if it cannot send any more.
 */
#include "base/log.h"
#include "kafka/lane_internal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define VERDICTS_S   1.0
#define PAUSE_MS     5 /* initial pause between flushes without a report, … */
#define PAUSE_MAX_MS 40
#define JITTER       0.5
#define HASTE_S      0.02

/* In the usual case nothing changes, so nothing is written. */
static void note_stored(struct lane *lane, const rd_kafka_message_t *report)
{
	struct broker *broker = lane->broker;
	broker_node_works(broker, rd_kafka_message_broker_id(report));
	if (!atomic_load_explicit(&broker->has_stored, memory_order_relaxed))
		atomic_store(&broker->has_stored, true);
	if (lane->failed_producers > 0)
		broker_forget_fatal(broker);
	lane->failed_producers = 0;
	lane->haste_s = INFINITY;
}

static void note_verdict(
	struct lane *lane, const rd_kafka_message_t *report, const struct judgement *j)
{
	const char *topic = rd_kafka_topic_name(report->rkt);
	if (j->verdict == VERDICT_STORED) {
		lane->trouble[0] = '\0';
		if (lane->in_order)
			*producer_start_of(lane->producer, topic) = START_STORED;
		lane_topic_taken(lane, topic, report->partition);
	} else if ((j->verdict == VERDICT_TOPIC && !j->is_models) ||
		   /* For what cannot be sent again, as there is no time. */
		   (j->verdict == VERDICT_REJECTED && lane->in_order)) {
		lane_topic_note(lane, topic, LANE_ANY_PARTITION, j);
	}
}

/* After a message that was not stored, the producer is not used again.  librdkafka then drops what
 * a transaction has queued: that is aborted, and can be sent again. */
static void note_broken(struct lane *lane, struct judgement *failed)
{
	if (lane->is_transactional && lane->is_broken && failed->verdict == VERDICT_UNKNOWN)
		*failed = (struct judgement){ .verdict = VERDICT_UNSENT };
	if (lane->in_order || (lane->is_transactional && (failed->verdict == VERDICT_REJECTED ||
								 failed->verdict == VERDICT_TOPIC)))
		lane->is_broken = true;
}

/* A message's own report.  Reports of abandoned bursts find no ledger. */
static void on_report(rd_kafka_t *handle, const rd_kafka_message_t *report, void *events)
{
	static const struct judgement stored = { .verdict = VERDICT_STORED };
	struct judgement failed;
	const struct judgement *j = &stored;
	struct lane *lane = ((const struct producer_events *)events)->arg;
	uint64_t word = (uint64_t)(uintptr_t)report->_private;
	lane->pause_ms = PAUSE_MS;
	if (report->err == RD_KAFKA_RESP_ERR__FATAL)
		/* uncovered: on_error() has reported it before */
		lane->is_fatal = true;
	if (report->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
		note_stored(lane, report);
	} else {
		lane_judge(lane, handle, report, &failed);
		note_broken(lane, &failed);
		j = &failed;
	}
	note_verdict(lane, report, j);
	if (lane->ledger != NULL && lane->ledger->burst == word >> LANE_BURST_BITS)
		lane_record(lane->ledger, word & LANE_SLOT_MASK, j);
}

static void on_error(rd_kafka_t *handle, int code, const char *reason, void *arg)
{
	char fatal[512];
	struct lane *lane = arg;
	log_debug("kafka: %s", reason);
	if (code == RD_KAFKA_RESP_ERR__FATAL) {
		lane->is_fatal = true;
		rd_kafka_fatal_error(handle, fatal, sizeof fatal);
		reason = fatal; /* this is logged once anyway */
	}
	if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
		broker_doubt(lane->broker); /* which cannot be reached, and why, says more */
	else if (!broker_node_failed(lane->broker, code, reason))
		/* What is wrong with one node is no trouble for those that others lead. */
		reason_plain(lane->trouble, sizeof lane->trouble, reason);
}

/* The old producer's unsettled messages are lost with it. */
static void settle_lost(struct lane *lane)
{
	struct judgement j = { .verdict = VERDICT_UNKNOWN };
	if (lane->ledger == NULL)
		return;
	lane_late(lane, &(struct destination){ 0 }, "the producer was replaced", &j);
	for (size_t slot = 0; slot < lane->ledger->count; slot++)
		lane_record(lane->ledger, slot, &j);
	lane->is_lost = true;
}

void lane_make_producer(struct lane *lane, struct error *e)
{
	lane->events.error = on_error;
	lane->events.arg = lane;
	const struct producer_use use = { .events = &lane->events,
		.report = on_report,
		.in_order = lane->in_order,
		.is_alone = lane->is_alone && !lane->is_transactional,
		.batch_size = lane->batch_size,
		.transactional_id = lane->transactional_id };
	lane->generation = atomic_load(&lane->broker->generation);
	lane->producer = producer_new(lane->config, &use, e);
	lane->is_fatal = lane->producer == NULL; /* otherwise again, later */
	lane->is_broken = false;
	lane->too_large = 0;
	lane->pause_ms = PAUSE_MS;
	lane->haste_s = HASTE_S;
	if (lane->producer == NULL && e->kind == ERROR_CONNECTION) {
		snprintf(lane->trouble, sizeof lane->trouble, "%.511s", e->text);
		e->kind = ERROR_BROKER;
	}
	if (lane->producer == NULL)
		return;
	rd_kafka_t *handle = producer_handle(lane->producer);
	lane->message_max_bytes = producer_property(handle, "message.max.bytes");
	lane->queue_max_kbytes = producer_property(handle, "queue.buffering.max.kbytes");
}

static void log_replacement(struct lane *lane)
{
	char said[512], text[sizeof said];
	producer_fatal_error(lane->producer, said, sizeof said);
	reason_plain(text, sizeof text, said);
	if (text[0] == '\0') /* it was logged that no broker answers, or what was late */
		log_debug("kafka: a producer is replaced");
	else if (lane->in_order) /* an ordered sender reports what was not stored, and why */
		log_debug("kafka: the producer for ordered bursts is replaced: %s", text);
	else if (broker_note_fatal(lane->broker, text))
		log_warning("kafka: the producer is replaced after a fatal error: %s", text);
}

/* Replace a producer with a fatal error, which can never send again, or one that would continue
 * after a gap. */
void lane_replace_producer(struct lane *lane)
{
	struct error e;
	if (lane->producer != NULL) {
		log_replacement(lane);
		producer_free(lane->producer);
	}
	lane->batch_size = lane->next_batch_size;
	if (lane->is_transactional) {
		lane->producer = NULL;
		lane->is_fatal = false;
		settle_lost(lane);
		return;
	}
	lane_make_producer(lane, &e);
	if (lane->producer == NULL && lane->trouble[0] != '\0')
		log_debug("%s", e.text); /* a secret cannot be read, which the watch logs */
	else if (lane->producer == NULL)
		/* uncovered: a producer with the same properties was created before, unless memory
		 * is exhausted */
		log_error("%s", e.text);
	settle_lost(lane);
}

/* The reports of a rejected batch arrive immediately after its fatal error, and the rejected
 * message must not be lost. */
static void await_verdicts(struct lane *lane)
{
	struct instant deadline = instant_after(clock_now(), VERDICTS_S);
	while (lane->in_order && lane->producer != NULL && !lane->is_broken &&
		instant_before(clock_now(), deadline))
		producer_poll(lane->producer, 1);
}

/* Whether to replace the producer now.  After consecutive ones that could not send anything, each
 * waits longer: for example, every producer of a Kafka user without the privilege to write is
 * refused at once. */
static bool must_replace(struct lane *lane)
{
	struct instant now = clock_now();
	if (lane->is_fatal)
		await_verdicts(lane);
	if (lane->is_transactional)
		return lane->is_fatal;
	if (lane->is_broken || lane->generation != atomic_load(&lane->broker->generation))
		return true;
	if (!lane->is_fatal || instant_before(now, lane->next_producer))
		return false;
	double delay = clock_backoff_delay(++lane->failed_producers, JITTER);
	lane->next_producer = instant_after(now, delay);
	return true;
}

/* Refused credentials are read again, if it is time; a producer that has no others must not log in
 * again and again. */
static void renew_refused(struct lane *lane)
{
	struct login *login = &lane->events.login;
	if (lane->producer != NULL && login->is_refused &&
		!login_renew(login, producer_handle(lane->producer)))
		lane->is_fatal = true;
}

/* The next burst reads refused credentials again. */
static void drop_refused(struct lane *lane)
{
	if (!lane->events.login.is_refused)
		return;
	producer_free(lane->producer);
	lane->producer = NULL;
	lane->is_fatal = true;
	lane->events.login.is_refused = false;
}

void lane_poll_idle(struct lane *lane)
{
	if (lane->is_transactional || pthread_mutex_trylock(&lane->turn) != 0)
		return;
	if (lane->producer != NULL) {
		producer_poll(lane->producer, 0);
		drop_refused(lane);
	}
	pthread_mutex_unlock(&lane->turn);
}

void lane_poll(struct lane *lane)
{
	if (lane->producer != NULL)
		producer_poll(lane->producer, 0);
	renew_refused(lane);
	if (must_replace(lane))
		lane_replace_producer(lane);
}

/* librdkafka requests the id of a new producer when it gets the list of brokers, if it is connected
 * to one of them then, and otherwise half a second later.  From 2.10 on it never is: it closes the
 * connection over which it gets the first list, and opens another.  So get the list again. */
static void hasten(struct lane *lane, int wait_ms)
{
	if (instant_seconds(lane->begun, clock_now()) < lane->haste_s)
		return;
	lane->haste_s *= 2;
	producer_ask(lane->producer, wait_ms);
}

/* librdkafka sends one batch of a partition at a time, and busy-waits while it may not send what is
 * ready (idempotence: rd_kafka_toppar_producer_serve() in rdkafka_broker.c counts messages in
 * flight instead of requests).  So a flush is short, and is repeated when a report has arrived;
 * what waits for another partition's leader is flushed again, too, after a while. */
void lane_flush(struct lane *lane, struct instant deadline)
{
	if (lane->producer != NULL && producer_send_now(lane->producer)) {
		int left_ms = instant_poll_ms(deadline, clock_now());
		int pause_ms = lane->pause_ms;
		lane->pause_ms = pause_ms < PAUSE_MAX_MS ? 2 * pause_ms : PAUSE_MAX_MS;
		int wait_ms = pause_ms < left_ms ? pause_ms : left_ms;
		hasten(lane, wait_ms);
		producer_poll(lane->producer, wait_ms);
	}
	renew_refused(lane);
	if (must_replace(lane))
		lane_replace_producer(lane);
}
