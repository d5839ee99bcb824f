/*
 * utf8 - which bytes are characters.  Pure.
 */
#ifndef SIGNALBUS_UTF8_H
#define SIGNALBUS_UTF8_H

#include <stddef.h>

/* The length of the character that text, which a NUL ends, begins with; 0 where it is no UTF-8. */
size_t utf8_length(const char *text);

#endif
