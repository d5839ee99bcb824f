/*
 * findings - the problems and warnings that a check reports, as lines on standard output.  Main
 * thread only.
 */
#ifndef SIGNALBUS_FINDINGS_H
#define SIGNALBUS_FINDINGS_H

#include "base/problems.h"

#include <stddef.h>

/* Zero-initialized is empty. */
struct findings {
	struct problems lines; /* lines already printed; none is printed twice */
	size_t problems, warnings;
};

/* Print a problem of a model or, if model is NULL, of something else.  Each is one line, which
 * names the object and ends with the remedy. */
void findings_problem(struct findings *f, const char *model, const char *text);

/* Print what works, but not well; the line begins with "warning: ". */
void findings_warning(struct findings *f, const char *model, const char *text);

void findings_free(struct findings *f);

#endif
