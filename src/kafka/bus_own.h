/*
 * bus_own - what the files of the bus share.  Private to bus*.c.
 */
#ifndef SIGNALBUS_BUS_OWN_H
#define SIGNALBUS_BUS_OWN_H

#include "kafka/bus.h"
#include "kafka/bus_ask.h"
#include "kafka/bus_producer.h"

#include <pthread.h>
#include <stdatomic.h>

struct producer;

#define BUS_REASON_MAX 1024

/* A message's opaque is its burst's number, whether its model has no key, whether it has a time of
 * its own, and its slot in one word. */
#define BUS_SLOT_BITS  20
#define BUS_SLOT_MASK  ((UINT64_C(1) << BUS_SLOT_BITS) - 1)
#define BUS_OWN_TIME   (UINT64_C(1) << BUS_SLOT_BITS)
#define BUS_KEYLESS    (UINT64_C(2) << BUS_SLOT_BITS)
#define BUS_BURST_BITS (BUS_SLOT_BITS + 2)

/* librdkafka's default for batch.size, and what is hardly less than any topic takes. */
enum { BUS_BATCH_SIZE = 1000000, BUS_BATCH_MIN = 1000 };

/* How a topic was set when that was asked for. */
struct settings_answer {
	char topic[256];
	struct topic_settings settings;
	struct instant stale;
};

struct bus {
	const struct config *config;
	struct bus *main; /* the one that people ask for whether the broker answers; perhaps this */
	/* The producer is replaced under the write lock, and used under the read lock. */
	pthread_rwlock_t producer_lock;
	struct producer *producer; /* NULL: could not be made yet */
	uint64_t lost_burst;       /* bursts up to this one were given up with a producer */
	pthread_t reporter;
	int wake_fd; /* readable: there are reports, or it is time to leave */
	atomic_bool leaving;
	/* The reporter's own: */
	bool is_fatal;
	unsigned failed_producers;    /* one after the other, that could not send anything … */
	struct instant next_producer; /* … so that the next one has to wait */
	char fatal[512];              /* the last fatal error that was logged */
	bool is_sending; /* what was awaited is being sent; no report has come since … */
	struct instant hurry_again; /* … but other partitions shall not wait longer for it */
	bool is_alone;              /* each message is a batch of its own */
	bool in_order;
	size_t message_max_bytes, queue_max_kbytes; /* of the producer's properties */
	struct settings_answer settings;            /* the reporter's: asked for last */
	/* The reporter's, in order: the batch.size of this producer, and of the next one; 0: as it
	 * is configured.  And how many messages were too large for their topic. */
	size_t batch_size, next_batch_size, too_large;
	atomic_bool has_own_times; /* of messages; else this host gives them all */
	/* In order something was not stored, or the producer is stale: nothing more may be sent. */
	atomic_bool is_broken;
	/* All below is under lock; changed says that some of it has changed. */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct ledger *ledgers[BUS_LEDGERS_MAX];
	size_t ledger_count;
	struct waiter *waiters; /* for a ledger to be complete */
	uint64_t last_burst;
	unsigned filling; /* ledgers whose messages are being handed over */
	bool is_hurried;  /* what is awaited is being sent: nothing is to be handed over now */
	unsigned waiting_for_room;
	struct topic_start *starts; /* where bursts are sent in order: topics that were sent to */
	size_t start_count;
	struct topic_trouble *refused; /* the oldest first */
	atomic_size_t refused_count;   /* may be read without the lock */
	char trouble[512]; /* the last that the producer told of itself; empty after a success */
	_Atomic int64_t looked_ns; /* when it was seen last which leaders are lost */
	/* The main one's: */
	char unanswered[512]; /* why no broker answered when one was asked last; or empty */
	struct broker_trouble *brokers; /* with which something is wrong */
	_Atomic int64_t troubled_ns;    /* when something was found wrong with one last */
	atomic_size_t broker_count;     /* may be read without the lock */
	bool is_up;                     /* the broker answered when it was last asked */
	bool is_storing_nothing; /* … but for longer than a burst has time nothing was stored */
	char silence[512];       /* why it does not answer; empty: it does, or was not asked */
	unsigned open_bursts;    /* of the whole family */
	bool has_failed;         /* a burst that was not stored in time, and none since then, … */
	char lateness[BUS_REASON_MAX]; /* … and why */
	struct instant silent_since;   /* nothing was stored since then though something was sent */
	struct instant last_burst_end;
	atomic_bool has_stored; /* since the watch looked last */
	bool in_doubt;          /* the broker should be asked whether it answers */
	pthread_cond_t doubtful;
	pthread_t watch;
	bool is_watched; /* there is that thread */
	/* The main one's, made when they are first asked for: */
	struct bus **ordered; /* one for each model */
	struct bus *alone;
	struct bus *second_lane;
};

/* Who waits in bus_await(), woken by itself: with many workers the others had better sleep on. */
struct waiter {
	const struct ledger *ledger;
	pthread_cond_t complete;
	struct waiter *next;
};

/* A topic that this producer has sent to. */
struct topic_start {
	char *topic;
	bool is_stored; /* something; before that, one message is on the way */
};

enum { BUS_ANY_PARTITION = -1 };

/* Where a message goes to. */
struct destination {
	const char *topic; /* NULL: not known */
	int32_t partition; /* or BUS_ANY_PARTITION */
};

/* A topic, or a partition of it, that does not take messages, or did not take the last one. */
struct topic_trouble {
	char *name;
	int32_t partition;
	enum verdict verdict; /* nothing is sent before the next try: VERDICT_TOPIC, _AWAY */
	char *reason;
	int cause;
	unsigned failures;
	struct instant next_try;
	bool is_tried; /* it is there again, it seems; the next report says */
};

/* A broker that a connection to failed, or that does not answer as a leader. */
struct broker_trouble {
	int32_t id; /* -1: not known yet */
	char address[256];
	char text[512];    /* why a connection failed; empty: it did not */
	bool was_up;       /* it worked before: perhaps nobody needed it for long */
	struct instant at; /* when */
	bool is_lost;      /* it did not answer when it was asked last, … */
	char topic[256];   /* … as the leader of this … */
	int32_t partition;
	unsigned failures; /* … for so many times … */
	struct instant next_ask;
};

/* What is made of an error. */
struct judgement {
	enum verdict verdict;
	int cause; /* bus_verdict_cause() of librdkafka's code */
	enum blame blame;
	bool is_models; /* VERDICT_TOPIC: the topic takes messages of other models */
	const char *reason;
	char text[BUS_REASON_MAX]; /* where reason may be kept */
};

/* Judge the report, with an error, of a message.  The reporter's; it may ask the broker, for a
 * second at most, how the topic is set (bus_judge.c). */
void bus_judge(
	struct bus *bus, rd_kafka_t *handle, const rd_kafka_message_t *report, struct judgement *j);

/* Judge that the producer did not take a message.  RD_KAFKA_RESP_ERR__QUEUE_FULL: it never will. */
void bus_judge_refusal(struct bus *bus, rd_kafka_resp_err_t code, const struct message *message,
	struct judgement *j);

/* Record a verdict under the lock, and wake who waits for it. */
void bus_record(struct bus *bus, struct ledger *l, size_t slot, const struct judgement *j);

/* Make bus->producer; NULL with e where that is not possible. */
void bus_make_producer(struct bus *bus, struct error *e);

/* What the reporter's thread runs, for the bus arg, until that is left. */
void *bus_report_loop(void *arg);

/* Make the reporter look around now. */
void bus_wake(struct bus *bus);

/* Wait while the first message to a topic is on the way, until deadline at most.  Returns whether
 * the one to be sent now is the first (bus_start.c). */
bool bus_await_first(struct bus *bus, const char *topic, struct instant deadline);

/* The first message to a topic was not sent after all. */
void bus_forget_start(struct bus *bus, const char *topic);

/* Under the lock: whether the first message to a topic is still on the way. */
bool bus_is_first(struct bus *bus, const char *topic);

/* Under the lock: something is stored in a topic; the producer is a new one. */
void bus_start_stored(struct bus *bus, const char *topic);
void bus_forget_starts(struct bus *bus);

/* Whether to send to a place: not if it is known to be missing, forbidden, or away, until its next
 * try; then that is the verdict of slot.  For that try the broker is asked, which takes half a
 * second at most (bus_refused.c). */
bool bus_topic_may_be_tried(
	struct bus *bus, const struct destination *to, struct ledger *l, size_t slot);

/* Under the lock: what is wrong with a topic or a partition of it, why its last message was not
 * stored, that one was stored, or that its leaders answer. */
void bus_topic_note(
	struct bus *bus, const char *name, int32_t partition, const struct judgement *j);
void bus_topic_taken(struct bus *bus, const char *name, int32_t partition);
void bus_topic_is_back(struct bus *bus, const char *name);

/* Under the lock: what is known to be wrong with a place, and in v whether it is away. */
const char *bus_topic_reason(struct bus *bus, const struct destination *to, enum verdict *v);

/* Not under the lock. */
bool bus_topic_is_away(struct bus *bus, const char *name);
void bus_forget_topics(struct bus *bus);

/* The reporter's: put a new producer in the place of the one that is there. */
void bus_replace_producer(struct bus *bus);

/* Have the watch ask now whether the broker answers.  Not under a lock. */
void bus_doubt(struct bus *bus);

/* End the thread of the watch, if there is one; the bus is leaving. */
void bus_end_watch(struct bus *bus);

/* Note what librdkafka says of a connection to a broker, or that a broker does its work.  Returns
 * whether that is about a broker.  Not under a lock, as all that follows. */
bool bus_broker_failed(struct bus *bus, const char *reason);
void bus_broker_works(struct bus *bus, int32_t id);

/* A leader that is to be asked now whether it answers.  Of the main bus. */
bool bus_lost_broker(struct bus *main, struct broker_trouble *lost);

/* Ask the cluster, for about half a second, what keeps it from storing messages to a topic, and
 * which others that are known have lost a leader; that is noted. */
void bus_look(struct bus *bus, const char *topic);

/* Judge that a message is late: what has come of it, and why as far as is known. */
void bus_late(struct bus *bus, const struct destination *to, const char *what, struct judgement *j);

#endif
