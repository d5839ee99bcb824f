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

static void add_finding(
	struct check_report *f, bool is_warning, const char *model, const char *text)
{
	size_t count = f->problems + f->warnings;
	f->findings = memory_resize(f->findings, count + 1, sizeof *f->findings);
	f->findings[count] = (struct finding){ .is_warning = is_warning,
		.model = model != NULL ? text_copy(model) : NULL,
		.text = text_copy(text) };
	(*(is_warning ? &f->warnings : &f->problems))++;
}

/* Flush at once, because the next check may have to wait for a server. */
static void print(const struct check_report *f, const char *line, const char *colour)
{
	printf("%s%s%s\n", f->is_coloured ? colour : "", line, f->is_coloured ? PLAIN : "");
	int ignored = fflush(stdout); /* command_finish_output() reports it */
	(void)ignored;
}

static void add(struct check_report *f, bool is_warning, const char *model, const char *text)
{
	char *line = line_of(is_warning ? "warning: " : "", model, text);
	if (!is_known(f, line)) {
		problems_add_line(&f->lines, line);
		add_finding(f, is_warning, model, text);
		if (!f->is_silent)
			print(f, line, is_warning ? YELLOW : RED);
	}
	free(line);
}

void report_problem(struct check_report *f, const char *model, const char *text)
{
	add(f, false, model, text);
}

void report_warning(struct check_report *f, const char *model, const char *text)
{
	add(f, true, model, text);
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
	for (size_t i = 0; i < f->problems + f->warnings; i++) {
		free(f->findings[i].model);
		free(f->findings[i].text);
	}
	free(f->findings);
	problems_free(&f->lines);
	*f = (struct check_report){ 0 };
}
