/*
 * lane_internal - shared by the files of the lane.  Private to this folder.
 *
 * Only the burst that has the lane calls these functions, except for the first three.
 */
#ifndef SIGNALBUS_LANE_INTERNAL_H
#define SIGNALBUS_LANE_INTERNAL_H

#include "kafka/ask.h"
#include "kafka/broker_internal.h"
#include "kafka/lane.h"
#include "kafka/number_reader.h"
#include "kafka/producer.h"

#include <pthread.h>

/* A message's opaque contains, in one word, the number of its burst, whether its model has no key,
 * whether it has its own time, and its slot. */
#define LANE_SLOT_BITS  20
#define LANE_SLOT_MASK  ((UINT64_C(1) << LANE_SLOT_BITS) - 1)
#define LANE_OWN_TIME   (UINT64_C(1) << LANE_SLOT_BITS)
#define LANE_KEYLESS    (UINT64_C(2) << LANE_SLOT_BITS)
#define LANE_BURST_BITS (LANE_SLOT_BITS + 2)

/* librdkafka's default for batch.size, and a size that almost every topic accepts. */
enum { LANE_BATCH_SIZE = 1000000, LANE_BATCH_MIN = 1000 };

/* The settings of a topic when they were queried. */
struct settings_answer {
	char topic[256];
	struct topic_settings settings;
	struct instant stale;
};

enum lane_kind { LANE_USUAL, LANE_ORDERED, LANE_ALONE, LANE_TRANSACTIONAL };

struct lane {
	struct broker *broker;
	const struct config *config;
	bool in_order, is_alone;      /* by its kind; transactional: of the open burst */
	bool is_transactional;        /* by its kind, too: lane_fence() makes the producer */
	char *transactional_id;       /* of the producer; NULL: there was none yet */
	char *first_id;               /* that of the first slot of the instance */
	char *database;               /* its sender's (base/identity.h) */
	bool is_transaction_open;     /* it was begun, and is not known to be committed … */
	bool is_commit_asked;         /* … although that was asked for */
	struct number_reader *reader; /* NULL: not needed yet */
	pthread_mutex_t turn;      /* held from lane_begin() to lane_end(), for all that follows */
	struct producer *producer; /* NULL: it could not be created yet */
	struct producer_events events;
	struct fitness fitness;
	struct instant begun;  /* the open burst, or the last one */
	unsigned generation;   /* of it: it is stale if the broker has another one */
	struct ledger *ledger; /* of the open burst; NULL: none is */
	uint64_t last_burst;
	bool is_lost; /* messages of the open burst were lost with a producer */
	bool is_fatal;
	/* In order, something was not stored: nothing more may be sent with this producer.  With
	 * transactions: a message has failed, and with it the transaction; librdkafka sends no more
	 * of it, and reports no more. */
	bool is_broken;
	unsigned failed_producers;    /* consecutive ones that could not send anything … */
	struct instant next_producer; /* … so that the next one has to wait */
	double haste_s; /* age of a burst at which to hasten a producer that has stored nothing */
	int pause_ms;   /* until messages are flushed again without a report */
	size_t message_max_bytes, queue_max_kbytes; /* of the producer's properties */
	struct settings_answer settings;            /* last queried */
	/* In order, or with transactions: the batch.size of this producer, and of the next one; 0:
	 * as configured.  And how many messages were too large for their topic. */
	size_t batch_size, next_batch_size, too_large;
	bool has_own_times;            /* some messages; otherwise this host sets all of them */
	struct topic_trouble *refused; /* the oldest first */
	size_t refused_count;
	char trouble[512]; /* the last error that the producer reported itself; empty after a
			      success */
	int64_t looked_ns; /* when lost leaders were last checked */
};

enum { LANE_ANY_PARTITION = -1 };

/* The destination of a message. */
struct destination {
	const char *topic; /* NULL: not known */
	int32_t partition; /* or LANE_ANY_PARTITION */
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

/* The interpretation of an error. */
struct judgement {
	enum verdict verdict;
	int cause; /* verdict_cause() of librdkafka's code */
	enum blame blame;
	bool is_models; /* VERDICT_TOPIC: the topic accepts messages of other models */
	const char *reason;
	char text[BROKER_REASON_MAX]; /* memory for reason */
};

/* A lane, for the broker that it belongs to; it borrows config.  If its producer cannot be created,
 * a usual lane of another worker than the first one has none, and others are NULL with e. */
struct lane *lane_new(
	struct broker *broker, const struct config *config, enum lane_kind kind, struct error *e);
void lane_free(struct lane *lane);

/* Take the reports that there are, unless a burst has the lane.  Any thread. */
void lane_poll_idle(struct lane *lane);

/* Judge the report, with an error, of a message; may query the topic's settings, for at most a
 * second (lane_judge.c). */
void lane_judge(struct lane *lane, rd_kafka_t *handle, const rd_kafka_message_t *report,
	struct judgement *j);

/* Judge a message that the producer did not accept.  RD_KAFKA_RESP_ERR__QUEUE_FULL: it never
 * will. */
void lane_judge_refusal(struct lane *lane, rd_kafka_resp_err_t code, const struct message *message,
	struct judgement *j);

/* Record a verdict in a ledger. */
void lane_record(struct ledger *l, size_t slot, const struct judgement *j);

/* Create lane->producer; NULL with e if that is not possible (lane_reports.c). */
void lane_make_producer(struct lane *lane, struct error *e);

/* Take the reports that there are, and replace a producer that cannot send any more. */
void lane_poll(struct lane *lane);

/* The same, and flush what was handed over; waits some milliseconds for a report, but not beyond
 * the deadline. */
void lane_flush(struct lane *lane, struct instant deadline);

/* Replace the producer with a new one; with transactions, with none. */
void lane_replace_producer(struct lane *lane);

/* Whether to send to a place: not if it is known to be missing, forbidden, or without a reachable
 * leader, until its next attempt; then that is the verdict of slot.  The attempt queries the
 * broker, which takes at most half a second (lane_obstacle.c). */
bool lane_topic_may_be_tried(
	struct lane *lane, const struct destination *to, struct ledger *l, size_t slot);

/* Record a problem of a topic or a partition of it, why its last message was not stored, that one
 * was stored, or that its leaders answer. */
void lane_topic_note(
	struct lane *lane, const char *name, int32_t partition, const struct judgement *j);
void lane_topic_taken(struct lane *lane, const char *name, int32_t partition);
void lane_topic_is_back(struct lane *lane, const char *name);

/* The known problem of a place, and in v whether its leader is unreachable. */
const char *lane_topic_reason(struct lane *lane, const struct destination *to, enum verdict *v);

bool lane_topic_is_away(const struct lane *lane, const char *name);

/* The known problem of a topic, or NULL; whether it concerns a place in the topic. */
struct topic_trouble *lane_topic_find(const struct lane *lane, const char *name);
bool lane_topic_concerns(const struct topic_trouble *t, const struct destination *to);
void lane_forget_topics(struct lane *lane);

/* Query the cluster, for about half a second, why it does not store messages to a topic, and which
 * other known topics have lost a leader; the results are recorded (lane_look.c). */
void lane_look(struct lane *lane, const char *topic);

/* Whether the cluster answers a query of the lane, for which this waits half a second at most;
 * otherwise put the reason into why, which has room for size bytes, and replace the producer, whose
 * threads perhaps could not be created (lane_trial.c).  Any thread; waits while a burst has the
 * lane. */
bool lane_answers(struct lane *lane, char *why, size_t size);

/* Judge a late message: its verdict, and the reason as far as is known. */
void lane_late(
	struct lane *lane, const struct destination *to, const char *what, struct judgement *j);

#endif
