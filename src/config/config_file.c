#include "config/config_file.h"

#include "base/text.h"
#include "config/config_value.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* Far more than any real file; prevents a wrong path to a huge file from filling memory. */
#define FILE_MAX_BYTES (16 << 20)

#define PIPE_WAIT_MS 10000

/* The depth to which libconfig follows @include. */
#define INCLUDE_MAX_DEPTH 10

/* More than the kernel follows. */
#define LINKS_MAX 64

static bool is_ours(uid_t owner)
{
	return owner == 0 || owner == geteuid();
}

/* A folder of a file system that is mounted read-only cannot be changed, such as a volume of
 * Kubernetes, whose mode is 0777. */
static bool is_read_only(const char *folder)
{
	struct statvfs mounted;
	return statvfs(folder, &mounted) != 0 || (mounted.f_flag & ST_RDONLY);
}

/* Whether nobody else may put something else in the place of a path, which is at.file, or what that
 * links to.  False with a problem. */
static bool check_folder(struct place at, const char *path, struct problems *problems)
{
	static const char problem[] = "others may replace it, as";
	struct stat around, own;
	char *copy = text_copy(path);
	const char *folder = dirname(copy);
	bool is_fixed = stat(folder, &around) != 0 || is_read_only(folder), ok = false;
	if (!is_fixed && !is_ours(around.st_uid))
		problems_add(problems, at, "%s uid %u owns the folder %s; run chown %u %s", problem,
			around.st_uid, folder, geteuid(), folder);
	else if (!is_fixed && (around.st_mode & S_IWOTH) && !(around.st_mode & S_ISVTX))
		problems_add(problems, at,
			"%s everybody may write to the folder %s; run chmod o-w %s", problem,
			folder, folder);
	else if (!is_fixed && lstat(path, &own) == 0 && S_ISLNK(own.st_mode) &&
		 !is_ours(own.st_uid))
		problems_add(problems, at, "%s uid %u owns the link %s; run chown -h %u %s",
			problem, own.st_uid, path, geteuid(), path);
	else
		ok = true;
	free(copy);
	return ok;
}

/* Replace a path by what it links to.  False: it is no link. */
static bool follow(char **path)
{
	char target[PATH_MAX];
	ssize_t length = readlink(*path, target, sizeof target);
	if (length < 0)
		return false;
	char *next = target[0] == '/' ? text_copy_bytes(target, (size_t)length)
				      : text_format("%s/%.*s", dirname(*path), (int)length, target);
	free(*path);
	*path = next;
	return true;
}

/* The same as check_folder(), for each link on the way to the file. */
static bool check_way(struct place at, struct problems *problems)
{
	char *path = text_copy(at.file);
	bool ok = check_folder(at, path, problems);
	for (unsigned links = 0; ok && links < LINKS_MAX && follow(&path); links++)
		ok = check_folder(at, path, problems);
	free(path);
	return ok;
}

/* The configuration says which programs are executed and where passwords are sent, so nobody else
 * may write it, as sshd(8) has it for its files.  Returns false with a problem. */
static bool check_writers(struct place at, const struct stat *st, struct problems *problems)
{
	bool is_closed = (st->st_mode & (S_IWGRP | S_IWOTH)) == 0;
	if (!is_ours(st->st_uid))
		problems_add(problems, at,
			"its owner, uid %u, is neither root nor the user of this process, and may "
			"change it; run chown %u %s",
			st->st_uid, geteuid(), at.file);
	else if (!is_closed)
		problems_add(problems, at,
			"others may change it (its mode is %04o); run chmod go-w %s",
			st->st_mode & 07777, at.file);
	else
		return !S_ISREG(st->st_mode) || check_way(at, problems);
	return false;
}

/* What to do about a file that cannot be read, for the reason of errno; to be freed. */
static char *remedy_for(int reason, const char *path)
{
	if (reason != EACCES)
		return text_copy("");
	return text_format("; the user that runs signalbus must be able to read it: chgrp "
			   "signalbus %s && chmod 640 %s",
		path, path);
}

static void add_unreadable(struct place at, int reason, struct problems *problems)
{
	static const char example[] =
		"; an example is installed as " DOCDIR "/signalbus.conf.example";
	char *remedy = reason == ENOENT ? text_copy(example) : remedy_for(reason, at.file);
	problems_add(problems, at, "cannot read the configuration: %s%s", strerror(reason), remedy);
	free(remedy);
}

/* A descriptor of a file that may be used; -1 with a problem.  A pipe that nobody writes to, or a
 * device, must not block. */
static int open_file(struct place at, enum file_kind kind, struct problems *problems)
{
	struct stat st = { 0 };
	int fd = open(at.file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, &st) != 0)
		add_unreadable(at, errno, problems);
	else if (S_ISDIR(st.st_mode))
		add_unreadable(at, EISDIR, problems);
	else if (!S_ISREG(st.st_mode) && !(S_ISFIFO(st.st_mode) && kind == FILE_MAIN))
		problems_add(problems, at, "is no regular file");
	else if (check_writers(at, &st, problems))
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

/* As read(), with a time limit for who writes to a pipe. */
static ssize_t read_some(int fd, char *buffer, size_t size)
{
	struct pollfd readable = { .fd = fd, .events = POLLIN };
	int ready = poll(&readable, 1, PIPE_WAIT_MS);
	if (ready > 0)
		return read(fd, buffer, size);
	errno = ready == 0 ? ETIMEDOUT : errno;
	return -1;
}

static bool check_content(const char *path, const struct text *content, struct problems *problems)
{
	const struct place start = { path, 1 };
	if (content->length > FILE_MAX_BYTES)
		problems_add(problems, start, "the configuration is larger than 16 MiB");
	else if (strlen(content->text) != content->length)
		problems_add(problems, start, "the configuration is not text: it has NUL bytes");
	else
		return true;
	return false;
}

char *file_read(const char *path, enum file_kind kind, struct problems *problems)
{
	struct text content = { 0 };
	char buffer[65536];
	ssize_t got;
	const struct place file = { path, 0 };
	int fd = open_file(file, kind, problems);
	if (fd < 0)
		return NULL;
	while ((got = read_some(fd, buffer, sizeof buffer)) > 0 && content.length <= FILE_MAX_BYTES)
		text_add(&content, buffer, (size_t)got);
	int reason = errno;
	close(fd);
	explicit_bzero(buffer, sizeof buffer); /* it may have passwords */
	/* libconfig requires a line feed after a comment. */
	bool is_ended = content.length == 0 || content.text[content.length - 1] == '\n';
	text_add(&content, "\n", is_ended ? 0 : 1);
	if (got < 0)
		add_unreadable(file, reason, problems);
	else if (check_content(path, &content, problems))
		return content.text;
	text_free(&content);
	return NULL;
}

/* Take the name in a line that includes a file, as libconfig 1.5 forms it: a backslash is left out,
 * and the character after it taken as it is.  Returns the end of the name in the line; NULL if the
 * line includes none. */
static const char *take_name(const char *line, struct text *name)
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
	for (line++; *line != '"' && *line != '\n' && *line != '\0'; line++) {
		if (*line == '\\' && line[1] != '\n' && line[1] != '\0')
			line++;
		text_add(name, line, 1);
	}
	return line;
}

char *file_included(const char *line, const char *folder)
{
	struct text path = { 0 };
	text_addf(&path, "%s/", folder);
	if (take_name(line, &path) != NULL)
		return path.text;
	text_free(&path);
	return NULL;
}

static bool check_includes(struct place at, const char *content, const char *folder, unsigned depth,
	struct problems *problems);

/* libconfig reads an included file itself, and a byte order mark is a syntax error to it. */
static bool check_included(
	const char *path, const char *folder, unsigned depth, struct problems *problems)
{
	char *content = file_read(path, FILE_INCLUDED, problems);
	if (content == NULL)
		return true;
	if (value_mark_length(content) > 0)
		problems_add(problems, (struct place){ path, 1 },
			"an included file must not begin with a byte order mark; save it as UTF-8 "
			"without a byte order mark");
	const struct place start = { path, 1 };
	bool go_on = check_includes(start, content, folder, depth, problems);
	free(content);
	return go_on;
}

/* libconfig takes what follows for a part of the name, also line feeds, and before 1.7 it does not
 * note where single elements of a list are from, so that file_check_sources() misses them. */
static void check_name_end(struct place at, const char *line, struct problems *problems)
{
	struct text name = { 0 };
	const char *end = take_name(line, &name);
	text_free(&name);
	if (end != NULL && *end != '"')
		problems_add(
			problems, at, "the name after @include has no closing quote in its line");
}

/* libconfig's scanner terminates the process if an included file cannot be read, such as a
 * directory (flex's YY_FATAL_ERROR), so that is detected first.  libconfig itself reports files
 * that cannot be opened.  Returns false if files are nested too deep to read on. */
static bool check_includes(struct place at, const char *content, const char *folder, unsigned depth,
	struct problems *problems)
{
	bool go_on = true;
	for (const char *line = content; go_on && line != NULL; at.line++) {
		char *path = file_included(line, folder);
		check_name_end(at, line, problems);
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

void file_check_includes(
	const char *file, const char *content, const char *folder, struct problems *problems)
{
	check_includes((struct place){ file, 1 }, content, folder, 0, problems);
}

/* Before 1.7, libconfig notes the name of a file as it is written, without its folder. */
static bool check_source_file(const config_t *tree, const char *name, struct problems *problems)
{
	bool is_path = LIBCONFIG_VER_MAJOR > 1 || LIBCONFIG_VER_MINOR >= 7;
	char *path = is_path ? text_copy(name)
			     : text_format("%s/%s", config_get_include_dir(tree), name);
	int fd = open_file((struct place){ path, 0 }, FILE_INCLUDED, problems);
	if (fd >= 0)
		close(fd);
	free(path);
	return fd >= 0;
}

/* A setting, and those in it; parent: the file around it, which has been checked. */
static bool check_source(const config_setting_t *s, const char *parent, struct problems *problems)
{
	const char *file = config_setting_source_file(s);
	int count = config_setting_is_aggregate(s) ? config_setting_length(s) : 0;
	bool ok = file == NULL || file == parent || check_source_file(s->config, file, problems);
	for (int i = 0; ok && i < count; i++)
		ok = check_source(config_setting_get_elem(s, (unsigned)i), file, problems);
	return ok;
}

bool file_check_sources(const config_t *tree, struct problems *problems)
{
	return check_source(config_root_setting(tree), NULL, problems);
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
	char *remedy = remedy_for(reason, path);
	if (reason != 0)
		problems_add(
			problems, at, "cannot include %s: %s%s", path, strerror(reason), remedy);
	free(remedy);
	free(path);
	return reason != 0;
}
