#include "kafka/reason.h"

#include "kafka/producer.h"

#include "suite.h"

#include <string.h>

#define HINT_CLIENT                                                                                \
	"; does the broker want a certificate of this client (ssl_certificate_location, "          \
	"ssl_key_location), valid today, and from a CA that it trusts?"

/* What librdkafka says, and what people read. */
static const struct {
	const char *reason, *plain;
} reasons[] = {
	{ "h:1/1: Connect to ipv4#127.0.0.1:1 failed: Connection refused (after 0ms in state "
	  "CONNECT, 5 identical error(s) suppressed)",
		"h:1/1: Connect to ipv4#127.0.0.1:1 failed: Connection refused" },
	{ "Failed to resolve 'h': no (after 1ms) such host",
		"Failed to resolve 'h': no such host" },
	{ "it is (after all", "it is" },
	{ "ApiVersionRequest failed (after 1ms in state X)",
		"ApiVersionRequest failed; is it a Kafka broker?" },
	{ "ssl://h:1/1: SSL handshake failed: error:0A000126:SSL routines::unexpected eof while "
	  "reading (after 1ms in state SSL_HANDSHAKE)",
		"ssl://h:1/1: error:0A000126:SSL routines::unexpected eof while reading; does the "
		"broker speak TLS on this port?" },
	{ "h:1/1: Receive failed: sslv3 alert bad certificate",
		"h:1/1: Receive failed: sslv3 alert bad certificate" HINT_CLIENT },
	{ "h:1/1: Receive failed: tlsv13 alert certificate required",
		"h:1/1: Receive failed: tlsv13 alert certificate required" HINT_CLIENT },
};

START_TEST(reasons_are_made_plain)
{
	char text[512];
	reason_plain(text, sizeof text, reasons[_i].reason);
	ck_assert_str_eq(text, reasons[_i].plain);
}
END_TEST

/* Of a connection, one after the other; and what is known after that. */
static const struct {
	rd_kafka_resp_err_t codes[2];
	const char *reports[2];
	const char *known;
	bool is_refusal;
} troubles[] = {
	{ { RD_KAFKA_RESP_ERR__TRANSPORT, RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN },
		{ "Connection refused", "1/1 brokers are down" }, "Connection refused", false },
	{ { RD_KAFKA_RESP_ERR__AUTHENTICATION, RD_KAFKA_RESP_ERR__TRANSPORT },
		{ "wrong password", "Disconnected" }, "wrong password", true },
	{ { RD_KAFKA_RESP_ERR__AUTHENTICATION, RD_KAFKA_RESP_ERR__TRANSPORT },
		{ "wrong password", "Connection refused" }, "Connection refused", false },
	{ { RD_KAFKA_RESP_ERR__TRANSPORT, RD_KAFKA_RESP_ERR__SSL },
		{ "Disconnected: broker might require SASL authentication",
			"Send failed: SSL transport error: Broken pipe" },
		"Disconnected: broker might require SASL authentication", true },
	{ { RD_KAFKA_RESP_ERR__SSL, RD_KAFKA_RESP_ERR__TRANSPORT },
		{ "certificate verify failed", "Connection reset by peer" },
		"certificate verify failed", true },
};

START_TEST(a_refusal_says_more_than_what_follows)
{
	struct trouble t = { 0 };
	for (int i = 0; i < 2; i++)
		trouble_note(&t, troubles[_i].codes[i], troubles[_i].reports[i]);
	ck_assert_str_eq(t.text, troubles[_i].known);
	ck_assert_int_eq(t.is_refusal, troubles[_i].is_refusal);
}
END_TEST

static const struct {
	int error, depth;
	const char *why;
} certificates[] = {
	{ 10, 0, "ssl://h:1/1: the certificate of the broker has expired" },
	{ 10, 1, "ssl://h:1/1: the certificate of the broker's authority has expired" },
	{ 9, 0, "ssl://h:1/1: the certificate of the broker is not valid yet; is a clock wrong?" },
	{ 20, 0,
		"ssl://h:1/1: the certificate of the broker is from an authority that is not in "
		"kafka.ssl_ca_location" },
	{ 79, 1,
		"ssl://h:1/1: the certificate of the broker's authority is not accepted (error 79 "
		"of OpenSSL; see openssl-verification-options(1))" },
};

START_TEST(a_certificate_is_refused_for_a_reason)
{
	char text[512];
	struct certificate_doubt d = { 0 };
	ck_assert(!certificate_accepted(&d, certificates[_i].error, certificates[_i].depth));
	ck_assert_str_eq(certificate_reason(&d,
				 "ssl://h:1/1: SSL handshake failed: error:0A000086:SSL "
				 "routines::certificate verify failed: broker certificate could "
				 "not be verified",
				 text, sizeof text),
		certificates[_i].why);
}
END_TEST

START_TEST(a_certificate_is_accepted_only_without_an_error)
{
	char text[512];
	struct certificate_doubt d = { 0 };
	const char *reason = "ssl://h:1/1: certificate verify failed";
	for (int error = -1; error < 200; error++)
		if (error != 0)
			ck_assert(!certificate_accepted(&d, error, 0));
	d = (struct certificate_doubt){ 0 };
	ck_assert(certificate_accepted(&d, 0, 0));
	ck_assert_ptr_eq(certificate_reason(&d, reason, text, sizeof text), reason);
	certificate_accepted(&d, 10, 0);
	reason = "ssl://h:1/1: Connection refused"; /* it is about something else */
	ck_assert_ptr_eq(certificate_reason(&d, reason, text, sizeof text), reason);
}
END_TEST

/* The version in which it works is 2.6.1, and release candidates of it come before. */
static const struct {
	const char *mechanism;
	int version;
	bool fails;
} mechanisms[] = {
	{ "SCRAM-SHA-256", 0x020002ff, true },
	{ "SCRAM-SHA-512", 0x020600ff, true },
	{ "scram-sha-512", 0x020600ff, true },
	{ "SCRAM-SHA-512", 0x02060101, true },
	{ "SCRAM-SHA-512", 0x020601ff, false },
	{ "SCRAM-SHA-512", 0x020c00ff, false },
	{ "SCRAM-SHA-256", 0x030000ff, false },
	{ "PLAIN", 0x020002ff, false },
	{ "OAUTHBEARER", 0x020002ff, false },
};

START_TEST(scram_wants_a_library_that_can_do_it)
{
	const char *why = reason_of_mechanism(mechanisms[_i].mechanism, mechanisms[_i].version);
	ck_assert_int_eq(why != NULL, mechanisms[_i].fails);
	if (why != NULL)
		ck_assert_ptr_nonnull(strstr(why, "use librdkafka 2.6.1 or later"));
}
END_TEST

int main(void)
{
	const struct test tests[] = {
		{ reasons_are_made_plain, COUNT(reasons), 0 },
		{ a_refusal_says_more_than_what_follows, COUNT(troubles), 0 },
		{ a_certificate_is_refused_for_a_reason, COUNT(certificates), 0 },
		{ a_certificate_is_accepted_only_without_an_error, 1, 0 },
		{ scram_wants_a_library_that_can_do_it, COUNT(mechanisms), 0 },
	};
	return suite_run("reason", tests, COUNT(tests));
}
