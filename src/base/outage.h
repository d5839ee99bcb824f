/*
 * outage - which reasons of a failure that lasts are logged: the first, and each that replaces the
 * one that was logged last, at most one in 10 s, then in 20 s, and so on up to 10 minutes.  So one
 * whose reasons alternate fills no log.  Pure; the caller holds the lock.
 */
#ifndef SIGNALBUS_OUTAGE_H
#define SIGNALBUS_OUTAGE_H

#include "base/clock.h"

#include <stdbool.h>

/* Zero-initialized there is none. */
struct outage {
	struct instant since; /* its first reason was logged; 0: there is none */
	struct instant next;  /* log no other reason before then */
	double pause;         /* … seconds after the one that was logged last: */
	char reason[1024];
};

bool outage_lasts(const struct outage *o);

/* It begins or lasts, for this reason.  Returns whether to log it. */
bool outage_note(struct outage *o, const char *reason, struct instant now);

/* It is over, if there is one.  Returns how many seconds it lasted. */
double outage_end(struct outage *o, struct instant now);

/* Whether two reasons are the same except for numbers, such as that of a server process. */
bool outage_same(const char *a, const char *b);

#endif
