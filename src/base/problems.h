/*
 * problems - all mistakes in a configuration, as lines "FILE:LINE: message".  Pure.
 */
#ifndef SIGNALBUS_PROBLEMS_H
#define SIGNALBUS_PROBLEMS_H

#include <stddef.h>

/* Zero-initialized is empty. */
struct problems {
	char **lines;
	size_t count;
};

/* A place in a configuration file.  file is borrowed. */
struct place {
	const char *file;
	unsigned line; /* from 1; 0: the file as a whole, such as one that does not exist */
};

void problems_add(struct problems *p, struct place at, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Add a line unchanged. */
void problems_add_line(struct problems *p, const char *line);

void problems_free(struct problems *p);

#endif
