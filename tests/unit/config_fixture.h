/*
 * config_fixture - configuration files in a folder of the test's own, and what became of them.
 */
#ifndef SIGNALBUS_TEST_CONFIG_FIXTURE_H
#define SIGNALBUS_TEST_CONFIG_FIXTURE_H

#include "base/text.h"
#include "config/config.h"

#include "suite.h"

#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A file that is right, in parts. */
#define KAFKA  "kafka = { bootstrap_servers = \"b:1\"; };\n"
#define MODELS "models = ( { name = \"A\"; table = \"a\"; } );\n"
#define MARK   "\xEF\xBB\xBF"
#define MODEL  "models = ( { name = \"A\"; table = \"a\";\n"

struct fixture {
	char folder[32];
	char *file; /* the configuration: bus.conf in it */
	struct config *config;
	struct problems problems;
};

static inline char *fixture_path(const struct fixture *f, const char *name)
{
	return text_format("%s/%s", f->folder, name);
}

static inline void fixture_write_bytes(
	const struct fixture *f, const char *name, const char *bytes, size_t length)
{
	char *path = fixture_path(f, name);
	FILE *file = fopen(path, "w");
	if (file == NULL)
		ck_abort_msg("cannot write %s", path);
	ck_assert_uint_eq(fwrite(bytes, 1, length, file), length);
	ck_assert_int_eq(fclose(file), 0);
	free(path);
}

static inline void fixture_write(const struct fixture *f, const char *name, const char *content)
{
	fixture_write_bytes(f, name, content, strlen(content));
}

static inline void fixture_init(struct fixture *f)
{
	*f = (struct fixture){ .folder = "/tmp/test_config.XXXXXX" };
	ck_assert_ptr_nonnull(mkdtemp(f->folder));
	f->file = fixture_path(f, "bus.conf");
}

static inline int fixture_remove(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st, (void)kind, (void)at;
	return remove(path);
}

static inline void fixture_free(struct fixture *f)
{
	ck_assert_int_eq(nftw(f->folder, fixture_remove, 8, FTW_DEPTH | FTW_PHYS), 0);
	config_free(f->config);
	problems_free(&f->problems);
	free(f->file);
}

/* A config_property_check that knows all but "wrong…", and "under_…" under this name only; it takes
 * them where they are not "never". */
static inline enum property_answer check_property(const struct property *p, struct error *e)
{
	if (strncmp(p->name, "wrong", 5) == 0 || strncmp(p->name, "under.", 6) == 0) {
		error_set(e, ERROR_CONFIG, "no such property: \"%s\" = \"%s\"", p->name, p->value);
		return PROPERTY_UNKNOWN;
	}
	error_set(e, ERROR_CONFIG, "\"%s\" may not be never", p->name);
	return strcmp(p->value, "never") == 0 ? PROPERTY_REFUSED : PROPERTY_TAKEN;
}

/* A config_database_check that takes all but "wrong". */
static inline bool check_database(const char *conninfo, struct error *e)
{
	return strcmp(conninfo, "wrong") != 0 ||
	       error_set(e, ERROR_CONFIG, "database: it is \"%s\"", conninfo);
}

static const struct config_checks checks = { check_property, check_database, false };

static inline void fixture_load(struct fixture *f)
{
	f->config = config_load(f->file, &checks, &f->problems);
	ck_assert_int_eq(f->config == NULL, f->problems.count > 0);
}

/* All problems, a line each, with the folder's name cut off the beginning. */
static inline char *fixture_problems(const struct fixture *f)
{
	struct text t = { 0 };
	char prefix[sizeof f->folder + 1];
	int length = snprintf(prefix, sizeof prefix, "%s/", f->folder);
	text_add(&t, "", 0);
	for (size_t i = 0; i < f->problems.count; i++) {
		const char *line = f->problems.lines[i];
		if (strncmp(line, prefix, (size_t)length) == 0)
			line += length;
		text_addf(&t, "%s\n", line);
	}
	return t.text;
}

/* Load content, and expect these problems. */
static inline void fixture_expect(struct fixture *f, const char *content, const char *expected)
{
	fixture_write(f, "bus.conf", content);
	fixture_load(f);
	char *problems = fixture_problems(f);
	ck_assert_str_eq(problems, expected);
	free(problems);
}

#endif
