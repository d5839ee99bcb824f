#include "base/findings.h"

#include "base/text.h"
#include "base/utf8.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_known(const struct findings *f, const char *line)
{
	for (size_t i = 0; i < f->lines.count; i++)
		if (strcmp(f->lines.lines[i], line) == 0)
			return true;
	return false;
}

/* A name with a line feed must not make two lines. */
static char *line_of(const char *start, const char *model, const char *text)
{
	char *line = model != NULL ? text_format("%smodel \"%s\": %s", start, model, text)
				   : text_format("%s%s", start, text);
	char *shown = utf8_shown(line);
	free(line);
	return shown;
}

/* Flush at once, because the next check may have to wait for a server. */
static void print(struct findings *f, char *line, size_t *count)
{
	if (!is_known(f, line)) {
		problems_add_line(&f->lines, line);
		(*count)++;
		printf("%s\n", line);
		int ignored = fflush(stdout); /* command_finish_output() reports it */
		(void)ignored;
	}
	free(line);
}

void findings_problem(struct findings *f, const char *model, const char *text)
{
	print(f, line_of("", model, text), &f->problems);
}

void findings_warning(struct findings *f, const char *model, const char *text)
{
	print(f, line_of("warning: ", model, text), &f->warnings);
}

void findings_free(struct findings *f)
{
	problems_free(&f->lines);
	*f = (struct findings){ 0 };
}
