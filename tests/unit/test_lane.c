#include "base/log.h"
#include "base/text.h"
#include "kafka/lane_internal.h"
#include "kafka/property.h"

#include "suite.h"

#include <librdkafka/rdkafka.h>

#include <errno.h>
#include <librdkafka/rdkafka_mock.h>
#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	TIMEOUT_S = 20,
	WORKERS = 2,
	SLOW_MS = 40,
	LATE_MS = 500,
	PRODUCE = 0,
	INIT_PRODUCER_ID = 22 /* among Kafka's requests */
};

/* A lane to librdkafka's mock broker, which gives the answers that a test sets: a real one has such
 * errors only when something is badly wrong. */
static struct {
	int brokers;    /* 0: one */
	double timeout; /* 0: TIMEOUT_S */
	rd_kafka_t *host;
	rd_kafka_mock_cluster_t *cluster;
	struct property properties[2];
	struct config config;
	struct broker *broker;
	struct lane *lane; /* of its first worker, or another one */
	struct ledger ledger;
	char warning[512];
	unsigned warnings;
} world;

void log_warning(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(world.warning, sizeof world.warning, format, args);
	world.warnings++;
	va_end(args);
}

void log_debug(const char *format, ...)
{
	(void)format;
}

void log_info(const char *format, ...)
{
	(void)format;
}

void log_error(const char *format, ...)
{
	(void)format;
}

static void make_cluster(void)
{
	char reason[512];
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_conf_set(conf, "log_level", "0", NULL, 0); /* that it has no other broker */
	world.host = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof reason);
	ck_assert_msg(world.host != NULL, "%s", reason);
	world.cluster =
		rd_kafka_mock_cluster_new(world.host, world.brokers > 0 ? world.brokers : 1);
	ck_assert_ptr_nonnull(world.cluster);
}

static void make_broker(const char *property, const char *value)
{
	struct error e;
	world.properties[0] = (struct property){ .name = "bootstrap.servers",
		.value = rd_kafka_mock_cluster_bootstraps(world.cluster) };
	world.properties[1] = (struct property){ .name = property, .value = value };
	world.config = (struct config){ .kafka = world.properties,
		.kafka_count = property != NULL ? 2 : 1,
		.kafka_secrets = credentials_new(),
		.model_count = 1,
		.timeout = world.timeout > 0 ? world.timeout : TIMEOUT_S };
	world.broker = broker_new(&world.config, WORKERS, &e);
	ck_assert_msg(world.broker != NULL, "%s", e.text);
	world.lane = broker_lane(world.broker, 0);
}

static void begin(const char *property, const char *value)
{
	make_cluster();
	make_broker(property, value);
}

static void end(void)
{
	broker_free(world.broker);
	credentials_free(world.config.kafka_secrets);
	ledger_free(&world.ledger);
	rd_kafka_mock_cluster_destroy(world.cluster);
	rd_kafka_destroy(world.host);
}

/* All messages of a burst are alike. */
static const struct message *same_message(void *arg, size_t slot)
{
	(void)slot;
	return arg;
}

static void await(
	struct lane *lane, struct ledger *l, const struct message *message, struct instant deadline)
{
	struct message copy = *message;
	lane_await(lane, l, deadline, &(struct lane_memory){ same_message, &copy });
	lane_end(lane, l);
}

/* Send a burst of count messages, and await it.  Returns whether all are stored. */
static bool send_and_await(struct lane *lane, struct ledger *l, const char *topic, size_t count)
{
	const struct header header = { "name", "value", 5 };
	const struct message message = { .topic = topic,
		.value = "signal",
		.value_length = 6,
		.headers = &header,
		.header_count = 1,
		.has_partition = true };
	struct instant deadline = instant_after(clock_now(), world.config.timeout);
	lane_begin(lane, l, count);
	for (size_t slot = 0; slot < count; slot++)
		lane_send(lane, l, slot, &message, deadline);
	await(lane, l, &message, deadline);
	return ledger_all_stored(l);
}

static bool send_burst_to(const char *topic, size_t count)
{
	return send_and_await(world.lane, &world.ledger, topic, count);
}

static bool send_burst(size_t count)
{
	return send_burst_to("orders", count);
}

START_TEST(what_is_sent_is_stored)
{
	begin(NULL, NULL);
	ck_assert(send_burst(5));
	ck_assert_str_eq(world.warning, "");
	end();
}
END_TEST

START_TEST(a_producer_with_a_fatal_error_is_replaced)
{
	make_cluster();
	rd_kafka_mock_push_request_errors(
		world.cluster, INIT_PRODUCER_ID, 1, RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED);
	make_broker(NULL, NULL);
	struct instant deadline = instant_after(clock_now(), TIMEOUT_S);
	bool is_stored = false;
	for (unsigned i = 0;
		(!is_stored || world.warning[0] == '\0') && instant_before(clock_now(), deadline);
		i++) {
		is_stored = send_burst(2);
		for (size_t slot = 0; !is_stored && slot < 2; slot++)
			ck_assert_int_eq(world.ledger.entries[slot].verdict, VERDICT_UNKNOWN);
	}
	ck_assert(is_stored);
	ck_assert_ptr_nonnull(strstr(world.warning, "replaced after a fatal error"));
	end();
}
END_TEST

enum { REFUSALS = 5 };

/* A Kafka user who may not write has each producer refused at once. */
START_TEST(producers_that_are_refused_are_replaced_more_and_more_slowly)
{
	make_cluster();
	for (unsigned i = 0; i < REFUSALS; i++)
		rd_kafka_mock_push_request_errors(world.cluster, INIT_PRODUCER_ID, 1,
			RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED);
	struct instant start = clock_now();
	make_broker(NULL, NULL);
	struct instant deadline = instant_after(start, TIMEOUT_S);
	while (!send_burst(1))
		ck_assert(instant_before(clock_now(), deadline));
	ck_assert_uint_eq(world.warnings, 1);
	ck_assert_ptr_nonnull(strstr(world.warning, "IDEMPOTENT_WRITE"));
	double least = 0;
	for (unsigned n = 1; n < REFUSALS; n++)
		least += clock_backoff_delay(n, 0);
	ck_assert_double_ge(instant_seconds(start, clock_now()), least);
	end();
}
END_TEST

static void use_ordered_lane(void)
{
	struct error e;
	world.lane = broker_lane_ordered(world.broker, 0, &e);
	ck_assert_ptr_nonnull(world.lane);
}

static void use_lane_alone(void)
{
	struct error e;
	world.lane = broker_lane_alone(world.broker, 0, &e);
	ck_assert_ptr_nonnull(world.lane);
}

/* Send a burst of one in order, to a topic that refuses count times for lack of room: of a batch of
 * two that concerns the batch. */
static void send_too_large(unsigned count)
{
	struct instant deadline = instant_after(clock_now(), TIMEOUT_S);
	while (!send_burst(1)) /* so that the next ones may go in one batch */
		ck_assert(instant_before(clock_now(), deadline));
	rd_kafka_mock_push_request_errors(
		world.cluster, PRODUCE, 1, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
	ck_assert(!send_burst(count));
	ck_assert(world.lane->is_lost); /* who learns of the gap cannot send over it */
	ck_assert_int_eq(world.ledger.entries[0].verdict, VERDICT_REJECTED);
	ck_assert_ptr_nonnull(strstr(world.ledger.entries[0].reason, "max.message.bytes"));
	ck_assert(!world.broker->has_failed); /* the broker has answered */
}

/* The broker of librdkafka does not say how a topic is set. */
START_TEST(batches_that_are_too_large_become_smaller)
{
	begin(NULL, NULL);
	use_ordered_lane();
	send_too_large(2);
	ck_assert_uint_eq(world.lane->batch_size, LANE_BATCH_SIZE / 2);
	send_too_large(3);
	ck_assert_uint_eq(world.lane->batch_size, LANE_BATCH_SIZE / 4);
	send_too_large(1);
	ck_assert_uint_eq(world.lane->batch_size, LANE_BATCH_SIZE / 4);
	end();
}
END_TEST

/* A lane with an open transaction.  Its producer makes a batch of each message. */
static void use_open_transaction(void)
{
	struct error e;
	world.lane = broker_lane_transactional(world.broker, 0);
	world.lane->transactional_id = text_copy("relay-0");
	world.lane->next_batch_size = world.lane->batch_size = 1;
	lane_make_producer(world.lane, &e);
	ck_assert_ptr_nonnull(world.lane->producer);
	struct instant deadline = instant_after(clock_now(), TIMEOUT_S);
	ck_assert(producer_init_transactions(world.lane->producer, deadline, &e));
	ck_assert(producer_begin_transaction(world.lane->producer, &e));
}

/* librdkafka keeps what follows a message that the broker has rejected, and sends it no more. */
START_TEST(after_a_rejected_message_a_transaction_does_not_wait)
{
	begin(NULL, NULL);
	use_open_transaction();
	rd_kafka_mock_push_request_errors(world.cluster, PRODUCE, 2,
		RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, RD_KAFKA_RESP_ERR_UNKNOWN);
	struct instant start = clock_now();
	ck_assert(!send_burst(9));
	ck_assert_double_lt(instant_seconds(start, clock_now()), TIMEOUT_S / 4.0);
	ck_assert_int_eq(world.ledger.entries[0].verdict, VERDICT_REJECTED);
	ck_assert_int_eq(world.ledger.entries[8].verdict, VERDICT_UNSENT);
	end();
}
END_TEST

START_TEST(a_record_without_a_key_is_reported)
{
	begin(NULL, NULL);
	use_lane_alone();
	rd_kafka_mock_push_request_errors(
		world.cluster, PRODUCE, 1, RD_KAFKA_RESP_ERR_INVALID_RECORD);
	ck_assert(!send_burst(1));
	ck_assert_int_eq(world.ledger.entries[0].verdict, VERDICT_REJECTED);
	ck_assert_ptr_nonnull(strstr(world.ledger.entries[0].reason,
		"the key is NULL; is topic orders compacted (cleanup.policy)?"));
	end();
}
END_TEST

/* What was sent before is lost with the old one, and must not be overtaken. */
START_TEST(a_burst_does_not_continue_with_a_new_producer)
{
	const struct message message = { .topic = "orders", .value = "signal", .value_length = 6 };
	struct instant deadline = instant_after(clock_now(), TIMEOUT_S);
	begin(NULL, NULL);
	ck_assert(send_burst(1));
	lane_begin(world.lane, &world.ledger, 2);
	ck_assert(lane_send(world.lane, &world.ledger, 0, &message, deadline));
	atomic_fetch_add(&world.broker->generation, 1); /* as the watch does */
	lane_poll(world.lane);
	ck_assert(!lane_send(world.lane, &world.ledger, 1, &message, deadline));
	await(world.lane, &world.ledger, &message, deadline);
	ck_assert_int_eq(world.ledger.entries[0].verdict, VERDICT_UNKNOWN);
	ck_assert_int_eq(world.ledger.entries[1].verdict, VERDICT_UNKNOWN);
	ck_assert(send_burst(2));
	end();
}
END_TEST

/* Reports of a burst that was given up are none of the next one's. */
START_TEST(late_reports_find_no_ledger)
{
	const struct message message = { .topic = "orders", .value = "signal", .value_length = 6 };
	begin(NULL, NULL);
	ck_assert(send_burst(1));
	rd_kafka_mock_broker_set_rtt(world.cluster, 1, LATE_MS);
	struct instant deadline = instant_after(clock_now(), SLOW_MS / 1e3);
	lane_begin(world.lane, &world.ledger, 1);
	ck_assert(lane_send(world.lane, &world.ledger, 0, &message, deadline));
	await(world.lane, &world.ledger, &message, deadline);
	ck_assert_int_eq(world.ledger.entries[0].verdict, VERDICT_UNKNOWN);
	deadline = instant_after(clock_now(), TIMEOUT_S);
	lane_begin(world.lane, &world.ledger, 1);
	while (rd_kafka_outq_len(producer_handle(world.lane->producer)) > 0) {
		ck_assert(instant_before(clock_now(), deadline));
		lane_flush(world.lane, deadline);
	}
	ck_assert_int_eq(world.ledger.entries[0].verdict, VERDICT_NONE);
	ck_assert(lane_send(world.lane, &world.ledger, 0, &message, deadline));
	await(world.lane, &world.ledger, &message, deadline);
	ck_assert(ledger_all_stored(&world.ledger));
	end();
}
END_TEST

/* What is left of a burst in order that was given up is not sent any more, and that before anyone
 * learns that it was given up: others may send its rows now. */
START_TEST(in_order_nothing_is_sent_after_the_deadline)
{
	const struct message message = { .topic = "orders", .value = "signal", .value_length = 6 };
	begin(NULL, NULL);
	use_ordered_lane();
	ck_assert(send_burst(1));
	const struct producer *producer = world.lane->producer;
	rd_kafka_mock_broker_set_rtt(world.cluster, 1, LATE_MS);
	struct instant deadline = instant_after(clock_now(), SLOW_MS / 1e3);
	lane_begin(world.lane, &world.ledger, 1);
	ck_assert(lane_send(world.lane, &world.ledger, 0, &message, deadline));
	struct message copy = message;
	lane_await(
		world.lane, &world.ledger, deadline, &(struct lane_memory){ same_message, &copy });
	ck_assert_int_eq(world.ledger.entries[0].verdict, VERDICT_UNKNOWN);
	ck_assert_ptr_ne(world.lane->producer, producer);
	ck_assert_int_eq(rd_kafka_outq_len(producer_handle(world.lane->producer)), 0);
	lane_end(world.lane, &world.ledger);
	end();
}
END_TEST

/* What is wrong with a broker is recorded when it is so, not when the next burst begins. */
START_TEST(errors_of_an_idle_lane_are_recorded)
{
	begin(NULL, NULL);
	ck_assert(send_burst(1));
	rd_kafka_mock_broker_set_down(world.cluster, 1);
	struct instant deadline = instant_after(clock_now(), TIMEOUT_S);
	while (world.broker->node_count == 0) {
		ck_assert(instant_before(clock_now(), deadline));
		broker_poll_idle_lanes(world.broker);
	}
	end();
}
END_TEST

static void *await_turn(void *arg)
{
	struct ledger ledger = { 0 };
	bool *has_lane = arg;
	lane_begin(world.lane, &ledger, 1);
	*has_lane = world.lane->ledger == &ledger;
	ledger_truncate(&ledger, 0);
	lane_end(world.lane, &ledger);
	ledger_free(&ledger);
	return NULL;
}

/* A worker that is to send a model in order, since another one has lost its session, waits until
 * that one has its verdicts. */
START_TEST(workers_take_turns_with_a_lane)
{
	pthread_t thread;
	bool has_lane = false;
	begin(NULL, NULL);
	use_ordered_lane();
	lane_begin(world.lane, &world.ledger, 1);
	ck_assert_int_eq(pthread_mutex_trylock(&world.lane->turn), EBUSY);
	pthread_create(&thread, NULL, await_turn, &has_lane);
	broker_poll_idle_lanes(world.broker); /* which does not wait for it */
	ledger_truncate(&world.ledger, 0);
	ck_assert_ptr_eq(world.lane->ledger, &world.ledger);
	lane_end(world.lane, &world.ledger);
	pthread_join(thread, NULL);
	ck_assert(has_lane);
	end();
}
END_TEST

START_TEST(each_worker_has_a_lane)
{
	begin(NULL, NULL);
	struct lane *first = world.lane;
	ck_assert_ptr_eq(broker_lane(world.broker, 0), first);
	world.lane = broker_lane(world.broker, 1);
	ck_assert_ptr_ne(world.lane, first);
	ck_assert(send_burst(5));
	use_lane_alone();
	ck_assert_ptr_ne(world.lane, first);
	ck_assert(send_burst(5));
	end();
}
END_TEST

/* The next producer cannot connect, or not even be created. */
static void break_producers(bool is_by_property)
{
	world.properties[0].value = "127.0.0.1:1";
	if (is_by_property)
		world.properties[1] = (struct property){ .name = "acks", .value = "some" };
	world.config.kafka_count = is_by_property ? 2 : 1;
}

static void repair_producers(void)
{
	world.properties[0].value = rd_kafka_mock_cluster_bootstraps(world.cluster);
	world.config.kafka_count = 1;
}

/* Until it does; each failure is followed by a longer pause. */
START_TEST(a_worker_whose_lane_does_not_connect_uses_another)
{
	begin(NULL, NULL);
	ck_assert(send_burst(1));
	break_producers(_i == 1);
	ck_assert_ptr_eq(broker_lane(world.broker, 1), world.lane);
	ck_assert_uint_eq(world.warnings, 1);
	ck_assert_ptr_nonnull(strstr(world.warning, _i == 0 ? "refused" : "acks"));
	struct instant start = clock_now();
	for (int i = 0; i < 1000; i++)
		ck_assert_ptr_eq(broker_lane(world.broker, 1), world.lane);
	ck_assert_double_lt(instant_seconds(start, clock_now()), 0.2);
	repair_producers();
	struct lane *own = world.lane;
	while (own == world.lane) {
		ck_assert(instant_before(clock_now(), instant_after(start, TIMEOUT_S)));
		own = broker_lane(world.broker, 1);
	}
	ck_assert_uint_eq(world.warnings, 2);
	ck_assert_ptr_nonnull(strstr(world.warning, "reach the broker again"));
	world.lane = own;
	ck_assert(send_burst(1));
	end();
}
END_TEST

/* So that no worker waits for that. */
START_TEST(the_watch_tries_lanes_that_have_failed)
{
	begin(NULL, NULL);
	struct instant deadline = instant_after(clock_now(), TIMEOUT_S);
	broker_watch(world.broker);
	ck_assert(broker_await_up(world.broker, deadline));
	ck_assert(send_burst(1));
	break_producers(false);
	ck_assert_ptr_eq(broker_lane(world.broker, 1), world.lane);
	repair_producers();
	while (!atomic_load(&world.broker->lanes[1]->fitness.is_proven))
		ck_assert(instant_before(clock_now(), deadline));
	world.lane = broker_lane(world.broker, 1);
	ck_assert_ptr_eq(world.lane, world.broker->lanes[1]);
	ck_assert(send_burst(1));
	end();
}
END_TEST

/* Not while all are idle or none reaches the broker: then its own one is no worse. */
START_TEST(a_lane_is_not_replaced_unless_others_store)
{
	begin(NULL, NULL);
	break_producers(false);
	ck_assert_ptr_ne(broker_lane(world.broker, 1), world.lane);
	ck_assert_uint_eq(world.warnings, 0);
	end();
}
END_TEST

/* What it does not store while others do says nothing of the broker. */
START_TEST(a_lane_that_is_cut_off_is_replaced)
{
	const struct message message = { .topic = "orders", .value = "signal", .value_length = 6 };
	struct ledger cut_off = { 0 };
	world.timeout = 1;
	make_cluster();
	make_broker(NULL, NULL);
	struct lane *own = world.lane;
	world.lane = broker_lane(world.broker, 1);
	ck_assert_ptr_ne(world.lane, own);
	lane_begin(own, &cut_off, 1);
	break_producers(false);
	producer_free(own->producer);
	lane_make_producer(own, NULL);
	struct instant deadline = instant_after(clock_now(), world.timeout);
	lane_send(own, &cut_off, 0, &message, deadline);
	ck_assert(send_burst(1));
	await(own, &cut_off, &message, deadline);
	ck_assert_int_eq(cut_off.entries[0].verdict, VERDICT_UNKNOWN);
	ck_assert(broker_is_answered(world.broker));
	ck_assert_ptr_eq(broker_lane(world.broker, 0), world.lane);
	ledger_free(&cut_off);
	end();
}
END_TEST

START_TEST(a_full_queue_is_waited_for)
{
	begin("queue.buffering.max.messages", "1");
	ck_assert(send_burst(20));
	end();
}
END_TEST

/* Nothing lingers longer than that, which librdkafka would refuse. */
START_TEST(a_message_may_have_little_time)
{
	begin(_i == 0 ? "message.timeout.ms" : "delivery.timeout.ms", "500");
	ck_assert(send_burst(2));
	end();
}
END_TEST

enum { SLOW_BURSTS = 10 };

struct sender {
	pthread_t thread;
	struct lane *lane;
	bool are_stored;
};

static void *send_bursts(void *arg)
{
	struct ledger ledger = { 0 };
	struct sender *sender = arg;
	sender->are_stored = true;
	for (unsigned i = 0; i < SLOW_BURSTS; i++)
		sender->are_stored =
			send_and_await(sender->lane, &ledger, "orders", 50) && sender->are_stored;
	ledger_free(&ledger);
	return NULL;
}

/* While a burst is on the way librdkafka takes all of a processor when it believes that there is
 * something to send. */
START_TEST(waiting_for_a_slow_broker_takes_no_cpu)
{
	struct sender senders[WORKERS];
	begin(NULL, NULL);
	ck_assert(send_burst(1));
	rd_kafka_mock_broker_set_rtt(world.cluster, 1, SLOW_MS);
	struct instant start = clock_now();
	clock_t cpu = clock();
	for (unsigned i = 0; i < WORKERS; i++) {
		senders[i].lane = broker_lane(world.broker, i);
		pthread_create(&senders[i].thread, NULL, send_bursts, &senders[i]);
	}
	for (unsigned i = 0; i < WORKERS; i++) {
		pthread_join(senders[i].thread, NULL);
		ck_assert(senders[i].are_stored);
	}
	double seconds = instant_seconds(start, clock_now());
	double busy = (double)(clock() - cpu) / CLOCKS_PER_SEC;
	ck_assert_double_ge(seconds, SLOW_BURSTS * SLOW_MS / 1e3);
	ck_assert_msg(busy < seconds / 3, "%.3f s of %.3f s", busy, seconds);
	end();
}
END_TEST

START_TEST(a_topic_with_an_impossible_name_is_refused)
{
	char topic[1000];
	memset(topic, 'x', sizeof topic - 1);
	topic[sizeof topic - 1] = '\0';
	begin("reconnect.backoff.ms", "50");
	ck_assert(!send_burst_to(topic, 1));
	ck_assert_int_eq(world.ledger.entries[0].verdict, VERDICT_REJECTED);
	ck_assert(send_burst(1));
	end();
}
END_TEST

/* Send one message with a time of its own, or of this host. */
static const struct entry *send_timed(int64_t timestamp_ms)
{
	const struct message message = { .topic = "orders",
		.value = "signal",
		.value_length = 6,
		.timestamp_ms = timestamp_ms };
	struct instant deadline = instant_after(clock_now(), TIMEOUT_S);
	lane_begin(world.lane, &world.ledger, 1);
	lane_send(world.lane, &world.ledger, 0, &message, deadline);
	await(world.lane, &world.ledger, &message, deadline);
	return &world.ledger.entries[0];
}

static const struct entry *send_refused(int64_t timestamp_ms)
{
	rd_kafka_mock_push_request_errors(
		world.cluster, PRODUCE, 1, RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP);
	return send_timed(timestamp_ms);
}

/* In a batch with messages that have their own times nobody can tell, so there all are rejected,
 * until each is sent by itself. */
START_TEST(a_time_that_is_refused_is_the_rows_or_the_hosts)
{
	begin(NULL, NULL);
	const struct entry *entry = send_refused(0);
	ck_assert_int_eq(entry->verdict, VERDICT_UNKNOWN);
	ck_assert_ptr_nonnull(strstr(entry->reason, "is a clock wrong?"));
	ck_assert(world.broker->has_failed);
	ck_assert_ptr_nonnull(strstr(world.broker->lateness, "is a clock wrong?"));
	entry = send_refused(1000);
	ck_assert_int_eq(entry->verdict, VERDICT_REJECTED);
	ck_assert_int_eq(entry->cause, RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP);
	ck_assert_int_eq(send_refused(0)->verdict, VERDICT_REJECTED);
	use_lane_alone();
	ck_assert_int_eq(send_refused(1000)->verdict, VERDICT_REJECTED);
	ck_assert_int_eq(send_refused(0)->verdict, VERDICT_UNKNOWN);
	ck_assert_int_eq(send_timed(0)->verdict, VERDICT_STORED);
	end();
}
END_TEST

/* How long a burst of one takes that its topic fails. */
static double send_in_vain(const char *topic)
{
	struct instant start = clock_now();
	ck_assert(!send_burst_to(topic, 1));
	ck_assert_int_eq(world.ledger.entries[0].verdict, VERDICT_TOPIC);
	ck_assert_ptr_nonnull(strstr(world.ledger.entries[0].reason, "opic"));
	return instant_seconds(start, clock_now());
}

/* It is known to be missing soon, and then at once; no other topic waits for it; and when it is
 * there, it is used soon. */
START_TEST(a_topic_that_is_missing_is_put_off)
{
	begin(NULL, NULL);
	rd_kafka_mock_topic_set_error(
		world.cluster, "missing", RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
	ck_assert(send_burst(1));
	ck_assert_double_lt(send_in_vain("missing"), TIMEOUT_S / 4.0);
	struct instant start = clock_now();
	for (unsigned i = 0; i < 20; i++) {
		send_in_vain("missing");
		ck_assert(send_burst(1));
	}
	ck_assert_double_lt(instant_seconds(start, clock_now()), 1.5);
	rd_kafka_mock_topic_set_error(world.cluster, "missing", RD_KAFKA_RESP_ERR_NO_ERROR);
	struct instant deadline = instant_after(clock_now(), TIMEOUT_S / 4.0);
	while (!send_burst_to("missing", 1))
		ck_assert(instant_before(clock_now(), deadline));
	ck_assert_uint_eq(world.lane->refused_count, 0);
	end();
}
END_TEST

/* The waits between tries become longer, though the topic itself is there. */
START_TEST(a_topic_that_may_not_be_written_to_is_put_off)
{
	begin(NULL, NULL);
	ck_assert(send_burst(1));
	unsigned sent = 0;
	struct instant start = clock_now();
	for (; instant_seconds(start, clock_now()) < 1; sent++) {
		rd_kafka_mock_clear_request_errors(world.cluster, PRODUCE);
		rd_kafka_mock_push_request_errors(
			world.cluster, PRODUCE, 1, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
		send_in_vain("orders");
	}
	ck_assert_uint_ge(world.lane->refused[0].failures, 2);
	ck_assert_uint_lt(world.lane->refused[0].failures, 10);
	ck_assert_uint_gt(sent, 100);
	rd_kafka_mock_clear_request_errors(world.cluster, PRODUCE);
	struct instant deadline = instant_after(clock_now(), TIMEOUT_S / 4.0);
	while (!send_burst(1))
		ck_assert(instant_before(clock_now(), deadline));
	end();
}
END_TEST

/* Two brokers, each with topics of one partition that it leads. */
static void begin_with_two(double timeout)
{
	static const char *const topics[] = { "well", "away", "away too" };
	world.brokers = 2;
	world.timeout = timeout;
	make_cluster();
	for (size_t i = 0; i < COUNT(topics); i++) {
		rd_kafka_mock_topic_create(world.cluster, topics[i], 1, 1);
		rd_kafka_mock_partition_set_leader(world.cluster, topics[i], 0, i > 0 ? 2 : 1);
	}
	make_broker(NULL, NULL);
	struct instant deadline = instant_after(clock_now(), TIMEOUT_S);
	for (size_t i = 0; i < COUNT(topics); i++)
		while (!send_burst_to(topics[i], 1))
			ck_assert(instant_before(clock_now(), deadline));
}

/* Have brokers refuse all messages, as when too few replicas are in sync, and be asked again. */
static void refuse_all(void)
{
	for (int i = 0; i < 100; i++)
		rd_kafka_mock_push_request_errors(
			world.cluster, PRODUCE, 1, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS);
}

static void check_away(const char *topic, const char *reason)
{
	const struct entry *entry = &world.ledger.entries[0];
	ck_assert(!send_burst_to(topic, 1));
	ck_assert_msg(entry->verdict == VERDICT_AWAY, "%d: %s", entry->verdict, entry->reason);
	char *start = text_format("topic %s: %s", topic, reason);
	ck_assert_msg(strncmp(entry->reason, start, strlen(start)) == 0, "%s", entry->reason);
	free(start);
}

#define LOST "the leader of partition 0, broker 2 at 127.0.0.1:"

static double seconds_of_away(const char *topic)
{
	struct instant start = clock_now();
	check_away(topic, LOST);
	return instant_seconds(start, clock_now());
}

/* It costs one burst its time, and from then on nobody waits for it, nor a topic that others lead,
 * or a lane in order. */
START_TEST(an_unavailable_leader_is_waited_for_once)
{
	begin_with_two(5);
	struct lane *usual = world.lane;
	rd_kafka_mock_broker_set_down(world.cluster, 2);
	seconds_of_away("away");
	ck_assert_ptr_nonnull(strstr(world.ledger.entries[0].reason, "Connection refused"));
	ck_assert_double_lt(seconds_of_away("away"), 2.5);
	ck_assert_double_lt(seconds_of_away("away too"), 2.5);
	use_ordered_lane();
	ck_assert_double_lt(seconds_of_away("away too"), 2.5);
	world.lane = usual;
	struct instant start = clock_now();
	for (int i = 0; i < 10; i++)
		ck_assert(send_burst_to("well", 1));
	ck_assert_double_lt(instant_seconds(start, clock_now()), 2.5);
	rd_kafka_mock_broker_set_up(world.cluster, 2);
	struct instant deadline = instant_after(clock_now(), TIMEOUT_S);
	while (!send_burst_to("away", 1) || !send_burst_to("away too", 1))
		ck_assert(instant_before(clock_now(), deadline));
	ck_assert_uint_eq(world.lane->refused_count, 0);
	ck_assert_uint_eq(world.broker->node_count, 0);
	end();
}
END_TEST

START_TEST(a_partition_without_a_leader_is_reported)
{
	begin_with_two(2);
	rd_kafka_mock_partition_set_leader(world.cluster, "away", 0, -1);
	check_away("away", "partition 0 has no leader; start a broker that has a replica of it");
	ck_assert(send_burst_to("well", 1));
	end();
}
END_TEST

/* Neither another topic's leader is reported, nor an earlier problem of its own. */
START_TEST(the_reason_is_that_of_the_own_topic)
{
	begin_with_two(2);
	rd_kafka_mock_broker_set_down(world.cluster, _i == 0 ? 2 : 1);
	check_away(_i == 0 ? "away" : "well", "the leader of partition 0, broker ");
	if (_i == 1) {
		rd_kafka_mock_broker_set_up(world.cluster, 1);
		struct instant deadline = instant_after(clock_now(), TIMEOUT_S);
		while (world.broker->node_count > 0)
			ck_assert(
				!send_burst_to("well", 1) || instant_before(clock_now(), deadline));
	}
	refuse_all();
	ck_assert(!send_burst_to("well", 1));
	ck_assert_int_eq(world.ledger.entries[0].verdict, VERDICT_UNKNOWN);
	ck_assert_str_eq(world.ledger.entries[0].reason, "not acknowledged in time");
	end();
}
END_TEST

/* Of a topic with several partitions the others are sent to. */
START_TEST(other_partitions_of_a_topic_are_sent_to)
{
	const struct message message = { .topic = "both",
		.value = "signal",
		.value_length = 6,
		.has_partition = true,
		.partition = 1 };
	begin_with_two(2);
	rd_kafka_mock_topic_create(world.cluster, "both", 2, 1);
	for (int i = 0; i < 2; i++)
		rd_kafka_mock_partition_set_leader(world.cluster, "both", i, 1 + i);
	rd_kafka_mock_broker_set_down(world.cluster, 2);
	for (int i = 0; i < 2; i++) {
		struct instant deadline = instant_after(clock_now(), world.config.timeout);
		lane_begin(world.lane, &world.ledger, 1);
		lane_send(world.lane, &world.ledger, 0, &message, deadline);
		await(world.lane, &world.ledger, &message, deadline);
		ck_assert_int_eq(world.ledger.entries[0].verdict, VERDICT_AWAY);
		ck_assert_ptr_nonnull(
			strstr(world.ledger.entries[0].reason, "of partition 1, broker 2"));
		ck_assert(send_burst_to("both", 1));
	}
	end();
}
END_TEST

/* Send messages to a partition that librdkafka does not know.  How long that takes. */
static double send_to_unknown(size_t count, enum verdict verdict)
{
	const struct message message = { .topic = "orders",
		.value = "signal",
		.value_length = 6,
		.has_partition = true,
		.partition = 99 };
	struct instant start = clock_now();
	struct instant deadline = instant_after(start, TIMEOUT_S);
	lane_begin(world.lane, &world.ledger, count);
	for (size_t slot = 0; slot < count; slot++) {
		ck_assert(!lane_send(world.lane, &world.ledger, slot, &message, deadline));
		ck_assert_int_eq(world.ledger.entries[slot].verdict, verdict);
	}
	await(world.lane, &world.ledger, &message, deadline);
	return instant_seconds(start, clock_now());
}

/* It is rejected if the broker does not know it either, which one query per burst tells. */
START_TEST(an_unknown_partition_is_asked_for)
{
	begin(NULL, NULL);
	ck_assert(send_burst(1));
	rd_kafka_mock_broker_set_rtt(world.cluster, 1, SLOW_MS);
	double seconds = send_to_unknown(50, VERDICT_REJECTED);
	ck_assert_double_ge(seconds, SLOW_MS / 1e3);
	ck_assert_double_lt(seconds, 10 * SLOW_MS / 1e3);
	ck_assert_double_ge(send_to_unknown(1, VERDICT_REJECTED), SLOW_MS / 1e3);
	rd_kafka_mock_broker_set_down(world.cluster, 1);
	ck_assert_double_lt(send_to_unknown(50, VERDICT_UNKNOWN), 2);
	ck_assert_ptr_nonnull(strstr(world.ledger.entries[0].reason,
		"the broker did not answer which partitions the topic has"));
	end();
}
END_TEST

static const struct {
	const char *name, *value;
	const char *problem; /* NULL: none */
} properties[] = {
	{ "acks", "all", NULL },
	{ "acks", "1", "must be all, not 1: " },
	{ "linger.ms", "5", NULL },
	{ "bootstrap.servers", "", "names no server; write HOST:PORT" },
	{ "bootstrap.servers", " , ", "names no server; write HOST:PORT" },
	{ "metadata.broker.list", "", "names no server; write HOST:PORT" },
	{ "bootstrap.servers", "a:1, kafka://b:1",
		"\"kafka://b:1\" has an unsupported protocol; write HOST:PORT" },
	{ "bootstrap.servers", "a:1;b:1",
		"\"a:1;b:1\" is not one server; separate them by commas" },
	{ "bootstrap.servers", "a:1 b:1",
		"\"a:1 b:1\" is not one server; separate them by commas" },
	{ "bootstrap.servers", ":9092", "\":9092\" has no host; write HOST:PORT" },
	{ "linger.ms", "often", "\"often\" is not a number; it must be 0 .. 900000." },
	{ "message.max.bytes", "10MB", "\"10MB\" is not a number; it must be 1000 .. 1000000000." },
	{ "compression.type", "zstandard", "; it must be one of: none, gzip, snappy, lz4, zstd." },
	{ "test.mock.num.brokers", "1", "may not be set: " },
	{ "linger.sm", "5",
		"librdkafka has no property \"linger.sm\"; did you mean \"linger_ms\"?" },
	{ "queue.buffering.max.message", "5", "did you mean \"queue_buffering_max_messages\"?" },
	{ "log_level", "5", NULL },
	{ "log_level", "8", "outside allowed range" },
	{ "log.level", "5",
		"librdkafka has no property \"log.level\"; did you mean \"log_level\"?" },
	{ "group.id", "g", "is for consumers only, and signalbus is a producer" },
	{ "auto.offset.reset", "never", "is for consumers only, and signalbus is a producer" },
	{ "auto.offset.rest", "5", "librdkafka has no property \"auto.offset.rest\"." },
	{ "client.id", "c", NULL },          /* of both */
	{ "compression.type", "lz4", NULL }, /* of producers */
	{ "zzzzzzzzzzzzzzzz", "5", "librdkafka has no property \"zzzzzzzzzzzzzzzz\"" },
};

START_TEST(properties_are_checked)
{
	struct error e;
	const struct property property = { .name = properties[_i].name,
		.value = properties[_i].value };
	enum property_answer answer = property_check(&property, &e);
	ck_assert_int_eq(answer == PROPERTY_TAKEN, properties[_i].problem == NULL);
	if (properties[_i].problem != NULL) {
		ck_assert_int_eq(e.kind, ERROR_CONFIG);
		ck_assert_int_eq(answer == PROPERTY_UNKNOWN,
			strncmp(e.text, "librdkafka has no property", 26) == 0);
		/* A dot says that no more follows. */
		char *text = text_format("%s.", e.text);
		ck_assert_msg(strstr(text, properties[_i].problem) != NULL, "%s", e.text);
		free(text);
	}
}
END_TEST

int main(void)
{
	const struct test tests[] = {
		{ what_is_sent_is_stored, 1, 0 },
		{ a_producer_with_a_fatal_error_is_replaced, 1, 0 },
		{ producers_that_are_refused_are_replaced_more_and_more_slowly, 1, 0 },
		{ batches_that_are_too_large_become_smaller, 1, 0 },
		{ after_a_rejected_message_a_transaction_does_not_wait, 1, 0 },
		{ a_record_without_a_key_is_reported, 1, 0 },
		{ a_burst_does_not_continue_with_a_new_producer, 1, 0 },
		{ late_reports_find_no_ledger, 1, 0 },
		{ in_order_nothing_is_sent_after_the_deadline, 1, 0 },
		{ errors_of_an_idle_lane_are_recorded, 1, 0 },
		{ workers_take_turns_with_a_lane, 1, 0 },
		{ each_worker_has_a_lane, 1, 0 },
		{ a_worker_whose_lane_does_not_connect_uses_another, 2, 0 },
		{ the_watch_tries_lanes_that_have_failed, 1, 0 },
		{ a_lane_is_not_replaced_unless_others_store, 1, 0 },
		{ a_lane_that_is_cut_off_is_replaced, 1, 0 },
		{ a_full_queue_is_waited_for, 1, 0 },
		{ a_message_may_have_little_time, 2, 0 },
		{ waiting_for_a_slow_broker_takes_no_cpu, 1, 0 },
		{ a_topic_with_an_impossible_name_is_refused, 1, 0 },
		{ a_time_that_is_refused_is_the_rows_or_the_hosts, 1, 0 },
		{ a_topic_that_is_missing_is_put_off, 1, 0 },
		{ a_topic_that_may_not_be_written_to_is_put_off, 1, 0 },
		{ an_unavailable_leader_is_waited_for_once, 1, 0 },
		{ a_partition_without_a_leader_is_reported, 1, 0 },
		{ the_reason_is_that_of_the_own_topic, 2, 0 },
		{ other_partitions_of_a_topic_are_sent_to, 1, 0 },
		{ an_unknown_partition_is_asked_for, 1, 0 },
		{ properties_are_checked, COUNT(properties), 0 },
	};
	return suite_run("lane", tests, COUNT(tests));
}
