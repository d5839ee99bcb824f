/*
 * burst_internal - shared by the files of the burst: burst.c runs it, burst_isolate.c sends
 * rejected messages again, burst_send.c sends rows.  Private to burst*.c.
 */
#ifndef SIGNALBUS_BURST_INTERNAL_H
#define SIGNALBUS_BURST_INTERNAL_H

#include "model/encode.h"
#include "relay/burst.h"
#include "relay/scan_position.h"

/* Of delivery = "exactly-once" (burst_transaction.c). */
struct transaction {
	bool is_used;
	struct lane *lane;    /* the worker's */
	unsigned slot;        /* of the session, if it has one */
	bool is_unresolved;   /* fence, and decide what is prepared, before the next burst */
	struct recovery *own; /* when to do that without one */
	int64_t number;       /* of the current burst */
	char topic[256];      /* that the number is stored for */
	bool is_whole;        /* all messages that count are stored in the open transaction … */
	bool has_number;      /* … and the number; or else … */
	struct error failure; /* … why not */
	bool is_commit_asked; /* of the last one that was opened */
};

struct burst {
	const struct config *config;
	struct store *store;
	struct broker *broker;
	struct recovery *recovery; /* the process's */
	unsigned worker;
	bool is_sole;            /* no other worker claims rows at the same time */
	struct ledger ledger;    /* of all rows */
	struct ledger attempt;   /* of rows that are sent again */
	struct ledger_run *runs; /* one for each model of the configuration */
	struct scan_range next;  /* taken for the next burst, whose claim may be in flight */
	bool has_next;
	/* Of the current burst: */
	const struct burst_order *order;
	const struct model *model;
	struct encoder *encoder;
	struct claim claim;
	struct field *fields; /* of the row being encoded */
	bool in_order;
	struct lane *lane;       /* that its messages are sent with */
	struct instant deadline; /* for the broker's answers */
	bool is_refused;         /* one of the rows that were handed over was refused */
	bool is_open;            /* the ledger of all rows is open */
	const size_t *again;     /* the rows whose ledger is open instead */
	size_t handed_over;      /* number of rows handed over with the open ledger */
	struct message message;  /* the last one that the lane requested again */
	struct instant start;    /* when sending began */
	struct transaction transaction;
};

/* Encode and send a row for a slot of l, unless an earlier one was refused and the order ends
 * there. */
void burst_hand_over(struct burst *b, size_t row, struct ledger *l, size_t slot);

/* Open a ledger for at most count rows. */
void burst_open(struct burst *b, struct ledger *l, size_t count);

/* Wait for the verdicts of the rows that were handed over. */
void burst_close(struct burst *b, struct ledger *l);

/* Send messages again that were rejected together with others, until the rejected ones are
 * isolated.  Returns whether there were any. */
bool burst_isolate(struct burst *b);

/* Send some rows again, with the ledger attempt. */
void burst_send_again(struct burst *b, const size_t *rows, size_t count);

/* The rest is in burst_transaction.c, and of delivery = "exactly-once".
 *
 * Before a claim: make sure that the session has a slot, whose earlier senders are fenced, and that
 * nothing is prepared for it; and number the burst.  Now and then, resolve what senders that are
 * gone left.  Does nothing with another delivery. */
bool transaction_ready(struct burst *b, struct error *e);

/* Begin a transaction; if one is open it is aborted. */
void transaction_begin(struct burst *b);

/* Whether the rows may be settled: all messages of those to be deleted, *sent of them, are in the
 * open transaction.  If there are none, the database transaction is committed. */
bool transaction_may_settle(
	struct burst *b, struct row_outcome *outcomes, size_t *sent, struct error *e);

/* Store the number of the burst in it, for a topic of its messages; while the deletion is
 * being prepared, which takes as long. */
void transaction_store_number(struct burst *b, const char *topic);

/* The deletion is prepared: commit the transaction and then that, or neither. */
bool transaction_finish(struct burst *b, const struct row_outcome *outcomes, size_t sent,
	struct burst_result *result, struct error *e);

/* The burst is over: abort what is still open. */
void transaction_end(struct burst *b);

#endif
