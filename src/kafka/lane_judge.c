/*
 * Interpreting an answer: the verdict, and the reason for people, with the limits that apply.
 */
#include "kafka/lane_internal.h"
#include "kafka/verdict.h"

#include <stdio.h>
#include <string.h>

#define ASK_SETTINGS_MS 1000
#define FATAL           "the producer had a fatal error and was replaced"
#define SETTINGS_S      10.0 /* how long the settings of a topic are considered valid */

/* Whether the message was a batch by itself, so that the answer is about nothing else. */
static bool is_by_itself(struct lane *lane, const rd_kafka_message_t *report)
{
	return lane->is_alone ||
	       (lane->in_order && *producer_start_of(lane->producer,
					  rd_kafka_topic_name(report->rkt)) == START_SENT);
}

/* Whether this host's clock is at fault.  This cannot be determined for a batch in which a row's
 * own time may be wrong: then each message must be sent by itself. */
static bool is_hosts_time(struct lane *lane, const rd_kafka_message_t *report)
{
	uint64_t word = (uint64_t)(uintptr_t)report->_private;
	if (!verdict_is_of_time(report->err) || (word & LANE_OWN_TIME) != 0)
		return false;
	return !lane->has_own_times || is_by_itself(lane, report);
}

/* The settings of the topic.  Many messages of one batch query the same ones. */
static const struct topic_settings *settings_of(
	struct lane *lane, rd_kafka_t *handle, const char *topic)
{
	struct settings_answer *a = &lane->settings;
	if (strcmp(a->topic, topic) != 0 || !instant_before(clock_now(), a->stale)) {
		a->settings = ask_topic_settings(handle, topic, ASK_SETTINGS_MS);
		a->stale = instant_after(clock_now(), SETTINGS_S);
		snprintf(a->topic, sizeof a->topic, "%s", topic);
	}
	return &a->settings;
}

/* In order, or with transactions, the next producer, which replaces this one after a rejected
 * message anyway, makes batches that the topic accepts: of half the size if the limit is not known.
 * But a single message that is too large says nothing about batches.  0: as configured.  What was
 * learned stays: a message that is isolated as too large is one of a burst that is sent again. */
static size_t next_batch_size(struct lane *lane, const struct topic_settings *s)
{
	size_t tried = lane->batch_size > 0 ? lane->batch_size : LANE_BATCH_SIZE;
	lane->too_large++;
	if (s->is_known)
		return s->max_message_bytes < tried ? s->max_message_bytes : lane->batch_size;
	if (lane->too_large == 1)
		return lane->batch_size;
	return tried / 2 > LANE_BATCH_MIN ? tried / 2 : LANE_BATCH_MIN;
}

/* What a message adds to a batch in which it is alone, at most, without headers. */
#define FRAMING 100

static void too_large(struct lane *lane, rd_kafka_t *handle, const rd_kafka_message_t *report,
	struct judgement *j)
{
	const char *topic = rd_kafka_topic_name(report->rkt);
	const struct topic_settings *s = settings_of(lane, handle, topic);
	size_t size = report->len + report->key_len;
	if (lane->in_order || lane->is_transactional)
		lane->next_batch_size = next_batch_size(lane, s);
	if (s->is_known && size + FRAMING > s->max_message_bytes && j->blame == BLAME_SHARED)
		j->blame = BLAME_LIKELY;
	if (s->is_known)
		snprintf(j->text, sizeof j->text,
			"%s: it has %zu bytes, and max.message.bytes of topic %s is %zu", j->reason,
			size, topic, s->max_message_bytes);
	else
		snprintf(j->text, sizeof j->text,
			"%s: it has %zu bytes; is max.message.bytes of topic %s less?", j->reason,
			size, topic);
	j->reason = j->text;
}

static void invalid(struct lane *lane, rd_kafka_t *handle, const rd_kafka_message_t *report,
	struct judgement *j)
{
	const char *topic = rd_kafka_topic_name(report->rkt);
	if (report->key != NULL)
		return;
	const struct topic_settings *s = settings_of(lane, handle, topic);
	if (s->is_known && !s->compacts)
		return;
	snprintf(j->text, sizeof j->text,
		s->is_known ? "%s: the key is NULL, and topic %s is compacted (cleanup.policy)"
			    : "%s: the key is NULL; is topic %s compacted (cleanup.policy)?",
		j->reason, topic);
	j->reason = j->text;
}

/* A compacted topic accepts no message of a model without a key: that is not the fault of a row. */
static bool is_for_the_key(struct lane *lane, rd_kafka_t *handle, const rd_kafka_message_t *report)
{
	uint64_t word = (uint64_t)(uintptr_t)report->_private;
	if (report->err != RD_KAFKA_RESP_ERR_INVALID_RECORD || (word & LANE_KEYLESS) == 0)
		return false;
	const struct topic_settings *s =
		settings_of(lane, handle, rd_kafka_topic_name(report->rkt));
	return !s->is_known || s->compacts;
}

/* The reason for a message that may be judged with others is never shown: it is sent again. */
static void explain(struct lane *lane, rd_kafka_t *handle, const rd_kafka_message_t *report,
	struct judgement *j)
{
	if (!lane->is_alone && !lane->in_order && !lane->is_transactional)
		return;
	if (report->err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE ||
		report->err == RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE)
		too_large(lane, handle, report, j);
	else if (report->err == RD_KAFKA_RESP_ERR_INVALID_RECORD)
		invalid(lane, handle, report, j);
}

/* Whether it was not sent because of a fatal error, after which nothing is. */
static bool is_fatal(rd_kafka_resp_err_t code)
{
	return code == RD_KAFKA_RESP_ERR__FATAL || code == RD_KAFKA_RESP_ERR__PURGE_QUEUE ||
	       code == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT;
}

void lane_judge(struct lane *lane, rd_kafka_t *handle, const rd_kafka_message_t *report,
	struct judgement *j)
{
	j->verdict = verdict_of(report->err);
	j->cause = verdict_cause(report->err);
	j->blame = BLAME_SHARED;
	j->is_models = false;
	j->reason = verdict_text(report->err);
	if (is_hosts_time(lane, report)) {
		j->verdict = VERDICT_UNKNOWN;
		j->reason = "the broker refuses this host's time (Broker: Invalid timestamp); "
			    "is a clock wrong?";
	} else if (report->err == RD_KAFKA_RESP_ERR__MSG_TIMED_OUT) {
		const struct destination at = { rd_kafka_topic_name(report->rkt),
			report->partition };
		lane_late(lane, &at, "not acknowledged in time", j);
	} else if (is_fatal(report->err)) {
		lane_late(lane, &(struct destination){ 0 }, FATAL, j);
	} else if (is_for_the_key(lane, handle, report)) {
		j->verdict = VERDICT_TOPIC;
		j->is_models = true;
		j->reason = "the broker does not accept messages without a key and the model has "
			    "none; set key, or set cleanup.policy of the topic to delete";
	} else if (j->verdict == VERDICT_REJECTED) {
		if (is_by_itself(lane, report))
			j->blame = BLAME_SOLE;
		explain(lane, handle, report, j);
	}
}

void lane_judge_refusal(struct lane *lane, rd_kafka_resp_err_t code, const struct message *message,
	struct judgement *j)
{
	size_t bytes = message->key_length + message->value_length;
	for (size_t i = 0; i < message->header_count; i++)
		bytes += strlen(message->headers[i].name) + message->headers[i].length;
	j->verdict = verdict_of(code);
	j->cause = verdict_cause(code);
	j->blame = BLAME_SOLE;
	j->reason = verdict_text(code);
	if (is_fatal(code)) {
		lane_late(lane, &(struct destination){ 0 }, FATAL, j);
	} else if (code == RD_KAFKA_RESP_ERR__TIMED_OUT || code == RD_KAFKA_RESP_ERR__TRANSPORT) {
		/* A message is never refused for that: see offer() in lane.c. */
		lane_late(lane, &(struct destination){ message->topic, message->partition },
			"the broker did not answer which partitions the topic has", j);
	} else if (code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE) {
		snprintf(j->text, sizeof j->text,
			"a message of %zu bytes%s is larger than kafka.message_max_bytes (%zu)",
			bytes, bytes <= lane->message_max_bytes ? " and their framing" : "",
			lane->message_max_bytes);
		j->reason = j->text;
	} else if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
		j->verdict = VERDICT_REJECTED;
		j->cause = 0; /* it is too large by itself */
		snprintf(j->text, sizeof j->text,
			"a message of %zu bytes does not fit into "
			"kafka.queue_buffering_max_kbytes (%zu)",
			bytes, lane->queue_max_kbytes);
		j->reason = j->text;
	}
}

void lane_record(struct ledger *l, size_t slot, const struct judgement *j)
{
	if (ledger_record(l, slot, j->verdict, j->reason))
		ledger_explain(l, slot, j->cause, j->blame);
}
