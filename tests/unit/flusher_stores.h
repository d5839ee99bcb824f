/*
 * flusher_stores - the stores and the bursts of flusher_doubles.
 */
#ifndef SIGNALBUS_TEST_FLUSHER_STORES_H
#define SIGNALBUS_TEST_FLUSHER_STORES_H

#include "flusher_doubles.h"

struct store *store_new(const struct config *config)
{
	struct store *s = memory_new(1, sizeof *s);
	ck_assert_uint_eq(config->model_count, MODELS);
	s->number = seen.stores++;
	return s;
}

void store_free(struct store *s)
{
	for (size_t i = 0; i < MODELS; i++)
		ck_assert(!s->locked[i]);
	free(s);
}

void store_limit_locks(struct store *s, double seconds)
{
	ck_assert_ptr_nonnull(s);
	ck_assert_double_lt(seconds, 1);
}

bool store_blame(struct store *s, size_t index, struct error *e)
{
	ck_assert_ptr_nonnull(s);
	ck_assert_uint_lt(index, MODELS);
	ck_assert_int_ne(e->kind, ERROR_NONE);
	return false;
}

bool store_connect(struct store *s, struct instant deadline, struct error *e)
{
	char letter = next_letter(&script.connects);
	ck_assert(!s->connected);
	seen.connect_by = deadline;
	s->connected = !fails_with(letter, e);
	trace(s, s->connected ? "+" : "-");
	return s->connected;
}

bool store_connected(const struct store *s)
{
	return s->connected;
}

void store_forget(struct store *s, size_t index)
{
	ck_assert_ptr_nonnull(s);
	seen.forgets[index]++;
}

void store_renew(struct store *s)
{
	for (size_t i = 0; i < COUNT(seen.forgets); i++)
		store_forget(s, i);
}

const struct model *store_model(struct store *s, size_t index, struct error *e)
{
	return end_call(s, &script.models[index], e) ? &models[index] : NULL;
}

bool store_count(struct store *s, const struct model *m, size_t *count, struct error *e)
{
	seen.counted[m->index]++;
	*count = script.pending;
	return end_call(s, &script.counts[m->index], e);
}

bool store_pauses(struct store *s, struct pause *pauses, struct error *e)
{
	for (size_t i = 0; i < MODELS; i++)
		pauses[i] = (struct pause){ .is_paused = false, .by = "him" };
	if (!end_call(s, &script.pauses, e))
		return false;
	for (size_t i = 0; i < MODELS; i++)
		pauses[i].is_paused = script.paused[i];
	return true;
}

bool store_note(struct store *s, const struct model *m, struct error *e)
{
	trace(s, "%c#", name_of(m->index));
	s->has_note[m->index] = false;
	s->fetched[m->index] = 0;
	bool ok = end_call(s, &script.notes[m->index], e);
	s->has_note[m->index] = ok;
	return ok;
}

bool store_has_note(const struct store *s, size_t index)
{
	return s->has_note[index];
}

bool store_noted(
	struct store *s, const struct model *m, size_t count, struct rows **keys, struct error *e)
{
	size_t left = script.noted[m->index] - s->fetched[m->index];
	(void)e;
	ck_assert(s->has_note[m->index]);
	trace(s, "%c?", name_of(m->index));
	*keys = memory_new(1, sizeof **keys);
	(*keys)->count = left < count ? left : count;
	s->fetched[m->index] += (*keys)->count;
	s->has_note[m->index] = (*keys)->count > 0;
	return true;
}

bool store_lock(struct store *s, const struct model *m, enum lock_mode mode, struct error *e)
{
	if (s->locked[m->index])
		return true;
	trace(s, "%c%s", name_of(m->index), mode == LOCK_SHARED ? "{" : "(");
	s->locked[m->index] = end_call(s, &script.locks[m->index], e);
	return s->locked[m->index];
}

void store_unlock(struct store *s, size_t index)
{
	if (s->locked[index])
		trace(s, "%c)", name_of(index));
	s->locked[index] = false;
}

bool store_set_writer_error(struct store *s, const struct model *m, struct error *e)
{
	ck_assert_ptr_nonnull(s);
	seen.writers_said++;
	seen.writer_said_ns = seen.now_ns;
	return error_set(e, ERROR_DATABASE, "a writer holds %c back", name_of(m->index));
}

struct burst *burst_new(const struct config *config, struct store *store, struct broker *broker,
	struct burst_owner owner)
{
	ck_assert_uint_lt(owner.worker, owner.workers);
	struct burst *b = memory_new(1, sizeof *b);
	ck_assert_ptr_nonnull(config);
	ck_assert_ptr_null(broker);
	b->store = store;
	return b;
}

void burst_free(struct burst *b)
{
	ck_assert(b == NULL || b->next == NULL);
	free(b);
}

void burst_discard_prefetch(struct burst *b)
{
	b->next = NULL;
}

/* Moves the position on with what is claimed, as the real one does. */
static inline bool is_from_start(const struct burst_order *order, bool moves_on)
{
	if (order->position == NULL)
		return order->from_start;
	struct scan_range range = range_take(order->position, order->model, false, false);
	bool from_start = range.from.count == 0;
	range_free(&range);
	if (moves_on) {
		struct row_position place = { 0 };
		place_add(&place, "1");
		position_set(order->position, &place, 0);
	}
	return from_start;
}

static inline void trace_burst(const struct burst *b, const struct burst_order *order,
	const struct burst_result *result, char letter)
{
	char name = name_of(order->model->index);
	if (order->kind == CLAIM_BY_KEY && letter == '\0')
		trace(b->store, "%c[%zu+%zu]", name, order->first_key, order->key_count);
	else
		trace(b->store, "%s%c%c", result->from_start ? "^" : "", name,
			letter != '\0' ? letter : '0');
}

bool burst_run(struct burst *b, const struct burst_order *order, struct burst_result *result,
	struct error *e)
{
	size_t index = order->model->index;
	char letter = next_letter(&script.bursts[index]);
	seen.now_ns += script.burst_ns;
	ck_assert(b->store->connected);
	ck_assert(b->next == NULL || b->next == order->model);
	b->next = order->continues ? order->model : NULL;
	ck_assert(order->kind != CLAIM_ORDERED || b->store->locked[index]);
	ck_assert(order->kind != CLAIM_BY_KEY ||
		  order->first_key + order->key_count <= order->keys->count);
	*result = (struct burst_result){ .held_back = letter == 'h', .more = letter == 'm' };
	seen.bursts++;
	if (order->kind == CLAIM_BY_KEY && letter == '\0')
		result->sent = order->key_count;
	else if (letter >= '0' && letter <= '9')
		result->sent = (size_t)(letter - '0');
	else if (letter != '\0' && strchr("Bmw", letter) != NULL)
		result->sent = 1;
	result->dead_lettered = letter == 'x';
	struct error reason;
	if (letter == 'R' || letter == 'P') {
		fails_with(letter == 'R' ? 'r' : 't', &reason);
		deferral_add(order->deferral, "16384", "(0,1)", &reason);
		result->put_off = 1;
	}
	bool fails = fails_with(letter, e);
	bool is_unsent = letter != '\0' && strchr("btrRP", letter) != NULL;
	result->claimed = result->sent + result->dead_lettered + is_unsent;
	result->from_start = is_from_start(order, result->claimed > 0);
	seen.stopped = seen.stopped || letter == 'w';
	trace_burst(b, order, result, letter);
	if (letter == 'l')
		lose_session(b->store);
	return !fails;
}

#endif
