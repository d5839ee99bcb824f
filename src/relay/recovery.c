#include "relay/recovery.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/outage.h"
#include "base/text.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>

#define PAUSE_S     5.0
#define PAUSE_MAX_S 60.0

struct waiting {
	unsigned slot;
	bool is_seen;         /* by the current look */
	double pause;         /* the last one after a failure */
	struct instant until; /* do not try it before then */
	struct outage outage; /* if it failed */
};

struct recovery {
	const char *instance;
	pthread_mutex_t lock;
	bool is_looking;
	struct instant next_look;
	struct waiting *waiting;
	size_t count;
	uint64_t used; /* slots whose senders are not known to be gone; a bit for each */
};

struct recovery *recovery_new(const char *instance)
{
	struct recovery *r = memory_new(1, sizeof *r);
	r->instance = instance;
	pthread_mutex_init(&r->lock, NULL);
	return r;
}

void recovery_free(struct recovery *r)
{
	if (r == NULL)
		return;
	pthread_mutex_destroy(&r->lock);
	free(r->waiting);
	free(r);
}

bool recovery_begin(struct recovery *r)
{
	pthread_mutex_lock(&r->lock);
	bool begins = !r->is_looking && !instant_before(clock_now(), r->next_look);
	r->is_looking |= begins;
	for (size_t i = 0; begins && i < r->count; i++)
		r->waiting[i].is_seen = false;
	pthread_mutex_unlock(&r->lock);
	return begins;
}

/* Under the lock, as the functions below. */
static void log_end(struct recovery *r, struct waiting *w)
{
	if (outage_lasts(&w->outage))
		log_warning("exactly-once: slot %u of instance \"%s\" can be resolved again, "
			    "after %.0f s",
			w->slot, r->instance, outage_end(&w->outage, clock_now()));
}

static void remove_unseen(struct recovery *r)
{
	size_t left = 0;
	for (size_t i = 0; i < r->count; i++)
		if (r->waiting[i].is_seen)
			r->waiting[left++] = r->waiting[i];
		else
			log_end(r, &r->waiting[i]);
	r->count = left;
}

void recovery_end(struct recovery *r, bool saw_all, double seconds)
{
	pthread_mutex_lock(&r->lock);
	r->is_looking = false;
	r->next_look = instant_after(clock_now(), seconds);
	if (saw_all)
		remove_unseen(r);
	pthread_mutex_unlock(&r->lock);
}

static struct waiting *find(struct recovery *r, unsigned slot)
{
	for (size_t i = 0; i < r->count; i++)
		if (r->waiting[i].slot == slot)
			return &r->waiting[i];
	return NULL;
}

static struct waiting *see(struct recovery *r, unsigned slot)
{
	struct waiting *w = find(r, slot);
	if (w == NULL) {
		r->waiting = memory_resize(r->waiting, r->count + 1, sizeof *r->waiting);
		w = &r->waiting[r->count++];
		*w = (struct waiting){ .slot = slot };
	}
	w->is_seen = true;
	return w;
}

bool recovery_waits(struct recovery *r, unsigned slot)
{
	pthread_mutex_lock(&r->lock);
	struct waiting *w = find(r, slot);
	bool waits = w != NULL && instant_before(clock_now(), w->until);
	if (waits)
		w->is_seen = true;
	pthread_mutex_unlock(&r->lock);
	return waits;
}

void recovery_fail(struct recovery *r, unsigned slot, const struct error *e)
{
	struct instant now = clock_now();
	pthread_mutex_lock(&r->lock);
	struct waiting *w = see(r, slot);
	w->pause = fmin(fmax(2 * w->pause, PAUSE_S), PAUSE_MAX_S);
	w->until = instant_after(now, w->pause);
	if (outage_note(&w->outage, e->text, now))
		log_warning("exactly-once: slot %u of instance \"%s\" cannot be resolved, and the "
			    "signals that are prepared in it stay locked: %s",
			slot, r->instance, e->text);
	pthread_mutex_unlock(&r->lock);
}

void recovery_put_off(struct recovery *r, unsigned slot, double seconds)
{
	pthread_mutex_lock(&r->lock);
	see(r, slot)->until = instant_after(clock_now(), seconds);
	pthread_mutex_unlock(&r->lock);
}

size_t recovery_count_waiting(struct recovery *r)
{
	pthread_mutex_lock(&r->lock);
	size_t n = r->count;
	pthread_mutex_unlock(&r->lock);
	return n;
}

uint64_t recovery_note_used(struct recovery *r, uint64_t used)
{
	pthread_mutex_lock(&r->lock);
	r->used |= used;
	uint64_t left = r->used & ~used;
	pthread_mutex_unlock(&r->lock);
	return left;
}

void recovery_is_gone(struct recovery *r, uint64_t slot)
{
	pthread_mutex_lock(&r->lock);
	r->used &= ~slot;
	pthread_mutex_unlock(&r->lock);
}
