#include "daemon/status_pages.h"

#include "base/text.h"
#include "base/utf8.h"
#include "daemon/http.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define STARTING_S 60.0 /* from the start of the program to the daemon, at most */

struct status_pages {
	struct metrics *metrics;
	struct http_site site;
	struct http *http; /* NULL: none */
	char *address;     /* as configured */
	double start_time; /* of the process: the same value at each scrape */
	_Atomic int64_t alive_ns;
	pthread_mutex_t lock;
	struct daemon *daemon;   /* NULL: between two of them */
	struct daemon_view last; /* its last known values */
};

static const char plain_type[] = "text/plain; charset=utf-8";

/* Query the daemon, if there is one. */
static struct daemon_view look(struct status_pages *m)
{
	pthread_mutex_lock(&m->lock);
	if (m->daemon != NULL)
		daemon_view(m->daemon, &m->last);
	struct daemon_view view = m->last;
	pthread_mutex_unlock(&m->lock);
	return view;
}

static unsigned write_metrics(void *arg, struct text *body)
{
	struct status_pages *m = arg;
	struct daemon_view view = look(m);
	struct process_use process;
	const struct metrics_world world = { .database_up = view.database[0] == '\0',
		.broker_up = view.broker[0] == '\0',
		.process = process_use_read(&process) ? &process : NULL,
		.now = clock_now() };
	process.start_time = m->start_time;
	metrics_print(m->metrics, &world, body);
	return 200;
}

/* A page with one line per problem. */
static unsigned judge(struct text *body)
{
	if (body->length > 0)
		return 503;
	text_addf(body, "ok\n");
	return 200;
}

static void add_reason(struct text *body, const char *reason)
{
	char *shown = utf8_shown(reason);
	if (shown[0] != '\0')
		text_addf(body, "%s\n", shown);
	free(shown);
}

static unsigned write_health(void *arg, struct text *body)
{
	struct status_pages *m = arg;
	struct daemon_view view = look(m);
	double silent = instant_seconds((struct instant){ atomic_load(&m->alive_ns) }, clock_now());
	add_reason(body, view.alive);
	if (silent > view.alive_limit)
		text_addf(body, "the main thread has made no progress for %.0f s\n", silent);
	return judge(body);
}

static unsigned write_readiness(void *arg, struct text *body)
{
	struct daemon_view view = look(arg);
	add_reason(body, view.database);
	add_reason(body, view.broker);
	return judge(body);
}

static const struct http_page pages[] = {
	{ "/metrics", "text/plain; version=0.0.4; charset=utf-8", write_metrics },
	{ "/healthz", plain_type, write_health },
	{ "/readyz", plain_type, write_readiness },
};

struct status_pages *status_pages_new(void)
{
	struct status_pages *m = memory_new(1, sizeof *m);
	struct process_use process = { .start_time = (double)time(NULL) };
	process_use_read(&process);
	m->start_time = process.start_time;
	m->metrics = metrics_new();
	m->site = (struct http_site){ pages, sizeof pages / sizeof pages[0], m };
	pthread_mutex_init(&m->lock, NULL);
	m->last = (struct daemon_view){ .alive_limit = STARTING_S,
		.database = "database: not connected yet",
		.broker = "kafka: the broker has not been queried yet" };
	status_pages_show_alive(m);
	return m;
}

void status_pages_free(struct status_pages *m)
{
	http_stop(m->http);
	metrics_free(m->metrics);
	pthread_mutex_destroy(&m->lock);
	free(m->address);
	free(m);
}

struct metrics *status_pages_metrics(const struct status_pages *m)
{
	return m->metrics;
}

/* The address of a text that was validated when the configuration was read. */
static struct http *start(struct status_pages *m, const char *text, struct error *e)
{
	struct address a;
	return address_parse(&a, text, e) ? http_start(&a, &m->site, e) : NULL;
}

/* Another address: listen there first, so that there is no gap.  If that fails, the old one may be
 * the reason, such as 127.0.0.1 and * with the same port. */
static bool move(struct status_pages *m, const char *text, struct error *e)
{
	struct error ignored;
	struct http *next = start(m, text, e);
	if (next == NULL && m->http == NULL)
		return false;
	http_stop(m->http);
	m->http = next != NULL ? next : start(m, text, e);
	if (m->http != NULL)
		return true;
	m->http = start(m, m->address, &ignored);
	return false;
}

bool status_pages_listen(struct status_pages *m, const struct config *config, struct error *e)
{
	const char *wanted = config->metrics_listen;
	if (wanted != NULL && m->http != NULL && strcmp(wanted, m->address) == 0)
		return true;
	if (wanted != NULL && !move(m, wanted, e))
		return false;
	if (wanted == NULL) {
		http_stop(m->http);
		m->http = NULL;
	}
	free(m->address);
	m->address = wanted != NULL ? text_copy(wanted) : NULL;
	return true;
}

void status_pages_attach(struct status_pages *m, struct daemon *d)
{
	pthread_mutex_lock(&m->lock);
	m->daemon = d;
	pthread_mutex_unlock(&m->lock);
}

void status_pages_detach(struct status_pages *m)
{
	look(m);
	status_pages_attach(m, NULL);
}

void status_pages_show_alive(struct status_pages *m)
{
	atomic_store(&m->alive_ns, clock_now().ns);
}
