/*
 * burst - the way of some rows, once: claim, encode, send, await, settle.
 *
 * A burst belongs to one worker, and so does the store it uses; the bus is shared.  Running one
 * blocks: for the database's answers, and for the broker's until `timeout` of the configuration.
 * Rows are deleted only in a transaction that commits after VERDICT_STORED for their messages.  The
 * server may begin to delete them before that, while they are on the way (store_delete_ahead()).
 *
 * The first rows of a claim may be on their way to the broker while the last ones still come from
 * the database.  Where such a claim fails, they are awaited all the same, and sent again with the
 * next burst.  That is so in order, and where no other worker uses the bus: others' bursts, which
 * are not hurried while something is being handed over, would wait for the end of the claim.
 */
#ifndef SIGNALBUS_BURST_H
#define SIGNALBUS_BURST_H

#include "base/error.h"
#include "config/config.h"
#include "kafka/bus.h"
#include "relay/deferral.h"
#include "store/position.h"
#include "store/store.h"

#include <stdbool.h>
#include <stddef.h>

struct burst;

/* What is wanted of a burst. */
struct burst_order {
	const struct model *model;
	enum claim_kind kind;
	struct position *position; /* CLAIM_FIRST: where to begin instead, and moved on; or NULL */
	/* In no order: where rows are put off that fail for a reason of their own, so that the
	 * others go on; and passed over.  NULL: they fail the burst. */
	struct deferral *deferral;
	const struct rows *keys; /* CLAIM_NOTED */
	size_t first_key, key_count;
	/* Look for rows before the position, too; CLAIM_ORDERED: before those sent last. */
	bool from_start;
	/* Where there is more, the same is ordered again, or burst_leave() is called: so the next
	 * rows may be claimed as soon as these are gone. */
	bool goes_on;
};

/* What became of it. */
struct burst_result {
	bool from_start;     /* claimed from the beginning of the table, or of the order */
	bool held_back;      /* CLAIM_ORDERED: nothing claimed, since open transactions may commit
				earlier rows; run it again in a while */
	double held_seconds; /* for how long that has been so */
	size_t claimed;
	bool more;            /* there are more rows to claim at once, as far as is known; of noted
				  keys, of the same ones */
	size_t sent;          /* stored by the broker, and deleted */
	size_t dead_lettered; /* rejected by the broker, and moved to the dead letters */
	bool locked;          /* by who orders bursts: there is a row that others may have locked */
	size_t put_off;       /* stay, and are passed over for a while … */
	enum error_kind put_off_for; /* … such as for this */
	double ack_seconds;          /* from the first message to the last acknowledgement */
	double burst_seconds;        /* from the claim to the end of the transaction */
};

/* Whose burst it is. */
struct burst_owner {
	unsigned worker;  /* its number, from 0 … */
	unsigned workers; /* … of so many, which use the bus at the same time */
};

struct burst *burst_new(const struct config *config, struct store *store, struct bus *bus,
	struct burst_owner owner);
void burst_free(struct burst *b);

/* Run one.  Returns false with e where not every claimed row was sent and deleted, moved to the
 * dead letters, or put off; in order, what is behind a dead letter waits for the next burst. result
 * is filled in any case, and no transaction is left open. */
bool burst_run(struct burst *b, const struct burst_order *order, struct burst_result *result,
	struct error *e);

/* Give up what was claimed for the next burst, if anything was. */
void burst_leave(struct burst *b);

#endif
