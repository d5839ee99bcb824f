/*
 * command - the parsed command line, and the commands.  Main thread only.
 */
#ifndef SIGNALBUS_COMMAND_H
#define SIGNALBUS_COMMAND_H

#include "base/log.h"
#include "config/config.h"

#include <stdbool.h>
#include <stddef.h>

#ifndef SIGNALBUS_VERSION
#define SIGNALBUS_VERSION "unknown"
#endif

struct db;
struct store;

/* The command line, parsed. */
struct command_line {
	const char *config_file;
	int verbosity; /* -1: quiet; 0; 1: -v; 2: -vv */
	double wait;
	double repeat; /* seconds; negative: once */
	unsigned jobs;
	double watch; /* seconds; negative: once */
	bool drop;
	bool requeue, discard; /* at most one of them */
	bool config_only, deny_warnings;
	bool json;              /* print one JSON document */
	bool needs_known_names; /* an unknown NAME is an error, not a warning */
	bool all;
	const char **names;
	size_t name_count;
	const char **excluded;
	size_t excluded_count;
};

/* Each returns the exit status. */
typedef int command(const struct command_line *line);

command cmd_run;                                    /* cmd_run.c */
command cmd_flush, cmd_flushmany, cmd_flushordered; /* cmd_flush.c */
command cmd_signals, cmd_pending;                   /* cmd_pending.c */
command cmd_schema;                                 /* cmd_schema.c */
command cmd_triggers;                               /* cmd_triggers.c */
command cmd_dead_letters;                           /* cmd_dead_letters.c */
command cmd_check;                                  /* cmd_check.c */
command cmd_pause, cmd_resume;                      /* cmd_pause.c */
command cmd_recover;                                /* cmd_recover.c */

/* Exit statuses, in addition to those of error_exit_status(). */
enum { EXIT_WRONG_USAGE = 2, EXIT_WRONG_CONFIG = 78 };

/* Load the configuration that the command line names, and set the log level from both, and the log
 * format; level is the default.  NULL if the configuration is invalid; each problem has been
 * printed. */
struct config *command_load(const struct command_line *line, enum log_level level);

/* The same, with a function that prints the problems: log_problem(), or for a daemon that runs, one
 * that logs them. */
typedef void print_problem(const char *line);
struct config *command_load_printing(
	const struct command_line *line, enum log_level level, print_problem *print);

/* Warn that the daemon does not send a model. */
void command_warn_of_autoflush(const char *name);

/* The models (indexes) that NAMEs and --exclude select, in configuration order, to be freed; none
 * may be left.  An unknown name is logged, with the nearest one.  NULL, for EXIT_WRONG_USAGE, if
 * none of the NAMEs is known, or one is not and the command needs that. */
size_t *command_select(const struct command_line *line, const struct config *config, size_t *count);

/* Connect for a one-shot command: if the database is unavailable, the first failure is a warning,
 * and the attempt is repeated until `timeout` of the configuration has passed.  Returns false with
 * e, ERROR_STOPPED as soon as the process is asked to stop. */
bool command_connect(struct db *db, const struct config *config, struct error *e);
bool command_connect_store(struct store *s, const struct config *config, struct error *e);

/* Read all the models (indexes), so that store_model() has them.  If some do not match their
 * tables, the first mistake of each is printed, except the last one, which is in e. */
bool command_read_models(struct store *s, const size_t *models, size_t count, struct error *e);

/* Log why a command failed, after text, or in the format of configuration errors if it is one;
 * nothing if it was asked to stop.  Returns the exit status. */
int command_failed(const char *text, const struct error *e);

/* Print, with its place in the file, an error in a top-level setting for this command.  Returns the
 * exit status. */
int command_refuse(const struct config *config, const char *setting, const char *text);

/* Print the versions of signalbus and of the libraries.  Returns the exit status.  (version.c) */
int command_print_version(void);

/* Print text, broken into lines of at most 80 columns, the first one indented by first, the others
 * by rest.  What is in brackets stays together, as in a synopsis. */
void command_print_wrapped(const char *text, size_t first, size_t rest);

/* Flush standard output.  Returns the exit status, which reflects whether all of it was written. */
int command_finish_output(void);

#endif
