#include "base/error.h"
#include "base/stop.h"
#include "base/text.h"
#include "base/utf8.h"
#include "cli/command.h"
#include "cli/json.h"
#include "cli/options.h"
#include "store/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* How many are fetched at a time: there may be any number. */
#define PAGE_ROWS 1000

/* What the command is about. */
struct chosen {
	const struct config *config;
	struct dead_letters which;
	bool with_signal; /* list it, too */
	bool json;
	bool *has_begun; /* the list */
	size_t *printed; /* elements of the JSON document */
};

/* Begin the list, unless it has begun: an error before the first page leaves no half a document. */
static void print_heading(const struct chosen *c)
{
	bool has_begun = *c->has_begun;
	*c->has_begun = true;
	if (has_begun)
		return;
	if (c->json)
		printf("{\"dead_letters\":[");
	else if (isatty(STDOUT_FILENO))
		printf("number\tmodel\ttime\tkey\treason%s\n", c->with_signal ? "\tsignal" : "");
}

/* Print a line for each of a page, with tabs between its columns, whatever they contain. */
static void print_page(const struct chosen *c, const struct rows *page)
{
	size_t columns = c->with_signal ? DEAD_LETTER_COLUMNS : DEAD_LETTER_COLUMNS - 1;
	for (size_t i = 0; i < rows_count(page); i++)
		for (size_t column = 0; column < columns; column++) {
			char *shown = utf8_shown(rows_value(page, i, column));
			printf("%s%c", shown, column + 1 < columns ? '\t' : '\n');
			free(shown);
		}
}

/* The same as elements of an array: the document may be larger than memory. */
static void print_json_page(const struct chosen *c, const struct rows *page)
{
	static const struct {
		const char *name;
		bool is_json;
	} members[DEAD_LETTER_COLUMNS] = { { "id", true }, { "model", false },
		{ "failed_at", false }, { "key", true }, { "error", false }, { "signal", true } };
	for (size_t i = 0; i < rows_count(page); i++) {
		cJSON *letter = json_made(cJSON_CreateObject());
		for (size_t column = 0; column < DEAD_LETTER_COLUMNS; column++) {
			const char *value = rows_value(page, i, column);
			cJSON_AddItemToObject(letter, members[column].name,
				members[column].is_json ? json_embedded(value) : json_text(value));
		}
		char *text = json_line(letter);
		printf("%s%s", (*c->printed)++ > 0 ? "," : "", text);
		free(text);
	}
}

static bool list_model(struct store *s, const struct chosen *c, size_t model, struct error *e)
{
	char *last = text_copy("0");
	bool ok = true;
	for (bool more = true; ok && more && !stop_requested();) {
		struct rows *page;
		const struct dead_letter_page next = { last, PAGE_ROWS, c->which.ids };
		ok = store_dead_letters(s, model, &next, &page, e);
		if (!ok)
			break;
		print_heading(c);
		(c->json ? print_json_page : print_page)(c, page);
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
	bool ok = true;
	for (size_t i = 0; ok && i < c->which.count; i++)
		ok = list_model(s, c, c->which.models[i], e);
	if (ok)
		print_heading(c); /* if no model is chosen */
	if (c->json && *c->has_begun)
		printf("]}\n");
	return ok;
}

/* Report the result for some models.  Returns false with e if some stay. */
static bool report_requeued(const struct chosen *c, const struct dead_letters *which,
	const struct requeued *r, struct error *e)
{
	for (size_t i = 0; i < which->count; i++)
		if (r->counts[i] > 0)
			log_info("model \"%s\": %zu signal%s back in table %s",
				c->config->models[which->models[i]].name, r->counts[i],
				r->counts[i] == 1 ? " is" : "s are",
				c->config->models[which->models[i]].table);
	for (size_t i = 0; i < r->reasons.count; i++)
		log_error("%s", r->reasons.lines[i]);
	return r->stayed == 0 ||
	       error_set(e, ERROR_DATABASE, "%zu dead letter%s in table %s", r->stayed,
		       r->stayed == 1 ? " stays" : "s stay", c->config->dead_letter_table);
}

/* The models that have any: the others need neither a table nor a privilege. */
static bool find_models(struct store *s, const struct dead_letters *which, size_t *models,
	size_t *count, struct error *e)
{
	for (size_t i = 0; i < which->count; i++) {
		size_t letters;
		if (!store_count_dead_letters(s, which->models[i], which->ids, &letters, e))
			return false;
		if (letters > 0)
			models[(*count)++] = which->models[i];
	}
	return true;
}

static bool requeue(struct store *s, const struct chosen *c, struct error *e)
{
	size_t *models = memory_new(c->which.count, sizeof *models);
	struct dead_letters which = { models, 0, c->which.ids };
	struct requeued r = { .counts = memory_new(c->which.count, sizeof *r.counts) };
	bool ok = find_models(s, &c->which, models, &which.count, e) &&
		  command_read_models(s, models, which.count, e) &&
		  store_requeue(s, &which, &r, e) && report_requeued(c, &which, &r, e);
	problems_free(&r.reasons);
	free(r.counts);
	free(models);
	return ok;
}

static bool discard(struct store *s, const struct chosen *c, struct error *e)
{
	size_t all = 0;
	for (size_t i = 0; i < c->which.count; i++) {
		size_t count;
		if (!store_discard(s, c->which.models[i], c->which.ids, &count, e))
			return false;
		all += count;
		if (count > 0)
			log_info("model \"%s\": %zu dead letter%s deleted",
				c->config->models[c->which.models[i]].name, count,
				count == 1 ? " was" : "s were");
	}
	if (all == 0)
		log_info("no dead letter was deleted");
	return true;
}

/* Report a number that no dead letter of the chosen models has. */
static void say_missing(const struct config *config, const char *id, const char *model)
{
	if (model == NULL) {
		log_error("there is no dead letter %s", id);
		return;
	}
	bool is_configured = false;
	for (size_t i = 0; i < config->model_count; i++)
		is_configured = is_configured || strcmp(config->models[i].name, model) == 0;
	log_error("dead letter %s is of model \"%s\", which is not %s", id, model,
		is_configured ? "chosen" : "configured");
}

static bool report_missing(
	struct store *s, const struct chosen *c, bool *is_complete, struct error *e)
{
	struct rows *missing = NULL;
	*is_complete = true;
	if (c->which.ids == NULL)
		return true;
	if (!store_missing_dead_letters(s, &c->which, &missing, e))
		return false;
	for (size_t i = 0; i < rows_count(missing); i++)
		say_missing(c->config, rows_value(missing, i, 0), rows_value(missing, i, 1));
	*is_complete = rows_count(missing) == 0;
	rows_free(missing);
	return true;
}

static int run(const struct command_line *line, const struct chosen *c)
{
	struct error e;
	bool is_complete;
	struct store *s = store_new(c->config);
	bool ok = command_connect_store(s, c->config, &e) && report_missing(s, c, &is_complete, &e);
	if (ok)
		ok = line->requeue   ? requeue(s, c, &e)
		     : line->discard ? discard(s, c, &e)
				     : list(s, c, &e);
	store_free(s);
	if (!ok)
		return command_failed("", &e);
	int status = command_finish_output();
	return is_complete ? status : EXIT_FAILURE;
}

/* Whether a word is the number of a dead letter, and not the name of a model. */
static bool is_number(const struct config *config, const char *word)
{
	for (size_t i = 0; i < config->model_count; i++)
		if (strcmp(config->models[i].name, word) == 0)
			return false;
	errno = 0; /* a number is one of PostgreSQL's bigint */
	(void)strtoll(word, NULL, 10);
	return word[0] != '\0' && word[strspn(word, "0123456789")] == '\0' && errno == 0;
}

/* Separate the numbers from the NAMEs, which remain in line.  Returns them as an array literal, to
 * be freed; NULL: there are none. */
static char *take_numbers(struct command_line *line, const struct config *config)
{
	struct text ids = { 0 };
	size_t names = 0;
	for (size_t i = 0; i < line->name_count; i++)
		if (is_number(config, line->names[i]))
			sql_array_add(&ids, line->names[i]);
		else
			line->names[names++] = line->names[i];
	line->name_count = names;
	if (ids.length > 0)
		sql_array_end(&ids);
	return ids.text;
}

static int check_usage(const struct command_line *line)
{
	if (line->discard && line->name_count == 0 && !line->all)
		return usage_error("--discard needs NAMEs, numbers of dead letters, or --all");
	if (line->json && (line->requeue || line->discard))
		return usage_error("--json lists dead letters only");
	if (line->all && line->name_count > 0)
		return usage_error("--all and NAMEs or numbers exclude each other");
	return 0;
}

int cmd_dead_letters(const struct command_line *line)
{
	int status = check_usage(line);
	if (status != 0)
		return status;
	/* What is deleted is reported unless the user wants to know of errors only. */
	struct config *config =
		command_load(line, line->discard ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING);
	if (config == NULL)
		return EXIT_WRONG_CONFIG;
	if (config->dead_letter_table == NULL) {
		status = command_refuse(config, "dead_letter_table",
			"dead_letter_table is not set; set it to the table that has the dead "
			"letters");
		config_free(config);
		return status;
	}
	struct command_line names = *line;
	char *ids = take_numbers(&names, config);
	bool has_begun = false;
	size_t printed = 0;
	struct chosen c = { .config = config,
		.with_signal = line->verbosity > 0,
		.json = line->json,
		.has_begun = &has_begun,
		.printed = &printed };
	size_t *models = command_select(&names, config, &c.which.count);
	c.which.models = models;
	c.which.ids = ids;
	status = models != NULL ? run(line, &c) : EXIT_WRONG_USAGE;
	free(ids);
	free(models);
	config_free(config);
	stop_by_signal();
	return status;
}
