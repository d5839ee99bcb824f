/*
 * What was rejected along with others is sent again: one bad message fails all that are in a batch
 * with it.
 */
#include "base/text.h"
#include "relay/burst_own.h"

#include <stdlib.h>

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
	struct bus *usual = b->via, *via = usual;
	if (count == 1 && !b->in_order)
		via = bus_alone(b->bus, &e);
	b->via = via != NULL ? via : usual;
	burst_open(b, &b->attempt, count);
	for (size_t slot = 0; slot < count; slot++)
		if (via == NULL)
			/* uncovered: no descriptor or thread is left for that bus */
			bus_refuse(b->via, &b->attempt, slot, VERDICT_LATE, e.text);
		else
			burst_hand_over(b, rows[slot], &b->attempt, slot);
	burst_close(b, &b->attempt);
	b->via = usual;
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

void burst_isolate(struct burst *b)
{
	size_t count = b->claim.count;
	if (ledger_all_stored(&b->ledger))
		return;
	size_t *rows = memory_new(count, sizeof *rows);
	for (size_t i = 0; i < count; i++)
		rows[i] = i;
	isolate_rejected(b, rows, count);
	free(rows);
}
