#include "base/text.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_SIZE 64

void *memory_new(size_t count, size_t size)
{
	void *p = calloc(count > 0 ? count : 1, size);
	if (p == NULL)
		abort();
	return p;
}

void *memory_resize(void *p, size_t count, size_t size)
{
	void *resized = reallocarray(p, count > 0 ? count : 1, size);
	if (resized == NULL)
		abort();
	return resized;
}

bool memory_suffices(size_t bytes)
{
	void *volatile p = malloc(bytes); /* volatile: compilers may leave out what is not used */
	bool ok = p != NULL;
	free(p);
	return ok;
}

static void text_reserve(struct text *t, size_t more)
{
	size_t needed = t->length + more + 1;
	if (needed <= t->size)
		return;
	size_t size = t->size > 0 ? t->size : FIRST_SIZE;
	while (size < needed)
		size *= 2;
	t->text = memory_resize(t->text, size, 1);
	t->size = size;
}

void text_add(struct text *t, const char *bytes, size_t length)
{
	text_reserve(t, length);
	if (length > 0)
		memcpy(t->text + t->length, bytes, length);
	t->length += length;
	t->text[t->length] = '\0';
}

__attribute__((format(printf, 2, 0))) static void text_vaddf(
	struct text *t, const char *format, va_list args)
{
	va_list again;
	va_copy(again, args);
	int length = vsnprintf(NULL, 0, format, again);
	va_end(again);
	if (length < 0)
		abort();
	text_reserve(t, (size_t)length);
	vsnprintf(t->text + t->length, t->size - t->length, format, args);
	t->length += (size_t)length;
}

void text_addf(struct text *t, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	text_vaddf(t, format, args);
	va_end(args);
}

/* Whether a byte continues a UTF-8 character. */
static bool is_inner(char byte)
{
	return (byte & 0xC0) == 0x80;
}

void text_add_short(struct text *t, const char *s, size_t max)
{
	size_t length = strlen(s), head = max / 2, tail = length - (max - head);
	if (length <= max) {
		text_add(t, s, length);
		return;
	}
	while (head > 0 && is_inner(s[head]))
		head--;
	while (is_inner(s[tail]))
		tail++;
	text_add(t, s, head);
	text_addf(t, "…");
	text_add(t, s + tail, length - tail);
}

void text_clear(struct text *t)
{
	t->length = 0;
	if (t->text != NULL)
		t->text[0] = '\0';
}

void text_free(struct text *t)
{
	free(t->text);
	*t = (struct text){ 0 };
}

char *text_copy_bytes(const char *bytes, size_t length)
{
	struct text t = { 0 };
	text_add(&t, bytes, length);
	return t.text;
}

char *text_copy(const char *s)
{
	return text_copy_bytes(s, strlen(s));
}

char *text_format(const char *format, ...)
{
	struct text t = { 0 };
	va_list args;
	va_start(args, format);
	text_vaddf(&t, format, args);
	va_end(args);
	return t.text;
}
