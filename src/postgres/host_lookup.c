#include "postgres/host_lookup.h"

#include "base/stop.h"
#include "base/text.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Of both threads; the last one frees it. */
struct lookup {
	char *host;
	struct addrinfo *found;
	int failure;
	int done_fd; /* can be read when the two above are set */
	atomic_int users;
};

static void leave(struct lookup *l)
{
	if (atomic_fetch_sub(&l->users, 1) > 1)
		return;
	if (l->found != NULL)
		freeaddrinfo(l->found);
	close(l->done_fd);
	free(l->host);
	free(l);
}

static void resolve(struct lookup *l)
{
	static const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
	l->failure = getaddrinfo(l->host, NULL, &hints, &l->found);
	eventfd_write(l->done_fd, 1);
}

static void *look_up(void *arg)
{
	resolve(arg);
	leave(arg);
	return NULL;
}

/* If no other thread can be started, the caller is the one that waits. */
static void start(struct lookup *l)
{
	pthread_t thread;
	atomic_store(&l->users, 2);
	if (l->done_fd >= 0 && pthread_create(&thread, NULL, look_up, l) == 0) {
		pthread_detach(thread);
		return;
	}
	atomic_store(&l->users, 1);
	resolve(l);
}

static bool is_done(const struct lookup *l, struct instant deadline)
{
	struct pollfd fds[] = { { .fd = l->done_fd, .events = POLLIN },
		{ .fd = stop_fd(), .events = POLLIN } };
	eventfd_t one;
	if (l->done_fd < 0)
		return true;
	while (poll(fds, 2, instant_poll_ms(deadline, clock_now())) <= 0)
		if (!instant_before(clock_now(), deadline))
			return false;
	return fds[0].revents != 0 && eventfd_read(l->done_fd, &one) == 0;
}

bool host_lookup(
	const char *host, struct instant deadline, struct addrinfo **found, struct error *e)
{
	struct lookup *l = memory_new(1, sizeof *l);
	struct instant begun = clock_now();
	l->host = text_copy(host);
	l->done_fd = eventfd(0, EFD_CLOEXEC);
	start(l);
	bool is_there = is_done(l, deadline), ok = is_there && l->failure == 0;
	if (!is_there)
		error_set(e, ERROR_CONNECTION,
			"host name \"%s\": no answer from the resolver for %.1f s", host,
			instant_seconds(begun, clock_now()));
	else if (!ok)
		error_set(e, ERROR_CONNECTION, "host name \"%s\" has no address: %s", host,
			gai_strerror(l->failure));
	else
		*found = l->found;
	if (ok)
		l->found = NULL;
	leave(l);
	return ok;
}
