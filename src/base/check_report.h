/*
 * check_report - the problems and warnings that a check reports, as lines on standard output.  One
 * thread at a time; only the main thread may have them printed.
 */
#ifndef SIGNALBUS_CHECK_REPORT_H
#define SIGNALBUS_CHECK_REPORT_H

#include "base/problems.h"

#include <stdbool.h>
#include <stddef.h>

struct finding {
	bool is_warning;
	char *model; /* NULL: of something else */
	char *text;
};

/* Zero-initialized is empty. */
struct check_report {
	struct problems lines;    /* lines already printed; none is printed twice */
	bool is_coloured;         /* problems and warnings differ in colour, on a terminal */
	bool is_silent;           /* nothing is printed; the findings are for the caller */
	struct finding *findings; /* one for each line, in their order */
	size_t problems, warnings;
};

/* Print a problem of a model or, if model is NULL, of something else.  Each is one line, which
 * names the object and ends with the remedy. */
void report_problem(struct check_report *f, const char *model, const char *text);

/* Print what works, but not well; the line begins with "warning: ". */
void report_warning(struct check_report *f, const char *model, const char *text);

/* Whether standard output is a terminal whose user wants colours (NO_COLOR, TERM). */
bool report_wants_colours(void);

/* The numbers, such as "2 problems, 1 warning"; to be freed. */
char *report_sum(const struct check_report *f);

void report_free(struct check_report *f);

#endif
