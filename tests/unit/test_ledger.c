#include "model/ledger.h"

#include "suite.h"

#include <signal.h>
#include <string.h>

#define SLOTS_MAX 16

/* Verdicts by letter: s stored, u unsent, l late, t topic, r rejected, - none yet. */
static enum verdict verdict_of(char letter)
{
	static const char letters[] = "-sulath?r";
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
	struct row_outcome d[5];
	struct ledger l = { 0 };
	ledger_begin(&l, 42, 5);
	ck_assert_uint_eq(l.burst, 42);
	ck_assert_uint_eq(l.count, 5);
	ck_assert(!ledger_complete(&l));
	ck_assert_uint_eq(ledger_decide(&l, (struct ledger_rules){ .dead_letters = true }, d), 0);
	ledger_free(&l);
	ck_assert_ptr_null(l.entries);
}
END_TEST

START_TEST(it_is_complete_when_each_slot_has_a_verdict)
{
	struct ledger l = ledger_of("---");
	ck_assert(ledger_record(&l, 2, VERDICT_UNKNOWN, "late"));
	ck_assert(ledger_record(&l, 0, VERDICT_STORED, NULL));
	ck_assert(!ledger_complete(&l));
	ck_assert(ledger_record(&l, 1, VERDICT_REJECTED, "bad"));
	ck_assert(ledger_complete(&l));
	ledger_free(&l);
}
END_TEST

START_TEST(an_empty_ledger_is_complete)
{
	struct row_outcome d = { 0 };
	struct ledger l = { 0 };
	ledger_begin(&l, 1, 0);
	ck_assert(ledger_complete(&l));
	ck_assert(ledger_all_stored(&l));
	ck_assert_uint_eq(ledger_failure(&l, (struct ledger_rules){ 0 }, NULL), 0);
	ck_assert_uint_eq(
		ledger_decide(
			&l, (struct ledger_rules){ .in_order = true, .dead_letters = true }, &d),
		0);
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

/* What becomes of each row: d it is deleted, x it becomes a dead letter, . it stays.  And which
 * slot decides what is wrong. */
static const struct {
	const char *verdicts;
	const char *any, *in_order;
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

/* What becomes of the rows, and which slot decides. */
static size_t decide(const struct ledger *l, struct ledger_rules rules, char *outcomes)
{
	static const char letters[] = {
		[OUTCOME_KEEP] = '.', [OUTCOME_DELETE] = 'd', [OUTCOME_DEAD_LETTER] = 'x'
	};
	struct row_outcome d[SLOTS_MAX];
	size_t leaving = 0;
	memset(d, 1, sizeof d);
	size_t count = ledger_decide(l, rules, d);
	for (size_t i = 0; i < l->count; i++) {
		outcomes[i] = letters[d[i].outcome];
		leaving += d[i].outcome != OUTCOME_KEEP;
		if (d[i].outcome == OUTCOME_DEAD_LETTER)
			ck_assert_ptr_eq(d[i].reason, l->entries[i].reason);
		else
			ck_assert_ptr_null(d[i].reason);
	}
	outcomes[l->count] = '\0';
	ck_assert_uint_eq(count, leaving);
	return ledger_failure(l, rules, d);
}

START_TEST(only_what_is_stored_is_deleted)
{
	char outcomes[SLOTS_MAX + 1];
	struct ledger l = ledger_of(books[_i].verdicts);
	ck_assert_uint_eq(decide(&l, (struct ledger_rules){ 0 }, outcomes), books[_i].failure);
	ck_assert_str_eq(outcomes, books[_i].any);
	ck_assert_uint_eq(decide(&l, (struct ledger_rules){ .in_order = true }, outcomes),
		strspn(books[_i].verdicts, "s"));
	ck_assert_str_eq(outcomes, books[_i].in_order);
	ck_assert_int_eq(ledger_all_stored(&l), books[_i].failure == strlen(books[_i].verdicts));
	ledger_free(&l);
}
END_TEST

/* The same where what is rejected becomes a dead letter. */
static const struct {
	const char *verdicts;
	const char *any;
	size_t failure;
	const char *in_order;
	size_t failure_in_order;
} rejections[] = {
	{ "r", "x", 1, "x", 1 },
	{ "ssrs", "ddxd", 4, "ddx.", 4 },
	{ "ssru", "ddx.", 3, "ddx.", 4 },
	{ "ssrl", "ddx.", 3, "ddx.", 4 },
	{ "srrut", "dxx..", 4, "dx...", 5 },
	{ "slru", "d.x.", 1, "d...", 1 },
	{ "tsrr", ".dxx", 0, "....", 0 },
	{ "rslr", "xd.x", 2, "x...", 4 },
	{ "rsrls", "xdx.d", 3, "x....", 5 },
	{ "rr-", "xx.", 2, "x..", 3 },
	{ "ssss", "dddd", 4, "dddd", 4 },
};

START_TEST(rejected_rows_become_dead_letters_and_in_order_nothing_overtakes)
{
	char outcomes[SLOTS_MAX + 1];
	struct ledger l = ledger_of(rejections[_i].verdicts);
	ck_assert_uint_eq(decide(&l, (struct ledger_rules){ .dead_letters = true }, outcomes),
		rejections[_i].failure);
	ck_assert_str_eq(outcomes, rejections[_i].any);
	ck_assert_uint_eq(
		decide(&l, (struct ledger_rules){ .in_order = true, .dead_letters = true },
			outcomes),
		rejections[_i].failure_in_order);
	ck_assert_str_eq(outcomes, rejections[_i].in_order);
	ledger_free(&l);
}
END_TEST

/* With causes by digit, 0 for none; and those of the dead letters before. */
static const struct {
	const char *verdicts, *causes;
	const char *any, *in_order;
	const char *before;
} alikes[] = {
	{ "r", "7", "x", "x", "" }, /* nobody can say for a single one … */
	{ "r", "7", "x", "x", "7" },
	{ "r", "7", ".", ".", "77" }, /* … but of several, one after another */
	{ "r", "7", "x", "x", "88" },
	{ "r", "7", "x", "x", "778" },
	{ "r", "0", "x", "x", "77" },
	{ "rr", "70", ".x", "..", "77" },
	{ "sr", "77", "dx", "dx", "77" },
	{ "lr", "77", ".x", "..", "77" },
	{ "rr", "77", "..", "x.", "" },
	{ "rrrr", "7777", "....", "x...", "" },
	{ "rr", "78", "xx", "..", "77" },
	{ "rrr", "770", "..x", "x..", "" },
	{ "r?r", "707", ".x.", "x..", "" },
	{ "rhr", "707", "...", "x..", "" },
	{ "r?", "70", "xx", "x.", "" },
	{ "rr", "00", "xx", "x.", "" }, /* the columns make no message: the rows' own */
	{ "rrs", "770", "xxd", "x..", "" },
	{ "rrl", "777", "xx.", "x..", "" },
	{ "rrt", "777", "xx.", "x..", "" },
	{ "?", "0", "x", "x", "?" }, /* the same of what cannot be read */
	{ "?", "0", ".", ".", "??" },
	{ "?", "0", "x", "x", "77" },
	{ "??", "00", "..", "x.", "" },
	{ "??s", "000", "xxd", "x..", "" },
	{ "??r", "007", "..x", "x..", "" },
};

/* The dead letters before a burst, each in one of its own. */
static struct ledger_run run_of(const char *causes)
{
	const struct row_outcome dead_letter = { OUTCOME_DEAD_LETTER, NULL };
	struct ledger_run run = { 0 };
	for (; *causes != '\0'; causes++) {
		struct ledger l = ledger_of(*causes == '?' ? "?" : "r");
		ledger_explain(&l, 0, *causes == '?' ? 0 : *causes - '0', BLAME_SHARED);
		ledger_run_on(&run, &l, &dead_letter);
		ledger_free(&l);
	}
	return run;
}

START_TEST(rows_that_fail_alike_are_kept)
{
	char outcomes[SLOTS_MAX + 1];
	const struct ledger_run before = run_of(alikes[_i].before);
	struct ledger_rules rules = { .dead_letters = true, .before = before };
	const char *verdicts = alikes[_i].verdicts;
	struct ledger l = ledger_of(verdicts);
	for (size_t i = 0; i < l.count; i++)
		ledger_explain(&l, i, alikes[_i].causes[i] - '0', BLAME_SHARED);
	bool is_alike = alikes[_i].any[0] == '.' && verdicts[0] != 'l';
	ck_assert_int_eq(ledger_failed_alike(&l, rules, verdict_of(verdicts[0])), is_alike);
	size_t failure = decide(&l, rules, outcomes);
	ck_assert_str_eq(outcomes, alikes[_i].any);
	if (is_alike)
		ck_assert_uint_eq(failure, 0);
	rules.in_order = true;
	decide(&l, rules, outcomes);
	ck_assert_str_eq(outcomes, alikes[_i].in_order);
	ledger_free(&l);
}
END_TEST

START_TEST(what_is_stored_ends_a_run_of_dead_letters)
{
	const struct row_outcome d[] = { { OUTCOME_DEAD_LETTER, NULL }, { OUTCOME_DELETE, NULL } };
	struct ledger_run run = run_of("777");
	ck_assert_uint_eq(run.count, 3);
	struct ledger late = ledger_of("l"), both = ledger_of("rs");
	ledger_run_on(&run, &late, &(struct row_outcome){ OUTCOME_KEEP, NULL });
	ck_assert_uint_eq(run.count, 3);
	ledger_explain(&both, 0, 7, BLAME_SHARED);
	ledger_run_on(&run, &both, d);
	ck_assert_uint_eq(run.count, 0);
	ledger_free(&late);
	ledger_free(&both);
}
END_TEST

START_TEST(a_second_attempt_replaces_the_verdict_and_the_reason)
{
	struct ledger l = ledger_of("--");
	struct ledger attempt = ledger_of("-s");
	ledger_record(&l, 0, VERDICT_REJECTED, "with others");
	ledger_record(&l, 1, VERDICT_REJECTED, "with others");
	ledger_explain(&l, 1, 7, BLAME_SHARED);
	ledger_record(&attempt, 0, VERDICT_UNKNOWN, "no answer");
	ledger_explain(&attempt, 0, 9, BLAME_SOLE);
	ledger_replace(&l, 1, &attempt, 0);
	ck_assert_int_eq(l.entries[1].verdict, VERDICT_UNKNOWN);
	ck_assert_str_eq(l.entries[1].reason, "no answer");
	ck_assert_int_eq(l.entries[1].cause, 9);
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
	struct row_outcome d[SLOTS_MAX];
	struct ledger l = { 0 };
	for (size_t k = 0; k < COUNT(counts); k++) {
		ledger_begin(&l, k, counts[k]);
		ck_assert_uint_eq(l.burst, k);
		ck_assert_uint_eq(l.open, counts[k]);
		ck_assert_uint_eq(
			ledger_decide(&l, (struct ledger_rules){ .dead_letters = true }, d), 0);
		for (size_t i = 0; i < counts[k]; i++) {
			ck_assert_ptr_null(l.entries[i].reason);
			ck_assert(ledger_record(&l, i, VERDICT_STORED, "why"));
		}
	}
	ledger_free(&l);
}
END_TEST

START_TEST(a_shortened_ledger_has_no_slots_after_its_end)
{
	struct ledger l = ledger_of("s-r-");
	ledger_truncate(&l, 3);
	ck_assert_uint_eq(l.count, 3);
	ck_assert_uint_eq(l.open, 1);
	ck_assert(!ledger_record(&l, 3, VERDICT_STORED, NULL));
	ledger_truncate(&l, 1);
	ck_assert(ledger_complete(&l));
	ck_assert(ledger_all_stored(&l));
	ledger_truncate(&l, 2);
	ck_assert_uint_eq(l.count, 1);
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
		{ only_what_is_stored_is_deleted, COUNT(books), 0 },
		{ rejected_rows_become_dead_letters_and_in_order_nothing_overtakes,
			COUNT(rejections), 0 },
		{ rows_that_fail_alike_are_kept, COUNT(alikes), 0 },
		{ what_is_stored_ends_a_run_of_dead_letters, 1, 0 },
		{ a_second_attempt_replaces_the_verdict_and_the_reason, 1, 0 },
		{ an_attempt_that_is_not_over_replaces_nothing, 1, SIGABRT },
		{ what_has_no_verdict_is_not_replaced, 1, SIGABRT },
		{ a_ledger_is_begun_again_and_again, 1, 0 },
		{ a_shortened_ledger_has_no_slots_after_its_end, 1, 0 },
	};
	return suite_run("ledger", tests, COUNT(tests));
}
