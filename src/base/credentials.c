#include "base/credentials.h"

#include "base/text.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_LOGIN_S 1.0
#define LOGIN_MAX_S   15.0
#define JITTER        0.5

struct credentials {
	struct secret *secrets;
	size_t count;
	bool has_command;
	pthread_mutex_t lock;
	pthread_cond_t done;
	bool is_reading;
	unsigned waiting; /* for the result that is being read */
	/* The result, as long as somebody waits for it: */
	bool has_result, ok;
	struct credentials_values values;
	struct error failure; /* if it is not ok: the last one */
	unsigned failures;    /* in a row */
	/* What the server has refused, since it last accepted any: */
	unsigned refusals;
	struct error refusal; /* the last one … */
	uint64_t refused;     /* … of these … */
	struct instant refused_at;
	struct instant next_login; /* … which are not used again before this */
	struct instant next_read;  /* after a failure or a refusal */
};

struct credentials *credentials_new(void)
{
	struct credentials *c = memory_new(1, sizeof *c);
	pthread_mutex_init(&c->lock, NULL);
	clock_condition_init(&c->done);
	return c;
}

void credentials_free(struct credentials *c)
{
	if (c == NULL)
		return;
	pthread_mutex_destroy(&c->lock);
	pthread_cond_destroy(&c->done);
	free(c->secrets);
	free(c);
}

size_t credentials_add(struct credentials *c, const struct secret *s)
{
	c->secrets = memory_resize(c->secrets, c->count + 1, sizeof *c->secrets);
	c->secrets[c->count] = *s;
	c->has_command = c->has_command || s->command != NULL;
	return c->count++;
}

struct place credentials_place(const struct credentials *c, size_t number)
{
	return c->secrets[number].place;
}

void credentials_values_free(struct credentials_values *v)
{
	for (size_t i = 0; i < v->count; i++)
		secret_free(v->values[i]);
	free(v->values);
	*v = (struct credentials_values){ 0 };
}

/* FNV-1a, over the bytes of all values and their ends. */
static uint64_t hash_of(const struct credentials_values *v)
{
	uint64_t hash = UINT64_C(14695981039346656037);
	for (size_t i = 0; i < v->count; i++)
		for (const char *p = v->values[i];; p++) {
			hash = (hash ^ (unsigned char)*p) * UINT64_C(1099511628211);
			if (*p == '\0')
				break;
		}
	return hash;
}

static struct credentials_values copy_of(const struct credentials_values *v)
{
	struct credentials_values copy = { memory_new(v->count + 1, sizeof *v->values), v->count,
		v->print };
	for (size_t i = 0; i < v->count; i++)
		copy.values[i] = text_copy(v->values[i]);
	return copy;
}

/* Read all secrets, whoever reads or waits meanwhile. */
static bool read_all(
	const struct credentials *c, double limit, struct credentials_values *v, struct error *e)
{
	struct instant deadline = instant_after(clock_now(), limit);
	*v = (struct credentials_values){ .values = memory_new(c->count + 1, sizeof *v->values),
		.print.begun = clock_now() };
	for (; v->count < c->count; v->count++) {
		const struct secret *s = &c->secrets[v->count];
		if (secret_read(s, deadline, &v->values[v->count], e))
			continue;
		error_prefix(e, "%s:%u", s->place.file, s->place.line);
		credentials_values_free(v);
		return false;
	}
	v->print.hash = hash_of(v);
	return true;
}

/* Under the lock, which is released meanwhile. */
static void read_shared(struct credentials *c, double limit)
{
	struct credentials_values v = { 0 };
	struct error e = { .kind = ERROR_NONE };
	c->is_reading = true;
	pthread_mutex_unlock(&c->lock);
	bool ok = read_all(c, limit, &v, &e);
	pthread_mutex_lock(&c->lock);
	credentials_values_free(&c->values);
	c->is_reading = false;
	c->has_result = true;
	c->ok = ok;
	c->values = v;
	c->failure = e;
	c->failures = ok || e.kind == ERROR_STOPPED ? 0 : c->failures + 1;
	if (c->failures > 0)
		c->next_read = instant_after(clock_now(), clock_backoff_delay(c->failures, JITTER));
	pthread_cond_broadcast(&c->done);
}

/* Under the lock: how long to wait before the next login with what was refused. */
static double login_wait(const struct credentials *c)
{
	return fmin(ldexp(FIRST_LOGIN_S, (int)c->refusals - 1), LOGIN_MAX_S);
}

/* Under the lock: whether the server would only refuse the values once more.  One session tries
 * that from time to time. */
static bool are_refused(struct credentials *c, const struct credentials_values *v)
{
	struct instant now = clock_now();
	bool is_same = v->print.hash == c->refused || (c->has_command && c->refusals > 1);
	if (c->refusals == 0 || !is_same)
		return false;
	if (!instant_before(now, c->next_login)) {
		c->next_login = instant_after(now, login_wait(c));
		return false;
	}
	c->next_read = instant_after(now, clock_backoff_delay(c->refusals + 1, JITTER));
	return true;
}

/* Under the lock: whether there is a result that was read after the last refusal. */
static bool has_news(const struct credentials *c)
{
	return c->has_result && (!c->ok || !instant_before(c->values.print.begun, c->refused_at));
}

/* Under the lock. */
static bool take(struct credentials *c, double limit, struct credentials_values *v, struct error *e)
{
	while (!has_news(c))
		if (c->is_reading)
			pthread_cond_wait(&c->done, &c->lock);
		else
			read_shared(c, limit);
	bool is_refused = c->ok && are_refused(c, &c->values);
	if (c->ok && !is_refused)
		*v = copy_of(&c->values);
	else
		*e = is_refused ? c->refusal : c->failure;
	return c->ok && !is_refused;
}

/* Under the lock: whether to wait before they are read again. */
static bool must_wait(const struct credentials *c)
{
	return !c->is_reading && c->failures + c->refusals > 0 &&
	       instant_before(clock_now(), c->next_read);
}

bool credentials_read(
	struct credentials *c, double limit, struct credentials_values *v, struct error *e)
{
	bool ok = false;
	*v = (struct credentials_values){ 0 };
	pthread_mutex_lock(&c->lock);
	if (must_wait(c)) {
		*e = c->failures > 0 ? c->failure : c->refusal;
	} else {
		c->waiting++;
		ok = take(c, limit, v, e);
		if (--c->waiting == 0) { /* nobody shares it any more */
			credentials_values_free(&c->values);
			c->has_result = false;
		}
	}
	pthread_mutex_unlock(&c->lock);
	return ok;
}

void credentials_refused(
	struct credentials *c, const struct credentials_print *used, const struct error *why)
{
	struct instant now = clock_now();
	pthread_mutex_lock(&c->lock);
	/* Several sessions may have used the same ones at the same time: that counts once. */
	if (c->refusals == 0 || !instant_before(used->begun, c->refused_at)) {
		c->refusals++;
		c->next_login = instant_after(now, login_wait(c));
		c->next_read = c->refused_at = now;
		c->refused = used->hash;
		c->refusal = *why;
	}
	pthread_mutex_unlock(&c->lock);
}

void credentials_accepted(struct credentials *c)
{
	pthread_mutex_lock(&c->lock);
	c->refusals = 0;
	pthread_mutex_unlock(&c->lock);
}
