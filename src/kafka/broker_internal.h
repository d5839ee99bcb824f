/*
 * broker_internal - shared by the files of the broker, and what its lanes record in it.  Private to
 * this folder.
 */
#ifndef SIGNALBUS_BROKER_INTERNAL_H
#define SIGNALBUS_BROKER_INTERNAL_H

#include "kafka/broker.h"
#include "kafka/reason.h"
#include "model/ledger.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#define BROKER_REASON_MAX 1024

struct broker {
	const struct config *config;
	unsigned workers;
	bool is_watched; /* by a thread … */
	pthread_t watch; /* … that is this */
	/* These may be read without the lock: */
	atomic_bool leaving;
	atomic_uint generation;      /* of producers: those of an earlier one are stale */
	atomic_bool has_stored;      /* since the watch last checked */
	atomic_size_t node_count;    /* that have a problem */
	_Atomic int64_t troubled_ns; /* when a problem was last found with one */
	pthread_mutex_t making;      /* a lane, which may wait for secrets; taken before lock */
	/* Everything below is under lock. */
	pthread_mutex_t lock;
	pthread_cond_t up;              /* is_up has become true */
	pthread_cond_t doubtful;        /* in_doubt has, or leaving */
	struct lane **lanes, **ordered; /* of each worker; NULL: not created yet */
	struct lane **alone, **transactional;
	struct node_trouble *nodes;
	struct instant stored_at; /* when a lane's last burst ended of which anything was stored */
	unsigned unfit;           /* lanes that others replace … */
	struct instant unfit_since; /* … and since when there are any */
	char unanswered[512];       /* why no broker answered the last query; or empty */
	char fatal[512];            /* the last fatal error of a producer that was logged */
	bool is_up;                 /* the broker answered the last query */
	bool is_storing_nothing;    /* … but has stored nothing for the time of a burst */
	char silence[512];          /* why it does not answer; empty: it does, or was not queried */
	unsigned open_bursts;
	bool has_failed; /* a burst that was not stored in time, and none since then, … */
	char lateness[BROKER_REASON_MAX]; /* … and why */
	struct instant silent_since; /* nothing was stored since then although something was sent */
	struct instant last_burst_end;
	bool in_doubt; /* check whether the broker answers */
};

/* Whether a lane reaches the broker.  Under the lock of the broker, except for is_proven, which may
 * be read without it. */
struct fitness {
	atomic_bool is_proven; /* it stored something, or a query was answered, since in doubt */
	bool has_stored;
	unsigned failures; /* consecutive queries without an answer while others stored … */
	struct instant next_trial; /* … and when the next one is due */
};

/* A node of the cluster to which a connection failed, or that does not answer as a leader. */
struct node_trouble {
	int32_t id; /* -1: not known yet */
	char address[256];
	struct trouble trouble; /* why a connection failed */
	bool was_up;            /* it worked before: perhaps it was unused for long */
	struct instant at;      /* when */
	bool is_lost;           /* it did not answer the last query, … */
	char topic[256];        /* … as the leader of this … */
	int32_t partition;
	unsigned failures; /* … this many times … */
	struct instant next_ask;
};

/* None of the following is called under the lock. */

/* Make the watch check now whether the broker answers. */
void broker_doubt(struct broker *broker);

/* Stop the thread of the watch, if there is one; the broker is being freed. */
void broker_end_watch(struct broker *broker);

/* The lanes, which are created on first use; broker_new() creates the first one, to see whether a
 * producer can be created (broker_lanes.c). */
void broker_make_lanes(struct broker *broker);
void broker_free_lanes(struct broker *broker);
struct lane *broker_first_lane(struct broker *broker, struct error *e);

/* Try lanes that have failed and are due for another trial, until one fails again. */
void broker_try_lanes(struct broker *broker);

/* Take the reports of lanes that no burst has: errors are recorded when they occur. */
void broker_poll_idle_lanes(struct broker *broker);

/* The end of a burst. */
struct burst_end {
	struct fitness *lane;
	struct instant begun;
	const char *late; /* why it was late; NULL: it was not */
	bool has_stored;  /* any of its messages */
};

/* Record that a burst begins, or has ended. */
void broker_note_begin(struct broker *broker);
void broker_note_end(struct broker *broker, const struct burst_end *end);

/* Whether a worker is to try a lane that is not proven now: the watch, if there is one, tries those
 * that have failed once.  Record the result: that it reaches the broker,
 * or why it does not although others do.  The first one that does not, and that all do again, is
 * logged. */
bool broker_trial_is_due(struct broker *broker, const struct fitness *lane);
void broker_note_fit(struct broker *broker, struct fitness *lane);
void broker_note_unfit(struct broker *broker, struct fitness *lane, const char *why);

/* Record a fatal error of a producer.  Returns whether it is news: another one than the last, or
 * some producer has worked since then. */
bool broker_note_fatal(struct broker *broker, const char *text);
void broker_forget_fatal(struct broker *broker);

/* Record whether any broker answered a query of a burst and, if not, why.  It says nothing of the
 * broker if other bursts stored something since this one began. */
void broker_note_answer(struct broker *broker, const char *why, struct instant begun);

/* Put into text, which has room for size bytes, why none answered the last one; empty: one did. */
void broker_why_unanswered(struct broker *broker, char *text, size_t size);

/* Record librdkafka's report about a connection to a node, or that a node works.  Returns whether
 * it is about a node. */
bool broker_node_failed(struct broker *broker, int code, const char *reason);
void broker_node_works(struct broker *broker, int32_t id);

/* Fill t with what is known about a node, by its id, or address if that is not known yet.  Returns
 * whether anything is. */
bool broker_node_known(struct broker *broker, struct node_trouble *t);

/* Record whether the node of t answers as the leader of a partition; t is updated. */
void broker_node_asked(struct broker *broker, struct node_trouble *t, bool answers,
	const char *topic, int32_t partition);

/* A lost leader to query now. */
bool broker_lost_node(struct broker *broker, struct node_trouble *lost);

#endif
