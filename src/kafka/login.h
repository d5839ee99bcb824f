/*
 * login - the credentials of one librdkafka handle: properties that are secrets, and tokens for
 * SASL OAUTHBEARER.  Private to this folder, with which it shares librdkafka.
 *
 * Tokens are read in a thread that librdkafka has for each handle with them, when they have lived
 * for 80 percent of their time, whether or not the handle is used; everything else is called by who
 * has the handle.
 */
#ifndef SIGNALBUS_LOGIN_H
#define SIGNALBUS_LOGIN_H

#include "base/outage.h"
#include "config/config.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct rd_kafka_s; /* rd_kafka_t and rd_kafka_conf_t */
struct rd_kafka_conf_s;

struct login {
	const struct config *config;
	struct credentials_print secrets; /* that the handle was given, … */
	_Atomic uint64_t token;           /* … and the token, … */
	_Atomic int64_t token_begun_ns;   /* … which was read then */
	uint64_t files, files_seen;       /* certificates and keys: when it was made, and last */
	bool is_refused;                  /* by the broker, or there is none: see login_renew() */
	bool reports;                     /* set by the owner: log that tokens are not renewed */
	/* Of the thread for tokens: */
	atomic_bool has_token;
	struct outage without; /* no other one was found, as logged */
};

/* Read the secrets, waiting for programs (limit_secret()), and set the properties.  Returns false
 * with e if that is not possible now: ERROR_CONNECTION. */
bool login_configure(struct login *l, const struct config *config, struct rd_kafka_conf_s *conf,
	struct error *e);

/* Begin with tokens, if there are any, on a new handle. */
void login_begin(const struct login *l, struct rd_kafka_s *handle);

/* Get a token: what librdkafka's refresh callback is to call. */
void login_refresh(struct login *l, struct rd_kafka_s *handle);

/* Note librdkafka's report of an error, which may be that the broker refuses the credentials.
 * Returns it, or what is essential of it. */
const char *login_note(struct login *l, int code, const char *reason);

/* Whether files of certificates or keys were replaced since the handle was made, which only another
 * handle reads; only from the second call on after that, so that all are in place. */
bool login_is_outdated(struct login *l);

/* After is_refused, which is reset: read the credentials again, and give them to the handle for its
 * next connection.  Returns false if they are the same, or if only another handle can have the
 * others. */
bool login_renew(struct login *l, struct rd_kafka_s *handle);

#endif
