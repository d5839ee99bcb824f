/*
 * Why messages are not stored.  librdkafka retries, and reports broken connections only; it does
 * not report the broker's answers meanwhile.  So the cluster is queried for the leader of each
 * partition, and the leaders whether they answer.  A problem of a topic is recorded for that topic
 * (lane_topics.c), and a problem of a broker here, in the main bus, for all of its family.
 */
#include "base/text.h"
#include "kafka/ask.h"
#include "kafka/lane_internal.h"
#include "kafka/producer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ASK_MS          500
#define ASK_SETTINGS_MS 300
#define PATIENCE_MAX_S  3.0 /* for a leader that has not answered for long */
#define JITTER          0.5
#define BROKERS_MAX     100 /* of a cluster; beyond this the oldest is forgotten */

/* Under the lock of the main bus. */
static struct broker_trouble *find(const struct bus *main, int32_t id, const char *address)
{
	for (size_t i = 0; i < main->broker_count; i++) {
		struct broker_trouble *b = &main->brokers[i];
		if (id >= 0 && b->id >= 0 ? b->id == id : strcmp(b->address, address) == 0)
			return b;
	}
	return NULL;
}

/* The same. */
static void forget(struct bus *main, struct broker_trouble *b)
{
	size_t count = atomic_load(&main->broker_count) - 1;
	*b = main->brokers[count];
	atomic_store(&main->broker_count, count);
}

/* The same: the state of a broker, created if there is none. */
static struct broker_trouble *have(struct bus *main, int32_t id, const char *address)
{
	struct broker_trouble *b = find(main, id, address);
	if (b == NULL && main->broker_count == BROKERS_MAX)
		forget(main, &main->brokers[0]);
	if (b == NULL) {
		size_t count = atomic_load(&main->broker_count);
		main->brokers = memory_resize(main->brokers, count + 1, sizeof *main->brokers);
		b = &main->brokers[count];
		*b = (struct broker_trouble){ .id = id };
		snprintf(b->address, sizeof b->address, "%s", address);
		atomic_store(&main->broker_count, count + 1);
	}
	b->id = id >= 0 ? id : b->id;
	return b;
}

/* librdkafka's messages about a broker begin with "PROTOCOL://HOST:PORT/ID: ", with the ID
 * "bootstrap" before it is known. */
bool bus_broker_failed(struct bus *bus, const char *reason)
{
	struct bus *main = bus->main;
	const char *protocol = strstr(reason, "://");
	const char *end = strstr(reason, ": ");
	const char *slash = end != NULL ? memrchr(reason, '/', (size_t)(end - reason)) : NULL;
	const char *start = protocol != NULL && protocol < end ? protocol + 3 : reason;
	char address[sizeof main->brokers->address], *rest;
	if (slash == NULL || slash < start || memchr(reason, ' ', (size_t)(end - reason)) != NULL)
		return false;
	snprintf(address, sizeof address, "%.*s", (int)(slash - start), start);
	int32_t id = (int32_t)strtol(slash + 1, &rest, 10);
	pthread_mutex_lock(&main->lock);
	struct broker_trouble *b = have(main, rest == end ? id : -1, address);
	ask_plain_reason(b->text, sizeof b->text, reason);
	b->was_up = strstr(reason, " in state UP") != NULL;
	b->at = clock_now();
	atomic_store(&main->troubled_ns, b->at.ns);
	pthread_mutex_unlock(&main->lock);
	return true;
}

void bus_broker_works(struct bus *bus, int32_t id)
{
	struct bus *main = bus->main;
	if (main->broker_count == 0)
		return;
	pthread_mutex_lock(&main->lock);
	for (size_t i = main->broker_count; i-- > 0;)
		if (main->brokers[i].id == id || main->brokers[i].id < 0)
			forget(main, &main->brokers[i]);
	pthread_mutex_unlock(&main->lock);
}

bool bus_lost_broker(struct bus *main, struct broker_trouble *lost)
{
	bool any = false;
	pthread_mutex_lock(&main->lock);
	for (size_t i = 0; !any && i < main->broker_count; i++)
		if (main->brokers[i].is_lost &&
			!instant_before(clock_now(), main->brokers[i].next_ask)) {
			any = true;
			main->brokers[i].next_ask = instant_after(clock_now(), 1);
			*lost = main->brokers[i];
		}
	pthread_mutex_unlock(&main->lock);
	return any;
}

/* A query of the cluster. */
struct look {
	struct bus *bus;
	rd_kafka_t *handle;
	const struct rd_kafka_metadata *cluster;
	const char *topic; /* the queried one; of others only the leaders are checked */
	struct instant since;
	int32_t answered[BROKERS_MAX]; /* leaders that answered */
	size_t answered_count;
};

/* Under the lock of the main bus: for querying the leader of a partition, which does not answer,
 * later. */
static void lose(struct broker_trouble *b, const char *topic, int32_t partition)
{
	snprintf(b->topic, sizeof b->topic, "%s", topic);
	b->partition = partition;
	b->is_lost = true;
	b->next_ask = instant_after(clock_now(), clock_backoff_delay(++b->failures, JITTER));
}

/* How long to wait for a leader: longer each time, because a slow one answers eventually. */
static int patience_ms(const struct bus *bus, unsigned failures)
{
	double seconds = fmin(ASK_MS / 1e3 * (1U << (failures < 4 ? failures : 4)), PATIENCE_MAX_S);
	return (int)(fmin(seconds, bus->config->timeout / 4) * 1000);
}

/* Whether the leader of a partition is lost.  A known lost one is queried by the watch, if there is
 * one, or now if it is time; any other one now.  One that answers, but has closed a connection with
 * messages in flight, may be the reason. */
static bool is_lost(const struct look *k, const char *topic,
	const struct rd_kafka_metadata_partition *p, struct broker_trouble *trouble)
{
	struct bus *main = k->bus->main;
	pthread_mutex_lock(&main->lock);
	struct broker_trouble *b = find(main, p->leader, trouble->address);
	if (b != NULL)
		*trouble = *b;
	pthread_mutex_unlock(&main->lock);
	if (trouble->is_lost &&
		(main->is_watched || instant_before(clock_now(), trouble->next_ask)))
		return true;
	bool answers = ask_leader(k->handle, topic, p->id, patience_ms(k->bus, trouble->failures));
	pthread_mutex_lock(&main->lock);
	b = answers ? find(main, p->leader, trouble->address)
		    : have(main, p->leader, trouble->address);
	if (!answers) {
		lose(b, topic, p->id);
		atomic_store(&main->troubled_ns, clock_now().ns);
		*trouble = *b; /* with messages received meanwhile */
	} else if (b != NULL) {
		forget(main, b);
	}
	pthread_mutex_unlock(&main->lock);
	return !answers;
}

static bool has_answered(const struct look *k, int32_t broker)
{
	for (size_t i = 0; i < k->answered_count; i++)
		if (k->answered[i] == broker)
			return true;
	return false;
}

/* Whether a partition accepts no messages, and why; or why it may not have accepted them. */
static bool is_away(struct look *k, const struct rd_kafka_metadata_topic *topic,
	const struct rd_kafka_metadata_partition *p, const struct topic_settings *s,
	struct judgement *j)
{
	struct broker_trouble t = { .id = p->leader };
	char text[BUS_REASON_MAX / 2] = "";
	bool is = ask_partition_trouble(p, s, text, sizeof text);
	if (!is && !has_answered(k, p->leader)) {
		ask_address(t.address, sizeof t.address, k->cluster, p->leader);
		is = is_lost(k, topic->topic, p, &t);
		const char *why = t.text[0] != '\0' && !t.was_up ? t.text : "it does not answer";
		if (is)
			ask_say_unreached(text, sizeof text, k->cluster, p, why);
		else if (t.was_up && instant_before(k->since, t.at))
			snprintf(text, sizeof text, "%s", t.text);
		if (!is && k->answered_count < BROKERS_MAX)
			k->answered[k->answered_count++] = p->leader;
	}
	if (text[0] != '\0' && j->verdict != VERDICT_AWAY) {
		j->verdict = is ? VERDICT_AWAY : VERDICT_UNKNOWN;
		snprintf(j->text, sizeof j->text, "topic %s: %s", topic->topic, text);
	}
	return is;
}

static void look_at(struct look *k, const struct rd_kafka_metadata_topic *topic)
{
	struct bus *bus = k->bus;
	struct judgement j = { .verdict = VERDICT_STORED };
	struct topic_settings s = { 0 };
	int away = 0;
	int32_t first = BUS_ANY_PARTITION;
	bool is_asked = strcmp(topic->topic, k->topic) == 0 || bus_topic_is_away(bus, topic->topic);
	if (is_asked)
		s = ask_replica_settings(k->handle, topic, ASK_SETTINGS_MS);
	for (int i = 0; i < topic->partition_cnt; i++)
		if (is_away(k, topic, &topic->partitions[i], &s, &j) && away++ == 0)
			first = topic->partitions[i].id;
	if (!is_asked && j.verdict == VERDICT_UNKNOWN)
		return;
	j.reason = j.text;
	pthread_mutex_lock(&bus->lock);
	if (j.verdict != VERDICT_STORED)
		bus_topic_note(bus, topic->topic,
			away < topic->partition_cnt ? first : BUS_ANY_PARTITION, &j);
	else
		bus_topic_is_back(bus, topic->topic);
	pthread_mutex_unlock(&bus->lock);
}

/* Record whether any broker answers and, if not, why. */
static void note_answer(struct bus *main, rd_kafka_resp_err_t code)
{
	struct instant last = { 0 };
	const char *why = code != RD_KAFKA_RESP_ERR_NO_ERROR ? ask_plain_code(code) : "";
	pthread_mutex_lock(&main->lock);
	for (size_t i = 0; code != RD_KAFKA_RESP_ERR_NO_ERROR && i < main->broker_count; i++)
		if (instant_before(last, main->brokers[i].at)) {
			last = main->brokers[i].at;
			why = main->brokers[i].text;
		}
	snprintf(main->unanswered, sizeof main->unanswered, "%s", why);
	pthread_mutex_unlock(&main->lock);
}

bool bus_is_answered(struct bus *bus)
{
	pthread_mutex_lock(&bus->lock);
	bool is = bus->unanswered[0] == '\0';
	pthread_mutex_unlock(&bus->lock);
	return is;
}

void bus_look(struct bus *bus, const char *topic)
{
	struct look k = { .bus = bus, .topic = topic };
	k.since = instant_after(clock_now(), -bus->config->timeout);
	atomic_store(&bus->looked_ns, clock_now().ns);
	pthread_rwlock_rdlock(&bus->producer_lock);
	if (bus->producer != NULL) {
		k.handle = producer_handle(bus->producer);
		rd_kafka_resp_err_t code = rd_kafka_metadata(k.handle, 0, NULL, &k.cluster, ASK_MS);
		note_answer(bus->main, code);
		for (int i = 0; code == RD_KAFKA_RESP_ERR_NO_ERROR && i < k.cluster->topic_cnt; i++)
			look_at(&k, &k.cluster->topics[i]);
		if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
			rd_kafka_metadata_destroy(k.cluster);
	}
	pthread_rwlock_unlock(&bus->producer_lock);
}

void bus_late(struct bus *bus, const struct destination *to, const char *what, struct judgement *j)
{
	char unanswered[sizeof bus->unanswered];
	pthread_mutex_lock(&bus->main->lock);
	snprintf(unanswered, sizeof unanswered, "%s", bus->main->unanswered);
	pthread_mutex_unlock(&bus->main->lock);
	pthread_mutex_lock(&bus->lock);
	const char *why = bus_topic_reason(bus, to, &j->verdict);
	if (why == NULL)
		why = unanswered[0] != '\0' ? unanswered : bus->trouble;
	bool says_all = j->verdict == VERDICT_AWAY || why[0] == '\0';
	/* cppcheck-suppress ctuuninitvar ; it is written to */
	snprintf(j->text, sizeof j->text, "%s%s%s", j->verdict == VERDICT_AWAY ? "" : what,
		says_all ? "" : ": ", why);
	pthread_mutex_unlock(&bus->lock);
	j->cause = 0;
	j->reason = j->text;
}
