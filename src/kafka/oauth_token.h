/*
 * oauth_token - a token for SASL OAUTHBEARER, from the text that a file or a program has.  Pure.
 */
#ifndef SIGNALBUS_OAUTH_TOKEN_H
#define SIGNALBUS_OAUTH_TOKEN_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct oauth_token {
	char *value;
	char *principal;        /* "sub" of a JWT, or "signalbus": for librdkafka's messages only */
	int64_t expires_ms;     /* since 1970 */
	char **extensions;      /* of SASL: names and values in turn, as librdkafka takes them */
	size_t extension_count; /* of both */
};

/* Take a token from text: the token itself, or a JSON object with
 *
 *   token, access_token or accessToken
 *   expires_in (seconds), or expires_at, expires_on or expiration (Unix time, in seconds or
 *   milliseconds)
 *   extensions: an object of texts, which are sent to the broker with the token
 *
 * No member may be there twice, and no other text after the object.  Without such a time, "exp" of
 * a JWT tells it, whose signature is not verified; any other token is taken to be valid for five
 * minutes.  t is to be freed.  Returns false with e (ERROR_CONNECTION), which has no part of the
 * text, if there is no token, or it has expired by now_ms. */
bool oauth_token_parse(const char *text, int64_t now_ms, struct oauth_token *t, struct error *e);

/* Wipe and free. */
void oauth_token_free(struct oauth_token *t);

#endif
