#include "kafka/number_reader.h"

#include "base/identity.h"
#include "base/text.h"
#include "kafka/producer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAUSE_US     500 /* between attempts, at first, … */
#define PAUSE_MAX_US 50000
#define SLICE_MS     100

struct number_reader {
	const struct config *config;
	rd_kafka_t *handle; /* NULL: none was needed yet, or the last one failed */
	struct producer_events events;
	char *topic; /* of the number that was read last; or NULL */
};

/* An answer of the broker. */
struct answer {
	enum {
		READ,
		UNSTABLE,
		FOREIGN,
		FAILED
	} what;                   /* UNSTABLE: a transaction is about to
				     change it */
	rd_kafka_resp_err_t code; /* FAILED: … */
	char reason[512];         /* … why */
	int64_t number;
	char *topic; /* of the number; NULL: there is none; the reader's */
	char *other; /* FOREIGN: the database that has stored a number; to be freed */
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
	free(r->topic);
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

static void take_number(
	const rd_kafka_topic_partition_t *offset, const char *database, struct answer *a)
{
	char *owner = text_copy_bytes(
		offset->metadata != NULL ? offset->metadata : "", offset->metadata_size);
	if (offset->offset > a->number) {
		free(a->topic);
		a->topic = text_copy(offset->topic);
		a->number = offset->offset;
	}
	if (identity_differs(database, owner)) {
		a->what = FOREIGN;
		a->other = owner;
	} else {
		free(owner);
	}
}

/* The greatest number of the group.  Of all topics, some may be nothing that the user may read. */
static void take_greatest(
	const rd_kafka_group_result_t *group, const struct number_request *wanted, struct answer *a)
{
	const rd_kafka_topic_partition_list_t *list = rd_kafka_group_result_partitions(group);
	const rd_kafka_error_t *failure = rd_kafka_group_result_error(group);
	if (failure != NULL)
		fail(a, rd_kafka_error_code(failure), rd_kafka_error_string(failure));
	for (int i = 0; list != NULL && i < list->cnt; i++) {
		rd_kafka_resp_err_t code = list->elems[i].err;
		if (code == RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT)
			a->what = UNSTABLE;
		else if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
			take_number(&list->elems[i], wanted->database, a);
		else if (!wanted->asks_all)
			fail(a, code, rd_kafka_err2str(code));
		if (a->what != READ)
			return;
	}
}

static void take(rd_kafka_event_t *event, const struct number_request *wanted, struct answer *a)
{
	size_t count = 0;
	const rd_kafka_group_result_t **groups = NULL;
	if (rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR_NO_ERROR)
		groups = rd_kafka_ListConsumerGroupOffsets_result_groups(
			rd_kafka_event_ListConsumerGroupOffsets_result(event), &count);
	if (count == 1)
		take_greatest(groups[0], wanted, a);
	else
		fail(a, rd_kafka_event_error(event), rd_kafka_event_error_string(event));
}

static int left_ms(struct instant deadline)
{
	int left = instant_poll_ms(deadline, clock_now());
	return left > 0 ? left : 1;
}

static rd_kafka_AdminOptions_t *options_for(
	rd_kafka_t *handle, bool may_change, struct instant deadline)
{
	char reason[256];
	rd_kafka_AdminOptions_t *options =
		rd_kafka_AdminOptions_new(handle, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS);
	rd_kafka_error_t *refused =
		rd_kafka_AdminOptions_set_require_stable_offsets(options, !may_change);
	if (refused != NULL || rd_kafka_AdminOptions_set_request_timeout(options, left_ms(deadline),
				       reason, sizeof reason) != RD_KAFKA_RESP_ERR_NO_ERROR)
		abort(); /* both are options of this request, and the time is within limits */
	return options;
}

/* The topics that the broker is asked for; NULL: all that have a number.  False on failure. */
static bool list_topics(rd_kafka_t *handle, const struct number_request *wanted,
	struct instant deadline, rd_kafka_topic_partition_list_t **list, struct answer *a)
{
	const struct rd_kafka_metadata *cluster;
	*list = NULL;
	if (wanted->topic == NULL && !wanted->asks_all)
		return true;
	*list = rd_kafka_topic_partition_list_new(1);
	if (!wanted->asks_all) {
		rd_kafka_topic_partition_list_add(*list, wanted->topic, NUMBER_PARTITION);
		return true;
	}
	rd_kafka_resp_err_t code = rd_kafka_metadata(handle, 1, NULL, &cluster, left_ms(deadline));
	if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
		fail(a, code, rd_kafka_err2str(code));
		rd_kafka_topic_partition_list_destroy(*list);
		return false;
	}
	for (int i = 0; i < cluster->topic_cnt; i++)
		rd_kafka_topic_partition_list_add(
			*list, cluster->topics[i].topic, NUMBER_PARTITION);
	rd_kafka_metadata_destroy(cluster);
	return true;
}

/* Ask for the committed offsets of the group. */
static void ask(rd_kafka_t *handle, const struct number_request *wanted, struct instant deadline,
	struct answer *a)
{
	rd_kafka_topic_partition_list_t *list;
	if (!list_topics(handle, wanted, deadline, &list, a))
		return;
	rd_kafka_ListConsumerGroupOffsets_t *request =
		rd_kafka_ListConsumerGroupOffsets_new(wanted->group, list);
	rd_kafka_AdminOptions_t *options = options_for(handle, wanted->may_change, deadline);
	rd_kafka_queue_t *queue = rd_kafka_queue_new(handle);
	rd_kafka_event_t *event = NULL;
	rd_kafka_ListConsumerGroupOffsets(handle, &request, 1, options, queue);
	while (event == NULL) { /* the request has a time-out */
		event = rd_kafka_queue_poll(queue, SLICE_MS);
		drain(handle);
	}
	take(event, wanted, a);
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
static bool try_read(struct number_reader *r, const struct number_request *request,
	struct instant deadline, struct answer *a)
{
	struct error e;
	*a = (struct answer){ .number = -1 };
	if (r->handle == NULL)
		r->handle = producer_make_reader(r->config, request->group, &r->events, &e);
	if (r->handle == NULL) {
		/* uncovered: no descriptor or thread is left; make failing-calls */
		fail(a, RD_KAFKA_RESP_ERR__FAIL, e.text);
		return false;
	}
	ask(r->handle, request, deadline, a);
	free(r->topic);
	r->topic = a->topic;
	if (a->what == FAILED && a->code != RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS)
		discard_handle(r);
	return a->what == READ || a->what == FOREIGN;
}

/* Always returns false. */
static bool say_foreign(const struct number_request *request, const char *other, struct error *e)
{
	const char *slot = strrchr(request->group, '-');
	struct text foreign = { 0 }, own = { 0 };
	identity_describe(other, &foreign);
	identity_describe(request->database, &own);
	error_set(e, ERROR_INSTANCE,
		"kafka: slot %s of instance \"%.*s\" has numbers of another database, %s, and this "
		"one is %s; set \"instance\" to a name that no other database uses",
		slot + 1, (int)(slot - request->group), request->group, foreign.text, own.text);
	text_free(&foreign);
	text_free(&own);
	return false;
}

bool number_reader_read(struct number_reader *r, const struct number_request *request,
	int64_t *number, struct instant deadline, struct error *e)
{
	struct answer a;
	useconds_t pause = PAUSE_US;
	while (!try_read(r, request, deadline, &a)) {
		bool may_pass = is_passing(&a);
		if (may_pass)
			usleep(pause);
		if (!may_pass || !instant_before(clock_now(), deadline))
			return error_set(e, a.what == UNSTABLE ? ERROR_CONFLICT : ERROR_BROKER,
				"kafka: the number that is stored for the group \"%s\" cannot be "
				"read: %s",
				request->group,
				a.what == FAILED ? a.reason
						 : "a transaction that writes it is still open");
		pause = pause * 2 < PAUSE_MAX_US ? pause * 2 : PAUSE_MAX_US;
	}
	*number = a.number;
	bool is_own = a.what == READ || say_foreign(request, a.other, e);
	free(a.other);
	return is_own;
}

const char *number_reader_topic(const struct number_reader *r)
{
	return r->topic;
}

/* A broker that knows of no change coordinates the group no longer, whatever it thinks: another
 * handle finds the one that does. */
bool number_reader_await_change(struct number_reader *r, const struct number_request *request,
	struct instant deadline, struct error *e)
{
	struct answer a;
	bool has_answer = try_read(r, request, deadline, &a);
	while (a.what != UNSTABLE) {
		if (has_answer)
			discard_handle(r);
		free(a.other);
		if (!instant_before(clock_now(), deadline) || (!has_answer && !is_passing(&a)))
			return error_set(e, ERROR_BROKER,
				"kafka: whether the number that is stored for the group \"%s\" is "
				"up to date cannot be found out: %s",
				request->group,
				has_answer ? "its coordinator does not know of a new one"
					   : a.reason);
		usleep(PAUSE_MAX_US);
		has_answer = try_read(r, request, deadline, &a);
	}
	return true;
}
