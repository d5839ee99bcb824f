/*
 * Transactions of a lane.
 */
#include "base/text.h"
#include "kafka/lane_internal.h"

#include <stdlib.h>

bool lane_needs_fence(const struct lane *lane)
{
	return lane->producer == NULL || lane->is_transaction_open || lane->is_fatal ||
	       lane->generation != atomic_load(&lane->broker->generation);
}

bool lane_fence(struct lane *lane, const char *id, struct instant deadline, struct error *e)
{
	char *copy = text_copy(id); /* it may be the lane's */
	free(lane->transactional_id);
	lane->transactional_id = copy;
	/* The broker answers a new producer at once if nothing is open. */
	if (lane->is_transaction_open && !lane->is_commit_asked && lane->producer != NULL)
		producer_abort(lane->producer);
	producer_free(lane->producer);
	lane->is_transaction_open = false;
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

bool lane_begin_transaction(struct lane *lane, struct instant deadline, struct error *e)
{
	if (lane_needs_fence(lane) && !lane_fence(lane, lane->transactional_id, deadline, e))
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
		lane_fence(lane, lane->transactional_id, deadline, &ignored);
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
	return has_producer(lane, e) &&
	       producer_store_number(lane->producer, topic, number, deadline, e);
}

bool lane_commit(struct lane *lane, struct instant deadline, struct error *e)
{
	lane->is_commit_asked = true;
	lane->is_transaction_open =
		!has_producer(lane, e) || !producer_commit(lane->producer, deadline, e);
	return !lane->is_transaction_open;
}

bool lane_read_number(struct lane *lane, const char *topic, int64_t *number,
	struct instant deadline, struct error *e)
{
	struct stored_number n = { topic, -1 };
	if (lane->reader == NULL)
		lane->reader = number_reader_new(lane->config);
	if (!number_reader_read(lane->reader, lane->transactional_id, &n, deadline, e))
		return false;
	*number = n.number;
	return true;
}
