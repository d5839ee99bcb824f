#include "base/check_report.h"

#include "base/text.h"
#include "base/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RED    "\x1b[31m"
#define YELLOW "\x1b[33m"
#define PLAIN  "\x1b[0m"

static bool is_known(const struct check_report *f, const char *line)
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
static void print(struct check_report *f, char *line, size_t *count, const char *colour)
{
	const char *plain = f->is_coloured ? PLAIN : "";
	colour = f->is_coloured ? colour : "";
	if (!is_known(f, line)) {
		problems_add_line(&f->lines, line);
		(*count)++;
		printf("%s%s%s\n", colour, line, plain);
		int ignored = fflush(stdout); /* command_finish_output() reports it */
		(void)ignored;
	}
	free(line);
}

void report_problem(struct check_report *f, const char *model, const char *text)
{
	print(f, line_of("", model, text), &f->problems, RED);
}

void report_warning(struct check_report *f, const char *model, const char *text)
{
	print(f, line_of("warning: ", model, text), &f->warnings, YELLOW);
}

bool report_wants_colours(void)
{
	const char *refusal = getenv("NO_COLOR"), *terminal = getenv("TERM");
	return isatty(STDOUT_FILENO) && (refusal == NULL || refusal[0] == '\0') &&
	       terminal != NULL && strcmp(terminal, "dumb") != 0;
}

char *report_sum(const struct check_report *f)
{
	return text_format("%zu problem%s, %zu warning%s", f->problems, f->problems == 1 ? "" : "s",
		f->warnings, f->warnings == 1 ? "" : "s");
}

void report_free(struct check_report *f)
{
	problems_free(&f->lines);
	*f = (struct check_report){ 0 };
}
