#include "burst.h"

#include "encode.h"
#include "log.h"
#include "text.h"

#include <stdlib.h>

struct burst {
	const struct config *config;
	struct store *store;
	struct bus *bus;
	struct ledger ledger;  /* of all rows */
	struct ledger attempt; /* of rows that are sent again */
	/* Of the burst under way: */
	const struct model *model;
	struct encoder *encoder;
	struct claim claim;
	struct field *fields; /* of the row being encoded */
	bool in_order;
	struct bus *via;         /* the bus, or the model's own for bursts in order */
	struct instant deadline; /* for the broker's answers */
};

struct burst *burst_new(const struct config *config, struct store *store, struct bus *bus)
{
	struct burst *b = memory_new(1, sizeof *b);
	b->config = config;
	b->store = store;
	b->bus = bus;
	return b;
}

void burst_free(struct burst *b)
{
	if (b == NULL)
		return;
	ledger_free(&b->ledger);
	ledger_free(&b->attempt);
	free(b);
}

static void begin(struct burst *b, const struct burst_order *order)
{
	const struct model *m = order->model;
	b->model = m;
	b->in_order = order->kind == CLAIM_ORDERED;
	b->encoder = encoder_new(m);
	b->fields = memory_new(ROW_FIXED_FIELDS + m->output_count, sizeof *b->fields);
	/* By then the server has ended the transaction (see db.c), so that others may send the
	 * rows: for a process that was frozen. */
	b->deadline = instant_after(clock_now(), 2 * b->config->timeout);
}

static void end(struct burst *b)
{
	claim_free(&b->claim);
	encoder_free(b->encoder);
	free(b->fields);
	b->encoder = NULL;
	b->fields = NULL;
}

/* Remember the last claimed row as the place from which other bursts go on. */
static void move_on(struct burst *b, struct position *position)
{
	struct place_in_table place = { 0 };
	for (size_t i = 0; i < sql_position_count(b->model); i++)
		place_add(&place, rows_value(b->claim.rows, b->claim.count - 1,
					  sql_position_field(b->model, i)));
	position_set(position, &place);
}

static bool claim(struct burst *b, const struct burst_order *order, struct burst_result *result,
	struct error *e)
{
	struct place_in_table from = { 0 };
	struct claim_request request = { .kind = order->kind,
		.from = &from,
		.keys = order->keys,
		.first_key = order->first_key,
		.key_count = order->key_count,
		.from_start = order->from_start };
	if (order->position != NULL) {
		if (!order->from_start)
			from = position_get(order->position);
		request.kind = from.count > 0 ? CLAIM_NEXT : CLAIM_FIRST;
	}
	bool ok = store_claim(b->store, b->model, &request, &b->claim, e);
	/* A claim may have waited long for others' locks; that takes nothing from the broker. */
	b->deadline = instant_earlier(b->deadline, instant_after(clock_now(), b->config->timeout));
	result->from_start = request.kind == CLAIM_FIRST || b->claim.from_start;
	result->claimed = b->claim.count;
	result->held_back = b->claim.held_back;
	result->held_seconds = b->claim.held_seconds;
	result->more = ok && b->claim.more;
	place_free(&from);
	if (ok && b->claim.count > 0 && order->position != NULL)
		move_on(b, order->position);
	return ok;
}

/* Encode and send a row for a slot of l.  Returns false where it was refused. */
static bool send_row(struct burst *b, size_t row, struct ledger *l, size_t slot)
{
	struct message message;
	struct error e;
	rows_fields(b->claim.rows, row, b->fields, ROW_FIXED_FIELDS + b->model->output_count);
	if (encode_row(b->encoder, b->fields, &message, &e))
		return bus_send(b->via, l, slot, &message, b->deadline);
	bus_refuse(b->via, l, slot, VERDICT_REJECTED, e.text);
	return false;
}

/* Send count rows for the slots of l, and await the verdicts.  rows NULL: all from the first. */
static void send_rows(struct burst *b, struct ledger *l, const size_t *rows, size_t count)
{
	bool refused = false;
	bus_begin(b->via, l, count);
	for (size_t slot = 0; slot < count; slot++)
		if (refused && b->in_order)
			bus_refuse(b->via, l, slot, VERDICT_UNSENT, NULL);
		else if (!send_row(b, rows != NULL ? rows[slot] : slot, l, slot))
			refused = true;
	bus_await(b->via, l, b->deadline);
	bus_end(b->via, l);
}

/* Which of the rows to send again: those that were rejected.  In order, where one was rejected, all
 * from the first that is not stored: what is late before it may be so for its sake. */
static size_t rejected_among(
	const struct burst *b, const size_t *rows, size_t count, size_t *rejected)
{
	size_t n = 0;
	bool any = false;
	for (size_t i = 0; i < count; i++) {
		enum verdict v = b->ledger.entries[rows[i]].verdict;
		any = any || v == VERDICT_REJECTED;
		if (v == VERDICT_REJECTED || (b->in_order && (v != VERDICT_STORED || n > 0)))
			rejected[n++] = rows[i];
	}
	return any ? n : 0;
}

static bool isolate(struct burst *b, const size_t *rows, size_t count);

/* Send the rejected ones among the rows again, by halves.  Returns whether all are stored then. */
static bool isolate_rejected(struct burst *b, const size_t *rows, size_t count)
{
	size_t *rejected = memory_new(count, sizeof *rejected);
	size_t n = rejected_among(b, rows, count, rejected);
	size_t half = (n + 1) / 2;
	bool ok = n > 0 && isolate(b, rejected, half);
	if (n > half && (ok || !b->in_order))
		ok = isolate(b, rejected + half, n - half) && ok;
	free(rejected);
	return ok;
}

/* Send rows again.  A single one decides: what is in other bursts must not be in a batch with it.
 */
static void send_again(struct burst *b, const size_t *rows, size_t count)
{
	struct error e;
	struct bus *usual = b->via;
	if (count == 1 && !b->in_order)
		b->via = bus_alone(b->bus, &e);
	if (b->via != NULL) {
		send_rows(b, &b->attempt, rows, count);
		b->via = usual;
		return;
	}
	b->via = usual;
	bus_begin(b->via, &b->attempt, count);
	bus_refuse(b->via, &b->attempt, 0, VERDICT_LATE, e.text);
	bus_end(b->via, &b->attempt);
}

/* Send rows again, until those that the broker rejects stand alone: one bad message fails all that
 * are in a batch with it.  In order, nothing behind the first failure is sent. */
static bool isolate(struct burst *b, const size_t *rows, size_t count)
{
	send_again(b, rows, count);
	bool all_stored = ledger_all_stored(&b->attempt);
	for (size_t i = 0; i < count; i++)
		ledger_replace(&b->ledger, rows[i], &b->attempt, i);
	return all_stored || (count > 1 && isolate_rejected(b, rows, count));
}

/* Send all claimed rows, and again what was rejected along with others. */
static void send_all(struct burst *b)
{
	size_t count = b->claim.count;
	send_rows(b, &b->ledger, NULL, count);
	if (ledger_all_stored(&b->ledger))
		return;
	size_t *rows = memory_new(count, sizeof *rows);
	for (size_t i = 0; i < count; i++)
		rows[i] = i;
	isolate_rejected(b, rows, count);
	free(rows);
}

/* The rejected row that e is about. */
static void add_row(const struct burst *b, size_t row, struct text *t)
{
	rows_fields(b->claim.rows, row, b->fields, ROW_FIXED_FIELDS + b->model->output_count);
	encode_identity(b->model, b->fields, t);
}

/* The topic of a row that was sent; good until the next row is encoded. */
static const char *topic_of(const struct burst *b, size_t row)
{
	struct message message;
	struct error e;
	rows_fields(b->claim.rows, row, b->fields, ROW_FIXED_FIELDS + b->model->output_count);
	encode_row(b->encoder, b->fields, &message, &e);
	return message.topic;
}

/* What the verdict that decides means for the burst; left rows have left the table. */
static bool set_failure(const struct burst *b, size_t row, size_t left, struct error *e)
{
	const struct entry *entry = &b->ledger.entries[row];
	const char *reason = entry->reason != NULL ? entry->reason : "";
	const struct model_config *m = b->model->config;
	if (entry->verdict == VERDICT_TOPIC)
		return error_set(e, ERROR_TOPIC, "model \"%s\": topic \"%s\": %s", m->name,
			topic_of(b, row), reason);
	if (entry->verdict != VERDICT_REJECTED)
		return error_set(e, ERROR_BROKER,
			"model \"%s\": %zu of %zu signals were not stored within %g s: %s", m->name,
			b->claim.count - left, b->claim.count, b->config->timeout, reason);
	struct text identity = { 0 };
	add_row(b, row, &identity);
	error_set(e, ERROR_REJECTED,
		"model \"%s\": the message of signal %s was rejected: %s; it stays in table %s",
		m->name, identity.text, reason, b->model->relation);
	text_free(&identity);
	return false;
}

static void warn_of_dead_letter(const struct burst *b, size_t row, const char *reason)
{
	struct text identity = { 0 };
	add_row(b, row, &identity);
	log_warning(
		"model \"%s\": the message of signal %s was rejected: %s; it was moved to table %s",
		b->model->config->name, identity.text, reason, b->model->dead_letters);
	text_free(&identity);
}

/* The settling of a burst. */
struct settlement {
	struct ledger_rules rules;
	struct disposal *disposals;
	size_t leaving;
	struct error unburied; /* why the dead letters could not be moved; else ERROR_NONE */
};

/* Decide what becomes of each row, and move the dead letters.  Where that is not possible they
 * stay, and the others are settled all the same, so that they are not sent again and again. */
static void dispose(struct burst *b, struct settlement *st)
{
	st->leaving = ledger_dispose(&b->ledger, st->rules, st->disposals);
	bool any = false;
	for (size_t i = 0; i < b->claim.count; i++)
		any = any || st->disposals[i].fate == FATE_DIES;
	if (!any || store_bury(b->store, b->model, &b->claim, st->disposals, &st->unburied))
		return;
	st->rules.dead_letters = false;
	st->leaving = ledger_dispose(&b->ledger, st->rules, st->disposals);
}

/* What has become of the burst, now that its rows are gone. */
static bool conclude(
	struct burst *b, const struct settlement *st, struct burst_result *result, struct error *e)
{
	for (size_t i = 0; i < b->claim.count; i++) {
		if (st->disposals[i].fate != FATE_DIES)
			continue;
		warn_of_dead_letter(b, i, st->disposals[i].reason);
		result->dead_lettered++;
	}
	result->sent = st->leaving - result->dead_lettered;
	result->more = result->more || st->leaving < b->claim.count;
	if (st->unburied.kind != ERROR_NONE) {
		*e = st->unburied;
		return false;
	}
	size_t failure = ledger_failure(&b->ledger, st->rules, st->disposals);
	return failure == b->claim.count || set_failure(b, failure, st->leaving, e);
}

static bool settle(struct burst *b, struct burst_result *result, struct error *e)
{
	struct settlement st = { .rules = { b->in_order, b->model->dead_letters != NULL },
		.disposals = memory_new(b->claim.count, sizeof *st.disposals) };
	bool ok = true;
	dispose(b, &st);
	if (st.leaving == 0)
		store_abandon(b->store);
	else
		ok = store_settle(b->store, b->model, &b->claim, st.disposals, e);
	ok = ok && conclude(b, &st, result, e);
	free(st.disposals);
	return ok;
}

/* By which bus the claimed rows go; they stay where it cannot be made. */
static bool choose_bus(struct burst *b, struct error *e)
{
	b->via = b->in_order ? bus_ordered(b->bus, b->model->index, e) : b->bus;
	if (b->via == NULL)
		store_abandon(b->store);
	return b->via != NULL;
}

/* The way of claimed rows to the broker, and from the table. */
static bool deliver(struct burst *b, struct burst_result *result, struct error *e)
{
	if (!choose_bus(b, e))
		return false;
	struct instant start = clock_now();
	send_all(b);
	result->ack_seconds = instant_seconds(start, clock_now());
	return settle(b, result, e);
}

bool burst_run(struct burst *b, const struct burst_order *order, struct burst_result *result,
	struct error *e)
{
	*result = (struct burst_result){ 0 };
	struct instant start = clock_now();
	begin(b, order);
	bool ok = claim(b, order, result, e);
	if (ok && b->claim.count > 0) {
		ok = deliver(b, result, e);
		result->burst_seconds = instant_seconds(start, clock_now());
	}
	end(b);
	return ok;
}
