#include "base/clock.h"
#include "base/error.h"
#include "base/stop.h"
#include "base/terminal.h"
#include "base/text.h"
#include "base/utf8.h"
#include "cli/command.h"
#include "cli/json.h"
#include "cli/pending_view.h"
#include "store/store.h"

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

static int print_json_signals(const struct config *config)
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
	}
	return json_print(document);
}

int cmd_signals(const struct command_line *line)
{
	struct config *config = command_load(line, LOG_LEVEL_WARNING);
	if (config == NULL)
		return EXIT_WRONG_CONFIG;
	int status = line->json ? print_json_signals(config) : print_signals(config);
	config_free(config);
	return status;
}

struct pending {
	const char *name;
	size_t count;
};

/* Fewest first; names break ties, so that the output is the same each time. */
static int compare_pending(const void *a, const void *b)
{
	const struct pending *x = a, *y = b;
	if (x->count != y->count)
		return x->count < y->count ? -1 : 1;
	return strcmp(x->name, y->name);
}

/* The models of the command. */
struct chosen {
	const struct config *config;
	const size_t *models;
	size_t count;
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
	const struct pending_count_of counted = { i, p->name, p->count, c->since[i] };
	pending_view_note(c->view, &counted, now);
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
	static const char failure[] = "Cannot count pending signals: ";
	struct error e;
	int status = 0;
	*count = 0;
	if (!store_connected(s) && !command_connect_store(s, c->config, &e))
		return command_failed(failure, &e);
	for (size_t i = 0; i < c->count && store_connected(s); i++) {
		const struct model *m = store_model(s, c->models[i], &e);
		struct pending *p = &pending[*count];
		p->name = c->config->models[c->models[i]].name;
		if (m != NULL && store_count(s, m, &p->count, &e)) {
			(*count)++;
			if (c->view != NULL)
				show(s, c, i, m, p);
			continue;
		}
		store_blame(s, c->models[i], &e);
		int failed = command_failed(failure, &e);
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

/* All that were counted, also those with none. */
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
	int written = print_json_pending(pending, count);
	free(pending);
	return written > status ? written : status;
}

/* Print; with --watch repeatedly, on a terminal in place. */
static int watch(const struct command_line *line, const struct chosen *c, struct store *s)
{
	struct pending *pending = memory_new(c->count, sizeof *pending);
	int status = 0;
	do {
		size_t count;
		struct instant start = clock_now();
		status = count_pending(s, c, pending, &count);
		if (count > 0) {
			if (c->view != NULL)
				draw(c);
			else
				print_pending(pending, count);
			int written = command_finish_output();
			status = written > status ? written : status;
		}
		if (line->watch >= 0 && status != EXIT_WRONG_CONFIG && !ferror(stdout))
			status = 0;
		if (line->watch >= 0)
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
	struct chosen c = { .config = config };
	size_t *models = command_select(line, config, &c.count);
	c.models = models;
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
	free(c.rows);
	free(c.since);
	store_free(s);
	free(models);
	config_free(config);
	if (line->watch < 0)
		stop_by_signal();
	return status;
}
