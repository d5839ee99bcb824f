#include "daemon/pauses.h"

#include "log_doubles.h"

#include "suite.h"

#include <stdio.h>

enum { MODELS = 2 };

struct store {
	bool is_lost;
};
static struct store store;

/* The clock, what is in the database, and what is tested. */
static struct {
	int64_t now_ns;
	struct model_config models[MODELS];
	struct config config;
	struct pauses *pauses;
	/* The script: */
	struct pause found[MODELS];
	enum error_kind error;
	void (*meanwhile)(void); /* once, while the database is read */
	/* What happened: */
	unsigned reads, wakes;
	bool in_queue[MODELS], in_status[MODELS], in_metrics[MODELS];
} world;

struct instant scripted_clock_now(void);
struct instant scripted_clock_now(void)
{
	return (struct instant){ world.now_ns };
}

bool store_pauses(struct store *s, struct pause *pauses, struct error *e)
{
	void (*meanwhile)(void) = world.meanwhile;
	ck_assert_ptr_eq(s, &store);
	world.reads++;
	for (size_t i = 0; i < MODELS; i++)
		pauses[i] = world.found[i];
	world.meanwhile = NULL;
	if (meanwhile != NULL)
		meanwhile();
	return world.error == ERROR_NONE || error_set(e, world.error, "no");
}

bool store_connected(const struct store *s)
{
	return !s->is_lost;
}

void queue_pause(struct run_queue *q, size_t model, bool is_paused)
{
	(void)q;
	world.in_queue[model] = is_paused;
}

void queue_wake(struct run_queue *q)
{
	(void)q;
	world.wakes++;
}

void status_pause(struct model_status *s, size_t model, bool is_paused)
{
	(void)s;
	world.in_status[model] = is_paused;
}

void metrics_pause(struct metrics *m, size_t model, bool is_paused)
{
	(void)m;
	world.in_metrics[model] = is_paused;
}

static void begin(void)
{
	world.now_ns = INT64_C(1000000000000);
	world.models[0].name = "A";
	world.models[1].name = "B";
	world.config = (struct config){
		.models = world.models, .model_count = MODELS, .poll_interval = 10
	};
	world.pauses = pauses_new(&world.config, NULL, NULL, NULL);
}

static void pass(double seconds)
{
	world.now_ns += (int64_t)(seconds * 1e9);
}

/* Whether models may be served then; reads is how often it was read until now. */
static bool look(unsigned reads)
{
	bool may_serve = pauses_look(world.pauses, &store);
	ck_assert_uint_eq(world.reads, reads);
	return may_serve;
}

static void set(size_t model, bool is_paused, const char *by)
{
	world.found[model].is_paused = is_paused;
	snprintf(world.found[model].by, sizeof world.found[model].by, "%s", by);
}

static void check_paused(bool a, bool b)
{
	const bool expected[MODELS] = { a, b };
	for (size_t i = 0; i < MODELS; i++) {
		ck_assert(world.in_queue[i] == expected[i]);
		ck_assert(world.in_status[i] == expected[i]);
		ck_assert(world.in_metrics[i] == expected[i]);
	}
}

START_TEST(it_is_read_in_its_time_and_when_it_is_announced)
{
	begin();
	set(1, true, "him");
	ck_assert(look(1));
	check_paused(false, true);
	check_logged("warning: model \"B\": paused by him\n");
	ck_assert(look(1));
	pass(9.5);
	ck_assert(look(1));
	pass(0.5);
	ck_assert(look(2));
	set(0, true, "her");
	set(1, false, "her");
	ck_assert(look(2));
	pauses_announce(world.pauses);
	ck_assert_uint_eq(world.wakes, 1);
	ck_assert(look(3));
	check_paused(true, false);
	check_logged("warning: model \"B\": paused by him\n"
		     "warning: model \"A\": paused by her\n"
		     "warning: model \"B\": resumed by her\n");
	ck_assert(look(3));
	pauses_free(world.pauses);
}
END_TEST

/* The third look finds that A is paused, after one error that was logged. */
static void end_after_errors(void)
{
	world.error = ERROR_NONE;
	ck_assert(look(3));
	check_paused(true, false);
	check_logged("warning: cannot read which models are paused: no\n"
		     "warning: it can be read again which models are paused\n"
		     "warning: model \"A\": paused by him\n");
	pauses_free(world.pauses);
}

/* Until it is known nothing is sent, unless it cannot be known. */
START_TEST(nothing_is_sent_before_it_is_known)
{
	begin();
	set(0, true, "him");
	world.error = ERROR_TEMPORARY;
	ck_assert(!look(1));
	world.error = ERROR_CONNECTION;
	store.is_lost = true;
	ck_assert(!look(2));
	store.is_lost = false;
	end_after_errors();
}
END_TEST

/* An error that is no longer there at the next look, such as a table that is dropped meanwhile,
 * must not have a paused model sent. */
START_TEST(an_error_is_believed_if_it_lasts)
{
	begin();
	set(0, true, "him");
	world.error = _i == 0 ? ERROR_DATABASE : ERROR_CONFLICT;
	ck_assert(!look(1));
	pass(2.9);
	ck_assert(!look(2));
	if (_i == 0) {
		pass(0.1);
		ck_assert(look(3));
		check_paused(false, false);
		ck_assert(look(3));
		pass(0.5); /* not the poll interval */
		world.reads = 2;
	}
	end_after_errors();
}
END_TEST

START_TEST(what_cannot_be_read_stays_as_it_was)
{
	begin();
	if (_i == 1) {
		set(0, true, "him");
		ck_assert(look(1));
	}
	world.reads = 1;
	world.error = ERROR_DATABASE;
	pass(10);
	ck_assert(look(2) == (_i == 1));
	check_logged(_i == 1 ? "warning: model \"A\": paused by him\n"
			       "warning: cannot read which models are paused: no\n"
			     : "warning: cannot read which models are paused: no\n");
	check_paused(_i == 1, false);
	pass(10);
	ck_assert(look(3));
	ck_assert(look(3));
	pauses_announce(world.pauses);
	store.is_lost = true; /* then another worker reads it */
	ck_assert(look(4));
	store.is_lost = false;
	world.error = ERROR_NONE;
	ck_assert(look(5));
	pauses_free(world.pauses);
}
END_TEST

static void read_by_another(void)
{
	set(0, true, "him");
	pauses_announce(world.pauses);
	ck_assert(pauses_look(world.pauses, &store));
}

/* The other worker began later, so it knows better. */
START_TEST(the_last_look_counts)
{
	begin();
	world.meanwhile = read_by_another;
	ck_assert(look(2));
	check_paused(true, false);
	pauses_free(world.pauses);
}
END_TEST

int main(void)
{
	const struct test tests[] = {
		{ it_is_read_in_its_time_and_when_it_is_announced, 1, 0 },
		{ nothing_is_sent_before_it_is_known, 1, 0 },
		{ an_error_is_believed_if_it_lasts, 2, 0 },
		{ what_cannot_be_read_stays_as_it_was, 2, 0 },
		{ the_last_look_counts, 1, 0 },
	};
	return suite_run("pauses", tests, COUNT(tests));
}
