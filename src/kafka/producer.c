#include "kafka/producer_internal.h"

#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/sockios.h>

#define ASK_MS         500
#define SEND_NOW_MS    1
#define SHORT_LINGER_S 0.005
#define STATISTICS_MS  "50"

/* Defaults of signalbus that differ from librdkafka's. */
static const struct {
	const char *name, *value;
	const char *unless; /* not if this property is set, which might contradict it */
	int from, before;   /* only with these versions of librdkafka, 0xMMmm; or 0 */
} presets[] = {
	{ .name = "acks", .value = "all" },
	{ .name = "enable.idempotence", .value = "true" },
	/* As in the Java client, so that a key maps to the same partition for every sender. */
	{ .name = "partitioner", .value = "murmur2_random" },
	{ .name = "client.id", .value = "signalbus" },
	/* A broker that becomes available again is found within a second; librdkafka's default is
	 * ten. */
	{ .name = "reconnect.backoff.max.ms", .value = "1000", .unless = "reconnect.backoff.ms" },
	/* Before 2.10, rd_kafka_destroy() may miss that metrics are no longer pushed, and waits a
	 * second (rd_kafka_telemetry_await_termination() in rdkafka_telemetry.c). */
	{ .name = "enable.metrics.push", .value = "false", .from = 0x0205, .before = 0x020a },
};

static bool set_property(
	rd_kafka_conf_t *conf, const char *name, const char *value, struct error *e)
{
	char reason[512];
	if (rd_kafka_conf_set(conf, name, value, reason, sizeof reason) == RD_KAFKA_CONF_OK)
		return true;
	/* uncovered: each property was tried when the file was read */
	return error_set(e, ERROR_CONFIG, "%s", reason);
}

static void on_log(const rd_kafka_t *producer, int level, const char *facility, const char *text)
{
	(void)producer;
	(void)level;
	log_debug("kafka: %s: %s", facility, text);
}

/* Data that a broker has not received when librdkafka closes a connection is dropped with it.
 * Otherwise the kernel would still send it, and a broker that becomes available again would store
 * it again, after the same signals were sent again. */
static int on_close(int sock, void *arg)
{
	(void)arg;
	const struct linger drop = { .l_onoff = 1, .l_linger = 0 };
	int unacknowledged = 0;
	if (ioctl(sock, SIOCOUTQ, &unacknowledged) == 0 && unacknowledged > 0 &&
		setsockopt(sock, SOL_SOCKET, SO_LINGER, &drop, sizeof drop) != 0)
		/* uncovered: a socket takes this option */
		log_debug("kafka: cannot drop the unsent data of a connection");
	return close(sock);
}

static void on_error(rd_kafka_t *handle, int code, const char *reason, void *opaque)
{
	char text[512];
	struct producer_events *events = opaque;
	reason = login_note(&events->login, code,
		certificate_reason(&events->certificate, reason, text, sizeof text));
	if (events->error != NULL)
		events->error(handle, code, reason, events->arg);
}

static void on_refresh(rd_kafka_t *handle, const char *ignored, void *opaque)
{
	(void)ignored;
	struct producer_events *events = opaque;
	login_refresh(&events->login, handle);
}

static int on_statistics(rd_kafka_t *handle, char *json, size_t length, void *opaque)
{
	(void)handle, (void)length;
	const struct producer_events *events = opaque;
	events->statistics(json, events->arg);
	return 0; /* librdkafka frees it */
}

/* librdkafka does not say why it refuses a certificate; here that is known. */
static int on_certificate(rd_kafka_t *handle, const char *name, int32_t id,
	int *x509_error, /* NOLINT(readability-non-const-parameter): of librdkafka's type */
	int depth, const char *bytes, size_t size, char *text, size_t text_size, void *opaque)
{
	(void)handle, (void)name, (void)id, (void)bytes, (void)size;
	struct producer_events *events = opaque;
	snprintf(text, text_size, "error %d", *x509_error);
	return certificate_accepted(&events->certificate, *x509_error, depth);
}

static bool set_milliseconds(
	rd_kafka_conf_t *conf, const char *name, double seconds, struct error *e)
{
	char value[32];
	snprintf(value, sizeof value, "%.0f", seconds * 1000);
	return set_property(conf, name, value, e);
}

static bool is_overruled(const struct config *config, const char *by)
{
	for (size_t i = 0; by != NULL && i < config->kafka_count; i++)
		if (strcmp(config->kafka[i].name, by) == 0)
			return true;
	return false;
}

/* Messages that are handed over in succession are sent in few batches, because a batch costs more
 * than a message.  When all messages of a burst are handed over, producer_send_now() ends the wait;
 * it never ends by itself, when librdkafka would begin to busy-wait (lane_flush() in
 * lane_reports.c).  It must be less than the total time of a message. */
static bool set_linger(rd_kafka_conf_t *conf, const struct config *config, struct error *e)
{
	double seconds = limit_linger(config->timeout);
	if (is_overruled(config, "message.timeout.ms") ||
		is_overruled(config, "delivery.timeout.ms"))
		seconds = SHORT_LINGER_S;
	return set_milliseconds(conf, "linger.ms", seconds, e);
}

/* Whether librdkafka's version, 0xMMmm, is in a range; 0 is no limit. */
static bool is_version(int from, int before)
{
	int version = rd_kafka_version() >> 16;
	return version >= from && (before == 0 || version < before);
}

static bool configure(rd_kafka_conf_t *conf, const struct config *config, struct error *e)
{
	for (size_t i = 0; i < sizeof presets / sizeof presets[0]; i++)
		if (is_version(presets[i].from, presets[i].before) &&
			!is_overruled(config, presets[i].unless) &&
			!set_property(conf, presets[i].name, presets[i].value, e))
			/* uncovered: see set_property() */
			return false;
	/* Rows are locked while their messages are in flight: not for librdkafka's five minutes.  A
	 * missing topic must be detected before the time is up. */
	double propagation = limit_propagation(config->timeout);
	if (!set_linger(conf, config, e) ||
		!set_milliseconds(conf, "message.timeout.ms", config->timeout, e) ||
		!set_milliseconds(conf, "topic.metadata.propagation.max.ms", propagation, e))
		/* uncovered: see set_property() */
		return false;
	for (size_t i = 0; i < config->kafka_count; i++)
		if (!config->kafka[i].is_secret &&
			!set_property(conf, config->kafka[i].name, config->kafka[i].value, e))
			/* uncovered: see set_property() */
			return false;
	return true;
}

/* The place of the property that librdkafka names as the reason, or else of the first one. */
static struct place place_of(const struct config *config, const char *reason)
{
	for (size_t i = 0; i < config->kafka_count; i++)
		if (strstr(reason, config->kafka[i].name) != NULL)
			return config->kafka[i].place;
	return config->kafka[0].place;
}

/* Regardless of the configuration. */
static bool configure_order(rd_kafka_conf_t *conf, struct error *e)
{
	return set_property(conf, "enable.gapless.guarantee", "true", e) &&
	       set_property(conf, "message.timeout.ms", "0", e);
}

/* The properties of a producer; NULL with e if one is wrong. */
static rd_kafka_conf_t *properties(
	const struct config *config, bool in_order, struct producer_events *events, struct error *e)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_conf_set_opaque(conf, events);
	rd_kafka_conf_set_error_cb(conf, on_error);
	if (config->tokens != NULL)
		rd_kafka_conf_set_oauthbearer_token_refresh_cb(conf, on_refresh);
	rd_kafka_conf_set_ssl_cert_verify_cb(conf, on_certificate);
	rd_kafka_conf_set_log_cb(conf, on_log);
	rd_kafka_conf_set_closesocket_cb(conf, on_close);
	if (configure(conf, config, e) && login_configure(&events->login, config, conf, e) &&
		(!in_order || configure_order(conf, e)))
		return conf;
	/* uncovered: see set_property() */
	rd_kafka_conf_destroy(conf);
	return NULL;
}

/* Of a producer with transactions.  Its messages cannot be sent before their partitions are added
 * to the transaction; those that are handed over until then make a batch anyway. */
static bool configure_transactions(rd_kafka_conf_t *conf, const struct config *config,
	const char *transactional_id, struct error *e)
{
	const char *own = "transaction.timeout.ms";
	bool is_patient =
		is_overruled(config, "linger.ms") || is_overruled(config, "queue.buffering.max.ms");
	return set_property(conf, "transactional.id", transactional_id, e) &&
	       (is_overruled(config, own) ||
		       set_milliseconds(conf, own, limit_transaction(config->timeout), e)) &&
	       (is_patient || set_property(conf, "linger.ms", "0", e));
}

/* The error of rd_kafka_new().  Always returns false. */
static bool refused(const struct config *config, const char *reason, struct error *e)
{
	struct place at = place_of(config, reason);
	if (rd_kafka_last_error() == RD_KAFKA_RESP_ERR__INVALID_ARG)
		return error_set(e, ERROR_CONFIG, "%s:%u: kafka: %s", at.file, at.line, reason);
	return error_set(e, ERROR_BROKER, "kafka: cannot create a producer: %s", reason);
}

/* Batches that the topic accepts, unless smaller ones are configured. */
static bool limit_batches(rd_kafka_conf_t *conf, size_t bytes, struct error *e)
{
	char value[32];
	size_t size = sizeof value;
	if (rd_kafka_conf_get(conf, "batch.size", value, &size) == RD_KAFKA_CONF_OK &&
		strtoul(value, NULL, 10) <= bytes)
		return true;
	snprintf(value, sizeof value, "%zu", bytes);
	return set_property(conf, "batch.size", value, e);
}

/* A consumer of these properties, which it takes over, and one more. */
static rd_kafka_t *make_consumer(
	rd_kafka_conf_t *conf, const char *name, const char *value, struct error *e)
{
	char reason[512];
	rd_kafka_t *consumer = NULL;
	if (rd_kafka_conf_set(conf, name, value, reason, sizeof reason) == RD_KAFKA_CONF_OK)
		consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, reason, sizeof reason);
	if (consumer != NULL) {
		const struct producer_events *events = rd_kafka_opaque(consumer);
		login_begin(&events->login, consumer);
		return consumer;
	}
	/* uncovered: a producer of the same properties can be made */
	rd_kafka_conf_destroy(conf);
	error_set(e, ERROR_BROKER, "kafka: cannot ask the cluster: %s", reason);
	return NULL;
}

rd_kafka_t *producer_make_consumer(
	const struct config *config, struct producer_events *events, struct error *e)
{
	rd_kafka_conf_t *conf = properties(config, false, events, e);
	if (conf == NULL)
		/* uncovered: each property was tried when the file was read */
		return NULL;
	return make_consumer(conf, "allow.auto.create.topics", "false", e);
}

rd_kafka_t *producer_make_reader(const struct config *config, const char *group,
	struct producer_events *events, struct error *e)
{
	rd_kafka_conf_t *conf = properties(config, false, events, e);
	if (conf == NULL)
		/* uncovered: each property was tried when the file was read */
		return NULL;
	rd_kafka_t *reader = make_consumer(conf, "group.id", group, e);
	if (reader != NULL)
		rd_kafka_poll_set_consumer(reader);
	return reader;
}

struct producer *producer_new(
	const struct config *config, const struct producer_use *use, struct error *e)
{
	char reason[512];
	rd_kafka_conf_t *conf = properties(config, use->in_order, use->events, e);
	if (conf == NULL)
		/* uncovered: see set_property() */
		return NULL;
	if (use->is_alone && !set_property(conf, "batch.num.messages", "1", e))
		abort(); /* it is within librdkafka's limits */
	if (use->events->statistics != NULL) {
		rd_kafka_conf_set_stats_cb(conf, on_statistics);
		if (!set_property(conf, "statistics.interval.ms", STATISTICS_MS, e))
			abort();
	}
	if (use->batch_size > 0 && !limit_batches(conf, use->batch_size, e))
		abort();
	struct producer *p = memory_new(1, sizeof *p);
	if (use->transactional_id != NULL) {
		p->transactional_id = text_copy(use->transactional_id);
		producer_count_requests(p, conf);
		if (!configure_transactions(conf, config, use->transactional_id, e))
			abort(); /* any text is an id, and the limit is within librdkafka's */
	}
	rd_kafka_conf_set_dr_msg_cb(conf, use->report);
	rd_kafka_t *handle = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof reason);
	if (handle == NULL) {
		refused(config, reason, e);
		rd_kafka_conf_destroy(conf);
		free(p->transactional_id);
		free(p);
		return NULL;
	}
	p->handle = handle;
	login_begin(&use->events->login, handle);
	p->is_patient =
		is_overruled(config, "linger.ms") || is_overruled(config, "queue.buffering.max.ms");
	return p;
}

void producer_free(struct producer *p)
{
	if (p == NULL)
		return;
	for (size_t i = 0; i < p->topic_count; i++)
		rd_kafka_topic_destroy(p->topics[i].handle);
	rd_kafka_destroy(p->handle);
	free(p->transactional_id);
	free(p->topics);
	free(p);
}

void producer_poll(struct producer *p, int wait_ms)
{
	while (rd_kafka_poll(p->handle, wait_ms) > 0)
		wait_ms = 0;
}

bool producer_send_now(struct producer *p)
{
	if (p->is_patient)
		producer_poll(p, 0);
	else /* while this runs, the broker threads, which it wakes, do not linger */
		rd_kafka_flush(p->handle, SEND_NOW_MS);
	return rd_kafka_outq_len(p->handle) > 0;
}

size_t producer_property(rd_kafka_t *handle, const char *name)
{
	char value[32];
	size_t size = sizeof value;
	if (rd_kafka_conf_get(rd_kafka_conf(handle), name, value, &size) != RD_KAFKA_CONF_OK)
		abort(); /* librdkafka has had it since its first version */
	return strtoul(value, NULL, 10);
}

rd_kafka_t *producer_handle(const struct producer *p)
{
	return p->handle;
}

void producer_fatal_error(const struct producer *p, char *reason, size_t size)
{
	reason[0] = '\0';
	rd_kafka_fatal_error(p->handle, reason, size);
}

/* The index of name in the sorted topics, or where to insert it. */
static size_t topic_place(const struct producer *p, const char *name)
{
	size_t first = 0, end = p->topic_count;
	while (first < end) {
		size_t middle = first + (end - first) / 2;
		if (strcmp(rd_kafka_topic_name(p->topics[middle].handle), name) < 0)
			first = middle + 1;
		else
			end = middle;
	}
	return first;
}

static bool is_at(const struct producer *p, size_t place, const char *name)
{
	return place < p->topic_count &&
	       strcmp(rd_kafka_topic_name(p->topics[place].handle), name) == 0;
}

bool producer_has_topic(const struct producer *p, const char *name)
{
	return is_at(p, topic_place(p, name), name);
}

static void add_topic(struct producer *p, size_t place, rd_kafka_topic_t *handle)
{
	p->topics = memory_resize(p->topics, p->topic_count + 1, sizeof *p->topics);
	memmove(p->topics + place + 1, p->topics + place,
		(p->topic_count - place) * sizeof *p->topics);
	p->topics[place] = (struct topic){ .handle = handle };
	p->topic_count++;
}

/* A topic; NULL if librdkafka refuses the name.  Creating its handle queries the topic's leaders at
 * once; a topic that rd_kafka_producev() knows by name only is queried by a timer, up to a second
 * later. */
static struct topic *have_topic(struct producer *p, const char *name)
{
	if (!is_at(p, p->last_topic, name)) {
		size_t place = topic_place(p, name);
		if (!is_at(p, place, name)) {
			rd_kafka_topic_t *handle = rd_kafka_topic_new(p->handle, name, NULL);
			if (handle == NULL)
				return NULL;
			add_topic(p, place, handle);
		}
		p->last_topic = place;
	}
	return &p->topics[p->last_topic];
}

enum topic_start *producer_start_of(struct producer *p, const char *name)
{
	struct topic *topic = have_topic(p, name);
	return topic != NULL ? &topic->start : NULL;
}

rd_kafka_resp_err_t producer_ask(struct producer *p, int wait_ms)
{
	const struct rd_kafka_metadata *answer;
	rd_kafka_resp_err_t code = rd_kafka_metadata(p->handle, 0, NULL, &answer, wait_ms);
	if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
		rd_kafka_metadata_destroy(answer);
	return code;
}

rd_kafka_resp_err_t producer_ask_topic(struct producer *p, const char *name)
{
	const struct rd_kafka_metadata *answer;
	const struct topic *topic = have_topic(p, name);
	if (topic == NULL)
		return RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION;
	rd_kafka_resp_err_t code = rd_kafka_metadata(p->handle, 0, topic->handle, &answer, ASK_MS);
	if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
		return code;
	if (answer->topic_cnt == 1)
		code = answer->topics[0].err;
	rd_kafka_metadata_destroy(answer);
	return code;
}

rd_kafka_resp_err_t producer_ask_topic_once(struct producer *p, const char *name, uint64_t burst)
{
	struct topic *topic = have_topic(p, name);
	if (topic == NULL)
		/* uncovered: the caller has sent a message to it */
		return RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION;
	if (topic->asked != burst)
		topic->answer = producer_ask_topic(p, name);
	topic->asked = burst;
	return topic->answer;
}

static rd_kafka_headers_t *headers_new(const struct message *message)
{
	rd_kafka_headers_t *headers = rd_kafka_headers_new(message->header_count);
	for (size_t i = 0; i < message->header_count; i++) {
		const struct header *h = &message->headers[i];
		if (rd_kafka_header_add(headers, h->name, -1, h->value, (ssize_t)h->length) !=
			RD_KAFKA_RESP_ERR_NO_ERROR)
			abort();
	}
	return headers;
}

/* A larger value is not copied, so that it is in memory once. */
#define KEEP_MIN_BYTES ((size_t)1024 * 1024)

/* producev, because produceva() with headers crashes on an unknown partition before librdkafka
 * 2.12.1 (confluentinc/librdkafka, CHANGELOG of that version). */
rd_kafka_resp_err_t producer_send(struct producer *p, const struct message *message, void *opaque)
{
	const struct topic *topic = have_topic(p, message->topic);
	if (topic == NULL)
		return RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION;
	rd_kafka_headers_t *headers = message->header_count > 0 ? headers_new(message) : NULL;
	int32_t partition = message->has_partition ? message->partition : RD_KAFKA_PARTITION_UA;
	bool keeps = message->holder != NULL && message->value_length >= KEEP_MIN_BYTES;
	rd_kafka_resp_err_t code = rd_kafka_producev(p->handle, RD_KAFKA_V_RKT(topic->handle),
		RD_KAFKA_V_MSGFLAGS(keeps ? RD_KAFKA_MSG_F_FREE : RD_KAFKA_MSG_F_COPY),
		RD_KAFKA_V_PARTITION(partition), RD_KAFKA_V_KEY(message->key, message->key_length),
		RD_KAFKA_V_VALUE((char *)(uintptr_t)message->value, message->value_length),
		RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_TIMESTAMP(message->timestamp_ms),
		RD_KAFKA_V_OPAQUE(opaque), RD_KAFKA_V_END);
	/* The message owns both only if it was accepted. */
	if (headers != NULL && code != RD_KAFKA_RESP_ERR_NO_ERROR)
		rd_kafka_headers_destroy(headers);
	if (keeps && code == RD_KAFKA_RESP_ERR_NO_ERROR)
		*message->holder = (struct text){ 0 };
	return code;
}
