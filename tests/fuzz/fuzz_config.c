/*
 * Drives the reader of the configuration with arbitrary files: it may not crash or hang, and
 * gives a configuration or says what is wrong where, and never both or neither.
 */
#include "config/config.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_NAME "fuzzed.conf"

/* libconfig loses strings at a mistake of syntax; looking for leaks takes long, and what leaks
 * otherwise the unit tests find with the address sanitizer. */
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

static void check(bool holds)
{
	if (!holds)
		abort();
}

/* Some properties are right, as with the producer. */
static enum property_answer takes_property(const struct property *p, struct error *e)
{
	check(p->name != NULL && p->value != NULL);
	error_set(e, ERROR_CONFIG, "the producer does not take it");
	return (enum property_answer)(strcspn(p->name, "_") % 3);
}

static bool takes_database(const char *conninfo, struct error *e)
{
	check(conninfo != NULL);
	return strlen(conninfo) % 3 != 1 ||
	       error_set(e, ERROR_CONFIG, "the database does not take it");
}

static void write_file(const uint8_t *data, size_t size)
{
	FILE *file = fopen(FILE_NAME, "w");
	check(file != NULL);
	check(fwrite(data, 1, size, file) == size);
	check(fclose(file) == 0);
}

/* "FILE:LINE: message", or without a line; the file may be one that this one includes. */
static void check_problem(const char *line)
{
	static const char file[] = FILE_NAME;
	const char *place = strstr(line, file);
	if (place == line || strncmp(line, "./", 2) == 0) {
		const char *number = strchr(line, ':');
		check(number != NULL && (number[1] == ' ' || strtoul(number + 1, NULL, 10) > 0));
		const char *message = strstr(number, ": ");
		check(message != NULL && message[2] != '\0');
	} else {
		abort();
	}
	check(strchr(line, '\n') == NULL);
}

static void check_model(const struct model_config *m)
{
	check(m->name != NULL && m->name[0] != '\0');
	check(m->table != NULL && m->table[0] != '\0');
	check(m->topic != NULL && m->topic[0] != '\0');
	check(m->burst_count >= 1);
}

static void check_config(const struct config *c)
{
	check(c->model_count > 0 && c->timeout > 0 && c->poll_interval > 0 && c->workers >= 1);
	for (size_t i = 0; i < c->model_count; i++) {
		check_model(&c->models[i]);
		for (size_t k = 0; k < i; k++)
			check(strcmp(c->models[i].name, c->models[k].name) != 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct config_checks checks = { takes_property, takes_database, false };
	struct problems problems = { 0 };
	write_file(data, size);
	struct config *c = config_load(FILE_NAME, &checks, &problems);
	check((c == NULL) == (problems.count > 0));
	for (size_t i = 0; i < problems.count; i++)
		check_problem(problems.lines[i]);
	if (c != NULL)
		check_config(c);
	config_free(c);
	problems_free(&problems);
	return 0;
}
