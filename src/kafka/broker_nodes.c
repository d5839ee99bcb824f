/*
 * The nodes of the cluster that have a problem: librdkafka reports broken connections, and lanes
 * ask leaders whether they answer (lane_look.c).
 */
#include "base/text.h"
#include "kafka/broker_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JITTER    0.5
#define NODES_MAX 100 /* of a cluster; beyond this the oldest is forgotten */

/* Under the lock, as all that are static. */
static struct node_trouble *find(const struct broker *broker, int32_t id, const char *address)
{
	for (size_t i = 0; i < broker->node_count; i++) {
		struct node_trouble *n = &broker->nodes[i];
		if (id >= 0 && n->id >= 0 ? n->id == id : strcmp(n->address, address) == 0)
			return n;
	}
	return NULL;
}

static void forget(struct broker *broker, struct node_trouble *n)
{
	size_t count = atomic_load(&broker->node_count) - 1;
	*n = broker->nodes[count];
	atomic_store(&broker->node_count, count);
}

/* The state of a node, created if there is none. */
static struct node_trouble *have(struct broker *broker, int32_t id, const char *address)
{
	struct node_trouble *n = find(broker, id, address);
	if (n == NULL && broker->node_count == NODES_MAX)
		forget(broker, &broker->nodes[0]);
	if (n == NULL) {
		size_t count = atomic_load(&broker->node_count);
		broker->nodes = memory_resize(broker->nodes, count + 1, sizeof *broker->nodes);
		n = &broker->nodes[count];
		*n = (struct node_trouble){ .id = id };
		snprintf(n->address, sizeof n->address, "%s", address);
		atomic_store(&broker->node_count, count + 1);
	}
	n->id = id >= 0 ? id : n->id;
	return n;
}

/* librdkafka's messages about a broker begin with "PROTOCOL://HOST:PORT/ID: ", with the ID
 * "bootstrap" before it is known. */
bool broker_node_failed(struct broker *broker, int code, const char *reason)
{
	const char *protocol = strstr(reason, "://");
	const char *end = strstr(reason, ": ");
	const char *slash = end != NULL ? memrchr(reason, '/', (size_t)(end - reason)) : NULL;
	const char *start = protocol != NULL && protocol < end ? protocol + 3 : reason;
	char address[sizeof broker->nodes->address], *rest;
	if (slash == NULL || slash < start || memchr(reason, ' ', (size_t)(end - reason)) != NULL)
		return false;
	snprintf(address, sizeof address, "%.*s", (int)(slash - start), start);
	int32_t id = (int32_t)strtol(slash + 1, &rest, 10);
	pthread_mutex_lock(&broker->lock);
	struct node_trouble *n = have(broker, rest == end ? id : -1, address);
	trouble_note(&n->trouble, code, reason);
	n->was_up = strstr(reason, " in state UP") != NULL;
	n->at = clock_now();
	atomic_store(&broker->troubled_ns, n->at.ns);
	pthread_mutex_unlock(&broker->lock);
	return true;
}

void broker_node_works(struct broker *broker, int32_t id)
{
	if (broker->node_count == 0)
		return;
	pthread_mutex_lock(&broker->lock);
	for (size_t i = broker->node_count; i-- > 0;)
		if (broker->nodes[i].id == id || broker->nodes[i].id < 0)
			forget(broker, &broker->nodes[i]);
	pthread_mutex_unlock(&broker->lock);
}

bool broker_node_known(struct broker *broker, struct node_trouble *t)
{
	pthread_mutex_lock(&broker->lock);
	const struct node_trouble *n = find(broker, t->id, t->address);
	if (n != NULL)
		*t = *n;
	pthread_mutex_unlock(&broker->lock);
	return n != NULL;
}

/* Query the leader of a partition, which does not answer, later. */
static void lose(struct node_trouble *n, const char *topic, int32_t partition)
{
	snprintf(n->topic, sizeof n->topic, "%s", topic);
	n->partition = partition;
	n->is_lost = true;
	n->next_ask = instant_after(clock_now(), clock_backoff_delay(++n->failures, JITTER));
}

void broker_node_asked(struct broker *broker, struct node_trouble *t, bool answers,
	const char *topic, int32_t partition)
{
	pthread_mutex_lock(&broker->lock);
	struct node_trouble *n =
		answers ? find(broker, t->id, t->address) : have(broker, t->id, t->address);
	if (!answers) {
		lose(n, topic, partition);
		atomic_store(&broker->troubled_ns, clock_now().ns);
		*t = *n; /* with messages received meanwhile */
	} else if (n != NULL) {
		forget(broker, n);
	}
	pthread_mutex_unlock(&broker->lock);
}

bool broker_lost_node(struct broker *broker, struct node_trouble *lost)
{
	bool any = false;
	pthread_mutex_lock(&broker->lock);
	for (size_t i = 0; !any && i < broker->node_count; i++)
		if (broker->nodes[i].is_lost &&
			!instant_before(clock_now(), broker->nodes[i].next_ask)) {
			any = true;
			broker->nodes[i].next_ask = instant_after(clock_now(), 1);
			*lost = broker->nodes[i];
		}
	pthread_mutex_unlock(&broker->lock);
	return any;
}
