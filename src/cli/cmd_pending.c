#include "base/clock.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/stop.h"
#include "base/terminal.h"
#include "base/text.h"
#include "base/utf8.h"
#include "cli/command.h"
#include "cli/json.h"
#include "cli/pending_view.h"
#include "store/store.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Print line, which is freed; no model name can make two lines of it. */
static void print_line(char *line)
{
	char *shown = utf8_shown(line);
	printf("%s\n", shown);
	free(shown);
	free(line);
}

static int print_signals(const struct config *config)
{
	for (size_t i = 0; i < config->model_count; i++)
		print_line(text_copy(config->models[i].name));
	return command_finish_output();
}

/* Whether the daemon does not send a model, whoever wants that. */
enum paused { PAUSED_NO, PAUSED_YES, PAUSED_UNKNOWN };

/* pauses may be NULL: unknown. */
static enum paused paused(const struct config *config, const struct pause *pauses, size_t model)
{
	if (!config_autoflushes(config, model))
		return PAUSED_YES;
	if (pauses == NULL)
		return PAUSED_UNKNOWN;
	return pauses[model].is_paused ? PAUSED_YES : PAUSED_NO;
}

static cJSON *json_paused(enum paused p)
{
	return json_made(
		p == PAUSED_UNKNOWN ? cJSON_CreateNull() : cJSON_CreateBool(p == PAUSED_YES));
}

static int print_json_signals(const struct config *config, const struct pause *pauses)
{
	cJSON *document = json_made(cJSON_CreateObject());
	cJSON *models = json_made(cJSON_AddArrayToObject(document, "models"));
	for (size_t i = 0; i < config->model_count; i++) {
		const struct model_config *m = &config->models[i];
		cJSON *model = json_made(cJSON_CreateObject());
		cJSON_AddItemToArray(models, model);
		cJSON_AddItemToObject(model, "name", json_text(m->name));
		cJSON_AddItemToObject(model, "table", json_text(m->table));
		cJSON_AddItemToObject(model, "topic", json_text(m->topic));
		cJSON_AddItemToObject(
			model, "ordered", json_made(cJSON_CreateBool(m->order_by.count > 0)));
		cJSON_AddItemToObject(model, "autoflush",
			json_made(cJSON_CreateBool(config->autoflush && m->autoflush)));
		cJSON_AddItemToObject(model, "paused", json_paused(paused(config, pauses, i)));
	}
	return json_print(document);
}

/* To be freed; NULL, with a warning: unknown, since the command does not depend on the database. */
static struct pause *ask_pauses(const struct config *config)
{
	struct error e;
	struct store *s = store_new(config);
	struct pause *pauses = memory_new(config->model_count, sizeof *pauses);
	double limit = fmin(config->timeout, CONNECT_S);
	if (!store_connect(s, instant_after(clock_now(), limit), &e) ||
		!store_pauses(s, pauses, &e)) {
		log_warning(PAUSES_UNKNOWN, e.text);
		free(pauses);
		pauses = NULL;
	}
	store_free(s);
	return pauses;
}

static void log_states(const struct config *config, const struct pause *pauses)
{
	for (size_t i = 0; i < config->model_count; i++) {
		const char *name = config->models[i].name;
		if (pauses[i].is_paused)
			log_info("model \"%s\": paused by %s", name, pauses[i].by);
		else
			log_info("model \"%s\": %s", name,
				config_autoflushes(config, i) ? "active"
							      : "paused by autoflush = false");
	}
}

int cmd_signals(const struct command_line *line)
{
	struct config *config = command_load(line, LOG_LEVEL_WARNING);
	if (config == NULL)
		return EXIT_WRONG_CONFIG;
	struct pause *pauses = NULL;
	if (line->json || line->verbosity > 0)
		pauses = ask_pauses(config);
	int status = line->json ? print_json_signals(config, pauses) : print_signals(config);
	if (pauses != NULL)
		log_states(config, pauses);
	free(pauses);
	config_free(config);
	return status;
}

struct pending {
	const char *name;
	size_t model;
	size_t count;
	enum paused paused;
};

/* Fewest first; names break ties, so that the output is the same each time. */
static int compare_pending(const void *a, const void *b)
{
	const struct pending *x = a, *y = b;
	if (x->count != y->count)
		return x->count < y->count ? -1 : 1;
	return strcmp(x->name, y->name);
}

#define CANNOT_COUNT "Cannot count pending signals: "

/* The models of the command. */
struct chosen {
	const struct config *config;
	const size_t *models;
	size_t count;
	struct pause *pauses;      /* of all models of the configuration */
	bool *has_failed;          /* each model, the last time */
	struct pending_view *view; /* on a terminal, with --watch; or NULL */
	struct sighting *rows;     /* for it: a row of each model … */
	struct instant *since;     /* … and when it was first seen */
};

/* Find out whether the same row of a model is still there, or another one, and show the count. */
static void show(struct store *s, const struct chosen *c, size_t i, const struct model *m,
	const struct pending *p)
{
	struct error ignored;
	struct sighting *row = &c->rows[i];
	struct instant now = clock_now();
	bool was_known = row->ctid[0] != '\0';
	bool ok = p->count == 0 || store_see(s, m, NULL, row, &ignored);
	bool is_same = was_known && ok && row->ctid[0] != '\0';
	if (ok && was_known && !is_same && p->count > 0)
		ok = store_see(s, m, NULL, row, &ignored);
	if (!ok || p->count == 0)
		*row = (struct sighting){ 0 };
	if (!is_same)
		c->since[i] = now;
	const struct pending_count_of counted = { i, p->name, p->count, c->since[i],
		p->paused == PAUSED_YES, false };
	pending_view_note(c->view, &counted, now);
}

/* Log why a model cannot be counted, once until it can be, and show it.  Returns the status. */
static int fail(const struct chosen *c, size_t i, const struct error *e)
{
	const struct pending_count_of unknown = {
		.model = i, .name = c->config->models[c->models[i]].name, .is_unknown = true
	};
	if (c->view != NULL)
		pending_view_note(c->view, &unknown, clock_now());
	if (c->has_failed[i])
		return error_exit_status(e->kind);
	c->has_failed[i] = true;
	if (c->view != NULL) { /* below the screen, which is drawn again */
		printf("\n");
		(void)command_finish_output();
	}
	return command_failed(CANNOT_COUNT, e);
}

/* Draw on the terminal. */
static void draw(const struct chosen *c)
{
	char clock[16];
	struct text t = { 0 };
	struct tm local;
	time_t now = time(NULL);
	strftime(clock, sizeof clock, "%H:%M:%S", localtime_r(&now, &local));
	const struct pending_frame frame = { terminal_rows(STDOUT_FILENO),
		terminal_columns(STDOUT_FILENO), clock };
	pending_view_draw(c->view, &frame, clock_now(), &t);
	fputs(t.text, stdout);
	text_free(&t);
}

/* Count the signals of each model; *count is for how many that was possible.  Why not for others is
 * logged.  Returns the exit status. */
static int count_pending(
	struct store *s, const struct chosen *c, struct pending *pending, size_t *count)
{
	struct error e;
	int status = 0;
	*count = 0;
	if (!store_connected(s) && !command_connect_store(s, c->config, &e))
		return command_failed(CANNOT_COUNT, &e);
	bool knows_pauses = store_pauses(s, c->pauses, &e);
	if (!store_connected(s))
		/* uncovered: the session is lost at just this call */
		return command_failed(CANNOT_COUNT, &e);
	if (!knows_pauses)
		log_warning(PAUSES_UNKNOWN, e.text);
	for (size_t i = 0; i < c->count && store_connected(s); i++) {
		const struct model *m = store_model(s, c->models[i], &e);
		struct pending *p = &pending[*count];
		p->model = c->models[i];
		p->name = c->config->models[p->model].name;
		p->paused = paused(c->config, knows_pauses ? c->pauses : NULL, p->model);
		if (m != NULL && store_count(s, m, &p->count, &e)) {
			(*count)++;
			c->has_failed[i] = false;
			if (c->view != NULL)
				show(s, c, i, m, p);
			continue;
		}
		store_blame(s, c->models[i], &e);
		int failed = store_connected(s) ? fail(c, i, &e) : command_failed(CANNOT_COUNT, &e);
		status = failed > status ? failed : status;
	}
	qsort(pending, *count, sizeof *pending, compare_pending);
	return status;
}

static void print_pending(const struct pending *pending, size_t count)
{
	size_t total = 0;
	for (size_t i = 0; i < count; i++)
		total += pending[i].count;
	int width = count > 0 ? snprintf(NULL, 0, "%zu", pending[count - 1].count) : 0;
	for (size_t i = 0; i < count; i++)
		if (pending[i].count > 0)
			print_line(text_format(
				"%*zu of type \"%s\"", width, pending[i].count, pending[i].name));
	printf("-------------------------\nTotal pending: %zu\n", total);
}

/* All, also those with none. */
static int print_json_pending(const struct pending *pending, size_t count)
{
	size_t total = 0;
	cJSON *document = json_made(cJSON_CreateObject());
	cJSON *models = json_made(cJSON_AddArrayToObject(document, "models"));
	for (size_t i = 0; i < count; i++) {
		cJSON *model = json_made(cJSON_CreateObject());
		cJSON_AddItemToArray(models, model);
		cJSON_AddItemToObject(model, "name", json_text(pending[i].name));
		cJSON_AddItemToObject(model, "pending", json_count(pending[i].count));
		cJSON_AddItemToObject(model, "paused", json_paused(pending[i].paused));
		total += pending[i].count;
	}
	cJSON_AddItemToObject(document, "total", json_count(total));
	return json_print(document);
}

/* Count once, for a program. */
static int count_for_program(const struct chosen *c, struct store *s)
{
	size_t count;
	struct pending *pending = memory_new(c->count, sizeof *pending);
	int status = count_pending(s, c, pending, &count);
	if (status == 0) /* a total of some models would be wrong */
		status = print_json_pending(pending, count);
	free(pending);
	return status;
}

/* What waits for an operator. */
static void warn_of_paused(const struct chosen *c, const struct pending *pending, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct pending *p = &pending[i];
		if (p->count > 0 && c->pauses[p->model].is_paused)
			log_warning(
				"model \"%s\" is paused by %s", p->name, c->pauses[p->model].by);
		if (p->count > 0 && !config_autoflushes(c->config, p->model))
			command_warn_of_autoflush(p->name);
	}
}

/* Print; with --watch repeatedly, on a terminal in place.  A model that cannot be counted at first
 * ends it, one that cannot be counted later does not. */
static int watch(const struct command_line *line, const struct chosen *c, struct store *s)
{
	struct pending *pending = memory_new(c->count, sizeof *pending);
	int status = 0;
	bool has_begun = false;
	do {
		size_t count;
		struct instant start = clock_now();
		status = count_pending(s, c, pending, &count);
		if (count > 0 || (c->view != NULL && has_begun && store_connected(s))) {
			if (c->view != NULL)
				draw(c);
			else
				print_pending(pending, count);
			int written = command_finish_output();
			status = written > status ? written : status;
		}
		if (line->watch >= 0 && (status != EXIT_WRONG_CONFIG || has_begun) &&
			!ferror(stdout))
			status = 0;
		has_begun = true;
		if (line->watch < 0)
			warn_of_paused(c, pending, count);
		else
			stop_wait(instant_after(start, line->watch));
	} while (line->watch >= 0 && status == 0 && !stop_requested());
	if (c->view != NULL)
		printf("\n");
	free(pending);
	return status;
}

int cmd_pending(const struct command_line *line)
{
	struct config *config = command_load(line, LOG_LEVEL_WARNING);
	if (config == NULL)
		return EXIT_WRONG_CONFIG;
	struct chosen c = { .config = config,
		.pauses = memory_new(config->model_count, sizeof *c.pauses) };
	size_t *models = command_select(line, config, &c.count);
	c.models = models;
	c.has_failed = memory_new(c.count, sizeof *c.has_failed);
	struct store *s = store_new(config);
	/* A locked table takes no time from the others. */
	store_limit_locks(s, config->timeout / (double)config->model_count);
	if (line->watch >= 0 && terminal_draws(STDOUT_FILENO)) {
		c.view = pending_view_new(c.count);
		c.rows = memory_new(c.count, sizeof *c.rows);
		c.since = memory_new(c.count, sizeof *c.since);
	}
	int status = models == NULL ? EXIT_WRONG_USAGE
		     : line->json   ? count_for_program(&c, s)
				    : watch(line, &c, s);
	if (c.view != NULL)
		pending_view_free(c.view);
	free(c.pauses);
	free(c.has_failed);
	free(c.rows);
	free(c.since);
	store_free(s);
	free(models);
	config_free(config);
	if (line->watch < 0)
		stop_by_signal();
	return status;
}
