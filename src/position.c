#include "position.h"

#include "text.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A sweep of a table without dead rows takes a part of it. */
#define CHEAP_S 0.002

/* The dead rows of so many pages are walked over, at each wake-up. */
#define PAGES_BACK 32

/* Dear sweeps take this part of the time at most. */
#define SWEEP_PART 0.02

struct position {
	pthread_mutex_t lock;
	struct place_in_table place;
	double last_sweep; /* seconds it took; 0: there was none */
	struct instant next_sweep;
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

struct place_in_table position_get(struct position *p)
{
	struct place_in_table copy = { 0 };
	pthread_mutex_lock(&p->lock);
	for (size_t i = 0; i < p->place.count; i++)
		place_add(&copy, p->place.values[i]);
	pthread_mutex_unlock(&p->lock);
	return copy;
}

void position_set(struct position *p, struct place_in_table *place)
{
	pthread_mutex_lock(&p->lock);
	struct place_in_table old = p->place;
	p->place = *place;
	pthread_mutex_unlock(&p->lock);
	*place = (struct place_in_table){ 0 };
	place_free(&old);
}

/* Under the lock: what a sweep costs, from one that took so many seconds and the one before: either
 * may have been slow for other reasons. */
static double learn_cost(struct position *p, double seconds)
{
	double cost = seconds < p->last_sweep ? seconds : p->last_sweep;
	p->last_sweep = seconds;
	return cost;
}

void position_swept(struct position *p, struct instant start, struct instant now)
{
	struct place_in_table forgotten = { 0 };
	pthread_mutex_lock(&p->lock);
	double cost = learn_cost(p, instant_seconds(start, now));
	if (cost > CHEAP_S) {
		p->next_sweep = instant_after(now, cost / SWEEP_PART);
	} else {
		p->next_sweep = now;
		forgotten = p->place;
		p->place = (struct place_in_table){ 0 };
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

bool position_step_back(struct position *p)
{
	char ctid[32];
	bool is_row = false;
	pthread_mutex_lock(&p->lock);
	if (p->place.count > 0) {
		char *end;
		unsigned long page = strtoul(p->place.values[0] + 1, &end, 10); /* "(page,row)" */
		is_row = strcmp(end, ",0)") != 0;                               /* no row is that */
		snprintf(ctid, sizeof ctid, "(%lu,0)", page > PAGES_BACK ? page - PAGES_BACK : 0);
	}
	if (is_row) {
		place_free(&p->place);
		place_add(&p->place, ctid);
	}
	pthread_mutex_unlock(&p->lock);
	return is_row;
}

void place_add(struct place_in_table *place, const char *value)
{
	place->values = memory_resize(place->values, place->count + 1, sizeof *place->values);
	place->values[place->count++] = text_copy(value);
}

void place_free(struct place_in_table *place)
{
	for (size_t i = 0; i < place->count; i++)
		free(place->values[i]);
	free(place->values);
	*place = (struct place_in_table){ 0 };
}
