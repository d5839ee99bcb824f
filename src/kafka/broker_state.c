/*
 * What is known of the broker: whether it answers, and whether it stores what is sent.
 */
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

void broker_note_begin(struct broker *broker)
{
	pthread_mutex_lock(&broker->lock);
	if (broker->open_bursts++ == 0 && !broker->has_failed)
		broker->silent_since = clock_now();
	pthread_mutex_unlock(&broker->lock);
}

void broker_note_end(struct broker *broker, const char *late)
{
	pthread_mutex_lock(&broker->lock);
	broker->open_bursts--;
	broker->last_burst_end = clock_now();
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

void broker_note_answer(struct broker *broker, const char *why)
{
	struct instant last = { 0 };
	pthread_mutex_lock(&broker->lock);
	for (size_t i = 0; why[0] != '\0' && i < broker->node_count; i++)
		if (instant_before(last, broker->nodes[i].at)) {
			last = broker->nodes[i].at;
			why = broker->nodes[i].text;
		}
	snprintf(broker->unanswered, sizeof broker->unanswered, "%s", why);
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
