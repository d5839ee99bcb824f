#include "base/credentials.h"
#include "base/text.h"

#include "suite.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { READERS = 8 };

/* A password in a file, and what counts the runs of a program. */
static struct {
	char folder[32];
	char *file, *runs;
	struct secret secret;
	struct credentials *credentials;
	struct instant now;
	struct error e;
} world;

struct instant scripted_clock_now(void);

struct instant scripted_clock_now(void)
{
	return world.now;
}

static void pass(double seconds)
{
	world.now = instant_after(world.now, seconds);
}

static void write_file(const char *path, const char *content)
{
	FILE *f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	fputs(content, f);
	ck_assert_int_eq(fclose(f), 0);
}

static void begin(const char *const *command)
{
	snprintf(world.folder, sizeof world.folder, "/tmp/test_creds.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(world.folder));
	world.file = text_format("%s/password", world.folder);
	world.runs = text_format("%s/runs", world.folder);
	setenv("RUNS", world.runs, 1);
	write_file(world.file, "first\n");
	write_file(world.runs, "");
	world.now = (struct instant){ INT64_C(1000000000000) };
	world.secret = (struct secret){ .setting = "password",
		.place = { "bus.conf", 7 },
		.file = command == NULL ? world.file : NULL,
		.command = command };
	world.credentials = credentials_new();
	credentials_add(world.credentials, &world.secret);
}

static void end(void)
{
	credentials_free(world.credentials);
	unlink(world.file);
	unlink(world.runs);
	rmdir(world.folder);
	free(world.file);
	free(world.runs);
}

/* Each run adds a byte. */
static size_t runs(void)
{
	FILE *f = fopen(world.runs, "r");
	ck_assert_ptr_nonnull(f);
	fseek(f, 0, SEEK_END);
	long length = ftell(f);
	fclose(f);
	return (size_t)length;
}

/* Read them as a session does that connects; NULL: it may not. */
static char *read_them(struct credentials_print *print)
{
	struct credentials_values v;
	if (!credentials_read(world.credentials, 10, &v, &world.e))
		return NULL;
	ck_assert_uint_eq(v.count, 1);
	char *value = text_copy(v.values[0]);
	*print = v.print;
	credentials_values_free(&v);
	return value;
}

static struct credentials_print expect(const char *expected)
{
	struct credentials_print print = { 0 };
	char *value = read_them(&print);
	ck_assert_msg(value != NULL, "%s", world.e.text);
	ck_assert_str_eq(value, expected);
	free(value);
	return print;
}

static void expect_error(const char *text)
{
	struct credentials_print print;
	char *value = read_them(&print);
	ck_assert_ptr_null(value);
	ck_assert_str_eq(world.e.text, text);
}

static void refuse(const struct credentials_print *print)
{
	struct error why;
	error_set(&why, ERROR_CONNECTION, "wrong password");
	credentials_refused(world.credentials, print, &why);
}

START_TEST(they_are_read_again_for_each_login)
{
	begin(NULL);
	struct credentials_print first = expect("first");
	ck_assert_uint_eq(expect("first").hash, first.hash);
	write_file(world.file, "second");
	ck_assert_uint_ne(expect("second").hash, first.hash);
	end();
}
END_TEST

/* As it would be refused again; but from time to time one session tries. */
START_TEST(what_was_refused_is_not_used_again_at_once)
{
	static const double waits[] = { 1, 2, 4, 8, 15, 15 };
	begin(NULL);
	struct credentials_print print = expect("first");
	for (size_t i = 0; i < COUNT(waits); i++) {
		refuse(&print);
		expect_error("wrong password");
		pass(waits[i] - 0.01);
		expect_error("wrong password");
		ck_assert_int_eq(world.e.kind, ERROR_CONNECTION);
		pass(10); /* until it is read again */
		print = expect("first");
		expect_error("wrong password");
	}
	credentials_accepted(world.credentials);
	expect("first");
	expect("first");
	end();
}
END_TEST

START_TEST(what_replaces_it_is_used_at_once)
{
	begin(NULL);
	struct credentials_print print = expect("first");
	refuse(&print);
	write_file(world.file, "second");
	expect("second");
	expect("second");
	write_file(world.file, "first");
	expect_error("wrong password");
	pass(0.5);
	write_file(world.file, "third");
	expect("third");
	end();
}
END_TEST

/* Sessions that connect at the same time are refused at the same time. */
START_TEST(refusals_of_the_same_count_once)
{
	begin(NULL);
	struct credentials_print one = expect("first"), other = expect("first");
	pass(0.1);
	refuse(&one);
	refuse(&other);
	pass(1.1);
	expect("first");
	end();
}
END_TEST

static const char *const counting[] = { "sh", "-c",
	"printf x >>\"$RUNS\"; printf 'token %s' $(wc -c <\"$RUNS\")", NULL };

/* What differs at each run is not known to be better. */
START_TEST(a_program_is_run_again_at_once_and_then_waits)
{
	begin(counting);
	struct credentials_print print = expect("token 1");
	refuse(&print);
	print = expect("token 2");
	pass(0.1);
	refuse(&print);
	expect_error("wrong password");
	ck_assert_uint_eq(runs(), 3);
	expect_error("wrong password"); /* without a run */
	ck_assert_uint_eq(runs(), 3);
	pass(2);
	expect("token 4");
	end();
}
END_TEST

static const char *const failing[] = { "sh", "-c", "printf x >>\"$RUNS\"; echo word; exit 4",
	NULL };

START_TEST(a_program_that_fails_is_run_again_after_a_while)
{
	begin(failing);
	expect_error("bus.conf:7: password: sh ended with status 4");
	expect_error("bus.conf:7: password: sh ended with status 4");
	ck_assert_uint_eq(runs(), 1);
	pass(0.1);
	expect_error("bus.conf:7: password: sh ended with status 4");
	ck_assert_uint_eq(runs(), 2);
	pass(0.1);
	expect_error("bus.conf:7: password: sh ended with status 4");
	ck_assert_uint_eq(runs(), 2);
	pass(0.1);
	expect_error("bus.conf:7: password: sh ended with status 4");
	ck_assert_uint_eq(runs(), 3);
	end();
}
END_TEST

static const char *const silent[] = { "true", NULL };

START_TEST(a_program_that_prints_nothing_fails)
{
	begin(silent);
	expect_error("bus.conf:7: password: true printed nothing");
	end();
}
END_TEST

static const char *const slow[] = { "sh", "-c",
	"printf x >>\"$RUNS\"; until [ -s \"$RUNS.go\" ]; do sleep 0.01; done; echo token", NULL };

static void *read_once(void *arg)
{
	atomic_uint *started = arg;
	atomic_fetch_add(started, 1);
	expect("token");
	return NULL;
}

START_TEST(who_reads_at_the_same_time_shares_a_run)
{
	pthread_t readers[READERS];
	atomic_uint started = 0;
	begin(slow);
	char *go = text_format("%s.go", world.runs);
	for (size_t i = 0; i < READERS; i++)
		ck_assert_int_eq(pthread_create(&readers[i], NULL, read_once, &started), 0);
	while (atomic_load(&started) < READERS || runs() == 0)
		usleep(1000);
	usleep(50000); /* the last one has started, and is about to read */
	write_file(go, "go");
	for (size_t i = 0; i < READERS; i++)
		pthread_join(readers[i], NULL);
	ck_assert_uint_eq(runs(), 1);
	expect("token");
	ck_assert_uint_eq(runs(), 2);
	unlink(go);
	free(go);
	end();
}
END_TEST

int main(void)
{
	const struct test tests[] = {
		{ they_are_read_again_for_each_login, 1, 0 },
		{ what_was_refused_is_not_used_again_at_once, 1, 0 },
		{ what_replaces_it_is_used_at_once, 1, 0 },
		{ refusals_of_the_same_count_once, 1, 0 },
		{ a_program_is_run_again_at_once_and_then_waits, 1, 0 },
		{ a_program_that_fails_is_run_again_after_a_while, 1, 0 },
		{ a_program_that_prints_nothing_fails, 1, 0 },
		{ who_reads_at_the_same_time_shares_a_run, 1, 0 },
	};
	return suite_run("credentials", tests, COUNT(tests));
}
