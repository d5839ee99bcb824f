#include "health.h"

#include "log.h"
#include "text.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

struct health {
	pthread_mutex_t lock;
	bool is_up;
	bool is_known;
	char reason[1024]; /* why it is not up; empty: it is */
};

struct health *health_new(void)
{
	struct health *h = memory_new(1, sizeof *h);
	pthread_mutex_init(&h->lock, NULL);
	snprintf(h->reason, sizeof h->reason, "database: not connected yet");
	return h;
}

void health_free(struct health *h)
{
	if (h == NULL)
		return;
	pthread_mutex_destroy(&h->lock);
	free(h);
}

/* Returns whether this is news. */
static bool note(struct health *h, bool is_up, const char *reason)
{
	pthread_mutex_lock(&h->lock);
	bool news = !h->is_known || h->is_up != is_up;
	h->is_known = true;
	h->is_up = is_up;
	snprintf(h->reason, sizeof h->reason, "%s", reason);
	pthread_mutex_unlock(&h->lock);
	return news;
}

void health_connected(struct health *h)
{
	if (note(h, true, ""))
		log_info("database: connected");
}

void health_refused(struct health *h, const char *reason)
{
	if (note(h, false, reason))
		log_warning("%s; waiting for it", reason);
}

bool health_is_up(struct health *h)
{
	pthread_mutex_lock(&h->lock);
	bool is_up = h->is_up;
	pthread_mutex_unlock(&h->lock);
	return is_up;
}

void health_view(struct health *h, char *reason, size_t size)
{
	pthread_mutex_lock(&h->lock);
	snprintf(reason, size, "%s", h->reason);
	pthread_mutex_unlock(&h->lock);
}
