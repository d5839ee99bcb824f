#include "relay/flusher.h"

#include "flusher_stores.h"

static struct model_config settings[MODELS];

/* What is flushed; the fields that a test sets are set after begin(). */
static struct {
	struct config config;
	struct flush_plan plan;
	struct flusher *flusher;
	size_t sent;
	struct error error;
} world;

static void begin(enum discipline discipline, size_t model_count)
{
	static const size_t indexes[MODELS] = { 0, 1, 2 };
	static const char *const names[MODELS] = { "A", "B", "C" };
	script = (struct script){ .threads = STORES_MAX, .pending = 10 };
	seen = (struct seen){ .now_ns = 1000000000 };
	world.config = (struct config){ .model_count = MODELS, .models = settings, .timeout = 30 };
	world.plan = (struct flush_plan){ .discipline = discipline,
		.config = &world.config,
		.models = indexes,
		.model_count = model_count,
		.jobs = 1 };
	for (size_t i = 0; i < MODELS; i++) {
		settings[i] = (struct model_config){ .name = names[i], .burst_count = 2 };
		models[i] = (struct model){ .settings = &settings[i], .index = i };
	}
}

static bool run(void)
{
	if (world.flusher == NULL)
		world.flusher = flusher_new(&world.plan);
	return flusher_run(world.flusher, &world.sent, &world.error);
}

static void end(void)
{
	flusher_free(world.flusher);
	text_free(&seen.trace);
}

static void check_trace(const char *expected)
{
	ck_assert_str_eq(seen.trace.length > 0 ? seen.trace.text : "", expected);
}

static double seconds_passed(void)
{
	return (double)(seen.now_ns - 1000000000) / 1e9;
}

static const struct {
	const char *what;
	enum discipline discipline;
	const char *bursts[2]; /* of the models */
	const char *trace;
	enum error_kind error;
	size_t sent;
} walks[] = {
	{ "until the table is empty from its beginning on", FLUSH_MANY, { "32", "" },
		"+ ^A3 A2 A0 ^A0 ^B0", ERROR_NONE, 5 },
	{ "what was left behind is found", FLUSH_MANY, { "303", "1" },
		"+ ^A3 A0 ^A3 A0 ^A0 ^B1 B0 ^B0", ERROR_NONE, 7 },
	{ "a dead letter is no end", FLUSH_MANY, { "x1", "" }, "+ ^Ax A1 A0 ^A0 ^B0", ERROR_NONE,
		1 },
	{ "a conflict is tried again at once", FLUSH_MANY, { "c2", "" }, "+ ^Ac ~ ^A2 A0 ^A0 ^B0",
		ERROR_NONE, 2 },
	{ "what is left of a burst is sent again", FLUSH_MANY, { "B2", "" },
		"+ ^AB ~ A2 A0 ^A0 ^B0", ERROR_NONE, 3 },
	{ "a lost session is replaced", FLUSH_MANY, { "l2", "" }, "+ ^Al ~ + ^A2 A0 ^A0 ^B0",
		ERROR_NONE, 2 },
	{ "a session is lost between two looks", FLUSH_MANY, { "20l1", "" },
		"+ ^A2 A0 ^Al ~ + ^A1 A0 ^A0 ^B0", ERROR_NONE, 3 },
	{ "the database refuses one model", FLUSH_MANY, { "1d", "2" }, "+ ^A1 Ad ^B2 B0 ^B0",
		ERROR_DATABASE, 3 },
	{ "rows that are put off hold up no others", FLUSH_MANY, { "R21", "1" },
		"+ ^AR A2 A1 A0 ^A0 ^B1 B0 ^B0", ERROR_REJECTED, 4 },
	{ "they are tried again where that may help", FLUSH_MANY, { "P2", "1" },
		"+ ^AP A2 A0 ^A0 ^B1 B0 ^B0 ~ ^A0", ERROR_NONE, 3 },
	{ "and again", FLUSH_MANY, { "2P00P", "" }, "+ ^A2 AP A0 ^A0 ^B0 ~ ^AP A0 ^A0 ~ ^A0",
		ERROR_NONE, 2 },
	{ "one that may pass is waited for", FLUSH_MANY, { "RP", "" }, "+ ^AR AP A0 ^A0 ^B0 ~ ^A0",
		ERROR_NONE, 0 },
	{ "the broker rejects a message", FLUSH_MANY, { "r", "2" }, "+ ^Ar ^B2 B0 ^B0",
		ERROR_REJECTED, 2 },
	{ "asked to stop amid a model", FLUSH_MANY, { "2w4", "5" }, "+ ^A2 Aw", ERROR_NONE, 3 },
	{ "stopped by itself, which is no error", FLUSH_MANY, { "s", "1" }, "+ ^As ^B1 B0 ^B0",
		ERROR_NONE, 1 },
	{ "in order, at the end from the beginning on", FLUSH_ORDERED, { "21", "1" },
		"+ A( A2 A1 A0 ^A0 A) B( B1 B0 ^B0 B)", ERROR_NONE, 4 },
	{ "what came to the beginning meanwhile", FLUSH_ORDERED, { "203", "" },
		"+ A( A2 A0 ^A3 A0 ^A0 A) B( B0 ^B0 B)", ERROR_NONE, 5 },
	{ "in order, a failure ends the model", FLUSH_ORDERED, { "1d", "1" },
		"+ A( A1 Ad A) B( B1 B0 ^B0 B)", ERROR_DATABASE, 2 },
	{ "the order is tried again from where it stands", FLUSH_ORDERED, { "0c1", "" },
		"+ A( A0 ^Ac ~ A1 A0 ^A0 A) B( B0 ^B0 B)", ERROR_NONE, 1 },
	{ "a new session takes the lock again", FLUSH_ORDERED, { "1l1", "" },
		"+ A( A1 Al ~ + A( A1 A0 ^A0 A) B( B0 ^B0 B)", ERROR_NONE, 2 },
	{ "who is held back delays nobody", FLUSH_ORDERED, { "1hh2", "1" },
		"+ A( A1 Ah B( B1 B0 ^B0 B) ~ Ah ~ A2 A0 ^A0 A)", ERROR_NONE, 4 },
	{ "two are held back", FLUSH_ORDERED, { "h1", "h1" },
		"+ A( Ah B( Bh ~ A1 A0 ^A0 A) B1 B0 ^B0 B)", ERROR_NONE, 2 },
	{ "others go before one whose table is locked", FLUSH_MANY, { "1TT2", "3" },
		"+ ^A1 AT ^B3 B0 ^B0 ~ AT ~ A2 A0 ^A0", ERROR_NONE, 6 },
	{ "in order, too", FLUSH_ORDERED, { "1T2", "3" },
		"+ A( A1 AT B( B3 B0 ^B0 B) ~ A2 A0 ^A0 A)", ERROR_NONE, 6 },
};

START_TEST(bursts_follow_one_another)
{
	begin(walks[_i].discipline, 2);
	for (size_t i = 0; i < 2; i++)
		script.bursts[i] = walks[_i].bursts[i];
	ck_assert_int_eq(run(), walks[_i].error == ERROR_NONE);
	check_trace(walks[_i].trace);
	ck_assert_int_eq(world.error.kind, walks[_i].error);
	ck_assert_uint_eq(world.sent, walks[_i].sent);
	ck_assert_uint_eq(seen.errors, walks[_i].error != ERROR_NONE);
	end();
}
END_TEST

/* An error that lasts: how many bursts it takes, in about how many seconds, until the model has
 * failed, and whether the next model has a chance. */
static const struct {
	const char *bursts;
	enum error_kind error;
	unsigned bursts_min, bursts_max;
	double seconds_min, seconds_max;
	unsigned warnings;
	bool others_go_on;
	bool is_answered; /* some broker answers */
} failures[] = {
	{ "b*", ERROR_BROKER, 7, 14, 30, 30.001, 1, false, false },
	{ "b*", ERROR_BROKER, 7, 14, 30, 30.001, 1, true, true },
	{ "t*", ERROR_TOPIC, 7, 14, 30, 30.001, 1, true, true },
	{ "l*", ERROR_CONNECTION, 7, 14, 30, 30.001, 1, false, false },
	{ "T*", ERROR_TEMPORARY, 7, 14, 30, 30.001, 1, true, true },
	{ "c*", ERROR_CONFLICT, 12, 12, 7, 9, 0, true, true },
	{ "p*", ERROR_PLAN, 12, 12, 7, 9, 0, true, true },
	{ "d*", ERROR_DATABASE, 1, 1, 0, 0, 0, true, true },
	{ "r*", ERROR_REJECTED, 1, 1, 0, 0, 0, true, true },
};

START_TEST(the_time_limit_ends_retrying)
{
	begin(FLUSH_MANY, 2);
	script.bursts[0] = failures[_i].bursts;
	script.bursts[1] = "7";
	script.is_answered = failures[_i].is_answered;
	ck_assert(!run());
	ck_assert_int_eq(world.error.kind, failures[_i].error);
	ck_assert_uint_eq(world.sent, failures[_i].others_go_on ? 7 : 0);
	unsigned bursts = seen.bursts - (failures[_i].others_go_on ? 3 : 0);
	ck_assert_uint_ge(bursts, failures[_i].bursts_min);
	ck_assert_uint_le(bursts, failures[_i].bursts_max);
	ck_assert_double_ge(seconds_passed(), failures[_i].seconds_min);
	ck_assert_double_le(seconds_passed(), failures[_i].seconds_max);
	ck_assert_uint_eq(seen.warnings, failures[_i].warnings);
	ck_assert_uint_eq(seen.errors, 1);
	ck_assert_ptr_nonnull(strstr(seen.error, world.error.text));
	end();
}
END_TEST

/* A row that cannot be sent is skipped, and found again after nothing else was. */
START_TEST(that_nothing_else_is_left_is_no_success)
{
	char bursts[401] = "";
	begin(FLUSH_MANY, 1);
	for (size_t i = 0; i < 400; i += 2)
		memcpy(bursts + i, "t0", 3);
	script.bursts[0] = bursts;
	ck_assert(!run());
	ck_assert_int_eq(world.error.kind, ERROR_TOPIC);
	ck_assert_double_le(seconds_passed(), 30.001);
	end();
}
END_TEST

/* Bursts that send something, or make something a dead letter, prove that it is worth waiting. */
static const char *const partial_successes[] = { "B", "bx", "b1", "c1" };

START_TEST(the_time_limit_starts_over_with_each_success)
{
	char bursts[401] = "";
	const char *letters = partial_successes[_i];
	size_t length = strlen(letters);
	begin(FLUSH_MANY, 1);
	world.config.timeout = 2;
	for (size_t i = 0; i + length < sizeof bursts; i += length)
		memcpy(bursts + i, letters, length + 1);
	script.bursts[0] = bursts;
	ck_assert_msg(run(), "%s", world.error.text);
	ck_assert_ptr_eq(*script.bursts[0] == '\0' ? NULL : bursts, NULL);
	if (letters[0] != 'c')
		ck_assert_double_gt(seconds_passed(), 2 * world.config.timeout);
	end();
}
END_TEST

START_TEST(a_database_that_stays_unavailable_ends_the_run)
{
	begin(_i == 0 ? FLUSH_BY_KEY : FLUSH_MANY, 3);
	world.plan.wait = 3;
	script.connects = "l*";
	ck_assert(!run());
	ck_assert_int_eq(world.error.kind, ERROR_CONNECTION);
	ck_assert_uint_eq(seen.bursts, 0);
	ck_assert_uint_eq(seen.errors, 1);
	ck_assert_uint_eq(seen.warnings, 1);
	/* Neither others are tried, nor is there anything to wait for. */
	ck_assert_double_ge(seconds_passed(), 30);
	ck_assert_double_le(seconds_passed(), 30.001);
	ck_assert_int_eq(seen.connect_by.ns, 32000000000); /* the last try has a second */
	end();
}
END_TEST

START_TEST(a_database_that_comes_back_is_used)
{
	begin(FLUSH_MANY, 1);
	script.connects = "lll.";
	script.bursts[0] = "3";
	ck_assert(run());
	check_trace("- ~ - ~ - ~ + ^A3 A0 ^A0");
	ck_assert_uint_eq(world.sent, 3);
	ck_assert_uint_eq(seen.warnings, 1);
	end();
}
END_TEST

START_TEST(asked_to_stop_while_it_waits)
{
	begin(FLUSH_MANY, 2);
	script.bursts[0] = "2b*";
	script.last_wait = 3;
	/* No point is made of it: the model has not failed, it is not done. */
	ck_assert_int_eq(run(), false);
	ck_assert_int_eq(world.error.kind, ERROR_BROKER);
	check_trace("+ ^A2 Ab ~ Ab ~ Ab ~");
	ck_assert_uint_eq(world.sent, 2);
	end();
}
END_TEST

START_TEST(a_table_that_does_not_fit_ends_the_run)
{
	begin(FLUSH_MANY, 3);
	script.models[1] = "k";
	script.bursts[0] = "1";
	ck_assert(!run());
	ck_assert_int_eq(world.error.kind, ERROR_CONFIG);
	check_trace("+");
	ck_assert_uint_eq(seen.problems, 1);
	ck_assert_str_eq(seen.error, "k happened");
	end();
}
END_TEST

START_TEST(a_table_that_cannot_be_read_fails_alone)
{
	begin(FLUSH_MANY, 2);
	script.models[0] = "d";
	script.bursts[1] = "1";
	ck_assert(!run());
	ck_assert_int_eq(world.error.kind, ERROR_DATABASE);
	check_trace("+ ^B1 B0 ^B0");
	end();
}
END_TEST

START_TEST(a_table_that_has_changed_is_read_again)
{
	begin(FLUSH_MANY, 2);
	script.bursts[0] = "p3";
	ck_assert(run());
	ck_assert_uint_eq(seen.forgets[0], 2); /* once before each run, too */
	ck_assert_uint_eq(seen.forgets[1], 1);
	ck_assert_uint_eq(world.sent, 3);
	end();
}
END_TEST

/* Models that fail, and the error that the run has. */
static const struct {
	const char *locks[2], *bursts[2];
	enum error_kind error;
	const char *trace;
} busy[] = {
	{ { "u", "" }, { "", "1" }, ERROR_BUSY, "+ A( B( B1 B0 ^B0 B)" },
	{ { "u", "" }, { "", "d" }, ERROR_DATABASE, "+ A( B( Bd B)" },
	{ { "", "u" }, { "d", "" }, ERROR_DATABASE, "+ A( Ad A) B(" },
	{ { "", "" }, { "d", "r" }, ERROR_DATABASE, "+ A( Ad A) B( Br B)" },
};

START_TEST(an_error_counts_more_than_a_lock)
{
	begin(FLUSH_ORDERED, 2);
	for (size_t i = 0; i < 2; i++) {
		script.locks[i] = busy[_i].locks[i];
		script.bursts[i] = busy[_i].bursts[i];
	}
	ck_assert(!run());
	ck_assert_int_eq(world.error.kind, busy[_i].error);
	check_trace(busy[_i].trace);
	end();
}
END_TEST

/* Flushes that keep no order, of a model that has one: A; by two workers, as far as there are. */
static const struct {
	enum discipline discipline;
	const char *locks, *bursts;
	const char *trace, *warning;
	size_t sent;
	bool is_left_out;
} unordered[] = {
	{ FLUSH_MANY, "", "2", "+ 1+ 1A{ 1^A2 1A0 1^A0 1A) 1^B0 A{ ^A0 A) ^B0 joined",
		"model \"A\" has order_by, and is flushed in no particular order; flushordered "
		"keeps "
		"the order",
		2, false },
	{ FLUSH_BY_KEY, "", "", "+ A# B# ~ A{ A? A[0+2] A? A) B?",
		"model \"A\" has order_by, and is flushed in no particular order; flushordered "
		"keeps "
		"the order",
		2, false },
	{ FLUSH_MANY, "uu", "", "+ 1+ 1A{ 1^B0 ^B0 joined",
		"model \"A\" is left out: u happened, with flushordered", 0, true },
	{ FLUSH_BY_KEY, "u", "", "+ A# B# ~ A{ B?",
		"model \"A\" is left out: u happened, with flushordered", 0, true },
	/* One worker is done, then somebody else takes the lock. */
	{ FLUSH_MANY, ".u", "2", "+ 1+ 1A{ 1^A2 1A0 1^A0 1A) 1^B0 A{ ^B0 joined",
		"model \"A\" has order_by, and is flushed in no particular order; flushordered "
		"keeps "
		"the order",
		2, false },
	/* The session is lost, and the lock with it. */
	{ FLUSH_MANY, ".uu", "2l", "+ 1+ 1A{ 1^A2 1Al ~ 1+ 1A{ 1^B0 ^B0 joined",
		"model \"A\" is left out: u happened, with flushordered", 2, true },
};

START_TEST(an_order_is_broken_only_while_nobody_keeps_it)
{
	bool are_named = _i % 2 == 1;
	size_t i = (size_t)_i / 2;
	begin(unordered[i].discipline, 2);
	settings[0].order_by.count = 1;
	world.plan.jobs = unordered[i].discipline == FLUSH_MANY ? 2 : 1;
	world.plan.are_named = are_named;
	script.noted[0] = 2;
	script.locks[0] = unordered[i].locks;
	script.bursts[0] = unordered[i].bursts;
	ck_assert_int_eq(run(), !(are_named && unordered[i].is_left_out));
	ck_assert_int_eq(
		world.error.kind, are_named && unordered[i].is_left_out ? ERROR_BUSY : ERROR_NONE);
	check_trace(unordered[i].trace);
	ck_assert_str_eq(seen.warning, unordered[i].warning);
	ck_assert_uint_eq(seen.errors, 0);
	ck_assert_uint_eq(world.sent, unordered[i].sent);
	end();
}
END_TEST

/* With --repeat; each time that this changes it is logged. */
START_TEST(repeated_flushes_warn_once)
{
	begin(FLUSH_MANY, 1);
	settings[0].order_by.count = 1;
	script.locks[0] = "uu..u";
	for (unsigned runs = 0; runs < 5; runs++) {
		static const unsigned warnings[] = { 1, 1, 2, 2, 3 };
		ck_assert(run());
		ck_assert_uint_eq(seen.warnings, warnings[runs]);
	}
	end();
}
END_TEST

START_TEST(a_writer_is_waited_for_until_the_time_limit)
{
	begin(FLUSH_ORDERED, 2);
	script.bursts[0] = "1h*";
	script.bursts[1] = "1";
	ck_assert(!run());
	ck_assert_int_eq(world.error.kind, ERROR_DATABASE);
	ck_assert_str_eq(world.error.text, "a writer holds A back");
	ck_assert_uint_eq(seen.writers_said, 1);
	ck_assert_uint_eq(world.sent, 2);
	ck_assert_double_ge(seconds_passed(), 30);
	ck_assert_double_le(seconds_passed(), 30.01);
	end();
}
END_TEST

/* What another model achieves meanwhile does not lengthen it. */
START_TEST(each_model_has_its_own_time_limit)
{
	char bursts[20001];
	begin(FLUSH_ORDERED, 2);
	memset(bursts, 'h', sizeof bursts - 1);
	for (size_t i = 1000; i < sizeof bursts; i += 1000)
		bursts[i] = '1'; /* each five seconds or so; one letter is for "held back" */
	bursts[sizeof bursts - 1] = '\0';
	script.bursts[0] = "h*";
	script.bursts[1] = bursts;
	ck_assert(!run());
	ck_assert_str_eq(world.error.text, "a writer holds A back");
	ck_assert_uint_eq(seen.errors, 1);
	ck_assert_uint_gt(world.sent, 10);
	ck_assert_double_gt(seconds_passed(), 60);
	ck_assert_int_ge(seen.writer_said_ns, 31000000000);
	ck_assert_int_le(seen.writer_said_ns, 31010000000);
	end();
}
END_TEST

START_TEST(asked_to_stop_while_held_back)
{
	begin(FLUSH_ORDERED, 2);
	script.bursts[0] = script.bursts[1] = "1h*";
	script.last_wait = 2;
	ck_assert(run());
	check_trace("+ A( A1 Ah B( B1 Bh ~ Ah Bh ~ A) B)");
	ck_assert_uint_eq(world.sent, 2);
	end();
}
END_TEST

START_TEST(noted_keys_go_burst_by_burst)
{
	begin(FLUSH_BY_KEY, 2);
	world.plan.wait = 3;
	script.noted[0] = 5;
	ck_assert(run());
	check_trace("+ A# B# ~ A? A[0+2] A[2+2] A[4+1] A? B?");
	ck_assert_uint_eq(world.sent, 5);
	ck_assert_double_ge(seconds_passed(), 3);
	ck_assert_double_le(seconds_passed(), 3.001);
	end();
}
END_TEST

START_TEST(the_wait_does_not_count_for_the_time_limit)
{
	begin(FLUSH_BY_KEY, 1);
	world.plan.wait = 60;
	script.noted[0] = 1;
	script.bursts[0] = "b";
	ck_assert(run());
	check_trace("+ A# ~ A? Ab ~ A[0+1] A?");
	end();
}
END_TEST

START_TEST(many_noted_keys_are_fetched_bit_by_bit)
{
	begin(FLUSH_BY_KEY, 1);
	settings[0].burst_count = _i == 0 ? 600 : 1200;
	script.noted[0] = 1300;
	ck_assert(run());
	check_trace(_i == 0 ? "+ A# ~ A? A[0+600] A[600+400] A? A[0+300] A?"
			    : "+ A# ~ A? A[0+1200] A? A[0+100] A?");
	ck_assert_uint_eq(world.sent, 1300);
	end();
}
END_TEST

static const struct {
	const char *what;
	const char *bursts, *notes;
	const char *trace;
	enum error_kind error;
	size_t sent;
} noted[] = {
	{ "more of the same keys", "mm", "", "+ A# B# ~ A? Am Am A[0+2] A[2+1] A? B?", ERROR_NONE,
		5 },
	{ "the keys that failed are tried again", "c", "", "+ A# B# ~ A? Ac ~ A[0+2] A[2+1] A? B?",
		ERROR_NONE, 3 },
	{ "keys outlive their session, the note does not", "l", "",
		"+ A# B# ~ A? Al ~ + A[0+2] A[2+1] A# A? A[0+2] A[2+1] A? B# B?", ERROR_NONE, 6 },
	{ "a note that fails", "", "d", "+ A# B# ~ B?", ERROR_DATABASE, 0 },
	{ "a note that loses the session", "", "l", "+ A# ~ + A# B# ~ A? A[0+2] A[2+1] A? B?",
		ERROR_NONE, 3 },
	{ "a second note that fails", "l", ".d", "+ A# B# ~ A? Al ~ + A[0+2] A[2+1] A# B# B?",
		ERROR_DATABASE, 3 },
	{ "a burst fails, and the keys are of no more use", "d", "", "+ A# B# ~ A? Ad B?",
		ERROR_DATABASE, 0 },
	{ "asked to stop amid the keys", "w", "", "+ A# B# ~ A? Aw", ERROR_NONE, 1 },
};

START_TEST(noted_keys_meet_errors)
{
	begin(FLUSH_BY_KEY, 2);
	script.noted[0] = 3;
	script.bursts[0] = noted[_i].bursts;
	script.notes[0] = noted[_i].notes;
	ck_assert_int_eq(run(), noted[_i].error == ERROR_NONE);
	check_trace(noted[_i].trace);
	ck_assert_int_eq(world.error.kind, noted[_i].error);
	ck_assert_uint_eq(world.sent, noted[_i].sent);
	end();
}
END_TEST

START_TEST(progress_knows_the_total)
{
	begin(FLUSH_MANY, 3);
	world.plan.show_progress = true;
	script.counts[1] = "d";
	script.counts[2] = "c.";
	ck_assert(!run());
	ck_assert_uint_eq(seen.expected, 20);
	ck_assert_uint_eq(seen.counted[2], 2);
	check_trace("+ ~ ^A0 ^C0"); /* one that cannot be counted cannot be flushed */
	end();
}
END_TEST

START_TEST(workers_have_connections_of_their_own)
{
	begin(FLUSH_MANY, 2);
	world.plan.jobs = 3;
	script.bursts[0] = "4";
	script.bursts[1] = "d";
	ck_assert(!run());
	check_trace("+ 1+ 1^A4 1A0 1^A0 1^Bd 2+ 2^A0 ^A0 joined joined");
	ck_assert_uint_eq(world.sent, 4);
	ck_assert_uint_eq(seen.warnings, 0);
	end();
}
END_TEST

START_TEST(fewer_threads_do_all_of_it)
{
	begin(FLUSH_MANY, 1);
	world.plan.jobs = 3;
	script.threads = (unsigned)_i;
	script.bursts[0] = "42";
	ck_assert(run());
	check_trace(_i == 0 ? "+ ^A4 A2 A0 ^A0" : "+ 1+ 1^A4 1A2 1A0 1^A0 ^A0 joined");
	ck_assert_uint_eq(world.sent, 6);
	ck_assert_uint_eq(seen.warnings, 1);
	ck_assert_str_eq(seen.warning,
		_i == 0 ? "only 1 of 3 workers got a thread" : "only 2 of 3 workers got a thread");
	end();
}
END_TEST

/* Whether the workers after the first one can connect. */
static const struct {
	const char *connects, *trace, *warning;
} connections[] = {
	{ ".l.", "+ 1- 2+ 2^A4 2A0 2^A0 ^A0 joined joined",
		"only 2 of 3 connections to the database: l happened" },
	{ ".l*", "+ 1- 2- ^A4 A0 ^A0 joined joined",
		"only 1 of 3 connections to the database: l happened" },
};

START_TEST(fewer_connections_do_all_of_it)
{
	begin(FLUSH_MANY, 1);
	world.plan.jobs = 3;
	script.connects = connections[_i].connects;
	script.bursts[0] = "4";
	ck_assert(run());
	check_trace(connections[_i].trace);
	ck_assert_uint_eq(world.sent, 4);
	ck_assert_uint_eq(seen.warnings, 1);
	ck_assert_str_eq(seen.warning, connections[_i].warning);
	/* The next run tries again. */
	script.connects = NULL;
	text_free(&seen.trace);
	ck_assert(run());
	check_trace(
		_i == 0 ? "1+ 1^A0 2^A0 ^A0 joined joined" : "1+ 1^A0 2+ 2^A0 ^A0 joined joined");
	ck_assert_uint_eq(seen.warnings, 1);
	end();
}
END_TEST

START_TEST(a_second_run_starts_over)
{
	begin(FLUSH_MANY, 2);
	script.bursts[0] = "1d1";
	script.bursts[1] = "b*";
	ck_assert(!run());
	ck_assert_int_eq(world.error.kind, ERROR_DATABASE);
	script.bursts[1] = "2";
	text_free(&seen.trace);
	ck_assert(run());
	check_trace("A1 A0 ^A0 B2 B0 ^B0"); /* the connection is kept, and the positions */
	ck_assert_uint_eq(world.sent, 4);
	ck_assert_uint_eq(seen.stores, 1);
	end();
}
END_TEST

/* One signal a burst, each of which takes some time; how many are left; what is said then. */
static const struct {
	int64_t burst_ns;
	long long burst_count;
	size_t pending;
	const char *warning;
} backlogs[] = {
	{ 1000000000, 1, 7200, "at 1/s that takes 2:00:00;" },
	{ 500000000, 1, 7200, "at 2/s that takes 1:00:00;" },
	{ 1000000000, 1, 30, NULL },
	{ 400000000, 1, 7200, NULL }, /* done before the ten seconds have passed */
	{ 1000000000, 2, 7200, NULL },
};

START_TEST(a_backlog_one_by_one_is_a_warning)
{
	begin(FLUSH_MANY, 1);
	settings[0].burst_count = backlogs[_i].burst_count;
	script.burst_ns = backlogs[_i].burst_ns;
	script.pending = backlogs[_i].pending;
	script.bursts[0] = "11111111111111111111111";
	ck_assert(run());
	script.bursts[0] = "11111111111111111111111";
	ck_assert(run());
	ck_assert_uint_eq(world.sent, 46);
	ck_assert_uint_eq(seen.warnings, backlogs[_i].warning != NULL);
	if (backlogs[_i].warning != NULL)
		ck_assert_msg(
			strstr(seen.warning, backlogs[_i].warning) != NULL, "%s", seen.warning);
	end();
}
END_TEST

/* Each time that this changes it is logged; what cannot be read pauses nothing. */
START_TEST(paused_models_are_left_out_unless_they_are_named)
{
	begin(FLUSH_MANY, 2);
	script.paused[0] = true;
	script.pauses = "l....d";
	ck_assert(run()); /* a session that is lost meanwhile is replaced */
	check_trace("+ ~ + ^B0");
	ck_assert_uint_eq(seen.warnings, 2);
	ck_assert_str_eq(seen.warning,
		"model \"A\" is left out: it is paused by him; name it to flush it, or resume it "
		"with \"signalbus resume\"");
	ck_assert(run());
	ck_assert_uint_eq(seen.warnings, 2);
	script.paused[0] = false;
	ck_assert(run());
	check_trace("+ ~ + ^B0 ^B0 ^A0 ^B0");
	script.paused[0] = true;
	ck_assert(run());
	ck_assert_uint_eq(seen.warnings, 3);
	ck_assert(run());
	ck_assert_str_eq(seen.warning, "cannot read which models are paused: d happened");
	check_trace("+ ~ + ^B0 ^B0 ^A0 ^B0 ^B0 ^A0 ^B0");
	script.pauses = "T"; /* it is read again */
	ck_assert(run());
	check_trace("+ ~ + ^B0 ^B0 ^A0 ^B0 ^B0 ^A0 ^B0 ~ ^B0");
	end();
}
END_TEST

START_TEST(a_paused_model_that_is_named_is_flushed)
{
	begin(FLUSH_MANY, 1);
	script.paused[0] = world.plan.are_named = true;
	ck_assert(run());
	check_trace("+ ^A0");
	ck_assert_uint_eq(seen.warnings, 0);
	end();
}
END_TEST

START_TEST(nothing_to_flush)
{
	begin(FLUSH_MANY, 0);
	ck_assert(run());
	check_trace("");
	end();
	flusher_free(NULL);
}
END_TEST

int main(void)
{
	const struct test tests[] = {
		{ bursts_follow_one_another, COUNT(walks), 0 },
		{ the_time_limit_ends_retrying, COUNT(failures), 0 },
		{ that_nothing_else_is_left_is_no_success, 1, 0 },
		{ the_time_limit_starts_over_with_each_success, COUNT(partial_successes), 0 },
		{ a_database_that_stays_unavailable_ends_the_run, 2, 0 },
		{ a_database_that_comes_back_is_used, 1, 0 },
		{ asked_to_stop_while_it_waits, 1, 0 },
		{ a_table_that_does_not_fit_ends_the_run, 1, 0 },
		{ a_table_that_cannot_be_read_fails_alone, 1, 0 },
		{ a_table_that_has_changed_is_read_again, 1, 0 },
		{ an_error_counts_more_than_a_lock, COUNT(busy), 0 },
		{ an_order_is_broken_only_while_nobody_keeps_it, 2 * COUNT(unordered), 0 },
		{ repeated_flushes_warn_once, 1, 0 },
		{ a_writer_is_waited_for_until_the_time_limit, 1, 0 },
		{ each_model_has_its_own_time_limit, 1, 0 },
		{ asked_to_stop_while_held_back, 1, 0 },
		{ noted_keys_go_burst_by_burst, 1, 0 },
		{ the_wait_does_not_count_for_the_time_limit, 1, 0 },
		{ many_noted_keys_are_fetched_bit_by_bit, 2, 0 },
		{ noted_keys_meet_errors, COUNT(noted), 0 },
		{ progress_knows_the_total, 1, 0 },
		{ workers_have_connections_of_their_own, 1, 0 },
		{ fewer_threads_do_all_of_it, 2, 0 },
		{ fewer_connections_do_all_of_it, COUNT(connections), 0 },
		{ a_second_run_starts_over, 1, 0 },
		{ a_backlog_one_by_one_is_a_warning, COUNT(backlogs), 0 },
		{ paused_models_are_left_out_unless_they_are_named, 1, 0 },
		{ a_paused_model_that_is_named_is_flushed, 1, 0 },
		{ nothing_to_flush, 1, 0 },
	};
	return suite_run("flusher", tests, COUNT(tests));
}
