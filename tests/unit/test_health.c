#include "daemon/health.h"

#include "log_doubles.h"

#include "suite.h"

#include <sys/eventfd.h>
#include <unistd.h>

/* The clock, and what is tested. */
static struct {
	int64_t now_ns;
	struct health *health;
} world;

struct instant scripted_clock_now(void);
struct instant scripted_clock_now(void)
{
	return (struct instant){ world.now_ns };
}

static void begin(unsigned workers)
{
	world.now_ns = INT64_C(1000000000000);
	world.health = health_new(workers);
}

static void pass(double seconds)
{
	world.now_ns += (int64_t)(seconds * 1e9);
}

static void connect_one(void)
{
	ck_assert(health_try(world.health));
	health_connected(world.health);
}

static void refuse(const char *reason)
{
	ck_assert(health_try(world.health));
	health_refused(world.health, reason);
}

/* What was logged since the last call. */
static void check_lines(const char *expected)
{
	check_logged(expected);
	logged[0] = '\0';
}

static void check_view(const char *expected)
{
	char reason[100];
	health_view(world.health, reason, sizeof reason);
	ck_assert_str_eq(reason, expected);
	ck_assert_int_eq(health_is_up(world.health), expected[0] == '\0');
}

static void answer(void)
{
	health_answered(world.health, clock_now());
}

START_TEST(an_outage_is_reported_once)
{
	begin(2);
	check_view("database: not connected yet");
	for (int i = 0; i < 5; i++)
		refuse("database: away");
	check_lines("warning: database: away; waiting for it\n");
	check_view("database: away");
	pass(12);
	connect_one();
	connect_one();
	check_lines("warning: database: connected, after 12 s\n");
	check_view("");
	health_lost(world.health);
	ck_assert(health_has_worker(world.health));
	health_lost(world.health);
	ck_assert(!health_has_worker(world.health));
	refuse("database: away again");
	check_lines("warning: database: away again; waiting for it\n");
	pass(3);
	connect_one();
	check_lines("warning: database: connected, after 3 s\n");
	health_free(world.health);
}
END_TEST

START_TEST(another_reason_is_reported)
{
	begin(1);
	refuse("connection refused");
	pass(1);
	refuse("the database system is starting up");
	check_lines("warning: connection refused; waiting for it\n");
	check_view("the database system is starting up");
	pass(10);
	refuse("password refused");
	refuse("password refused");
	check_lines("warning: password refused; waiting for it\n");
	pass(4);
	connect_one();
	check_lines("warning: database: connected, after 15 s\n");
	health_free(world.health);
}
END_TEST

START_TEST(the_first_connection_is_no_news)
{
	begin(2);
	connect_one();
	connect_one();
	check_lines("info: database: connected\n");
	ck_assert(health_is_complete(world.health));
	health_free(world.health);
}
END_TEST

START_TEST(workers_that_lose_their_connections_one_by_one)
{
	begin(2);
	connect_one();
	connect_one();
	check_lines("info: database: connected\n");
	health_lost(world.health);
	refuse("away");
	ck_assert(health_is_doubtful(world.health));
	check_lines("");
	check_view("");
	health_lost(world.health);
	refuse("away");
	check_lines("warning: away; waiting for it\n");
	check_view("away");
	ck_assert(!health_is_doubtful(world.health));
	health_free(world.health);
}
END_TEST

START_TEST(too_few_connections_are_reported_once)
{
	begin(3);
	connect_one();
	struct instant before = clock_now();
	pass(1);
	refuse("too many connections");
	refuse("too many connections");
	health_answered(world.health, before); /* an answer from before proves nothing */
	check_lines("info: database: connected\n");
	answer();
	check_lines("warning: only 1 of 3 connections to the database: too many connections; "
		    "allow more connections, or lower workers\n");
	ck_assert(health_is_short(world.health));
	check_view("");
	for (int i = 0; i < 5; i++) {
		pass(10);
		refuse("too many connections");
		ck_assert(!health_is_doubtful(world.health));
		answer();
	}
	connect_one();
	check_lines("");
	connect_one();
	check_lines("warning: all 3 connections to the database are established\n");
	health_lost(world.health);
	connect_one();
	check_lines("");
	health_lost(world.health);
	refuse("too many connections");
	answer();
	check_lines("warning: only 2 of 3 connections to the database: too many connections; "
		    "allow more connections, or lower workers\n");
	health_free(world.health);
}
END_TEST

START_TEST(one_is_refused_while_another_is_still_trying)
{
	begin(2);
	ck_assert(health_try(world.health));
	refuse("too many connections");
	check_lines("");
	ck_assert(!health_is_up(world.health));
	health_connected(world.health);
	check_lines("info: database: connected\n");
	health_free(world.health);
}
END_TEST

/* Attempts that overlap, so that one is always in flight. */
START_TEST(none_is_connected_and_all_are_always_trying)
{
	begin(2);
	ck_assert(health_try(world.health));
	refuse("away");
	check_lines("");
	pass(1.1);
	ck_assert(health_try(world.health));
	health_refused(world.health, "away");
	check_lines("warning: away; waiting for it\n");
	health_free(world.health);
}
END_TEST

START_TEST(nobody_answers_any_more)
{
	begin(2);
	connect_one();
	refuse("away");
	check_lines("info: database: connected\n");
	pass(11);
	refuse("away");
	check_lines("warning: away; waiting for it\n");
	check_view("away");
	pass(5);
	answer();
	check_lines("warning: database: connected, after 5 s\n");
	check_view("");
	health_free(world.health);
}
END_TEST

START_TEST(the_listener_hears_that_no_worker_is_connected)
{
	eventfd_t count;
	int fd = eventfd(0, EFD_NONBLOCK);
	begin(2);
	connect_one();
	connect_one();
	health_rouse(world.health, fd);
	health_lost(world.health);
	ck_assert_int_eq(eventfd_read(fd, &count), -1);
	health_lost(world.health);
	ck_assert_int_eq(eventfd_read(fd, &count), 0);
	close(fd);
	health_free(world.health);
}
END_TEST

START_TEST(one_worker_makes_room)
{
	eventfd_t count;
	int fd = eventfd(0, EFD_NONBLOCK);
	begin(2);
	health_rouse(world.health, fd);
	connect_one();
	ck_assert(!health_want_room(world.health));
	ck_assert(!health_yield(world.health)); /* the only one does not */
	connect_one();
	ck_assert(!health_yield(world.health));
	ck_assert(!health_want_room(world.health));
	ck_assert(health_yield(world.health));
	ck_assert(!health_yield(world.health));
	ck_assert(!health_try(world.health));
	ck_assert_int_eq(eventfd_read(fd, &count), -1);
	health_lost(world.health);
	ck_assert_int_eq(eventfd_read(fd, &count), 0); /* now it can connect */
	close(fd);
	pass(0.9);
	ck_assert(health_want_room(world.health));
	pass(0.1);
	ck_assert(!health_want_room(world.health));
	ck_assert(health_try(world.health));
	ck_assert(health_has_worker(world.health));
	health_free(world.health);
}
END_TEST

/* Only the seconds that it had count, however often it asks. */
START_TEST(room_is_made_five_times)
{
	begin(2);
	connect_one();
	connect_one();
	for (unsigned i = 0; i < 5; i++) {
		health_want_room(world.health);
		health_want_room(world.health);
		ck_assert(health_yield(world.health));
		pass(1);
	}
	health_want_room(world.health);
	ck_assert(!health_yield(world.health));
	health_listens(world.health);
	health_want_room(world.health);
	ck_assert(health_yield(world.health));
	health_listens(world.health);
	ck_assert(health_try(world.health));
	health_free(world.health);
}
END_TEST

int main(void)
{
	const struct test tests[] = {
		{ an_outage_is_reported_once, 1, 0 },
		{ another_reason_is_reported, 1, 0 },
		{ the_first_connection_is_no_news, 1, 0 },
		{ workers_that_lose_their_connections_one_by_one, 1, 0 },
		{ too_few_connections_are_reported_once, 1, 0 },
		{ one_is_refused_while_another_is_still_trying, 1, 0 },
		{ none_is_connected_and_all_are_always_trying, 1, 0 },
		{ nobody_answers_any_more, 1, 0 },
		{ the_listener_hears_that_no_worker_is_connected, 1, 0 },
		{ one_worker_makes_room, 1, 0 },
		{ room_is_made_five_times, 1, 0 },
	};
	return suite_run("health", tests, COUNT(tests));
}
