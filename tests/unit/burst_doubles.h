/*
 * burst_doubles - stands in for the store and the broker, as a script wants it, and watches that
 * nothing is deleted that the broker has not stored.
 *
 * The claim finds the rows 0, 1, …; row n has id n + 1, key and value say which row a message is
 * of.
 */
#ifndef SIGNALBUS_TEST_BURST_DOUBLES_H
#define SIGNALBUS_TEST_BURST_DOUBLES_H

#include "base/text.h"
#include "kafka/broker.h"
#include "relay/burst.h"
#include "store/store.h"

#include "model_fixture.h"

#include <stdio.h>

enum { ROWS_MAX = 256, ATTEMPTS_MAX = 128 };

struct store {
	int nothing;
};

struct lane {
	int nothing;
};

struct broker {
	struct lane usual, ordered, alone, transactional;
};

struct rows {
	size_t count;
	bool are_prepared; /* of store_list_prepared() */
};

/* What the doubles do.  Verdicts: VERDICT_NONE is VERDICT_STORED. */
struct script {
	size_t rows;                         /* that a claim finds */
	size_t streamed;                     /* the number that may be sent before it ends */
	bool no_lane;                        /* for bursts in order */
	enum error_kind claim_error;         /* ERROR_NONE: it succeeds */
	enum error_kind settle_error;        /* the same */
	bool is_unconfirmed;                 /* what is settled */
	enum error_kind move_error;          /* the same */
	bool poisoned[ROWS_MAX];             /* the broker rejects all that go with it */
	enum verdict broker[ROWS_MAX];       /* else says this; VERDICT_UNKNOWN: never arrives */
	enum verdict broker_again[ROWS_MAX]; /* and this from the second attempt on */
	size_t batches_too_large;            /* the number after the first attempt */
	enum blame blame[ROWS_MAX];          /* where it is rejected, … */
	int cause;                           /* … and for what */
	enum verdict producer[ROWS_MAX];     /* refuses it; VERDICT_NONE: takes it */
	/* Says what the broker is to say of a row, in the place of broker and broker_again. */
	enum verdict (*oracle)(size_t row);
	void (*pass)(void);     /* lets time pass for an attempt, so that the broker may be late */
	bool early;             /* rows are deleted while they are on the way */
	bool refused[ROWS_MAX]; /* the database does not delete it … */
	bool unreadable[ROWS_MAX]; /* … or cannot read it */
	bool kept[ROWS_MAX];       /* … or will not let it go when it was sent, and others stay */
	bool more;                 /* to claim, as a claim has it */
	double since;              /* seconds since the server was asked */
};

/* From lane_begin() to lane_end(). */
struct attempt {
	const struct lane *lane;
	size_t count; /* slots */
	size_t sent;
	size_t rows[ROWS_MAX]; /* that were sent, in their order … */
	size_t slots[ROWS_MAX];
	bool has[ROWS_MAX];
	bool refused;
};

/* What happened. */
struct seen {
	struct attempt attempts[ATTEMPTS_MAX];
	size_t attempt_count;
	struct ledger *open;   /* between lane_begin() and lane_end() */
	bool stored[ROWS_MAX]; /* the broker has said so, once at least */
	bool rejected_alone[ROWS_MAX];
	bool in_order;
	unsigned worker; /* whose lane was taken */
	bool in_transaction;
	bool is_early; /* the rows are being deleted */
	bool is_kept;
	bool is_streaming;
	struct instant claimed;
	enum claim_kind kind;
	struct claim_request request;
	bool passes_over; /* rows that are put off */
	char from[32];    /* the request's first position value */
	size_t claims, claims_open, settles, abandons;
	size_t reduction;     /* how often claims are halved */
	bool is_prefetched;   /* the next claim … */
	char prefetch[2][32]; /* … and where it begins and ends; a range has an end */
	struct instant deadline, stream_deadline; /* of what was sent last */
	bool deleted[ROWS_MAX];
	size_t deleted_count; /* with those that were moved */
	bool moved[ROWS_MAX];
	size_t moved_count;
};

static struct script script;
static struct seen seen;

static inline void check_claim(const struct claim *claim)
{
	ck_assert(seen.in_transaction);
	ck_assert_uint_eq(claim->count, script.rows);
}

/* Tell of rows while they come. */
static inline void stream(const struct claim_request *request, struct claim *claim)
{
	seen.is_streaming = true;
	for (claim->rows->count = 1; claim->rows->count <= script.streamed; claim->rows->count++)
		request->on_row(request->arg, claim->rows->count);
	seen.is_streaming = false;
}

static inline void refuse_some(struct claim *claim)
{
	claim->refusals = memory_new(script.rows, sizeof *claim->refusals);
	for (size_t row = 0; row < script.rows; row++) {
		struct refusal *r = &claim->refusals[row];
		if (script.refused[row] || script.unreadable[row])
			r->reason = text_copy("it is referred to");
		r->what = script.unreadable[row] ? REFUSED_READING : REFUSED_DELETION;
		r->kind = ERROR_DATABASE;
		r->may_die = script.unreadable[row];
	}
}

bool store_claim(struct store *s, const struct model *m, const struct claim_request *request,
	struct claim *claim, struct error *e)
{
	(void)m;
	ck_assert_ptr_nonnull(s);
	ck_assert(!seen.in_transaction);
	*claim = (struct claim){ .more = script.more };
	claim->since = instant_after(clock_now(), -script.since);
	seen.claims++;
	seen.request = *request;
	seen.passes_over = request->passed_over != NULL;
	seen.kind = request->kind;
	seen.in_order = request->kind == CLAIM_ORDERED;
	if (request->kind == CLAIM_NEXT || request->kind == CLAIM_RANGE)
		snprintf(seen.from, sizeof seen.from, "%s", request->from->values[0]);
	seen.claimed = clock_now();
	if (script.rows > 0) {
		claim->rows = memory_new(1, sizeof *claim->rows);
		seen.in_transaction = true;
		stream(request, claim);
	}
	if (script.claim_error != ERROR_NONE) {
		rows_free(claim->rows);
		claim->rows = NULL;
		seen.in_transaction = false;
		return error_set(e, script.claim_error, "the claim failed");
	}
	if (script.rows > 0) {
		claim->rows->count = claim->count = script.rows;
		refuse_some(claim);
		seen.claims_open++;
	}
	seen.claimed = clock_now();
	return true;
}

/* Only if all that is settled now has been stored. */
static void see_next(const struct claim_request *next)
{
	for (size_t row = 0; row < script.rows; row++)
		ck_assert(seen.stored[row]);
	ck_assert(next->kind == CLAIM_NEXT || next->kind == CLAIM_RANGE);
	seen.is_prefetched = true;
	snprintf(seen.prefetch[0], sizeof seen.prefetch[0], "%s", next->from->values[0]);
	if (next->kind == CLAIM_RANGE)
		snprintf(seen.prefetch[1], sizeof seen.prefetch[1], "%s", next->to->values[0]);
}

bool claim_refuses(const struct claim *claim, size_t row)
{
	ck_assert_uint_lt(row, script.rows);
	return claim->refusals != NULL && claim->refusals[row].reason != NULL;
}

void store_reduce_claims(struct store *s, const struct model *m)
{
	(void)s, (void)m;
	seen.reduction++;
}

void store_enlarge_claims(struct store *s, const struct model *m)
{
	(void)s, (void)m;
	seen.reduction -= seen.reduction > 0;
}

void claim_free(struct claim *claim)
{
	if (claim->rows != NULL)
		seen.claims_open--;
	for (size_t row = 0; claim->refusals != NULL && row < script.rows; row++)
		free(claim->refusals[row].reason);
	free(claim->refusals);
	rows_free(claim->rows);
	*claim = (struct claim){ 0 };
}

/* While the rows that were handed over are on the way, and none is settled yet. */
void store_delete_early(struct store *s, const struct model *m, const struct claim *claim)
{
	(void)m;
	ck_assert_ptr_nonnull(s);
	check_claim(claim);
	ck_assert_ptr_nonnull(seen.open);
	ck_assert(!seen.is_early);
	seen.is_early = script.early;
}

/* What the server refuses of the rows that go, or die, stays, and says why; in order, with all
 * after it. */
static inline void keep_some(struct claim *claim, struct row_outcome *outcomes)
{
	bool is_over = false;
	for (size_t row = 0; row < claim->count; row++) {
		struct refusal *r = &claim->refusals[row];
		enum outcome outcome = outcomes[row].outcome;
		bool is_kept =
			(outcome == OUTCOME_DEAD_LETTER && script.move_error != ERROR_NONE) ||
			(outcome == OUTCOME_DELETE && script.kept[row]);
		if (is_over || is_kept)
			outcomes[row].outcome = OUTCOME_KEEP;
		is_over = is_over || (is_kept && seen.in_order);
		if (!is_kept)
			continue;
		free(r->reason);
		*r = (struct refusal){ .reason = text_copy("it is kept"),
			.what = outcome == OUTCOME_DEAD_LETTER ? REFUSED_MOVING : REFUSED_DELETION,
			.kind = outcome == OUTCOME_DEAD_LETTER ? script.move_error
							       : ERROR_DATABASE };
	}
}

bool store_is_unconfirmed(const struct store *s, struct error *e)
{
	(void)s;
	if (script.is_unconfirmed)
		error_set(e, ERROR_UNCONFIRMED, "no standby has confirmed it");
	return script.is_unconfirmed;
}

/* The invariant that everything else serves.  Only what the broker has rejected, when it was sent
 * alone, or what cannot be read becomes a dead letter. */
static inline void check_leaves(const struct model *m, const struct row_outcome *d, size_t row)
{
	if (d->outcome == OUTCOME_DELETE)
		ck_assert_msg(seen.stored[row], "row %zu is deleted and was not stored", row);
	if (d->outcome != OUTCOME_DEAD_LETTER)
		return;
	ck_assert_ptr_nonnull(m->dead_letters);
	ck_assert_msg(seen.rejected_alone[row] || script.unreadable[row],
		"row %zu is no dead letter", row);
	ck_assert_ptr_nonnull(d->reason);
}

static void prepare_double(void);

bool store_settle(struct store *s, const struct model *m, struct claim *claim,
	const struct settle_request *request, struct error *e)
{
	struct row_outcome *outcomes = request->outcomes;
	if (request->next != NULL)
		see_next(request->next);
	ck_assert_ptr_nonnull(s);
	check_claim(claim);
	ck_assert_ptr_null(seen.open);
	bool all_go = true;
	for (size_t row = 0; row < claim->count; row++) {
		check_leaves(m, &outcomes[row], row);
		all_go = all_go &&
			 outcomes[row].outcome ==
				 (claim_refuses(claim, row) ? OUTCOME_KEEP : OUTCOME_DELETE);
	}
	seen.is_kept = !all_go;
	seen.is_early = false;
	seen.settles++;
	seen.in_transaction = false;
	if (script.settle_error != ERROR_NONE)
		return error_set(e, script.settle_error, "the settling failed");
	prepare_double();
	if (!all_go)
		keep_some(claim, outcomes);
	if (request->meanwhile != NULL)
		request->meanwhile(request->arg);
	for (size_t row = 0; row < claim->count; row++) {
		seen.moved[row] = outcomes[row].outcome == OUTCOME_DEAD_LETTER;
		seen.moved_count += seen.moved[row];
		seen.deleted[row] = outcome_leaves(outcomes[row].outcome);
		seen.deleted_count += seen.deleted[row];
	}
	return true;
}

void store_abandon(struct store *s)
{
	ck_assert_ptr_nonnull(s);
	seen.abandons++;
	seen.in_transaction = false;
}

#include "transaction_doubles.h"

size_t rows_count(const struct rows *r)
{
	return r != NULL ? r->count : 0;
}

const char *rows_value(const struct rows *r, size_t row, size_t column)
{
	static char values[4][32];
	if (r->are_prepared)
		return prepared_value(row, column);
	if (row >= r->count || column >= COUNT(values))
		ck_abort_msg("row %zu and column %zu of %zu rows", row, column, r->count);
	snprintf(values[ROW_CTID], sizeof values[0], "(0,%zu)", row + 1);
	snprintf(values[ROW_TABLEOID], sizeof values[0], "16384");
	snprintf(values[ROW_FIXED_FIELDS], sizeof values[0], "%zu", row + 1);
	snprintf(values[ROW_FIXED_FIELDS + 1], sizeof values[0], "row %zu", row);
	return values[column];
}

void rows_fields(const struct rows *r, size_t row, struct field *fields, size_t count)
{
	ck_assert_uint_eq(count, 4);
	for (size_t i = 0; i < count; i++) {
		fields[i].text = rows_value(r, row, i);
		fields[i].length = strlen(fields[i].text);
	}
}

void rows_free(struct rows *r)
{
	free(r);
}

static inline struct attempt *this_attempt(void)
{
	return &seen.attempts[seen.attempt_count - 1];
}

struct lane *broker_lane_alone(struct broker *broker, unsigned worker, struct error *e)
{
	(void)e;
	seen.worker = worker;
	return &broker->alone;
}

struct lane *broker_lane(struct broker *broker, unsigned worker)
{
	seen.worker = worker;
	return &broker->usual;
}

struct lane *broker_lane_ordered(struct broker *broker, unsigned worker, struct error *e)
{
	seen.worker = worker;
	if (!script.no_lane)
		return &broker->ordered;
	error_set(e, ERROR_BROKER, "kafka: cannot create a producer");
	return NULL;
}

void lane_begin(struct lane *lane, struct ledger *l, size_t count)
{
	ck_assert_ptr_null(seen.open);
	ck_assert(seen.in_transaction);
	ck_assert_uint_gt(count, 0);
	ck_assert_uint_lt(seen.attempt_count, ATTEMPTS_MAX);
	seen.attempt_count++;
	this_attempt()->lane = lane;
	this_attempt()->count = count;
	seen.open = l;
	ledger_begin(l, seen.attempt_count, count);
}

/* Which row the message is of. */
static inline size_t row_of(const struct message *message)
{
	char key[32], value[64];
	ck_assert_uint_lt(message->key_length, sizeof key);
	memcpy(key, message->key, message->key_length);
	key[message->key_length] = '\0';
	size_t row = strtoul(key, NULL, 10) - 1;
	snprintf(value, sizeof value, "{\"id\":%zu,\"body\":\"row %zu\"}", row + 1, row);
	ck_assert_str_eq(message->value, value);
	ck_assert_uint_lt(row, script.rows);
	return row;
}

/* In order, all that come before must have been stored or be on the way; else nobody is sent what
 * the broker has. */
static inline void check_may_send(const struct attempt *a, size_t row)
{
	for (size_t before = 0; seen.in_order && before < row; before++)
		ck_assert_msg(seen.stored[before] || a->has[before],
			"row %zu is sent in attempt %zu, and row %zu before it is not stored", row,
			seen.attempt_count, before);
	ck_assert_msg(seen.in_order || !seen.stored[row], "row %zu is repeated", row);
	ck_assert_msg(!a->has[row], "row %zu is sent twice in one attempt", row);
	ck_assert_msg(!seen.in_order || !a->refused, "row %zu is sent after a refusal", row);
}

bool lane_send(struct lane *lane, struct ledger *l, size_t slot, const struct message *message,
	struct instant deadline)
{
	struct attempt *a = this_attempt();
	size_t row = row_of(message);
	ck_assert(!script.refused[row] && !script.unreadable[row]);
	ck_assert_ptr_eq(lane, this_attempt()->lane);
	ck_assert_ptr_eq(l, seen.open);
	/* The broker has all of the time-out, however long the claim took; what is sent while it
	 * runs has what is left of the claim's. */
	double least = seen.is_streaming ? 29 : 30;
	bool is_probe = once.has_slot && seen.attempt_count > 1;
	if (script.since <= 0 && !is_probe)
		ck_assert(!instant_before(deadline, instant_after(seen.claimed, least)));
	ck_assert(instant_before(deadline, instant_after(seen.claimed, 60)));
	if (seen.is_streaming)
		seen.stream_deadline = deadline;
	seen.deadline = deadline;
	check_may_send(a, row);
	if (script.producer[row] != VERDICT_NONE) {
		a->refused = true;
		seen.rejected_alone[row] =
			script.producer[row] == VERDICT_REJECTED && a->count == 1;
		ck_assert(ledger_record(l, slot, script.producer[row], "refused"));
		return false;
	}
	a->has[row] = true;
	a->slots[a->sent] = slot;
	a->rows[a->sent++] = row;
	return true;
}

static inline enum verdict answer(const struct attempt *a, size_t row)
{
	for (size_t i = 0; i < a->sent; i++)
		if (script.poisoned[a->rows[i]])
			return VERDICT_REJECTED;
	if (a->sent > 1 && seen.attempt_count > 1 &&
		seen.attempt_count <= 1 + script.batches_too_large)
		return VERDICT_REJECTED;
	enum verdict v = script.oracle != NULL ? script.oracle(row)
			 : seen.attempt_count > 1 && script.broker_again[row] != VERDICT_NONE
				 ? script.broker_again[row]
				 : script.broker[row];
	return v == VERDICT_NONE ? VERDICT_STORED : v;
}

/* The messages that were sent can be had again, as long as there are rows. */
static inline void check_memory(const struct attempt *a, const struct lane_memory *m)
{
	for (size_t i = 0; i < a->sent; i++) {
		const struct message *message = m->message_of(m->arg, a->slots[i]);
		ck_assert_int_eq(message == NULL, script.claim_error != ERROR_NONE);
		if (message != NULL)
			ck_assert_uint_eq(row_of(message), a->rows[i]);
	}
}

/* The reports come last row first, and twice, the second time with another verdict. */
void lane_await(
	struct lane *lane, struct ledger *l, struct instant deadline, const struct lane_memory *m)
{
	static const char *const reasons[] = { [VERDICT_AWAY] = "topic orders: nobody leads it",
		[VERDICT_TOPIC] = "no such topic",
		[VERDICT_REJECTED] = "bad message" };
	const struct attempt *a = this_attempt();
	this_attempt()->count = l->count; /* that it may have been truncated to */
	if (script.pass != NULL)
		script.pass();
	bool is_late = script.pass != NULL && !instant_before(clock_now(), deadline);
	ck_assert_ptr_eq(lane, this_attempt()->lane);
	ck_assert_ptr_eq(l, seen.open);
	check_memory(a, m);
	for (size_t i = a->sent; i-- > 0;) {
		enum verdict v = answer(a, a->rows[i]);
		if (v == VERDICT_UNKNOWN || is_late)
			continue;
		seen.stored[a->rows[i]] = seen.stored[a->rows[i]] || v == VERDICT_STORED;
		seen.rejected_alone[a->rows[i]] = v == VERDICT_REJECTED && a->count == 1;
		ck_assert(
			ledger_record(l, a->slots[i], v, v == VERDICT_STORED ? NULL : reasons[v]));
		ledger_explain(l, a->slots[i], script.cause, script.blame[a->rows[i]]);
		ck_assert(!ledger_record(l, a->slots[i], VERDICT_REJECTED, "again"));
	}
	for (size_t slot = 0; slot < l->count; slot++)
		ledger_record(l, slot, VERDICT_UNKNOWN, "no answer");
	ck_assert(ledger_complete(l));
}

void lane_end(struct lane *lane, struct ledger *l)
{
	ck_assert_ptr_eq(lane, this_attempt()->lane);
	ck_assert_ptr_eq(l, seen.open);
	seen.open = NULL;
}

#endif
