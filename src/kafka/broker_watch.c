/*
 * The watch: a thread of the broker that queries the cluster, over its own connection, and checks
 * whether any of the sent messages are stored.
 *
 * An idle broker may close connections (connections.max.idle.ms), and a leader may change: so a
 * single query without an answer means nothing yet.
 */
#include "base/log.h"
#include "base/outage.h"
#include "base/thread.h"
#include "kafka/ask.h"
#include "kafka/broker_internal.h"
#include "kafka/producer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IDLE_S      2.0 /* between queries while there is no doubt */
#define AGAIN_S     0.1 /* … and while there is no answer */
#define REFUSED_S   0.5 /* no connection can be made for this long: no broker is there … */
#define UNREACHED_S 2.0 /* … even without a reason; librdkafka may pause for a second */
#define SLICE_S     0.5 /* initial time-out of a query, … */
#define SLICE_MAX_S 2.0 /* … and its maximum; a stop waits for its end */
#define STALE_S     60.0
#define CALM_S      60.0
#define CALM_FACTOR 3
#define FORGET_S    15.0 /* no burst for this long: nothing waits for the broker any more */

/* The watch's own. */
struct watch {
	struct broker *broker;
	rd_kafka_t *handle; /* a consumer, which never reads; NULL: it could not be created yet */
	struct producer_events events;
	struct trouble trouble;
	double slice;
	bool has_new_files;           /* the handle has certificates that producers lack */
	bool is_failing;              /* the last query had no answer … */
	struct instant failing_since; /* … nor one since then */
	struct instant down_since;    /* or since the producers were replaced for that reason */
	struct outage outage;         /* as logged */
	struct outage files;          /* new ones that do not work, as logged */
	struct instant calm; /* until then a short silence is not news: there was one before */
};

static void on_error(rd_kafka_t *handle, int code, const char *reason, void *arg)
{
	(void)handle;
	struct watch *w = arg;
	trouble_note(&w->trouble, code, reason);
}

static void tell(struct watch *w, const char *what, const char *reason)
{
	char text[BROKER_REASON_MAX];
	snprintf(text, sizeof text, "%s: %s", what, reason);
	if (outage_note(&w->outage, text, clock_now()))
		log_warning("kafka: %s: %s; waiting for it", what, reason);
}

/* It is over. */
static void tell_end(struct watch *w, const char *what)
{
	log_warning("kafka: %s again, after %.0f s", what, outage_end(&w->outage, clock_now()));
}

static void note_up(struct watch *w)
{
	struct broker *broker = w->broker;
	w->is_failing = false;
	w->slice = SLICE_S;
	pthread_mutex_lock(&broker->lock);
	bool news = !broker->is_up;
	broker->is_up = true;
	broker->silence[0] = '\0';
	if (news) {
		broker->silent_since = clock_now();
		pthread_cond_broadcast(&broker->up);
	}
	pthread_mutex_unlock(&broker->lock);
	if (!news)
		return;
	if (outage_lasts(&w->outage))
		tell_end(w, "the broker answers");
	else
		log_info("kafka: the broker answers");
}

static void note_down(struct watch *w, const char *reason)
{
	struct broker *broker = w->broker;
	struct instant now = clock_now();
	pthread_mutex_lock(&broker->lock);
	if (broker->is_up)
		w->down_since = w->outage.next = now; /* worse than storing nothing */
	broker->is_up = false;
	broker->is_storing_nothing = false;
	snprintf(broker->silence, sizeof broker->silence, "%s", reason);
	pthread_mutex_unlock(&broker->lock);
	tell(w, "the broker does not answer", reason);
	if (instant_seconds(w->down_since, now) > STALE_S) {
		/* uncovered: takes a minute; make check-faults */
		w->down_since = now;
		atomic_fetch_add(&broker->generation, 1); /* each lane replaces its producer */
	}
}

/* How long the broker has owed an answer: to the query, or to messages. */
static double owed(const struct watch *w, struct instant now)
{
	struct broker *broker = w->broker;
	struct instant since = w->failing_since;
	pthread_mutex_lock(&broker->lock);
	if (broker->has_failed)
		since = instant_earlier(since, broker->silent_since);
	pthread_mutex_unlock(&broker->lock);
	return instant_seconds(since, now);
}

/* How long to wait for the next answer: so that a missing one is detected in time. */
static double slice(const struct watch *w)
{
	double left = w->is_failing ? w->broker->config->timeout - owed(w, clock_now()) : INFINITY;
	return left > 0 ? fmax(fmin(w->slice, left), AGAIN_S) : w->slice;
}

/* There was no answer.  A connection that is established, but slow, has as much time as a burst. */
static void note_failure(struct watch *w, rd_kafka_resp_err_t code, struct instant asked)
{
	double timeout = w->broker->config->timeout;
	char reason[128];
	struct instant now = clock_now();
	if (!w->is_failing)
		w->failing_since = asked;
	w->is_failing = true;
	w->slice = fmin(2 * w->slice, SLICE_MAX_S);
	if (code == RD_KAFKA_RESP_ERR__TIMED_OUT && !w->trouble.is_refusal) {
		snprintf(reason, sizeof reason,
			"it accepts connections, but has not answered for %g s", timeout);
		if (owed(w, now) >= timeout)
			note_down(w, reason);
		return;
	}
	double limit = fmin(w->trouble.text[0] != '\0' ? REFUSED_S : UNREACHED_S, timeout);
	if (instant_seconds(w->failing_since, now) >= limit)
		note_down(w, w->trouble.text[0] != '\0' ? w->trouble.text : reason_of_code(code));
}

static bool make_handle(struct watch *w)
{
	struct error e;
	if (w->handle == NULL)
		w->handle = producer_make_consumer(w->broker->config, &w->events, &e);
	if (w->handle == NULL)
		/* uncovered: no descriptor or thread is left; make failing-calls */
		note_down(w, e.text);
	return w->handle != NULL;
}

static void drop_handle(struct watch *w)
{
	rd_kafka_destroy(w->handle);
	w->handle = NULL;
}

/* The next handle reads the credentials again; this one would log in again and again. */
static void drop_refused(struct watch *w)
{
	if (w->events.login.is_refused)
		drop_handle(w);
}

static void on_trial_error(rd_kafka_t *handle, int code, const char *reason, void *arg)
{
	(void)handle;
	trouble_note(arg, code, reason);
}

/* Whether the broker answers another handle, which reads the files again. */
static bool accepts_files(struct watch *w, struct trouble *trouble)
{
	struct error e;
	const struct rd_kafka_metadata *answer;
	struct producer_events events = { .error = on_trial_error, .arg = trouble };
	rd_kafka_t *handle = producer_make_consumer(w->broker->config, &events, &e);
	if (handle == NULL) {
		snprintf(trouble->text, sizeof trouble->text, "%.511s", e.text);
		return false;
	}
	rd_kafka_resp_err_t code =
		rd_kafka_metadata(handle, 0, NULL, &answer, (int)(SLICE_MAX_S * 1000));
	rd_kafka_poll(handle, 0); /* calls on_trial_error() */
	if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
		rd_kafka_metadata_destroy(answer);
	else if (trouble->text[0] == '\0')
		snprintf(trouble->text, sizeof trouble->text, "%s", reason_of_code(code));
	rd_kafka_destroy(handle);
	return code == RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* If certificates or keys were replaced, and the broker accepts them, drop the handle, which has
 * the earlier ones.  Producers follow the next one. */
static void drop_outdated(struct watch *w)
{
	struct trouble trouble = { 0 };
	if (w->handle == NULL || !login_is_outdated(&w->events.login))
		return;
	if (accepts_files(w, &trouble)) {
		drop_handle(w);
		w->has_new_files = true;
	} else if (outage_note(&w->files, trouble.text, clock_now())) {
		log_warning("kafka: certificates or keys were replaced, but do not work, so those "
			    "that were read before stay in use: %s",
			trouble.text);
	}
}

static void renew_producers(struct watch *w)
{
	if (w->has_new_files) {
		log_info("kafka: certificates or keys were replaced; producers use the new ones");
		atomic_fetch_add(&w->broker->generation, 1);
	}
	w->has_new_files = false;
	outage_end(&w->files, clock_now());
}

static void note_accepted(struct watch *w)
{
	const struct config *config = w->broker->config;
	credentials_accepted(config->kafka_secrets);
	if (config->tokens != NULL)
		credentials_accepted(config->tokens);
	w->events.login.is_refused = false;
}

static void ask(struct watch *w)
{
	const struct rd_kafka_metadata *answer;
	struct instant asked = clock_now();
	drop_outdated(w);
	if (!make_handle(w))
		return;
	rd_kafka_resp_err_t code =
		rd_kafka_metadata(w->handle, 0, NULL, &answer, (int)(slice(w) * 1000));
	rd_kafka_poll(w->handle, 0); /* calls on_error() */
	if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
		note_failure(w, code, asked);
		drop_refused(w);
		return;
	}
	rd_kafka_metadata_destroy(answer);
	note_accepted(w);
	renew_producers(w);
	w->trouble = (struct trouble){ 0 };
	note_up(w);
}

/* Query a leader that did not answer, on behalf of the workers. */
static void ask_lost(struct watch *w)
{
	struct node_trouble lost;
	if (w->handle != NULL && broker_lost_node(w->broker, &lost) &&
		ask_leader(w->handle, lost.topic, lost.partition, (int)(SLICE_MAX_S * 1000)))
		broker_node_works(w->broker, lost.id);
}

/* Under the lock: bursts were given up, and since then there was none. */
static bool is_forgotten(struct broker *broker, struct instant now)
{
	return broker->open_bursts == 0 && broker->has_failed &&
	       instant_seconds(broker->last_burst_end, now) > FORGET_S + broker->config->timeout;
}

/* Under the lock: whether nothing has been stored for longer than the time of a burst, although
 * something was sent. */
static bool is_storing_nothing(struct broker *broker, struct instant now, double limit)
{
	if (atomic_exchange(&broker->has_stored, false) || is_forgotten(broker, now)) {
		broker->silent_since = now;
		broker->has_failed = false;
	}
	return broker->is_up && broker->has_failed &&
	       instant_seconds(broker->silent_since, now) >= limit;
}

static void look_at_bursts(struct watch *w)
{
	struct broker *broker = w->broker;
	char reason[BROKER_REASON_MAX];
	struct instant now = clock_now();
	/* If messages to some topics are stored and to others not, the models report it. */
	double limit = broker->config->timeout * (instant_before(now, w->calm) ? CALM_FACTOR : 1);
	pthread_mutex_lock(&broker->lock);
	bool was = broker->is_storing_nothing;
	bool is = is_storing_nothing(broker, now, was ? broker->config->timeout : limit);
	broker->is_storing_nothing = is;
	snprintf(reason, sizeof reason, "%s", broker->lateness);
	pthread_mutex_unlock(&broker->lock);
	if (is)
		tell(w, "the broker answers, but stores nothing", reason);
	if (!was || is || !outage_lasts(&w->outage))
		return;
	w->calm = instant_after(now, CALM_S);
	if (broker_is_up(broker))
		tell_end(w, "the broker stores messages");
	else
		outage_end(&w->outage, now);
}

/* Wait until the next query. */
static void await_doubt(struct watch *w)
{
	struct broker *broker = w->broker;
	double pause = w->is_failing || w->handle == NULL ? AGAIN_S : IDLE_S;
	struct instant next = instant_after(clock_now(), pause);
	struct timespec until = instant_timespec(next);
	pthread_mutex_lock(&broker->lock);
	while (!atomic_load(&broker->leaving) && (w->is_failing || !broker->in_doubt) &&
		instant_before(clock_now(), next))
		pthread_cond_timedwait(&broker->doubtful, &broker->lock, &until);
	broker->in_doubt = false;
	pthread_mutex_unlock(&broker->lock);
}

static void *watch(void *arg)
{
	struct broker *broker = arg;
	struct watch w = { .broker = broker, .slice = SLICE_S, .down_since = clock_now() };
	w.events.error = on_error;
	w.events.arg = &w;
	w.events.login.reports = true;
	while (!atomic_load(&broker->leaving)) {
		ask(&w);
		broker_poll_idle_lanes(broker);
		if (!w.is_failing)
			broker_try_lanes(broker);
		ask_lost(&w);
		look_at_bursts(&w);
		await_doubt(&w);
	}
	if (w.handle != NULL)
		rd_kafka_destroy(w.handle);
	return NULL;
}

void broker_watch(struct broker *broker)
{
	thread_start(&broker->watch, watch, broker, "the watch of the broker");
	broker->is_watched = true;
}

void broker_end_watch(struct broker *broker)
{
	if (!broker->is_watched)
		return;
	atomic_store(&broker->leaving, true);
	broker_doubt(broker);
	pthread_join(broker->watch, NULL);
}
