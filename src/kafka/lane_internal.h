/*
 * lane_internal - shared by the files of the bus.  Private to this folder.
 */
#ifndef SIGNALBUS_LANE_INTERNAL_H
#define SIGNALBUS_LANE_INTERNAL_H

#include "kafka/ask.h"
#include "kafka/lane.h"
#include "kafka/producer.h"

#include <pthread.h>
#include <stdatomic.h>

struct producer;

#define BUS_REASON_MAX 1024

/* A message's opaque contains, in one word, the number of its burst, whether its model has no key,
 * whether it has its own time, and its slot. */
#define BUS_SLOT_BITS  20
#define BUS_SLOT_MASK  ((UINT64_C(1) << BUS_SLOT_BITS) - 1)
#define BUS_OWN_TIME   (UINT64_C(1) << BUS_SLOT_BITS)
#define BUS_KEYLESS    (UINT64_C(2) << BUS_SLOT_BITS)
#define BUS_BURST_BITS (BUS_SLOT_BITS + 2)

/* librdkafka's default for batch.size, and a size that almost every topic accepts. */
enum { BUS_BATCH_SIZE = 1000000, BUS_BATCH_MIN = 1000 };

/* The settings of a topic when they were queried. */
struct settings_answer {
	char topic[256];
	struct topic_settings settings;
	struct instant stale;
};

struct bus {
	const struct config *config;
	struct bus *main; /* the main one, which knows whether the broker answers; perhaps this */
	/* The producer is replaced under the write lock, and used under the read lock. */
	pthread_rwlock_t producer_lock;
	struct producer *producer; /* NULL: it could not be created yet */
	uint64_t lost_burst;       /* bursts up to this one were given up with a producer */
	pthread_t reporter;
	int wake_fd; /* readable: there are reports, or it is time to stop */
	atomic_bool leaving;
	/* The reporter's own: */
	bool is_fatal;
	unsigned failed_producers;    /* consecutive ones that could not send anything … */
	struct instant next_producer; /* … so that the next one has to wait */
	char fatal[512];              /* the last fatal error that was logged */
	bool is_sending; /* awaited messages are being sent; no report has arrived since … */
	struct instant hurry_again; /* … but other partitions must not wait longer for it */
	bool is_alone;              /* each message is a batch of its own */
	bool in_order;
	size_t message_max_bytes, queue_max_kbytes; /* of the producer's properties */
	struct settings_answer settings;            /* of the reporter: last queried */
	/* Of the reporter, in order: the batch.size of this producer, and of the next one; 0: as
	 * configured.  And how many messages were too large for their topic. */
	size_t batch_size, next_batch_size, too_large;
	atomic_bool has_own_times; /* of messages; otherwise this host sets all of them */
	/* In order, something was not stored, or the producer is stale: nothing more may be
	 * sent. */
	atomic_bool is_broken;
	/* Everything below is under lock; changed signals that some of it has changed. */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct ledger *ledgers[BUS_LEDGERS_MAX];
	size_t ledger_count;
	struct waiter *waiters; /* for a ledger to be complete */
	uint64_t last_burst;
	unsigned filling; /* ledgers whose messages are being handed over */
	bool is_hurried;  /* awaited messages are being sent: nothing may be handed over now */
	unsigned waiting_senders;
	struct topic_start *starts; /* if bursts are sent in order: topics that were sent to */
	size_t start_count;
	struct topic_trouble *refused; /* the oldest first */
	atomic_size_t refused_count;   /* may be read without the lock */
	char trouble[512]; /* the last error that the producer reported itself; empty after a
			      success */
	_Atomic int64_t looked_ns; /* when lost leaders were last checked */
	/* Of the main one: */
	char unanswered[512];           /* why no broker answered the last query; or empty */
	struct broker_trouble *brokers; /* that have a problem */
	_Atomic int64_t troubled_ns;    /* when a problem was last found with one */
	atomic_size_t broker_count;     /* may be read without the lock */
	bool is_up;                     /* the broker answered the last query */
	bool is_storing_nothing;        /* … but has stored nothing for the time of a burst */
	char silence[512];    /* why it does not answer; empty: it does, or was not queried */
	unsigned open_bursts; /* of the whole family */
	bool has_failed;      /* a burst that was not stored in time, and none since then, … */
	char lateness[BUS_REASON_MAX]; /* … and why */
	struct instant silent_since; /* nothing was stored since then although something was sent */
	struct instant last_burst_end;
	atomic_bool has_stored; /* since the watch last checked */
	bool in_doubt;          /* check whether the broker answers */
	pthread_cond_t doubtful;
	pthread_t watch;
	bool is_watched; /* that thread exists */
	/* Of the main one, created on first use: */
	struct bus **ordered; /* one for each model */
	struct bus *alone;
	struct bus *second_lane;
};

/* A thread that waits in bus_await(), woken individually: with many workers the others should stay
 * asleep. */
struct waiter {
	const struct ledger *ledger;
	pthread_cond_t complete;
	struct waiter *next;
};

/* A topic that this producer has sent to. */
struct topic_start {
	char *topic;
	bool is_stored; /* something; before that, one message is in flight */
};

enum { BUS_ANY_PARTITION = -1 };

/* The destination of a message. */
struct destination {
	const char *topic; /* NULL: not known */
	int32_t partition; /* or BUS_ANY_PARTITION */
};

/* A topic, or a partition of it, that does not accept messages, or did not accept the last one. */
struct topic_trouble {
	char *name;
	int32_t partition;
	enum verdict verdict; /* nothing is sent before the next attempt: VERDICT_TOPIC, _AWAY */
	char *reason;
	int cause;
	unsigned failures;
	struct instant next_try;
	bool is_tried; /* it seems to exist again; the next report will tell */
};

/* A broker to which a connection failed, or that does not answer as a leader. */
struct broker_trouble {
	int32_t id; /* -1: not known yet */
	char address[256];
	char text[512];    /* why a connection failed; empty: it did not */
	bool was_up;       /* it worked before: perhaps it was unused for long */
	struct instant at; /* when */
	bool is_lost;      /* it did not answer the last query, … */
	char topic[256];   /* … as the leader of this … */
	int32_t partition;
	unsigned failures; /* … this many times … */
	struct instant next_ask;
};

/* The interpretation of an error. */
struct judgement {
	enum verdict verdict;
	int cause; /* bus_verdict_cause() of librdkafka's code */
	enum blame blame;
	bool is_models; /* VERDICT_TOPIC: the topic accepts messages of other models */
	const char *reason;
	char text[BUS_REASON_MAX]; /* memory for reason */
};

/* Judge the report, with an error, of a message.  Called by the reporter; it may query the topic's
 * settings, for at most a second (lane_judge.c). */
void bus_judge(
	struct bus *bus, rd_kafka_t *handle, const rd_kafka_message_t *report, struct judgement *j);

/* Judge a message that the producer did not accept.  RD_KAFKA_RESP_ERR__QUEUE_FULL: it never
 * will. */
void bus_judge_refusal(struct bus *bus, rd_kafka_resp_err_t code, const struct message *message,
	struct judgement *j);

/* Record a verdict under the lock, and wake the thread that waits for it. */
void bus_record(struct bus *bus, struct ledger *l, size_t slot, const struct judgement *j);

/* Create bus->producer; NULL with e if that is not possible. */
void bus_make_producer(struct bus *bus, struct error *e);

/* The function of the reporter's thread, for the bus arg, until it is stopped. */
void *bus_report_loop(void *arg);

/* Wake the reporter. */
void bus_wake(struct bus *bus);

/* Wait while the first message to a topic is in flight, at most until deadline.  Returns whether
 * the one to be sent now is the first (lane_first_message.c). */
bool bus_await_first(struct bus *bus, const char *topic, struct instant deadline);

/* The first message to a topic was not sent after all. */
void bus_forget_start(struct bus *bus, const char *topic);

/* Under the lock: whether the first message to a topic is still in flight. */
bool bus_is_first(struct bus *bus, const char *topic);

/* Under the lock: a message is stored in a topic; the producer is a new one. */
void bus_start_stored(struct bus *bus, const char *topic);
void bus_forget_starts(struct bus *bus);

/* Whether to send to a place: not if it is known to be missing, forbidden, or without a reachable
 * leader, until its next attempt; then that is the verdict of slot.  The attempt queries the
 * broker, which takes at most half a second (lane_topics.c). */
bool bus_topic_may_be_tried(
	struct bus *bus, const struct destination *to, struct ledger *l, size_t slot);

/* Under the lock: record a problem of a topic or a partition of it, why its last message was not
 * stored, that one was stored, or that its leaders answer. */
void bus_topic_note(
	struct bus *bus, const char *name, int32_t partition, const struct judgement *j);
void bus_topic_taken(struct bus *bus, const char *name, int32_t partition);
void bus_topic_is_back(struct bus *bus, const char *name);

/* Under the lock: the known problem of a place, and in v whether its leader is unreachable. */
const char *bus_topic_reason(struct bus *bus, const struct destination *to, enum verdict *v);

/* Not under the lock. */
bool bus_topic_is_away(struct bus *bus, const char *name);
void bus_forget_topics(struct bus *bus);

/* Called by the reporter: replace the producer with a new one. */
void bus_replace_producer(struct bus *bus);

/* Make the watch check now whether the broker answers.  Not under a lock. */
void bus_doubt(struct bus *bus);

/* Stop the thread of the watch, if there is one; the bus is being freed. */
void bus_end_watch(struct bus *bus);

/* Record librdkafka's report about a connection to a broker, or that a broker works.  Returns
 * whether it is about a broker.  Not under a lock, like all that follow. */
bool bus_broker_failed(struct bus *bus, const char *reason);
void bus_broker_works(struct bus *bus, int32_t id);

/* A leader to query now.  Of the main bus. */
bool bus_lost_broker(struct bus *main, struct broker_trouble *lost);

/* Query the cluster, for about half a second, why it does not store messages to a topic, and which
 * other known topics have lost a leader; the results are recorded. */
void bus_look(struct bus *bus, const char *topic);

/* Judge a late message: its verdict, and the reason as far as is known. */
void bus_late(struct bus *bus, const struct destination *to, const char *what, struct judgement *j);

#endif
