#include "base/log.h"

#include "base/log_json.h"
#include "base/utf8.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
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
#define READER_WAIT_MS 200 /* for a slow reader */

const char *const log_level_names[] = { "error", "warning", "info", "debug", NULL };
const char *const log_format_names[] = { "text", "json", NULL };

/* Priorities of syslog(3): err, warning, info, debug. */
static const int priorities[] = { 3, 4, 6, 7 };

/* The log's sink: the only mutable state of this file.  A reload sets it while other threads
 * log. */
static struct {
	atomic_int level;  /* enum log_level */
	atomic_int format; /* enum log_format */
	pthread_mutex_t lock;
	size_t lost; /* consecutive lines that could not be written; of the holder of the lock */
} sink = { LOG_LEVEL_WARNING, LOG_FORMAT_TEXT, PTHREAD_MUTEX_INITIALIZER, 0 };

/* sd-daemon(3): JOURNAL_STREAM holds device:inode of the stream to the journal.  Checked for each
 * line, because lines may be written before anything is set up. */
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

/* The time, such as 2026-11-23T17:00:00.123Z. */
static void make_stamp(char *stamp, size_t size)
{
	struct timespec now;
	struct tm utc;
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	size_t used = strftime(stamp, size, "%Y-%m-%dT%H:%M:%S", &utc);
	snprintf(stamp + used, size - used, ".%03ldZ", now.tv_nsec / 1000000);
}

/* "<N>", or nothing outside the journal. */
static size_t add_priority(char *line, size_t size, enum log_level level)
{
	return stderr_is_journal() ? (size_t)snprintf(line, size, "<%d>", priorities[level]) : 0;
}

/* Build the line of a message, with a line feed at its end and no NUL; a bare one has neither time
 * nor level.  Returns its length. */
static size_t make_line(
	char line[LOG_JSON_BYTES], enum log_level level, const char *message, bool bare)
{
	char stamp[48];
	make_stamp(stamp, sizeof stamp);
	if (log_format() == LOG_FORMAT_JSON)
		return log_json(line, stamp, log_level_names[level], message);
	size_t used = add_priority(line, LINE_MAX_BYTES, level);
	if (used == 0 && !bare)
		used = (size_t)snprintf(
			line, LINE_MAX_BYTES, "%s %s: ", stamp, log_level_names[level]);
	used += utf8_show(line + used, LINE_MAX_BYTES - used, message);
	line[used++] = '\n';
	return used;
}

/* Returns false if the line cannot be written.  Not O_NONBLOCK: it would affect everyone who has
 * the same pipe or terminal open.  When poll(2) reports a pipe as writable, it takes up to PIPE_BUF
 * bytes at once. */
static bool write_line(const char *line, size_t length)
{
	struct pollfd fd = { .fd = STDERR_FILENO, .events = POLLOUT };
	int ready;
	do
		ready = poll(&fd, 1, sink.lost > 0 ? 0 : READER_WAIT_MS);
	while (ready < 0 && errno == EINTR);
	return ready != 0 && (write(STDERR_FILENO, line, length) >= 0 || errno != EAGAIN);
}

/* Report how many lines were lost, as soon as lines can be written again. */
static void tell_of_lost(void)
{
	char line[LOG_JSON_BYTES], message[128];
	if (sink.lost == 0)
		return;
	snprintf(message, sizeof message, "lost %zu log lines: standard error was not read",
		sink.lost);
	if (write_line(line, make_line(line, LOG_LEVEL_WARNING, message, false)))
		sink.lost = 0;
}

/* Remove the line feeds that libraries put at the end of message. */
static void put_line(enum log_level level, char *message, bool bare)
{
	char line[LOG_JSON_BYTES];
	size_t end = strlen(message);
	while (end > 0 && message[end - 1] == '\n')
		message[--end] = '\0';
	size_t length = make_line(line, level, message, bare);
	pthread_mutex_lock(&sink.lock);
	tell_of_lost();
	if (sink.lost > 0 || !write_line(line, length))
		sink.lost++;
	pthread_mutex_unlock(&sink.lock);
}

__attribute__((format(printf, 2, 0))) static void log_line(
	enum log_level level, const char *format, va_list args)
{
	if (!log_enabled(level))
		return;
	char message[LINE_MAX_BYTES];
	if (vsnprintf(message, sizeof message, format, args) >= (int)sizeof message)
		utf8_mark_cut(message, sizeof message);
	put_line(level, message, false);
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
	char message[LINE_MAX_BYTES];
	if (snprintf(message, sizeof message, "%s", line) >= (int)sizeof message)
		utf8_mark_cut(message, sizeof message);
	put_line(LOG_LEVEL_ERROR, message, true);
}
