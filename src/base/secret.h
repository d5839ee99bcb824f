/*
 * secret - where a password, a key or a token comes from: the configuration itself, a file, an
 * environment variable, or what a program prints.
 *
 * Any thread.  Values are wiped when they are freed; copies that libpq and librdkafka keep are not
 * ours to wipe.
 */
#ifndef SIGNALBUS_SECRET_H
#define SIGNALBUS_SECRET_H

#include "base/clock.h"
#include "base/error.h"
#include "base/problems.h"

#include <stdbool.h>
#include <stddef.h>

/* The maximum length of a value, with its NUL. */
enum { SECRET_SIZE = 65536 };

struct secret {
	const char *setting; /* "kafka.sasl_password" */
	struct place place;
	/* One of these, all borrowed: */
	const char *text;
	const char *file;
	const char *env;
	const char *const *command; /* a program and its arguments, and NULL */
};

/* Read it: *value is to be freed with secret_free().  Line feeds at the end of what a file contains
 * or a program prints are not part of it, nor is a byte order mark.  A program may run until
 * deadline (program.h).
 *
 * Returns false with e, "SETTING: why", which never has any part of a value; ERROR_STOPPED if a
 * program was ended because this process is asked to stop, else ERROR_CONNECTION. */
bool secret_read(const struct secret *s, struct instant deadline, char **value, struct error *e);

/* What can be found out without running a program: read the secret, or look for the program. */
bool secret_check(const struct secret *s, struct error *e);

/* Wipe and free a value; NULL is fine. */
void secret_free(char *value);

#endif
