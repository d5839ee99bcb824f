#include "cli/command.h"

#include "base/clock.h"
#include "base/core_dump.h"
#include "base/error.h"
#include "base/retry.h"
#include "base/stop.h"
#include "base/suggest.h"
#include "base/text.h"
#include "kafka/property.h"
#include "postgres/db.h"
#include "store/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define LINE_COLUMNS 80

static enum log_level level_of(
	const struct command_line *line, const struct config *config, enum log_level level)
{
	if (line->verbosity < 0)
		return LOG_LEVEL_ERROR;
	if (line->verbosity > 0)
		return line->verbosity == 1 ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG;
	return config->log_level >= 0 ? (enum log_level)config->log_level : level;
}

static void warn_if_open(const char *file)
{
	struct stat st;
	if (stat(file, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & S_IROTH))
		log_warning("%s contains a password or a key and others may read it; run chmod o-r "
			    "%s",
			file, file);
}

struct config *command_load_printing(
	const struct command_line *line, enum log_level level, print_problem *print)
{
	const struct config_checks checks = { property_check, db_check, line->config_only };
	struct problems problems = { 0 };
	struct config *config = config_load(line->config_file, &checks, &problems);
	for (size_t i = 0; i < problems.count; i++)
		print(problems.lines[i]);
	problems_free(&problems);
	if (config == NULL) /* an invalid file changes nothing, even on a reload */
		return NULL;
	core_dump_allow(config->core_dumps);
	log_set_level(level_of(line, config, level));
	log_set_format((enum log_format)config->log_format);
	for (size_t i = 0; i < config->secret_files.count; i++)
		warn_if_open(config->secret_files.items[i]);
	return config;
}

struct config *command_load(const struct command_line *line, enum log_level level)
{
	return command_load_printing(line, level, log_problem);
}

void command_warn_of_autoflush(const char *name)
{
	log_warning("model \"%s\" has autoflush = false, so the daemon does not send it", name);
}

static bool is_in(const char *name, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

/* Whether a model has the name; if not, that is logged with the nearest name, unless all of it
 * differs. */
static bool is_known(const struct command_line *line, const struct config *config, const char *name)
{
	struct nearest nearest = nearest_to(name);
	for (size_t i = 0; i < config->model_count; i++) {
		if (strcmp(config->models[i].name, name) == 0)
			return true;
		nearest_offer(&nearest, config->models[i].name);
	}
	char *hint = nearest.best != NULL && nearest.distance < strlen(name)
			     ? text_format(" Did you mean \"%s\"?", nearest.best)
			     : text_copy("");
	void (*log)(const char *, ...) = line->needs_known_names ? log_error : log_warning;
	log("A signal with name \"%s\" does not exist.%s", name, hint);
	free(hint);
	return false;
}

static size_t count_unknown(const struct command_line *line, const struct config *config,
	const char *const *names, size_t count)
{
	size_t unknown = 0;
	for (size_t i = 0; i < count; i++)
		unknown += !is_known(line, config, names[i]);
	return unknown;
}

size_t *command_select(const struct command_line *line, const struct config *config, size_t *count)
{
	*count = 0;
	size_t unknown = count_unknown(line, config, line->names, line->name_count);
	size_t others = count_unknown(line, config, line->excluded, line->excluded_count);
	if ((line->name_count > 0 && unknown == line->name_count) ||
		(line->needs_known_names && unknown + others > 0))
		return NULL;
	size_t *models = memory_new(config->model_count, sizeof *models);
	if (line->name_count > 0 && line->excluded_count > 0)
		log_warning("Both NAMEs and --exclude are given; both are applied.");
	for (size_t i = 0; i < config->model_count; i++) {
		const char *name = config->models[i].name;
		if (line->name_count > 0 && !is_in(name, line->names, line->name_count))
			continue;
		if (!is_in(name, line->excluded, line->excluded_count))
			models[(*count)++] = i;
	}
	return models;
}

/* One attempt to connect a session. */
typedef bool connect_once(void *session, struct instant deadline, struct error *e);

static bool connect_db(void *session, struct instant deadline, struct error *e)
{
	return db_connect(session, deadline, e);
}

static bool connect_store(void *session, struct instant deadline, struct error *e)
{
	return store_connect(session, deadline, e);
}

static bool connect_patiently(
	connect_once *connect, void *session, double time_limit, struct error *e)
{
	struct retry retry = retry_new(time_limit, clock_now());
	unsigned short jitter[3] = { (unsigned short)(retry.since.ns >> 8) };
	double delay;
	while (!connect(session, retry_deadline(&retry, clock_now()), e)) {
		if (!retry_again(&retry, e->kind, clock_now(), erand48(jitter), &delay))
			return false;
		if (retry.waits == 1)
			log_warning("%s; trying again", e->text);
		else
			log_debug("%s; trying again in %.1f s", e->text, delay);
		if (stop_wait(instant_after(clock_now(), delay)))
			return error_set(e, ERROR_STOPPED, "asked to stop");
	}
	return true;
}

bool command_connect(struct db *db, const struct config *config, struct error *e)
{
	return connect_patiently(connect_db, db, config->timeout, e);
}

bool command_connect_store(struct store *s, const struct config *config, struct error *e)
{
	return connect_patiently(connect_store, s, config->timeout, e);
}

bool command_read_models(struct store *s, const size_t *models, size_t count, struct error *e)
{
	struct error found, last = { .kind = ERROR_NONE };
	for (size_t i = 0; i < count; i++) {
		if (store_model(s, models[i], &found) != NULL)
			continue;
		store_blame(s, models[i], &found);
		if (last.kind == ERROR_CONFIG && strcmp(last.text, found.text) != 0)
			log_problem(last.text);
		last = found;
		if (found.kind != ERROR_CONFIG)
			break;
	}
	*e = last;
	return last.kind == ERROR_NONE;
}

int command_failed(const char *text, const struct error *e)
{
	if (e->kind == ERROR_CONFIG)
		log_problem(e->text);
	else if (e->kind != ERROR_STOPPED)
		log_error("%s%s", text, e->text);
	return error_exit_status(e->kind);
}

int command_refuse(const struct config *config, const char *setting, const char *text)
{
	struct problems problems = { 0 };
	problems_add(&problems, config_place(config, NULL, setting), "%s", text);
	log_problem(problems.lines[0]);
	problems_free(&problems);
	return EXIT_WRONG_CONFIG;
}

/* Up to the next space that is not in brackets. */
static size_t word_length(const char *text)
{
	size_t length = 0;
	for (int depth = 0; text[length] != '\0' && (depth > 0 || text[length] != ' '); length++)
		depth += (text[length] == '[') - (text[length] == ']');
	return length;
}

void command_print_wrapped(const char *text, size_t first, size_t rest)
{
	size_t column = first;
	printf("%*s", (int)first, "");
	for (bool is_start = true; text[0] != '\0'; is_start = false) {
		size_t length = word_length(text);
		if (!is_start && column + 1 + length > LINE_COLUMNS) {
			printf("\n%*s", (int)rest, "");
			column = rest;
		} else if (!is_start) {
			putchar(' ');
			column++;
		}
		printf("%.*s", (int)length, text);
		column += length;
		text += length + (text[length] == ' ');
	}
	putchar('\n');
}

int command_finish_output(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return 0;
	log_error("cannot write to standard output");
	return 1;
}
