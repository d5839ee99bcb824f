/*
 * log_doubles - records the lines that are logged, without those for debugging.
 */
#ifndef SIGNALBUS_TEST_LOG_DOUBLES_H
#define SIGNALBUS_TEST_LOG_DOUBLES_H

#include "base/log.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A line each, with its level. */
static char logged[4096];

#define LOG_DOUBLE(name, level)                                                                    \
	void name(const char *format, ...)                                                         \
	{                                                                                          \
		size_t end = strlen(logged);                                                       \
		va_list args;                                                                      \
		va_start(args, format);                                                            \
		end += (size_t)snprintf(logged + end, sizeof logged - end, "%s: ", level);         \
		end += (size_t)vsnprintf(logged + end, sizeof logged - end, format, args);         \
		va_end(args);                                                                      \
		snprintf(logged + end, sizeof logged - end, "\n");                                 \
	}

LOG_DOUBLE(log_error, "error")
LOG_DOUBLE(log_warning, "warning")
LOG_DOUBLE(log_info, "info")

void log_debug(const char *format, ...)
{
	(void)format;
}

/* All that was logged since the start. */
static inline void check_logged(const char *expected)
{
	ck_assert_str_eq(logged, expected);
}

#endif
