#include "base/secret.h"

#include "base/program.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MARK "\xEF\xBB\xBF" /* the byte order mark that some editors put before UTF-8 */

void secret_free(char *value)
{
	if (value != NULL)
		explicit_bzero(value, strlen(value));
	free(value);
}

/* Read all of an open file.  Returns NULL, or why that is not possible. */
static const char *read_all(int fd, struct program_output *o)
{
	struct stat st;
	ssize_t n = 0;
	if (fstat(fd, &st) != 0)
		return strerror(errno);
	if (S_ISDIR(st.st_mode))
		return strerror(EISDIR);
	if (!S_ISREG(st.st_mode)) /* it is read again and again, and must not block */
		return "not a regular file";
	while (o->length < o->size && (n = read(fd, o->bytes + o->length, o->size - o->length)) > 0)
		o->length += (size_t)n;
	return n < 0 ? strerror(errno) : o->length == o->size ? "too long" : NULL;
}

static bool read_file(const char *path, struct program_output *o, struct error *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	const char *why = fd < 0 ? strerror(errno) : read_all(fd, o);
	if (fd >= 0)
		close(fd);
	return why == NULL || error_set(e, ERROR_CONNECTION, "cannot read %s: %s", path, why);
}

/* The value in what was read: without line feeds at its end, and a byte order mark. */
static bool take(const char *buffer, size_t length, char **value, struct error *e)
{
	if (memchr(buffer, '\0', length) != NULL)
		return error_set(e, ERROR_CONNECTION, "it is not text: it has a NUL byte");
	while (length > 0 && (buffer[length - 1] == '\n' || buffer[length - 1] == '\r'))
		length--;
	size_t mark = length >= strlen(MARK) && memcmp(buffer, MARK, strlen(MARK)) == 0
			      ? strlen(MARK)
			      : 0;
	*value = text_copy_bytes(buffer + mark, length - mark);
	return true;
}

static bool read_variable(const char *name, char **value, struct error *e)
{
	const char *found = getenv(name);
	if (found == NULL)
		return error_set(e, ERROR_CONNECTION, "environment variable %s is not set", name);
	*value = text_copy(found);
	return true;
}

static bool read_outside(
	const struct secret *s, struct instant deadline, char **value, struct error *e)
{
	struct program_output o = { .bytes = memory_new(1, SECRET_SIZE), .size = SECRET_SIZE };
	bool ok = s->file != NULL ? read_file(s->file, &o, e)
				  : program_run(s->command, &o, deadline, e);
	ok = ok && take(o.bytes, o.length, value, e);
	if (ok && s->command != NULL && (*value)[0] == '\0') {
		secret_free(*value);
		ok = error_set(e, ERROR_CONNECTION, "%s printed nothing", s->command[0]);
	}
	explicit_bzero(o.bytes, SECRET_SIZE);
	free(o.bytes);
	return ok;
}

bool secret_read(const struct secret *s, struct instant deadline, char **value, struct error *e)
{
	if (s->text != NULL) {
		*value = text_copy(s->text);
		return true;
	}
	bool ok = s->env != NULL ? read_variable(s->env, value, e)
				 : read_outside(s, deadline, value, e);
	if (!ok)
		error_prefix(e, "%s", s->setting);
	return ok;
}

bool secret_check(const struct secret *s, struct error *e)
{
	char *value = NULL;
	if (s->command != NULL)
		return program_exists(s->command[0], e) || error_prefix(e, "%s", s->setting);
	if (!secret_read(s, INSTANT_NEVER, &value, e))
		return false;
	secret_free(value);
	return true;
}
