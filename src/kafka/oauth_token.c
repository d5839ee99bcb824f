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
#define SPACES         " \t\r\n"
#define LETTERS        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define MILLISECONDS   1e11 /* from here on a time since 1970 is not in seconds */
#define NUMBER_LIMIT   1e15 /* after the year 9999, also in milliseconds */

void oauth_token_free(struct oauth_token *t)
{
	secret_free(t->value);
	free(t->principal);
	for (size_t i = 0; i < t->extension_count; i++)
		free(t->extensions[i]);
	free(t->extensions);
	*t = (struct oauth_token){ 0 };
}

static const cJSON *member_of(const cJSON *object, const char *const *names)
{
	const cJSON *found = NULL;
	for (; found == NULL && *names != NULL; names++)
		found = cJSON_GetObjectItemCaseSensitive(object, *names);
	return found;
}

static bool has_name_twice(const cJSON *object)
{
	const cJSON *a, *b;
	for (a = object->child; a != NULL; a = a->next)
		for (b = a->next; b != NULL; b = b->next)
			if (strcmp(a->string, b->string) == 0)
				return true;
	return false;
}

/* A number, or a text that is one.  NAN: there is none; INFINITY: it is something else, or too
 * large. */
static double number_of(const cJSON *item)
{
	double number = INFINITY;
	if (item == NULL || cJSON_IsNull(item))
		return NAN;
	if (cJSON_IsNumber(item))
		number = item->valuedouble;
	else if (cJSON_IsString(item) && item->valuestring[0] != '\0' &&
		 item->valuestring[strspn(item->valuestring, "0123456789")] == '\0')
		number = strtod(item->valuestring, NULL);
	return fabs(number) < NUMBER_LIMIT ? number : INFINITY;
}

/* The seconds from now_ms on in which an object says that its token is valid.  NAN: it does not;
 * INFINITY: it says something else than a number. */
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
	static const char digits[] = LETTERS "0123456789-_";
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

/* RFC 6750, section 2.1, as Kafka has it. */
static bool is_token(const char *value)
{
	size_t length = strspn(value, LETTERS "0123456789-._~+/");
	return length > 0 && value[length + strspn(value + length, "=")] == '\0';
}

static bool is_printable(const char *text)
{
	while (*text >= ' ' && *text <= '~')
		text++;
	return *text == '\0';
}

/* RFC 7628, section 3.1: a name has letters only, and "auth" is the token itself. */
static bool is_extension(const cJSON *item)
{
	const char *name = item->string;
	return name[0] != '\0' && name[strspn(name, LETTERS)] == '\0' &&
	       strcmp(name, "auth") != 0 && cJSON_IsString(item) && is_printable(item->valuestring);
}

/* Names and values in turn, as librdkafka takes them.  Returns false if it is no such object. */
static bool take_extensions(struct oauth_token *t, const cJSON *object)
{
	const cJSON *item;
	if (object == NULL)
		return true;
	if (!cJSON_IsObject(object) || has_name_twice(object))
		return false;
	t->extensions =
		memory_new(2 * (size_t)cJSON_GetArraySize(object) + 1, sizeof *t->extensions);
	for (item = object->child; item != NULL; item = item->next) {
		if (!is_extension(item))
			return false;
		t->extensions[t->extension_count++] = text_copy(item->string);
		t->extensions[t->extension_count++] = text_copy(item->valuestring);
	}
	return true;
}

/* Set the principal and the expiry of a token whose life is known, or not (as of life_in()). */
static bool set_life(struct oauth_token *t, double life, int64_t now_ms, struct error *e)
{
	cJSON *claims = claims_of(t->value);
	const cJSON *sub = cJSON_GetObjectItemCaseSensitive(claims, "sub");
	bool has_sub = cJSON_IsString(sub) && sub->valuestring[0] != '\0';
	t->principal = text_copy(has_sub ? sub->valuestring : "signalbus");
	if (isnan(life))
		life = life_in(claims, now_ms);
	cJSON_Delete(claims);
	if (isinf(life))
		return error_set(e, ERROR_CONNECTION,
			"the time when the token expires is not a number of seconds or "
			"milliseconds");
	if (isnan(life))
		life = UNKNOWN_LIFE_S;
	life = fmax(fmin(life, LIFE_MAX_S), -LIFE_MAX_S);
	t->expires_ms = now_ms + (int64_t)(life * 1000);
	return life > 0 ||
	       error_set(e, ERROR_CONNECTION, "the token has expired, %.0f s ago", fabs(life));
}

/* Parse an object, to be deleted; NULL with e.  cJSON would end a text at the first NUL in it. */
static cJSON *parse_object(const char *text, struct error *e)
{
	cJSON *object = cJSON_ParseWithOpts(text, NULL, true);
	if (object == NULL || strstr(text, "\\u0000") != NULL)
		error_set(e, ERROR_CONNECTION,
			"it begins as a JSON object, but is none, or has other text after it");
	else if (has_name_twice(object))
		error_set(e, ERROR_CONNECTION, "the JSON object has two members of one name");
	else
		return object;
	cJSON_Delete(object);
	return NULL;
}

/* Take the token from a JSON object, and its life.  Returns false with e. */
static bool from_object(
	struct oauth_token *t, const char *text, int64_t now_ms, double *life, struct error *e)
{
	static const char *const names[] = { "token", "access_token", "accessToken", NULL };
	cJSON *object = parse_object(text, e);
	if (object == NULL)
		return false;
	const cJSON *item = member_of(object, names);
	if (cJSON_IsString(item)) {
		t->value = text_copy(item->valuestring);
		explicit_bzero(item->valuestring, strlen(item->valuestring));
	}
	*life = life_in(object, now_ms);
	bool fits = take_extensions(t, cJSON_GetObjectItemCaseSensitive(object, "extensions"));
	cJSON_Delete(object);
	if (t->value == NULL || !is_token(t->value))
		return error_set(e, ERROR_CONNECTION,
			"there is no \"token\" or \"access_token\" in the JSON object");
	return fits || error_set(e, ERROR_CONNECTION,
			       "\"extensions\" of the JSON object is no object with names of "
			       "letters and printable texts, each name once");
}

/* Take the token that is the whole text.  Returns false with e. */
static bool from_text(struct oauth_token *t, const char *text, struct error *e)
{
	size_t length = strcspn(text, SPACES);
	t->value = text_copy_bytes(text, length);
	return (is_token(t->value) && text[length + strspn(text + length, SPACES)] == '\0') ||
	       error_set(e, ERROR_CONNECTION,
		       "it is no token: there are spaces or other characters in it");
}

bool oauth_token_parse(const char *text, int64_t now_ms, struct oauth_token *t, struct error *e)
{
	double life = NAN;
	*t = (struct oauth_token){ 0 };
	text += strspn(text, SPACES);
	bool ok =
		(text[0] == '{' ? from_object(t, text, now_ms, &life, e) : from_text(t, text, e)) &&
		set_life(t, life, now_ms, e);
	if (!ok)
		oauth_token_free(t);
	return ok;
}
