#include "base/text.h"
#include "kafka/oauth_token.h"

#include "suite.h"

#include <string.h>

#define NOW_MS INT64_C(1700000000000)

/* {"alg":"none"} . {"sub":"relay","exp":1700000010} and others */
#define HEADER  "eyJhbGciOiJub25lIn0."
#define RELAY   HEADER "eyJzdWIiOiJyZWxheSIsImV4cCI6MTcwMDAwMDAxMH0."
#define NO_EXP  HEADER "eyJzdWIiOiJyZWxheSJ9.c2ln"
#define EXPIRED HEADER "eyJzdWIiOiJyZWxheSIsImV4cCI6MTY5OTk5OTk5NX0.c2ln"

static const struct {
	const char *text, *value, *principal;
	long long life_ms;
} good[] = {
	{ RELAY, RELAY, "relay", 10000 },
	{ "\n  " RELAY "\r\n\n", RELAY, "relay", 10000 },
	{ NO_EXP, NO_EXP, "relay", 300000 },
	{ "ya29.opaque", "ya29.opaque", "signalbus", 300000 },
	{ "a.b.c", "a.b.c", "signalbus", 300000 },
	{ HEADER "W10.x", HEADER "W10.x", "signalbus", 300000 },
	{ "{\"token\": \"" RELAY "\"}", RELAY, "relay", 10000 },
	{ "{\"access_token\": \"" RELAY "\", \"expires_in\": 7}", RELAY, "relay", 7000 },
	{ "{\"access_token\": \"x\", \"expires_in\": \"7\"}", "x", "signalbus", 7000 },
	{ "{\"accessToken\": \"x\", \"expires_on\": 1700000020}", "x", "signalbus", 20000 },
	{ "{\"token\": \"x\", \"expiration\": 1700000020500}", "x", "signalbus", 20500 },
	{ "{\"token\": \"x\", \"expires_at\": \"1700000020\"}", "x", "signalbus", 20000 },
	{ "{\"token\": \"x\", \"expires_in\": null}", "x", "signalbus", 300000 },
	{ "{\"token\": \"x\", \"expires_in\": 1e14}", "x", "signalbus", 31622400000 },
	{ "{\"token\": \"x\", \"expires_at\": 253402300799999}", "x", "signalbus", 31622400000 },
	{ "{\"token\": \"a-._~+/Z9==\"}\r\n ", "a-._~+/Z9==", "signalbus", 300000 },
};

#define EXTENSIONS(value) "{\"token\": \"x\", \"extensions\": " value "}"
#define NO_EXTENSIONS                                                                              \
	"\"extensions\" of the JSON object is no object with names of letters and printable "      \
	"texts, "                                                                                  \
	"each name once"
#define NO_TIME "the time when the token expires is not a number of seconds or milliseconds"
#define NO_JSON "it begins as a JSON object, but is none, or has other text after it"
#define TWICE   "the JSON object has two members of one name"
/* {"exp":1e300} */
#define LATE HEADER "eyJleHAiOjFlMzAwfQ."

static const struct {
	const char *text, *reason;
} bad[] = {
	{ "", "it is no token: there are spaces or other characters in it" },
	{ "\n", "it is no token: there are spaces or other characters in it" },
	{ "Error: word", "it is no token: there are spaces or other characters in it" },
	{ "one\ntwo", "it is no token: there are spaces or other characters in it" },
	{ "wo\x01rd", "it is no token: there are spaces or other characters in it" },
	{ "w\xC3\xB6rd", "it is no token: there are spaces or other characters in it" },
	{ "[\"word\"]", "it is no token: there are spaces or other characters in it" },
	{ "wo=rd", "it is no token: there are spaces or other characters in it" },
	{ "{", NO_JSON },
	{ "{\"token\": \"x\"} word", NO_JSON },
	{ "{\"token\": \"x\"}{\"token\": \"word\"}", NO_JSON },
	{ "{\"token\": \"wo\\u0000rd\"}", NO_JSON },
	{ "{\"token\": \"x\", \"token\": \"word\"}", TWICE },
	{ "{\"token\": \"x\", \"expires_in\": 7, \"expires_in\": 9}", TWICE },
	{ "{}", "there is no \"token\" or \"access_token\" in the JSON object" },
	{ "{\"token\": 5}", "there is no \"token\" or \"access_token\" in the JSON object" },
	{ "{\"error\": \"word\"}", "there is no \"token\" or \"access_token\" in the JSON object" },
	{ "{\"token\": \"a b\"}", "there is no \"token\" or \"access_token\" in the JSON object" },
	{ EXTENSIONS("[\"word\"]"), NO_EXTENSIONS },
	{ EXTENSIONS("\"word\""), NO_EXTENSIONS },
	{ EXTENSIONS("{\"a_b\": \"word\"}"), NO_EXTENSIONS },
	{ EXTENSIONS("{\"\": \"word\"}"), NO_EXTENSIONS },
	{ EXTENSIONS("{\"auth\": \"word\"}"), NO_EXTENSIONS },
	{ EXTENSIONS("{\"a\": 1}"), NO_EXTENSIONS },
	{ EXTENSIONS("{\"a\": \"b\", \"c\": \"\\u0001\"}"), NO_EXTENSIONS },
	{ EXTENSIONS("{\"a\": \"b\", \"a\": \"word\"}"), NO_EXTENSIONS },
	{ "{\"token\": \"x\", \"expires_in\": \"soon\"}", NO_TIME },
	{ "{\"token\": \"x\", \"expires_in\": \"-7\"}", NO_TIME },
	{ "{\"token\": \"x\", \"expires_in\": \"inf\"}", NO_TIME },
	{ "{\"token\": \"x\", \"expires_in\": true}", NO_TIME },
	{ "{\"token\": \"x\", \"expires_in\": 1e300}", NO_TIME },
	{ "{\"token\": \"x\", \"expires_at\": -1e300}", NO_TIME },
	{ "{\"token\": \"x\", \"exp\": \"2030-01-01T00:00:00Z\"}", NO_TIME },
	{ LATE, NO_TIME },
	{ EXPIRED, "the token has expired, 5 s ago" },
	{ "{\"token\": \"x\", \"expires_in\": 0}", "the token has expired, 0 s ago" },
	{ "{\"token\": \"x\", \"expires_in\": -5}", "the token has expired, 5 s ago" },
	{ "{\"token\": \"x\", \"expires_at\": -9e14}", "the token has expired, 31622400 s ago" },
};

START_TEST(a_token_has_a_life_and_a_principal)
{
	struct oauth_token t;
	struct error e;
	ck_assert_msg(oauth_token_parse(good[_i].text, NOW_MS, &t, &e), "%s", e.text);
	ck_assert_str_eq(t.value, good[_i].value);
	ck_assert_str_eq(t.principal, good[_i].principal);
	ck_assert_int_eq(t.expires_ms - NOW_MS, good[_i].life_ms);
	oauth_token_free(&t);
	ck_assert_ptr_null(t.value);
}
END_TEST

static const struct {
	const char *text, *extensions;
} extended[] = {
	{ "{\"token\": \"x\"}", "" },
	{ "{\"token\": \"x\", \"extensions\": {}}", "" },
	{ "{\"access_token\": \"x\", \"extensions\": {\"logicalCluster\": \"lkc-1\", "
	  "\"identityPoolId\": \"pool 1\"}}",
		"logicalCluster lkc-1 identityPoolId pool 1 " },
};

START_TEST(extensions_are_taken_from_the_object)
{
	struct oauth_token t;
	struct error e;
	struct text found = { 0 };
	ck_assert_msg(oauth_token_parse(extended[_i].text, NOW_MS, &t, &e), "%s", e.text);
	text_add(&found, "", 0);
	for (size_t i = 0; i < t.extension_count; i++)
		text_addf(&found, "%s ", t.extensions[i]);
	ck_assert_str_eq(found.text, extended[_i].extensions);
	text_free(&found);
	oauth_token_free(&t);
}
END_TEST

START_TEST(what_is_no_valid_token_is_not_shown)
{
	struct oauth_token t;
	struct error e;
	ck_assert(!oauth_token_parse(bad[_i].text, NOW_MS, &t, &e));
	ck_assert_int_eq(strncmp(e.text, bad[_i].reason, strlen(bad[_i].reason)), 0);
	ck_assert_ptr_null(t.value);
}
END_TEST

int main(void)
{
	const struct test tests[] = {
		{ a_token_has_a_life_and_a_principal, COUNT(good), 0 },
		{ extensions_are_taken_from_the_object, COUNT(extended), 0 },
		{ what_is_no_valid_token_is_not_shown, COUNT(bad), 0 },
	};
	return suite_run("oauth_token", tests, COUNT(tests));
}
