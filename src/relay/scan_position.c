#include "relay/scan_position.h"

#include "base/text.h"
#include "store/store.h"

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

void place_add(struct row_position *place, const char *value)
{
	place->values = memory_resize(place->values, place->count + 1, sizeof *place->values);
	place->values[place->count++] = text_copy(value);
}

static void place_set_state(struct row_position *place, const char *state)
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

/* Under the lock. */
static void forget(struct position *p)
{
	place_free(&p->place);
	p->rows_per_page = 0;
}

/* Under the lock: discard a place that is not valid for the state. */
static void fit(struct position *p, const char *state)
{
	if (p->place.state != NULL && state != NULL && strcmp(p->place.state, state) != 0)
		forget(p);
}

/* Under the lock. */
static void move_to(struct position *p, struct spot spot)
{
	struct row_position next = place_at(spot);
	place_set_state(&next, p->place.state);
	place_free(&p->place);
	p->place = next;
}

void position_set(struct position *p, struct row_position *place, unsigned long rows_per_page)
{
	pthread_mutex_lock(&p->lock);
	struct row_position old = p->place;
	p->place = *place;
	p->rows_per_page = rows_per_page;
	pthread_mutex_unlock(&p->lock);
	*place = (struct row_position){ 0 };
	place_free(&old);
}

void position_reset(struct position *p)
{
	position_set(p, &(struct row_position){ 0 }, 0);
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
	pthread_mutex_lock(&p->lock);
	double cost = learn_cost(p, instant_seconds(start, now));
	p->next_sweep = now;
	if (cost > CHEAP_S)
		p->next_sweep = instant_after(now, cost / SWEEP_PART);
	else
		forget(p);
	pthread_mutex_unlock(&p->lock);
}

double position_rest(struct position *p, struct instant now)
{
	pthread_mutex_lock(&p->lock);
	double rest = instant_seconds(now, p->next_sweep);
	pthread_mutex_unlock(&p->lock);
	return rest > 0 ? rest : 0;
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

/* Under the lock: end the range after about this many rows, and advance to its end. */
static void end_after(struct scan_range *s, size_t rows)
{
	struct position *p = s->position;
	struct spot spot = spot_of(p->place.values[0]);
	unsigned long before_last = spot.row + rows - 1;
	s->before = place_at(pages_back(spot, rows / p->rows_per_page + 1));
	spot.page += before_last / p->rows_per_page;
	spot.row = before_last % p->rows_per_page + 1;
	s->to = place_at(spot);
	move_to(p, spot);
}

struct scan_range range_take(
	struct position *p, const struct model *m, bool from_start, bool is_shared)
{
	struct scan_range s = { .position = p };
	if (p == NULL || from_start)
		return s;
	pthread_mutex_lock(&p->lock);
	fit(p, m->table_state);
	s.from = copy_of(p);
	if (is_shared && p->rows_per_page > 0)
		end_after(&s, (size_t)m->settings->burst_count);
	pthread_mutex_unlock(&p->lock);
	return s;
}

bool range_has_end(const struct scan_range *s)
{
	return s->to.count > 0 && !s->is_vain;
}

enum claim_kind range_kind(const struct scan_range *s, enum claim_kind other)
{
	if (s->position == NULL)
		return other;
	if (s->from.count == 0)
		return CLAIM_FIRST;
	return range_has_end(s) ? CLAIM_RANGE : CLAIM_NEXT;
}

bool range_go_on(struct scan_range *s)
{
	bool had_end = range_has_end(s);
	s->is_vain = s->is_vain || had_end;
	return had_end;
}

static struct row_position place_of(const struct model *m, const struct claim *claim, size_t row)
{
	struct row_position place = { 0 };
	for (size_t i = 0; i < sql_position_count(m); i++)
		place_add(&place, rows_value(claim->rows, row, sql_position_field(m, i)));
	place_set_state(&place, m->table_state);
	return place;
}

/* The number of rows per page: the highest row number in the pages before the last one.  0: they
 * are all in one page. */
static unsigned long rows_per_page(const struct claim *claim)
{
	unsigned long most = 0, most_before = 0;
	const char *page = "";
	size_t length = 0;
	for (size_t i = 0; i < claim->count; i++) {
		const char *ctid = rows_value(claim->rows, i, ROW_CTID);
		if (strncmp(ctid, page, length) != 0 || length == 0) {
			page = ctid;
			length = strcspn(ctid, ",") + 1;
			most_before = most;
		}
		unsigned long row = strtoul(ctid + length, NULL, 10);
		most = row > most ? row : most;
	}
	return most_before;
}

/* Whether the rows are all that the range had, and fill a good part of the claim. */
static bool is_used_up(const struct scan_range *s, const struct model *m, const struct claim *claim)
{
	const char *last = rows_value(claim->rows, claim->count - 1, ROW_CTID);
	return strcmp(last, s->to.values[0]) == 0 ||
	       (!claim->more && claim->count >= (size_t)m->settings->burst_count / 2);
}

static void move_on(struct scan_range *s, const struct model *m, const struct claim *claim)
{
	bool has_end = range_has_end(s);
	if (has_end && is_used_up(s, m, claim))
		return;
	struct row_position last = place_of(m, claim, claim->count - 1);
	/* Only in a backlog do several workers claim at the same time. */
	bool may_share = !has_end && claim->more && !m->has_children;
	position_set(s->position, &last, may_share ? rows_per_page(claim) : 0);
}

static void put_back(const struct scan_range *s)
{
	struct position *p = s->position;
	struct spot before = spot_of(s->before.values[0]);
	pthread_mutex_lock(&p->lock);
	fit(p, s->from.state);
	if (p->place.count > 0 && before.page < spot_of(p->place.values[0]).page)
		move_to(p, before);
	p->rows_per_page = 0;
	pthread_mutex_unlock(&p->lock);
}

void range_end(struct scan_range *s, const struct model *m, const struct claim *claim)
{
	if (s->position != NULL && claim->count > 0)
		move_on(s, m, claim);
	else if (s->position != NULL && s->is_vain)
		put_back(s);
	range_free(s);
}

void range_free(struct scan_range *s)
{
	place_free(&s->from);
	place_free(&s->to);
	place_free(&s->before);
}
