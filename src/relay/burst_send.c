/*
 * From a claimed row to its verdict: encode it, send it, wait for the broker.
 */
#include "relay/burst_internal.h"

/* What is not sent is the row's own fault, if it is a fault. */
static void refuse(struct ledger *l, size_t slot, enum verdict v, const char *reason)
{
	if (ledger_record(l, slot, v, reason))
		ledger_explain(l, slot, 0, BLAME_SOLE);
}

/* A row that is too large for any message is the only one at fault, like such a message. */
static enum verdict verdict_for(const struct refusal *r)
{
	if (!r->may_die)
		return VERDICT_HELD;
	return r->kind == ERROR_REJECTED ? VERDICT_REJECTED : VERDICT_UNREADABLE;
}

/* Encode and send a row for a slot of l.  Returns false if it was refused. */
static bool send_row(struct burst *b, size_t row, struct ledger *l, size_t slot)
{
	struct message message;
	struct error e;
	if (claim_refuses(&b->claim, row)) {
		const struct refusal *r = &b->claim.refusals[row];
		refuse(l, slot, verdict_for(r), r->reason);
		return false;
	}
	rows_fields(b->claim.rows, row, b->fields, ROW_FIXED_FIELDS + b->model->output_count);
	if (encode_row(b->encoder, b->fields, &message, &e))
		return lane_send(b->lane, l, slot, &message, b->deadline);
	refuse(l, slot, VERDICT_REJECTED, e.text);
	return false;
}

void burst_hand_over(struct burst *b, size_t row, struct ledger *l, size_t slot)
{
	if (b->is_refused && b->in_order)
		refuse(l, slot, VERDICT_UNSENT, NULL);
	else if (!send_row(b, row, l, slot))
		b->is_refused = true;
}

void burst_open(struct burst *b, struct ledger *l, size_t count)
{
	b->is_refused = false;
	if (b->transaction.is_used)
		transaction_begin(b);
	lane_begin(b->lane, l, count);
}

/* The message of a slot of the open ledger. */
static const struct message *message_of(void *arg, size_t slot)
{
	struct burst *b = arg;
	struct error e;
	size_t row = b->again != NULL ? b->again[slot] : slot;
	if (b->claim.rows == NULL || row >= rows_count(b->claim.rows))
		return NULL; /* the claim failed midway */
	rows_fields(b->claim.rows, row, b->fields, ROW_FIXED_FIELDS + b->model->output_count);
	return encode_row(b->encoder, b->fields, &b->message, &e) ? &b->message : NULL;
}

void burst_close(struct burst *b, struct ledger *l)
{
	lane_await(b->lane, l, b->deadline, &(struct lane_memory){ message_of, b });
	lane_end(b->lane, l);
}
