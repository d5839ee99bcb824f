#include "store/scan_position.h"

#include "base/text.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A sweep of a table without dead rows takes less than this. */
#define CHEAP_S 0.002

/* The dead rows of this many pages are scanned, at each wake-up. */
#define PAGES_BACK 32

/* Expensive sweeps take at most this part of the time. */
#define SWEEP_PART 0.02

struct position {
	pthread_mutex_t lock;
	struct row_position place;
	unsigned long rows_per_page; /* where the place is; 0: not known */
	double last_sweep;           /* seconds it took; 0: there was none */
	struct instant next_sweep;
};

/* A ctid. */
struct spot {
	unsigned long page, row; /* the first row of a page is 1 */
};

struct position *position_new(void)
{
	struct position *p = memory_new(1, sizeof *p);
	pthread_mutex_init(&p->lock, NULL);
	return p;
}

void position_free(struct position *p)
{
	if (p == NULL)
		return;
	place_free(&p->place);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

static struct spot spot_of(const char *ctid) /* "(page,row)" */
{
	char *end;
	if (ctid[0] != '(')
		return (struct spot){ 0 }; /* of a table that has just become a parent */
	struct spot spot = { .page = strtoul(ctid + 1, &end, 10) };
	spot.row = strtoul(end + 1, NULL, 10);
	return spot;
}

static struct spot pages_back(struct spot spot, unsigned long pages)
{
	return (struct spot){ spot.page > pages ? spot.page - pages : 0, spot.row };
}

static struct row_position place_at(struct spot spot)
{
	char ctid[64];
	struct row_position place = { 0 };
	snprintf(ctid, sizeof ctid, "(%lu,%lu)", spot.page, spot.row);
	place_add(&place, ctid);
	return place;
}

/* Under the lock. */
static struct row_position copy_of(const struct position *p)
{
	struct row_position copy = { 0 };
	for (size_t i = 0; i < p->place.count; i++)
		place_add(&copy, p->place.values[i]);
	place_set_state(&copy, p->place.state);
	return copy;
}

/* Under the lock: discard a place that is not valid for the state. */
static void fit(struct position *p, const char *state)
{
	if (p->place.state == NULL || state == NULL || strcmp(p->place.state, state) == 0)
		return;
	place_free(&p->place);
	p->rows_per_page = 0;
}

/* Under the lock. */
static void move_to(struct position *p, struct spot spot)
{
	struct row_position next = place_at(spot);
	place_set_state(&next, p->place.state);
	place_free(&p->place);
	p->place = next;
}

struct row_position position_get(struct position *p, const char *state)
{
	pthread_mutex_lock(&p->lock);
	fit(p, state);
	struct row_position copy = copy_of(p);
	pthread_mutex_unlock(&p->lock);
	return copy;
}

void position_set(struct position *p, struct row_position *place)
{
	pthread_mutex_lock(&p->lock);
	struct row_position old = p->place;
	p->place = *place;
	p->rows_per_page = 0;
	pthread_mutex_unlock(&p->lock);
	*place = (struct row_position){ 0 };
	place_free(&old);
}

/* Under the lock: the cost of a sweep, from one that took this many seconds and the previous one:
 * either may have been slow for other reasons. */
static double learn_cost(struct position *p, double seconds)
{
	double cost = seconds < p->last_sweep ? seconds : p->last_sweep;
	p->last_sweep = seconds;
	return cost;
}

void position_swept(struct position *p, struct instant start, struct instant now)
{
	struct row_position forgotten = { 0 };
	pthread_mutex_lock(&p->lock);
	double cost = learn_cost(p, instant_seconds(start, now));
	if (cost > CHEAP_S) {
		p->next_sweep = instant_after(now, cost / SWEEP_PART);
	} else {
		p->next_sweep = now;
		forgotten = p->place;
		p->place = (struct row_position){ 0 };
		p->rows_per_page = 0;
	}
	pthread_mutex_unlock(&p->lock);
	place_free(&forgotten);
}

double position_rest(struct position *p, struct instant now)
{
	pthread_mutex_lock(&p->lock);
	double rest = instant_seconds(now, p->next_sweep);
	pthread_mutex_unlock(&p->lock);
	return rest > 0 ? rest : 0;
}

void position_learn(struct position *p, unsigned long rows_per_page)
{
	pthread_mutex_lock(&p->lock);
	p->rows_per_page = p->place.count > 0 ? rows_per_page : 0;
	pthread_mutex_unlock(&p->lock);
}

struct span position_take(struct position *p, size_t rows, const char *state)
{
	struct span span = { 0 };
	pthread_mutex_lock(&p->lock);
	fit(p, state);
	span.from = copy_of(p);
	if (p->rows_per_page > 0) {
		struct spot spot = spot_of(p->place.values[0]);
		unsigned long before_last = spot.row + rows - 1;
		unsigned long pages = rows / p->rows_per_page + 1;
		span.before = place_at(pages_back(spot, pages));
		spot.page += before_last / p->rows_per_page;
		spot.row = before_last % p->rows_per_page + 1;
		span.to = place_at(spot);
		move_to(p, spot);
	}
	pthread_mutex_unlock(&p->lock);
	return span;
}

void span_free(struct span *span)
{
	place_free(&span->from);
	place_free(&span->to);
	place_free(&span->before);
}

void position_put_back(struct position *p, const struct span *span)
{
	struct spot before = spot_of(span->before.values[0]);
	pthread_mutex_lock(&p->lock);
	fit(p, span->from.state);
	if (p->place.count > 0 && before.page < spot_of(p->place.values[0]).page)
		move_to(p, before);
	p->rows_per_page = 0;
	pthread_mutex_unlock(&p->lock);
}

bool position_step_back(struct position *p, const char *state)
{
	bool is_row = false;
	pthread_mutex_lock(&p->lock);
	fit(p, state);
	if (p->place.count > 0) {
		struct spot spot = spot_of(p->place.values[0]);
		is_row = spot.row > 0; /* no row has that number */
		spot.row = 0;
		if (is_row)
			move_to(p, pages_back(spot, PAGES_BACK));
		p->rows_per_page = 0;
	}
	pthread_mutex_unlock(&p->lock);
	return is_row;
}

void place_add(struct row_position *place, const char *value)
{
	place->values = memory_resize(place->values, place->count + 1, sizeof *place->values);
	place->values[place->count++] = text_copy(value);
}

void place_set_state(struct row_position *place, const char *state)
{
	free(place->state);
	place->state = state != NULL ? text_copy(state) : NULL;
}

void place_free(struct row_position *place)
{
	for (size_t i = 0; i < place->count; i++)
		free(place->values[i]);
	free(place->values);
	free(place->state);
	*place = (struct row_position){ 0 };
}
