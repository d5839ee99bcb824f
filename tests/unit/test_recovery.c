#include "relay/recovery.h"

#include "base/clock.h"
#include "log_doubles.h"
#include "suite.h"

static struct {
	struct recovery *recovery;
	int64_t now_ns;
} world;

struct instant scripted_clock_now(void);
struct instant scripted_clock_now(void)
{
	return (struct instant){ world.now_ns };
}

static void begin(void)
{
	world.now_ns = INT64_C(1000000000000);
	world.recovery = recovery_new("it");
	logged[0] = '\0';
}

static void pass(double seconds)
{
	world.now_ns += (int64_t)(seconds * 1e9);
}

/* A look each second, at which the slot fails; returns how many tries there were. */
static size_t fail_for(int seconds, const char *reason)
{
	size_t tries = 0;
	struct error e;
	error_set(&e, ERROR_BROKER, "%s", reason);
	for (; seconds > 0; seconds--) {
		ck_assert(recovery_begin(world.recovery));
		if (!recovery_waits(world.recovery, 3)) {
			tries++;
			recovery_fail(world.recovery, 3, &e);
		}
		recovery_end(world.recovery, true, 1);
		pass(1);
	}
	return tries;
}

START_TEST(a_slot_that_fails_is_tried_ever_more_rarely_and_logged_twice)
{
	begin();
	ck_assert_uint_eq(fail_for(5, "refused"), 1);
	ck_assert_uint_eq(fail_for(10 + 20 + 40, "refused"), 3);
	ck_assert_uint_eq(fail_for(600, "refused"), 10);
	ck_assert_uint_eq(recovery_count_waiting(world.recovery), 1);
	ck_assert(!recovery_waits(world.recovery, 4));
	ck_assert(recovery_begin(world.recovery));
	recovery_end(world.recovery, false, 1); /* it broke off before the slot */
	pass(1);
	ck_assert(recovery_begin(world.recovery));
	recovery_end(world.recovery, true, 1);
	ck_assert_uint_eq(recovery_count_waiting(world.recovery), 0);
	check_logged(
		"warning: exactly-once: slot 3 of instance \"it\" cannot be resolved, and the "
		"signals that are prepared in it stay locked: refused\n"
		"warning: exactly-once: slot 3 of instance \"it\" can be resolved again, after "
		"676 s\n");
	recovery_free(world.recovery);
}
END_TEST

START_TEST(one_worker_looks_at_a_time_and_when_it_is_due)
{
	begin();
	ck_assert(recovery_begin(world.recovery));
	pass(100);
	ck_assert(!recovery_begin(world.recovery));
	recovery_end(world.recovery, true, 5);
	ck_assert(!recovery_begin(world.recovery));
	pass(5);
	ck_assert(recovery_begin(world.recovery));
	recovery_free(world.recovery);
}
END_TEST

START_TEST(what_is_to_be_decided_by_hand_is_no_failure)
{
	begin();
	ck_assert(recovery_begin(world.recovery));
	recovery_put_off(world.recovery, 3, 600);
	ck_assert_uint_eq(recovery_count_waiting(world.recovery), 1);
	recovery_end(world.recovery, true, 5);
	pass(599);
	ck_assert(recovery_waits(world.recovery, 3));
	pass(1);
	ck_assert(!recovery_waits(world.recovery, 3));
	ck_assert(recovery_begin(world.recovery));
	recovery_end(world.recovery, true, 5);
	check_logged("");
	recovery_free(world.recovery);
}
END_TEST

START_TEST(a_sender_stays_gone_until_that_is_known)
{
	begin();
	ck_assert_uint_eq(recovery_note_used(world.recovery, 6), 0);
	ck_assert_uint_eq(recovery_note_used(world.recovery, 3), 4);
	ck_assert_uint_eq(recovery_note_used(world.recovery, 1), 6);
	recovery_is_gone(world.recovery, 4);
	ck_assert_uint_eq(recovery_note_used(world.recovery, 1), 2);
	ck_assert_uint_eq(recovery_note_used(world.recovery, 3), 0);
	recovery_free(world.recovery);
}
END_TEST

int main(void)
{
	const struct test tests[] = {
		{ a_slot_that_fails_is_tried_ever_more_rarely_and_logged_twice, 1, 0 },
		{ one_worker_looks_at_a_time_and_when_it_is_due, 1, 0 },
		{ what_is_to_be_decided_by_hand_is_no_failure, 1, 0 },
		{ a_sender_stays_gone_until_that_is_known, 1, 0 },
	};
	return suite_run("recovery", tests, COUNT(tests));
}
