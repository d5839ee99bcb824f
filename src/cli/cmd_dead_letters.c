#include "base/error.h"
#include "base/stop.h"
#include "base/text.h"
#include "base/utf8.h"
#include "cli/command.h"
#include "store/store.h"

#include <stdio.h>
#include <stdlib.h>

/* How many are fetched at a time: there may be any number. */
#define PAGE_ROWS 1000

/* The models of the command. */
struct chosen {
	const struct config *config;
	const size_t *models;
	size_t count;
};

/* Print a line for each of a page, with tabs between its columns, whatever they contain. */
static void print_page(const struct rows *page)
{
	for (size_t i = 0; i < rows_count(page); i++)
		for (size_t column = 0; column < DEAD_LETTER_COLUMNS; column++) {
			char *shown = utf8_shown(rows_value(page, i, column));
			printf("%s%c", shown, column + 1 < DEAD_LETTER_COLUMNS ? '\t' : '\n');
			free(shown);
		}
}

static bool list_model(struct store *s, size_t model, struct error *e)
{
	char *last = text_copy("0");
	bool ok = true;
	for (bool more = true; ok && more && !stop_requested();) {
		struct rows *page;
		ok = store_dead_letters(
			s, model, &(struct dead_letter_page){ last, PAGE_ROWS }, &page, e);
		if (!ok)
			break;
		print_page(page);
		more = rows_count(page) == PAGE_ROWS;
		if (more) {
			free(last);
			last = text_copy(rows_value(page, PAGE_ROWS - 1, 0));
		}
		rows_free(page);
	}
	free(last);
	return ok;
}

static bool list(struct store *s, const struct chosen *c, struct error *e)
{
	for (size_t i = 0; i < c->count; i++)
		if (!list_model(s, c->models[i], e))
			return false;
	return true;
}

/* Report the result.  Returns false with e if some stay. */
static bool report_requeued(const struct chosen *c, const struct requeued *r, struct error *e)
{
	for (size_t i = 0; i < c->count; i++)
		if (r->counts[i] > 0)
			log_info("model \"%s\": %zu signals are back in table %s",
				c->config->models[c->models[i]].name, r->counts[i],
				c->config->models[c->models[i]].table);
	for (size_t i = 0; i < r->reasons.count; i++)
		log_error("%s", r->reasons.lines[i]);
	return r->stayed == 0 ||
	       error_set(e, ERROR_DATABASE, "%zu dead letter%s in table %s", r->stayed,
		       r->stayed == 1 ? " stays" : "s stay", c->config->dead_letter_table);
}

static bool requeue(struct store *s, const struct chosen *c, struct error *e)
{
	struct requeued r = { .counts = memory_new(c->count, sizeof *r.counts) };
	bool ok = command_read_models(s, c->models, c->count, e) &&
		  store_requeue(s, c->models, c->count, &r, e) && report_requeued(c, &r, e);
	problems_free(&r.reasons);
	free(r.counts);
	return ok;
}

static bool discard(struct store *s, const struct chosen *c, struct error *e)
{
	for (size_t i = 0; i < c->count; i++) {
		size_t count;
		if (!store_discard(s, c->models[i], &count, e))
			return false;
		if (count > 0)
			log_info("model \"%s\": %zu dead letters were deleted",
				c->config->models[c->models[i]].name, count);
	}
	return true;
}

static int run(const struct command_line *line, const struct chosen *c)
{
	struct error e;
	struct store *s = store_new(c->config);
	bool ok = command_connect_store(s, c->config, &e);
	if (ok)
		ok = line->requeue   ? requeue(s, c, &e)
		     : line->discard ? discard(s, c, &e)
				     : list(s, c, &e);
	store_free(s);
	return ok ? command_finish_output() : command_failed("", &e);
}

int cmd_dead_letters(const struct command_line *line)
{
	struct config *config = command_load(line, LOG_LEVEL_WARNING);
	if (config == NULL)
		return EXIT_WRONG_CONFIG;
	if (config->dead_letter_table == NULL) {
		int status = command_refuse(config, "dead_letter_table",
			"dead_letter_table is not set; set it to the table that has the dead "
			"letters");
		config_free(config);
		return status;
	}
	struct chosen c = { .config = config };
	size_t *models = command_select(line, config, &c.count);
	c.models = models;
	int status = models != NULL ? run(line, &c) : EXIT_WRONG_USAGE;
	free(models);
	config_free(config);
	stop_by_signal();
	return status;
}
