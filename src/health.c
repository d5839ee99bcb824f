#include "health.h"

#include "log.h"
#include "text.h"

#include <pthread.h>
#include <stdlib.h>

struct health {
	pthread_mutex_t lock;
	bool is_up;
	bool is_known;
};

struct health *health_new(void)
{
	struct health *h = memory_new(1, sizeof *h);
	pthread_mutex_init(&h->lock, NULL);
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
static bool note(struct health *h, bool is_up)
{
	pthread_mutex_lock(&h->lock);
	bool news = !h->is_known || h->is_up != is_up;
	h->is_known = true;
	h->is_up = is_up;
	pthread_mutex_unlock(&h->lock);
	return news;
}

void health_connected(struct health *h)
{
	if (note(h, true))
		log_info("database: connected");
}

void health_refused(struct health *h, const char *reason)
{
	if (note(h, false))
		log_warning("%s; waiting for it", reason);
}

bool health_is_up(struct health *h)
{
	pthread_mutex_lock(&h->lock);
	bool is_up = h->is_up;
	pthread_mutex_unlock(&h->lock);
	return is_up;
}
