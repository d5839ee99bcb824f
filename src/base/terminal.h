/*
 * terminal - what can be shown on a terminal.  Any thread; no state.
 */
#ifndef SIGNALBUS_TERMINAL_H
#define SIGNALBUS_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>

/* Whether fd is a terminal, and not one that has no escape sequences (TERM=dumb). */
bool terminal_draws(int fd);

/* The number of columns and of rows of the terminal fd; 80 and 24 if they are not known. */
size_t terminal_columns(int fd);
size_t terminal_rows(int fd);

/* The number of characters of text, in UTF-8. */
size_t terminal_width(const char *text);

/* The length in bytes of the beginning of text, in UTF-8, that fits in this many columns; some
 * characters take two of them, and some none. */
size_t terminal_cut(const char *text, size_t columns);

#endif
