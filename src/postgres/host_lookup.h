/*
 * host_lookup - the addresses of a host name.  Any thread.
 *
 * getaddrinfo() has no time limit, and blocks for about ten seconds for each name server that does
 * not answer.  So it runs in a thread of its own, which is abandoned at the deadline.
 */
#ifndef SIGNALBUS_HOST_LOOKUP_H
#define SIGNALBUS_HOST_LOOKUP_H

#include "base/clock.h"
#include "base/error.h"

#include <netdb.h>
#include <stdbool.h>

/* Find the addresses of a name: *found, for freeaddrinfo().  Blocks until deadline, or until the
 * process is asked to stop.  Returns false with ERROR_CONNECTION if there are none by then. */
bool host_lookup(
	const char *host, struct instant deadline, struct addrinfo **found, struct error *e);

#endif
