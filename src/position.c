#include "position.h"

#include "text.h"

#include <pthread.h>
#include <stdlib.h>

struct position {
	pthread_mutex_t lock;
	struct place_in_table place;
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
