#include "daemon/health.h"

#include "base/log.h"
#include "base/outage.h"
#include "base/text.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>

/* A connected worker verifies its connection within that time; and while none is connected, an
 * attempt in progress need not end first. */
#define DOUBT_S       10.0
#define DOUBT_ALONE_S 1.0
/* For the listener to connect instead of a worker; and how often before something else must be the
 * reason that it cannot. */
#define ROOM_S    1.0
#define ROOMS_MAX 5

struct health {
	pthread_mutex_t lock;
	unsigned workers, connected, trying;
	bool is_up;
	struct outage outage;   /* it is down, as logged */
	bool is_short;          /* it was logged that not all are connected */
	bool is_doubtful;       /* one was refused … */
	struct instant refused; /* … then, and the meaning is not yet known */
	int listener_fd;        /* written to when the listener should act; -1: none */
	bool wants_room;
	unsigned rooms;          /* since the listener was connected */
	struct instant reserved; /* until then no worker connects */
	char reason[1024];
};

struct health *health_new(unsigned workers)
{
	struct health *h = memory_new(1, sizeof *h);
	pthread_mutex_init(&h->lock, NULL);
	h->workers = workers;
	h->listener_fd = -1;
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

/* Under the lock. */
static void note_up(struct health *h, struct instant now)
{
	h->is_doubtful = false;
	bool was_down = outage_lasts(&h->outage);
	double seconds = outage_end(&h->outage, now);
	if (was_down)
		log_warning("database: connected, after %.0f s", seconds);
	else if (!h->is_up)
		log_info("database: connected");
	h->is_up = true;
}

/* Under the lock. */
static void note_down(struct health *h, struct instant now)
{
	h->is_doubtful = h->is_short = h->is_up = false;
	if (outage_note(&h->outage, h->reason, now))
		log_warning("%s; waiting for it", h->reason);
}

bool health_try(struct health *h)
{
	pthread_mutex_lock(&h->lock);
	bool may = h->connected == 0 || !instant_before(clock_now(), h->reserved);
	h->trying += may;
	pthread_mutex_unlock(&h->lock);
	return may;
}

void health_connected(struct health *h)
{
	pthread_mutex_lock(&h->lock);
	h->trying--;
	h->connected++;
	note_up(h, clock_now());
	if (h->is_short && h->connected == h->workers) {
		h->is_short = false;
		log_warning("all %u connections to the database are established", h->workers);
	}
	pthread_mutex_unlock(&h->lock);
}

void health_lost(struct health *h)
{
	pthread_mutex_lock(&h->lock);
	h->connected--;
	bool has_room = instant_before(clock_now(), h->reserved);
	if ((h->connected == 0 || has_room) && h->listener_fd >= 0)
		eventfd_write(h->listener_fd, 1);
	pthread_mutex_unlock(&h->lock);
}

void health_rouse(struct health *h, int fd)
{
	pthread_mutex_lock(&h->lock);
	h->listener_fd = fd;
	pthread_mutex_unlock(&h->lock);
}

void health_refused(struct health *h, const char *reason)
{
	struct instant now = clock_now();
	pthread_mutex_lock(&h->lock);
	snprintf(h->reason, sizeof h->reason, "%s", reason);
	h->trying--;
	double limit = h->connected > 0 ? DOUBT_S : DOUBT_ALONE_S;
	bool is_overdue = h->is_doubtful && instant_seconds(h->refused, now) > limit;
	if ((h->connected == 0 && h->trying == 0) || is_overdue) {
		note_down(h, now);
	} else if (!h->is_doubtful && !h->is_short) {
		h->is_doubtful = true;
		h->refused = now;
	}
	pthread_mutex_unlock(&h->lock);
}

bool health_is_doubtful(struct health *h)
{
	pthread_mutex_lock(&h->lock);
	bool is_doubtful = h->is_doubtful;
	pthread_mutex_unlock(&h->lock);
	return is_doubtful;
}

void health_answered(struct health *h, struct instant start)
{
	pthread_mutex_lock(&h->lock);
	if (h->is_doubtful && !instant_before(start, h->refused)) {
		h->is_short = true;
		log_warning("only %u of %u connections to the database: %s; allow more connections,"
			    " or lower workers",
			h->connected, h->workers, h->reason);
	}
	if (!instant_before(start, h->refused))
		note_up(h, clock_now());
	pthread_mutex_unlock(&h->lock);
}

bool health_want_room(struct health *h)
{
	pthread_mutex_lock(&h->lock);
	bool has_room = instant_before(clock_now(), h->reserved);
	h->wants_room = !has_room && h->connected > 1 && h->rooms < ROOMS_MAX;
	pthread_mutex_unlock(&h->lock);
	return has_room;
}

void health_listens(struct health *h)
{
	pthread_mutex_lock(&h->lock);
	h->wants_room = false;
	h->rooms = 0;
	h->reserved = (struct instant){ 0 };
	pthread_mutex_unlock(&h->lock);
}

bool health_yield(struct health *h)
{
	pthread_mutex_lock(&h->lock);
	bool yields = h->wants_room && h->connected > 1;
	if (yields) {
		h->reserved = instant_after(clock_now(), ROOM_S);
		h->rooms++;
	}
	h->wants_room = false;
	pthread_mutex_unlock(&h->lock);
	return yields;
}

bool health_has_worker(struct health *h)
{
	pthread_mutex_lock(&h->lock);
	bool has_worker = h->connected > 0;
	pthread_mutex_unlock(&h->lock);
	return has_worker;
}

bool health_is_short(struct health *h)
{
	pthread_mutex_lock(&h->lock);
	bool is_short = h->is_short;
	pthread_mutex_unlock(&h->lock);
	return is_short;
}

bool health_is_complete(struct health *h)
{
	pthread_mutex_lock(&h->lock);
	bool is_complete = h->connected == h->workers;
	pthread_mutex_unlock(&h->lock);
	return is_complete;
}

bool health_is_up(struct health *h)
{
	pthread_mutex_lock(&h->lock);
	bool is_up = h->is_up;
	pthread_mutex_unlock(&h->lock);
	return is_up;
}

bool health_is_down(struct health *h)
{
	pthread_mutex_lock(&h->lock);
	bool is_down = outage_lasts(&h->outage);
	pthread_mutex_unlock(&h->lock);
	return is_down;
}

void health_view(struct health *h, char *reason, size_t size)
{
	pthread_mutex_lock(&h->lock);
	snprintf(reason, size, "%s", h->is_up ? "" : h->reason);
	pthread_mutex_unlock(&h->lock);
}
