/*
 * Transactions of a producer, in the first version of their protocol, which is the one that
 * librdkafka speaks: a request names the producer and its epoch, but not the transaction.  One that
 * is late changes, or ends, whichever transaction of this epoch is open then (KAFKA-17754).
 * docs/exactly-once.pml models what follows from that.
 */
#include "base/text.h"
#include "kafka/producer_internal.h"

#include <stdlib.h>
#include <string.h>

/* Kafka's keys of the two requests. */
enum { TXN_OFFSET_COMMIT = 28, END_TXN = 26 };

#define ABORT_MS 1000

/* Called by a thread of librdkafka when a request was written to a socket, before its answer can be
 * read.  What was not written as a whole, no broker executes. */
static rd_kafka_resp_err_t on_request(rd_kafka_t *handle, int sock, const char *name, int32_t node,
	int16_t key, int16_t version, int32_t correlation, size_t size, void *arg)
{
	struct producer *p = arg;
	(void)handle, (void)sock, (void)name, (void)node, (void)version, (void)correlation;
	(void)size;
	if (key == TXN_OFFSET_COMMIT)
		atomic_fetch_add(&p->numbers_sent, 1);
	else if (key == END_TXN)
		atomic_fetch_add(&p->ends_sent, 1);
	return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t on_new(
	rd_kafka_t *handle, const rd_kafka_conf_t *conf, void *arg, char *reason, size_t size)
{
	(void)conf;
	if (size > 0)
		reason[0] = '\0'; /* librdkafka says what is wrong with the interceptor */
	return rd_kafka_interceptor_add_on_request_sent(handle, "signalbus", on_request, arg);
}

void producer_count_requests(struct producer *p, rd_kafka_conf_t *conf)
{
	if (rd_kafka_conf_interceptor_add_on_new(conf, "signalbus", on_new, p) !=
		RD_KAFKA_RESP_ERR_NO_ERROR)
		abort(); /* it is the first of its name */
}

static int left_ms(struct instant deadline)
{
	int left = instant_poll_ms(deadline, clock_now());
	return left > 0 ? left : 1;
}

/* Whether a call succeeded; frees its error. */
static bool is_ok(const struct producer *p, rd_kafka_error_t *failure, struct error *e)
{
	char reason[512];
	if (failure == NULL)
		return true;
	reason_plain(reason, sizeof reason, rd_kafka_error_string(failure));
	error_set(
		e, ERROR_BROKER, "kafka: transactional id \"%s\": %s", p->transactional_id, reason);
	rd_kafka_error_destroy(failure);
	return false;
}

bool producer_init_transactions(struct producer *p, struct instant deadline, struct error *e)
{
	return is_ok(p, rd_kafka_init_transactions(p->handle, left_ms(deadline)), e);
}

bool producer_begin_transaction(struct producer *p, struct error *e)
{
	atomic_store(&p->numbers_sent, 0);
	atomic_store(&p->ends_sent, 0);
	return is_ok(p, rd_kafka_begin_transaction(p->handle), e);
}

/* Messages that librdkafka is about to send again would keep the abort from beginning. */
void producer_abort(struct producer *p)
{
	rd_kafka_purge(p->handle, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
	rd_kafka_error_t *failure = rd_kafka_abort_transaction(p->handle, ABORT_MS);
	if (failure != NULL)
		rd_kafka_error_destroy(failure);
}

bool producer_store_number(
	struct producer *p, const struct stored_number *n, struct instant deadline, struct error *e)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	rd_kafka_consumer_group_metadata_t *group =
		rd_kafka_consumer_group_metadata_new(p->transactional_id);
	rd_kafka_topic_partition_t *offset =
		rd_kafka_topic_partition_list_add(list, n->topic, NUMBER_PARTITION);
	offset->offset = n->number;
	offset->metadata = text_copy(n->database); /* the list frees it */
	offset->metadata_size = strlen(n->database);
	bool ok = is_ok(p,
		rd_kafka_send_offsets_to_transaction(p->handle, list, group, left_ms(deadline)), e);
	rd_kafka_consumer_group_metadata_destroy(group);
	rd_kafka_topic_partition_list_destroy(list);
	return ok;
}

bool producer_commit(struct producer *p, struct instant deadline, struct error *e)
{
	if (!is_ok(p, rd_kafka_commit_transaction(p->handle, left_ms(deadline)), e))
		return false;
	if (atomic_load(&p->ends_sent) == 1 && atomic_load(&p->numbers_sent) == 1)
		return true;
	return error_set(e, ERROR_BROKER,
		"kafka: transactional id \"%s\": a request was not answered and had to be repeated",
		p->transactional_id);
}
