#include "relay/burst.h"

#include "burst_world.h"

static const enum claim_kind kinds[] = { CLAIM_FIRST, CLAIM_BY_KEY, CLAIM_ORDERED };

START_TEST(all_that_is_stored_is_deleted)
{
	begin();
	script.rows = 8;
	ck_assert(run(kinds[_i]));
	check_deleted("dddddddd");
	ck_assert_uint_eq(seen.attempt_count, 1);
	ck_assert_uint_eq(seen.attempts[0].sent, 8);
	for (size_t row = 0; row < 8; row++)
		ck_assert_uint_eq(seen.attempts[0].rows[row], row);
	ck_assert_uint_eq(world.result.sent, 8);
	ck_assert_int_eq(world.result.from_start, kinds[_i] == CLAIM_FIRST);
	end();
}
END_TEST

START_TEST(nothing_claimed_is_nothing_sent_or_settled)
{
	begin();
	ck_assert(run(kinds[_i]));
	ck_assert_uint_eq(seen.attempt_count, 0);
	ck_assert_uint_eq(seen.settles + seen.abandons, 0);
	end();
}
END_TEST

/* Errors that a claim or a settling ends with. */
static const enum error_kind database_errors[] = { ERROR_CONNECTION, ERROR_CONFLICT, ERROR_PLAN,
	ERROR_DATABASE };

START_TEST(a_claim_that_fails_is_the_burst_s_failure)
{
	begin();
	script.rows = 3;
	script.claim_error = database_errors[_i];
	ck_assert(!run(CLAIM_FIRST));
	ck_assert_int_eq(world.error.kind, database_errors[_i]);
	ck_assert_str_eq(world.error.text, "the claim failed");
	ck_assert_uint_eq(seen.attempt_count, 0);
	ck_assert_uint_eq(seen.settles + seen.abandons, 0);
	end();
}
END_TEST

START_TEST(what_was_sent_during_a_claim_that_fails_is_awaited)
{
	begin();
	script.rows = 3;
	script.streamed = 2;
	script.claim_error = database_errors[_i];
	ck_assert(!run(CLAIM_FIRST));
	ck_assert_int_eq(world.error.kind, database_errors[_i]);
	ck_assert_str_eq(world.error.text, "the claim failed");
	ck_assert_uint_eq(seen.attempt_count, 1);
	ck_assert_uint_eq(seen.attempts[0].count, 2);
	ck_assert_uint_eq(seen.attempts[0].sent, 2);
	ck_assert_uint_eq(seen.settles + seen.abandons, 0);
	end();
}
END_TEST

START_TEST(with_several_bursts_only_rows_in_order_are_sent_as_they_come)
{
	begin();
	replace_burst(0, 2);
	ck_assert(run(kinds[_i]));
	ck_assert_int_eq(seen.request.on_row != NULL, kinds[_i] == CLAIM_ORDERED);
	end();
}
END_TEST

/* A row that is sent again by itself must not share its batch; in order none does. */
START_TEST(a_burst_takes_a_lane_of_its_worker)
{
	begin();
	replace_burst(3, 4);
	script.rows = 2;
	script.poisoned[1] = true;
	ck_assert(!run(kinds[_i]));
	ck_assert_uint_gt(seen.attempt_count, 1);
	for (size_t i = 0; i < seen.attempt_count; i++) {
		const struct attempt *a = &seen.attempts[i];
		const struct lane *lane = kinds[_i] == CLAIM_ORDERED ? &world.broker.ordered
					  : a->count == 1            ? &world.broker.alone
								     : &world.broker.usual;
		ck_assert_ptr_eq(a->lane, lane);
	}
	ck_assert_uint_eq(seen.worker, 3);
	end();
}
END_TEST

START_TEST(an_unconfirmed_commit_is_reported_and_counted)
{
	begin();
	script.rows = 3;
	script.is_unconfirmed = true;
	ck_assert(!run(CLAIM_FIRST));
	ck_assert_int_eq(world.error.kind, ERROR_UNCONFIRMED);
	ck_assert_uint_eq(seen.abandons, 1); /* of a next claim, which has waited, too */
	ck_assert_uint_eq(world.result.sent, 3);
	ck_assert_uint_eq(seen.deleted_count, 3);
	end();
}
END_TEST

START_TEST(a_settling_that_fails_is_the_burst_s_failure)
{
	begin();
	script.rows = 3;
	script.broker[1] = VERDICT_UNKNOWN;
	script.settle_error = database_errors[_i];
	ck_assert(!run(CLAIM_FIRST));
	ck_assert_int_eq(world.error.kind, database_errors[_i]);
	ck_assert_str_eq(world.error.text, "the settling failed");
	ck_assert_uint_eq(world.result.sent, 0);
	ck_assert_uint_eq(seen.abandons, 0);
	end();
}
END_TEST

START_TEST(rows_that_are_deleted_early_and_all_stored_are_just_settled)
{
	begin();
	script.rows = 3;
	script.early = true;
	ck_assert(run(CLAIM_FIRST));
	ck_assert(!seen.is_kept);
	check_deleted("ddd");
	end();
}
END_TEST

START_TEST(if_no_row_is_stored_there_is_nothing_to_keep)
{
	begin();
	script.rows = 2;
	script.early = true;
	script.broker[0] = script.broker[1] = VERDICT_UNKNOWN;
	ck_assert(!run(CLAIM_FIRST));
	ck_assert(!seen.is_kept);
	ck_assert_uint_eq(seen.abandons, 1);
	end();
}
END_TEST

/* What the broker says of each row: s stored, l nothing, a unavailable, t the topic is missing, r
 * it rejects the row, p and all that goes with it; in capitals, the producer refuses the row for
 * that.  Then what is deleted (d), in how many attempts (0: no matter), and why the rest is not. */
static const struct {
	const char *what;
	enum claim_kind kind;
	const char *first, *again; /* at the first attempt, and at all others where not the same */
	const char *deleted;
	size_t attempts;
	enum error_kind error;
	const char *text; /* in the error's text */
} outcomes[] = {
	{ "late rows stay", CLAIM_FIRST, "slssl", "", "d.dd.", 1, ERROR_BROKER,
		"model \"Order\": 2 of 5 signals were not stored within 30 s: no answer" },
	{ "behind a late row the order ends", CLAIM_ORDERED, "sslss", "", "dd...", 1, ERROR_BROKER,
		"model \"Order\": 3 of 5 signals were not stored within 30 s: no answer" },
	{ "nothing stored is nothing deleted", CLAIM_FIRST, "llll", "", "....", 1, ERROR_BROKER,
		"4 of 4 signals" },
	{ "the same in order", CLAIM_ORDERED, "llll", "", "....", 1, ERROR_BROKER, "4 of 4" },
	{ "why nobody stores them is reported", CLAIM_FIRST, "slas", "", "d..d", 1, ERROR_BROKER,
		"model \"Order\": topic orders: nobody leads it" },
	{ "also before anything is sent", CLAIM_ORDERED, "sAss", "", "d...", 1, ERROR_BROKER,
		"model \"Order\": refused" },
	{ "a missing topic is not its rows' fault", CLAIM_BY_KEY, "tttt", "", "....", 1,
		ERROR_TOPIC, "model \"Order\": topic \"orders\": no such topic" },
	{ "nor in order", CLAIM_ORDERED, "sttt", "", "d...", 1, ERROR_TOPIC, "\"orders\"" },
	{ "a topic weighs more than lateness", CLAIM_FIRST, "lstl", "", ".d..", 1, ERROR_TOPIC,
		"\"orders\"" },
	{ "the first of several bad rows is named", CLAIM_BY_KEY, "sssppsssp", "", "ddd..ddd.", 0,
		ERROR_REJECTED, "signal (id)=(4) was rejected: bad message; it stays in table" },
	{ "each bad row is sent alone", CLAIM_FIRST, "pppppppp", "", "........", 15, ERROR_REJECTED,
		"(id)=(1)" },
	{ "in order the first one is", CLAIM_ORDERED, "pppppppp", "", "........", 4, ERROR_REJECTED,
		"(id)=(1)" },
	{ "what is rejected with others has a second chance", CLAIM_FIRST, "ssrrrs", "ssssss",
		"dddddd", 3, ERROR_NONE, "" },
	{ "in order too, with what is behind", CLAIM_ORDERED, "ssrrrs", "ssssss", "dddddd", 3,
		ERROR_NONE, "" },
	{ "which may fail in other ways", CLAIM_FIRST, "rrrr", "slst", "d.d.", 3, ERROR_TOPIC,
		"no such topic" },
	{ "a bad row leaves late ones late", CLAIM_FIRST, "slrs", "", "d..d", 0, ERROR_REJECTED,
		"(id)=(3)" },
	{ "in order nothing overtakes a late row", CLAIM_ORDERED, "slrrr", "", "d....", 3,
		ERROR_BROKER, "4 of 5" },
	{ "nor one whose topic is missing", CLAIM_ORDERED, "strss", "", "d....", 3, ERROR_TOPIC,
		"no such topic" },
	{ "nor one that is late at the second attempt", CLAIM_ORDERED, "rrrr", "slss", "d...", 2,
		ERROR_BROKER, "3 of 4" },
	{ "nor when it is sent alone", CLAIM_ORDERED, "lpss", "", "....", 3, ERROR_BROKER,
		"4 of 4" },
	{ "a row that the producer refuses fails alone", CLAIM_FIRST, "ssRsss", "", "dd.ddd", 0,
		ERROR_REJECTED, "signal (id)=(3) was rejected: refused" },
	{ "also for lack of time", CLAIM_FIRST, "ssLsss", "", "dd.ddd", 1, ERROR_BROKER, "1 of 6" },
	{ "in order it ends the burst", CLAIM_ORDERED, "ssRsss", "", "dd....", 0, ERROR_REJECTED,
		"signal (id)=(3) was rejected: refused" },
	{ "also for lack of time", CLAIM_ORDERED, "ssLsss", "", "dd....", 1, ERROR_BROKER,
		"4 of 6" },
	{ "also for the topic", CLAIM_ORDERED, "Tsssss", "", "......", 1, ERROR_TOPIC, "refused" },
};

/* Of which message of a rejected batch is at fault something may be known. */
static const struct {
	enum claim_kind kind;
	enum blame blame;
	size_t attempts;
} blames[] = {
	{ CLAIM_ORDERED, BLAME_SHARED, 9 },
	{ CLAIM_ORDERED, BLAME_LIKELY, 4 }, /* all; the two halves of what is before it; it */
	{ CLAIM_ORDERED, BLAME_SOLE, 3 },
	{ CLAIM_FIRST, BLAME_LIKELY, 5 },
};

START_TEST(the_row_that_is_likely_to_blame_is_sent_by_itself)
{
	begin();
	script.rows = 64;
	script.poisoned[40] = true;
	script.blame[40] = blames[_i].blame;
	ck_assert(!run(blames[_i].kind));
	ck_assert_int_eq(world.error.kind, ERROR_REJECTED);
	ck_assert_uint_eq(seen.attempt_count, blames[_i].attempts);
	ck_assert_uint_eq(seen.deleted_count, blames[_i].kind == CLAIM_ORDERED ? 40 : 63);
	end();
}
END_TEST

static void write_script(const char *first, const char *again)
{
	static const char letters[] = "-sulath?r", capitals[] = "-SULATH?R";
	script.rows = strlen(first);
	for (size_t row = 0; row < script.rows; row++) {
		const char *said = strchr(letters, first[row]);
		const char *refused = strchr(capitals, first[row]);
		script.poisoned[row] = first[row] == 'p';
		if (said != NULL)
			script.broker[row] = (enum verdict)(said - letters);
		if (refused != NULL)
			script.producer[row] = (enum verdict)(refused - capitals);
		if (again[0] != '\0')
			script.broker_again[row] =
				(enum verdict)(strchr(letters, again[row]) - letters);
	}
}

/* The same whether none, some or all of the rows are sent while others come, and whether or not
 * they are deleted meanwhile. */
static void check_outcome(int i, size_t part, bool early)
{
	begin();
	write_script(outcomes[i].first, outcomes[i].again);
	script.early = early;
	script.streamed = script.rows * part / 3;
	bool ok = run(outcomes[i].kind);
	check_deleted(outcomes[i].deleted);
	ck_assert_int_eq(ok, outcomes[i].error == ERROR_NONE);
	ck_assert_int_eq(world.error.kind, outcomes[i].error);
	ck_assert_msg(strstr(world.error.text, outcomes[i].text) != NULL, "%s: %s",
		outcomes[i].what, world.error.text);
	if (outcomes[i].attempts > 0)
		ck_assert_msg(seen.attempt_count == outcomes[i].attempts, "%s: %zu attempts",
			outcomes[i].what, seen.attempt_count);
	ck_assert_int_eq(seen.settles == 0, strchr(outcomes[i].deleted, 'd') == NULL);
	end();
}

START_TEST(what_becomes_of_a_burst_depends_on_what_the_broker_says)
{
	for (size_t part = 0; part <= 3; part++)
		for (int early = 0; early < 2; early++)
			check_outcome(_i, part, early == 1);
}
END_TEST

/* The same where rejected rows become dead letters (x). */
static const struct {
	const char *what;
	enum claim_kind kind;
	const char *first;
	const char *after; /* with dead letters … */
	enum error_kind error;
	const char *not_moved; /* … and where those cannot be moved */
} rejections[] = {
	{ "a rejected row is moved", CLAIM_FIRST, "sspss", "ddxdd", ERROR_NONE, "dd.dd" },
	{ "and several", CLAIM_BY_KEY, "psppsssp", "xdxxdddx", ERROR_NONE, ".d..ddd." },
	{ "in order the rest waits", CLAIM_ORDERED, "sspss", "ddx..", ERROR_NONE, "dd..." },
	{ "the first one", CLAIM_ORDERED, "psss", "x...", ERROR_NONE, "...." },
	{ "the last one", CLAIM_ORDERED, "sssp", "dddx", ERROR_NONE, "ddd." },
	{ "one that the producer refuses", CLAIM_FIRST, "sRs", "dxd", ERROR_NONE, "d.d" },
	{ "in order, too", CLAIM_ORDERED, "sRss", "dx..", ERROR_NONE, "d..." },
	{ "alone", CLAIM_ORDERED, "p", "x", ERROR_NONE, "." },
	{ "a late row stays", CLAIM_FIRST, "slps", "d.xd", ERROR_BROKER, "d..d" },
	{ "one whose topic is missing, too", CLAIM_FIRST, "stps", "d.xd", ERROR_TOPIC, "d..d" },
	{ "in order, with what is behind", CLAIM_ORDERED, "slps", "d...", ERROR_BROKER, "d..." },
	{ "a topic is nobody's fault", CLAIM_ORDERED, "tsss", "....", ERROR_TOPIC, "...." },
};

static void move_dead_letters(size_t i, enum error_kind move_error)
{
	begin();
	world.model->dead_letters = text_copy("shop.dead");
	write_script(rejections[i].first, "");
	script.early = i % 2 == 0;
	script.move_error = move_error;
}

START_TEST(rejected_rows_are_moved)
{
	move_dead_letters((size_t)_i, ERROR_NONE);
	bool ok = run(rejections[_i].kind);
	check_deleted(rejections[_i].after);
	ck_assert_msg(ok == (rejections[_i].error == ERROR_NONE), "%s: %s", rejections[_i].what,
		world.error.text);
	ck_assert_int_eq(world.error.kind, rejections[_i].error);
	if (ok && strchr(rejections[_i].after, '.') != NULL)
		ck_assert(world.result.more);
	end();
}
END_TEST

START_TEST(what_cannot_be_moved_stays_and_the_others_are_settled)
{
	move_dead_letters((size_t)_i, ERROR_DATABASE);
	ck_assert(!run(rejections[_i].kind));
	check_deleted(rejections[_i].not_moved);
	if (strchr(rejections[_i].after, 'x') != NULL)
		ck_assert_ptr_nonnull(strstr(
			world.error.text, " cannot be moved to table shop.dead: it is kept"));
	end();
}
END_TEST

START_TEST(a_bad_row_fails_alone)
{
	char expected[] = "dddddddd", text[256];
	begin();
	script.rows = 8;
	script.poisoned[_i] = true;
	ck_assert(!run(CLAIM_FIRST));
	expected[_i] = '.';
	check_deleted(expected);
	snprintf(text, sizeof text,
		"model \"Order\": the message of signal (id)=(%d) was rejected: bad message; it "
		"stays in table shop.\"order\"",
		_i + 1);
	ck_assert_int_eq(world.error.kind, ERROR_REJECTED);
	ck_assert_str_eq(world.error.text, text);
	/* All; then both halves, of the bad one its halves, and so on: 1 + 2 log2(8). */
	ck_assert_uint_eq(seen.attempt_count, 7);
	end();
}
END_TEST

START_TEST(in_order_a_bad_row_stops_what_comes_after_it)
{
	char expected[] = "........";
	begin();
	script.rows = 8;
	script.poisoned[_i] = true;
	ck_assert(!run(CLAIM_ORDERED));
	memset(expected, 'd', (size_t)_i);
	check_deleted(expected);
	ck_assert_int_eq(world.error.kind, ERROR_REJECTED);
	ck_assert_uint_le(seen.attempt_count, 7);
	for (int row = _i + 1; row < 8; row++)
		ck_assert(!seen.stored[row]);
	end();
}
END_TEST

static const size_t burst_sizes[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 17, 33 };

START_TEST(bad_rows_are_isolated_in_bursts_of_any_size)
{
	size_t n = burst_sizes[_i], halvings = 0;
	while ((size_t)1 << halvings < n)
		halvings++;
	for (size_t bad = 0; bad < n; bad++) {
		begin();
		script.rows = n;
		script.poisoned[bad] = true;
		ck_assert(!run(CLAIM_FIRST));
		ck_assert_uint_eq(seen.deleted_count, n - 1);
		ck_assert(!seen.deleted[bad]);
		ck_assert_uint_le(seen.attempt_count, 1 + 2 * halvings + (n == 1));
		end();
	}
}
END_TEST

START_TEST(a_burst_is_run_again_and_again)
{
	static const size_t sizes[] = { 8, 3, 12, 1, 8 };
	begin();
	for (size_t i = 0; i < COUNT(sizes); i++) {
		script = (struct script){ .rows = sizes[i] };
		seen = (struct seen){ 0 };
		if (i % 2 == 0)
			script.broker[sizes[i] - 1] = VERDICT_UNKNOWN;
		ck_assert_int_eq(run(CLAIM_FIRST), i % 2 == 1);
		ck_assert_uint_eq(seen.deleted_count, sizes[i] - (i % 2 == 0));
	}
	end();
}
END_TEST

START_TEST(noted_keys_reach_the_claim)
{
	struct rows keys = { .count = 100 };
	begin();
	script.rows = 2;
	ck_assert(run_order(&(struct burst_order){ .model = world.model,
		.kind = CLAIM_BY_KEY,
		.keys = &keys,
		.first_key = 40,
		.key_count = 7 }));
	ck_assert_int_eq(seen.kind, CLAIM_BY_KEY);
	ck_assert_ptr_eq(seen.request.keys, &keys);
	ck_assert_uint_eq(seen.request.first_key, 40);
	ck_assert_uint_eq(seen.request.key_count, 7);
	end();
}
END_TEST

static bool run_from(struct position *position)
{
	struct burst_order order = {
		.model = world.model, .kind = CLAIM_FIRST, .position = position
	};
	seen = (struct seen){ 0 };
	return run_order(&order);
}

/* Also past rows that fail: the sweep from the beginning finds them. */
START_TEST(a_position_moves_on_with_what_was_claimed)
{
	struct position *position = position_new();
	begin();
	script.claim_error = ERROR_CONFLICT;
	ck_assert(!run_from(position));
	script = (struct script){ .rows = 3, .broker[2] = VERDICT_UNKNOWN };
	ck_assert(!run_from(position));
	ck_assert_int_eq(seen.kind, CLAIM_FIRST);
	ck_assert(world.result.from_start);
	script = (struct script){ .rows = 1 };
	ck_assert(run_from(position));
	ck_assert_int_eq(seen.kind, CLAIM_NEXT);
	ck_assert(!world.result.from_start);
	ck_assert_str_eq(seen.from, "(0,3)");
	script.rows = 0;
	ck_assert(run_from(position));
	ck_assert_str_eq(seen.from, "(0,1)");
	ck_assert(run_from(position));
	ck_assert_str_eq(seen.from, "(0,1)");
	end();
	position_free(position);
}
END_TEST

/* Let the burst be one of several at once, in a backlog whose pages hold four rows. */
static struct position *begin_beside_others(void)
{
	struct position *position = position_new();
	struct row_position place = { 0 };
	place_add(&place, "(9,4)");
	position_set(position, &place, 4);
	replace_burst(0, 2);
	return position;
}

static bool run_in_range(size_t rows)
{
	struct position *position = begin_beside_others();
	struct burst_order order = {
		.model = world.model, .kind = CLAIM_FIRST, .position = position
	};
	script.rows = rows;
	bool ok = burst_run(world.burst, &order, &world.result, &world.error);
	position_free(position);
	return ok;
}

START_TEST(with_several_bursts_each_takes_a_range_and_there_is_more)
{
	begin();
	ck_assert(run_in_range(2));
	ck_assert_int_eq(seen.kind, CLAIM_RANGE);
	ck_assert_uint_eq(seen.claims, 1);
	ck_assert(world.result.more);
	end();
}
END_TEST

START_TEST(after_an_empty_range_it_searches_on_and_there_is_no_more)
{
	begin();
	ck_assert(run_in_range(0));
	ck_assert_int_eq(seen.kind, CLAIM_NEXT);
	ck_assert_str_eq(seen.from, "(9,4)");
	ck_assert_uint_eq(seen.claims, 2);
	ck_assert(!world.result.more);
	end();
}
END_TEST

START_TEST(a_range_that_cannot_be_claimed_is_a_failure)
{
	begin();
	script.claim_error = ERROR_CONFLICT;
	ck_assert(!run_in_range(2));
	ck_assert_uint_eq(seen.claims, 1);
	ck_assert(!world.result.more);
	end();
}
END_TEST

/* Whether the next claim is prefetched; more of the script is set. */
static bool prefetches(struct position *position, bool continues)
{
	struct burst_order order = { .model = world.model,
		.kind = CLAIM_FIRST,
		.position = position,
		.continues = continues };
	seen = (struct seen){ 0 };
	world.error = (struct error){ 0 };
	check_burst(burst_run(world.burst, &order, &world.result, &world.error));
	return seen.is_prefetched;
}

START_TEST(if_all_goes_well_and_there_is_more_the_next_claim_is_prefetched)
{
	struct position *position = position_new();
	begin();
	script = (struct script){ .rows = 3, .more = true };
	ck_assert(!prefetches(position, false));
	ck_assert(prefetches(position, true));
	ck_assert_str_eq(seen.prefetch[0], "(0,3)");
	/* What was prefetched is claimed; and then there is no more. */
	script = (struct script){ .rows = 2 };
	ck_assert(!prefetches(position, true));
	ck_assert_int_eq(seen.kind, CLAIM_NEXT);
	ck_assert_str_eq(seen.from, "(0,3)");
	script = (struct script){ .rows = 3, .more = true, .broker[1] = VERDICT_UNKNOWN };
	ck_assert(!prefetches(position, true));
	script = (struct script){ .rows = 3, .more = true, .claim_error = ERROR_CONFLICT };
	ck_assert(!prefetches(position, true));
	end();
	position_free(position);
}
END_TEST

START_TEST(a_prefetched_claim_that_nobody_takes_is_given_up)
{
	struct position *position = position_new();
	begin();
	burst_discard_prefetch(world.burst);
	ck_assert_uint_eq(seen.abandons, 0);
	script = (struct script){ .rows = 3, .more = true };
	ck_assert(prefetches(position, true));
	ck_assert_uint_eq(seen.abandons, 0);
	burst_discard_prefetch(world.burst);
	ck_assert_uint_eq(seen.abandons, 1);
	burst_discard_prefetch(world.burst);
	ck_assert_uint_eq(seen.abandons, 1);
	/* As one that fails does: the next one claims what it was to have. */
	script.settle_error = ERROR_CONFLICT;
	ck_assert(prefetches(position, true));
	script = (struct script){ .rows = 1 };
	ck_assert(!prefetches(position, true));
	ck_assert_str_eq(seen.from, "(0,3)");
	end();
	position_free(position);
}
END_TEST

START_TEST(with_several_bursts_the_prefetched_range_is_the_next_one)
{
	begin();
	struct position *position = begin_beside_others();
	world.fixture.settings.burst_count = 4;
	script = (struct script){ .rows = 4 };
	ck_assert(prefetches(position, true));
	ck_assert_str_eq(seen.prefetch[0], "(10,4)");
	ck_assert_str_eq(seen.prefetch[1], "(11,4)");
	ck_assert(prefetches(position, true));
	ck_assert_int_eq(seen.kind, CLAIM_RANGE);
	ck_assert_str_eq(seen.from, "(10,4)");
	ck_assert_str_eq(seen.prefetch[0], "(11,4)");
	burst_discard_prefetch(world.burst);
	end();
	position_free(position);
}
END_TEST

/* For a process that was frozen after that: by then others may have the rows. */
START_TEST(the_time_for_sending_counts_from_when_the_server_was_asked)
{
	begin();
	script = (struct script){ .rows = 2, .since = 45 };
	ck_assert(run(CLAIM_FIRST));
	ck_assert(instant_before(seen.deadline, instant_after(seen.claimed, 16)));
	script.streamed = 1;
	script.since = 20;
	seen = (struct seen){ 0 };
	ck_assert(run(CLAIM_FIRST));
	ck_assert(instant_before(seen.stream_deadline, instant_after(seen.claimed, 11)));
	ck_assert(!instant_before(seen.deadline, instant_after(seen.claimed, 29)));
	end();
}
END_TEST

START_TEST(without_a_producer_nothing_is_sent)
{
	begin();
	script = (struct script){ .rows = 3, .no_lane = true };
	ck_assert(!run(CLAIM_ORDERED));
	ck_assert_int_eq(world.error.kind, ERROR_BROKER);
	ck_assert_uint_eq(seen.attempt_count, 0);
	ck_assert_uint_eq(seen.abandons, 1);
	end();
}
END_TEST

START_TEST(freeing_no_burst_is_fine)
{
	burst_free(NULL);
}
END_TEST

static unsigned short jitter[3];

/* Mostly stored, of each failure some. */
static enum verdict by_chance(size_t row)
{
	static const enum verdict verdicts[] = { VERDICT_UNKNOWN, VERDICT_TOPIC, VERDICT_REJECTED };
	(void)row;
	unsigned long n = (unsigned long)nrand48(jitter);
	return n % 6 < COUNT(verdicts) && n / 6 % 2 == 0 ? verdicts[n % 6] : VERDICT_STORED;
}

enum { SEEDS = 100, BURSTS_OF_A_SEED = 30 };

/* Everything by chance, from a fixed list of seeds; what is checked is in the doubles and in
 * check_burst(). */
START_TEST(whatever_happens_only_what_is_stored_is_deleted)
{
	memcpy(jitter, (unsigned short[]){ 1, 2, (unsigned short)_i }, sizeof jitter);
	begin();
	for (int i = 0; i < BURSTS_OF_A_SEED; i++) {
		seen = (struct seen){ 0 };
		script = (struct script){ .rows = (size_t)nrand48(jitter) % 24,
			.oracle = by_chance };
		if (nrand48(jitter) % 8 == 0)
			script.settle_error = ERROR_CONFLICT;
		for (size_t row = 0; row < script.rows; row++) {
			script.poisoned[row] = nrand48(jitter) % 24 == 0;
			if (nrand48(jitter) % 32 == 0)
				script.producer[row] =
					VERDICT_UNKNOWN + (enum verdict)(nrand48(jitter) % 3);
		}
		run(kinds[nrand48(jitter) % 3]);
	}
	end();
}
END_TEST

/* Rows that the database refuses to delete (-), or cannot read (x), are not sent, and the others
 * are; in order, such a row is a claim's last. */
static const struct {
	const char *rows;
	enum claim_kind kind;
	const char *deleted, *with_dead_letters;
} refusals[] = {
	{ "s-s", CLAIM_FIRST, "d.d", "d.d" },
	{ "---", CLAIM_FIRST, "...", "..." },
	{ "-rs", CLAIM_FIRST, "..d", ".xd" },
	{ "s-", CLAIM_ORDERED, "d.", "d." },
	{ "sl-", CLAIM_ORDERED, "d..", "d.." },
	{ "sr-", CLAIM_ORDERED, "d..", "dx." },
	{ "-", CLAIM_ORDERED, ".", "." },
	{ "sxs", CLAIM_FIRST, "d.d", "dxd" },
	{ "x-", CLAIM_FIRST, "..", "x." },
	{ "sx", CLAIM_ORDERED, "d.", "dx" },
};

static void write_refusals(const char *rows)
{
	char said[ROWS_MAX + 1];
	snprintf(said, sizeof said, "%s", rows);
	for (size_t row = 0; said[row] != '\0'; row++)
		if (said[row] == '-' || said[row] == 'x') {
			script.refused[row] = said[row] == '-';
			script.unreadable[row] = said[row] == 'x';
			said[row] = 's';
		}
	write_script(said, "");
	script.early = true;
}

START_TEST(rows_that_cannot_be_deleted_are_not_sent)
{
	begin();
	write_refusals(refusals[_i / 2].rows);
	if (_i % 2 == 1)
		world.model->dead_letters = text_copy("shop.dead");
	run(refusals[_i / 2].kind);
	check_deleted(_i % 2 == 1 ? refusals[_i / 2].with_dead_letters : refusals[_i / 2].deleted);
	if (strpbrk(refusals[_i / 2].rows, "rx") == NULL &&
		strchr(refusals[_i / 2].rows, 'l') == NULL) {
		ck_assert_int_eq(world.error.kind, ERROR_DATABASE);
		ck_assert_ptr_nonnull(strstr(world.error.text,
			" cannot be deleted from table shop.\"order\", so it is "
			"not sent: it is referred to"));
	}
	end();
}
END_TEST

/* Bursts of one row: two may die of one cause, one after the other, and then no more until one is
 * stored. */
START_TEST(single_rows_that_fail_alike_are_not_all_at_fault)
{
	static const char rows[] = "xx..sxx.";
	bool in_order = _i % 2 == 1, is_read = _i >= 2;
	begin();
	world.model->dead_letters = text_copy("shop.dead");
	for (size_t i = 0; rows[i] != '\0'; i++) {
		seen = (struct seen){ 0 };
		script = (struct script){ .rows = 1, .cause = 7 };
		script.unreadable[0] = is_read && rows[i] != 's';
		script.broker[0] = !is_read && rows[i] != 's' ? VERDICT_REJECTED : VERDICT_STORED;
		bool ok = run(in_order ? CLAIM_ORDERED : CLAIM_FIRST);
		ck_assert_int_eq(ok, rows[i] != '.');
		check_deleted(rows[i] == 's' ? "d" : rows[i] == 'x' ? "x" : ".");
		if (!ok && !is_read)
			ck_assert_ptr_nonnull(strstr(world.error.text,
				": several messages in succession were rejected for the same "
				"reason, so not for their content: bad message; "));
	}
	end();
}
END_TEST

static void note_first(void *arg, const struct error *e, enum deferral_news news)
{
	struct error *first = arg;
	(void)news;
	if (first->kind == ERROR_NONE)
		*first = *e;
}

/* Rows that are stored, but kept by the server since others stay (k), are put off with these; in
 * order, they are where the deletion ends. */
START_TEST(what_is_sent_and_kept_is_put_off)
{
	static const struct {
		const char *rows;
		enum claim_kind kind;
		const char *deleted, *reason;
		size_t put_off;
	} cases[] = {
		{ "ks-r", CLAIM_FIRST, ".d..", NULL, 3 },
		{ "ksrs", CLAIM_FIRST, ".d.d", NULL, 2 },
		{ "ksls", CLAIM_FIRST, ".d.d", "were not stored", 1 },
		{ "sksr", CLAIM_ORDERED, "d...", "signal (id)=(4) was rejected", 0 },
	};
	char rows[ROWS_MAX + 1], text[] = "signal (id)=(1) cannot be deleted from table "
					  "shop.\"order\", so it is sent again: it is kept";
	struct error first = { 0 };
	begin();
	snprintf(rows, sizeof rows, "%s", cases[_i].rows);
	char *kept = strchr(rows, 'k');
	*kept = 's';
	write_refusals(rows);
	script.kept[kept - rows] = true;
	bool in_order = cases[_i].kind == CLAIM_ORDERED;
	struct deferral *deferral = deferral_new(note_first, &first);
	bool ok = run_order(&(struct burst_order){ .model = world.model,
		.kind = cases[_i].kind,
		.deferral = in_order ? NULL : deferral });
	check_deleted(cases[_i].deleted);
	ck_assert_int_eq(ok, cases[_i].reason == NULL);
	if (!ok)
		ck_assert_ptr_nonnull(strstr(world.error.text, cases[_i].reason));
	if (!in_order) {
		ck_assert_uint_eq(world.result.put_off, cases[_i].put_off);
		ck_assert_ptr_nonnull(strstr(first.text, text));
		ck_assert_int_eq(first.kind, ERROR_DATABASE);
	}
	deferral_free(deferral);
	end();
}
END_TEST

/* Rows that are deferred (p), and what is reported of them; the others are settled as ever. */
static const struct {
	const char *topic, *rows, *becomes;
	enum error_kind error, put_off_for;
	size_t told; /* of different reasons */
} put_offs[] = {
	{ "orders", "srs", "dpd", ERROR_NONE, ERROR_REJECTED, 1 },
	{ "orders", "rr", "pp", ERROR_NONE, ERROR_REJECTED, 2 },
	{ "orders", "s-r", "dpp", ERROR_NONE, ERROR_REJECTED, 2 },
	{ "orders", "rl", "p.", ERROR_BROKER, ERROR_REJECTED, 1 },
	{ "orders", "st", "d.", ERROR_TOPIC, ERROR_NONE, 0 }, /* it is all rows' */
	{ "t-{id}", "sts", "dpd", ERROR_NONE, ERROR_TOPIC, 1 },
	{ "t", "ss", "dd", ERROR_NONE, ERROR_NONE, 0 },
};

static size_t told;

static void count_told(void *arg, const struct error *e, enum deferral_news news)
{
	ck_assert_ptr_eq(arg, &told);
	ck_assert_int_ne(e->kind, ERROR_NONE);
	told += news == DEFERRAL_NEW;
}

START_TEST(rows_that_fail_for_themselves_are_put_off)
{
	begin();
	model_free(world.model);
	world.fixture.settings.topic = put_offs[_i].topic;
	world.model = resolve();
	write_refusals(put_offs[_i].rows);
	told = 0;
	struct deferral *deferral = deferral_new(count_told, &told);
	bool ok = run_order(&(struct burst_order){
		.model = world.model, .kind = CLAIM_FIRST, .deferral = deferral });
	char becomes[ROWS_MAX + 1];
	snprintf(becomes, sizeof becomes, "%s", put_offs[_i].becomes);
	size_t put_off = 0;
	for (char *p = becomes; (p = strchr(p, 'p')) != NULL; *p = '.')
		put_off++;
	check_deleted(becomes);
	ck_assert_int_eq(ok, put_offs[_i].error == ERROR_NONE);
	ck_assert_int_eq(world.error.kind, put_offs[_i].error);
	ck_assert_uint_eq(world.result.put_off, put_off);
	ck_assert_int_eq(world.result.put_off_for, put_offs[_i].put_off_for);
	ck_assert_int_eq(deferral_has_rows(deferral), put_off > 0);
	ck_assert_uint_eq(told, put_offs[_i].told);
	ck_assert_int_eq(world.result.more, put_offs[_i].error != ERROR_NONE);
	/* The next claim passes over them. */
	seen = (struct seen){ 0 };
	script = (struct script){ 0 };
	run_order(&(struct burst_order){
		.model = world.model, .kind = CLAIM_FIRST, .deferral = deferral });
	ck_assert_int_eq(seen.passes_over, put_off > 0);
	deferral_free(deferral);
	end();
}
END_TEST

int main(void)
{
	const struct test tests[] = {
		{ rows_that_cannot_be_deleted_are_not_sent, 2 * COUNT(refusals), 0 },
		{ what_is_sent_and_kept_is_put_off, 4, 0 },
		{ single_rows_that_fail_alike_are_not_all_at_fault, 4, 0 },
		{ rows_that_fail_for_themselves_are_put_off, COUNT(put_offs), 0 },
		{ all_that_is_stored_is_deleted, COUNT(kinds), 0 },
		{ nothing_claimed_is_nothing_sent_or_settled, COUNT(kinds), 0 },
		{ a_claim_that_fails_is_the_burst_s_failure, COUNT(database_errors), 0 },
		{ with_several_bursts_only_rows_in_order_are_sent_as_they_come, COUNT(kinds), 0 },
		{ what_was_sent_during_a_claim_that_fails_is_awaited, COUNT(database_errors), 0 },
		{ a_burst_takes_a_lane_of_its_worker, COUNT(kinds), 0 },
		{ an_unconfirmed_commit_is_reported_and_counted, 1, 0 },
		{ a_settling_that_fails_is_the_burst_s_failure, COUNT(database_errors), 0 },
		{ rows_that_are_deleted_early_and_all_stored_are_just_settled, 1, 0 },
		{ if_no_row_is_stored_there_is_nothing_to_keep, 1, 0 },
		{ the_row_that_is_likely_to_blame_is_sent_by_itself, COUNT(blames), 0 },
		{ what_becomes_of_a_burst_depends_on_what_the_broker_says, COUNT(outcomes), 0 },
		{ a_bad_row_fails_alone, 8, 0 },
		{ in_order_a_bad_row_stops_what_comes_after_it, 8, 0 },
		{ rejected_rows_are_moved, COUNT(rejections), 0 },
		{ what_cannot_be_moved_stays_and_the_others_are_settled, COUNT(rejections), 0 },
		{ bad_rows_are_isolated_in_bursts_of_any_size, COUNT(burst_sizes), 0 },
		{ a_burst_is_run_again_and_again, 1, 0 },
		{ noted_keys_reach_the_claim, 1, 0 },
		{ a_position_moves_on_with_what_was_claimed, 1, 0 },
		{ with_several_bursts_each_takes_a_range_and_there_is_more, 1, 0 },
		{ after_an_empty_range_it_searches_on_and_there_is_no_more, 1, 0 },
		{ a_range_that_cannot_be_claimed_is_a_failure, 1, 0 },
		{ if_all_goes_well_and_there_is_more_the_next_claim_is_prefetched, 1, 0 },
		{ a_prefetched_claim_that_nobody_takes_is_given_up, 1, 0 },
		{ with_several_bursts_the_prefetched_range_is_the_next_one, 1, 0 },
		{ the_time_for_sending_counts_from_when_the_server_was_asked, 1, 0 },
		{ without_a_producer_nothing_is_sent, 1, 0 },
		{ freeing_no_burst_is_fine, 1, 0 },
		{ whatever_happens_only_what_is_stored_is_deleted, SEEDS, 0 },
	};
	return suite_run("burst", tests, COUNT(tests));
}
