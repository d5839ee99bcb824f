#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "relay/burst_internal.h"

#include <stdlib.h>

/* How many sizes of batches to try: halved each time, from librdkafka's default to the least that
 * lane_judge.c tries. */
enum { BATCH_SIZES = 11 };

struct burst *burst_new(const struct config *config, struct store *store, struct broker *broker,
	struct burst_owner owner)
{
	struct burst *b = memory_new(1, sizeof *b);
	b->config = config;
	b->store = store;
	b->broker = broker;
	b->recovery = owner.recovery;
	b->worker = owner.worker;
	b->is_sole = owner.workers == 1;
	b->runs = memory_new(config->model_count, sizeof *b->runs);
	b->transaction.own = recovery_new(config->instance);
	b->transaction.is_used = config->delivery == DELIVERY_EXACTLY_ONCE;
	if (b->transaction.is_used)
		b->transaction.lane = broker_lane_transactional(broker, owner.worker);
	return b;
}

void burst_free(struct burst *b)
{
	if (b == NULL)
		return;
	range_free(&b->next);
	ledger_free(&b->ledger);
	ledger_free(&b->attempt);
	free(b->runs);
	recovery_free(b->transaction.own);
	free(b);
}

static void begin(struct burst *b, const struct burst_order *order)
{
	const struct model *m = order->model;
	b->order = order;
	b->model = m;
	b->in_order = order->kind == CLAIM_ORDERED;
	b->encoder = encoder_new(m);
	b->fields = memory_new(ROW_FIXED_FIELDS + m->output_count, sizeof *b->fields);
	b->is_open = false;
	b->handed_over = 0;
}

static void end(struct burst *b)
{
	claim_free(&b->claim);
	encoder_free(b->encoder);
	free(b->fields);
	b->encoder = NULL;
	b->fields = NULL;
}

/* Begin with the claimed rows.  Fails if there is no lane to send them with. */
static bool begin_sending(struct burst *b, struct error *e)
{
	if (b->transaction.is_used)
		b->lane = b->transaction.lane;
	else
		b->lane = b->in_order ? broker_lane_ordered(b->broker, b->worker, e)
				      : broker_lane(b->broker, b->worker);
	if (b->lane == NULL)
		return false;
	b->start = clock_now();
	burst_open(b, &b->ledger, (size_t)b->model->settings->burst_count);
	b->is_open = true;
	return true;
}

/* Hand over the claimed rows up to count that have not been handed over. */
static void send_up_to(struct burst *b, size_t count)
{
	for (; b->handed_over < count; b->handed_over++)
		burst_hand_over(b, b->handed_over, &b->ledger, b->handed_over);
}

/* There are no more rows. */
static void end_sending(struct burst *b)
{
	if (!b->is_open)
		return;
	ledger_truncate(&b->ledger, b->handed_over);
	burst_close(b, &b->ledger);
	b->is_open = false;
}

/* A row has arrived; others are in transit. */
static void take_row(void *arg, size_t count)
{
	struct burst *b = arg;
	struct error e;
	/* By then the server has ended the claim, and its locks (db_session.c): for a process that
	 * was frozen. */
	b->deadline = instant_after(b->claim.since, b->config->timeout);
	if (b->is_open || begin_sending(b, &e))
		send_up_to(b, count);
}

/* A range without rows moves the position back, unless that would find rows that are deferred but
 * not remembered. */
static struct scan_range take_range(const struct burst *b)
{
	const struct burst_order *o = b->order;
	bool is_full = o->deferral != NULL && deferral_is_full(o->deferral);
	return range_take(o->position, b->model, o->from_start, !b->is_sole && !is_full);
}

static struct claim_request request_for(struct burst *b, const struct scan_range *range)
{
	const struct burst_order *order = b->order;
	return (struct claim_request){ .kind = range_kind(range, order->kind),
		.from = &range->from,
		.to = &range->to,
		.keys = order->keys,
		.first_key = order->first_key,
		.key_count = order->key_count,
		.from_start = order->from_start,
		.on_row = b->is_sole || b->in_order ? take_row : NULL,
		.arg = b };
}

/* Claim, and send the first rows while others are in transit. */
static bool claim_in(struct burst *b, const struct scan_range *range, struct burst_result *result,
	struct error *e)
{
	struct text passed[2] = { 0 };
	struct claim_request request = request_for(b, range);
	bool passes = b->order->deferral != NULL &&
		      deferral_list(b->order->deferral, &passed[0], &passed[1]);
	const char *const lists[] = { passed[0].text, passed[1].text };
	request.passed_over = passes ? lists : NULL;
	bool ok = store_claim(b->store, b->model, &request, &b->claim, e);
	text_free(&passed[0]);
	text_free(&passed[1]);
	result->from_start = request.kind == CLAIM_FIRST || b->claim.from_start;
	return ok;
}

static bool claim(struct burst *b, struct burst_result *result, struct error *e)
{
	struct scan_range range = b->has_next ? b->next : take_range(b);
	b->next = (struct scan_range){ 0 };
	b->has_next = false;
	bool ok = claim_in(b, &range, result, e);
	if (ok && b->claim.count == 0 && range_go_on(&range))
		ok = claim_in(b, &range, result, e);
	/* By then the server has ended the transaction, so that others may send the rows.  A claim
	 * may have waited long for locks of others; that does not shorten the broker's time. */
	struct instant limit = instant_after(b->claim.since, limit_burst(b->config->timeout));
	b->deadline = instant_earlier(limit, instant_after(clock_now(), b->config->timeout));
	result->claimed = b->claim.count;
	result->held_back = b->claim.held_back;
	result->held_seconds = b->claim.held_seconds;
	result->more = b->claim.more || (b->claim.count > 0 && range_has_end(&range));
	range_end(&range, b->model, &b->claim);
	return ok;
}

/* The rejected row that e refers to. */
static void add_row(const struct burst *b, size_t row, struct text *t)
{
	rows_fields(b->claim.rows, row, b->fields, ROW_FIXED_FIELDS + b->model->output_count);
	for (size_t i = 0; i < b->model->primary_key_count; i++)
		if (b->fields[b->model->primary_key_fields[i]].text == NULL) {
			text_addf(t, "at %s", rows_value(b->claim.rows, row, ROW_CTID));
			return; /* the key itself cannot be read */
		}
	encode_identity(b->model, b->fields, t);
}

/* The topic of a row that was sent; valid until the next row is encoded. */
static const char *topic_of(const struct burst *b, size_t row)
{
	struct message message;
	struct error e;
	rows_fields(b->claim.rows, row, b->fields, ROW_FIXED_FIELDS + b->model->output_count);
	encode_row(b->encoder, b->fields, &message, &e);
	return message.topic;
}

static struct ledger_rules rules_for(const struct burst *b)
{
	return (struct ledger_rules){ b->in_order, b->model->dead_letters != NULL,
		b->runs[b->model->index] };
}

/* Why the database keeps a row. */
static bool set_refusal(const struct burst *b, size_t row, const char *identity, struct error *e)
{
	const struct refusal *r = &b->claim.refusals[row];
	bool is_sent = b->ledger.entries[row].verdict == VERDICT_STORED;
	if (r->what == REFUSED_MOVING)
		return error_set(e, r->kind,
			"model \"%s\": signal %s cannot be moved to table %s: %s",
			b->model->settings->name, identity, b->model->dead_letters, r->reason);
	if (r->what == REFUSED_READING &&
		r->kind == ERROR_REJECTED) /* it is too large to be read */
		return error_set(e, r->kind,
			"model \"%s\": the message of signal %s was rejected: %s; it stays in "
			"table %s",
			b->model->settings->name, identity, r->reason, b->model->relation);
	return error_set(e, r->kind,
		"model \"%s\": signal %s cannot be %s table %s, so it is %s: %s",
		b->model->settings->name, identity,
		r->what == REFUSED_READING ? "read from" : "deleted from", b->model->relation,
		is_sent ? "sent again" : "not sent", r->reason);
}

/* What is wrong with a row, or with all. */
static bool set_rejection(const struct burst *b, size_t row, const char *identity, struct error *e)
{
	const struct entry *entry = &b->ledger.entries[row];
	const char *name = b->model->settings->name, *table = b->model->relation;
	const char *problem = b->model->dead_letter_problem;
	if (entry->cause == 0 || !ledger_failed_alike(&b->ledger, rules_for(b), VERDICT_REJECTED))
		return error_set(e, ERROR_REJECTED,
			"model \"%s\": the message of signal %s was rejected: %s; it stays in "
			"table %s%s%s",
			name, identity, entry->reason, table, problem != NULL ? ": " : "",
			problem != NULL ? problem : "");
	return error_set(e, ERROR_REJECTED,
		"model \"%s\": %s rejected for the same reason, so not for their content: %s; the "
		"signals stay in table %s",
		name,
		b->in_order || b->claim.count == 1 ? "several messages in succession were"
						   : "all messages of a burst were",
		entry->reason, table);
}

/* What the verdict that decides means for the burst; left rows have left the table. */
static bool set_failure(const struct burst *b, size_t row, size_t left, struct error *e)
{
	const struct entry *entry = &b->ledger.entries[row];
	const char *reason = entry->reason != NULL ? entry->reason : "";
	const char *name = b->model->settings->name;
	bool is_refused = claim_refuses(&b->claim, row);
	if (entry->verdict == VERDICT_AWAY)
		return error_set(e, ERROR_BROKER, "model \"%s\": %s", name, reason);
	if (entry->verdict == VERDICT_TOPIC)
		return error_set(e, ERROR_TOPIC, "model \"%s\": topic \"%s\": %s", name,
			topic_of(b, row), reason);
	if (entry->verdict < VERDICT_TOPIC && !is_refused)
		return error_set(e, ERROR_BROKER,
			"model \"%s\": %zu of %zu signals were not stored within %g s: %s", name,
			b->claim.count - left, b->claim.count, b->config->timeout, reason);
	struct text identity = { 0 };
	add_row(b, row, &identity);
	if (is_refused)
		set_refusal(b, row, identity.text, e);
	else
		set_rejection(b, row, identity.text, e);
	text_free(&identity);
	return false;
}

static void warn_of_dead_letter(const struct burst *b, size_t row, const char *reason)
{
	bool is_refused =
		claim_refuses(&b->claim, row) && b->claim.refusals[row].kind != ERROR_REJECTED;
	struct text identity = { 0 };
	add_row(b, row, &identity);
	log_warning("model \"%s\": %s %s %s: %s; it was moved to table %s",
		b->model->settings->name, is_refused ? "signal" : "the message of signal",
		identity.text, is_refused ? "cannot be read" : "was rejected", reason,
		b->model->dead_letters);
	text_free(&identity);
}

/* Whether what is wrong with a row is not so with others. */
static bool is_of_row(const struct burst *b, size_t row)
{
	enum verdict v = b->ledger.entries[row].verdict;
	bool is_of_topic = v == VERDICT_TOPIC || v == VERDICT_AWAY;
	return v == VERDICT_REJECTED || claim_refuses(&b->claim, row) ||
	       (is_of_topic && !template_is_constant(&b->model->topic));
}

/* Put off the rows that stay for a reason of their own. */
static void put_off(struct burst *b, struct row_outcome *outcomes, struct burst_result *result)
{
	struct error e;
	for (size_t row = 0; b->order->deferral != NULL && row < b->claim.count; row++) {
		if (outcomes[row].outcome != OUTCOME_KEEP || !is_of_row(b, row))
			continue;
		set_failure(b, row, result->sent + result->dead_lettered, &e);
		deferral_add(b->order->deferral, rows_value(b->claim.rows, row, ROW_TABLEOID),
			rows_value(b->claim.rows, row, ROW_CTID), &e);
		outcomes[row].outcome = OUTCOME_DEFER;
		result->put_off_for = e.kind;
		result->put_off++;
	}
}

/* The result of the burst, now that its rows are gone. */
static bool conclude(
	struct burst *b, struct row_outcome *outcomes, struct burst_result *result, struct error *e)
{
	for (size_t i = 0; i < b->claim.count; i++) {
		result->sent += outcomes[i].outcome == OUTCOME_DELETE;
		if (outcomes[i].outcome != OUTCOME_DEAD_LETTER)
			continue;
		warn_of_dead_letter(b, i, outcomes[i].reason);
		result->dead_lettered++;
	}
	size_t left = result->sent + result->dead_lettered;
	put_off(b, outcomes, result);
	result->more = result->more || left + result->put_off < b->claim.count;
	size_t failure = ledger_failure(&b->ledger, rules_for(b), outcomes);
	bool ok = failure == b->claim.count || set_failure(b, failure, left, e);
	ledger_run_on(&b->runs[b->model->index], &b->ledger, outcomes);
	return ok;
}

/* On success, if there are more rows, take the next range.  Returns whether next is to be sent
 * right after the commit. */
static bool prefetch(struct burst *b, const struct burst_result *result, struct claim_request *next)
{
	if (!b->order->continues || !result->more || !ledger_all_stored(&b->ledger) ||
		(b->order->deferral != NULL && deferral_has_rows(b->order->deferral)))
		return false;
	b->next = take_range(b);
	b->has_next = true;
	*next = request_for(b, &b->next);
	return next->kind != CLAIM_FIRST;
}

static bool settle(struct burst *b, struct burst_result *result, struct error *e)
{
	struct row_outcome *outcomes = memory_new(b->claim.count, sizeof *outcomes);
	struct claim_request next;
	bool ok = true;
	bool any = ledger_decide(&b->ledger, rules_for(b), outcomes) > 0;
	bool has_next = prefetch(b, result, &next);
	const struct settle_request request = { .outcomes = outcomes,
		.next = has_next ? &next : NULL };
	if (any)
		ok = store_settle(b->store, b->model, &b->claim, &request, e);
	else
		store_abandon(b->store);
	ok = ok && conclude(b, outcomes, result, e);
	if (ok && store_is_unconfirmed(b->store, e)) {
		store_abandon(b->store); /* the next claim: it has waited as long as the commit */
		ok = false;
	}
	free(outcomes);
	return ok;
}

/* While the deletion is being prepared. */
static void store_number(void *arg)
{
	struct burst *b = arg;
	size_t row = 0;
	while (b->ledger.entries[row].verdict != VERDICT_STORED)
		row++; /* there is one, because something is to be deleted */
	transaction_store_number(b, topic_of(b, row));
}

/* The same with a transaction in Kafka. */
static bool settle_exactly(struct burst *b, struct burst_result *result, struct error *e)
{
	struct row_outcome *outcomes = memory_new(b->claim.count, sizeof *outcomes);
	size_t sent = 0;
	struct error own;
	bool any = ledger_decide(&b->ledger, rules_for(b), outcomes) > 0;
	bool may = !any || transaction_may_settle(b, outcomes, &sent, e);
	const struct settle_request request = {
		.outcomes = outcomes, .meanwhile = sent > 0 ? store_number : NULL, .arg = b
	};
	bool ok = true;
	if (any && may)
		ok = store_settle(b->store, b->model, &b->claim, &request, e) &&
		     transaction_finish(b, outcomes, sent, result, e);
	else
		store_abandon(b->store);
	if (ok && !conclude(b, outcomes, result, &own)) {
		*e = own;
		ok = false;
	}
	ok = ok && may && !store_is_unconfirmed(b->store, e);
	free(outcomes);
	return ok;
}

/* Whether messages were rejected because their batch is too large. */
static bool is_batch_too_large(const struct ledger *l)
{
	for (size_t i = 0; i < l->count; i++) {
		const struct entry *entry = &l->entries[i];
		if (entry->verdict == VERDICT_REJECTED && entry->cause == 0 &&
			entry->blame != BLAME_SOLE)
			return true;
	}
	return false;
}

/* Send the rows that are to be deleted in a transaction of their own: what is open has failed, or
 * was a probe.  Each message has been accepted in a batch, but perhaps in a smaller one; if the
 * cluster did not say which size the topic accepts, each try halves it.  Returns whether all are
 * stored. */
static bool send_in_transaction(struct burst *b, const struct row_outcome *outcomes)
{
	size_t *rows = memory_new(b->claim.count, sizeof *rows), n = 0;
	for (size_t i = 0; i < b->claim.count; i++)
		if (outcomes[i].outcome == OUTCOME_DELETE)
			rows[n++] = i;
	for (size_t tries = 0; n > 0 && tries < BATCH_SIZES; tries++) {
		burst_send_again(b, rows, n);
		if (!is_batch_too_large(&b->attempt))
			break;
	}
	for (size_t i = 0; i < n; i++) {
		ledger_replace(&b->ledger, rows[i], &b->attempt, i);
		ledger_doubt(&b->ledger, rows[i]); /* alone, it was stored */
	}
	free(rows);
	return n > 0 && ledger_all_stored(&b->attempt);
}

/* Find out which messages are to blame, in transactions that are not committed.  Half of the time
 * is left for those that are known to be good by then.  Returns whether it was too short. */
static bool find_bad(struct burst *b)
{
	struct instant now = clock_now(), deadline = b->deadline;
	b->deadline = instant_after(now, instant_seconds(now, deadline) / 2);
	bool is_short = burst_isolate(b) && !instant_before(clock_now(), b->deadline);
	b->deadline = deadline;
	return is_short;
}

/* Whatever of the messages failed fails their transaction: send the good ones again, in one that is
 * committed.  If there was not even time to find one, there are fewer next time. */
static void send_others(struct burst *b)
{
	struct transaction *t = &b->transaction;
	t->is_whole = ledger_all_stored(&b->ledger);
	if (t->is_whole) {
		store_enlarge_claims(b->store, b->model);
		return;
	}
	bool is_short = find_bad(b);
	struct row_outcome *outcomes = memory_new(b->claim.count, sizeof *outcomes);
	ledger_decide(&b->ledger, rules_for(b), outcomes);
	t->is_whole = send_in_transaction(b, outcomes);
	if (is_short && !t->is_whole)
		store_reduce_claims(b->store, b->model);
	free(outcomes);
}

/* Send the claimed rows to the broker, and delete them. */
static bool deliver(struct burst *b, struct burst_result *result, struct error *e)
{
	if (!b->is_open && !begin_sending(b, e)) {
		store_abandon(b->store);
		return false;
	}
	send_up_to(b, b->claim.count);
	store_delete_early(b->store, b->model, &b->claim);
	end_sending(b);
	if (b->transaction.is_used)
		send_others(b);
	else
		burst_isolate(b);
	result->ack_seconds = instant_seconds(b->start, clock_now());
	return b->transaction.is_used ? settle_exactly(b, result, e) : settle(b, result, e);
}

bool burst_run(struct burst *b, const struct burst_order *order, struct burst_result *result,
	struct error *e)
{
	*result = (struct burst_result){ 0 };
	struct instant start = clock_now();
	if (!transaction_ready(b, e))
		return false;
	begin(b, order);
	bool ok = claim(b, result, e);
	if (ok && b->claim.count > 0) {
		ok = deliver(b, result, e);
		result->burst_seconds = instant_seconds(start, clock_now());
	}
	end_sending(b); /* of a claim that failed midway */
	transaction_end(b);
	end(b);
	return ok;
}

void burst_discard_prefetch(struct burst *b)
{
	if (!b->has_next)
		return;
	store_abandon(b->store);
	range_free(&b->next);
	b->has_next = false;
}
