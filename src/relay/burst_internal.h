/*
 * burst_internal - shared by the files of the burst: burst.c runs it, burst_isolate.c sends
 * rejected messages again, burst_send.c sends rows.  Private to burst*.c.
 */
#ifndef SIGNALBUS_BURST_INTERNAL_H
#define SIGNALBUS_BURST_INTERNAL_H

#include "model/encode.h"
#include "relay/burst.h"
#include "relay/scan_position.h"

struct burst {
	const struct config *config;
	struct store *store;
	struct broker *broker;
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
};

/* Encode and send a row for a slot of l, unless an earlier one was refused and the order ends
 * there. */
void burst_hand_over(struct burst *b, size_t row, struct ledger *l, size_t slot);

/* Open a ledger for at most count rows. */
void burst_open(struct burst *b, struct ledger *l, size_t count);

/* Wait for the verdicts of the rows that were handed over. */
void burst_close(struct burst *b, struct ledger *l);

/* Send messages again that were rejected together with others, until the rejected ones are
 * isolated. */
void burst_isolate(struct burst *b);

#endif
