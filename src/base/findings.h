/*
 * findings - what a check has found out, as lines on standard output: problems and warnings.  Main
 * thread only.
 */
#ifndef SIGNALBUS_FINDINGS_H
#define SIGNALBUS_FINDINGS_H

#include "base/problems.h"

#include <stddef.h>

/* Zero-initialised is empty. */
struct findings {
	struct problems lines; /* that were printed; none is printed twice */
	size_t problems, warnings;
};

/* Print what is wrong with a model, or, with model NULL, with something else.  Each is one line,
 * which names the object and ends with the remedy. */
void findings_problem(struct findings *f, const char *model, const char *text);

/* The same for what works, though not well; the line begins with "warning: ". */
void findings_warning(struct findings *f, const char *model, const char *text);

void findings_free(struct findings *f);

#endif
