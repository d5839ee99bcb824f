#include "base/address.h"

#include "suite.h"

#include <string.h>

static const struct {
	const char *text, *host, *port;
} good[] = {
	{ "127.0.0.1:9464", "127.0.0.1", "9464" },
	{ "[::1]:9464", "::1", "9464" },
	{ "[fe80::1%eth0]:1", "fe80::1%eth0", "1" },
	{ "localhost:65535", "localhost", "65535" },
	{ "*:9464", "", "9464" },
	{ ":9464", "", "9464" },
	{ "[::]:00080", "::", "00080" },
};

static const char *const bad[] = {
	"",
	":",
	"9464",
	"localhost",
	"localhost:",
	"localhost:0",
	"localhost:65536",
	"localhost:123456",
	"localhost:http",
	"localhost:94 64",
	"localhost:-1",
	"localhost:+1",
	"::1:9464",
	"[::1]",
	"[]:9464",
	"[::1:9464",
	"::1]:9464",
	"[localhost ]:9464",
	"http://localhost:9464",
	"a b:9464",
	"localhost:9464/metrics",
};

START_TEST(an_address_has_a_host_and_a_port)
{
	struct address a;
	struct error e;
	ck_assert_msg(address_parse(&a, good[_i].text, &e), "%s", good[_i].text);
	ck_assert_str_eq(a.host, good[_i].host);
	ck_assert_str_eq(a.port, good[_i].port);
}
END_TEST

START_TEST(what_is_no_address_is_quoted_in_the_error)
{
	struct address a;
	struct error e;
	ck_assert_msg(!address_parse(&a, bad[_i], &e), "%s", bad[_i]);
	ck_assert_int_eq(e.kind, ERROR_CONFIG);
	ck_assert_ptr_nonnull(strstr(e.text, bad[_i]));
	ck_assert_ptr_nonnull(strstr(e.text, "127.0.0.1:9464"));
}
END_TEST

/* The longest host that fits, and one that is longer. */
START_TEST(a_host_may_have_255_bytes)
{
	struct address a;
	struct error e;
	char text[300];
	memset(text, 'h', sizeof text);
	memcpy(text + 255, ":1", sizeof ":1");
	ck_assert(address_parse(&a, text, &e));
	ck_assert_uint_eq(strlen(a.host), 255);
	memcpy(text + 255, "h:1", sizeof "h:1");
	ck_assert(!address_parse(&a, text, &e));
}
END_TEST

static const struct {
	const char *host;
	bool is_local;
} hosts[] = {
	{ "localhost", true },
	{ "localhost:9092", true },
	{ "127.0.0.1", true },
	{ "127.8.9.10:9092", true },
	{ "::1", true },
	{ "[::1]:9092", true },
	{ "localhost.example.com", false },
	{ "127.example.com", false },
	{ "10.0.0.1", false },
	{ "::12", false },
};

START_TEST(some_hosts_are_this_machine)
{
	ck_assert_msg(address_is_local(hosts[_i].host) == hosts[_i].is_local, "%s", hosts[_i].host);
}
END_TEST

int main(void)
{
	const struct test tests[] = {
		{ an_address_has_a_host_and_a_port, COUNT(good), 0 },
		{ what_is_no_address_is_quoted_in_the_error, COUNT(bad), 0 },
		{ a_host_may_have_255_bytes, 1, 0 },
		{ some_hosts_are_this_machine, COUNT(hosts), 0 },
	};
	return suite_run("address", tests, COUNT(tests));
}
