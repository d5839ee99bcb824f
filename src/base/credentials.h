/*
 * credentials - the secrets that a server is logged in to with, and whether it has refused them.
 *
 * They are read again for each login, so that a new password or token takes effect without a
 * reload. All sessions of the process share them, so that:
 *
 *   - programs run one at a time: who wants the credentials while they are read shares the result;
 *   - what the server has refused is read again at once, and then after waits that double from 0.1
 *     to 10 seconds;
 *   - what it has refused is used again, as long as it is the same, after waits that double from 1
 *     to 15 seconds, whatever the number of sessions: there are servers that lock an account after
 *     some logins that failed.  What a program prints often differs each time, and counts as the
 *     same, except for the first time.
 *
 * Any thread; reading blocks, until a deadline.
 */
#ifndef SIGNALBUS_CREDENTIALS_H
#define SIGNALBUS_CREDENTIALS_H

#include "base/secret.h"

#include <stdint.h>

struct credentials;

struct credentials *credentials_new(void);
void credentials_free(struct credentials *c);

/* Add a secret, before other threads use them; its texts are borrowed.  Returns its number. */
size_t credentials_add(struct credentials *c, const struct secret *s);
struct place credentials_place(const struct credentials *c, size_t number);

/* What identifies values after they are wiped. */
struct credentials_print {
	uint64_t hash;        /* equal if all values are, and almost never otherwise */
	struct instant begun; /* when it was begun to read them */
};

/* One value for each secret, in their order. */
struct credentials_values {
	char **values;
	size_t count;
	struct credentials_print print;
};

/* Read them: v is to be freed.  Programs may run for limit seconds in all.
 *
 * Returns false with e if that fails, with the place of the setting ("FILE:LINE: SETTING: why"), or
 * if the server has refused them, with the error that was given for that. */
bool credentials_read(
	struct credentials *c, double limit, struct credentials_values *v, struct error *e);

/* Wipe and free. */
void credentials_values_free(struct credentials_values *v);

/* The server has refused these, for this reason; or it has accepted some. */
void credentials_refused(
	struct credentials *c, const struct credentials_print *used, const struct error *why);
void credentials_accepted(struct credentials *c);

#endif
