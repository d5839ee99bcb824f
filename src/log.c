#include "log.h"

#include "log_json.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 2048

const char *const log_level_names[] = { "error", "warning", "info", "debug", NULL };
const char *const log_format_names[] = { "text", "json", NULL };

/* Priorities of syslog(3): err, warning, info, debug. */
static const int priorities[] = { 3, 4, 6, 7 };

/* The log's sink: the one mutable state of this file.  A reload sets it while others log. */
static struct {
	atomic_int level;  /* enum log_level */
	atomic_int format; /* enum log_format */
} sink = { LOG_LEVEL_WARNING, LOG_FORMAT_TEXT };

/* sd-daemon(3): JOURNAL_STREAM holds device:inode of the stream that goes to the journal.  Asked
 * for each line, since lines may be written before anything is set up. */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	struct stat st;
	if (stream == NULL || fstat(STDERR_FILENO, &st) != 0)
		return false;
	char ours[64];
	snprintf(ours, sizeof ours, "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	return strcmp(stream, ours) == 0;
}

void log_set_level(enum log_level level)
{
	atomic_store(&sink.level, (int)level);
}

bool log_enabled(enum log_level level)
{
	return (int)level <= atomic_load(&sink.level);
}

void log_set_format(enum log_format format)
{
	atomic_store(&sink.format, (int)format);
}

enum log_format log_format(void)
{
	return (enum log_format)atomic_load(&sink.format);
}

/* Nobody to tell where this fails: the log is the place to tell. */
static void write_line(const char *line, size_t length)
{
	ssize_t ignored = write(STDERR_FILENO, line, length);
	(void)ignored;
}

/* The time, as in 2026-11-23T17:00:00.123Z. */
static void make_stamp(char *stamp, size_t size)
{
	struct timespec now;
	struct tm utc;
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	size_t used = strftime(stamp, size, "%Y-%m-%dT%H:%M:%S", &utc);
	snprintf(stamp + used, size - used, ".%03ldZ", now.tv_nsec / 1000000);
}

static void write_json(enum log_level level, const char *message)
{
	char stamp[48];
	char line[LOG_JSON_BYTES];
	make_stamp(stamp, sizeof stamp);
	write_line(line, log_json(line, stamp, log_level_names[level], message));
}

/* "<N>", or nothing outside of the journal. */
static size_t add_priority(char *line, size_t size, enum log_level level)
{
	return stderr_is_journal() ? (size_t)snprintf(line, size, "<%d>", priorities[level]) : 0;
}

static size_t line_start(char *line, size_t size, enum log_level level)
{
	size_t used = add_priority(line, size, level);
	if (used > 0)
		return used;
	char stamp[48];
	make_stamp(stamp, sizeof stamp);
	return (size_t)snprintf(line, size, "%s %s: ", stamp, log_level_names[level]);
}

__attribute__((format(printf, 2, 0))) static void log_line(
	enum log_level level, const char *format, va_list args)
{
	if (!log_enabled(level))
		return;
	char line[LINE_MAX_BYTES];
	bool is_json = log_format() == LOG_FORMAT_JSON;
	size_t used = is_json ? 0 : line_start(line, sizeof line, level);
	int length = vsnprintf(line + used, sizeof line - used - 1, format, args);
	if (is_json) {
		write_json(level, length < 0 ? format : line);
		return;
	}
	if (length > 0)
		used += (size_t)length;
	if (used > sizeof line - 2)
		used = sizeof line - 2;
	line[used++] = '\n';
	write_line(line, used);
}

#define DEFINE_LOG(name, level)                                                                    \
	void name(const char *format, ...)                                                         \
	{                                                                                          \
		va_list args;                                                                      \
		va_start(args, format);                                                            \
		log_line(level, format, args);                                                     \
		va_end(args);                                                                      \
	}

DEFINE_LOG(log_error, LOG_LEVEL_ERROR)
DEFINE_LOG(log_warning, LOG_LEVEL_WARNING)
DEFINE_LOG(log_info, LOG_LEVEL_INFO)
DEFINE_LOG(log_debug, LOG_LEVEL_DEBUG)

void log_problem(const char *line)
{
	char text[LINE_MAX_BYTES];
	if (log_format() == LOG_FORMAT_JSON) {
		write_json(LOG_LEVEL_ERROR, line);
		return;
	}
	size_t used = add_priority(text, sizeof text, LOG_LEVEL_ERROR);
	int room = (int)(sizeof text - used) - 2;
	used += (size_t)snprintf(text + used, sizeof text - used, "%.*s\n", room, line);
	write_line(text, used);
}
