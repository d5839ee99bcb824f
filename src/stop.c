#include "stop.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* The signal flags of this process; a handler can reach nothing else. */
static atomic_int first_signal;
static int wake_fd = -1;

static void on_signal(int number)
{
	int saved_errno = errno;
	int none = 0;
	if (!atomic_compare_exchange_strong(&first_signal, &none, number)) {
		signal(number, SIG_DFL);
		raise(number);
	}
	const uint64_t one = 1;
	if (write(wake_fd, &one, sizeof one) < 0)
		abort(); /* an eventfd takes far more ones than there are signals */
	errno = saved_errno;
}

void stop_install(void)
{
	wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (wake_fd < 0)
		abort();
	struct sigaction sa = { .sa_handler = on_signal };
	sigemptyset(&sa.sa_mask);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	sa.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &sa, NULL);
}

bool stop_requested(void)
{
	return atomic_load(&first_signal) != 0;
}

void stop_by_signal(void)
{
	if (!stop_requested())
		return;
	signal(atomic_load(&first_signal), SIG_DFL);
	raise(atomic_load(&first_signal));
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
