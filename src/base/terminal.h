/*
 * terminal - what fits on a line of a terminal.  Any thread; no state.
 */
#ifndef SIGNALBUS_TERMINAL_H
#define SIGNALBUS_TERMINAL_H

#include <stddef.h>

/* The number of columns of the terminal fd; 80 if it is not known. */
size_t terminal_columns(int fd);

/* The length in bytes of at most count characters of text, in UTF-8. */
size_t terminal_cut(const char *text, size_t count);

#endif
