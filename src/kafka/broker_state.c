/*
 * What is known of the broker: whether it answers, and whether it stores what is sent.
 */
#include "base/log.h"
#include "kafka/broker_internal.h"

#include <stdio.h>
#include <string.h>

void broker_doubt(struct broker *broker)
{
	pthread_mutex_lock(&broker->lock);
	broker->in_doubt = true;
	pthread_cond_broadcast(&broker->doubtful);
	pthread_mutex_unlock(&broker->lock);
}

#define TRIAL_S         1.0 /* between the first trials of a lane; then it doubles … */
#define TRIAL_DOUBLINGS 6   /* … this many times */

void broker_note_begin(struct broker *broker)
{
	pthread_mutex_lock(&broker->lock);
	if (broker->open_bursts++ == 0 && !broker->has_failed)
		broker->silent_since = clock_now();
	pthread_mutex_unlock(&broker->lock);
}

/* Under the lock: a burst that stored nothing puts its lane in doubt if others stored something
 * meanwhile. */
static void note_fitness(struct broker *broker, const struct burst_end *end)
{
	struct fitness *lane = end->lane;
	if (end->has_stored) {
		broker->stored_at = broker->last_burst_end;
		lane->has_stored = true;
		atomic_store(&lane->is_proven, true);
	} else if (end->late != NULL && !instant_before(broker->stored_at, end->begun)) {
		atomic_store(&lane->is_proven, false);
		lane->next_trial = broker->last_burst_end;
	}
}

void broker_note_end(struct broker *broker, const struct burst_end *end)
{
	const char *late = end->late;
	pthread_mutex_lock(&broker->lock);
	broker->open_bursts--;
	broker->last_burst_end = clock_now();
	note_fitness(broker, end);
	if (late == NULL) {
		broker->unanswered[0] = '\0';
	} else {
		broker->has_failed = true;
		snprintf(broker->lateness, sizeof broker->lateness, "%s", late);
	}
	pthread_mutex_unlock(&broker->lock);
	if (late != NULL)
		broker_doubt(broker);
}

bool broker_note_fatal(struct broker *broker, const char *text)
{
	pthread_mutex_lock(&broker->lock);
	bool is_news = strcmp(broker->fatal, text) != 0;
	snprintf(broker->fatal, sizeof broker->fatal, "%s", text);
	pthread_mutex_unlock(&broker->lock);
	return is_news;
}

void broker_forget_fatal(struct broker *broker)
{
	broker_note_fatal(broker, "");
}

bool broker_trial_is_due(struct broker *broker, const struct fitness *lane)
{
	pthread_mutex_lock(&broker->lock);
	bool is_due = (lane->failures == 0 || !broker->is_watched) &&
		      !instant_before(clock_now(), lane->next_trial);
	pthread_mutex_unlock(&broker->lock);
	return is_due;
}

void broker_note_fit(struct broker *broker, struct fitness *lane)
{
	pthread_mutex_lock(&broker->lock);
	bool is_news = lane->failures > 0 && --broker->unfit == 0;
	struct instant since = broker->unfit_since;
	lane->failures = 0;
	atomic_store(&lane->is_proven, true);
	pthread_mutex_unlock(&broker->lock);
	if (is_news)
		log_warning("kafka: the producers of all workers reach the broker again, after "
			    "%.0f s",
			instant_seconds(since, clock_now()));
}

/* Under the lock: what happened to a node last says more than why. */
static const char *last_trouble(const struct broker *broker, const char *why)
{
	struct instant last = { 0 };
	for (size_t i = 0; i < broker->node_count; i++)
		if (instant_before(last, broker->nodes[i].at)) {
			last = broker->nodes[i].at;
			why = broker->nodes[i].trouble.text;
		}
	return why;
}

void broker_note_unfit(struct broker *broker, struct fitness *lane, const char *why)
{
	char reason[512];
	struct instant now = clock_now();
	pthread_mutex_lock(&broker->lock);
	unsigned doublings = lane->failures < TRIAL_DOUBLINGS ? lane->failures : TRIAL_DOUBLINGS;
	lane->next_trial = instant_after(now, TRIAL_S * (1U << doublings));
	bool is_news = lane->failures++ == 0 && broker->unfit++ == 0;
	if (is_news)
		broker->unfit_since = now;
	snprintf(reason, sizeof reason, "%s", last_trouble(broker, why));
	pthread_mutex_unlock(&broker->lock);
	if (is_news)
		log_warning("kafka: the producers of some workers cannot reach the broker: %s; "
			    "these workers use those of others",
			reason);
}

void broker_note_answer(struct broker *broker, const char *why, struct instant begun)
{
	pthread_mutex_lock(&broker->lock);
	if (why[0] != '\0' && !instant_before(broker->stored_at, begun))
		why = "";
	snprintf(broker->unanswered, sizeof broker->unanswered, "%s",
		why[0] != '\0' ? last_trouble(broker, why) : "");
	pthread_mutex_unlock(&broker->lock);
}

void broker_why_unanswered(struct broker *broker, char *text, size_t size)
{
	pthread_mutex_lock(&broker->lock);
	snprintf(text, size, "%s", broker->unanswered);
	pthread_mutex_unlock(&broker->lock);
}

bool broker_is_answered(struct broker *broker)
{
	char text[sizeof broker->unanswered];
	broker_why_unanswered(broker, text, sizeof text);
	return text[0] == '\0';
}

bool broker_is_up(struct broker *broker)
{
	return broker_await_up(broker, clock_now());
}

bool broker_await_up(struct broker *broker, struct instant deadline)
{
	struct timespec until = instant_timespec(deadline);
	pthread_mutex_lock(&broker->lock);
	while (!broker->is_up && instant_before(clock_now(), deadline))
		pthread_cond_timedwait(&broker->up, &broker->lock, &until);
	bool is_up = broker->is_up;
	pthread_mutex_unlock(&broker->lock);
	return is_up;
}

void broker_view(struct broker *broker, char *reason, size_t size)
{
	pthread_mutex_lock(&broker->lock);
	if (broker->is_up && broker->is_storing_nothing)
		snprintf(reason, size, "kafka: the broker answers, but stores nothing: %s",
			broker->lateness);
	else if (broker->is_up)
		reason[0] = '\0';
	else if (broker->silence[0] == '\0')
		snprintf(reason, size, "kafka: the broker has not answered yet");
	else
		snprintf(reason, size, "kafka: the broker does not answer: %s", broker->silence);
	pthread_mutex_unlock(&broker->lock);
}
