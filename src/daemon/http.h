/*
 * http - a small HTTP server for pages that are generated on request.  The only place that includes
 * libmicrohttpd.
 *
 * One thread of its own serves all connections.  It is meant for trusted networks, and yet clients
 * can use only a bounded amount of memory and descriptors: if there are too many connections, the
 * oldest is closed, silent ones are closed after some seconds, and input is read into a few
 * kilobytes or not at all.
 */
#ifndef SIGNALBUS_HTTP_H
#define SIGNALBUS_HTTP_H

#include "base/address.h"
#include "base/error.h"
#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>

struct http;

struct http_page {
	const char *path;
	const char *type; /* Content-Type */
	/* Adds the body to an empty text and returns the status.  Called in the server's thread. */
	unsigned (*write)(void *arg, struct text *body);
};

struct http_site {
	const struct http_page *pages;
	size_t count;
	void *arg; /* of write() */
};

/* Listen, and serve the pages, which are borrowed, from now on.  Blocks during the host name
 * lookup.  NULL with e if it cannot listen there. */
struct http *http_start(const struct address *a, const struct http_site *site, struct error *e);

/* Blocks while a page is being written.  NULL is fine. */
void http_stop(struct http *h);

/* Add the version of libmicrohttpd, such as "0.9.75". */
void http_add_library_version(struct text *t);

#endif
