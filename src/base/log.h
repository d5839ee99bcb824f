/*
 * log - lines for people on standard error.  Any thread; each line is one write(2), so lines are
 * never interleaved.  A closed standard error is ignored.  If it is full, such as a pipe whose
 * reader has stalled, a thread waits at most 0.2 s: then the line is lost, subsequent lines are
 * lost at once, and the first line that can be written again reports how many.
 *
 * A message is one line, whatever it contains: control characters and invalid UTF-8 are shown as
 * \n, \x1b and so on (utf8.h); line feeds at its end are removed.
 *
 * Lines of text begin with the time (UTC) and the level; under journald (JOURNAL_STREAM identifies
 * standard error, see sd-daemon(3)) with "<N>" instead of both.  Alternatively each line is a JSON
 * object.
 */
#ifndef SIGNALBUS_LOG_H
#define SIGNALBUS_LOG_H

#include <stdbool.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* The names of the levels in order, terminated by NULL: the values of log_level. */
extern const char *const log_level_names[];

enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

/* The names of the formats in order, terminated by NULL: the values of log_format. */
extern const char *const log_format_names[];

/* Set the format of subsequent lines. */
void log_set_format(enum log_format format);
enum log_format log_format(void);

/* Set the least severe level that is printed. */
void log_set_level(enum log_level level);

/* Whether a line of this level would be printed. */
bool log_enabled(enum log_level level);

void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Print a line unchanged, at any level, for mistakes in a configuration.  In JSON and in the
 * journal it is an error. */
void log_problem(const char *line);

#endif
