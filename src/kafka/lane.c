#include "kafka/lane.h"

#include "base/limits.h"
#include "base/text.h"
#include "kafka/lane_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *opaque_of(const struct ledger *l, size_t slot, const struct message *message)
{
	uint64_t own_time = message->timestamp_ms != 0 ? LANE_OWN_TIME : 0;
	uint64_t keyless = message->is_keyless ? LANE_KEYLESS : 0;
	return (void *)(uintptr_t)(l->burst << LANE_BURST_BITS | keyless | own_time | slot);
}

struct lane *lane_new(
	struct broker *broker, const struct config *config, enum lane_kind kind, struct error *e)
{
	struct lane *lane = memory_new(1, sizeof *lane);
	lane->broker = broker;
	lane->config = config;
	lane->in_order = kind == LANE_ORDERED;
	lane->is_alone = kind == LANE_ALONE;
	lane->is_transactional = kind == LANE_TRANSACTIONAL;
	pthread_mutex_init(&lane->turn, NULL);
	if (lane->is_transactional)
		return lane;
	lane_make_producer(lane, e);
	bool is_spare = kind == LANE_USUAL && broker->lanes[0] != NULL;
	bool is_later = lane->trouble[0] != '\0'; /* a secret cannot be read yet */
	if (lane->producer == NULL && !is_spare && !is_later) {
		lane_free(lane);
		return NULL;
	}
	return lane;
}

void lane_free(struct lane *lane)
{
	if (lane == NULL)
		return;
	producer_free(lane->producer);
	number_reader_free(lane->reader);
	free(lane->transactional_id);
	free(lane->first_id);
	free(lane->database);
	lane_forget_topics(lane);
	pthread_mutex_destroy(&lane->turn);
	free(lane);
}

void lane_begin(struct lane *lane, struct ledger *l, size_t count)
{
	if (count > LANE_SLOT_MASK)
		abort();
	broker_note_begin(lane->broker);
	pthread_mutex_lock(&lane->turn);
	lane_poll(lane);
	lane->is_lost = false;
	lane->begun = clock_now();
	if (lane->is_transactional)
		lane->is_alone = count == 1; /* in its transaction */
	ledger_begin(l, ++lane->last_burst, count);
	lane->ledger = l;
}

/* Why a burst was late; NULL: it was not.  In order, messages after the first one that was not
 * stored may be late because of it. */
static const char *lateness(const struct lane *lane, const struct ledger *l)
{
	for (size_t i = 0; i < l->count; i++) {
		const struct entry *entry = &l->entries[i];
		if (entry->verdict == VERDICT_UNKNOWN || entry->verdict == VERDICT_AWAY)
			return entry->reason != NULL ? entry->reason : "";
		if (lane->in_order && entry->verdict != VERDICT_STORED)
			break;
	}
	return NULL;
}

static bool has_stored(const struct ledger *l)
{
	for (size_t i = 0; i < l->count; i++)
		if (l->entries[i].verdict == VERDICT_STORED)
			return true;
	return false;
}

void lane_end(struct lane *lane, struct ledger *l)
{
	const struct burst_end end = { .lane = &lane->fitness,
		.begun = lane->begun,
		.late = lateness(lane, l),
		.has_stored = has_stored(l) };
	lane->ledger = NULL;
	pthread_mutex_unlock(&lane->turn);
	broker_note_end(lane->broker, &end);
}

static struct destination destination_of(const struct message *message)
{
	return (struct destination){ message->topic,
		message->has_partition ? message->partition : LANE_ANY_PARTITION };
}

static void refuse_late(struct lane *lane, struct ledger *l, size_t slot,
	const struct message *message, const char *what)
{
	const struct destination to = destination_of(message);
	struct judgement j = { .blame = BLAME_SOLE };
	lane_late(lane, &to, what, &j);
	lane_record(l, slot, &j);
}

/* Whether a message that does not fit in the queue would not fit in an empty one either. */
static bool never_fits(const struct lane *lane, const struct message *message)
{
	return message->key_length + message->value_length > lane->queue_max_kbytes * 1024;
}

/* The producer did not take the message.  Always returns false. */
static bool note_refusal(struct lane *lane, struct ledger *l, size_t slot,
	const struct message *message, rd_kafka_resp_err_t code)
{
	struct judgement j = { .verdict = VERDICT_UNKNOWN };
	lane_judge_refusal(lane, code, message, &j);
	if (j.verdict == VERDICT_TOPIC)
		lane_topic_note(lane, message->topic, LANE_ANY_PARTITION, &j);
	lane_record(l, slot, &j);
	return false;
}

/* librdkafka refreshes its list of a topic's partitions every few minutes.  So one that is not in
 * it may have been added: query the cluster before refusing a message. */
static rd_kafka_resp_err_t offer(struct lane *lane, const struct message *message, void *opaque)
{
	rd_kafka_resp_err_t code = producer_send(lane->producer, message, opaque);
	if (code != RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION)
		return code;
	code = producer_ask_topic_once(lane->producer, message->topic, lane->last_burst);
	return code == RD_KAFKA_RESP_ERR_NO_ERROR ? producer_send(lane->producer, message, opaque)
						  : code;
}

/* Pass the message to the producer, or refuse it. */
static bool hand_over(struct lane *lane, struct ledger *l, size_t slot,
	const struct message *message, struct instant deadline)
{
	rd_kafka_resp_err_t code;
	bool is_full = false;
	for (;;) {
		/* A process that was frozen for long must not send what others may have sent. */
		if (!instant_before(clock_now(), deadline)) {
			refuse_late(lane, l, slot, message,
				is_full ? "the queue of the producer stayed full"
					: "no time left to send it");
			return false;
		}
		/* Earlier messages are lost, with a producer that was replaced meanwhile, and this
		 * one must not overtake them. */
		code = lane->is_lost || lane->producer == NULL
			       ? RD_KAFKA_RESP_ERR__FATAL
			       : offer(lane, message, opaque_of(l, slot, message));
		is_full = code == RD_KAFKA_RESP_ERR__QUEUE_FULL;
		if (!is_full || never_fits(lane, message))
			break;
		lane_flush(lane, deadline);
	}
	return code == RD_KAFKA_RESP_ERR_NO_ERROR || note_refusal(lane, l, slot, message, code);
}

/* In order, a producer's first message to a topic is sent alone: from an unknown producer, a broker
 * stores the second batch even if it has rejected the first (ProducerAppendInfo in Kafka accepts
 * any first sequence number).  Wait while it is in flight, at most until deadline.  Returns whether
 * the one to be sent now is the first. */
static bool await_first(struct lane *lane, const char *topic, struct instant deadline)
{
	while (lane->in_order && !lane->is_lost && lane->producer != NULL &&
		instant_before(clock_now(), deadline)) {
		enum topic_start *start = producer_start_of(lane->producer, topic);
		if (start == NULL || *start == START_STORED)
			return false;
		if (*start == START_NONE) {
			*start = START_SENT;
			return true;
		}
		lane_flush(lane, deadline);
	}
	return false;
}

bool lane_send(struct lane *lane, struct ledger *l, size_t slot, const struct message *message,
	struct instant deadline)
{
	lane->has_own_times = lane->has_own_times || message->timestamp_ms != 0;
	const struct destination to = destination_of(message);
	if (!lane_topic_may_be_tried(lane, &to, l, slot))
		return false;
	if (lane->is_transactional && lane->is_broken) {
		ledger_record(l, slot, VERDICT_UNSENT, NULL);
		return false;
	}
	bool is_first = await_first(lane, message->topic, deadline);
	bool is_sent = hand_over(lane, l, slot, message, deadline);
	if (is_first && !is_sent && lane->producer != NULL)
		*producer_start_of(lane->producer, message->topic) = START_NONE;
	return is_sent;
}

/* What a failed transaction still has is not sent. */
static void drop_unsent(struct lane *lane, struct ledger *l)
{
	if (!lane->is_transactional || !lane->is_broken)
		return;
	for (size_t slot = 0; slot < l->count; slot++)
		ledger_record(l, slot, VERDICT_UNSENT, NULL);
}

/* Wait for a ledger to be complete; reports that have arrived count even after the deadline.
 * Returns whether it is. */
static bool await_complete(struct lane *lane, struct ledger *l, struct instant deadline)
{
	bool is_time = true;
	while (!ledger_complete(l) && is_time) {
		is_time = instant_before(clock_now(), deadline);
		lane_flush(lane, deadline);
		drop_unsent(lane, l);
	}
	return ledger_complete(l);
}

/* The next message, from *slot on, that has no verdict; false: there is none. */
static bool next_open(const struct ledger *l, size_t *slot)
{
	while (*slot < l->count && l->entries[*slot].verdict != VERDICT_NONE)
		++*slot;
	return *slot < l->count;
}

/* Find out why messages wait: look at the topic of each. */
static void diagnose(struct lane *lane, const struct ledger *l, struct instant until,
	const struct lane_memory *m)
{
	char last[256] = "";
	for (size_t slot = 0; next_open(l, &slot) && instant_before(clock_now(), until); slot++) {
		const struct message *message = m->message_of(m->arg, slot);
		if (message == NULL || strcmp(message->topic, last) == 0)
			continue;
		lane_look(lane, message->topic);
		lane_poll(lane);
		snprintf(last, sizeof last, "%s", message->topic);
	}
}

/* What has no verdict by now is late.  In order, what the producer still has must not be sent, and
 * certainly not a part of it. */
static void give_up(struct lane *lane, struct ledger *l, const struct lane_memory *m)
{
	static const struct message unknown = { 0 };
	for (size_t slot = 0; next_open(l, &slot); slot++) {
		const struct message *message = m->message_of(m->arg, slot);
		refuse_late(lane, l, slot, message != NULL ? message : &unknown,
			"not acknowledged in time");
	}
	if (lane->in_order)
		lane_replace_producer(lane);
}

void lane_await(
	struct lane *lane, struct ledger *l, struct instant deadline, const struct lane_memory *m)
{
	double pause = limit_diagnosis(lane->config->timeout);
	struct instant early = instant_earlier(instant_after(clock_now(), pause), deadline);
	struct instant late = instant_after(deadline, -pause);
	if (await_complete(lane, l, early))
		return;
	if (lane->broker->node_count > 0) /* so that others need not wait as long, in vain */
		diagnose(lane, l, late, m);
	if (await_complete(lane, l, late))
		return;
	diagnose(lane, l, deadline, m);
	if (!await_complete(lane, l, deadline))
		give_up(lane, l, m);
}
