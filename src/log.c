#include "log.h"

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

/* Priorities of syslog(3): err, warning, info, debug. */
static const int priorities[] = { 3, 4, 6, 7 };

/* The log's sink: the one mutable state of this file.  A reload sets it while others log. */
static struct {
	atomic_int level; /* enum log_level */
	atomic_bool is_journal;
} sink = { LOG_LEVEL_WARNING, false };

/* sd-daemon(3): JOURNAL_STREAM holds device:inode of the stream that goes to the journal. */
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
	atomic_store(&sink.is_journal, stderr_is_journal());
}

bool log_enabled(enum log_level level)
{
	return (int)level <= atomic_load(&sink.level);
}

static size_t line_start(char *line, size_t size, enum log_level level)
{
	if (atomic_load(&sink.is_journal))
		return (size_t)snprintf(line, size, "<%d>", priorities[level]);
	struct timespec now;
	struct tm utc;
	char stamp[32];
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &utc);
	return (size_t)snprintf(
		line, size, "%s.%03ldZ %s: ", stamp, now.tv_nsec / 1000000, log_level_names[level]);
}

__attribute__((format(printf, 2, 0))) static void log_line(
	enum log_level level, const char *format, va_list args)
{
	if (!log_enabled(level))
		return;
	char line[LINE_MAX_BYTES];
	size_t used = line_start(line, sizeof line, level);
	int length = vsnprintf(line + used, sizeof line - used - 1, format, args);
	if (length > 0)
		used += (size_t)length;
	if (used > sizeof line - 2)
		used = sizeof line - 2;
	line[used++] = '\n';
	/* Nobody to tell where this fails: the log is the place to tell. */
	ssize_t ignored = write(STDERR_FILENO, line, used);
	(void)ignored;
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
	int length = snprintf(text, sizeof text, "%.*s\n", (int)sizeof text - 2, line);
	ssize_t ignored = write(STDERR_FILENO, text, (size_t)length);
	(void)ignored;
}
