#include "kafka/number_reader.h"

#include "base/text.h"
#include "kafka/producer.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PAUSE_US     500 /* between attempts, at first, … */
#define PAUSE_MAX_US 50000
#define SLICE_MS     100

struct number_reader {
	const struct config *config;
	rd_kafka_t *handle; /* NULL: none was needed yet, or the last one failed */
	struct producer_events events;
};

/* An answer of the broker. */
struct answer {
	enum { READ, UNSTABLE, FAILED } what; /* UNSTABLE: a transaction is about to change it */
	rd_kafka_resp_err_t code;             /* FAILED: … */
	char reason[512];                     /* … why */
	int64_t number;
};

struct number_reader *number_reader_new(const struct config *config)
{
	struct number_reader *r = memory_new(1, sizeof *r);
	r->config = config;
	return r;
}

static void discard_handle(struct number_reader *r)
{
	if (r->handle != NULL)
		rd_kafka_destroy_flags(r->handle, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
	r->handle = NULL;
}

void number_reader_free(struct number_reader *r)
{
	if (r == NULL)
		return;
	discard_handle(r);
	free(r);
}

/* Take what else the handle has to report. */
static void drain(rd_kafka_t *handle)
{
	rd_kafka_message_t *report;
	while ((report = rd_kafka_consumer_poll(handle, 0)) != NULL)
		rd_kafka_message_destroy(report);
}

static void fail(struct answer *a, rd_kafka_resp_err_t code, const char *reason)
{
	a->what = FAILED;
	a->code = code;
	reason_plain(a->reason, sizeof a->reason, reason);
}

/* The greatest number of the group. */
static void take_greatest(const rd_kafka_group_result_t *group, struct answer *a)
{
	const rd_kafka_topic_partition_list_t *list = rd_kafka_group_result_partitions(group);
	const rd_kafka_error_t *failure = rd_kafka_group_result_error(group);
	if (failure != NULL)
		fail(a, rd_kafka_error_code(failure), rd_kafka_error_string(failure));
	for (int i = 0; list != NULL && i < list->cnt; i++) {
		rd_kafka_resp_err_t code = list->elems[i].err;
		if (code == RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT)
			a->what = UNSTABLE;
		else if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
			fail(a, code, rd_kafka_err2str(code));
		else if (list->elems[i].offset > a->number)
			a->number = list->elems[i].offset;
		if (a->what != READ)
			return;
	}
}

static void take(rd_kafka_event_t *event, struct answer *a)
{
	size_t count = 0;
	const rd_kafka_group_result_t **groups = NULL;
	*a = (struct answer){ .number = -1 };
	if (rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR_NO_ERROR)
		groups = rd_kafka_ListConsumerGroupOffsets_result_groups(
			rd_kafka_event_ListConsumerGroupOffsets_result(event), &count);
	if (count == 1)
		take_greatest(groups[0], a);
	else
		fail(a, rd_kafka_event_error(event), rd_kafka_event_error_string(event));
}

static int left_ms(struct instant deadline)
{
	int left = instant_poll_ms(deadline, clock_now());
	return left > 0 ? left : 1;
}

static rd_kafka_AdminOptions_t *options_for(rd_kafka_t *handle, struct instant deadline)
{
	char reason[256];
	rd_kafka_AdminOptions_t *options =
		rd_kafka_AdminOptions_new(handle, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS);
	rd_kafka_error_t *refused = rd_kafka_AdminOptions_set_require_stable_offsets(options, 1);
	if (refused != NULL || rd_kafka_AdminOptions_set_request_timeout(options, left_ms(deadline),
				       reason, sizeof reason) != RD_KAFKA_RESP_ERR_NO_ERROR)
		abort(); /* both are options of this request, and the time is within limits */
	return options;
}

/* Ask for the committed offsets of the group. */
static void ask(rd_kafka_t *handle, const char *group, const char *topic, struct instant deadline,
	struct answer *a)
{
	rd_kafka_topic_partition_list_t *list = NULL;
	if (topic != NULL) {
		list = rd_kafka_topic_partition_list_new(1);
		rd_kafka_topic_partition_list_add(list, topic, NUMBER_PARTITION);
	}
	rd_kafka_ListConsumerGroupOffsets_t *request =
		rd_kafka_ListConsumerGroupOffsets_new(group, list);
	rd_kafka_AdminOptions_t *options = options_for(handle, deadline);
	rd_kafka_queue_t *queue = rd_kafka_queue_new(handle);
	rd_kafka_event_t *event = NULL;
	rd_kafka_ListConsumerGroupOffsets(handle, &request, 1, options, queue);
	while (event == NULL) { /* the request has a time-out */
		event = rd_kafka_queue_poll(queue, SLICE_MS);
		drain(handle);
	}
	take(event, a);
	rd_kafka_event_destroy(event);
	rd_kafka_queue_destroy(queue);
	rd_kafka_AdminOptions_destroy(options);
	rd_kafka_ListConsumerGroupOffsets_destroy(request);
	if (list != NULL)
		rd_kafka_topic_partition_list_destroy(list);
}

/* Whether another attempt may succeed soon. */
static bool is_passing(const struct answer *a)
{
	return a->what == UNSTABLE || a->code == RD_KAFKA_RESP_ERR_NOT_COORDINATOR ||
	       a->code == RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE ||
	       a->code == RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS;
}

/* One attempt.  librdkafka remembers the coordinator, even if that answers that it is none: so what
 * fails is tried again with another handle.  One that is loading is the right one. */
static bool try_read(struct number_reader *r, const char *group, const char *topic,
	struct instant deadline, struct answer *a)
{
	struct error e;
	if (r->handle == NULL)
		r->handle = producer_make_reader(r->config, group, &r->events, &e);
	if (r->handle == NULL) {
		/* uncovered: no descriptor or thread is left; make failing-calls */
		fail(a, RD_KAFKA_RESP_ERR__FAIL, e.text);
		return false;
	}
	ask(r->handle, group, topic, deadline, a);
	if (a->what == FAILED && a->code != RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS)
		discard_handle(r);
	return a->what == READ;
}

bool number_reader_read(struct number_reader *r, const char *group, struct stored_number *n,
	struct instant deadline, struct error *e)
{
	struct answer a;
	bool is_time = instant_before(clock_now(), deadline);
	for (useconds_t pause = PAUSE_US; !try_read(r, group, n->topic, deadline, &a);) {
		if (!is_time || !is_passing(&a))
			return error_set(e, ERROR_BROKER,
				"kafka: the number that is stored for the group \"%s\" cannot be "
				"read: %s",
				group,
				a.what == FAILED ? a.reason
						 : "a transaction that writes it is still open");
		usleep(pause);
		pause = pause * 2 < PAUSE_MAX_US ? pause * 2 : PAUSE_MAX_US;
		is_time = instant_before(clock_now(), deadline);
	}
	n->number = a.number;
	return true;
}
