/*
 * The watch: a thread of the main bus that queries the cluster, over its own connection, and checks
 * whether any of the sent messages are stored.
 *
 * An idle broker may close connections (connections.max.idle.ms), and a leader may change: so a
 * single query without an answer means nothing yet.
 */
#include "base/log.h"
#include "kafka/ask.h"
#include "kafka/lane_internal.h"
#include "kafka/producer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IDLE_S       2.0 /* between queries while there is no doubt */
#define AGAIN_S      0.1 /* … and while there is no answer */
#define REFUSED_S    0.5 /* no connection can be made for this long: no broker is there … */
#define UNREACHED_S  2.0 /* … even without a reason; librdkafka may pause for a second */
#define SLICE_S      0.5 /* initial time-out of a query, … */
#define SLICE_MAX_S  2.0 /* … and its maximum; a stop waits for its end */
#define TELL_AGAIN_S 10.0
#define STALE_S      60.0
#define CALM_S       60.0
#define CALM_FACTOR  3
#define FORGET_S     15.0 /* no burst for this long: nothing waits for the broker any more */

/* The watch's own. */
struct watch {
	struct bus *bus;
	rd_kafka_t *handle; /* a consumer, which never reads; NULL: it could not be created yet */
	char trouble[512];  /* the last error that it reported */
	double slice;
	bool is_failing;              /* the last query had no answer … */
	struct instant failing_since; /* … nor one since then */
	struct instant down_since;    /* or since the producers were replaced for that reason */
	char told[BUS_REASON_MAX];    /* the reason that was logged; empty: none */
	struct instant tell_again;    /* do not log another reason before then */
	struct instant told_since;    /* when the first of them was logged */
	struct instant calm; /* until then a short silence is not news: there was one before */
};

void bus_doubt(struct bus *bus)
{
	struct bus *main = bus->main;
	pthread_mutex_lock(&main->lock);
	main->in_doubt = true;
	pthread_cond_broadcast(&main->doubtful);
	pthread_mutex_unlock(&main->lock);
}

static void on_error(rd_kafka_t *handle, int code, const char *reason, void *arg)
{
	(void)handle;
	struct watch *w = arg;
	if (code != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) /* which one, and why, says more */
		ask_plain_reason(w->trouble, sizeof w->trouble, reason);
}

/* Log the reason for an outage, once; another reason is logged, too, but none twice in a row. */
static void tell(struct watch *w, const char *what, const char *reason)
{
	struct instant now = clock_now();
	if (strcmp(w->told, reason) == 0 ||
		(w->told[0] != '\0' && instant_before(now, w->tell_again)))
		return;
	log_warning("kafka: %s: %s; waiting for it", what, reason);
	if (w->told[0] == '\0')
		w->told_since = now;
	snprintf(w->told, sizeof w->told, "%s", reason);
	w->tell_again = instant_after(now, TELL_AGAIN_S);
}

/* It is over. */
static void tell_end(struct watch *w, const char *what)
{
	log_warning(
		"kafka: %s again, after %.0f s", what, instant_seconds(w->told_since, clock_now()));
	w->told[0] = '\0';
}

/* Make every bus of the family replace its producer, by its own reporter. */
/* uncovered: takes a minute; make check-faults */
static void replace(struct bus *bus)
{
	if (bus == NULL)
		return;
	atomic_store(&bus->is_broken, true);
	bus_wake(bus);
}

/* uncovered: the same */
static void replace_all(struct bus *bus)
{
	pthread_mutex_lock(&bus->lock);
	for (size_t i = 0; i < bus->config->model_count; i++)
		replace(bus->ordered[i]);
	replace(bus->alone);
	replace(bus->second_lane);
	pthread_mutex_unlock(&bus->lock);
	replace(bus);
}

static void note_up(struct watch *w)
{
	struct bus *bus = w->bus;
	w->is_failing = false;
	w->slice = SLICE_S;
	pthread_mutex_lock(&bus->lock);
	bool news = !bus->is_up;
	bus->is_up = true;
	bus->silence[0] = '\0';
	if (news) {
		bus->silent_since = clock_now();
		pthread_cond_broadcast(&bus->changed);
	}
	pthread_mutex_unlock(&bus->lock);
	if (!news)
		return;
	if (w->told[0] == '\0')
		log_info("kafka: the broker answers");
	else
		tell_end(w, "the broker answers");
}

static void note_down(struct watch *w, const char *reason)
{
	struct bus *bus = w->bus;
	struct instant now = clock_now();
	pthread_mutex_lock(&bus->lock);
	if (bus->is_up)
		w->down_since = now;
	bus->is_up = false;
	bus->is_storing_nothing = false;
	snprintf(bus->silence, sizeof bus->silence, "%s", reason);
	pthread_mutex_unlock(&bus->lock);
	tell(w, "the broker does not answer", reason);
	if (instant_seconds(w->down_since, now) > STALE_S) {
		/* uncovered: takes a minute; make check-faults */
		w->down_since = now;
		replace_all(bus);
	}
}

/* How long the broker has owed an answer: to the query, or to messages. */
static double owed(const struct watch *w, struct instant now)
{
	struct bus *bus = w->bus;
	struct instant since = w->failing_since;
	pthread_mutex_lock(&bus->lock);
	if (bus->has_failed)
		since = instant_earlier(since, bus->silent_since);
	pthread_mutex_unlock(&bus->lock);
	return instant_seconds(since, now);
}

/* How long to wait for the next answer: so that a missing one is detected in time. */
static double slice(const struct watch *w)
{
	double left = w->is_failing ? w->bus->config->timeout - owed(w, clock_now()) : INFINITY;
	return left > 0 ? fmax(fmin(w->slice, left), AGAIN_S) : w->slice;
}

/* There was no answer.  A connection that is established, but slow, has as much time as a burst. */
static void note_failure(struct watch *w, rd_kafka_resp_err_t code, struct instant asked)
{
	double timeout = w->bus->config->timeout;
	char reason[128];
	struct instant now = clock_now();
	if (!w->is_failing)
		w->failing_since = asked;
	w->is_failing = true;
	w->slice = fmin(2 * w->slice, SLICE_MAX_S);
	if (code == RD_KAFKA_RESP_ERR__TIMED_OUT) {
		snprintf(reason, sizeof reason,
			"it accepts connections, but has not answered for %g s", timeout);
		if (owed(w, now) >= timeout)
			note_down(w, reason);
		return;
	}
	double patience = fmin(w->trouble[0] != '\0' ? REFUSED_S : UNREACHED_S, timeout);
	if (instant_seconds(w->failing_since, now) >= patience)
		note_down(w, w->trouble[0] != '\0' ? w->trouble : ask_plain_code(code));
}

static bool make_handle(struct watch *w)
{
	struct error e;
	if (w->handle == NULL)
		w->handle = producer_make_consumer(w->bus->config, on_error, w, &e);
	if (w->handle == NULL)
		/* uncovered: no descriptor or thread is left; make failing-calls */
		note_down(w, e.text);
	return w->handle != NULL;
}

static void ask(struct watch *w)
{
	const struct rd_kafka_metadata *answer;
	struct instant asked = clock_now();
	if (!make_handle(w))
		return;
	rd_kafka_resp_err_t code =
		rd_kafka_metadata(w->handle, 0, NULL, &answer, (int)(slice(w) * 1000));
	rd_kafka_poll(w->handle, 0); /* calls on_error() */
	if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
		note_failure(w, code, asked);
		return;
	}
	rd_kafka_metadata_destroy(answer);
	w->trouble[0] = '\0';
	note_up(w);
}

/* Query a leader that did not answer, on behalf of the workers. */
static void ask_lost(struct watch *w)
{
	struct broker_trouble lost;
	if (w->handle != NULL && bus_lost_broker(w->bus, &lost) &&
		ask_leader(w->handle, lost.topic, lost.partition, (int)(SLICE_MAX_S * 1000)))
		bus_broker_works(w->bus, lost.id);
}

/* Under the lock: bursts were given up, and since then there was none. */
static bool is_forgotten(struct bus *bus, struct instant now)
{
	return bus->open_bursts == 0 && bus->has_failed &&
	       instant_seconds(bus->last_burst_end, now) > FORGET_S + bus->config->timeout;
}

/* Under the lock: whether nothing has been stored for longer than the time of a burst, although
 * something was sent. */
static bool is_storing_nothing(struct bus *bus, struct instant now, double limit)
{
	if (atomic_exchange(&bus->has_stored, false) || is_forgotten(bus, now)) {
		bus->silent_since = now;
		bus->has_failed = false;
	}
	return bus->is_up && bus->has_failed && instant_seconds(bus->silent_since, now) >= limit;
}

static void look_at_bursts(struct watch *w)
{
	struct bus *bus = w->bus;
	char reason[BUS_REASON_MAX];
	struct instant now = clock_now();
	/* If messages to some topics are stored and to others not, the models report it. */
	double limit = bus->config->timeout * (instant_before(now, w->calm) ? CALM_FACTOR : 1);
	pthread_mutex_lock(&bus->lock);
	bool was = bus->is_storing_nothing;
	bool is = is_storing_nothing(bus, now, was ? bus->config->timeout : limit);
	bus->is_storing_nothing = is;
	snprintf(reason, sizeof reason, "%s", bus->lateness);
	pthread_mutex_unlock(&bus->lock);
	if (is)
		tell(w, "the broker answers, but stores nothing", reason);
	if (!was || is || w->told[0] == '\0')
		return;
	w->calm = instant_after(now, CALM_S);
	if (bus_is_up(bus))
		tell_end(w, "the broker stores messages");
	else
		w->told[0] = '\0';
}

/* Wait until the next query. */
static void await_doubt(struct watch *w)
{
	struct bus *bus = w->bus;
	double pause = w->is_failing || w->handle == NULL ? AGAIN_S : IDLE_S;
	struct instant next = instant_after(clock_now(), pause);
	struct timespec until = instant_timespec(next);
	pthread_mutex_lock(&bus->lock);
	while (!atomic_load(&bus->leaving) && (w->is_failing || !bus->in_doubt) &&
		instant_before(clock_now(), next))
		pthread_cond_timedwait(&bus->doubtful, &bus->lock, &until);
	bus->in_doubt = false;
	pthread_mutex_unlock(&bus->lock);
}

static void *watch(void *arg)
{
	struct bus *bus = arg;
	struct watch w = { .bus = bus, .slice = SLICE_S, .down_since = clock_now() };
	while (!atomic_load(&bus->leaving)) {
		ask(&w);
		ask_lost(&w);
		look_at_bursts(&w);
		await_doubt(&w);
	}
	if (w.handle != NULL)
		rd_kafka_destroy(w.handle);
	return NULL;
}

void bus_watch(struct bus *bus)
{
	if (pthread_create(&bus->watch, NULL, watch, bus) != 0)
		abort();
	bus->is_watched = true;
}

void bus_end_watch(struct bus *bus)
{
	if (!bus->is_watched)
		return;
	bus_doubt(bus);
	pthread_join(bus->watch, NULL);
}

bool bus_is_up(struct bus *bus)
{
	return bus_await_up(bus, clock_now());
}

bool bus_await_up(struct bus *bus, struct instant deadline)
{
	struct timespec until = instant_timespec(deadline);
	pthread_mutex_lock(&bus->lock);
	while (!bus->is_up && instant_before(clock_now(), deadline))
		pthread_cond_timedwait(&bus->changed, &bus->lock, &until);
	bool is_up = bus->is_up;
	pthread_mutex_unlock(&bus->lock);
	return is_up;
}

void bus_view(struct bus *bus, char *reason, size_t size)
{
	pthread_mutex_lock(&bus->lock);
	if (bus->is_up && bus->is_storing_nothing)
		snprintf(reason, size, "kafka: the broker answers, but stores nothing: %s",
			bus->lateness);
	else if (bus->is_up)
		reason[0] = '\0';
	else if (bus->silence[0] == '\0')
		snprintf(reason, size, "kafka: the broker has not answered yet");
	else
		snprintf(reason, size, "kafka: the broker does not answer: %s", bus->silence);
	pthread_mutex_unlock(&bus->lock);
}
