#include "base/program.h"

#include "base/stop.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* A program that runs. */
struct run {
	const char *name;
	pid_t pid;
	int ended;  /* readable when it has ended */
	int output; /* what it prints */
	struct instant since;
};

static void set_descriptors(posix_spawn_file_actions_t *actions, int output)
{
	bool ok = posix_spawn_file_actions_addopen(
			  actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0) == 0 &&
		  posix_spawn_file_actions_adddup2(actions, output, STDOUT_FILENO) == 0 &&
		  posix_spawn_file_actions_addopen(
			  actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0) == 0 &&
		  posix_spawn_file_actions_addclosefrom_np(actions, STDERR_FILENO + 1) == 0;
	if (!ok)
		abort(); /* they fail only for lack of memory */
}

/* No signal is blocked, nor ignored because this process does, and the program leads a group. */
static void set_attributes(posix_spawnattr_t *attributes)
{
	sigset_t none, ignored;
	sigemptyset(&none);
	sigemptyset(&ignored);
	sigaddset(&ignored, SIGPIPE);
	posix_spawnattr_setsigmask(attributes, &none);
	posix_spawnattr_setsigdefault(attributes, &ignored);
	posix_spawnattr_setpgroup(attributes, 0);
	posix_spawnattr_setflags(
		attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
}

/* Returns 0, or an errno. */
static int spawn(const char *const *argv, int output, pid_t *pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	if (posix_spawn_file_actions_init(&actions) != 0 || posix_spawnattr_init(&attributes) != 0)
		abort();
	set_descriptors(&actions, output);
	set_attributes(&attributes);
	/* The words are not changed: the type is older than const (exec in POSIX, RATIONALE). */
	int code = posix_spawnp(
		pid, argv[0], &actions, &attributes, (char *const *)(uintptr_t)argv, environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return code;
}

static bool begin(struct run *r, const char *const *argv, struct error *e)
{
	int ends[2];
	r->name = argv[0];
	r->since = clock_now();
	if (pipe2(ends, O_CLOEXEC) != 0)
		return error_set(
			e, ERROR_CONNECTION, "cannot run %s: %s", r->name, strerror(errno));
	int code = spawn(argv, ends[1], &r->pid);
	close(ends[1]);
	r->output = ends[0];
	if (code == 0) {
		r->ended = pidfd_open(r->pid, 0);
		if (r->ended >= 0)
			return true;
		code = errno;
		kill(-r->pid, SIGKILL);
		waitpid(r->pid, NULL, 0);
	}
	close(r->output);
	return error_set(e, ERROR_CONNECTION, "cannot run %s: %s", r->name, strerror(code));
}

/* Kill what is left of the group, and put the status of the program into *status.  Until it is
 * waited for, no other group can get its number. */
static void end(const struct run *r, int *status)
{
	kill(-r->pid, SIGKILL);
	while (waitpid(r->pid, status, 0) < 0 && errno == EINTR)
		;
	close(r->ended);
	close(r->output);
}

/* Read what there is.  Returns false at the end of the output, or when there is no more room. */
static bool take(const struct run *r, struct program_output *o)
{
	ssize_t n = read(r->output, o->bytes + o->length, o->size - o->length);
	if (n > 0)
		o->length += (size_t)n;
	return n > 0 ? o->length < o->size : n < 0 && (errno == EINTR || errno == EAGAIN);
}

/* Collect the output until the program has ended.  A process that it leaves may keep the
 * pipe open: that is not waited for. */
static bool collect(
	const struct run *r, struct program_output *o, struct instant deadline, struct error *e)
{
	struct pollfd fds[] = { { .fd = r->ended, .events = POLLIN },
		{ .fd = r->output, .events = POLLIN }, { .fd = stop_fd(), .events = POLLIN } };
	while (fds[1].fd >= 0 || fds[0].revents == 0) {
		struct instant now = clock_now();
		if (poll(fds, 3, instant_poll_ms(deadline, now)) < 0)
			continue;
		if (fds[2].revents != 0)
			return error_set(e, ERROR_STOPPED, "asked to stop");
		if (fds[1].revents != 0 && !take(r, o))
			fds[1].fd = -1;
		else if (fds[0].revents != 0 && fds[1].revents == 0)
			break; /* it has ended, and nothing is left to read */
		if (o->length == o->size)
			return error_set(e, ERROR_CONNECTION, "%s printed %zu bytes or more",
				r->name, o->size);
		if (fds[0].revents == 0 && !instant_before(clock_now(), deadline))
			return error_set(e, ERROR_CONNECTION,
				"%s had not ended after %.1f s, and was killed", r->name,
				instant_seconds(r->since, clock_now()));
	}
	return true;
}

bool program_run(const char *const *argv, struct program_output *output, struct instant deadline,
	struct error *e)
{
	struct run r = { 0 };
	int status;
	output->length = 0;
	if (!begin(&r, argv, e))
		return false;
	bool ok = collect(&r, output, deadline, e);
	end(&r, &status);
	if (ok && WIFSIGNALED(status))
		ok = error_set(e, ERROR_CONNECTION, "%s was ended by signal %d (%s)", argv[0],
			WTERMSIG(status), sigdescr_np(WTERMSIG(status)));
	else if (ok && WEXITSTATUS(status) != 0)
		ok = error_set(e, ERROR_CONNECTION, "%s ended with status %d", argv[0],
			WEXITSTATUS(status));
	if (ok)
		output->bytes[output->length] = '\0';
	return ok;
}

static bool is_program(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

bool program_exists(const char *name, struct error *e)
{
	const char *path = getenv("PATH");
	bool found = strchr(name, '/') != NULL && is_program(name);
	if (strchr(name, '/') == NULL) {
		char *list = text_copy(path != NULL ? path : "/bin:/usr/bin"), *rest = list;
		for (char *folder; !found && (folder = strsep(&rest, ":")) != NULL;) {
			char *candidate =
				text_format("%s/%s", folder[0] != '\0' ? folder : ".", name);
			found = is_program(candidate);
			free(candidate);
		}
		free(list);
	}
	return found || error_set(e, ERROR_CONFIG, "cannot run %s: %s", name,
				strchr(name, '/') != NULL ? "no such program, or it may not be run"
							  : "no such program in PATH");
}
