/*
 * options - the options of the command line, as rows of a table, and what was given of them.  Main
 * thread only.
 */
#ifndef SIGNALBUS_OPTIONS_H
#define SIGNALBUS_OPTIONS_H

#include "cli/command.h"

#include <stdbool.h>
#include <stddef.h>

struct options {
	struct command_line line; /* but for its names */
	bool help, version;
	unsigned used; /* options that were given: a bit for each row of the table */
	char **words;  /* all else, of argv; the first one is the command */
	size_t word_count;
};

/* Say on standard error what is wrong with the command line.  Returns the exit status. */
int usage_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Fill o, to be freed also where this fails; the words of argv are put into another order.  Returns
 * 0 or the exit status, as those below do. */
int options_parse(struct options *o, int argc, char **argv);

/* Whether a command takes all options that were given; letters are those of its own. */
int options_check(const struct options *o, const char *name, const char *letters);

/* Take the seconds of --watch from a word of their own. */
int options_take_watch(struct options *o, const char *word);

void options_free(struct options *o);

/* A line for each option. */
void options_print_help(void);

#endif
