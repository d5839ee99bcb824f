#include "base/problems.h"

#include "base/error.h"
#include "base/text.h"

#include <stdarg.h>
#include <stdlib.h>

void problems_add(struct problems *p, struct place at, const char *format, ...)
{
	struct error e; /* makes one line of the message */
	va_list args;
	va_start(args, format);
	error_vset(&e, ERROR_CONFIG, format, args);
	va_end(args);
	char *line = at.line > 0 ? text_format("%s:%u: %s", at.file, at.line, e.text)
				 : text_format("%s: %s", at.file, e.text);
	problems_add_line(p, line);
	free(line);
}

void problems_add_line(struct problems *p, const char *line)
{
	p->lines = memory_resize(p->lines, p->count + 1, sizeof *p->lines);
	p->lines[p->count++] = text_copy(line);
}

void problems_free(struct problems *p)
{
	for (size_t i = 0; i < p->count; i++)
		free(p->lines[i]);
	free(p->lines);
	*p = (struct problems){ 0 };
}
