/*
 * nearest - which known name a mistaken one was probably meant to be: one with nearly the same
 * letters, or one that begins as it does.  Pure.
 */
#ifndef SIGNALBUS_NEAREST_H
#define SIGNALBUS_NEAREST_H

#include <stddef.h>

struct nearest {
	const char *wanted;
	const char *best; /* NULL: nothing is near enough */
	size_t distance;
};

/* Begin a search for wanted, which is borrowed while the search lasts. */
struct nearest nearest_to(const char *wanted);

/* Consider a candidate; best borrows it. */
void nearest_offer(struct nearest *n, const char *candidate);

#endif
