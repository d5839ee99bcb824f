#include "base/program.h"
#include "base/stop.h"

#include "suite.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SIZE = 1000 };

static struct {
	char bytes[SIZE];
	struct program_output output;
	struct error e;
	double seconds;
} world;

/* Run a script of the shell. */
static bool run(const char *script, double limit)
{
	const char *const argv[] = { "sh", "-c", script, "sh", "an argument", NULL };
	struct instant start = clock_now();
	world.output = (struct program_output){ world.bytes, SIZE, 0 };
	bool ok = program_run(argv, &world.output, instant_after(clock_now(), limit), &world.e);
	world.seconds = instant_seconds(start, clock_now());
	return ok;
}

static void expect_error(const char *script, double limit, const char *text)
{
	ck_assert(!run(script, limit));
	ck_assert_str_eq(world.e.text, text);
	ck_assert_int_eq(world.e.kind, ERROR_CONNECTION);
}

/* Whether a process is there that is not just waited for. */
static bool is_running(const char *pid)
{
	char *path = NULL;
	char state = '\0';
	if (asprintf(&path, "/proc/%ld/stat", strtol(pid, NULL, 10)) < 0)
		abort();
	FILE *f = fopen(path, "r");
	if (f != NULL && fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
		state = '\0';
	if (f != NULL)
		fclose(f);
	free(path);
	return state != '\0' && state != 'Z' && state != 'X';
}

/* Killing is not waiting: the end may be a moment later. */
static void expect_killed(const char *pid)
{
	struct instant late = instant_after(clock_now(), 10);
	while (is_running(pid) && instant_before(clock_now(), late))
		usleep(1000);
	ck_assert(!is_running(pid));
}

START_TEST(what_a_program_prints_is_its_output)
{
	ck_assert(run("printf 'a\\0b\\n'", 10));
	ck_assert_uint_eq(world.output.length, 4);
	ck_assert_mem_eq(world.bytes, "a\0b\n", 5);
	ck_assert(run("printf '%s %s' \"$1\" \"$#\"", 10));
	ck_assert_str_eq(world.bytes, "an argument 1");
	ck_assert(run(":", 10));
	ck_assert_uint_eq(world.output.length, 0);
	ck_assert_str_eq(world.bytes, "");
}
END_TEST

/* Its input and its errors are nobody's, and it has nothing of this process, not even descriptors
 * that others forgot to close. */
START_TEST(a_program_inherits_nothing)
{
	int forgotten = dup2(1, 77);
	ck_assert_int_eq(forgotten, 77);
	ck_assert(run("cat; echo hidden >&2; readlink /proc/self/fd/0 /proc/$$/fd/2; "
		      "[ ! -e /proc/$$/fd/77 ] || echo inherited",
		10));
	close(forgotten);
	ck_assert_str_eq(world.bytes, "/dev/null\n/dev/null\n");
	signal(SIGPIPE, SIG_IGN);
	expect_error("kill -PIPE $$", 10, "sh was ended by signal 13 (Broken pipe)");
}
END_TEST

START_TEST(a_program_that_fails_is_an_error_without_its_output)
{
	expect_error("echo word; echo word >&2; exit 3", 10, "sh ended with status 3");
	expect_error(
		"echo word; kill -SEGV $$", 10, "sh was ended by signal 11 (Segmentation fault)");
	expect_error("head -c 1000 /dev/zero", 10, "sh printed 1000 bytes or more");
	expect_error("while :; do echo word; done", 10, "sh printed 1000 bytes or more");
	ck_assert(run("head -c 999 /dev/zero", 10));
	ck_assert_uint_eq(world.output.length, 999);
}
END_TEST

START_TEST(a_program_that_cannot_be_run_is_an_error)
{
	const char *const missing[] = { "/nowhere/program", NULL };
	world.output = (struct program_output){ world.bytes, SIZE, 0 };
	ck_assert(!program_run(missing, &world.output, instant_after(clock_now(), 10), &world.e));
	ck_assert_str_eq(world.e.text, "cannot run /nowhere/program: No such file or directory");
}
END_TEST

/* A program that hangs is killed with all that it has started, whatever they ignore. */
START_TEST(a_program_that_hangs_is_killed)
{
	char *end;
	expect_error("trap '' TERM; sleep 1000 & echo $!; exec >&-; wait", 0.3,
		"sh had not ended after 0.3 s, and was killed");
	ck_assert_double_lt(world.seconds, 5);
	(void)strtol(world.bytes, &end, 10);
	ck_assert_int_eq(*end, '\n');
	expect_killed(world.bytes);
}
END_TEST

/* What it leaves running is not waited for, and does not stay. */
START_TEST(what_a_program_leaves_is_killed)
{
	ck_assert(run("sleep 1000 & echo $!", 10));
	ck_assert_double_lt(world.seconds, 5);
	expect_killed(world.bytes);
}
END_TEST

/* In a process of its own (Check): the signal is its first one. */
START_TEST(a_stop_ends_it)
{
	ck_assert(stop_install());
	ck_assert(!run("kill -TERM $PPID; sleep 1000", 100));
	ck_assert_int_eq(world.e.kind, ERROR_STOPPED);
	ck_assert_double_lt(world.seconds, 50);
}
END_TEST

START_TEST(a_program_is_looked_for_in_path)
{
	struct error e;
	ck_assert(program_exists("sh", &e));
	ck_assert(program_exists("/bin/sh", &e));
	ck_assert(!program_exists("no-such-program", &e));
	ck_assert_str_eq(e.text, "cannot run no-such-program: no such program in PATH");
	ck_assert(!program_exists("/etc/passwd", &e));
	ck_assert_str_eq(e.text, "cannot run /etc/passwd: no such program, or it may not be run");
	ck_assert(!program_exists("/etc", &e));
}
END_TEST

int main(void)
{
	const struct test tests[] = {
		{ what_a_program_prints_is_its_output, 1, 0 },
		{ a_program_inherits_nothing, 1, 0 },
		{ a_program_that_fails_is_an_error_without_its_output, 1, 0 },
		{ a_program_that_cannot_be_run_is_an_error, 1, 0 },
		{ a_program_that_hangs_is_killed, 1, 0 },
		{ what_a_program_leaves_is_killed, 1, 0 },
		{ a_stop_ends_it, 1, 0 },
		{ a_program_is_looked_for_in_path, 1, 0 },
	};
	return suite_run("program", tests, COUNT(tests));
}
