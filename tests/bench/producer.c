/*
 * producer - how fast the broker takes messages from one producer: no database is involved.
 *
 *   producer BOOTSTRAP TOPIC COUNT BYTES [NAME=VALUE]...
 *
 * Sends COUNT messages of BYTES bytes as signalbus sends: acks=all, idempotent.  NAME=VALUE are
 * more properties of librdkafka.  Prints the messages and the seconds from the first one to the
 * last acknowledgement.
 */
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct tally {
	long stored, failed;
};

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static _Noreturn void die(const char *reason)
{
	fprintf(stderr, "producer: %s\n", reason);
	exit(1);
}

static void on_report(rd_kafka_t *producer, const rd_kafka_message_t *report, void *arg)
{
	(void)producer;
	struct tally *tally = arg;
	if (report->err == RD_KAFKA_RESP_ERR_NO_ERROR)
		tally->stored++;
	else
		tally->failed++;
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
	char reason[512];
	if (rd_kafka_conf_set(conf, name, value, reason, sizeof reason) != RD_KAFKA_CONF_OK)
		die(reason);
}

static void set_each(rd_kafka_conf_t *conf, char **words, int count)
{
	for (int i = 0; i < count; i++) {
		char *value = strchr(words[i], '=');
		if (value == NULL)
			die("usage: producer BOOTSTRAP TOPIC COUNT BYTES [NAME=VALUE]...");
		*value = '\0';
		set(conf, words[i], value + 1);
	}
}

static rd_kafka_t *open_producer(char **argv, int argc, struct tally *tally)
{
	char reason[512];
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	set(conf, "bootstrap.servers", argv[1]);
	set(conf, "acks", "all");
	set(conf, "enable.idempotence", "true");
	set_each(conf, argv + 5, argc - 5);
	rd_kafka_conf_set_dr_msg_cb(conf, on_report);
	rd_kafka_conf_set_opaque(conf, tally);
	rd_kafka_t *producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof reason);
	if (producer == NULL)
		die(reason);
	return producer;
}

static void produce(rd_kafka_t *producer, rd_kafka_topic_t *topic, char *value, size_t bytes)
{
	while (rd_kafka_produce(topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, value, bytes,
		       NULL, 0, NULL) != 0) {
		if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL)
			die(rd_kafka_err2str(rd_kafka_last_error()));
		rd_kafka_poll(producer, 10);
	}
}

/* The first message goes alone: meanwhile connections and metadata are fetched. */
static void warm_up(rd_kafka_t *producer, rd_kafka_topic_t *topic, char *value, size_t bytes)
{
	produce(producer, topic, value, bytes);
	rd_kafka_flush(producer, 60000);
}

int main(int argc, char **argv)
{
	if (argc < 5)
		die("usage: producer BOOTSTRAP TOPIC COUNT BYTES [NAME=VALUE]...");
	struct tally tally = { 0 };
	long count = strtol(argv[3], NULL, 10);
	size_t bytes = strtoul(argv[4], NULL, 10);
	rd_kafka_t *producer = open_producer(argv, argc, &tally);
	rd_kafka_topic_t *topic = rd_kafka_topic_new(producer, argv[2], NULL);
	char *value = malloc(bytes);
	if (value == NULL || topic == NULL)
		abort();
	memset(value, 'x', bytes);
	warm_up(producer, topic, value, bytes);
	double start = now();
	for (long i = 1; i < count; i++) {
		produce(producer, topic, value, bytes);
		if (i % 100 == 0)
			rd_kafka_poll(producer, 0);
	}
	while (tally.stored + tally.failed < count && now() - start < 300)
		rd_kafka_poll(producer, 100);
	double seconds = now() - start;
	if (tally.stored != count)
		die("not all messages were stored");
	printf("%ld %.6f\n", tally.stored, seconds);
	free(value);
	rd_kafka_topic_destroy(topic);
	rd_kafka_destroy(producer);
	return 0;
}
