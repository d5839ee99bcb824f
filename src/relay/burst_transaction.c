/*
 * Bursts of delivery = "exactly-once".  docs/exactly-once.md describes the protocol, and
 * docs/exactly-once.pml models it.
 *
 * The rows' deletion is prepared in the database before the transaction of their messages is
 * committed in Kafka.  That transaction also stores the number of the burst.  After any doubt, the
 * producer is fenced first: so nothing that is late can change what the number tells then.
 */
#include "base/limits.h"
#include "base/log.h"
#include "relay/burst_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LOOK_S        5.0   /* between looks for what senders that are gone left … */
#define LOOK_RARELY_S 60.0  /* … with another delivery, which leaves nothing itself … */
#define LOOK_AGAIN_S  600.0 /* … for what must be decided by hand */
#define ABORT_S       5.0
#define DAY_S         86400.0
#define NUMBER_LIMIT  INT64_C(9000000000000000000) /* by the clock, in 285,000 years */

static struct instant deadline_of(const struct burst *b)
{
	return instant_after(clock_now(), b->config->timeout);
}

/* What is stored for a slot. */
struct slot_state {
	unsigned slot;
	const char *topic;  /* that a number in doubt was to be stored for; or NULL */
	int64_t stored;     /* the greatest number, or -1 */
	char numbered[256]; /* its topic, or empty */
	bool is_current;    /* the broker has stored another one since the fence */
	bool is_open;       /* the broker has lost the end of a transaction that stores one */
	bool is_undecided;  /* something prepared must be decided by hand */
	unsigned committed; /* bursts … */
	unsigned rolled_back;
	bool is_own; /* the last of them was of this sender */
};

/* What became of a burst is unknown if its number may still change (note_open()).  A number that is
 * greater than that of the burst was stored by a later one, which cannot be while signalbus has
 * resolved each before the next; and a number can expire on the broker (offsets.retention.minutes,
 * seven days by default), or go with its topic. */
static bool is_undecidable(const struct slot_state *state, int64_t number, double seconds)
{
	return state->is_open || state->stored > number || (state->stored < 0 && seconds > DAY_S);
}

/* Only the role that prepared a transaction may end it. */
static bool is_of_another_role(const struct error *e)
{
	return strcmp(e->sqlstate, "42501") == 0;
}

/* The number that is stored already: even if it were committed, it would change nothing. */
static bool try_numbers(
	struct burst *b, const char *const *topics, size_t count, int64_t number, struct error *e)
{
	struct instant deadline = deadline_of(b);
	struct lane *lane = b->transaction.lane;
	bool ok = lane_begin_transaction(lane, deadline, e);
	for (size_t i = 0; ok && i < count; i++)
		ok = lane_store_number(lane, topics[i], number, deadline, e);
	lane_abort(lane, instant_after(clock_now(), ABORT_S));
	return ok;
}

/* Kafka 3.6 and 3.7 may still be storing the number when the fence is done.  They answer that it is
 * unstable, but only for topics that have one already, and for the topic that they are asked for.
 */
static bool read_stored(
	struct lane *lane, struct slot_state *state, struct instant deadline, struct error *e)
{
	int64_t own = -1;
	if (!lane_read_number(lane, NULL, &state->stored, deadline, e))
		return false;
	const char *numbered = lane_numbered_topic(lane);
	snprintf(state->numbered, sizeof state->numbered, "%s", numbered != NULL ? numbered : "");
	if (state->topic != NULL && !lane_read_number(lane, state->topic, &own, deadline, e))
		return false;
	if (own > state->stored)
		state->stored = own;
	return true;
}

/* The fence is done, so no transaction of the slot is open.  If a number is still about to change,
 * the broker has lost the end of the transaction that stores it: one that was killed when a
 * transaction had been committed or aborted may never write the marker for the group (Kafka 4.3.1).
 * Then nothing tells what became of the burst; returns whether that is so. */
static bool note_open(struct slot_state *state, struct error *e)
{
	state->is_open = state->is_open || e->kind == ERROR_CONFLICT;
	if (e->kind == ERROR_CONFLICT)
		e->kind = ERROR_BROKER;
	return state->is_open;
}

/* The topics that a number may be stored for, the best ones first; NULL: none of this index.  The
 * last one exists wherever a group does; who has no ACLs may use it. */
static const char *topic_to_try(const struct burst *b, const struct slot_state *state, size_t index)
{
	const char *first[] = { state->topic, state->numbered[0] != '\0' ? state->numbered : NULL };
	if (index < 2)
		return first[index];
	index -= 2;
	if (index == b->config->model_count)
		return "__consumer_offsets";
	const char *topic = b->config->models[index].topic;
	return strchr(topic, '{') == NULL ? topic : NULL;
}

/* Have a number stored, in a transaction that is aborted. */
static bool probe(struct burst *b, const char *topic, int64_t number, struct instant deadline,
	struct error *e)
{
	struct lane *lane = b->transaction.lane;
	bool ok = lane_begin_transaction(lane, deadline, e) &&
		  lane_store_number(lane, topic, number, deadline, e) &&
		  lane_await_number(lane, topic, deadline, e);
	lane_abort(lane, instant_after(clock_now(), ABORT_S));
	return ok;
}

/* A broker may answer with numbers that are older than those that it has stored: one that has just
 * started does until its high watermark moves (Kafka 4, after SIGKILL), and one that coordinates
 * the group no longer, without knowing that yet.  So before a burst is rolled back for a number
 * that is not there, have another one stored: that takes the coordinator until all before it is
 * known.  Wait until reads see it, abort it, and read again. */
static bool read_again(struct burst *b, struct slot_state *state, struct error *e)
{
	struct instant deadline = deadline_of(b);
	int64_t number = state->stored < 0 ? 0 : state->stored, ignored;
	size_t count = 2 + b->config->model_count + 1;
	bool ok = false;
	if (!lane_read_all_numbers(b->transaction.lane, &ignored, deadline, e))
		return note_open(state, e); /* the abort would end that, too */
	for (size_t i = 0; i < count && !ok && instant_before(clock_now(), deadline); i++) {
		const char *topic = topic_to_try(b, state, i);
		ok = topic != NULL && probe(b, topic, number, deadline, e);
	}
	state->is_current = ok;
	return ok &&
	       (read_stored(b->transaction.lane, state, deadline_of(b), e) || note_open(state, e));
}

/* Whether the number may be outdated.  If the commit of a burst was never asked for, its messages
 * are not stored, whatever the number. */
static bool needs_proof(const struct slot_state *state, int64_t number, bool was_asked)
{
	return !state->is_open && !state->is_current && number > state->stored && was_asked;
}

static bool decide(
	struct burst *b, struct slot_state *state, int64_t number, double seconds, struct error *e)
{
	const struct transaction *t = &b->transaction;
	const struct prepared p = { state->slot, number };
	bool is_own = p.slot == t->slot && number == t->number;
	if (needs_proof(state, number, !is_own || t->is_commit_asked) && !read_again(b, state, e))
		return false;
	bool commits = number == state->stored;
	if (is_undecidable(state, number, seconds)) {
		state->is_undecided = true;
		log_warning("exactly-once: the transaction signalbus:%s:%u:%" PRId64
			    " has been prepared for %.0f s, and the number that the broker "
			    "stores does not tell whether its signals were sent; see "
			    "docs/exactly-once.md for how to decide it by hand",
			b->config->instance, p.slot, number, seconds);
		return true;
	}
	if (store_finish_prepared(b->store, &p, commits, e)) {
		state->committed += commits;
		state->rolled_back += !commits;
		state->is_own = is_own;
		return true;
	}
	if (!is_of_another_role(e))
		return false;
	state->is_undecided = true;
	log_warning("exactly-once: the transaction signalbus:%s:%u:%" PRId64
		    " cannot be ended: %s; run \"signalbus recover\" as the role that prepared it",
		b->config->instance, p.slot, number, e->text);
	return true;
}

static bool is_of_slot(const struct rows *prepared, size_t row, unsigned slot)
{
	return strtoul(rows_value(prepared, row, PREPARED_SLOT), NULL, 10) == slot;
}

/* Decide what is prepared for the slot. */
static bool decide_all(struct burst *b, struct slot_state *state, struct error *e)
{
	struct rows *rows = NULL;
	bool ok = store_list_prepared(b->store, &rows, e);
	for (size_t i = 0; ok && i < rows_count(rows); i++)
		if (is_of_slot(rows, i, state->slot))
			ok = decide(b, state,
				strtoll(rows_value(rows, i, PREPARED_NUMBER), NULL, 10),
				strtod(rows_value(rows, i, PREPARED_SECONDS), NULL), e);
	rows_free(rows);
	return ok;
}

/* Fence all senders that have had the slot, which the session has: one that has lost it, such as
 * after the process was frozen, must not disturb who has it now. */
static bool fence(struct burst *b, unsigned slot, struct instant deadline, struct error *e)
{
	struct lane_sender sender = { .instance = b->config->instance, .slot = slot };
	return store_keeps_slot(b->store, slot, e) &&
	       store_database(b->store, &sender.database, e) &&
	       lane_fence(b->transaction.lane, &sender, deadline, e);
}

/* Numbers only grow, so after one that somebody else has stored there may be none. */
static bool leaves_numbers(struct burst *b, const struct slot_state *state, struct error *e)
{
	return state->stored < NUMBER_LIMIT - 1 ||
	       error_set(e, ERROR_INSTANCE,
		       "kafka: the group \"%s-%u\" has the number %" PRId64
		       ", which no burst has; delete the group, or set \"instance\" to another "
		       "name",
		       b->config->instance, state->slot, state->stored);
}

/* The same, and decide what they left. */
static bool resolve(struct burst *b, struct slot_state *state, struct error *e)
{
	struct transaction *t = &b->transaction;
	t->is_unresolved = true;
	if (t->lane == NULL) /* of another delivery */
		t->lane = broker_lane_transactional(b->broker, b->worker);
	return fence(b, state->slot, deadline_of(b), e) &&
	       (read_stored(t->lane, state, deadline_of(b), e) || note_open(state, e)) &&
	       leaves_numbers(b, state, e) && decide_all(b, state, e);
}

/* Numbers only grow, also if those that were stored are lost: they follow the clock. */
static void note_number(struct burst *b, int64_t stored)
{
	struct transaction *t = &b->transaction;
	if (stored > t->number)
		t->number = stored;
}

static void next_number(struct burst *b)
{
	struct transaction *t = &b->transaction;
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	int64_t us = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
	t->number = us > t->number ? us : t->number + 1;
}

static bool resolve_own(struct burst *b, struct slot_state *state, struct error *e)
{
	state->slot = b->transaction.slot;
	if (b->transaction.topic[0] != '\0')
		state->topic = b->transaction.topic; /* also if the first attempt failed */
	if (!resolve(b, state, e))
		return false;
	note_number(b, state->stored);
	b->transaction.is_unresolved = state->is_undecided;
	return true;
}

static void log_resolved(const struct burst *b, const struct slot_state *state)
{
	if (state->committed + state->rolled_back > 0)
		log_warning("exactly-once: %s, in slot %u of instance \"%s\": %s",
			state->is_own ? "this sender had prepared a transaction that it could not "
					"end at once"
				      : "a sender is gone that had prepared a transaction",
			state->slot, b->config->instance,
			state->committed > 0 ? "its messages are stored, so it is committed"
					     : "its messages are not stored, so it is rolled back");
}

/* If the slot is in use, its sender is alive, or somebody else keeps it. */
static bool note_holder(struct burst *b, unsigned slot, struct error *e)
{
	store_say_slot_holder(b->store, slot, e);
	if (e->kind != ERROR_LOCKED)
		return store_connected(b->store);
	recovery_put_off(b->recovery, slot, LOOK_AGAIN_S);
	log_error("exactly-once: what is prepared stays so: %s", e->text);
	return true;
}

static bool recover_slot(struct burst *b, unsigned slot, struct error *e)
{
	struct slot_state state = { .slot = slot };
	struct error ignored;
	bool got;
	if (store_has_slot(b->store) && slot == b->transaction.slot)
		return true; /* settle_slot() does that */
	if (!store_borrow_slot(b->store, slot, &got, e))
		return false;
	if (!got)
		return note_holder(b, slot, e);
	bool ok = resolve(b, &state, e);
	if (store_connected(b->store) && !store_return_slot(b->store, slot, ok ? e : &ignored))
		ok = false;
	if (state.is_undecided)
		recovery_put_off(b->recovery, slot, LOOK_AGAIN_S);
	log_resolved(b, &state);
	return ok;
}

/* If it is only this slot that cannot be resolved, it waits, and the others are resolved. */
static bool try_slot(struct burst *b, unsigned slot, struct error *e)
{
	if (recovery_waits(b->recovery, slot) || recover_slot(b, slot, e))
		return true;
	if (!store_connected(b->store) || !broker_is_up(b->broker))
		return false;
	recovery_fail(b->recovery, slot, e);
	return true;
}

/* Also fence a sender that is gone without having prepared anything: consumers that read committed
 * messages wait for what it sent, until the broker aborts its transaction by itself
 * (transaction.timeout.ms). */
static bool fence_gone(struct burst *b, struct error *e)
{
	uint64_t used, left;
	if (!b->transaction.is_used)
		return true;
	if (!store_list_slots(b->store, &used, e))
		return false;
	left = recovery_note_used(b->recovery, used);
	for (unsigned slot = 0; slot < SLOTS_LISTED; slot++) {
		uint64_t bit = UINT64_C(1) << slot;
		if ((left & bit) == 0)
			continue;
		if (!try_slot(b, slot, e))
			return false;
		if (!recovery_waits(b->recovery, slot))
			recovery_is_gone(b->recovery, bit);
	}
	return true;
}

/* Resolve what is prepared for slots that nobody has. */
bool burst_recover(struct burst *b, struct error *e)
{
	struct rows *rows = NULL;
	bool ok = store_list_prepared(b->store, &rows, e);
	long last = -1;
	for (size_t i = 0; ok && i < rows_count(rows); i++) {
		long slot = strtol(rows_value(rows, i, PREPARED_SLOT), NULL, 10);
		if (slot != last)
			ok = try_slot(b, (unsigned)slot, e);
		last = slot;
	}
	rows_free(rows);
	return ok && fence_gone(b, e);
}

static bool is_slot_free(struct burst *b, unsigned slot, bool *is_free, struct error *e)
{
	struct rows *rows = NULL;
	bool ok = store_list_prepared(b->store, &rows, e);
	*is_free = true;
	for (size_t i = 0; ok && i < rows_count(rows); i++)
		*is_free = *is_free && !is_of_slot(rows, i, slot);
	rows_free(rows);
	return ok;
}

bool burst_try_transaction(
	struct burst *b, const char *const *topics, size_t count, struct error *e)
{
	struct instant deadline = deadline_of(b);
	struct lane *lane = b->transaction.lane;
	unsigned slot;
	int64_t stored;
	bool is_free;
	if (!store_take_slot(b->store, &slot, e) || !is_slot_free(b, slot, &is_free, e) ||
		!fence(b, slot, deadline, e))
		return false;
	if (!is_free)
		return true; /* to abort another transaction may change what tells its fate */
	return lane_read_number(lane, NULL, &stored, deadline, e) &&
	       try_numbers(b, topics, count, stored < 0 ? 0 : stored, e);
}

/* The same if it is due. */
static bool look(struct burst *b, struct error *e)
{
	if (!recovery_begin(b->recovery))
		return true;
	bool ok = burst_recover(b, e);
	double pause = b->transaction.is_used ? LOOK_S : ok ? LOOK_RARELY_S : LOOK_AGAIN_S;
	recovery_end(b->recovery, ok, pause);
	return ok;
}

/* With another delivery: what an earlier configuration left prepared keeps its signals locked, and
 * claims skip those.  Nothing else depends on it. */
static void look_by_the_way(struct burst *b)
{
	struct error e;
	if (look(b, &e))
		return;
	if (!b->transaction.is_used && store_connected(b->store))
		log_warning("exactly-once: what was prepared with the earlier delivery cannot be "
			    "ended now, and its signals stay locked: %s",
			e.text);
	else
		log_debug("%s", e.text); /* the next burst, or look, tries it again */
}

static bool take_slot(struct burst *b, struct error *e)
{
	struct transaction *t = &b->transaction;
	if (store_has_slot(b->store))
		return true;
	t->is_unresolved = true;
	return store_take_slot(b->store, &t->slot, e);
}

/* Resolve what is prepared for the slot, unless that was done.  The number of a slot stays as it is
 * while something is undecided: then take another one. */
static bool settle_slot(struct burst *b, struct error *e)
{
	struct transaction *t = &b->transaction;
	struct slot_state own = { .is_undecided = true };
	while (own.is_undecided && (t->is_unresolved || lane_needs_fence(t->lane))) {
		own = (struct slot_state){ 0 };
		if (!resolve_own(b, &own, e))
			return false;
		log_resolved(b, &own);
		if (own.is_undecided && (!store_leave_slot(b->store, e) || !take_slot(b, e)))
			return false;
	}
	return true;
}

/* Nobody else can resolve what is prepared for the slot of a living session. */
static void tend_slot(struct burst *b)
{
	struct transaction *t = &b->transaction;
	struct error e;
	if (!t->is_used || !store_has_slot(b->store))
		return;
	recovery_begin(t->own);
	bool is_known = !t->is_unresolved || recovery_waits(t->own, t->slot) || settle_slot(b, &e);
	if (!is_known && store_connected(b->store) && broker_is_up(b->broker)) {
		recovery_fail(t->own, t->slot, &e);
		is_known = true;
	}
	recovery_end(t->own, is_known, 0);
}

void burst_tend(struct burst *b)
{
	look_by_the_way(b);
	tend_slot(b);
}

bool transaction_ready(struct burst *b, struct error *e)
{
	struct transaction *t = &b->transaction;
	if (!t->is_used) {
		look_by_the_way(b);
		return true;
	}
	if (!take_slot(b, e) || !look(b, e) || !settle_slot(b, e))
		return false;
	next_number(b);
	store_prepare_as(b->store, t->number);
	return true;
}

void transaction_begin(struct burst *b)
{
	struct transaction *t = &b->transaction;
	t->has_number = t->is_commit_asked = false;
	/* If this fails, there is no producer, and each message is refused. */
	if (!lane_begin_transaction(t->lane, b->deadline, &t->failure))
		log_debug("%s", t->failure.text);
}

void transaction_store_number(struct burst *b, const char *topic)
{
	struct transaction *t = &b->transaction;
	snprintf(t->topic, sizeof t->topic, "%s", topic);
	t->has_number = lane_store_number(t->lane, t->topic, t->number, b->deadline, &t->failure);
}

/* How many rows are to be deleted because their messages are stored. */
static size_t count_sent(const struct burst *b, const struct row_outcome *outcomes)
{
	size_t n = 0;
	for (size_t i = 0; i < b->claim.count; i++)
		n += outcomes[i].outcome == OUTCOME_DELETE;
	return n;
}

bool transaction_may_settle(
	struct burst *b, struct row_outcome *outcomes, size_t *sent, struct error *e)
{
	struct transaction *t = &b->transaction;
	*sent = count_sent(b, outcomes);
	if (*sent == 0)
		store_prepare_as(b->store, 0);
	if (*sent == 0 || t->is_whole) {
		t->is_unresolved = *sent > 0; /* until transaction_finish(), if it is reached */
		return true;
	}
	for (size_t i = 0; i < b->claim.count; i++)
		outcomes[i].outcome = OUTCOME_KEEP;
	return error_set(e, ERROR_BROKER, "model \"%s\": not all of its messages could be stored",
		b->model->settings->name);
}

/* Whether the transaction is committed, and nothing is in doubt. */
static bool commit(struct burst *b, struct error *why)
{
	struct transaction *t = &b->transaction;
	struct instant deadline = deadline_of(b);
	int64_t stored;
	if (!t->has_number) {
		*why = t->failure;
		return false;
	}
	t->is_commit_asked = true;
	if (!lane_commit(t->lane, deadline, why) ||
		!lane_read_number(t->lane, t->topic, &stored, deadline, why))
		return false;
	return stored == t->number ||
	       error_set(why, ERROR_BROKER,
		       "kafka: the transaction was reported as committed, but its number is not "
		       "stored");
}

/* Fence, then let the number decide. */
static bool decide_in_doubt(struct burst *b, const struct error *why, struct error *e)
{
	struct slot_state state = { 0 };
	const char *name = b->model->settings->name;
	log_debug("model \"%s\": in doubt: %s", name, why->text);
	store_forget(b->store, b->model->index);
	if (!resolve_own(b, &state, e))
		return error_prefix(e,
			"model \"%s\": whether a burst is stored is not known yet, and its signals "
			"stay prepared until it is",
			name);
	if (state.committed > 0)
		return true;
	*e = *why;
	return error_prefix(e, "model \"%s\": a transaction was not committed", name);
}

bool transaction_finish(struct burst *b, const struct row_outcome *outcomes, size_t sent,
	struct burst_result *result, struct error *e)
{
	struct transaction *t = &b->transaction;
	const struct prepared p = { t->slot, t->number };
	struct error why;
	bool ok;
	if (sent == 0)
		return true;
	if (store_is_unconfirmed(b->store, &why)) {
		/* A stand-by that takes over may not have it: nothing may be committed in Kafka. */
		why.kind = ERROR_DATABASE; /* it is rolled back */
		ok = decide_in_doubt(b, &why, e);
	} else if (count_sent(b, outcomes) != sent) {
		error_set(&why, ERROR_DATABASE, "a sent signal cannot be deleted");
		ok = decide_in_doubt(b, &why, e);
	} else if (!commit(b, &why)) {
		ok = decide_in_doubt(b, &why, e);
	} else {
		t->is_unresolved = true;
		ok = store_finish_prepared(b->store, &p, true, e);
		t->is_unresolved = !ok;
	}
	if (!t->is_unresolved)
		result->transaction = ok ? TRANSACTION_COMMITTED : TRANSACTION_ROLLED_BACK;
	else
		result->transaction = TRANSACTION_UNDECIDED;
	return ok;
}

void transaction_end(struct burst *b)
{
	const struct transaction *t = &b->transaction;
	struct error e;
	if (!t->is_used || !lane_needs_fence(t->lane))
		return;
	if (store_keeps_slot(b->store, t->slot, &e))
		lane_abort(t->lane, instant_after(clock_now(), ABORT_S));
	else
		lane_drop(t->lane);
}
