/*
 * Whether a lane reaches the broker.
 */
#include "base/limits.h"
#include "kafka/lane_internal.h"

#include <math.h>
#include <stdio.h>

#define ASK_MS 500

/* Whether a query through its producer, if it has one, is answered. */
static bool producer_answers(struct lane *lane, char *why, size_t size)
{
	int wait_ms = (int)(fmin(ASK_MS / 1e3, limit_diagnosis(lane->config->timeout)) * 1000);
	rd_kafka_resp_err_t code = producer_ask(lane->producer, wait_ms);
	producer_poll(lane->producer, 0); /* for errors that were reported meanwhile */
	if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
		return true;
	snprintf(why, size, "%s", lane->trouble[0] != '\0' ? lane->trouble : reason_of_code(code));
	producer_free(lane->producer);
	lane->producer = NULL;
	return false;
}

bool lane_answers(struct lane *lane, char *why, size_t size)
{
	struct error e;
	pthread_mutex_lock(&lane->turn);
	bool answers = lane->producer != NULL && producer_answers(lane, why, size);
	if (lane->producer == NULL) {
		lane_make_producer(lane, &e);
		if (lane->producer == NULL)
			snprintf(why, size, "%s", e.text);
	}
	pthread_mutex_unlock(&lane->turn);
	return answers;
}
