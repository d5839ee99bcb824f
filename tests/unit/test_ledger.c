#include "ledger.h"

#include "suite.h"

#include <signal.h>
#include <string.h>

#define SLOTS_MAX 16

/* Verdicts by letter: s stored, u unsent, l late, t topic, r rejected, - none yet. */
static enum verdict verdict_of(char letter)
{
	static const char letters[] = "-sultr";
	return (enum verdict)(strchr(letters, letter) - letters);
}

static struct ledger ledger_of(const char *verdicts)
{
	struct ledger l = { 0 };
	ledger_begin(&l, 7, strlen(verdicts));
	for (size_t i = 0; verdicts[i] != '\0'; i++)
		if (verdicts[i] != '-')
			ck_assert(ledger_record(&l, i, verdict_of(verdicts[i]), NULL));
	return l;
}

START_TEST(a_new_ledger_has_no_verdicts)
{
	bool deletable[5];
	struct ledger l = { 0 };
	ledger_begin(&l, 42, 5);
	ck_assert_uint_eq(l.burst, 42);
	ck_assert_uint_eq(l.count, 5);
	ck_assert(!ledger_complete(&l));
	ck_assert_uint_eq(ledger_deletable(&l, false, deletable), 0);
	ledger_free(&l);
	ck_assert_ptr_null(l.entries);
}
END_TEST

START_TEST(it_is_complete_when_each_slot_has_a_verdict)
{
	struct ledger l = ledger_of("---");
	ck_assert(ledger_record(&l, 2, VERDICT_LATE, "late"));
	ck_assert(ledger_record(&l, 0, VERDICT_STORED, NULL));
	ck_assert(!ledger_complete(&l));
	ck_assert(ledger_record(&l, 1, VERDICT_REJECTED, "bad"));
	ck_assert(ledger_complete(&l));
	ledger_free(&l);
}
END_TEST

START_TEST(an_empty_ledger_is_complete)
{
	bool deletable = true;
	struct ledger l = { 0 };
	ledger_begin(&l, 1, 0);
	ck_assert(ledger_complete(&l));
	ck_assert_uint_eq(ledger_failure(&l), 0);
	ck_assert_uint_eq(ledger_deletable(&l, true, &deletable), 0);
	ledger_free(&l);
}
END_TEST

START_TEST(the_first_verdict_stands)
{
	struct ledger l = ledger_of("sr-");
	ck_assert(!ledger_record(&l, 0, VERDICT_REJECTED, "again"));
	ck_assert(!ledger_record(&l, 1, VERDICT_STORED, NULL));
	ck_assert_int_eq(l.entries[0].verdict, VERDICT_STORED);
	ck_assert_ptr_null(l.entries[0].reason);
	ck_assert_int_eq(l.entries[1].verdict, VERDICT_REJECTED);
	ck_assert(!ledger_complete(&l));
	ledger_free(&l);
}
END_TEST

START_TEST(slots_out_of_range_and_no_verdicts_are_refused)
{
	struct ledger l = ledger_of("--");
	ck_assert(!ledger_record(&l, 2, VERDICT_STORED, NULL));
	ck_assert(!ledger_record(&l, (size_t)-1, VERDICT_STORED, NULL));
	ck_assert(!ledger_record(&l, 0, VERDICT_NONE, "nothing"));
	ck_assert_uint_eq(l.open, 2);
	ledger_free(&l);
}
END_TEST

START_TEST(reasons_are_copied)
{
	char reason[] = "too large";
	struct ledger l = ledger_of("-");
	ledger_record(&l, 0, VERDICT_REJECTED, reason);
	reason[0] = 'X';
	ck_assert_str_eq(l.entries[0].reason, "too large");
	ledger_free(&l);
}
END_TEST

static const struct {
	const char *verdicts;
	const char *any, *in_order; /* d: deletable */
	size_t failure;
} books[] = {
	{ "s", "d", "d", 1 },
	{ "r", ".", ".", 0 },
	{ "-", ".", ".", 0 },
	{ "ssss", "dddd", "dddd", 4 },
	{ "sssl", "ddd.", "ddd.", 3 },
	{ "lsss", ".ddd", "....", 0 },
	{ "ssls", "dd.d", "dd..", 2 },
	{ "suss", "d.dd", "d...", 1 },
	{ "s-ss", "d.dd", "d...", 1 },
	{ "stsr", "d.d.", "d...", 3 },
	{ "lltt", "....", "....", 2 },
	{ "ultr", "....", "....", 3 },
	{ "rlur", "....", "....", 0 },
	{ "slur", "d...", "d...", 3 },
	{ "suul", "d...", "d...", 3 },
	{ "-u--", "....", "....", 1 },
	{ "srsrsr", "d.d.d.", "d.....", 1 },
};

START_TEST(only_what_is_stored_is_deletable)
{
	bool deletable[SLOTS_MAX];
	struct ledger l = ledger_of(books[_i].verdicts);
	for (int in_order = 0; in_order < 2; in_order++) {
		const char *expected = in_order ? books[_i].in_order : books[_i].any;
		size_t expected_count = 0;
		memset(deletable, 1, sizeof deletable);
		size_t count = ledger_deletable(&l, in_order, deletable);
		for (size_t i = 0; expected[i] != '\0'; i++) {
			ck_assert_int_eq(deletable[i], expected[i] == 'd');
			expected_count += expected[i] == 'd';
		}
		ck_assert_uint_eq(count, expected_count);
	}
	ledger_free(&l);
}
END_TEST

START_TEST(the_heaviest_verdict_is_the_failure_and_the_first_of_them)
{
	struct ledger l = ledger_of(books[_i].verdicts);
	ck_assert_uint_eq(ledger_failure(&l), books[_i].failure);
	ledger_free(&l);
}
END_TEST

START_TEST(in_order_the_first_that_is_not_stored_is_the_failure)
{
	struct ledger l = ledger_of(books[_i].verdicts);
	ck_assert_uint_eq(ledger_first_failure(&l), strspn(books[_i].verdicts, "s"));
	ledger_free(&l);
}
END_TEST

START_TEST(a_second_attempt_replaces_the_verdict_and_the_reason)
{
	struct ledger l = ledger_of("--");
	struct ledger attempt = ledger_of("-s");
	ledger_record(&l, 0, VERDICT_REJECTED, "with others");
	ledger_record(&l, 1, VERDICT_REJECTED, "with others");
	ledger_record(&attempt, 0, VERDICT_LATE, "no answer");
	ledger_replace(&l, 1, &attempt, 0);
	ck_assert_int_eq(l.entries[1].verdict, VERDICT_LATE);
	ck_assert_str_eq(l.entries[1].reason, "no answer");
	ck_assert_ptr_ne(l.entries[1].reason, attempt.entries[0].reason);
	ledger_replace(&l, 0, &attempt, 1);
	ck_assert_int_eq(l.entries[0].verdict, VERDICT_STORED);
	ck_assert_ptr_null(l.entries[0].reason);
	ck_assert(ledger_complete(&l));
	ledger_free(&attempt);
	ledger_free(&l);
}
END_TEST

START_TEST(an_attempt_that_is_not_over_replaces_nothing)
{
	struct ledger l = ledger_of("r");
	struct ledger attempt = ledger_of("-");
	ledger_replace(&l, 0, &attempt, 0);
}
END_TEST

START_TEST(what_has_no_verdict_is_not_replaced)
{
	struct ledger l = ledger_of("-");
	struct ledger attempt = ledger_of("s");
	ledger_replace(&l, 0, &attempt, 0);
}
END_TEST

/* Long, short, long: nothing of an earlier burst shows in a later one. */
START_TEST(a_ledger_is_begun_again_and_again)
{
	static const size_t counts[] = { 8, 3, 8, 0, 12 };
	bool deletable[SLOTS_MAX];
	struct ledger l = { 0 };
	for (size_t k = 0; k < COUNT(counts); k++) {
		ledger_begin(&l, k, counts[k]);
		ck_assert_uint_eq(l.burst, k);
		ck_assert_uint_eq(l.open, counts[k]);
		ck_assert_uint_eq(ledger_deletable(&l, false, deletable), 0);
		for (size_t i = 0; i < counts[k]; i++) {
			ck_assert_ptr_null(l.entries[i].reason);
			ck_assert(ledger_record(&l, i, VERDICT_STORED, "why"));
		}
	}
	ledger_free(&l);
}
END_TEST

int main(void)
{
	const struct test tests[] = {
		{ a_new_ledger_has_no_verdicts, 1, 0 },
		{ it_is_complete_when_each_slot_has_a_verdict, 1, 0 },
		{ an_empty_ledger_is_complete, 1, 0 },
		{ the_first_verdict_stands, 1, 0 },
		{ slots_out_of_range_and_no_verdicts_are_refused, 1, 0 },
		{ reasons_are_copied, 1, 0 },
		{ only_what_is_stored_is_deletable, COUNT(books), 0 },
		{ the_heaviest_verdict_is_the_failure_and_the_first_of_them, COUNT(books), 0 },
		{ in_order_the_first_that_is_not_stored_is_the_failure, COUNT(books), 0 },
		{ a_second_attempt_replaces_the_verdict_and_the_reason, 1, 0 },
		{ an_attempt_that_is_not_over_replaces_nothing, 1, SIGABRT },
		{ what_has_no_verdict_is_not_replaced, 1, SIGABRT },
		{ a_ledger_is_begun_again_and_again, 1, 0 },
	};
	return suite_run("ledger", tests, COUNT(tests));
}
