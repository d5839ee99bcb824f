/*
 * Drives the check of a connection string, and what is said of its exposure, with arbitrary text
 * around a password: what they say has no part of that, so it is the same with another password.
 * (To look for the password in it would not do: libpq removes backslashes and decodes "%73", and then
 * it may be in the rest of the input.)
 */
#include "base/text.h"
#include "postgres/db.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Of the same length; no character has the same place in both. */
static const char *const passwords[] = { "s3cr3tw0rd", "0pen5e4ame" };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool condition)
{
	if (!condition)
		abort();
}

/* The input, up to its first '$' and after it, around the password. */
static char *make_conninfo(const char *form, const char *input, const char *password)
{
	size_t head = strcspn(input, "$");
	const char *tail = input[head] == '$' ? input + head + 1 : "";
	struct text t = { 0 };
	text_add(&t, "", 0);
	if (strstr(form, "://") == NULL)
		text_add(&t, input, head);
	/* After an "@", it is a part of the password only before another one. */
	text_addf(&t, "%s%s%s%s", form, password, strchr(form, '@') != NULL ? "@" : "", tail);
	return t.text;
}

/* What is said of a connection string, to be freed. */
static char *say(const char *conninfo)
{
	struct error e = { 0 };
	if (!db_check(conninfo, &e)) {
		check(e.kind == ERROR_CONFIG && strncmp(e.text, "database: ", 10) == 0);
		return text_copy(e.text);
	}
	char *exposure = db_exposure(conninfo);
	return exposure != NULL ? exposure : text_copy("");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const forms[] = { " password=", " password='a ", " password = b\\ ",
		"postgresql://u:", "postgres://u:a@", "postgresql://h/d?password=" };
	char *said[2];
	if (size == 0)
		return 0;
	const char *form = forms[data[0] % (sizeof forms / sizeof forms[0])];
	char *input = text_copy_bytes((const char *)data + 1, size - 1);
	for (int i = 0; i < 2; i++) {
		char *conninfo = make_conninfo(form, input, passwords[i]);
		said[i] = say(conninfo);
		free(conninfo);
	}
	check(strcmp(said[0], said[1]) == 0);
	free(said[0]);
	free(said[1]);
	free(input);
	return 0;
}
