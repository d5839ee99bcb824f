/*
 * log_json - a log line as a JSON object.  Pure.  Used by log.c only.
 */
#ifndef SIGNALBUS_LOG_JSON_H
#define SIGNALBUS_LOG_JSON_H

#include <stddef.h>

/* The size up to which write(2) to a pipe is atomic (PIPE_BUF of Linux), with the line feed. */
enum { LOG_JSON_BYTES = 4096 };

/* Make a line of at most LOG_JSON_BYTES, with a line feed at its end and no NUL, from any bytes:
 * invalid UTF-8 becomes U+FFFD, and "…" replaces the end of a message that is too long.  Returns
 * its length. */
size_t log_json(char *line, const char *time, const char *level, const char *message);

#endif
