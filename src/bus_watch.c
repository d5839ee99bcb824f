#include "bus_own.h"
#include "bus_producer.h"
#include "log.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PROBE_INTERVAL_S 0.2
#define STALE_AFTER_S    60.0

/* Make the reporter look around now. */
void bus_wake(struct bus *bus)
{
	const uint64_t one = 1;
	if (write(bus->wake_fd, &one, sizeof one) < 0)
		abort(); /* an eventfd takes far more ones than it gets */
}

static bool must_probe(struct bus *bus)
{
	pthread_mutex_lock(&bus->lock);
	bool must = bus->watching && (atomic_load(&bus->in_doubt) || !bus->is_up);
	pthread_mutex_unlock(&bus->lock);
	return must && !instant_before(clock_now(), bus->next_probe);
}

/* Under the lock: note whether the broker answers, and tell people when that has changed. */
static void note_probe(struct bus *bus, bool is_up, const char *reason)
{
	if (bus->trouble[0] != '\0')
		reason = bus->trouble;
	snprintf(bus->silence, sizeof bus->silence, "%s", is_up ? "" : reason);
	if (is_up && !bus->is_up)
		log_info("kafka: the broker answers");
	else if (!is_up && (bus->is_up || bus->failed_probes == 0))
		log_warning("kafka: the broker does not answer: %s; waiting for it", reason);
	bus->is_up = is_up;
	if (is_up)
		pthread_cond_broadcast(&bus->changed);
}

/* Under the lock: have a bus that belongs to the main one do the same, by its own reporter. */
/* uncovered: takes a minute; make check-faults */
static void replace_other(struct bus *other)
{
	if (other == NULL)
		return;
	atomic_store(&other->is_broken, true);
	bus_wake(other);
}

/* uncovered: the same */
static void replace_others(struct bus *bus)
{
	pthread_mutex_lock(&bus->lock);
	for (size_t i = 0; i < bus->config->model_count; i++)
		replace_other(bus->ordered[i]);
	replace_other(bus->alone);
	replace_other(bus->second_lane);
	pthread_mutex_unlock(&bus->lock);
}

static void probe(struct bus *bus)
{
	struct error e;
	atomic_store(&bus->in_doubt, false); /* what makes for doubt from now on is not answered */
	bool is_up = bus->producer != NULL && producer_probe(bus->producer, &e);
	struct instant now = clock_now();
	pthread_mutex_lock(&bus->lock);
	if (!is_up && bus->is_up)
		bus->down_since = now;
	note_probe(bus, is_up, bus->producer != NULL ? e.text : "there is no producer");
	pthread_mutex_unlock(&bus->lock);
	bus->failed_probes = is_up ? 0 : bus->failed_probes + 1;
	bus->next_probe = instant_after(now, is_up ? 0 : PROBE_INTERVAL_S);
	if (!is_up && instant_seconds(bus->down_since, now) > STALE_AFTER_S) {
		/* uncovered: takes a minute; make check-faults */
		bus->down_since = now;
		bus_replace_producer(bus);
		replace_others(bus);
	}
}

void bus_probe(struct bus *bus)
{
	if (must_probe(bus))
		probe(bus);
}

void bus_watch(struct bus *bus)
{
	pthread_mutex_lock(&bus->lock);
	bus->watching = true;
	bus->down_since = clock_now();
	pthread_mutex_unlock(&bus->lock);
	bus_wake(bus);
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
	if (bus->is_up)
		reason[0] = '\0';
	else if (bus->silence[0] == '\0')
		snprintf(reason, size, "kafka: the broker has not answered yet");
	else
		snprintf(reason, size, "kafka: the broker does not answer: %s", bus->silence);
	pthread_mutex_unlock(&bus->lock);
}
