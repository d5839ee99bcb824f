/*
 * Transactions of a lane.
 */
#include "base/text.h"
#include "kafka/lane_internal.h"

#include <stdlib.h>
#include <string.h>

bool lane_needs_fence(const struct lane *lane)
{
	return lane->producer == NULL || lane->is_transaction_open || lane->is_fatal ||
	       lane->generation != atomic_load(&lane->broker->generation);
}

static bool read_number(struct lane *lane, const struct number_request *request, int64_t *number,
	struct instant deadline, struct error *e)
{
	if (lane->reader == NULL)
		lane->reader = number_reader_new(lane->config);
	return number_reader_read(lane->reader, request, number, deadline, e);
}

/* Whether no other database has stored a number for the slot, or for the first one. */
static bool is_ours(struct lane *lane, struct instant deadline, struct error *e)
{
	int64_t ignored;
	struct number_request first = { .group = lane->first_id,
		.database = lane->database,
		.may_change = true },
			      own = first;
	own.group = lane->transactional_id;
	return read_number(lane, &first, &ignored, deadline, e) &&
	       (strcmp(own.group, first.group) == 0 ||
		       read_number(lane, &own, &ignored, deadline, e));
}

/* What is open is aborted, if this is the newest producer of its id: so the broker answers the next
 * one at once. */
void lane_drop(struct lane *lane)
{
	if (lane->is_transaction_open && !lane->is_commit_asked && lane->producer != NULL)
		producer_abort(lane->producer);
	producer_free(lane->producer);
	lane->producer = NULL;
	lane->is_transaction_open = false;
}

/* A new producer of the lane's id.  Whoever has the name of another's instance must not disturb it,
 * so this looks first. */
static bool fence(struct lane *lane, struct instant deadline, struct error *e)
{
	lane_drop(lane);
	if (!is_ours(lane, deadline, e))
		return false;
	lane->batch_size = lane->next_batch_size;
	lane_make_producer(lane, e);
	lane->is_fatal = false;
	if (lane->producer == NULL)
		/* uncovered: no descriptor or thread is left; make failing-calls */
		return false;
	if (producer_init_transactions(lane->producer, deadline, e))
		return true;
	producer_free(lane->producer);
	lane->producer = NULL;
	return false;
}

bool lane_fence(struct lane *lane, const struct lane_sender *sender, struct instant deadline,
	struct error *e)
{
	free(lane->transactional_id);
	free(lane->first_id);
	free(lane->database);
	lane->transactional_id = text_format("%s-%u", sender->instance, sender->slot);
	lane->first_id = text_format("%s-0", sender->instance);
	lane->database = text_copy(sender->database);
	return fence(lane, deadline, e);
}

bool lane_begin_transaction(struct lane *lane, struct instant deadline, struct error *e)
{
	if (lane_needs_fence(lane) && !fence(lane, deadline, e))
		return false;
	lane->is_commit_asked = false;
	lane->is_transaction_open = producer_begin_transaction(lane->producer, e);
	if (lane->is_transaction_open)
		return true;
	producer_free(lane->producer);
	lane->producer = NULL;
	return false;
}

void lane_abort(struct lane *lane, struct instant deadline)
{
	struct error ignored; /* the next transaction fences anyway */
	if (lane->is_transaction_open)
		fence(lane, deadline, &ignored);
}

/* Without a producer there is nothing to do it with. */
static bool has_producer(const struct lane *lane, struct error *e)
{
	return lane->producer != NULL ||
	       error_set(e, ERROR_BROKER, "kafka: the producer had a fatal error");
}

bool lane_store_number(struct lane *lane, const char *topic, int64_t number,
	struct instant deadline, struct error *e)
{
	const struct stored_number n = { topic, number, lane->database };
	return has_producer(lane, e) && producer_store_number(lane->producer, &n, deadline, e);
}

bool lane_commit(struct lane *lane, struct instant deadline, struct error *e)
{
	lane->is_commit_asked = true;
	lane->is_transaction_open =
		!has_producer(lane, e) || !producer_commit(lane->producer, deadline, e);
	return !lane->is_transaction_open;
}

static struct number_request request_for(const struct lane *lane, const char *topic)
{
	return (struct number_request){
		.group = lane->transactional_id, .topic = topic, .database = lane->database
	};
}

bool lane_read_number(struct lane *lane, const char *topic, int64_t *number,
	struct instant deadline, struct error *e)
{
	const struct number_request request = request_for(lane, topic);
	return read_number(lane, &request, number, deadline, e);
}

bool lane_read_all_numbers(
	struct lane *lane, int64_t *number, struct instant deadline, struct error *e)
{
	struct number_request request = request_for(lane, NULL);
	request.asks_all = true;
	return read_number(lane, &request, number, deadline, e);
}

const char *lane_numbered_topic(const struct lane *lane)
{
	return number_reader_topic(lane->reader);
}

bool lane_await_number(
	struct lane *lane, const char *topic, struct instant deadline, struct error *e)
{
	const struct number_request request = request_for(lane, topic);
	return number_reader_await_change(lane->reader, &request, deadline, e);
}
