/*
 * The broker from its beginning to its end.  Each file calls only those after it: this one, then
 * broker_watch.c, broker_lanes.c, the lanes, which know nothing of each other, and what they record
 * of the broker (broker_state.c, broker_nodes.c).
 */
#include "kafka/broker.h"

#include "base/text.h"
#include "kafka/broker_internal.h"

#include <stdlib.h>

struct broker *broker_new(const struct config *config, unsigned workers, struct error *e)
{
	struct broker *broker = memory_new(1, sizeof *broker);
	broker->config = config;
	broker->workers = workers;
	broker_make_lanes(broker);
	pthread_mutex_init(&broker->making, NULL);
	pthread_mutex_init(&broker->lock, NULL);
	clock_condition_init(&broker->up);
	clock_condition_init(&broker->doubtful);
	if (broker_first_lane(broker, e) != NULL)
		return broker;
	broker_free(broker);
	return NULL;
}

void broker_free(struct broker *broker)
{
	if (broker == NULL)
		return;
	broker_end_watch(broker);
	broker_free_lanes(broker);
	free(broker->nodes);
	pthread_mutex_destroy(&broker->making);
	pthread_mutex_destroy(&broker->lock);
	pthread_cond_destroy(&broker->up);
	pthread_cond_destroy(&broker->doubtful);
	free(broker);
}
