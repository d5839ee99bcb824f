#include "daemon/run_queue.h"

#include "suite.h"

#include <errno.h>
#include <pthread.h>

#define POLL_S 2.0

enum { MODELS = 3, WORKERS = 2, WAITS_MAX = 100 };

/* The clock, and what is tested.  Who waits in it sleeps until another worker wakes it, which is
 * what happens meanwhile, or until its time is up. */
static struct {
	struct instant now;
	struct run_queue *queue;
	/* The script: */
	void (*meanwhile)(void); /* once … */
	double meanwhile_at;     /* … this many seconds after the start */
	bool is_real;            /* time passes by itself */
	/* What happened: */
	bool is_woken;
	unsigned waits;
	size_t model;
	enum queue_reason reason;
} world;

static struct instant at(double seconds)
{
	return instant_after((struct instant){ INT64_C(1000000000000) }, seconds);
}

struct instant __real_clock_now(void); /* NOLINT: the linker's name */
int __real_pthread_cond_timedwait(     /* NOLINT */
	pthread_cond_t *cond, pthread_mutex_t *lock, const struct timespec *until);
int __real_pthread_cond_broadcast(pthread_cond_t *cond); /* NOLINT */

struct instant scripted_clock_now(void);
struct instant scripted_clock_now(void)
{
	return world.is_real ? __real_clock_now() : world.now;
}

int scripted_pthread_cond_broadcast(pthread_cond_t *cond);
int scripted_pthread_cond_broadcast(pthread_cond_t *cond)
{
	world.is_woken = true;
	return __real_pthread_cond_broadcast(cond);
}

static void let_others_run(struct instant until, pthread_mutex_t *lock)
{
	void (*meanwhile)(void) = world.meanwhile;
	if (meanwhile == NULL || instant_before(until, at(world.meanwhile_at)))
		return;
	world.meanwhile = NULL;
	world.now = at(world.meanwhile_at);
	pthread_mutex_unlock(lock);
	meanwhile();
	pthread_mutex_lock(lock);
}

int scripted_pthread_cond_timedwait(
	pthread_cond_t *cond, pthread_mutex_t *lock, const struct timespec *until);
int scripted_pthread_cond_timedwait(
	pthread_cond_t *cond, pthread_mutex_t *lock, const struct timespec *until)
{
	const struct instant end = { until->tv_sec * INT64_C(1000000000) + until->tv_nsec };
	ck_assert_uint_lt(world.waits++, WAITS_MAX);
	if (world.is_real)
		return __real_pthread_cond_timedwait(cond, lock, until);
	world.is_woken = false;
	let_others_run(end, lock);
	if (world.is_woken)
		return 0;
	ck_assert(instant_before(world.now, end));
	world.now = end;
	return ETIMEDOUT;
}

static void begin(void)
{
	world.now = at(0);
	world.queue = queue_new(MODELS, WORKERS, POLL_S);
}

static void end(void)
{
	queue_free(world.queue);
}

static bool take(unsigned worker, double deadline)
{
	return queue_take(world.queue, worker, at(deadline), &world.model, &world.reason);
}

/* The worker gets the model at once. */
static void check_taken(unsigned worker, size_t model, enum queue_reason reason)
{
	struct instant before = world.now;
	ck_assert(take(worker, 1e6));
	ck_assert_uint_eq(world.model, model);
	ck_assert_int_eq(world.reason, reason);
	ck_assert_int_eq(world.now.ns, before.ns);
}

/* The worker gets nothing until then, and sleeps meanwhile. */
static void check_nothing(unsigned worker, double until)
{
	unsigned before = world.waits;
	ck_assert(!take(worker, until));
	ck_assert_int_eq(world.now.ns, at(until).ns);
	ck_assert_uint_le(world.waits, before + 1);
}

static void check_due_at(double seconds, size_t model, enum queue_reason reason)
{
	ck_assert(take(0, 1e6));
	ck_assert_int_eq(world.now.ns, at(seconds).ns);
	ck_assert_uint_eq(world.model, model);
	ck_assert_int_eq(world.reason, reason);
}

static void done(size_t model, enum queue_outcome outcome, double delay)
{
	queue_done(world.queue, model, outcome, delay);
}

/* All were polled at the start, and are empty. */
static void begin_empty(void)
{
	begin();
	for (size_t i = 0; i < MODELS; i++) {
		check_taken(0, i, QUEUE_TIME);
		done(i, QUEUE_EMPTIED, 0);
	}
}

START_TEST(each_is_looked_at_at_once_and_then_in_its_time)
{
	begin_empty();
	check_nothing(0, POLL_S - 0.5);
	for (size_t i = 0; i < MODELS; i++) {
		check_due_at(POLL_S, i, QUEUE_TIME);
		done(i, QUEUE_EMPTIED, 0);
	}
	check_nothing(0, 2 * POLL_S - 0.5);
	end();
}
END_TEST

START_TEST(a_deadline_that_has_passed_looks_without_waiting)
{
	begin();
	ck_assert(take(0, 0));
	done(world.model, QUEUE_EMPTIED, 0);
	for (size_t i = 1; i < MODELS; i++)
		queue_set_off(world.queue, i);
	ck_assert(!take(0, 0));
	ck_assert(!take(0, -1));
	ck_assert_uint_eq(world.waits, 0);
	end();
}
END_TEST

START_TEST(an_announced_one_is_looked_at_once)
{
	begin_empty();
	queue_announce(world.queue, 1);
	check_taken(0, 1, QUEUE_ANNOUNCED);
	done(1, QUEUE_EMPTIED, 0);
	check_nothing(0, 1);
	/* Its time is as it was. */
	check_due_at(POLL_S, 0, QUEUE_TIME);
	check_due_at(POLL_S, 2, QUEUE_TIME);
	check_due_at(POLL_S, 1, QUEUE_TIME);
	end();
}
END_TEST

START_TEST(all_may_be_announced)
{
	begin_empty();
	queue_announce_all(world.queue);
	for (size_t i = 0; i < MODELS; i++)
		check_taken(0, i, QUEUE_ANNOUNCED);
	end();
}
END_TEST

START_TEST(what_is_announced_during_a_visit_asks_for_another)
{
	begin_empty();
	queue_announce(world.queue, 1);
	check_taken(0, 1, QUEUE_ANNOUNCED);
	queue_announce(world.queue, 1);
	done(1, QUEUE_EMPTIED, 0);
	check_taken(0, 1, QUEUE_ANNOUNCED);
	end();
}
END_TEST

START_TEST(a_backlog_continues_where_it_ended)
{
	begin_empty();
	queue_announce(world.queue, 1);
	check_taken(0, 1, QUEUE_ANNOUNCED);
	done(1, QUEUE_FULL, 0);
	check_taken(0, 1, QUEUE_MORE);
	queue_announce(world.queue, 1); /* what is new comes after it */
	done(1, QUEUE_FULL, 0);
	check_taken(0, 1, QUEUE_MORE);
	done(1, QUEUE_EMPTIED, 0);
	check_nothing(0, 1);
	end();
}
END_TEST

START_TEST(all_of_a_backlog_is_looked_at_when_it_is_time)
{
	begin_empty();
	queue_set_off(world.queue, 0);
	queue_set_off(world.queue, 2);
	queue_announce(world.queue, 1);
	for (int i = 1; i < 8; i++) {
		world.now = at(i);
		check_taken(0, 1, i % 2 == 0 ? QUEUE_TIME : i == 1 ? QUEUE_ANNOUNCED : QUEUE_MORE);
		done(1, QUEUE_FULL, 0);
	}
	end();
}
END_TEST

START_TEST(a_backlog_delays_others_by_one_burst)
{
	begin_empty();
	queue_announce(world.queue, 0);
	check_taken(0, 0, QUEUE_ANNOUNCED);
	done(0, QUEUE_FULL, 0);
	for (int i = 0; i < 5; i++) {
		check_taken(0, 0, QUEUE_MORE);
		queue_announce_all(world.queue);
		done(0, QUEUE_FULL, 0);
		check_taken(0, 1, QUEUE_ANNOUNCED);
		queue_announce(world.queue, 1);
		done(1, QUEUE_EMPTIED, 0);
		check_taken(0, 2, QUEUE_ANNOUNCED);
		done(2, QUEUE_EMPTIED, 0);
	}
	end();
}
END_TEST

START_TEST(several_workers_serve_what_is_known_to_be_there)
{
	begin_empty();
	queue_announce(world.queue, 1);
	check_taken(0, 1, QUEUE_ANNOUNCED);
	check_nothing(1, 0.5); /* for all that is known one will do */
	if (_i == 0) {
		queue_announce(world.queue, 1);
	} else {
		done(1, QUEUE_FULL, 0);
		check_taken(0, 1, QUEUE_MORE);
	}
	check_taken(1, 1, _i == 0 ? QUEUE_ANNOUNCED : QUEUE_MORE);
	queue_announce(world.queue, 1);
	check_nothing(2, 1); /* no more than there are workers for */
	done(1, QUEUE_EMPTIED, 0);
	check_taken(0, 1, QUEUE_ANNOUNCED);
	end();
}
END_TEST

START_TEST(one_that_is_served_is_not_due_in_its_time)
{
	begin_empty();
	queue_announce(world.queue, 1);
	check_taken(0, 1, QUEUE_ANNOUNCED);
	queue_set_off(world.queue, 0);
	queue_set_off(world.queue, 2);
	check_nothing(1, 10);
	done(1, QUEUE_EMPTIED, 0);
	check_taken(1, 1, QUEUE_TIME);
	end();
}
END_TEST

START_TEST(a_pause_is_kept_whatever_comes)
{
	begin_empty();
	queue_announce(world.queue, 1);
	check_taken(0, 1, QUEUE_ANNOUNCED);
	done(1, QUEUE_LATER, 1.5);
	queue_announce(world.queue, 1);
	check_nothing(0, 1);
	check_due_at(1.5, 1, QUEUE_TIME); /* and then all of it */
	done(1, QUEUE_EMPTIED, 0);
	check_nothing(0, 1.9);
	queue_announce(world.queue, 1);
	check_taken(0, 1, QUEUE_ANNOUNCED);
	end();
}
END_TEST

static const enum queue_outcome outcomes[] = { QUEUE_FULL, QUEUE_EMPTIED };

START_TEST(a_long_pause_puts_off_the_time_and_the_backlog)
{
	begin_empty();
	queue_set_off(world.queue, 0);
	queue_set_off(world.queue, 2);
	queue_announce(world.queue, 1);
	check_taken(0, 1, QUEUE_ANNOUNCED);
	queue_announce(world.queue, 1);
	check_taken(1, 1, QUEUE_ANNOUNCED);
	done(1, QUEUE_LATER, 5);
	done(1, outcomes[_i], 0.5); /* another worker sees more, or passes rows over */
	check_nothing(0, 4.9);
	check_due_at(5, 1, QUEUE_TIME);
	done(1, QUEUE_LATER, 0);
	check_taken(0, 1, QUEUE_TIME);
	end();
}
END_TEST

START_TEST(one_pause_holds_up_no_other)
{
	begin_empty();
	queue_announce_all(world.queue);
	check_taken(0, 0, QUEUE_ANNOUNCED);
	done(0, QUEUE_LATER, 1);
	queue_announce(world.queue, 0);
	check_taken(0, 1, QUEUE_ANNOUNCED);
	check_taken(0, 2, QUEUE_ANNOUNCED);
	end();
}
END_TEST

static const struct {
	double delay, next;
} looks[] = {
	{ 0, POLL_S },
	{ 0.25, 0.75 },
	{ 100, POLL_S },
};

START_TEST(what_was_passed_over_is_looked_at_sooner)
{
	begin_empty();
	queue_announce(world.queue, 2);
	world.now = at(0.5);
	check_taken(0, 2, QUEUE_ANNOUNCED);
	done(2, QUEUE_EMPTIED, looks[_i].delay);
	queue_set_off(world.queue, 0);
	queue_set_off(world.queue, 1);
	check_due_at(looks[_i].next, 2, QUEUE_TIME);
	done(2, QUEUE_FULL, 0.1); /* nothing to look at before the backlog */
	world.now = at(looks[_i].next + 0.2);
	check_taken(0, 2, QUEUE_MORE);
	end();
}
END_TEST

START_TEST(one_that_is_off_is_never_due)
{
	begin();
	queue_set_off(world.queue, 0);
	queue_announce_all(world.queue);
	check_taken(0, 1, QUEUE_TIME);
	check_taken(0, 2, QUEUE_TIME);
	check_nothing(0, 1e5);
	end();
}
END_TEST

START_TEST(an_ordered_one_is_served_by_one_worker_at_a_time)
{
	begin_empty();
	queue_set_ordered(world.queue, 1);
	queue_announce(world.queue, 1);
	check_taken(0, 1, QUEUE_ANNOUNCED);
	done(1, QUEUE_FULL, 0);
	check_taken(1, 1, QUEUE_MORE); /* nobody has its lock */
	queue_announce(world.queue, 1);
	check_nothing(0, 1);
	end();
}
END_TEST

START_TEST(one_that_operators_pause_is_due_when_it_is_resumed)
{
	begin_empty();
	queue_announce(world.queue, 1);
	check_taken(0, 1, QUEUE_ANNOUNCED);
	ck_assert(!queue_is_paused(world.queue, 1));
	queue_pause(world.queue, 1, true); /* while it is served */
	ck_assert(queue_is_paused(world.queue, 1));
	if (_i == 0)
		done(1, QUEUE_FULL, 0);
	else
		done(1, QUEUE_LATER, 100);
	queue_announce(world.queue, 1);
	check_nothing(0, 1);
	queue_pause(world.queue, 1, false);
	check_taken(0, 1, QUEUE_TIME); /* its delay is over, too, and rows may be anywhere */
	done(1, QUEUE_EMPTIED, 0);
	check_nothing(0, 1.5);
	end();
}
END_TEST

START_TEST(the_lock_of_a_paused_one_is_released)
{
	begin_empty();
	queue_set_ordered(world.queue, 1);
	queue_announce(world.queue, 1);
	check_taken(1, 1, QUEUE_ANNOUNCED);
	queue_keep(world.queue, 1, 1);
	queue_pause(world.queue, 1, true);
	check_nothing(1, 0.2); /* not before the burst ends */
	done(1, QUEUE_FULL, 0);
	check_nothing(0, 0.4);
	check_taken(1, 1, QUEUE_UNLOCK);
	check_nothing(1, 0.6);
	queue_unlocked(world.queue, 1);
	check_nothing(1, 0.8);
	queue_pause(world.queue, 1, false);
	check_taken(0, 1, QUEUE_TIME); /* by any worker */
	end();
}
END_TEST

static void wake(void)
{
	queue_wake(world.queue);
}

START_TEST(who_waits_for_a_model_can_be_woken_without_one)
{
	begin_empty();
	world.meanwhile = wake;
	world.meanwhile_at = 0.5;
	ck_assert(!take(0, 1.5));
	ck_assert_int_eq(world.now.ns, at(0.5).ns);
	check_nothing(0, 1);
	wake(); /* somebody who does not wait yet */
	ck_assert(!take(0, 1.5));
	ck_assert_int_eq(world.now.ns, at(1).ns);
	check_nothing(0, 1.5);
	end();
}
END_TEST

START_TEST(an_ordered_one_stays_with_who_has_its_lock)
{
	begin_empty();
	queue_set_ordered(world.queue, 1);
	queue_set_off(world.queue, 0);
	queue_set_off(world.queue, 2);
	queue_announce(world.queue, 1);
	check_taken(1, 1, QUEUE_ANNOUNCED);
	queue_keep(world.queue, 1, 1);
	done(1, QUEUE_FULL, 0);
	queue_announce(world.queue, 1);
	check_nothing(0, 100);
	check_taken(1, 1, QUEUE_TIME);
	done(1, QUEUE_FULL, 0);
	queue_lost(world.queue, 0); /* it had none */
	check_nothing(0, 200);
	queue_lost(world.queue, 1);
	check_taken(0, 1, QUEUE_TIME);
	end();
}
END_TEST

/* What another worker does while this one waits. */
static void announce(void)
{
	queue_announce(world.queue, 1);
}

static void finish(void)
{
	done(2, QUEUE_FULL, 0);
}

static void lose(void)
{
	queue_lost(world.queue, 1);
}

static void close_board(void)
{
	queue_close(world.queue);
}

static const struct {
	void (*meanwhile)(void);
	size_t model;
	enum queue_reason reason;
} wakers[] = {
	{ announce, 1, QUEUE_ANNOUNCED },
	{ finish, 2, QUEUE_MORE },
	{ lose, 0, QUEUE_TIME },
};

START_TEST(who_waits_is_woken_by_what_becomes_due)
{
	begin();
	queue_set_ordered(world.queue, 0);
	queue_keep(world.queue, 1, 0);
	check_taken(0, 1, QUEUE_TIME);
	done(1, QUEUE_EMPTIED, 0);
	check_taken(0, 2, QUEUE_TIME);
	world.meanwhile = wakers[_i].meanwhile;
	world.meanwhile_at = 1;
	check_due_at(1, wakers[_i].model, wakers[_i].reason);
	end();
}
END_TEST

START_TEST(a_closed_board_has_nothing)
{
	begin_empty();
	world.meanwhile = close_board;
	world.meanwhile_at = 1;
	ck_assert(!take(0, 1e6));
	ck_assert_int_eq(world.now.ns, at(1).ns);
	queue_announce(world.queue, 1);
	ck_assert(!take(0, 1e6));
	ck_assert_int_eq(world.now.ns, at(1).ns);
	end();
}
END_TEST

START_TEST(that_it_is_closed_can_be_waited_for)
{
	begin();
	ck_assert(!queue_wait_closed(world.queue, at(1)));
	ck_assert_int_eq(world.now.ns, at(1).ns);
	world.meanwhile = announce; /* that is not it */
	world.meanwhile_at = 1.5;
	ck_assert(!queue_wait_closed(world.queue, at(2)));
	ck_assert_int_eq(world.now.ns, at(2).ns);
	world.meanwhile = close_board;
	world.meanwhile_at = 2.5;
	ck_assert(queue_wait_closed(world.queue, at(100)));
	ck_assert_int_eq(world.now.ns, at(2.5).ns);
	ck_assert(queue_wait_closed(world.queue, at(0)));
	end();
}
END_TEST

/* On the clock that the deadlines are of: else it would not sleep at all, or for decades. */
START_TEST(waiting_sleeps)
{
	begin_empty();
	world.is_real = true;
	struct instant until = instant_after(clock_now(), 0.01);
	if (_i == 0) {
		for (size_t i = 0; i < MODELS; i++)
			queue_set_off(world.queue, i);
		ck_assert(!queue_take(world.queue, 0, until, &world.model, &world.reason));
	} else {
		ck_assert(!queue_wait_closed(world.queue, until));
	}
	ck_assert(!instant_before(clock_now(), until));
	ck_assert_uint_ge(world.waits, 1);
	end();
}
END_TEST

/* More models than the others tests have, all found empty at once. */
enum { MANY = 12, ODD = 5 };

static void begin_many(bool is_ordered)
{
	world.now = at(0);
	world.queue = queue_new(MANY, WORKERS, POLL_S);
	for (size_t i = 0; is_ordered && i < MANY; i++)
		queue_set_ordered(world.queue, i);
	for (size_t i = 0; i < MANY; i++) {
		ck_assert(queue_take(world.queue, 0, at(0), &world.model, &world.reason));
		if (is_ordered)
			queue_keep(world.queue, 0, world.model);
		queue_done(world.queue, world.model, QUEUE_QUIET, 0);
	}
}

/* Take the first that is due, and those that may be polled with it. */
static size_t take_together(unsigned worker, size_t *models)
{
	ck_assert(queue_take(world.queue, worker, at(POLL_S), &world.model, &world.reason));
	ck_assert_int_eq(world.reason, QUEUE_TIME);
	return queue_take_quiet(world.queue, worker, world.model, models);
}

START_TEST(quiet_ones_are_looked_at_together)
{
	size_t models[QUEUE_TOGETHER];
	begin_many(_i);
	ck_assert_uint_eq(take_together(0, models), MANY);
	ck_assert_uint_eq(models[0], world.model);
	ck_assert(!queue_take(world.queue, 0, at(POLL_S), &world.model, &world.reason));
	for (size_t i = 0; i < MANY; i++)
		queue_done(world.queue, models[i], QUEUE_QUIET, 0);
	world.now = at(1.9 * POLL_S); /* all are due again in their time */
	ck_assert(!queue_take(world.queue, 0, world.now, &world.model, &world.reason));
	ck_assert(queue_take(world.queue, 0, at(2 * POLL_S), &world.model, &world.reason));
	end();
}
END_TEST

/* However their times are spread over the poll interval: then they are due at the same time. */
START_TEST(quiet_ones_come_together)
{
	size_t models[QUEUE_TOGETHER];
	world.now = at(0);
	world.queue = queue_new(MANY, WORKERS, POLL_S);
	for (size_t i = 0; i < MANY; i++) {
		world.now = at(POLL_S * (double)i / MANY);
		ck_assert(queue_take(world.queue, 0, world.now, &world.model, &world.reason));
		queue_done(world.queue, world.model, QUEUE_QUIET, 0);
	}
	ck_assert_uint_eq(take_together(0, models), MANY);
	for (size_t i = 0; i < MANY; i++)
		queue_done(world.queue, models[i], QUEUE_QUIET, 0);
	ck_assert(!queue_take(world.queue, 0, at(1.9 * POLL_S), &world.model, &world.reason));
	end();
}
END_TEST

static void announce_odd(void)
{
	queue_announce(world.queue, ODD);
}

static void pause_odd(void)
{
	queue_pause(world.queue, ODD, true);
}

static void find_rows_of_odd(void)
{
	queue_done(world.queue, ODD, QUEUE_EMPTIED, 0);
}

static void put_off_odd(void)
{
	queue_done(world.queue, ODD, QUEUE_LATER, POLL_S);
}

static void find_more_of_odd(void)
{
	queue_done(world.queue, ODD, QUEUE_FULL, 0);
}

/* What keeps a model from being polled with others; whether that is found when it is served. */
static const struct {
	void (*happens)(void);
	bool is_served;
} oddities[] = { { announce_odd, false }, { pause_odd, false }, { find_rows_of_odd, true },
	{ put_off_odd, true }, { find_more_of_odd, true } };

START_TEST(one_that_is_not_quiet_is_served_by_itself)
{
	size_t models[QUEUE_TOGETHER];
	begin_many(false);
	if (oddities[_i].is_served) {
		queue_announce(world.queue, ODD);
		ck_assert(queue_take(world.queue, 0, at(0), &world.model, &world.reason));
		ck_assert_uint_eq(world.model, ODD);
	}
	oddities[_i].happens();
	world.now = at(POLL_S);
	size_t count = queue_take_quiet(world.queue, 0, 0, models);
	ck_assert_uint_ge(count, MANY - 1);
	for (size_t i = 0; i < count; i++)
		ck_assert_uint_ne(models[i], ODD);
	end();
}
END_TEST

START_TEST(what_another_worker_holds_is_not_looked_at_together)
{
	size_t models[QUEUE_TOGETHER];
	begin_many(true);
	world.now = at(POLL_S);
	ck_assert_uint_eq(queue_take_quiet(world.queue, 1, 0, models), 0);
	end();
}
END_TEST

START_TEST(a_few_are_served_one_by_one)
{
	size_t models[QUEUE_TOGETHER];
	begin();
	for (size_t i = 0; i < MODELS; i++) {
		ck_assert(queue_take(world.queue, 0, at(0), &world.model, &world.reason));
		queue_done(world.queue, world.model, QUEUE_QUIET, 0);
	}
	ck_assert_uint_eq(take_together(0, models), 0);
	end();
}
END_TEST

int main(void)
{
	const struct test tests[] = {
		{ quiet_ones_are_looked_at_together, 2, 0 },
		{ quiet_ones_come_together, 1, 0 },
		{ one_that_is_not_quiet_is_served_by_itself, COUNT(oddities), 0 },
		{ what_another_worker_holds_is_not_looked_at_together, 1, 0 },
		{ a_few_are_served_one_by_one, 1, 0 },
		{ each_is_looked_at_at_once_and_then_in_its_time, 1, 0 },
		{ a_deadline_that_has_passed_looks_without_waiting, 1, 0 },
		{ an_announced_one_is_looked_at_once, 1, 0 },
		{ all_may_be_announced, 1, 0 },
		{ what_is_announced_during_a_visit_asks_for_another, 1, 0 },
		{ a_backlog_continues_where_it_ended, 1, 0 },
		{ all_of_a_backlog_is_looked_at_when_it_is_time, 1, 0 },
		{ a_backlog_delays_others_by_one_burst, 1, 0 },
		{ several_workers_serve_what_is_known_to_be_there, 2, 0 },
		{ one_that_is_served_is_not_due_in_its_time, 1, 0 },
		{ a_pause_is_kept_whatever_comes, 1, 0 },
		{ a_long_pause_puts_off_the_time_and_the_backlog, COUNT(outcomes), 0 },
		{ one_pause_holds_up_no_other, 1, 0 },
		{ what_was_passed_over_is_looked_at_sooner, COUNT(looks), 0 },
		{ one_that_is_off_is_never_due, 1, 0 },
		{ an_ordered_one_is_served_by_one_worker_at_a_time, 1, 0 },
		{ one_that_operators_pause_is_due_when_it_is_resumed, 2, 0 },
		{ the_lock_of_a_paused_one_is_released, 1, 0 },
		{ who_waits_for_a_model_can_be_woken_without_one, 1, 0 },
		{ an_ordered_one_stays_with_who_has_its_lock, 1, 0 },
		{ who_waits_is_woken_by_what_becomes_due, COUNT(wakers), 0 },
		{ a_closed_board_has_nothing, 1, 0 },
		{ that_it_is_closed_can_be_waited_for, 1, 0 },
		{ waiting_sleeps, 2, 0 },
	};
	return suite_run("run_queue", tests, COUNT(tests));
}
