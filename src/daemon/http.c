#include "daemon/http.h"

#include "base/log.h"

#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS_MAX 112
#define CLOSING_MAX     16 /* more, which are about to be closed */
#define SILENCE_S       5
#define REQUEST_BYTES   (size_t)16384 /* for the headers of a request and of the response */
#define BACKLOG         128

struct client {
	int fd;
	bool is_shut;
	TAILQ_ENTRY(client) entry;
};

TAILQ_HEAD(clients, client);

struct http {
	const struct http_site *site;
	struct MHD_Daemon *daemon;
	struct clients
		clients; /* those that are not shut, the oldest first; the server's thread's */
	unsigned client_count;
};

/* Plain text for browsers and curl. */
static const char plain_type[] = "text/plain; charset=utf-8";

__attribute__((format(printf, 2, 0))) static void log_remark(
	void *arg, const char *format, va_list args)
{
	(void)arg;
	char line[512];
	vsnprintf(line, sizeof line, format, args);
	line[strcspn(line, "\n")] = '\0';
	log_debug("http: %s", line);
}

/* Respond with a body, whose ownership is taken. */
static enum MHD_Result respond(
	struct MHD_Connection *c, unsigned status, const char *type, struct text *body)
{
	struct MHD_Response *response =
		MHD_create_response_from_buffer(body->length, body->text, MHD_RESPMEM_MUST_FREE);
	if (response == NULL)
		abort();
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	enum MHD_Result queued = MHD_queue_response(c, status, response);
	MHD_destroy_response(response);
	return queued;
}

static enum MHD_Result refuse(struct MHD_Connection *c, unsigned status, const char *why)
{
	struct text body = { 0 };
	text_addf(&body, "%s\n", why);
	return respond(c, status, plain_type, &body);
}

static enum MHD_Result show(
	const struct http_site *site, struct MHD_Connection *c, const char *path)
{
	for (size_t i = 0; i < site->count; i++) {
		const struct http_page *page = &site->pages[i];
		struct text body = { 0 };
		if (strcmp(page->path, path) == 0)
			return respond(c, page->write(site->arg, &body), page->type, &body);
	}
	return refuse(c, MHD_HTTP_NOT_FOUND, "not found");
}

/* Whether the client sends a body after the headers. */
static bool has_body(struct MHD_Connection *c)
{
	return MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH) !=
		       NULL ||
	       MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_TRANSFER_ENCODING) !=
		       NULL;
}

/* An MHD_AccessHandlerCallback: called with the headers, and again when the request is complete. */
static enum MHD_Result answer(void *arg, struct MHD_Connection *c, const char *path,
	const char *method, const char *version, const char *upload, size_t *upload_size,
	void **state)
{
	const struct http *h = arg;
	*upload_size = 0; /* the body is ignored */
	(void)version;
	(void)upload;
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return refuse(c, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD are allowed here");
	/* A response sent at once closes the connection, and the body is not read. */
	if (*state == NULL && !has_body(c)) {
		*state = arg; /* anything */
		return MHD_YES;
	}
	return show(h->site, c, path);
}

static void forget(struct http *h, struct client *c)
{
	TAILQ_REMOVE(&h->clients, c, entry);
	h->client_count--;
}

/* A request takes milliseconds, so those who have been connected longest are idle or slow. */
static void shut_oldest(struct http *h)
{
	struct client *oldest = TAILQ_FIRST(&h->clients);
	forget(h, oldest);
	oldest->is_shut = true;
	shutdown(oldest->fd, SHUT_RDWR); /* which the server finds, and closes the connection */
}

/* An MHD_NotifyConnectionCallback: a new connection takes the place of the oldest one, so that
 * clients that are slow, or send nothing, keep nobody else out. */
static void note_connection(void *arg, struct MHD_Connection *connection, void **state,
	enum MHD_ConnectionNotificationCode code)
{
	struct http *h = arg;
	struct client *c = *state;
	if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
		if (!c->is_shut)
			forget(h, c);
		free(c);
		return;
	}
	c = memory_new(1, sizeof *c);
	c->fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
	*state = c;
	TAILQ_INSERT_TAIL(&h->clients, c, entry);
	if (++h->client_count > CONNECTIONS_MAX)
		shut_oldest(h);
}

/* A socket that listens at one of the addresses of a host name; -1 with errno. */
static int listen_at(const struct addrinfo *found)
{
	const int yes = 1, no = 0;
	int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
	if (found->ai_family == AF_INET6) /* all addresses includes those of IPv4 */
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof no);
	if (bind(fd, found->ai_addr, found->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	int reason = errno;
	close(fd);
	errno = reason;
	return -1;
}

/* All addresses of the host are a single IPv6 socket, if the kernel supports that. */
static int listen_somewhere(const struct addrinfo *found)
{
	static const int families[] = { AF_INET6, AF_INET };
	int fd = -1;
	for (size_t i = 0; i < sizeof families / sizeof families[0]; i++)
		for (const struct addrinfo *f = found; fd < 0 && f != NULL; f = f->ai_next)
			if (f->ai_family == families[i])
				fd = listen_at(f);
	return fd;
}

static int open_socket(const struct address *a, struct error *e)
{
	struct addrinfo *found = NULL;
	const struct addrinfo wanted = { .ai_socktype = SOCK_STREAM,
		.ai_flags = AI_PASSIVE | AI_NUMERICSERV };
	const char *host = a->host[0] != '\0' ? a->host : NULL;
	int status = getaddrinfo(host, a->port, &wanted, &found);
	int fd = status == 0 ? listen_somewhere(found) : -1;
	const char *reason =
		status == EAI_SYSTEM || status == 0 ? strerror(errno) : gai_strerror(status);
	if (fd < 0)
		error_set(e, ERROR_CONFIG, "metrics_listen: cannot listen on %s port %s: %s",
			host != NULL ? host : "all addresses,", a->port, reason);
	if (found != NULL)
		freeaddrinfo(found);
	return fd;
}

struct http *http_start(const struct address *a, const struct http_site *site, struct error *e)
{
	int fd = open_socket(a, e);
	if (fd < 0)
		return NULL;
	struct http *h = memory_new(1, sizeof *h);
	h->site = site;
	TAILQ_INIT(&h->clients);
	h->daemon =
		MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC | MHD_USE_ERROR_LOG, 0,
			NULL, NULL, answer, h, MHD_OPTION_EXTERNAL_LOGGER, log_remark, NULL,
			MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
			(unsigned)(CONNECTIONS_MAX + CLOSING_MAX), MHD_OPTION_NOTIFY_CONNECTION,
			note_connection, h, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)SILENCE_S,
			MHD_OPTION_CONNECTION_MEMORY_LIMIT, REQUEST_BYTES, MHD_OPTION_END);
	if (h->daemon != NULL)
		return h;
	error_set(e, ERROR_CONFIG, "metrics_listen: the HTTP server cannot be started: %s",
		strerror(errno));
	close(fd);
	free(h);
	return NULL;
}

void http_stop(struct http *h)
{
	if (h == NULL)
		return;
	MHD_stop_daemon(h->daemon);
	free(h);
}

void http_add_library_version(struct text *t)
{
	text_addf(t, "%s", MHD_get_version());
}
