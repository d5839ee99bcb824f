/*
 * latency - from commit to consumer, for each of many commits.
 *
 *   latency CONNINFO TABLE BOOTSTRAP TOPIC RATE SECONDS WRITERS FIRST_ID
 *
 * WRITERS connections commit RATE transactions a second in all, for SECONDS, each with one row of
 * TABLE, whose ids count from FIRST_ID.  A consumer of TOPIC, partition 0, takes the messages;
 * their keys are the ids.  A latency is from the answer to the commit until the consumer has the
 * message. The first second is to warm up, and does not count.  Prints the commits a second that
 * were reached, and then, sorted, the latencies in microseconds, one a line.
 */
#include <inttypes.h>
#include <libpq-fe.h>
#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SECOND_NS  INT64_C(1000000000)
#define WARM_UP_S  1
#define PATIENCE_S 30

struct run {
	char **argv;
	double rate;
	long count, warm_up, writers;
	int64_t first_id;
	int64_t start;                         /* of the first commit */
	_Atomic int64_t *committed, *consumed; /* when, for each commit */
	atomic_bool leaving, consuming;
	atomic_long seen;
};

struct writer {
	struct run *run;
	long number;
	pthread_t thread;
	PGconn *conn;
};

static int64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * SECOND_NS + t.tv_nsec;
}

static void sleep_until(int64_t instant)
{
	struct timespec t = { .tv_sec = instant / SECOND_NS, .tv_nsec = instant % SECOND_NS };
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) != 0)
		;
}

static _Noreturn void die(const char *reason)
{
	fprintf(stderr, "latency: %s\n", reason);
	exit(1);
}

static void check(PGconn *conn, PGresult *result)
{
	if (PQresultStatus(result) != PGRES_COMMAND_OK)
		die(PQerrorMessage(conn));
	PQclear(result);
}

static void connect_writer(struct writer *w)
{
	char sql[1024];
	w->conn = PQconnectdb(w->run->argv[1]);
	if (PQstatus(w->conn) != CONNECTION_OK)
		die(PQerrorMessage(w->conn));
	snprintf(sql, sizeof sql,
		"INSERT INTO %s VALUES ($1, 'order', '1', 'OrderCreated', now(), repeat('x', 180))",
		w->run->argv[2]);
	check(w->conn, PQprepare(w->conn, "insert", sql, 1, NULL));
}

/* Every writer has its share of the schedule; one that is late does the next at once. */
static void *write_all(void *arg)
{
	struct writer *w = arg;
	struct run *run = w->run;
	char id[32];
	const char *const values[] = { id };
	for (long i = w->number; i < run->count; i += run->writers) {
		snprintf(id, sizeof id, "%" PRId64, run->first_id + i);
		sleep_until(run->start + (int64_t)((double)i / run->rate * (double)SECOND_NS));
		check(w->conn, PQexecPrepared(w->conn, "insert", 1, values, NULL, NULL, 0));
		atomic_store(&run->committed[i], now());
	}
	return NULL;
}

static void take(struct run *run, const rd_kafka_message_t *message)
{
	char id[32] = { 0 };
	if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
		atomic_store(&run->consuming, true);
	if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR || message->key_len >= sizeof id)
		return;
	int64_t when = now();
	memcpy(id, message->key, message->key_len);
	int64_t i = strtoll(id, NULL, 10) - run->first_id;
	if (i >= 0 && i < run->count && atomic_exchange(&run->consumed[i], when) == 0)
		atomic_fetch_add(&run->seen, 1);
}

static void *consume_all(void *arg)
{
	struct run *run = arg;
	char reason[512];
	const char *const properties[][2] = { { "bootstrap.servers", run->argv[3] },
		{ "group.id", "latency" }, { "enable.auto.commit", "false" },
		{ "enable.partition.eof", "true" }, { "isolation.level", "read_committed" },
		{ "socket.nagle.disable", "true" } };
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	for (size_t i = 0; i < sizeof properties / sizeof properties[0]; i++)
		if (rd_kafka_conf_set(conf, properties[i][0], properties[i][1], reason,
			    sizeof reason) != RD_KAFKA_CONF_OK)
			die(reason);
	rd_kafka_t *consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, reason, sizeof reason);
	if (consumer == NULL)
		die(reason);
	rd_kafka_poll_set_consumer(consumer);
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	rd_kafka_topic_partition_list_add(list, run->argv[4], 0)->offset = RD_KAFKA_OFFSET_END;
	rd_kafka_assign(consumer, list);
	rd_kafka_topic_partition_list_destroy(list);
	while (!atomic_load(&run->leaving)) {
		rd_kafka_message_t *message = rd_kafka_consumer_poll(consumer, 100);
		if (message == NULL)
			continue;
		take(run, message);
		rd_kafka_message_destroy(message);
	}
	rd_kafka_consumer_close(consumer);
	rd_kafka_destroy(consumer);
	return NULL;
}

static void await(const char *what, struct run *run, int (*condition)(struct run *run))
{
	int64_t deadline = now() + PATIENCE_S * SECOND_NS;
	while (!condition(run)) {
		if (now() > deadline)
			die(what);
		sleep_until(now() + SECOND_NS / 1000);
	}
}

static int is_consuming(struct run *run)
{
	return atomic_load(&run->consuming);
}

static int has_seen_all(struct run *run)
{
	return atomic_load(&run->seen) == run->count;
}

static void write_at_once(struct run *run)
{
	struct writer *writers = calloc((size_t)run->writers, sizeof *writers);
	if (writers == NULL)
		abort();
	for (long i = 0; i < run->writers; i++) {
		writers[i] = (struct writer){ .run = run, .number = i };
		connect_writer(&writers[i]);
	}
	run->start = now() + SECOND_NS / 10;
	for (long i = 0; i < run->writers; i++)
		if (pthread_create(&writers[i].thread, NULL, write_all, &writers[i]) != 0)
			abort();
	for (long i = 0; i < run->writers; i++) {
		pthread_join(writers[i].thread, NULL);
		PQfinish(writers[i].conn);
	}
	free(writers);
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

static void report(const struct run *run)
{
	long counted = run->count - run->warm_up;
	int64_t *latencies = calloc((size_t)counted, sizeof *latencies), last = 0;
	if (latencies == NULL)
		abort();
	for (long i = 0; i < counted; i++) {
		int64_t committed = run->committed[run->warm_up + i];
		latencies[i] = run->consumed[run->warm_up + i] - committed;
		last = committed > last ? committed : last;
	}
	qsort(latencies, (size_t)counted, sizeof *latencies, compare);
	printf("%.1f\n", (double)run->count / ((double)(last - run->start) / (double)SECOND_NS));
	for (long i = 0; i < counted; i++)
		printf("%.1f\n", (double)latencies[i] / 1000);
	free(latencies);
}

int main(int argc, char **argv)
{
	if (argc != 9)
		die("usage: latency CONNINFO TABLE BOOTSTRAP TOPIC RATE SECONDS WRITERS FIRST_ID");
	struct run run = { .argv = argv, .rate = strtod(argv[5], NULL) };
	run.warm_up = (long)(run.rate * WARM_UP_S);
	run.count = run.warm_up + (long)(run.rate * strtod(argv[6], NULL));
	run.writers = strtol(argv[7], NULL, 10);
	run.first_id = strtoll(argv[8], NULL, 10);
	run.committed = calloc((size_t)run.count, sizeof *run.committed);
	run.consumed = calloc((size_t)run.count, sizeof *run.consumed);
	pthread_t consumer;
	if (run.committed == NULL || run.consumed == NULL ||
		pthread_create(&consumer, NULL, consume_all, &run) != 0)
		abort();
	await("the consumer does not find the topic's end", &run, is_consuming);
	write_at_once(&run);
	await("not every message came", &run, has_seen_all);
	atomic_store(&run.leaving, true);
	pthread_join(consumer, NULL);
	report(&run);
	free(run.committed);
	free(run.consumed);
	return 0;
}
