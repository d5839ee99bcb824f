#include "base/stop.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* The signal flags of this process; a handler can access nothing else. */
static atomic_int first_signal;
static int wake_fd = -1;
static atomic_bool reload;
static int reload_fd = -1;

static void write_one(int fd)
{
	if (eventfd_write(fd, 1) != 0)
		abort(); /* an eventfd can count far more signals than there are */
}

/* Terminate by a signal; process 1 is not terminated by a signal that it does not handle. */
static void end_by(int number)
{
	signal(number, SIG_DFL);
	raise(number);
	if (getpid() == 1)
		_exit(128 + number);
}

static void on_signal(int number)
{
	int saved_errno = errno;
	int none = 0;
	if (!atomic_compare_exchange_strong(&first_signal, &none, number))
		end_by(number); /* takes effect when the handler returns */
	write_one(wake_fd);
	errno = saved_errno;
}

static void on_hangup(int number)
{
	(void)number;
	int saved_errno = errno;
	atomic_store(&reload, true);
	write_one(reload_fd);
	errno = saved_errno;
}

bool stop_install(void)
{
	wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (wake_fd < 0)
		return false;
	struct sigaction sa = { .sa_handler = on_signal };
	sigemptyset(&sa.sa_mask);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	sa.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &sa, NULL);
	return true;
}

bool stop_install_reload(void)
{
	reload_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (reload_fd < 0)
		return false;
	struct sigaction sa = { .sa_handler = on_hangup };
	sigemptyset(&sa.sa_mask);
	sigaction(SIGHUP, &sa, NULL);
	return true;
}

bool stop_take_reload(void)
{
	uint64_t count;
	ssize_t ignored = read(reload_fd, &count, sizeof count);
	(void)ignored;
	return atomic_exchange(&reload, false);
}

void stop_wait_reload(struct instant deadline)
{
	struct pollfd fds[] = { { .fd = wake_fd, .events = POLLIN },
		{ .fd = reload_fd, .events = POLLIN } };
	poll(fds, 2, instant_poll_ms(deadline, clock_now()));
}

bool stop_requested(void)
{
	return atomic_load(&first_signal) != 0;
}

void stop_by_signal(void)
{
	if (!stop_requested())
		return;
	end_by(atomic_load(&first_signal));
}

int stop_fd(void)
{
	return wake_fd;
}

bool stop_wait(struct instant deadline)
{
	struct pollfd fd = { .fd = wake_fd, .events = POLLIN };
	for (;;) {
		struct instant now = clock_now();
		if (stop_requested() || !instant_before(now, deadline))
			return stop_requested();
		poll(&fd, 1, instant_poll_ms(deadline, now));
	}
}
