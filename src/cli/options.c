#include "cli/options.h"

#include "base/log.h"
#include "base/suggest.h"
#include "base/text.h"
#include "base/utf8.h"

#include <ctype.h>
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef SYSCONFDIR
#define SYSCONFDIR "/etc"
#endif

#define DEFAULT_CONFIG_FILE SYSCONFDIR "/signalbus/signalbus.conf"
#define JOBS_MAX            64
#define SECONDS_MAX         1e6
#define WATCH_DEFAULT_S     2
#define WATCH_MIN_S         0.1
#define DIGITS              "0123456789"

/* Options; those whose global is false belong to the commands that list them. */
static const struct {
	char letter;
	bool is_short;
	bool global;
	const char *name;
	const char *argument; /* NULL: takes none; in brackets: optional */
	const char *help;
} options[] = {
	{ 'c', true, true, "config", "FILE", "configuration file" },
	{ 'v', true, true, "verbose", NULL, "log more; twice: debug" },
	{ 'q', true, true, "quiet", NULL, "log errors only" },
	{ 'h', true, true, "help", NULL, "print this help, or the help of COMMAND" },
	{ 'V', true, true, "version", NULL,
		"print the versions of signalbus and of the libraries" },
	{ 'w', true, false, "wait", "SECONDS",
		"flush: wait for concurrent senders (default: 3.0)" },
	{ 'r', true, false, "repeat", "SECONDS", "flush again every SECONDS until stopped" },
	{ 'e', true, false, "exclude", "NAME", "exclude a model; may be repeated" },
	{ 'j', true, false, "jobs", "N", "flushmany: use N connections (default: 1)" },
	{ 'W', false, false, "watch", "[SECONDS]",
		"pending: print again every SECONDS (default: 2)" },
	{ 'N', false, false, "deny-warnings", NULL, "check: exit with status 1 also for warnings" },
	{ 'D', false, false, "drop", NULL, "triggers: print the SQL that removes them" },
	{ 'F', false, false, "config-only", NULL,
		"check: check the file only, without its secrets" },
	{ 'Q', false, false, "requeue", NULL, "dead-letters: return dead letters to their tables" },
	{ 'X', false, false, "discard", NULL, "dead-letters: delete them" },
	{ 'A', false, false, "all", NULL, "dead-letters: discard those of all models" },
	{ 'J', false, false, "json", NULL, "print a JSON document" },
};

#define OPTION_COUNT (sizeof options / sizeof options[0])

/* getopt returns the index in the table for a long option, above all characters, so that errors
 * about "--drop=1" are distinguished from those about "-D". */
#define LONG_FIRST (UCHAR_MAX + 1)

/* Options that take a number, and its limits. */
static const struct number {
	char letter;
	bool whole;
	double min, max;
	const char *unit;
} numbers[] = {
	{ 'w', false, 0, SECONDS_MAX, " seconds" },
	{ 'r', false, 0, SECONDS_MAX, " seconds" },
	{ 'j', true, 1, JOBS_MAX, "" },
	{ 'W', false, WATCH_MIN_S, SECONDS_MAX, " seconds" },
};

#define NUMBER_COUNT (sizeof numbers / sizeof numbers[0])

int usage_error(const char *format, ...)
{
	char message[1024];
	va_list args;
	va_start(args, format);
	if (vsnprintf(message, sizeof message, format, args) >= (int)sizeof message)
		utf8_mark_cut(message, sizeof message);
	va_end(args);
	char *line = text_format("signalbus: %s; see 'signalbus --help'", message);
	log_problem(line);
	free(line);
	return EXIT_WRONG_USAGE;
}

/* NULL if the option takes no number. */
static const struct number *number_of(char letter)
{
	for (size_t i = 0; i < NUMBER_COUNT; i++)
		if (numbers[i].letter == letter)
			return &numbers[i];
	return NULL;
}

/* The number that an option takes.  strtod(3) alone would also accept exponents, signs, white
 * space, hexadecimals and "nan". */
static bool parse_number(char letter, const char *text, double *number)
{
	const struct number *kind = number_of(letter);
	if (kind == NULL || text[strspn(text, kind->whole ? DIGITS : DIGITS ".")] != '\0')
		return false;
	char *end;
	double n = strtod(text, &end);
	if (end == text || *end != '\0' || n < kind->min || n > kind->max)
		return false;
	*number = n;
	return true;
}

static bool parse_jobs(const char *text, unsigned *jobs)
{
	double number;
	if (!parse_number('j', text, &number))
		return false;
	*jobs = (unsigned)number;
	return true;
}

/* The flag that an option sets, if it does nothing else; otherwise NULL. */
static bool *flag_of(struct options *o, char letter)
{
	switch (letter) {
	case 'h':
		return &o->help;
	case 'V':
		return &o->version;
	case 'N':
		return &o->line.deny_warnings;
	case 'D':
		return &o->line.drop;
	case 'Q':
		return &o->line.requeue;
	case 'X':
		return &o->line.discard;
	case 'A':
		return &o->line.all;
	case 'F':
		return &o->line.config_only;
	case 'J':
		return &o->line.json;
	default:
		return NULL;
	}
}

/* Apply an option's argument.  Returns false if the argument is wrong. */
static bool apply_option(struct options *o, char letter, const char *argument)
{
	struct command_line *line = &o->line;
	bool *flag = flag_of(o, letter);
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
		return parse_number('w', argument, &line->wait);
	case 'r':
		return parse_number('r', argument, &line->repeat);
	case 'e':
		line->excluded[line->excluded_count++] = argument;
		return true;
	case 'j':
		return parse_jobs(argument, &line->jobs);
	case 'W':
		line->watch = WATCH_DEFAULT_S;
		return argument == NULL || parse_number('W', argument, &line->watch);
	default:
		return false;
	}
}

/* The option that getopt names by its letter, or by its index; OPTION_COUNT if there is none. */
static size_t option_of(int letter)
{
	if (letter >= LONG_FIRST)
		return (size_t)(letter - LONG_FIRST);
	for (size_t i = 0; i < OPTION_COUNT; i++)
		if (options[i].letter == letter)
			return i;
	return OPTION_COUNT;
}

/* Convert our table to getopt's. */
static void fill_getopt(char *shorts, struct option *longs)
{
	*shorts++ = ':'; /* distinguish a missing argument from an unknown option */
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		bool has_argument = options[i].argument != NULL;
		int takes = !has_argument                   ? no_argument
			    : options[i].argument[0] == '[' ? optional_argument
							    : required_argument;
		longs[i] = (struct option){ options[i].name, takes, NULL, LONG_FIRST + (int)i };
		if (options[i].is_short) {
			*shorts++ = options[i].letter;
			if (has_argument)
				*shorts++ = ':';
		}
	}
	*shorts = '\0';
	longs[OPTION_COUNT] = (struct option){ 0 };
}

static void set_defaults(struct options *o, size_t words)
{
	const char *file = getenv("SIGNALBUS_CONFIG");
	*o = (struct options){ .line = { .config_file = file != NULL && file[0] != '\0'
								? file
								: DEFAULT_CONFIG_FILE,
				       .wait = 3.0,
				       .repeat = -1,
				       .jobs = 1,
				       .watch = -1 } };
	o->line.excluded = memory_new(words, sizeof *o->line.excluded);
}

static int wrong_argument(size_t i, const char *argument)
{
	const struct number *kind = number_of(options[i].letter);
	if (kind == NULL)
		return usage_error("--%s is empty", options[i].name);
	return usage_error("--%s must be %g to %.0f%s, not \"%s\"", options[i].name, kind->min,
		kind->max, kind->unit, argument);
}

/* A word that begins with "--" and is not an option, or an ambiguous abbreviation. */
static int wrong_long_option(const char *word)
{
	const char *name = word + 2;
	size_t length = strcspn(name, "=");
	struct text meant = { 0 };
	char *plain = text_copy_bytes(name, length);
	struct nearest nearest = nearest_to(plain);
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		nearest_offer(&nearest, options[i].name);
		if (length > 0 && strncmp(options[i].name, name, length) == 0)
			text_addf(
				&meant, "%s--%s", meant.length > 0 ? " or " : "", options[i].name);
	}
	int status = meant.length > 0 ? usage_error("--%s may mean %s", plain, meant.text)
		     : nearest.best != NULL && length > 1
			     ? usage_error("unknown option %s, did you mean \"--%s\"?", word,
				       nearest.best)
			     : usage_error("unknown option %s", word);
	text_free(&meant);
	free(plain);
	return status;
}

/* An option that getopt does not accept: optopt has the letter, the index of a long option that
 * has an argument without taking one, or 0 for another long one, which is the last word that was
 * read. */
static int wrong_option(char **argv)
{
	if (optopt == 0)
		return wrong_long_option(argv[optind - 1]);
	if (optopt >= LONG_FIRST)
		return usage_error("--%s takes no argument", options[option_of(optopt)].name);
	unsigned char letter = (unsigned char)optopt;
	return isprint(letter) ? usage_error("unknown option -%c", letter)
			       : usage_error("unknown option -\\x%02x", letter);
}

int options_parse(struct options *o, int argc, char **argv)
{
	char shorts[2 * OPTION_COUNT + 2];
	struct option longs[OPTION_COUNT + 1];
	set_defaults(o, (size_t)argc);
	fill_getopt(shorts, longs);
	opterr = 0;
	unsetenv("POSIXLY_CORRECT"); /* which makes getopt end the options at the command */
	for (int letter; (letter = getopt_long(argc, argv, shorts, longs, NULL)) != -1;) {
		if (letter == ':')
			return usage_error(
				"--%s needs an argument", options[option_of(optopt)].name);
		size_t i = option_of(letter);
		if (i == OPTION_COUNT)
			return wrong_option(argv);
		o->used |= 1U << i;
		if (!apply_option(o, options[i].letter, optarg))
			return wrong_argument(i, optarg);
	}
	o->words = argv + optind;
	o->word_count = (size_t)(argc - optind);
	return 0;
}

int options_check(const struct options *o, const char *name, const char *letters)
{
	for (size_t i = 0; i < OPTION_COUNT; i++)
		if ((o->used & 1U << i) != 0 && !options[i].global &&
			strchr(letters, options[i].letter) == NULL)
			return usage_error("%s has no option --%s", name, options[i].name);
	if (o->line.json && o->line.watch >= 0)
		return usage_error("--json and --watch exclude each other");
	if (o->line.requeue && o->line.discard)
		return usage_error("--requeue and --discard exclude each other");
	return 0;
}

bool options_is_number(const char *word)
{
	return word[0] != '\0' && word[strspn(word, DIGITS ".")] == '\0';
}

int options_take_watch(struct options *o, const char *word)
{
	return parse_number('W', word, &o->line.watch) ? 0 : wrong_argument(option_of('W'), word);
}

void options_free(struct options *o)
{
	free(o->line.excluded);
}

void options_print_help(const char *letters)
{
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		if (letters != NULL && !options[i].global &&
			strchr(letters, options[i].letter) == NULL)
			continue;
		char name[64];
		snprintf(name, sizeof name, "--%s%s%s", options[i].name,
			options[i].argument != NULL ? " " : "",
			options[i].argument != NULL ? options[i].argument : "");
		/* Among the options of a command its name need not be repeated. */
		const char *prefix = strstr(options[i].help, ": ");
		bool is_own = letters != NULL && !options[i].global && prefix != NULL;
		const char *help = is_own ? prefix + 2 : options[i].help;
		if (options[i].is_short)
			printf("  -%c, %-18s %s\n", options[i].letter, name, help);
		else
			printf("      %-18s %s\n", name, help);
	}
	putchar('\n');
	command_print_wrapped("By default, the configuration file is $SIGNALBUS_CONFIG, or "
			      "else " DEFAULT_CONFIG_FILE ".",
		0, 0);
}
