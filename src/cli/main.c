/*
 * main - the command line.  Commands are rows of a table, which the help and the checks read.
 */
#include "base/core_dump.h"
#include "base/log.h"
#include "base/stop.h"
#include "base/suggest.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/options.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum names {
	NO_NAMES,
	NAMES,      /* unknown ones are warnings, unless all are */
	REAL_NAMES, /* unknown ones are errors */
};

static const struct {
	const char *name;
	command *run;
	const char *options; /* short names of its own options */
	enum names names;
	const char *synopsis;
	const char *help;
	const char *about; /* more, for its own --help */
	const char *also;  /* names that users may try, with spaces around each */
} commands[] = {
	{ "run", cmd_run, "", NO_NAMES, "",
		"send signals as soon as they are committed, until stopped",
		"Polls each table. Triggers wake it at commit; \"signalbus triggers\" prints "
		"them. "
		"Waits while the database or the broker is unavailable. SIGHUP reloads the "
		"configuration.",
		" start daemon serve " },
	{ "flush", cmd_flush, "wre", NAMES, "[-w SECONDS] [-r SECONDS] [-e NAME]... [NAME]...",
		"note pending signals, wait, send those that remain",
		"Notes which signals are pending, waits for concurrent senders, then sends those "
		"that are "
		"still there. Ignores order_by. Skips models that another process is sending in "
		"order.",
		" send once " },
	{ "flushmany", cmd_flushmany, "rje", NAMES, "[-r SECONDS] [-j N] [-e NAME]... [NAME]...",
		"send a possibly huge backlog, in no particular order",
		"Any number of processes may run it at once. Ignores order_by. Skips models that "
		"another "
		"process is sending in order.",
		" drain " },
	{ "flushordered", cmd_flushordered, "re", NAMES, "[-r SECONDS] [-e NAME]... [NAME]...",
		"send all pending signals in the order of order_by",
		"One process at a time sends a model in order; while another one does, the exit "
		"status is 75.",
		NULL },
	{ "signals", cmd_signals, "J", NO_NAMES, "[--json]", "print the names of the models",
		"One name per line, in the order of the configuration. With -v, whether each is "
		"paused is logged.",
		" models list ls " },
	{ "pending", cmd_pending, "WJ", REAL_NAMES, "[--watch [SECONDS]|--json] [NAME]...",
		"print how many signals are pending",
		"A line for each model with pending signals, fewest first, then the total.",
		" count status stat " },
	{ "check", cmd_check, "eFNJ", REAL_NAMES,
		"[--config-only] [--deny-warnings] [--json] [-e NAME]... [NAME]...",
		"check tables, privileges, topics and servers",
		"Prints one line per problem, with its remedy. Sends and changes nothing. The exit "
		"status is 1 "
		"if there are problems.",
		" validate verify test doctor " },
	{ "schema", cmd_schema, "", REAL_NAMES, "NAME",
		"print the JSON Schema of a model's message value",
		"JSON Schema, draft 2020-12. Requires that the value is a JSON object, or a json "
		"or "
		"jsonb column.",
		NULL },
	{ "triggers", cmd_triggers, "D", REAL_NAMES, "[--drop] [NAME]...",
		"print the SQL of the triggers that wake the daemon",
		"Execute the SQL with psql, as the owner of the tables: signalbus triggers | psql",
		" trigger install " },
	{ "dead-letters", cmd_dead_letters, "eQXAJ", REAL_NAMES,
		"[--requeue|--discard [--all]|--json] [-e NAME]... [NAME|NUMBER]...",
		"list, requeue or discard rejected signals",
		"Without an option, a line for each dead letter: its number, model, time, key and "
		"reason; with -v, also the whole signal.",
		" dlq deadletters rejected " },
	{ "pause", cmd_pause, "", NAMES, "[NAME]...", "stop sending models, until they are resumed",
		"The daemons of this instance stop sending these models at once. The database "
		"stores this, so it survives a restart. Without NAMEs, pauses all models. The "
		"flush commands send a paused model only if it is named.",
		" hold suspend disable " },
	{ "resume", cmd_resume, "", NAMES, "[NAME]...", "let paused models be sent again",
		"Without NAMEs, resumes all models.", " unpause continue enable " },
	{ "recover", cmd_recover, "", NO_NAMES, "",
		"decide prepared transactions whose sender is gone",
		"For delivery = \"exactly-once\": commits those whose messages are committed in "
		"Kafka, and rolls back the others. The daemon does this by itself. Prints how many "
		"there were, and how many are left.",
		" resolve " },
};

#define COMMAND_COUNT (sizeof commands / sizeof commands[0])

static int print_help(void)
{
	printf("usage: signalbus [-c FILE] [-v|-q] COMMAND [OPTION]... [NAME]...\n\n"
	       "Moves signals, rows of PostgreSQL tables, to Apache Kafka.\n\nCommands:\n");
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		char *synopsis = text_format("%s %s", commands[i].name, commands[i].synopsis);
		command_print_wrapped(synopsis, 2, 10);
		free(synopsis);
		command_print_wrapped(commands[i].help, 6, 6);
	}
	printf("\nOptions:\n");
	options_print_help(NULL);
	printf("\nExit status: 0 done, 1 failed, 2 wrong command line, 75 try later,\n"
	       "78 wrong configuration.  'signalbus COMMAND --help' explains a command.\n"
	       "See signalbus(1) and signalbus.conf(5).\n");
	return command_finish_output();
}

static int print_command_help(size_t i)
{
	char *usage = text_format(
		"usage: signalbus [-c FILE] [-v|-q] %s %s", commands[i].name, commands[i].synopsis);
	command_print_wrapped(usage, 0, strlen("usage: signalbus "));
	free(usage);
	printf("\n%c%s.\n\n", toupper((unsigned char)commands[i].help[0]), commands[i].help + 1);
	command_print_wrapped(commands[i].about, 0, 0);
	printf("\nOptions:\n");
	options_print_help(commands[i].options);
	printf("\nSee signalbus(1).\n");
	return command_finish_output();
}

static size_t find_command(const char *name)
{
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		if (strcmp(commands[i].name, name) == 0)
			return i;
	return COMMAND_COUNT;
}

/* The command that a word of another program means, or NULL. */
static const char *meant_command(const char *name)
{
	static const char *const as_options[] = { "--help", "--version" };
	for (size_t i = 0; i < sizeof as_options / sizeof as_options[0]; i++)
		if (strcmp(as_options[i] + 2, name) == 0)
			return as_options[i];
	const char *found = NULL;
	char *word = text_format(" %s ", name);
	for (size_t i = 0; i < COMMAND_COUNT && found == NULL; i++)
		if (commands[i].also != NULL && strstr(commands[i].also, word) != NULL)
			found = commands[i].name;
	free(word);
	return found;
}

static int unknown_command(const char *name)
{
	const char *meant = meant_command(name);
	struct nearest nearest = nearest_to(name);
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		nearest_offer(&nearest, commands[i].name);
	if (meant == NULL)
		meant = nearest.best;
	if (meant == NULL)
		return usage_error("unknown command \"%s\"", name);
	return usage_error("unknown command \"%s\", did you mean \"%s\"?", name, meant);
}

/* NAMEs, after the seconds of --watch. */
static int take_names(struct options *o, size_t command_index, char **names, size_t count)
{
	enum names kind = commands[command_index].names;
	if (o->line.watch >= 0 && count > 0 && options_is_number(names[0])) {
		int status = options_take_watch(o, names[0]);
		if (status != 0)
			return status;
		names++;
		count--;
	}
	if (kind == NO_NAMES && count > 0)
		return usage_error("unexpected argument \"%s\"", names[0]);
	o->line.needs_known_names = kind == REAL_NAMES;
	o->line.names = (const char **)names;
	o->line.name_count = count;
	return 0;
}

static int run(struct options *o)
{
	size_t i = o->word_count > 0 ? find_command(o->words[0]) : COMMAND_COUNT;
	if (o->help)
		return i < COMMAND_COUNT ? print_command_help(i) : print_help();
	if (o->version)
		return command_print_version();
	if (o->word_count == 0)
		return usage_error("a command is missing");
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

/* Each worker needs a session and a producer with several connections: 64 workers exceed the usual
 * soft limit, which exists for programs that use select(). */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit); /* otherwise fewer workers do the work */
}

int main(int argc, char **argv)
{
	struct options o;
	core_dump_allow(false); /* until the configuration says something else */
	if (!fill_standard_descriptors())
		return EXIT_FAILURE; /* and nowhere to report it */
	if (!stop_install()) {
		char *line = text_format("signalbus: cannot wait for signals: %s", strerror(errno));
		log_problem(line);
		free(line);
		return EXIT_FAILURE;
	}
	raise_descriptor_limit();
	int status = options_parse(&o, argc, argv);
	if (status == 0)
		status = run(&o);
	options_free(&o);
	return status;
}
