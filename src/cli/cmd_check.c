#include "base/check_report.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/stop.h"
#include "base/text.h"
#include "catalog/catalog.h"
#include "cli/command.h"
#include "cli/json.h"
#include "kafka/broker.h"
#include "kafka/exposure.h"
#include "kafka/topic_check.h"
#include "kafka/transaction_check.h"
#include "postgres/db.h"
#include "relay/burst.h"
#include "store/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* librdkafka's defaults. */
#define QUEUE_KBYTES  1048576
#define MESSAGE_BYTES 1000000

/* What to check. */
struct check {
	const struct config *config;
	const size_t *models; /* indexes */
	size_t model_count;
	struct db *db;
	struct check_report findings;
};

static struct instant deadline_of(const struct check *c)
{
	return instant_after(clock_now(), c->config->timeout);
}

static const char *name_of(const struct check *c, size_t i)
{
	return c->config->models[c->models[i]].name;
}

/* A failure of the check itself is a problem, too, except a request to stop. */
static void note_error(struct check *c, const char *model, const struct error *e)
{
	if (e->kind != ERROR_STOPPED)
		report_problem(&c->findings, model, e->text);
}

static size_t number_of(const struct config *config, const char *property, size_t otherwise)
{
	for (size_t i = 0; i < config->kafka_count; i++)
		if (strcmp(config->kafka[i].name, property) == 0 && !config->kafka[i].is_secret)
			return strtoul(config->kafka[i].value, NULL, 10);
	return otherwise;
}

/* librdkafka waits in vain for room for a message that is larger than its queue. */
static void check_queue_size(struct check *c)
{
	size_t queue = number_of(c->config, "queue.buffering.max.kbytes", QUEUE_KBYTES) * 1024;
	size_t message = number_of(c->config, "message.max.bytes", MESSAGE_BYTES);
	if (queue >= message)
		return;
	char *text = text_format("kafka: queue_buffering_max_kbytes has no room for a message of "
				 "message_max_bytes (%zu); set queue_buffering_max_kbytes = %zu",
		message, (message + 1023) / 1024);
	report_warning(&c->findings, NULL, text);
	free(text);
}

/* The broker would abort transactions that have time left. */
static void check_transaction_timeout(struct check *c)
{
	double limit = 1000 * c->config->timeout;
	size_t own = number_of(c->config, "transaction.timeout.ms", SIZE_MAX);
	if (c->config->delivery != DELIVERY_EXACTLY_ONCE || (double)own >= limit)
		return;
	char *text = text_format("kafka: transaction_timeout_ms is %zu, so the broker aborts "
				 "transactions of bursts that have until timeout (%g s); remove it",
		own, c->config->timeout);
	report_warning(&c->findings, NULL, text);
	free(text);
}

static void warn(void *check, const char *text)
{
	struct check *c = check;
	report_warning(&c->findings, NULL, text);
}

/* That the credentials cannot be read is found when the database is checked. */
static void check_exposure(struct check *c, struct credentials *login)
{
	struct error e;
	struct credentials_values v;
	if (!credentials_read(login, limit_secret(c->config->timeout), &v, &e))
		return;
	char *exposure = db_exposure(v.values[DB_CONNINFO]);
	if (exposure != NULL)
		report_warning(&c->findings, NULL, exposure);
	free(exposure);
	credentials_values_free(&v);
}

/* What the configuration itself shows, whatever the servers answer. */
static void check_configuration(struct check *c)
{
	check_exposure(c, c->config->login);
	if (c->config->listen_login != NULL)
		check_exposure(c, c->config->listen_login);
	exposure_report(c->config, warn, c);
	check_queue_size(c);
	check_transaction_timeout(c);
}

/* That database_listen leads to the same database, without a pooler of transactions. */
static void check_locks(struct check *c)
{
	struct error e;
	struct store *s = store_new(c->config);
	if (!store_connect(s, deadline_of(c), &e) || !store_try_locks(s, &e))
		note_error(c, NULL, &e);
	store_free(s);
}

static void check_models(struct check *c)
{
	struct error e;
	for (size_t i = 0; i < c->model_count && db_connected(c->db) && !stop_requested(); i++)
		if (!catalog_check(c->db, c->config, c->models[i], &c->findings, &e))
			note_error(c, db_connected(c->db) ? name_of(c, i) : NULL, &e);
}

static void check_database(struct check *c)
{
	struct error e;
	if (!db_connect(c->db, deadline_of(c), &e) ||
		!catalog_check_database(c->db, c->config, &c->findings, &e)) {
		note_error(c, NULL, &e);
		return;
	}
	if (c->config->listen_login != NULL)
		check_locks(c);
	check_models(c);
}

/* The topic of a model's signals; NULL if it differs from row to row.  Its name is valid, or the
 * configuration would have been refused. */
static const char *topic_of(const struct check *c, size_t i)
{
	const char *topic = c->config->models[c->models[i]].topic;
	return strchr(topic, '{') == NULL ? topic : NULL;
}

static void report(struct check_report *f,
	void (*add)(struct check_report *f, const char *model, const char *text), const char *model,
	const struct topic_check *topic, const char *text)
{
	char *line = text_format("topic %s: %s", topic->name, text);
	add(f, model, line);
	free(line);
}

/* A compacted topic wants keys. */
static void report_keys(struct check *c, size_t i, const struct topic_check *topic)
{
	static const char no_key[] = "it is compacted (cleanup.policy), so it does not accept "
				     "messages without a key";
	const struct model_config *m = &c->config->models[c->models[i]];
	char *nullable = catalog_null_key(c->db, m, deadline_of(c));
	char *text = m->key == NULL     ? text_format("%s and the model has none; set key", no_key)
		     : nullable != NULL ? text_format("%s, and %s", no_key, nullable)
					: NULL;
	if (text != NULL)
		report(&c->findings, m->key == NULL ? report_problem : report_warning, m->name,
			topic, text);
	free(nullable);
	free(text);
}

static void report_topic(struct check *c, size_t i, const struct topic_check *topic)
{
	if (topic->compacts)
		report_keys(c, i, topic);
	if (topic->problem[0] != '\0')
		report(&c->findings, report_problem, name_of(c, i), topic, topic->problem);
	if (topic->warning[0] != '\0')
		report(&c->findings, report_warning, name_of(c, i), topic, topic->warning);
}

static void check_broker(struct check *c)
{
	struct error e;
	size_t count = 0;
	struct topic_check *topics = memory_new(c->model_count, sizeof *topics);
	size_t *owners = memory_new(c->model_count, sizeof *owners);
	for (size_t i = 0; i < c->model_count; i++) {
		topics[count].name = topic_of(c, i);
		owners[count] = i;
		if (topics[count].name != NULL)
			count++;
	}
	if (!topic_check_all(c->config, topics, count, deadline_of(c), &e))
		note_error(c, NULL, &e);
	for (size_t i = 0; i < count; i++)
		report_topic(c, owners[i], &topics[i]);
	free(owners);
	free(topics);
}

/* Take a slot, and store numbers for the models' topics in a transaction that is aborted. */
static void try_transaction(struct check *c)
{
	struct error e;
	const char **topics = memory_new(c->model_count, sizeof *topics);
	size_t count = 0;
	for (size_t i = 0; i < c->model_count; i++)
		if (topic_of(c, i) != NULL)
			topics[count++] = topic_of(c, i);
	struct broker *broker = broker_new(c->config, 1, &e);
	struct store *s = store_new(c->config);
	struct burst *b = broker != NULL ? burst_new(c->config, s, broker,
						   (struct burst_owner){ .workers = 1 })
					 : NULL;
	if (b == NULL || !store_connect(s, deadline_of(c), &e) ||
		!burst_try_transaction(b, topics, count, &e))
		note_error(c, NULL, &e);
	burst_free(b);
	store_free(s);
	broker_free(broker);
	free(topics);
}

/* What delivery = "exactly-once" needs of both servers. */
static void check_transactions(struct check *c)
{
	struct error e;
	if (c->config->delivery != DELIVERY_EXACTLY_ONCE || c->findings.problems > 0)
		return; /* what else is wrong fails it, too */
	if (!transaction_check(c->config, &c->findings, deadline_of(c), &e))
		note_error(c, NULL, &e);
	if (c->findings.problems == 0 && !stop_requested())
		try_transaction(c);
}

/* On a terminal, the numbers are data; otherwise silence says that there is nothing to report. */
static int print_sum(const struct check *c)
{
	char *sum = report_sum(&c->findings);
	char *line = text_format(
		"checked %zu model%s: %s", c->model_count, c->model_count == 1 ? "" : "s", sum);
	if (isatty(STDOUT_FILENO))
		printf("%s\n", line);
	else
		log_info("%s", line);
	free(line);
	free(sum);
	return command_finish_output();
}

static int print_json(const struct check *c)
{
	cJSON *document = json_made(cJSON_CreateObject());
	cJSON_AddItemToObject(document, "models", json_count(c->model_count));
	cJSON *problems = json_made(cJSON_AddArrayToObject(document, "problems"));
	cJSON *warnings = json_made(cJSON_AddArrayToObject(document, "warnings"));
	for (size_t i = 0; i < c->findings.problems + c->findings.warnings; i++) {
		const struct finding *f = &c->findings.findings[i];
		cJSON *finding = json_made(cJSON_CreateObject());
		cJSON_AddItemToArray(f->is_warning ? warnings : problems, finding);
		cJSON_AddItemToObject(finding, "model", json_text(f->model));
		cJSON_AddItemToObject(finding, "text", json_text(f->text));
	}
	return json_print(document);
}

/* Check everything: a problem in one part does not hide those in another. */
static void check_servers(struct check *c)
{
	static void (*const parts[])(struct check *) = { check_configuration, check_database,
		check_broker, check_transactions };
	c->db = catalog_session(c->config);
	for (size_t i = 0; i < sizeof parts / sizeof parts[0] && !stop_requested(); i++)
		parts[i](c);
	db_free(c->db);
	stop_by_signal();
}

int cmd_check(const struct command_line *line)
{
	struct config *config = command_load(line, LOG_LEVEL_WARNING);
	if (config == NULL)
		return EXIT_WRONG_CONFIG;
	struct check c = { .config = config };
	size_t *models = command_select(line, config, &c.model_count);
	if (models == NULL) {
		config_free(config);
		return EXIT_WRONG_USAGE;
	}
	c.models = models;
	c.findings.is_coloured = report_wants_colours();
	c.findings.is_silent = line->json;
	if (!line->config_only)
		check_servers(&c);
	int status = line->json ? print_json(&c) : line->config_only ? 0 : print_sum(&c);
	if (c.findings.problems > 0 || (line->deny_warnings && c.findings.warnings > 0))
		status = 1;
	report_free(&c.findings);
	free(models);
	config_free(config);
	return status;
}
