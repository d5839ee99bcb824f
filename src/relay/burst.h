/*
 * burst - sends some rows: claim, encode, send, wait, settle.
 *
 * A burst belongs to one worker, and so does the store it uses; the broker is shared.  Running one
 * blocks: for the responses of the database, and for those of the broker until `timeout` of the
 * configuration.  Rows are deleted only in a transaction that commits after VERDICT_STORED for
 * their messages.  The server may begin to delete them earlier, while the messages are in flight
 * (store_delete_early()).
 *
 * The first rows of a claim may be in flight to the broker while the last ones still arrive from
 * the database.  If such a claim fails, their acknowledgements are awaited nevertheless, and they
 * are sent again with the next burst.  This is done in order, and by a sole worker: several may
 * delete the rows of a claim before the first one is sent (store/delete_first.c).
 */
#ifndef SIGNALBUS_BURST_H
#define SIGNALBUS_BURST_H

#include "base/error.h"
#include "config/config.h"
#include "kafka/broker.h"
#include "relay/deferral.h"
#include "relay/recovery.h"
#include "relay/scan_position.h"
#include "store/store.h"

#include <stdbool.h>
#include <stddef.h>

struct burst;

/* The request for a burst. */
struct burst_order {
	const struct model *model;
	enum claim_kind kind;
	struct position *position; /* CLAIM_FIRST: where to begin instead, and advanced; or NULL */
	/* Unordered: where to defer rows that fail for a reason of their own, so that the others
	 * are sent; they are skipped by claims.  NULL: they fail the burst. */
	struct deferral *deferral;
	const struct rows *keys; /* CLAIM_BY_KEY */
	size_t first_key, key_count;
	/* Also look for rows before the position; CLAIM_ORDERED: before the last ones sent. */
	bool from_start;
	/* If there are more rows, the caller repeats the same request, or calls
	 * burst_discard_prefetch(): so the next rows may be claimed as soon as these are gone. */
	bool continues;
};

/* The result. */
struct burst_result {
	bool from_start;     /* claimed from the beginning of the table, or of the order */
	bool held_back;      /* CLAIM_ORDERED: nothing claimed, because open transactions may commit
				earlier rows; run it again after a while */
	double held_seconds; /* for how long that has been the case */
	size_t claimed;
	bool more; /* there are more rows to claim at once, as far as is known; for noted keys, with
		      the same ones */
	size_t sent;          /* stored by the broker, and deleted */
	size_t dead_lettered; /* rejected by the broker, and moved to the dead letters */
	bool locked;    /* set by the caller: there is a row that other sessions may have locked */
	size_t put_off; /* stay, and are skipped for a while … */
	enum error_kind put_off_for; /* … for example for this reason */
	double ack_seconds;          /* from the first message to the last acknowledgement */
	double burst_seconds;        /* from the claim to the end of the transaction */
	/* Of delivery = "exactly-once": */
	enum transaction_outcome {
		TRANSACTION_NONE,
		TRANSACTION_COMMITTED,
		TRANSACTION_ROLLED_BACK,
		TRANSACTION_UNDECIDED, /* as long as the broker cannot be asked */
		TRANSACTION_OUTCOMES
	} transaction;
};

/* The owner of the burst. */
struct burst_owner {
	unsigned worker;           /* its number, from 0 … */
	unsigned workers;          /* … of this many */
	struct recovery *recovery; /* which these share; it outlives the burst */
};

struct burst *burst_new(const struct config *config, struct store *store, struct broker *broker,
	struct burst_owner owner);
void burst_free(struct burst *b);

/* Run a burst.  Returns false with e unless every claimed row was sent and deleted, moved to the
 * dead letters, or deferred; in order, the rows after a dead letter wait for the next burst.
 * result is filled in any case, and no transaction is left open. */
bool burst_run(struct burst *b, const struct burst_order *order, struct burst_result *result,
	struct error *e);

/* Of delivery = "exactly-once": resolve what senders of the instance that are gone left prepared,
 * and log it, and which slots cannot be resolved.  Fails if that holds of all, because the database
 * or the broker is unavailable.  burst_run() does so now and then. */
bool burst_recover(struct burst *b, struct error *e);

/* The same for a worker that has no burst to run, if it is due, and what the worker itself has
 * prepared; with another delivery, too, because an earlier configuration may have left something.
 */
void burst_tend(struct burst *b);

/* Whether the broker admits a sender, in a free slot, and lets it store numbers for these topics:
 * the privileges that it needs.  Nothing is sent, and the transaction is aborted. */
bool burst_try_transaction(
	struct burst *b, const char *const *topics, size_t count, struct error *e);

/* Abandon the prefetched claim for the next burst, if there is one. */
void burst_discard_prefetch(struct burst *b);

#endif
