/*
 * bus_own - what the files of the bus share.  Private to bus*.c.
 */
#ifndef SIGNALBUS_BUS_OWN_H
#define SIGNALBUS_BUS_OWN_H

#include "bus.h"

#include <pthread.h>
#include <stdatomic.h>

struct producer;

struct bus {
	const struct config *config;
	/* The producer is replaced under the write lock, and used under the read lock. */
	pthread_rwlock_t producer_lock;
	struct producer *producer; /* NULL: could not be made yet */
	pthread_t reporter;
	int wake_fd; /* readable: there are reports, or it is time to leave */
	atomic_bool leaving;
	/* The reporter's own: */
	bool is_fatal;
	struct instant next_probe;
	unsigned failed_probes;
	struct instant down_since; /* or since the producer was replaced for that */
	/* Where bursts are sent in order: */
	bool in_order;
	atomic_bool is_broken; /* something was not stored: nothing more may be sent */
	/* All below is under lock; changed says that some of it has changed. */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct ledger *ledgers[BUS_LEDGERS_MAX];
	size_t ledger_count;
	uint64_t last_burst;
	unsigned waiting_for_room;
	/* Where bursts are sent in order: */
	bool is_fresh;   /* nothing that this producer sent is stored yet */
	bool first_sent; /* its first message is on the way */
	bool watching;
	bool is_up;          /* the broker answered when it was last asked */
	bool in_doubt;       /* it should be asked again */
	struct bus *ordered; /* made when first asked for */
	char trouble[512];   /* the last that the producer told of; empty after a success */
};

/* Make the reporter look around now. */
void bus_wake(struct bus *bus);

/* The reporter's: put a new producer in the place of the one that is there. */
void bus_replace_producer(struct bus *bus);

/* The reporter's: ask whether the broker answers, if that is wanted now. */
void bus_probe(struct bus *bus);

#endif
