/*
 * utf8 - which bytes are characters, and what people may be shown of text that comes from outside.
 * Pure.
 */
#ifndef SIGNALBUS_UTF8_H
#define SIGNALBUS_UTF8_H

#include <stddef.h>

/* The length of the character that text, which a NUL ends, begins with; 0 where it is no UTF-8. */
size_t utf8_length(const char *text);

/* The first byte of text that is not UTF-8; NULL where all of it is. */
const char *utf8_invalid(const char *text);

/* Write text, which may have any bytes, into the size bytes (4 at least) of to, as one line that a
 * terminal, the journal or a reader of lines cannot take for anything else: control characters and
 * what is no UTF-8 become \n, \t, \x1b, \u007f.  What does not fit is left out, and "…" stands in
 * its place. Returns the length, without the NUL at the end. */
size_t utf8_show(char *to, size_t size, const char *text);

/* The same of the whole text, to be freed. */
char *utf8_shown(const char *text);

/* Mark text, which was cut to fill size bytes with its NUL, by "…" at its end, with no part of a
 * character in front of it. */
void utf8_mark_cut(char *text, size_t size);

#endif
