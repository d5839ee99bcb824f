#include "relay/deferral.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

struct deferral {
	deferral_tell *tell;
	void *arg;
	pthread_mutex_t lock;
	struct text tableoids, ctids; /* unterminated array literals */
	size_t rows;     /* deferred since they were released, including those not remembered */
	unsigned rounds; /* failed attempts, since the last success */
	struct instant since; /* the first of them */
	enum error_kind kind; /* of the last one */
	struct instant until;
	uint64_t told[DEFERRAL_TOLD_MAX + 1]; /* hashes of reasons */
	size_t told_count;
};

struct deferral *deferral_new(deferral_tell *tell, void *arg)
{
	struct deferral *d = memory_new(1, sizeof *d);
	pthread_mutex_init(&d->lock, NULL);
	d->tell = tell;
	d->arg = arg;
	return d;
}

/* Under the lock. */
static void forget_rows(struct deferral *d)
{
	text_free(&d->tableoids);
	text_free(&d->ctids);
	d->rows = 0;
}

void deferral_free(struct deferral *d)
{
	if (d == NULL)
		return;
	forget_rows(d);
	pthread_mutex_destroy(&d->lock);
	free(d);
}

/* Neither a number nor a ctid contains anything to escape. */
static void add_value(struct text *array, const char *value)
{
	text_addf(array, "%s\"%s\"", array->length > 0 ? "," : "{", value);
}

/* FNV-1a */
static uint64_t hash(const char *s)
{
	uint64_t h = UINT64_C(14695981039346656037);
	for (; *s != '\0'; s++)
		h = (h ^ (unsigned char)*s) * UINT64_C(1099511628211);
	return h;
}

/* Under the lock.  A reason contains the key of its row, so one cause may have thousands. */
static enum deferral_news note_reason(struct deferral *d, const char *reason)
{
	uint64_t h = hash(reason);
	for (size_t i = 0; i < d->told_count; i++)
		if (d->told[i] == h)
			return DEFERRAL_KNOWN;
	if (d->told_count > DEFERRAL_TOLD_MAX)
		return DEFERRAL_KNOWN;
	d->told[d->told_count++] = h;
	return d->told_count > DEFERRAL_TOLD_MAX ? DEFERRAL_MANY : DEFERRAL_NEW;
}

void deferral_add(struct deferral *d, const char *tableoid, const char *ctid, const struct error *e)
{
	struct instant now = clock_now();
	pthread_mutex_lock(&d->lock);
	if (d->rounds == 0)
		d->since = now;
	if (d->rows == 0) /* the time of day is random enough: others have theirs */
		d->until = instant_after(
			now, clock_backoff_delay(++d->rounds, (double)(now.ns % 1000) / 1000));
	if (d->rows++ < DEFERRAL_MAX) {
		add_value(&d->tableoids, tableoid);
		add_value(&d->ctids, ctid);
	}
	d->kind = e->kind;
	d->tell(d->arg, e, note_reason(d, e->text));
	pthread_mutex_unlock(&d->lock);
}

bool deferral_list(struct deferral *d, struct text *tableoids, struct text *ctids)
{
	pthread_mutex_lock(&d->lock);
	bool any = d->rows > 0;
	if (any) {
		text_addf(tableoids, "%s}", d->tableoids.text);
		text_addf(ctids, "%s}", d->ctids.text);
	}
	pthread_mutex_unlock(&d->lock);
	return any;
}

void deferral_extend(struct deferral *d, double seconds)
{
	pthread_mutex_lock(&d->lock);
	d->until = instant_after(d->until, 2 * seconds);
	pthread_mutex_unlock(&d->lock);
}

bool deferral_has_rows(struct deferral *d)
{
	pthread_mutex_lock(&d->lock);
	bool has = d->rows > 0;
	pthread_mutex_unlock(&d->lock);
	return has;
}

bool deferral_is_full(struct deferral *d)
{
	pthread_mutex_lock(&d->lock);
	bool is = d->rows > DEFERRAL_MAX;
	pthread_mutex_unlock(&d->lock);
	return is;
}

double deferral_rest(struct deferral *d, struct instant now)
{
	pthread_mutex_lock(&d->lock);
	double rest = d->rows > 0 ? instant_seconds(now, d->until) : 0;
	pthread_mutex_unlock(&d->lock);
	return rest > 0 ? rest : 0;
}

void deferral_release(struct deferral *d, struct instant now, bool only_due)
{
	pthread_mutex_lock(&d->lock);
	if (!only_due || !instant_before(now, d->until))
		forget_rows(d);
	pthread_mutex_unlock(&d->lock);
}

double deferral_end(struct deferral *d, struct instant now)
{
	double seconds = -1;
	pthread_mutex_lock(&d->lock);
	if (d->rows == 0 && d->rounds > 0) {
		seconds = instant_seconds(d->since, now);
		d->rounds = 0;
		d->told_count = 0;
	}
	pthread_mutex_unlock(&d->lock);
	return seconds;
}

bool deferral_is_failing(struct deferral *d, struct instant *since, enum error_kind *kind)
{
	pthread_mutex_lock(&d->lock);
	bool is = d->rounds > 0;
	*since = d->since;
	*kind = d->kind;
	pthread_mutex_unlock(&d->lock);
	return is;
}
