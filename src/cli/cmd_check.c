#include "base/check_report.h"
#include "base/clock.h"
#include "base/stop.h"
#include "base/text.h"
#include "catalog/catalog.h"
#include "cli/command.h"
#include "kafka/lane.h"

#include <stdlib.h>
#include <string.h>

/* What to check. */
struct check {
	const struct config *config;
	const size_t *models; /* indexes */
	size_t model_count;
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

static void check_models(struct check *c, struct db *db)
{
	struct error e;
	for (size_t i = 0; i < c->model_count && db_connected(db) && !stop_requested(); i++)
		if (!catalog_check(db, c->config, c->models[i], &c->findings, &e))
			note_error(c, db_connected(db) ? name_of(c, i) : NULL, &e);
}

static void check_database(struct check *c)
{
	struct error e;
	struct db *db = db_new(c->config->database, c->config->timeout);
	if (db_connect(db, deadline_of(c), &e) &&
		catalog_check_database(db, c->config, &c->findings, &e))
		check_models(c, db);
	else
		note_error(c, NULL, &e);
	db_free(db);
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
	const struct bus_topic *topic, const char *text)
{
	char *line = text_format("topic %s: %s", topic->name, text);
	add(f, model, line);
	free(line);
}

static void report_topic(struct check *c, size_t i, const struct bus_topic *topic)
{
	static const char no_key[] = "it is compacted (cleanup.policy), so it does not accept "
				     "messages without a key and the model has none; set key";
	const char *warning = topic->warning;
	if (topic->compacts && c->config->models[c->models[i]].key == NULL)
		report(&c->findings, report_problem, name_of(c, i), topic, no_key);
	if (topic->problem[0] != '\0')
		report(&c->findings, report_problem, name_of(c, i), topic, topic->problem);
	if (warning[0] != '\0')
		report(&c->findings, report_warning, name_of(c, i), topic, warning);
}

static void check_broker(struct check *c)
{
	struct error e;
	size_t count = 0;
	struct bus_topic *topics = memory_new(c->model_count, sizeof *topics);
	size_t *owners = memory_new(c->model_count, sizeof *owners);
	for (size_t i = 0; i < c->model_count; i++) {
		topics[count].name = topic_of(c, i);
		owners[count] = i;
		if (topics[count].name != NULL)
			count++;
	}
	if (!bus_topics(c->config, topics, count, deadline_of(c), &e))
		note_error(c, NULL, &e);
	for (size_t i = 0; i < count; i++)
		report_topic(c, owners[i], &topics[i]);
	free(owners);
	free(topics);
}

/* Check everything: a problem in one part does not hide those in another. */
static int check(struct check *c)
{
	static void (*const parts[])(struct check *) = { check_database, check_broker };
	for (size_t i = 0; i < sizeof parts / sizeof parts[0] && !stop_requested(); i++)
		parts[i](c);
	stop_by_signal();
	log_info("checked %zu models: %zu problems, %zu warnings", c->model_count,
		c->findings.problems, c->findings.warnings);
	int status = command_finish_output();
	return c->findings.problems > 0 ? 1 : status;
}

int cmd_check(const struct command_line *line)
{
	struct config *config = command_load(line, LOG_LEVEL_WARNING);
	if (config == NULL)
		return EXIT_WRONG_CONFIG;
	if (line->config_only) {
		config_free(config);
		return 0;
	}
	struct check c = { .config = config };
	size_t *models = command_select(line, config, &c.model_count);
	c.models = models;
	int status = check(&c);
	report_free(&c.findings);
	free(models);
	config_free(config);
	return status;
}
