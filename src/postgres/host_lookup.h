/*
 * host_lookup - the addresses of a host name.  Any thread.
 *
 * getaddrinfo() blocks for as long as the resolver likes, some ten seconds for each name server
 * that does not answer, so a thread calls it that can be left alone.
 */
#ifndef SIGNALBUS_HOST_LOOKUP_H
#define SIGNALBUS_HOST_LOOKUP_H

#include "base/clock.h"
#include "base/error.h"

#include <netdb.h>
#include <stdbool.h>

/* Find the addresses of a name: *found, for freeaddrinfo().  Blocks until deadline, or until the
 * process is asked to stop.  Returns false with e, ERROR_CONNECTION, where there are none then. */
bool host_lookup(
	const char *host, struct instant deadline, struct addrinfo **found, struct error *e);

#endif
