/*
 * Drives the parser of the command line with arbitrary words: it ends with a usage error, or calls
 * the command with what may be expected of a command line.
 */
#include "base/stop.h"
#include "cli/command.h"

#include <getopt.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS_MAX = 64 };

/* main() of main.c, under another name. */
int main(int argc, char **argv);

static int words; /* of the command line that is being parsed */
static int calls; /* of commands */

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void check_words(const char *const *list, size_t count)
{
	check(count < (size_t)words);
	for (size_t i = 0; i < count; i++)
		check(list[i] != NULL && strlen(list[i]) < 65536);
}

static int called(const struct command_line *line)
{
	check(calls++ == 0);
	check(line->config_file != NULL && line->config_file[0] != '\0');
	check(line->verbosity >= -1 && line->verbosity < WORDS_MAX * 65536);
	check(line->wait >= 0 && line->wait <= 1e6);
	check(line->repeat == -1 || (line->repeat >= 0 && line->repeat <= 1e6));
	check(line->jobs >= 1 && line->jobs <= 64);
	check(line->watch == -1 || (line->watch > 0 && line->watch <= 1e6));
	check_words(line->names, line->name_count);
	check_words(line->excluded, line->excluded_count);
	return 0;
}

#define DOUBLE(name)                                                                               \
	int name(const struct command_line *line)                                                  \
	{                                                                                          \
		return called(line);                                                               \
	}

DOUBLE(cmd_run)
DOUBLE(cmd_flush)
DOUBLE(cmd_flushmany)
DOUBLE(cmd_flushordered)
DOUBLE(cmd_signals)
DOUBLE(cmd_pending)
DOUBLE(cmd_schema)
DOUBLE(cmd_triggers)
DOUBLE(cmd_dead_letters)
DOUBLE(cmd_check)
DOUBLE(cmd_pause)
DOUBLE(cmd_resume)
DOUBLE(cmd_recover)

int command_print_version(void)
{
	return 0;
}

void command_print_wrapped(const char *text, size_t first, size_t rest)
{
	check(text[0] != '\0' && first < 80 && rest < 80);
}

int command_finish_output(void)
{
	return 0;
}

bool stop_install(void)
{
	return true;
}

int stop_fd(void)
{
	return -1;
}

/* Each NUL ends a word. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char name[] = "signalbus";
	char *argv[WORDS_MAX + 1] = { name };
	char *copy = malloc(size + 1);
	check(copy != NULL);
	memcpy(copy, data, size);
	copy[size] = '\0';
	words = 1;
	for (char *word = copy; word <= copy + size && words < WORDS_MAX; words++) {
		argv[words] = word;
		word += strlen(word) + 1;
	}
	optind = 0; /* glibc's getopt starts over */
	calls = 0;
	int status = main(words, argv);
	check(status == 0 || (status == EXIT_WRONG_USAGE && calls == 0));
	free(copy);
	return 0;
}
