#include "kafka/exposure.h"

#include "base/address.h"
#include "base/text.h"
#include "kafka/producer.h"
#include "kafka/reason.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Properties that let others on the network pose as the broker. */
static const struct {
	const char *name, *value, *warning;
} exposures[] = {
	{ "enable.ssl.certificate.verification", "false",
		"kafka: enable_ssl_certificate_verification is off, so whoever answers for the "
		"broker may read signals and passwords; remove it, and set ssl_ca_location" },
	{ "ssl.endpoint.identification.algorithm", "none",
		"kafka: ssl_endpoint_identification_algorithm is none, so whoever has any "
		"certificate of the authority can pose as the broker; remove it" },
};

/* The value of the first property that is set of those with these names, which mean the same. */
static const char *value_of(
	const struct config *config, const char *name, const char *other, const char *otherwise)
{
	for (size_t i = 0; i < config->kafka_count; i++)
		if (strcmp(config->kafka[i].name, name) == 0 ||
			strcmp(config->kafka[i].name, other) == 0)
			return config->kafka[i].value;
	return otherwise;
}

/* The host of [protocol://]host[:port], to be freed. */
static char *host_of(const char *server)
{
	const char *scheme_end = strstr(server, "://");
	const char *host = scheme_end != NULL ? scheme_end + 3 : server;
	if (host[0] == '[')
		return text_copy_bytes(host + 1, strcspn(host + 1, "]"));
	return text_copy_bytes(host, strcspn(host, ":"));
}

/* A server across the network, to be freed; NULL: there is none. */
static char *remote_server(const struct config *config)
{
	char *list = text_copy(
		value_of(config, "bootstrap.servers", "metadata.broker.list", "localhost"));
	char *rest = list, *found = NULL;
	for (char *server; found == NULL && (server = strsep(&rest, ", ")) != NULL;) {
		char *host = host_of(server);
		if (host[0] != '\0' && !address_is_local(host))
			found = text_copy(host);
		free(host);
	}
	free(list);
	return found;
}

static void report_protocol(
	const struct config *config, void (*report)(void *arg, const char *text), void *arg)
{
	const char *protocol = value_of(config, "security.protocol", "", "plaintext");
	char *host = strcasestr(protocol, "plaintext") != NULL ? remote_server(config) : NULL;
	if (host == NULL)
		return;
	bool has_password = strcasecmp(protocol, "sasl_plaintext") == 0;
	char *text = text_format("kafka: security_protocol is %s, so others on the network on the "
				 "way to %s may read and change signals%s; set %s and "
				 "ssl_ca_location",
		protocol, host, has_password ? ", and read passwords" : "",
		has_password ? "sasl_ssl" : "ssl or sasl_ssl");
	report(arg, text);
	free(text);
	free(host);
}

void exposure_report(
	const struct config *config, void (*report)(void *arg, const char *text), void *arg)
{
	for (size_t i = 0; i < config->kafka_count; i++)
		for (size_t k = 0; k < sizeof exposures / sizeof exposures[0]; k++)
			if (strcmp(config->kafka[i].name, exposures[k].name) == 0 &&
				strcasecmp(config->kafka[i].value, exposures[k].value) == 0)
				report(arg, exposures[k].warning);
	report_protocol(config, report, arg);
	const char *scram = reason_of_mechanism(
		value_of(config, "sasl.mechanism", "sasl.mechanisms", ""), rd_kafka_version());
	if (scram == NULL)
		return;
	char *text = text_format("kafka: %s", scram);
	report(arg, text);
	free(text);
}
