#include "base/utf8.h"
#include "daemon/metrics_internal.h"
#include "kafka/property.h"
#include "postgres/db.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const double histogram_bounds[HISTOGRAM_BOUNDS] = { 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
	0.25, 0.5, 1, 2.5, 5, 10, 30, 60 };

const char *const error_class_names[CLASSES] = {
	[CLASS_DATABASE] = "database",
	[CLASS_BROKER] = "broker",
	[CLASS_REJECTED] = "rejected",
	[CLASS_SERIALIZATION] = "serialization",
};

/* The state of one scrape. */
struct page {
	struct series *series;
	size_t count;
	double poll_interval;
	struct reloads reloads;
	struct instant vacuum_held_since;
	bool has_all_buckets;
	bool is_exact;
	double prepared_seconds;
	struct metrics_world world;
	struct text *text;
};

struct metric {
	const char *name, *type, *help;
	/* Prints the samples, … */
	void (*print)(const struct page *p, const struct metric *metric);
	/* … each of which has this value; s is NULL without a model. */
	double (*value)(const struct page *p, const struct series *s);
};

static double sent(const struct page *p, const struct series *s)
{
	(void)p;
	return (double)s->sent;
}

static double dead_letters(const struct page *p, const struct series *s)
{
	(void)p;
	return (double)s->dead_letters;
}

static double pending(const struct page *p, const struct series *s)
{
	(void)p;
	return (double)s->pending;
}

static double oldest(const struct page *p, const struct series *s)
{
	bool is_reachable = p->world.database_up && p->world.broker_up;
	double interval = !series_is_paused(s) && !s->stands_by ? p->poll_interval : INFINITY;
	return oldest_pending_seconds(&s->lag, is_reachable, interval, p->world.now);
}

static double paused(const struct page *p, const struct series *s)
{
	(void)p;
	return series_is_paused(s);
}

static double stopped(const struct page *p, const struct series *s)
{
	(void)p;
	return s->is_stopped;
}

static double dead_rows(const struct page *p, const struct series *s)
{
	(void)p;
	return s->table.dead_rows;
}

static double last_vacuum(const struct page *p, const struct series *s)
{
	(void)p;
	return s->table.last_vacuum;
}

static double vacuum_held(const struct page *p, const struct series *s)
{
	(void)s;
	return p->vacuum_held_since.ns != 0 ? instant_seconds(p->vacuum_held_since, p->world.now)
					    : 0;
}

static double prepared_oldest(const struct page *p, const struct series *s)
{
	(void)s;
	return p->prepared_seconds;
}

static double leader(const struct page *p, const struct series *s)
{
	(void)p;
	return s->leader != 0;
}

static double ordered_wait(const struct page *p, const struct series *s)
{
	(void)p;
	return s->held_seconds;
}

static double database_up(const struct page *p, const struct series *s)
{
	(void)s;
	return p->world.database_up;
}

static double broker_up(const struct page *p, const struct series *s)
{
	(void)s;
	return p->world.broker_up;
}

static double is_reloaded(const struct page *p, const struct series *s)
{
	(void)s;
	return p->reloads.is_successful;
}

static double reload_time(const struct page *p, const struct series *s)
{
	(void)s;
	return p->reloads.success;
}

static void print_alone(const struct page *p, const struct metric *metric)
{
	text_addf(p->text, "%s %.15g\n", metric->name, metric->value(p, NULL));
}

static void print_sample(const struct page *p, const struct metric *metric, const struct series *s)
{
	text_addf(p->text, "%s{%s} %.15g\n", metric->name, s->label, metric->value(p, s));
}

static void print_models(const struct page *p, const struct metric *metric)
{
	for (size_t i = 0; i < p->count; i++)
		print_sample(p, metric, &p->series[i]);
}

static void print_ordered_models(const struct page *p, const struct metric *metric)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->series[i].is_ordered)
			print_sample(p, metric, &p->series[i]);
}

static void print_errors(const struct page *p, const struct metric *metric)
{
	for (size_t i = 0; i < p->count; i++)
		for (size_t class = 0; class < CLASSES; class ++)
			text_addf(p->text, "%s{%s,kind=\"%s\"} %.15g\n", metric->name,
				p->series[i].label, error_class_names[class],
				(double)p->series[i].errors[class]);
}

static void print_transactions(const struct page *p, const struct metric *metric)
{
	static const char *const outcomes[TRANSACTION_OUTCOMES] = {
		[TRANSACTION_COMMITTED] = "committed",
		[TRANSACTION_ROLLED_BACK] = "rolled_back",
		[TRANSACTION_UNDECIDED] = "undecided",
	};
	for (size_t i = 0; i < p->count; i++)
		for (size_t k = TRANSACTION_COMMITTED; k < TRANSACTION_OUTCOMES; k++)
			text_addf(p->text, "%s{%s,outcome=\"%s\"} %.15g\n", metric->name,
				p->series[i].label, outcomes[k],
				(double)p->series[i].transactions[k]);
}

static bool has_bound(const struct page *p, double bound)
{
	return p->has_all_buckets || bound == HISTOGRAM_USUAL_BOUND;
}

static void print_histogram(const struct page *p, const struct metric *metric, const char *label,
	const struct histogram *h)
{
	uint64_t count = 0;
	for (size_t i = 0; i < HISTOGRAM_BOUNDS; i++) {
		count += h->counts[i];
		if (has_bound(p, histogram_bounds[i]))
			text_addf(p->text, "%s_bucket{%s,le=\"%g\"} %.15g\n", metric->name, label,
				histogram_bounds[i], (double)count);
	}
	count += h->counts[HISTOGRAM_BOUNDS];
	text_addf(p->text, "%s_bucket{%s,le=\"+Inf\"} %.15g\n", metric->name, label, (double)count);
	text_addf(p->text, "%s_sum{%s} %.15g\n", metric->name, label, h->sum);
	text_addf(p->text, "%s_count{%s} %.15g\n", metric->name, label, (double)count);
}

static void print_bursts(const struct page *p, const struct metric *metric)
{
	for (size_t i = 0; i < p->count; i++)
		print_histogram(p, metric, p->series[i].label, &p->series[i].burst);
}

static void print_acknowledgements(const struct page *p, const struct metric *metric)
{
	for (size_t i = 0; i < p->count; i++)
		print_histogram(p, metric, p->series[i].label, &p->series[i].acknowledgement);
}

static void print_build(const struct page *p, const struct metric *metric)
{
	text_addf(p->text, "%s{version=\"%s\",librdkafka=\"", metric->name, SIGNALBUS_VERSION);
	property_add_library_version(p->text);
	text_addf(p->text, "\",libpq=\"");
	db_add_library_version(p->text);
	text_addf(p->text, "\"} 1\n");
}

/* What a process uses, under the names that Prometheus's own client libraries give it. */
#define PROCESS_VALUE(name, field)                                                                 \
	static double name(const struct page *p, const struct series *s)                           \
	{                                                                                          \
		(void)s;                                                                           \
		return p->world.process->field;                                                    \
	}

PROCESS_VALUE(process_cpu, cpu_seconds)
PROCESS_VALUE(process_resident, resident_bytes)
PROCESS_VALUE(process_virtual, virtual_bytes)
PROCESS_VALUE(process_open_fds, open_fds)
PROCESS_VALUE(process_max_fds, max_fds)
PROCESS_VALUE(process_threads, threads)
PROCESS_VALUE(process_start, start_time)

static void print_process(const struct page *p, const struct metric *metric)
{
	if (p->world.process != NULL)
		print_alone(p, metric);
}

static const struct metric metrics[] = {
	{ "signalbus_sent_total", "counter",
		"Signals that the broker has stored and that are deleted.", print_models, sent },
	{ "signalbus_pending", "gauge",
		"Signals in the table when they were last counted; above 100000 an estimate.",
		print_models, pending },
	{ "signalbus_oldest_pending_seconds", "gauge",
		"Seconds since the table was last found empty; 0 while it is empty.", print_models,
		oldest },
	{ "signalbus_paused", "gauge", "Whether the daemon does not send the model.", print_models,
		paused },
	{ "signalbus_stopped", "gauge", "Whether the model has failed and waits for its next try.",
		print_models, stopped },
	{ "signalbus_errors_total", "counter", "Failures to send signals of a model, by kind.",
		print_errors, NULL },
	{ "signalbus_dead_letters_total", "counter",
		"Signals that the broker has rejected for good and that have become dead letters.",
		print_models, dead_letters },
	{ "signalbus_burst_seconds", "histogram",
		"Seconds from the fetch of a burst's signals to the commit of their deletion.",
		print_bursts, NULL },
	{ "signalbus_ack_seconds", "histogram",
		"Seconds from the first message of a burst to the last acknowledgement.",
		print_acknowledgements, NULL },
	{ "signalbus_ordered_leader", "gauge",
		"Whether this process holds the lock to send the model in order.",
		print_ordered_models, leader },
	{ "signalbus_ordered_wait_seconds", "gauge",
		"Seconds for which open transactions have been holding the order back.",
		print_ordered_models, ordered_wait },
	{ "signalbus_table_dead_rows", "gauge",
		"Rows of the table that are deleted and not yet removed by vacuum; estimated.",
		print_models, dead_rows },
	{ "signalbus_table_last_vacuum_timestamp_seconds", "gauge",
		"Unix time of the last vacuum of the table; 0 if there was none.", print_models,
		last_vacuum },
	{ "signalbus_vacuum_held_seconds", "gauge",
		"Age of the transaction or replication slot that holds back vacuum in the "
		"database.",
		print_alone, vacuum_held },
	{ "signalbus_transactions_total", "counter",
		"Transactions in Kafka of a model's bursts, by outcome.", print_transactions,
		NULL },
	{ "signalbus_prepared_oldest_seconds", "gauge",
		"Age of the oldest prepared transaction of this instance.", print_alone,
		prepared_oldest },
	{ "signalbus_database_up", "gauge", "Whether a worker has a connection that works.",
		print_alone, database_up },
	{ "signalbus_broker_up", "gauge", "Whether the broker answers.", print_alone, broker_up },
	{ "signalbus_config_last_reload_successful", "gauge", "Whether the last reload succeeded.",
		print_alone, is_reloaded },
	{ "signalbus_config_last_reload_success_timestamp_seconds", "gauge",
		"Unix time when the current configuration was loaded.", print_alone, reload_time },
	{ "signalbus_build_info", "gauge", "The versions of signalbus and of libraries.",
		print_build, NULL },
	{ "process_cpu_seconds_total", "counter", "User and system CPU time spent, in seconds.",
		print_process, process_cpu },
	{ "process_resident_memory_bytes", "gauge", "Resident memory size in bytes.", print_process,
		process_resident },
	{ "process_virtual_memory_bytes", "gauge", "Virtual memory size in bytes.", print_process,
		process_virtual },
	{ "process_open_fds", "gauge", "Number of open file descriptors.", print_process,
		process_open_fds },
	{ "process_max_fds", "gauge", "Maximum number of open file descriptors.", print_process,
		process_max_fds },
	{ "process_threads", "gauge", "Number of threads.", print_process, process_threads },
	{ "process_start_time_seconds", "gauge", "Start of the process, as Unix time.",
		print_process, process_start },
};

static bool is_of_exactly_once(const struct metric *metric)
{
	return metric->print == print_transactions || metric->value == prepared_oldest;
}

void metrics_print(struct metrics *m, const struct metrics_world *world, struct text *t)
{
	pthread_mutex_lock(&m->shape);
	struct page p = { .count = m->count, .world = *world, .text = t };
	p.series = memory_new(m->count, sizeof *p.series);
	pthread_mutex_lock(&m->lock);
	memcpy(p.series, m->series, m->count * sizeof *p.series);
	p.poll_interval = m->poll_interval;
	p.reloads = m->reloads;
	p.vacuum_held_since = m->vacuum_held_since;
	p.has_all_buckets = m->has_all_buckets;
	p.is_exact = m->is_exact;
	p.prepared_seconds = m->prepared_seconds;
	pthread_mutex_unlock(&m->lock);
	for (size_t i = 0; i < sizeof metrics / sizeof metrics[0]; i++) {
		if (is_of_exactly_once(&metrics[i]) && !p.is_exact)
			continue;
		text_addf(t, "# HELP %s %s\n# TYPE %s %s\n", metrics[i].name, metrics[i].help,
			metrics[i].name, metrics[i].type);
		metrics[i].print(&p, &metrics[i]);
	}
	pthread_mutex_unlock(&m->shape);
	free(p.series);
}

/* Prometheus accepts only UTF-8, and would refuse the whole page for one wrong byte. */
char *metrics_label(const char *model)
{
	struct text t = { 0 };
	text_addf(&t, "model=\"");
	for (const char *p = model; *p != '\0';) {
		size_t length = utf8_length(p);
		if (*p == '\n')
			text_addf(&t, "\\n");
		else if (*p == '"' || *p == '\\')
			text_addf(&t, "\\%c", *p);
		else if (length == 0)
			text_addf(&t, "\xef\xbf\xbd"); /* U+FFFD */
		else
			text_add(&t, p, length);
		p += length > 0 ? length : 1;
	}
	text_addf(&t, "\"");
	return t.text;
}
