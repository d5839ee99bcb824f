/*
 * Messages that were rejected together with others are sent again: one bad message fails its whole
 * batch.
 */
#include "base/text.h"
#include "relay/burst_internal.h"

#include <stdlib.h>

static bool is_to_blame(const struct burst *b, size_t row, enum blame blame)
{
	const struct entry *entry = &b->ledger.entries[row];
	return entry->verdict == VERDICT_REJECTED && entry->blame == blame;
}

/* Which of the rows to send again: those that were rejected together with others.  In order: resend
 * everything from the first row that is not stored, since a late row may be late because of the
 * rejected one.  Stop at a row that was judged alone.  In a transaction, what was not sent any more
 * after a failure is like what was rejected. */
static size_t rejected_among(
	const struct burst *b, const size_t *rows, size_t count, size_t *rejected)
{
	size_t n = 0;
	bool any = false, is_over = false;
	for (size_t i = 0; i < count && !is_over; i++) {
		enum verdict v = b->ledger.entries[rows[i]].verdict;
		bool is_sole = is_to_blame(b, rows[i], BLAME_SOLE);
		bool is_failed =
			v == VERDICT_REJECTED || (v == VERDICT_UNSENT && b->transaction.is_used);
		any = any || is_failed;
		is_over = b->in_order && is_sole;
		if (!is_sole && (is_failed || (b->in_order && (v != VERDICT_STORED || n > 0))))
			rejected[n++] = rows[i];
	}
	return any ? n : 0;
}

/* How many of the rows to send together: one that is likely to blame by itself, what is before it,
 * or half of them. */
static size_t part_of(const struct burst *b, const size_t *rows, size_t count, size_t half)
{
	size_t n = 1;
	if (!is_to_blame(b, rows[0], BLAME_LIKELY))
		while (n < count && n < half && !is_to_blame(b, rows[n], BLAME_LIKELY))
			n++;
	return n;
}

static bool isolate(struct burst *b, const size_t *rows, size_t count);

/* Send the rejected ones, *n of them, among the rows again, in parts.  Returns whether all are
 * stored then. */
static bool isolate_rejected(struct burst *b, const size_t *rows, size_t count, size_t *n)
{
	size_t *rejected = memory_new(count, sizeof *rejected);
	*n = rejected_among(b, rows, count, rejected);
	bool ok = *n > 0;
	for (size_t i = 0, part = 0; i < *n && (ok || !b->in_order); i += part) {
		part = part_of(b, rejected + i, *n - i, (*n + 1) / 2);
		ok = isolate(b, rejected + i, part) && ok;
	}
	free(rejected);
	return ok;
}

/* Send rows again.  A single one is decisive: messages of other bursts must not be in its batch. */
void burst_send_again(struct burst *b, const size_t *rows, size_t count)
{
	struct error e;
	struct lane *usual = b->lane, *lane = usual;
	if (count == 1 && !b->in_order && !b->transaction.is_used)
		lane = broker_lane_alone(b->broker, b->worker, &e);
	b->lane = lane != NULL ? lane : usual;
	b->again = rows;
	burst_open(b, &b->attempt, count);
	for (size_t slot = 0; slot < count; slot++)
		if (lane == NULL)
			/* uncovered: no descriptor or thread is left for that lane */
			ledger_record(&b->attempt, slot, VERDICT_UNKNOWN, e.text);
		else
			burst_hand_over(b, rows[slot], &b->attempt, slot);
	burst_close(b, &b->attempt);
	b->again = NULL;
	b->lane = usual;
}

/* Send rows again, until the rejected ones are isolated: one bad message fails its whole batch.  In
 * order, nothing after the first failure is sent. */
static bool isolate(struct burst *b, const size_t *rows, size_t count)
{
	size_t rejected;
	burst_send_again(b, rows, count);
	bool all_stored = ledger_all_stored(&b->attempt);
	for (size_t i = 0; i < count; i++)
		ledger_replace(&b->ledger, rows[i], &b->attempt, i);
	return all_stored || (count > 1 && isolate_rejected(b, rows, count, &rejected));
}

bool burst_isolate(struct burst *b)
{
	size_t count = b->claim.count, rejected;
	if (ledger_all_stored(&b->ledger))
		return false;
	size_t *rows = memory_new(count, sizeof *rows);
	for (size_t i = 0; i < count; i++)
		rows[i] = i;
	isolate_rejected(b, rows, count, &rejected);
	free(rows);
	return rejected > 0;
}
