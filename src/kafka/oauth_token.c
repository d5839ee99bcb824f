#include "kafka/oauth_token.h"

#include "base/secret.h"
#include "base/text.h"

#include <cJSON.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define UNKNOWN_LIFE_S 300.0
#define LIFE_MAX_S     (366 * 86400.0)
#define MILLISECONDS   1e11 /* from here on a time since 1970 is not in seconds */

void oauth_token_free(struct oauth_token *t)
{
	secret_free(t->value);
	free(t->principal);
	*t = (struct oauth_token){ 0 };
}

static const cJSON *member_of(const cJSON *object, const char *const *names)
{
	const cJSON *found = NULL;
	for (; found == NULL && *names != NULL; names++)
		found = cJSON_GetObjectItemCaseSensitive(object, *names);
	return found;
}

/* A number, or a text that is one; NAN if it is neither. */
static double number_of(const cJSON *item)
{
	char *end;
	if (cJSON_IsNumber(item))
		return item->valuedouble;
	if (!cJSON_IsString(item))
		return NAN;
	double number = strtod(item->valuestring, &end);
	return end > item->valuestring && *end == '\0' ? number : NAN;
}

/* The seconds from now_ms on in which an object says that its token is valid; NAN: it does not. */
static double life_in(const cJSON *object, int64_t now_ms)
{
	static const char *const spans[] = { "expires_in", NULL };
	static const char *const times[] = { "expires_at", "expires_on", "expiration", "exp",
		NULL };
	double span = number_of(member_of(object, spans));
	double time = number_of(member_of(object, times));
	if (!isnan(span) || isnan(time))
		return span;
	return (time >= MILLISECONDS ? time / 1000 : time) - (double)now_ms / 1000;
}

static int digit_of(char c)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	const char *found = c != '\0' ? strchr(digits, c) : NULL;
	return found != NULL ? (int)(found - digits) : -1;
}

/* Decode base64url (RFC 4648, section 5), to be freed; NULL if it is something else. */
static char *decode(const char *text, size_t length)
{
	char *bytes = memory_new(length + 1, 1), *end = bytes;
	unsigned bits = 0;
	for (size_t i = 0; i < length; i++) {
		int digit = digit_of(text[i]);
		if (digit < 0) {
			free(bytes);
			return NULL;
		}
		bits = bits << 6 | (unsigned)digit;
		if (i % 4 != 0)
			*end++ = (char)(bits >> (6 - i % 4 * 2) & 0xff);
	}
	return bytes;
}

/* The claims of a JWT, to be deleted; NULL if it is none. */
static cJSON *claims_of(const char *token)
{
	const char *start = strchr(token, '.');
	const char *end = start != NULL ? strchr(start + 1, '.') : NULL;
	char *text = end != NULL ? decode(start + 1, (size_t)(end - start - 1)) : NULL;
	cJSON *claims = text != NULL ? cJSON_Parse(text) : NULL;
	free(text);
	return claims;
}

static bool is_token(const char *value)
{
	const char *p = value;
	while (*p > ' ' && *p < '\x7f')
		p++;
	return p > value && *p == '\0';
}

/* Set the principal and the expiry of a token whose life is known, or not (NAN). */
static bool set_life(struct oauth_token *t, double life, int64_t now_ms, struct error *e)
{
	cJSON *claims = claims_of(t->value);
	const cJSON *sub = cJSON_GetObjectItemCaseSensitive(claims, "sub");
	bool has_sub = cJSON_IsString(sub) && sub->valuestring[0] != '\0';
	t->principal = text_copy(has_sub ? sub->valuestring : "signalbus");
	if (isnan(life))
		life = life_in(claims, now_ms);
	cJSON_Delete(claims);
	if (isnan(life))
		life = UNKNOWN_LIFE_S;
	life = fmax(fmin(life, LIFE_MAX_S), -LIFE_MAX_S);
	t->expires_ms = now_ms + (int64_t)(life * 1000);
	return life > 0 ||
	       error_set(e, ERROR_CONNECTION, "the token has expired, %.0f s ago", fabs(life));
}

/* The token in a JSON object, to be freed, and its life; NULL if there is none. */
static char *from_object(const char *text, int64_t now_ms, double *life)
{
	static const char *const names[] = { "token", "access_token", "accessToken", NULL };
	cJSON *object = cJSON_Parse(text);
	const cJSON *item = member_of(object, names);
	char *value = NULL;
	if (cJSON_IsString(item)) {
		value = text_copy(item->valuestring);
		explicit_bzero(item->valuestring, strlen(item->valuestring));
	}
	*life = life_in(object, now_ms);
	cJSON_Delete(object);
	return value;
}

bool oauth_token_parse(const char *text, int64_t now_ms, struct oauth_token *t, struct error *e)
{
	double life = NAN;
	*t = (struct oauth_token){ 0 };
	text += strspn(text, " \t\r\n");
	bool is_object = text[0] == '{';
	t->value = is_object ? from_object(text, now_ms, &life)
			     : text_copy_bytes(text, strcspn(text, " \t\r\n"));
	const char *rest = text + strcspn(text, " \t\r\n");
	bool ok = t->value != NULL && is_token(t->value) &&
		  (is_object || rest[strspn(rest, " \t\r\n")] == '\0');
	if (!ok)
		error_set(e, ERROR_CONNECTION,
			is_object ? "there is no \"token\" or \"access_token\" in the JSON object"
				  : "it is no token: there are spaces or other characters in it");
	ok = ok && set_life(t, life, now_ms, e);
	if (!ok)
		oauth_token_free(t);
	return ok;
}
