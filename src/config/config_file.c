#include "config/config_file.h"

#include "base/text.h"
#include "config/config_value.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Far more than any real file; prevents a wrong path to a huge file from filling memory. */
#define FILE_MAX_BYTES (16 << 20)

/* The depth to which libconfig follows @include. */
#define INCLUDE_MAX_DEPTH 10

char *file_read(const char *path, struct problems *problems)
{
	struct text content = { 0 };
	char buffer[65536];
	ssize_t got = -1;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int reason = errno;
	while (fd >= 0 && (got = read(fd, buffer, sizeof buffer)) > 0 &&
		content.length <= FILE_MAX_BYTES)
		text_add(&content, buffer, (size_t)got);
	if (fd >= 0 && got < 0)
		reason = errno;
	if (fd >= 0)
		close(fd);
	/* libconfig requires a line feed after a comment. */
	bool is_ended = content.length == 0 || content.text[content.length - 1] == '\n';
	text_add(&content, "\n", is_ended ? 0 : 1);
	const struct place start = { path, 1 };
	if (fd < 0 && reason == ENOENT)
		problems_add(problems, (struct place){ path, 0 },
			"cannot read the configuration: %s; an example is installed as "
			"%s/signalbus.conf.example",
			strerror(reason), DOCDIR);
	else if (got < 0)
		problems_add(problems, (struct place){ path, 0 },
			"cannot read the configuration: %s", strerror(reason));
	else if (content.length > FILE_MAX_BYTES)
		problems_add(problems, start, "the configuration is larger than 16 MiB");
	else if (strlen(content.text) != content.length)
		problems_add(problems, start, "the configuration is not text: it has NUL bytes");
	else
		return content.text;
	text_free(&content);
	return NULL;
}

/* As libconfig 1.5 forms it. */
char *file_included(const char *line, const char *folder)
{
	static const char word[] = "@include";
	line += strspn(line, " \t");
	if (strncmp(line, word, sizeof word - 1) != 0)
		return NULL;
	line += sizeof word - 1;
	size_t blanks = strspn(line, " \t"); /* at least one */
	line += blanks;
	if (blanks == 0 || *line != '"')
		return NULL;
	int length = (int)strcspn(line + 1, "\"\n");
	return text_format("%s/%.*s", folder, length, line + 1);
}

static bool check_includes(
	const char *content, const char *folder, unsigned depth, struct problems *problems);

/* libconfig reads an included file itself, and a byte order mark is a syntax error to it. */
static bool check_included(
	const char *path, const char *folder, unsigned depth, struct problems *problems)
{
	char *content = file_read(path, problems);
	if (content == NULL)
		return true;
	if (value_mark_length(content) > 0)
		problems_add(problems, (struct place){ path, 1 },
			"an included file must not begin with a byte order mark; save it as UTF-8 "
			"without a byte order mark");
	bool go_on = check_includes(content, folder, depth, problems);
	free(content);
	return go_on;
}

/* libconfig's scanner terminates the process if an included file cannot be read, such as a
 * directory (flex's YY_FATAL_ERROR), so that is detected first.  libconfig itself reports files
 * that cannot be opened.  Returns false if files are nested too deep to read on. */
static bool check_includes(
	const char *content, const char *folder, unsigned depth, struct problems *problems)
{
	bool go_on = true;
	for (const char *line = content; go_on && line != NULL;) {
		char *path = file_included(line, folder);
		if (path != NULL && depth == INCLUDE_MAX_DEPTH) {
			go_on = false; /* libconfig gives up there, too */
		} else if (path != NULL && access(path, R_OK) == 0) {
			go_on = check_included(path, folder, depth + 1, problems);
		}
		free(path);
		line = strchr(line, '\n');
		line = line != NULL ? line + 1 : NULL;
	}
	return go_on;
}

void file_check_includes(const char *content, const char *folder, struct problems *problems)
{
	check_includes(content, folder, 0, problems);
}

bool file_explain_include(
	struct place at, const char *content, const char *folder, struct problems *problems)
{
	for (unsigned line = 1; line < at.line && content != NULL; line++) {
		content = strchr(content, '\n');
		content = content != NULL ? content + 1 : NULL;
	}
	char *path = content != NULL ? file_included(content, folder) : NULL;
	int reason = path != NULL && access(path, R_OK) != 0 ? errno : 0;
	if (reason != 0)
		problems_add(problems, at, "cannot include %s: %s", path, strerror(reason));
	free(path);
	return reason != 0;
}
