/*
 * main - the command line.  Options and commands are rows of tables, which the help and the
 * checks read.
 */
#include "command.h"
#include "nearest.h"
#include "stop.h"
#include "text.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef SIGNALBUS_VERSION
#define SIGNALBUS_VERSION "unknown"
#endif

#ifndef SYSCONFDIR
#define SYSCONFDIR "/etc"
#endif

#define DEFAULT_CONFIG_FILE SYSCONFDIR "/signalbus/signalbus.conf"
#define JOBS_MAX            64
#define SECONDS_MAX         1e6
#define WATCH_DEFAULT_S     2
#define WATCH_MIN_S         0.1

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
	{ "check", cmd_check, "e", true, "[-e NAME]... [NAME]...",
		"find out whether all is there that sending needs" },
	{ "schema", cmd_schema, "", true, "NAME",
		"print the JSON Schema of a model's message value" },
	{ "triggers", cmd_triggers, "D", true, "[--drop] [NAME]...",
		"print the SQL of the triggers that wake the daemon" },
	{ "dead-letters", cmd_dead_letters, "eQX", true,
		"[--requeue|--discard] [-e NAME]... [NAME]...",
		"list the signals that were rejected for good, or end their stay" },
};

#define COMMAND_COUNT (sizeof commands / sizeof commands[0])

/* Options; those whose global is false belong to the commands that list them. */
static const struct {
	char letter;
	bool is_short;
	bool global;
	const char *name;
	const char *argument; /* NULL: takes none; in brackets: may be left out */
	const char *help;
} options[] = {
	{ 'c', true, true, "config", "FILE",
		"configuration (default: $SIGNALBUS_CONFIG, else " DEFAULT_CONFIG_FILE ")" },
	{ 'v', true, true, "verbose", NULL, "log more; twice: debug" },
	{ 'q', true, true, "quiet", NULL, "log errors only" },
	{ 'h', true, true, "help", NULL, "print this help" },
	{ 'V', true, true, "version", NULL, "print the version" },
	{ 'w', true, false, "wait", "SECONDS",
		"flush: wait for concurrent senders (default: 3.0)" },
	{ 'r', true, false, "repeat", "SECONDS", "flush again every SECONDS until stopped" },
	{ 'e', true, false, "exclude", "NAME", "leave a model out; may be given several times" },
	{ 'j', true, false, "jobs", "N", "flushmany: use N connections (default: 1)" },
	{ 'W', false, false, "watch", "[SECONDS]",
		"pending: print again every SECONDS (default: 2)" },
	{ 'D', false, false, "drop", NULL, "triggers: print the SQL that removes them" },
	{ 'Q', false, false, "requeue", NULL, "dead-letters: put them back into their tables" },
	{ 'X', false, false, "discard", NULL, "dead-letters: delete them" },
};

#define OPTION_COUNT (sizeof options / sizeof options[0])

struct parser {
	struct command_line line;
	bool help, version;
	bool used[OPTION_COUNT]; /* options that were given */
};

__attribute__((format(printf, 1, 2))) static int usage_error(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	fprintf(stderr, "signalbus: ");
	vfprintf(stderr, format, args);
	fprintf(stderr, "; see 'signalbus --help'\n");
	va_end(args);
	return EXIT_WRONG_USAGE;
}

static int print_help(void)
{
	printf("usage: signalbus [-c FILE] [-v|-q] COMMAND [OPTION]... [NAME]...\n\n"
	       "Moves signals, rows of PostgreSQL tables, to Apache Kafka.\n\nCommands:\n");
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		printf("  %s %s\n      %s\n", commands[i].name, commands[i].synopsis,
			commands[i].help);
	printf("\nOptions:\n");
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		char name[64];
		snprintf(name, sizeof name, "--%s%s%s", options[i].name,
			options[i].argument != NULL ? " " : "",
			options[i].argument != NULL ? options[i].argument : "");
		if (options[i].is_short)
			printf("  -%c, %-18s %s\n", options[i].letter, name, options[i].help);
		else
			printf("      %-18s %s\n", name, options[i].help);
	}
	printf("\nExit status: 0 done, 1 failed, 2 wrong command line, 75 try later,\n"
	       "78 wrong configuration.  See signalbus(1) and signalbus.conf(5).\n");
	return command_finish_output();
}

/* A number of seconds, or an integer where whole, within min and max. */
static bool parse_number(const char *text, double min, double max, bool whole, double *number)
{
	char *end;
	errno = 0;
	double n = strtod(text, &end);
	if (end == text || *end != '\0' || errno != 0 || !(n >= min && n <= max) ||
		(whole && n != (double)(long)n))
		return false;
	*number = n;
	return true;
}

static bool parse_seconds(const char *text, double min, double *seconds)
{
	return parse_number(text, min, SECONDS_MAX, false, seconds);
}

static bool parse_jobs(const char *text, unsigned *jobs)
{
	double number;
	if (!parse_number(text, 1, JOBS_MAX, true, &number))
		return false;
	*jobs = (unsigned)number;
	return true;
}

/* The flag that an option sets, if it does no more; else NULL. */
static bool *flag_of(struct parser *p, char letter)
{
	switch (letter) {
	case 'h':
		return &p->help;
	case 'V':
		return &p->version;
	case 'D':
		return &p->line.drop;
	case 'Q':
		return &p->line.requeue;
	case 'X':
		return &p->line.discard;
	default:
		return NULL;
	}
}

/* Apply an option's argument.  Returns false where the argument is wrong. */
static bool apply_option(struct parser *p, char letter, const char *argument)
{
	struct command_line *line = &p->line;
	bool *flag = flag_of(p, letter);
	if (flag != NULL) {
		*flag = true;
		return true;
	}
	switch (letter) {
	case 'c':
		line->config_file = argument;
		return argument[0] != '\0';
	case 'v':
		line->verbosity = line->verbosity < 0 ? 1 : line->verbosity + 1;
		return true;
	case 'q':
		line->verbosity = -1;
		return true;
	case 'w':
		return parse_seconds(argument, 0, &line->wait);
	case 'r':
		return parse_seconds(argument, 0, &line->repeat);
	case 'e':
		line->excluded[line->excluded_count++] = argument;
		return true;
	case 'j':
		return parse_jobs(argument, &line->jobs);
	case 'W':
		line->watch = WATCH_DEFAULT_S;
		return argument == NULL || parse_seconds(argument, WATCH_MIN_S, &line->watch);
	default:
		return false;
	}
}

static size_t option_of(int letter)
{
	for (size_t i = 0; i < OPTION_COUNT; i++)
		if (options[i].letter == letter)
			return i;
	return OPTION_COUNT;
}

/* Make getopt's tables of ours. */
static void fill_getopt(char *shorts, struct option *longs)
{
	*shorts++ = ':'; /* tell a missing argument from an unknown option */
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		bool has_argument = options[i].argument != NULL;
		int takes = !has_argument                   ? no_argument
			    : options[i].argument[0] == '[' ? optional_argument
							    : required_argument;
		longs[i] = (struct option){ options[i].name, takes, NULL, options[i].letter };
		if (options[i].is_short) {
			*shorts++ = options[i].letter;
			if (has_argument)
				*shorts++ = ':';
		}
	}
	*shorts = '\0';
	longs[OPTION_COUNT] = (struct option){ 0 };
}

static int parse_options(struct parser *p, int argc, char **argv)
{
	char shorts[2 * OPTION_COUNT + 2];
	struct option longs[OPTION_COUNT + 1];
	fill_getopt(shorts, longs);
	opterr = 0;
	for (int letter; (letter = getopt_long(argc, argv, shorts, longs, NULL)) != -1;) {
		if (letter == ':')
			return usage_error("option %s needs an argument", argv[optind - 1]);
		size_t i = option_of(letter);
		if (i == OPTION_COUNT)
			return usage_error("unknown option %s", argv[optind - 1]);
		p->used[i] = true;
		if (!apply_option(p, options[i].letter, optarg))
			return usage_error("--%s does not take \"%s\"", options[i].name, optarg);
	}
	return 0;
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

/* Whether the command takes all options that were given. */
static int check_options(const struct parser *p, size_t command_index)
{
	for (size_t i = 0; i < OPTION_COUNT; i++)
		if (p->used[i] && !options[i].global &&
			strchr(commands[command_index].options, options[i].letter) == NULL)
			return usage_error("%s has no option --%s", commands[command_index].name,
				options[i].name);
	if (p->line.requeue && p->line.discard)
		return usage_error("--requeue and --discard exclude each other");
	return 0;
}

/* NAMEs, or what stands in their place: the seconds of --watch. */
static int take_names(struct parser *p, size_t command_index, char **names, size_t count)
{
	if (commands[command_index].takes_names) {
		p->line.names = (const char **)names;
		p->line.name_count = count;
		return 0;
	}
	if (count == 1 && p->line.watch >= 0 &&
		parse_seconds(names[0], WATCH_MIN_S, &p->line.watch))
		return 0;
	return count == 0 ? 0 : usage_error("unexpected argument \"%s\"", names[0]);
}

static int run(struct parser *p, char **words, size_t count)
{
	if (p->help)
		return print_help();
	if (p->version) {
		printf("signalbus %s\n", SIGNALBUS_VERSION);
		return command_finish_output();
	}
	if (count == 0)
		return usage_error("a command is missing");
	size_t i = find_command(words[0]);
	if (i == COMMAND_COUNT)
		return unknown_command(words[0]);
	int status = check_options(p, i);
	if (status == 0)
		status = take_names(p, i, words + 1, count - 1);
	return status == 0 ? commands[i].run(&p->line) : status;
}

int main(int argc, char **argv)
{
	const char *file = getenv("SIGNALBUS_CONFIG");
	struct parser p = { .line = { .config_file = file != NULL && file[0] != '\0'
							     ? file
							     : DEFAULT_CONFIG_FILE,
				    .wait = 3.0,
				    .repeat = -1,
				    .jobs = 1,
				    .watch = -1 } };
	if (!stop_install()) {
		fprintf(stderr, "signalbus: cannot wait for signals: %s\n", strerror(errno));
		return EXIT_FAILURE;
	}
	p.line.excluded = memory_new((size_t)argc, sizeof *p.line.excluded);
	int status = parse_options(&p, argc, argv);
	if (status == 0)
		status = run(&p, argv + optind, (size_t)(argc - optind));
	free(p.line.excluded);
	return status;
}
