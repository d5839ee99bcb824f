/*
 * suggest - the known name that a mistaken one was probably meant to be: one with nearly the same
 * letters, or one that begins with it.  Pure.
 */
#ifndef SIGNALBUS_SUGGEST_H
#define SIGNALBUS_SUGGEST_H

#include <stddef.h>

struct nearest {
	const char *wanted;
	const char *best; /* NULL: no name is near enough */
	size_t distance;
};

/* Begin a search for wanted, which is borrowed during the search. */
struct nearest nearest_to(const char *wanted);

/* Consider a candidate; best borrows it. */
void nearest_offer(struct nearest *n, const char *candidate);

#endif
