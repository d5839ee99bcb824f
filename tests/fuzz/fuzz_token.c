/*
 * Drives what a file or a program of a secret has through the readers of secrets and of OAUTHBEARER
 * tokens.  What is not accepted leaves no part of it in the error: each '$' of the input stands for
 * a word that is looked for there.
 */
#include "base/secret.h"
#include "base/text.h"
#include "kafka/oauth_token.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_NAME "token"
#define WORD      "s3cr3tw0rd"
#define NOW_MS    INT64_C(1700000000000)
#define YEAR_MS   (INT64_C(366) * 86400000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool condition)
{
	if (!condition)
		abort();
}

static void write_file(const uint8_t *data, size_t size)
{
	FILE *file = fopen(FILE_NAME, "w");
	check(file != NULL);
	for (size_t i = 0; i < size; i++)
		if (data[i] == '$')
			fputs(WORD, file);
		else
			fputc(data[i], file);
	check(fclose(file) == 0);
}

static void check_error(const struct error *e)
{
	check(e->kind == ERROR_CONNECTION && e->text[0] != '\0');
	check(strstr(e->text, WORD) == NULL);
}

static void check_token(const struct oauth_token *t)
{
	check(t->value[0] != '\0' && t->principal[0] != '\0');
	for (const char *p = t->value; *p != '\0'; p++)
		check(*p > ' ' && *p < '\x7f');
	for (size_t i = 0; i < t->extension_count; i++)
		check(t->extensions[i] != NULL && strpbrk(t->extensions[i], "\x01\n") == NULL);
	check(t->extension_count % 2 == 0);
	check(t->expires_ms >= NOW_MS && t->expires_ms <= NOW_MS + YEAR_MS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct secret s = { .setting = "kafka.oauthbearer_token", .file = FILE_NAME };
	struct oauth_token t;
	struct error e = { 0 };
	char *value = NULL;
	write_file(data, size);
	if (!secret_read(&s, INSTANT_NEVER, &value, &e)) {
		check_error(&e);
		return 0;
	}
	if (oauth_token_parse(value, NOW_MS, &t, &e))
		check_token(&t);
	else
		check_error(&e);
	oauth_token_free(&t);
	secret_free(value);
	return 0;
}
