/*
 * main - the command line.  Commands are rows of a table, which the help and the checks read.
 */
#include "base/log.h"
#include "base/stop.h"
#include "base/suggest.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/options.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef SIGNALBUS_VERSION
#define SIGNALBUS_VERSION "unknown"
#endif

static const struct {
	const char *name;
	command *run;
	const char *options; /* short names of its own options */
	bool takes_names;
	const char *synopsis;
	const char *help;
} commands[] = {
	{ "run", cmd_run, "", false, "",
		"send signals as soon as they are committed, until stopped" },
	{ "flush", cmd_flush, "wre", true, "[-w SECONDS] [-r SECONDS] [-e NAME]... [NAME]...",
		"send what is pending now and still there after a wait" },
	{ "flushmany", cmd_flushmany, "rje", true, "[-r SECONDS] [-j N] [-e NAME]... [NAME]...",
		"send a possibly huge backlog, in no particular order" },
	{ "flushordered", cmd_flushordered, "re", true, "[-r SECONDS] [-e NAME]... [NAME]...",
		"send all pending signals in the order of order_by" },
	{ "signals", cmd_signals, "", false, "", "print the names of the models" },
	{ "pending", cmd_pending, "W", false, "[--watch [SECONDS]]",
		"print how many signals are pending" },
	{ "check", cmd_check, "eFN", true,
		"[--config-only] [--deny-warnings] [-e NAME]... [NAME]...",
		"check tables, privileges, topics and servers" },
	{ "schema", cmd_schema, "", true, "NAME",
		"print the JSON Schema of a model's message value" },
	{ "triggers", cmd_triggers, "D", true, "[--drop] [NAME]...",
		"print the SQL of the triggers that wake the daemon" },
	{ "dead-letters", cmd_dead_letters, "eQX", true,
		"[--requeue|--discard] [-e NAME]... [NAME]...",
		"list, requeue or discard rejected signals" },
};

#define COMMAND_COUNT (sizeof commands / sizeof commands[0])

static int print_help(void)
{
	printf("usage: signalbus [-c FILE] [-v|-q] COMMAND [OPTION]... [NAME]...\n\n"
	       "Moves signals, rows of PostgreSQL tables, to Apache Kafka.\n\nCommands:\n");
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		printf("  %s %s\n      %s\n", commands[i].name, commands[i].synopsis,
			commands[i].help);
	printf("\nOptions:\n");
	options_print_help();
	printf("\nExit status: 0 done, 1 failed, 2 wrong command line, 75 try later,\n"
	       "78 wrong configuration.  See signalbus(1) and signalbus.conf(5).\n");
	return command_finish_output();
}

static size_t find_command(const char *name)
{
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		if (strcmp(commands[i].name, name) == 0)
			return i;
	return COMMAND_COUNT;
}

static int unknown_command(const char *name)
{
	struct nearest nearest = nearest_to(name);
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		nearest_offer(&nearest, commands[i].name);
	if (nearest.best == NULL)
		return usage_error("unknown command \"%s\"", name);
	return usage_error("unknown command \"%s\", did you mean \"%s\"?", name, nearest.best);
}

/* NAMEs, or the seconds of --watch in their place. */
static int take_names(struct options *o, size_t command_index, char **names, size_t count)
{
	if (commands[command_index].takes_names) {
		o->line.names = (const char **)names;
		o->line.name_count = count;
		return 0;
	}
	if (count == 1 && o->line.watch >= 0)
		return options_take_watch(o, names[0]);
	return count == 0 ? 0 : usage_error("unexpected argument \"%s\"", names[0]);
}

static int run(struct options *o)
{
	if (o->help)
		return print_help();
	if (o->version) {
		printf("signalbus %s\n", SIGNALBUS_VERSION);
		return command_finish_output();
	}
	if (o->word_count == 0)
		return usage_error("a command is missing");
	size_t i = find_command(o->words[0]);
	if (i == COMMAND_COUNT)
		return unknown_command(o->words[0]);
	int status = options_check(o, commands[i].name, commands[i].options);
	if (status == 0)
		status = take_names(o, i, o->words + 1, o->word_count - 1);
	return status == 0 ? commands[i].run(&o->line) : status;
}

/* If standard input, output or error is closed, the next file that is opened would get its
 * number, and have the log written to it.  Read-only, so that a command still detects that it
 * cannot print. */
static bool fill_standard_descriptors(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDONLY) != fd)
			return false;
	return true;
}

int main(int argc, char **argv)
{
	struct options o;
	if (!fill_standard_descriptors())
		return EXIT_FAILURE; /* and nowhere to report it */
	if (!stop_install()) {
		char *line = text_format("signalbus: cannot wait for signals: %s", strerror(errno));
		log_problem(line);
		free(line);
		return EXIT_FAILURE;
	}
	int status = options_parse(&o, argc, argv);
	if (status == 0)
		status = run(&o);
	options_free(&o);
	return status;
}
