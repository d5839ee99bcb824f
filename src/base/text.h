/*
 * text - a growing string, and copies of strings.  Pure; out of memory aborts, which is safe by
 * design: rows are deleted only after their messages are stored.
 */
#ifndef SIGNALBUS_TEXT_H
#define SIGNALBUS_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Zero-initialized is empty; text is NULL until something is added, then always NUL-terminated. */
struct text {
	char *text;
	size_t length;
	size_t size;
};

void text_add(struct text *t, const char *bytes, size_t length);
void text_addf(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Add s; if it is longer than max bytes, its beginning and its end with "…" between them. */
void text_add_short(struct text *t, const char *s, size_t max);

/* Clear the contents, keep the memory. */
void text_clear(struct text *t);

/* Release the memory; t is empty afterwards. */
void text_free(struct text *t);

/* Copies and arrays that the caller frees with free(3); never NULL. */
char *text_copy(const char *s);
char *text_copy_bytes(const char *bytes, size_t length);
char *text_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* calloc(3) and reallocarray(3) that abort instead of returning NULL. */
void *memory_new(size_t count, size_t size);
void *memory_resize(void *p, size_t count, size_t size);

/* Whether this number of bytes could be allocated now: to be asked before something large is begun,
 * which then can fail instead of aborting. */
bool memory_suffices(size_t bytes);

#endif
