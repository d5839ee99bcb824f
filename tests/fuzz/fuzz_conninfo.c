/*
 * Drives the check of a connection string, and what is said of its exposure, with arbitrary text
 * around a password: no part of that may be in what they say.
 */
#include "base/text.h"
#include "postgres/db.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define WORD "s3cr3tw0rd"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool condition)
{
	if (!condition)
		abort();
}

/* The input, up to its first '$' and after it, around a password. */
static char *make_conninfo(const char *form, const char *input)
{
	size_t head = strcspn(input, "$");
	const char *tail = input[head] == '$' ? input + head + 1 : "";
	struct text t = { 0 };
	text_add(&t, "", 0);
	if (strstr(form, "://") == NULL)
		text_add(&t, input, head);
	/* After an "@", it is a part of the password only before another one. */
	text_addf(&t, "%s" WORD "%s%s", form, strchr(form, '@') != NULL ? "@" : "", tail);
	return t.text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const forms[] = { " password=", " password='a ", " password = b\\ ",
		"postgresql://u:", "postgres://u:a@", "postgresql://h/d?password=" };
	struct error e = { 0 };
	if (size == 0)
		return 0;
	char *input = text_copy_bytes((const char *)data + 1, size - 1);
	char *conninfo = make_conninfo(forms[data[0] % (sizeof forms / sizeof forms[0])], input);
	bool has_own = strstr(input, WORD) != NULL; /* anywhere */
	if (db_check(conninfo, &e)) {
		char *exposure = db_exposure(conninfo);
		check(exposure == NULL || has_own || strstr(exposure, WORD) == NULL);
		free(exposure);
	} else {
		check(e.kind == ERROR_CONFIG && strncmp(e.text, "database: ", 10) == 0);
		check(has_own || strstr(e.text, WORD) == NULL);
	}
	free(conninfo);
	free(input);
	return 0;
}
