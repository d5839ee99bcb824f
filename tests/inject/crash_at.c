/*
 * crash_at REPORT NUMBER MARK COMMAND [ARGUMENT]... - runs COMMAND and kills it at a system call:
 * at the NUMBER-th, counted over all of its threads in the order in which they come, from the one
 * that sends the text MARK on.  The call that it dies at is not executed.  NUMBER 0 kills never.
 *
 * Writes to the file REPORT "killed at NUMBER: CALL", or "ended after NUMBER", and exits as COMMAND
 * did, or with 137.  strace's injections count each thread and each kind of call apart, so they
 * cannot go through the calls of a process with threads one by one.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/ptrace.h>

#define EXIT_USAGE 2
#define EXIT_TRACE 3

struct crash {
	const char *report;
	const char *mark;
	unsigned long number;
	pid_t pid;
	bool is_counting;
	unsigned long count;
	const char *died_at; /* a call; NULL: it has not been killed */
};

static const struct {
	uint64_t number;
	const char *name;
} names[] = {
	{ SYS_sendto, "sendto" },
	{ SYS_recvfrom, "recvfrom" },
	{ SYS_sendmsg, "sendmsg" },
	{ SYS_recvmsg, "recvmsg" },
	{ SYS_ppoll, "ppoll" },
#ifdef SYS_poll
	{ SYS_poll, "poll" },
#endif
	{ SYS_read, "read" },
	{ SYS_write, "write" },
	{ SYS_futex, "futex" },
};

__attribute__((noreturn)) static void fail(const char *what)
{
	fprintf(stderr, "crash_at: %s: %s\n", what, strerror(errno));
	exit(EXIT_TRACE);
}

static const char *name_of(uint64_t number)
{
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (names[i].number == number)
			return names[i].name;
	return "another call";
}

static void report(const struct crash *c)
{
	FILE *file = fopen(c->report, "w");
	if (file == NULL)
		fail(c->report);
	if (c->died_at != NULL)
		fprintf(file, "killed at %lu: %s\n", c->number, c->died_at);
	else
		fprintf(file, "ended after %lu\n", c->count);
	if (fclose(file) != 0)
		fail(c->report);
}

/* Whether a call sends the mark. */
static bool sends_mark(const struct crash *c, pid_t thread, const struct ptrace_syscall_info *call)
{
	char sent[65536];
	if (call->entry.nr != SYS_sendto)
		return false;
	size_t length = call->entry.args[2] < sizeof sent ? call->entry.args[2] : sizeof sent;
	struct iovec here = { sent, length };
	/* NOLINTNEXTLINE(performance-no-int-to-ptr): the address is another process's */
	struct iovec there = { (void *)(uintptr_t)call->entry.args[1], length };
	ssize_t got = process_vm_readv(thread, &here, 1, &there, 1, 0);
	return got > 0 && memmem(sent, (size_t)got, c->mark, strlen(c->mark)) != NULL;
}

/* At a stop where a call begins or ends. */
static void on_call(struct crash *c, pid_t thread)
{
	struct ptrace_syscall_info call;
	if (ptrace(PTRACE_GET_SYSCALL_INFO, thread, sizeof call, &call) <= 0 ||
		call.op != PTRACE_SYSCALL_INFO_ENTRY)
		return;
	c->is_counting = c->is_counting || sends_mark(c, thread, &call);
	if (!c->is_counting || c->died_at != NULL || ++c->count != c->number)
		return;
	c->died_at = name_of(call.entry.nr);
	kill(c->pid, SIGKILL);
}

/* Let a stopped thread continue to its next call. */
static void go_on(struct crash *c, pid_t thread, int status)
{
	int number = WSTOPSIG(status);
	bool is_event = status >> 16 != 0;
	if (number == (SIGTRAP | 0x80)) {
		on_call(c, thread);
		is_event = true;
	}
	if (ptrace(PTRACE_SYSCALL, thread, NULL, is_event ? 0 : number) != 0 && errno != ESRCH)
		fail("PTRACE_SYSCALL");
}

/* The command begins when the tracer is there: when the pipe is closed. */
__attribute__((noreturn)) static void become(char **command, const int *pipe_fds)
{
	char nothing;
	close(pipe_fds[1]);
	ssize_t ignored = read(pipe_fds[0], &nothing, 1);
	(void)ignored;
	close(pipe_fds[0]);
	execvp(command[0], command);
	fail(command[0]);
}

static void start(struct crash *c, char **command)
{
	int pipe_fds[2];
	const unsigned long wanted =
		PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL;
	if (pipe(pipe_fds) != 0)
		fail("pipe");
	c->pid = fork();
	if (c->pid < 0)
		fail("fork");
	if (c->pid == 0)
		become(command, pipe_fds);
	if (ptrace(PTRACE_SEIZE, c->pid, NULL, wanted) != 0 ||
		ptrace(PTRACE_INTERRUPT, c->pid, NULL, NULL) != 0)
		fail("this system lets nobody trace a process (ptrace)");
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

int main(int argc, char **argv)
{
	if (argc < 5) {
		fprintf(stderr, "usage: crash_at REPORT NUMBER MARK COMMAND [ARGUMENT]...\n");
		return EXIT_USAGE;
	}
	struct crash c = {
		.report = argv[1], .number = strtoul(argv[2], NULL, 10), .mark = argv[3]
	};
	start(&c, argv + 4);
	for (;;) {
		int status;
		pid_t thread = waitpid(-1, &status, __WALL);
		if (thread < 0)
			fail("waitpid");
		if (WIFSTOPPED(status)) {
			go_on(&c, thread, status);
		} else if (thread == c.pid) {
			report(&c);
			return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		}
	}
}
