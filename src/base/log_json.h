/*
 * log_json - a log line as a JSON object.  Pure.  For log.c alone.
 */
#ifndef SIGNALBUS_LOG_JSON_H
#define SIGNALBUS_LOG_JSON_H

#include <stddef.h>

/* As much as write(2) keeps together in a pipe (PIPE_BUF of Linux), with the line feed. */
enum { LOG_JSON_BYTES = 4096 };

/* Make a line of at most LOG_JSON_BYTES, with a line feed at its end and no NUL, of any bytes: what
 * is no UTF-8 becomes U+FFFD, and of a message that is too long "…" stands for the end.  Returns
 * its length. */
size_t log_json(char *line, const char *time, const char *level, const char *message);

#endif
