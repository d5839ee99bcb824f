/*
 * address - addresses in the configuration.  Pure.  A listen address is "HOST:PORT":
 *
 *   127.0.0.1:9464   [::1]:9464   localhost:9464   *:9464   :9464
 *
 * The last two mean all addresses of the host.
 */
#ifndef SIGNALBUS_ADDRESS_H
#define SIGNALBUS_ADDRESS_H

#include "base/error.h"

#include <stdbool.h>

struct address {
	char host[256]; /* without brackets; empty: all addresses */
	char port[6];   /* decimal */
};

/* Parse text.  Returns false with ERROR_CONFIG if it is not such an address. */
bool address_parse(struct address *a, const char *text, struct error *e);

/* Whether a host, or HOST:PORT, is this machine by its own address: localhost, 127.x.x.x, ::1. */
bool address_is_local(const char *host);

#endif
