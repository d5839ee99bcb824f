#include "burst_world.h"
#include "log_doubles.h"

static int64_t now_ns = INT64_C(1000000000000);

struct instant scripted_clock_now(void);
struct instant scripted_clock_now(void)
{
	return (struct instant){ now_ns };
}

static void begin_once(size_t rows)
{
	memset(&once, 0, sizeof once);
	logged[0] = '\0';
	begin();
	world.fixture.config.delivery = DELIVERY_EXACTLY_ONCE;
	world.fixture.config.instance = "it";
	replace_burst(0, 1);
	script.rows = rows;
}

static void end_once(void)
{
	text_free(&once.calls);
	text_free(&once.topics);
	end();
}

static bool run_once(void)
{
	const struct burst_order order = { .model = world.model, .kind = CLAIM_FIRST };
	text_free(&once.calls);
	world.error = (struct error){ 0 };
	bool ok = burst_run(world.burst, &order, &world.result, &world.error);
	ck_assert(!seen.in_transaction && !once.is_begun);
	return ok;
}

static void check_calls(const char *expected)
{
	ck_assert_str_eq(once.calls.text != NULL ? once.calls.text : "", expected);
}

START_TEST(a_burst_is_prepared_then_committed_in_kafka_and_then_here)
{
	begin_once(3);
	ck_assert(run_once());
	check_calls("take fence read begin prepare number commit read COMMIT");
	ck_assert_uint_eq(world.result.sent, 3);
	ck_assert_int_eq(world.result.transaction, TRANSACTION_COMMITTED);
	int64_t number = once.stored;
	ck_assert(run_once());
	check_calls("begin prepare number commit read COMMIT");
	ck_assert_int_gt(once.stored, number);
	end_once();
}
END_TEST

/* The answer to the commit: whether it was done, and whether the broker first answers with an older
 * number than that which it has stored. */
static const struct {
	bool is_lost, is_outdated;
	const char *calls;
	enum transaction_outcome outcome;
} doubts[] = {
	{ false, false, "forget fence read read COMMIT", TRANSACTION_COMMITTED },
	{ false, true, "forget fence read read read-all begin number await fence read read COMMIT",
		TRANSACTION_COMMITTED },
	{ true, false,
		"forget fence read read read-all begin number await fence read read ROLLBACK",
		TRANSACTION_ROLLED_BACK },
};

START_TEST(after_doubt_it_fences_reads_and_then_decides)
{
	char expected[256];
	begin_once(3);
	once.commit_is_in_doubt = true;
	once.commit_is_lost = doubts[_i].is_lost;
	once.is_outdated = doubts[_i].is_outdated;
	bool ok = run_once();
	snprintf(expected, sizeof expected, "take fence read begin prepare number commit %s",
		doubts[_i].calls);
	check_calls(expected);
	ck_assert_int_eq(ok, !doubts[_i].is_lost);
	ck_assert_uint_eq(world.result.sent, ok ? 3 : 0);
	ck_assert_int_eq(world.result.transaction, doubts[_i].outcome);
	if (!ok)
		ck_assert_int_eq(world.error.kind, ERROR_BROKER);
	end_once();
}
END_TEST

START_TEST(without_an_answer_it_stays_prepared_until_there_is_one)
{
	begin_once(3);
	ck_assert(run_once());
	once.commit_is_in_doubt = once.read_fails = true;
	ck_assert(!run_once());
	check_calls("begin prepare number commit forget fence read");
	ck_assert_int_eq(world.result.transaction, TRANSACTION_UNDECIDED);
	ck_assert_uint_eq(once.prepared_count, 1);
	ck_assert(!run_once());
	check_calls("fence read"); /* nothing new is claimed */
	once.commit_is_in_doubt = once.read_fails = false;
	ck_assert(run_once());
	check_calls("fence read read COMMIT begin prepare number commit read COMMIT");
	check_logged(
		"warning: exactly-once: this sender had prepared a transaction that it could not "
		"end at once, in slot 7 of instance \"it\": its messages are stored, so it is "
		"committed\n");
	end_once();
}
END_TEST

/* Another sender may have the slot by then, and must not be fenced. */
START_TEST(without_its_session_it_does_not_fence)
{
	begin_once(3);
	ck_assert(run_once());
	once.commit_is_in_doubt = once.session_is_lost = true;
	ck_assert(!run_once());
	check_calls("begin prepare number commit forget drop");
	ck_assert_int_eq(world.error.kind, ERROR_CONNECTION);
	ck_assert_int_eq(world.result.transaction, TRANSACTION_UNDECIDED);
	once.commit_is_in_doubt = once.session_is_lost = false;
	ck_assert(run_once());
	check_calls("fence read read COMMIT begin prepare number commit read COMMIT");
	script.claim_error = ERROR_CONNECTION;
	script.streamed = 2;
	once.session_is_lost = true;
	ck_assert(!run_once());
	check_calls("begin drop");
	end_once();
}
END_TEST

/* After these seconds. */
static void check_tending(double seconds, const char *expected)
{
	now_ns += (int64_t)(seconds * 1e9);
	text_free(&once.calls);
	burst_tend(world.burst);
	check_calls(expected);
}

START_TEST(without_another_burst_it_is_decided_too)
{
	begin_once(3);
	ck_assert(run_once());
	once.commit_is_in_doubt = once.read_fails = true;
	ck_assert(!run_once());
	check_tending(1, "fence read");
	check_tending(1, ""); /* it waits, which takes ever longer */
	check_tending(4, "fence read");
	check_tending(9, "");
	once.broker_is_away = true;
	check_tending(1, "fence read");
	once.read_fails = once.broker_is_away = false;
	check_tending(0, "fence read read COMMIT");
	check_tending(0, "");
	check_logged(
		"warning: exactly-once: slot 7 of instance \"it\" cannot be resolved, and the "
		"signals that are prepared in it stay locked: no answer to the read\n"
		"warning: exactly-once: this sender had prepared a transaction that it could "
		"not end at once, in slot 7 of instance \"it\": its messages are stored, so it "
		"is committed\n"
		"warning: exactly-once: slot 7 of instance \"it\" can be resolved again, after "
		"15 s\n");
	end_once();
}
END_TEST

START_TEST(a_number_that_cannot_be_stored_fails_the_burst)
{
	begin_once(3);
	once.number_fails = true;
	ck_assert(!run_once());
	check_calls("take fence read begin prepare number forget fence read read ROLLBACK");
	ck_assert_int_eq(world.result.transaction, TRANSACTION_ROLLED_BACK);
	ck_assert_uint_eq(world.result.sent, 0);
	ck_assert_ptr_nonnull(strstr(world.error.text, "no answer to the number"));
	end_once();
}
END_TEST

/* After some of its rows have been sent. */
START_TEST(what_no_standby_has_is_not_committed_in_kafka)
{
	begin_once(3);
	script.is_unconfirmed = true;
	ck_assert(!run_once());
	check_calls("take fence read begin prepare number forget fence read read ROLLBACK");
	ck_assert_int_eq(world.error.kind, ERROR_DATABASE); /* not done all the same */
	ck_assert_uint_eq(world.result.sent, 0);
	end_once();
}
END_TEST

START_TEST(a_claim_that_fails_midway_leaves_nothing_open)
{
	begin_once(3);
	script.streamed = 2;
	script.claim_error = ERROR_DATABASE;
	ck_assert(!run_once());
	check_calls("take fence read begin fence");
	ck_assert_int_eq(world.result.transaction, TRANSACTION_NONE);
	end_once();
}
END_TEST

START_TEST(a_rejected_message_is_found_in_transactions_that_are_aborted)
{
	begin_once(4);
	script.broker[2] = script.broker_again[2] = VERDICT_REJECTED;
	script.blame[2] = BLAME_SOLE;
	ck_assert(!run_once());
	check_deleted("dd.d");
	/* What is stored in the last transaction is what is deleted. */
	const struct attempt *last = &seen.attempts[seen.attempt_count - 1];
	ck_assert_uint_eq(last->sent, 3);
	ck_assert(!last->has[2]);
	check_calls("take fence read begin fence begin prepare number commit read COMMIT");
	ck_assert_int_eq(world.error.kind, ERROR_REJECTED);
	end_once();
}
END_TEST

/* One of four messages is rejected, and this many batches of the others after that. */
static void begin_with_a_bad_one(unsigned batches_too_large)
{
	begin_once(4);
	script.broker[2] = script.broker_again[2] = VERDICT_REJECTED;
	script.blame[2] = BLAME_SOLE;
	script.batches_too_large = batches_too_large;
}

/* The cluster does not say which size the topic accepts, so batches shrink step by step. */
START_TEST(good_messages_are_sent_again_until_their_batches_are_small_enough)
{
	begin_with_a_bad_one(3);
	ck_assert(!run_once());
	check_deleted("dd.d");
	ck_assert_uint_eq(seen.attempt_count, 5);
	ck_assert_int_eq(world.error.kind, ERROR_REJECTED);
	end_once();
}
END_TEST

/* If they do not shrink, the tries end. */
START_TEST(batches_that_stay_too_large_fail_the_burst)
{
	begin_with_a_bad_one(ATTEMPTS_MAX);
	ck_assert(!run_once());
	ck_assert_uint_eq(seen.settles, 0);
	ck_assert_int_eq(world.result.transaction, TRANSACTION_NONE);
	end_once();
}
END_TEST

static void pass_6_s(void)
{
	now_ns += INT64_C(6000000000);
}

static void pass_16_s(void)
{
	now_ns += INT64_C(16000000000);
}

/* How long an attempt takes; the time-out is 30 s. */
static const struct {
	void (*pass)(void);
	const char *deleted;
	size_t reduction;
} paces[] = {
	{ NULL, "dddddd.d", 0 },
	{ pass_6_s, "dddd....", 0 },
	{ pass_16_s, "........", 1 },
};

START_TEST(what_is_known_to_be_good_when_time_is_up_is_sent)
{
	begin_once(8);
	script.poisoned[6] = true;
	script.pass = paces[_i].pass;
	ck_assert(!run_once());
	check_deleted(paces[_i].deleted);
	ck_assert_uint_eq(seen.reduction, paces[_i].reduction);
	script.rows = 4; /* all of them good */
	seen = (struct seen){ .reduction = seen.reduction };
	ck_assert(run_once());
	ck_assert_uint_eq(seen.reduction, 0);
	end_once();
}
END_TEST

START_TEST(what_the_broker_stores_without_the_rest_is_not_deleted)
{
	begin_once(3);
	script.broker[1] = script.broker_again[1] = VERDICT_UNKNOWN;
	script.broker_again[2] = VERDICT_UNKNOWN;
	ck_assert(!run_once());
	ck_assert_uint_eq(seen.settles, 0);
	ck_assert_int_eq(world.error.kind, ERROR_BROKER);
	ck_assert_int_eq(world.result.transaction, TRANSACTION_NONE);
	end_once();
}
END_TEST

START_TEST(a_row_that_cannot_go_after_all_rolls_everything_back)
{
	begin_once(4);
	script.kept[1] = true;
	script.refused[3] = true;
	script.broker[2] = script.broker_again[2] = VERDICT_REJECTED;
	script.blame[2] = BLAME_SOLE;
	ck_assert(!run_once());
	ck_assert_int_eq(world.result.transaction, TRANSACTION_ROLLED_BACK);
	ck_assert_uint_eq(once.prepared_count, 0);
	ck_assert_int_eq(once.stored, 0);
	end_once();
}
END_TEST

static void leave(unsigned slot, int64_t number, double seconds)
{
	once.seconds[once.prepared_count] = seconds;
	once.prepared[once.prepared_count++] = (struct prepared){ slot, number };
}

/* What a sender that is gone left, and what the broker has stored: 0: nothing. */
static const struct {
	unsigned slot;
	double seconds;
	int64_t stored;
	const char *calls;
	size_t left;
} leftovers[] = {
	{ 7, 5, 40, "take fence read read-all begin number await fence read ROLLBACK", 0 },
	{ 7, 5, 50, "take fence read COMMIT", 0 },
	{ 7, 5, 0, "take fence read read-all begin number await fence read ROLLBACK", 0 },
	/* A later burst has stored its own; the number may have expired.  Another slot is used. */
	{ 7, 5, 60, "take fence read leave take fence read", 1 },
	{ 7, 100000, 0,
		"take fence read read-all begin number await fence read leave take fence read", 1 },
	{ 3, 5, 50, "take borrow fence read COMMIT return fence read", 0 },
};

START_TEST(what_others_left_is_decided_before_the_first_claim)
{
	begin_once(0);
	once.stored = leftovers[_i].stored;
	leave(leftovers[_i].slot, 50, leftovers[_i].seconds);
	ck_assert(run_once());
	check_calls(leftovers[_i].calls);
	ck_assert_uint_eq(once.prepared_count, leftovers[_i].left);
	end_once();
}
END_TEST

/* Whether a number is up to date is asked with the first topic that takes one; without any, what is
 * prepared stays so. */
static const struct {
	int64_t stored;
	const char *model_topic;
	unsigned refused;
	const char *topics;
	bool is_resolved;
} probes[] = {
	{ 40, "constant", 0, " numbered", true },
	{ 40, "constant", 1, " numbered constant", true },
	{ 0, "constant", 0, " constant", true },
	{ 0, "t{x}", 0, " __consumer_offsets", true },
	{ 40, "t{x}", 2, " numbered __consumer_offsets", false },
};

START_TEST(any_topic_tells_whether_numbers_are_up_to_date)
{
	begin_once(0);
	once.stored = probes[_i].stored;
	once.refused_topics = probes[_i].refused;
	world.fixture.settings.topic = probes[_i].model_topic;
	leave(7, 50, 5);
	ck_assert(run_once() == probes[_i].is_resolved);
	ck_assert_str_eq(once.topics.text, probes[_i].topics);
	ck_assert_uint_eq(once.prepared_count, probes[_i].is_resolved ? 0 : 1);
	end_once();
}
END_TEST

/* The broker has lost the end of a transaction: only who asks for the burst's topic notices that,
 * or asks for all.  Nobody knows then whether the burst is stored, and aborting another transaction
 * of the slot would make its number disappear. */
START_TEST(what_the_broker_has_lost_is_decided_by_hand)
{
	begin_once(3);
	once.is_open = true;
	if (_i == 0) {
		leave(7, 50, 5);
		script.rows = 0;
		ck_assert(run_once());
		check_calls("take fence read read-all leave take fence read");
	} else {
		once.commit_is_in_doubt = true;
		ck_assert(!run_once());
		check_calls("take fence read begin prepare number commit forget fence read read");
	}
	ck_assert_uint_eq(once.prepared_count, 1);
	ck_assert(strstr(logged, "see docs/exactly-once.md for how to decide it by hand") != NULL);
	end_once();
}
END_TEST

START_TEST(a_number_after_which_there_is_none)
{
	begin_once(3);
	once.stored = INT64_MAX;
	ck_assert(!run_once());
	ck_assert_str_eq(world.error.text,
		"kafka: the group \"it-7\" has the number 9223372036854775807, which no burst has; "
		"delete the group, or set \"instance\" to another name");
	end_once();
}
END_TEST

/* One of them cannot be resolved: the broker is unavailable, or it is only that one. */
static const struct {
	bool broker_is_away;
	const char *calls;
} refusals[] = {
	{ false, "take borrow fence return borrow fence read COMMIT return fence read" },
	{ true, "take borrow fence return" },
};

START_TEST(a_slot_that_cannot_be_resolved_stops_no_other)
{
	begin_once(0);
	once.stored = 51;
	once.slot_is_refused = true;
	once.broker_is_away = refusals[_i].broker_is_away;
	leave(3, 50, 5);
	leave(4, 51, 5);
	ck_assert_int_eq(run_once(), !once.broker_is_away);
	check_calls(refusals[_i].calls);
	ck_assert_uint_eq(recovery_count_waiting(world.recovery), !once.broker_is_away);
	replace_burst(1, 2); /* another worker does not try it, either */
	once.used_slots = 0;
	text_free(&once.calls);
	if (!once.broker_is_away)
		ck_assert(burst_recover(world.burst, &world.error));
	check_calls("");
	end_once();
}
END_TEST

START_TEST(who_is_gone_without_having_prepared_is_fenced)
{
	begin_once(0);
	once.used_slots = UINT64_C(1) << 9;
	ck_assert(run_once());
	check_calls("take fence read");
	text_free(&once.calls);
	once.used_slots = 0;
	for (size_t i = 0; i < 2; i++) /* once */
		ck_assert(burst_recover(world.burst, &world.error));
	check_calls("borrow fence read return");
	end_once();
}
END_TEST

START_TEST(what_living_senders_have_prepared_is_left_alone)
{
	begin_once(0);
	once.others_are_alive = true;
	leave(3, 50, 5);
	ck_assert(run_once());
	check_calls("take borrow fence read");
	ck_assert_uint_eq(once.prepared_count, 1);
	end_once();
}
END_TEST

START_TEST(what_another_role_prepared_keeps_its_number)
{
	begin_once(0);
	once.stored = 50;
	once.is_anothers = true;
	leave(7, 50, 5);
	ck_assert(run_once());
	ck_assert_ptr_nonnull(strstr(once.calls.text, "take fence read leave take fence read"));
	ck_assert_int_eq(once.prepared[0].number, 50);
	end_once();
}
END_TEST

/* With another delivery. */
START_TEST(what_an_earlier_configuration_left_is_decided)
{
	begin_once(0);
	world.fixture.config.delivery = DELIVERY_AT_LEAST_ONCE;
	replace_burst((unsigned)_i, 2);
	once.stored = 50;
	leave(3, 50, 5);
	ck_assert(run_once());
	check_calls("borrow fence read COMMIT return");
	check_logged("warning: exactly-once: a sender is gone that had prepared a transaction, in "
		     "slot 3 of instance \"it\": its messages are stored, so it is committed\n");
	ck_assert(run_once());
	check_calls("");
	end_once();
}
END_TEST

START_TEST(what_cannot_be_decided_stops_no_other_delivery)
{
	begin_once(0);
	world.fixture.config.delivery = DELIVERY_AT_LEAST_ONCE;
	replace_burst(0, 1);
	once.fence_fails = true;
	leave(3, 50, 5);
	ck_assert(run_once());
	check_calls("borrow fence return");
	end_once();
}
END_TEST

int main(void)
{
	const struct test tests[] = {
		{ a_burst_is_prepared_then_committed_in_kafka_and_then_here, 1, 0 },
		{ after_doubt_it_fences_reads_and_then_decides, COUNT(doubts), 0 },
		{ without_an_answer_it_stays_prepared_until_there_is_one, 1, 0 },
		{ without_its_session_it_does_not_fence, 1, 0 },
		{ without_another_burst_it_is_decided_too, 1, 0 },
		{ a_number_that_cannot_be_stored_fails_the_burst, 1, 0 },
		{ what_no_standby_has_is_not_committed_in_kafka, 1, 0 },
		{ a_claim_that_fails_midway_leaves_nothing_open, 1, 0 },
		{ a_rejected_message_is_found_in_transactions_that_are_aborted, 1, 0 },
		{ good_messages_are_sent_again_until_their_batches_are_small_enough, 1, 0 },
		{ batches_that_stay_too_large_fail_the_burst, 1, 0 },
		{ what_is_known_to_be_good_when_time_is_up_is_sent, COUNT(paces), 0 },
		{ what_the_broker_stores_without_the_rest_is_not_deleted, 1, 0 },
		{ a_row_that_cannot_go_after_all_rolls_everything_back, 1, 0 },
		{ what_others_left_is_decided_before_the_first_claim, COUNT(leftovers), 0 },
		{ what_the_broker_has_lost_is_decided_by_hand, 2, 0 },
		{ a_number_after_which_there_is_none, 1, 0 },
		{ any_topic_tells_whether_numbers_are_up_to_date, COUNT(probes), 0 },
		{ a_slot_that_cannot_be_resolved_stops_no_other, COUNT(refusals), 0 },
		{ who_is_gone_without_having_prepared_is_fenced, 1, 0 },
		{ what_living_senders_have_prepared_is_left_alone, 1, 0 },
		{ what_another_role_prepared_keeps_its_number, 1, 0 },
		{ what_an_earlier_configuration_left_is_decided, 2, 0 },
		{ what_cannot_be_decided_stops_no_other_delivery, 1, 0 },
	};
	return suite_run("burst_transaction", tests, COUNT(tests));
}
