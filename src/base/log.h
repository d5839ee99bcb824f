/*
 * log - lines for people on standard error.  Any thread; each line is one write(2), so that lines
 * never mix.  A standard error that is closed does not matter.  Nobody waits long for one that is
 * full, such as a pipe whose reader has stalled: after 0.2 s the line is lost, those after it at
 * once, and the first one that can be written again comes with their number.
 *
 * A message is one line, whatever is in it: control characters and what is no UTF-8 are shown as
 * \n, \x1b and so on (utf8.h); line feeds at its end are left out.
 *
 * Lines of text begin with the time (UTC) and the level; under journald (JOURNAL_STREAM names
 * standard error, see sd-daemon(3)) with "<N>" instead of both.  Or each line is a JSON object.
 */
#ifndef SIGNALBUS_LOG_H
#define SIGNALBUS_LOG_H

#include <stdbool.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* The names of the levels in their order, ended by NULL: what log_level may be. */
extern const char *const log_level_names[];

enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

/* The names of the formats in their order, ended by NULL: what log_format may be. */
extern const char *const log_format_names[];

/* Set how lines look from now on. */
void log_set_format(enum log_format format);
enum log_format log_format(void);

/* Set the least urgent level that is printed. */
void log_set_level(enum log_level level);

/* Whether a line of this level would be printed. */
bool log_enabled(enum log_level level);

void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A line as it is, at any level: what is wrong with a configuration.  In JSON and in the journal it
 * is an error. */
void log_problem(const char *line);

#endif
