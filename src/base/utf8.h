/*
 * utf8 - which bytes are characters, and how to show people text from outside.  Pure.
 */
#ifndef SIGNALBUS_UTF8_H
#define SIGNALBUS_UTF8_H

#include <stddef.h>

/* The length of the first character of text, which is NUL-terminated; 0 if it is not UTF-8. */
size_t utf8_length(const char *text);

/* The first byte of text that is not UTF-8; NULL if all of it is. */
const char *utf8_invalid(const char *text);

/* Write text, which may contain any bytes, into the size bytes (at least 4) of to, as one line that
 * a terminal, the journal or a line reader cannot misinterpret: control characters, those that
 * change the direction of text, and invalid UTF-8 become \n, \t, \x1b, \u007f.  What does not fit
 * is replaced by "…".  Returns the length, without the NUL at the end. */
size_t utf8_show(char *to, size_t size, const char *text);

/* The same for the whole text, to be freed. */
char *utf8_shown(const char *text);

/* The same JSON document, which is UTF-8, for a terminal: its strings have those characters
 * escaped that JSON allows and utf8_show() escapes.  Frees json; to be freed. */
char *utf8_shown_json(char *json);

/* Mark text, which was truncated to fill size bytes with its NUL, with "…" at its end, and remove
 * an incomplete character before it. */
void utf8_mark_cut(char *text, size_t size);

#endif
