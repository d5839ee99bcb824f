/*
 * options - the options of the command line, as rows of a table, and those that were given.  Main
 * thread only.
 */
#ifndef SIGNALBUS_OPTIONS_H
#define SIGNALBUS_OPTIONS_H

#include "cli/command.h"

#include <stdbool.h>
#include <stddef.h>

struct options {
	struct command_line line; /* except for its names */
	bool help, version;
	unsigned used; /* options that were given: a bit for each row of the table */
	char **words;  /* all other arguments, of argv; the first one is the command */
	size_t word_count;
};

/* Print an error in the command line on standard error.  Returns the exit status. */
int usage_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Fill o, to be freed even on failure; the words of argv are reordered.  Returns 0 or the exit
 * status, as the functions below do. */
int options_parse(struct options *o, int argc, char **argv);

/* Whether a command accepts all options that were given; letters are its own. */
int options_check(const struct options *o, const char *name, const char *letters);

/* Whether a word consists of digits and points only. */
bool options_is_number(const char *word);

/* Take the seconds of --watch from a separate word. */
int options_take_watch(struct options *o, const char *word);

void options_free(struct options *o);

/* A line for each option; with letters: for the global ones and these. */
void options_print_help(const char *letters);

#endif
