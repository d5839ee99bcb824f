#include "kafka/reason.h"

#include "kafka/producer.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define IS_KAFKA "is it a Kafka broker? Does it want TLS on this port (security_protocol)?"
#define IS_TLS   "does the broker speak TLS on this port?"
#define OF_CLIENT                                                                                  \
	"does the broker want a certificate of this client (ssl_certificate_location, "            \
	"ssl_key_location), valid today, and from a CA that it trusts?"
#define HANDSHAKE     "SSL handshake failed: "
#define SCRAM_VERSION 0x020601ff

/* Possible causes of a reason that does not mention them. */
enum weight { VAGUE, USUAL, REFUSAL };

static const struct {
	const char *words, *hint; /* NULL: the reason says all */
	enum weight weight;
} hints[] = {
	/* How other servers interpret the first request: */
	{ "Disconnected while requesting ApiVersion", IS_KAFKA, REFUSAL },
	{ "Invalid response size", IS_KAFKA, REFUSAL },
	{ "ApiVersion", "is it a Kafka broker?", USUAL },
	{ "unexpected eof", IS_TLS, REFUSAL },
	{ "wrong version number", IS_TLS, REFUSAL },
	{ "alert bad certificate", OF_CLIENT, REFUSAL },
	{ "alert certificate", OF_CLIENT, REFUSAL },
	{ "alert unknown ca", OF_CLIENT, REFUSAL },
	{ "alert handshake failure", OF_CLIENT, REFUSAL },
	{ "not valid in current SASL state", "does this port take passwords (security_protocol)?",
		REFUSAL },
	{ "broker might require SASL", NULL, REFUSAL },
	{ "Failed to acquire idempotence PID",
		"may the Kafka user write to a topic (WRITE), or IDEMPOTENT_WRITE?", USUAL },
	/* Of transactions: */
	{ "Transactional Id authorization failed",
		"allow the Kafka user WRITE and DESCRIBE on transactional ids that begin with the "
		"instance",
		USUAL },
	{ "Group authorization failed",
		"allow the Kafka user READ on consumer groups that begin with the instance",
		USUAL },
	{ "(Broker: Topic authorization failed)", /* each topic has a reason of its own */
		"allow the Kafka user READ on the topic, for which the number of the burst is "
		"stored",
		USUAL },
	{ "max.transaction.timeout.ms", "raise transaction.max.timeout.ms of the brokers", USUAL },
	{ "Broken pipe", NULL, VAGUE },
	{ "Connection reset", NULL, VAGUE },
	{ "Disconnected", NULL, VAGUE },
};

/* After the parenthesis that closes the one in text, or the end. */
static const char *behind_parenthesis(const char *text)
{
	int depth = 0;
	for (; *text != '\0'; text++)
		if (*text == '(')
			depth++;
		else if (*text == ')' && --depth == 0)
			return text + 1;
	return text;
}

/* The hint for a reason, NULL if there is none, and how much the reason says. */
static const char *hint_for(const char *reason, enum weight *weight)
{
	const char *mechanism = strstr(reason, "with SASL mechanism ");
	*weight = USUAL;
	if (mechanism != NULL)
		return reason_of_mechanism(
			mechanism + strlen("with SASL mechanism "), rd_kafka_version());
	for (size_t i = 0; i < sizeof hints / sizeof hints[0]; i++)
		if (strstr(reason, hints[i].words) != NULL) {
			*weight = hints[i].weight;
			return hints[i].hint;
		}
	return NULL;
}

void reason_plain(char *text, size_t size, const char *reason)
{
	enum weight weight;
	const char *changing = strstr(reason, " (after ");
	const char *rest = changing != NULL ? behind_parenthesis(changing) : "";
	int length = (int)(changing != NULL ? (size_t)(changing - reason) : strlen(reason));
	const char *hint = hint_for(reason, &weight);
	snprintf(text, size, "%.*s%s%s%s", length, reason, rest, hint != NULL ? "; " : "",
		hint != NULL ? hint : "");
	/* Of equal errors, some begin with this. */
	char *start = strstr(text, HANDSHAKE "error:");
	if (start != NULL)
		memmove(start, start + strlen(HANDSHAKE), strlen(start + strlen(HANDSHAKE)) + 1);
}

/* Without an error the connection is established, or about to be, and there is no answer. */
const char *reason_of_code(int code)
{
	bool is_silence =
		code == RD_KAFKA_RESP_ERR__TRANSPORT || code == RD_KAFKA_RESP_ERR__TIMED_OUT;
	return is_silence ? "the servers of kafka.bootstrap_servers accept connections but do not "
			    "answer"
			  : rd_kafka_err2str((rd_kafka_resp_err_t)code);
}

void trouble_note(struct trouble *t, int code, const char *reason)
{
	enum weight weight;
	if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
		return; /* which one, and why, says more */
	hint_for(reason, &weight);
	if (weight == VAGUE && t->is_refusal)
		return;
	reason_plain(t->text, sizeof t->text, reason);
	t->is_refusal = weight == REFUSAL || code == RD_KAFKA_RESP_ERR__AUTHENTICATION ||
			(code == RD_KAFKA_RESP_ERR__SSL && weight != VAGUE);
}

/* OpenSSL's errors, whose numbers are a part of its interface (openssl/x509_vfy.h). */
static const struct {
	int error;
	const char *text;
} certificate_errors[] = {
	{ 9, "is not valid yet; is a clock wrong?" },
	{ 10, "has expired" },
	{ 18, "is its own authority; add it to kafka.ssl_ca_location if it is the broker's" },
	{ 19, "is not in kafka.ssl_ca_location" },
	{ 20, "is from an authority that is not in kafka.ssl_ca_location" },
	{ 21, "is from an authority that is not in kafka.ssl_ca_location" },
	{ 23, "is revoked" },
	{ 62, "is for another host name than the one that is connected to "
	      "(kafka.bootstrap_servers, advertised.listeners of the broker)" },
	{ 64, "is for another address than the one that is connected to "
	      "(kafka.bootstrap_servers, advertised.listeners of the broker)" },
};

bool certificate_accepted(struct certificate_doubt *d, int error, int depth)
{
	if (error == 0)
		return true;
	atomic_store(&d->is_authoritys, depth > 0);
	atomic_store(&d->error, error);
	return false;
}

const char *certificate_reason(
	const struct certificate_doubt *d, const char *reason, char *text, size_t size)
{
	int error = atomic_load(&d->error);
	const char *what = strstr(reason, ": "), *why = NULL;
	if (error == 0 || what == NULL || strstr(reason, "certificate verify failed") == NULL)
		return reason;
	for (size_t i = 0; i < sizeof certificate_errors / sizeof certificate_errors[0]; i++)
		if (certificate_errors[i].error == error)
			why = certificate_errors[i].text;
	int length = snprintf(text, size, "%.*s: the certificate of the broker%s ",
		(int)(what - reason), reason, atomic_load(&d->is_authoritys) ? "'s authority" : "");
	if (length < 0 || (size_t)length >= size)
		return text;
	if (why != NULL)
		snprintf(text + length, size - (size_t)length, "%s", why);
	else
		snprintf(text + length, size - (size_t)length,
			"is not accepted (error %d of OpenSSL; see "
			"openssl-verification-options(1))",
			error);
	return text;
}

/* Before librdkafka 2.6.1 the nonce of the client is repeated (confluentinc/librdkafka#4895).
 * Kafka 3.8.1 accepts that, and Kafka 4 does not. */
const char *reason_of_mechanism(const char *mechanism, int version)
{
	if (strncasecmp(mechanism, "SCRAM-", strlen("SCRAM-")) != 0 || version >= SCRAM_VERSION)
		return NULL;
	return "with SCRAM, this librdkafka is refused by Kafka 4 even if the password is right: "
	       "use librdkafka 2.6.1 or later, PLAIN with sasl_ssl, or a client certificate";
}
