/*
 * Which properties may be set: those that librdkafka accepts and signalbus allows.
 */
#include "kafka/property.h"

#include "base/suggest.h"
#include "base/text.h"
#include "kafka/producer.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Properties that must have this value; NULL: may not be set at all. */
static const struct {
	const char *name, *value, *why;
} fixed[] = {
	{ "acks", "all", "a signal is deleted only when all in-sync replicas have stored it" },
	{ "acks", "-1", "a signal is deleted only when all in-sync replicas have stored it" },
	{ "request.required.acks", "all",
		"a signal is deleted only when all in-sync replicas have stored it" },
	{ "request.required.acks", "-1",
		"a signal is deleted only when all in-sync replicas have stored it" },
	{ "enable.idempotence", "true", "retries would repeat and reorder messages" },
	{ "transactional.id", NULL, "signalbus sets it" },
	{ "delivery.report.only.error", "false",
		"a signal is deleted only after its delivery report" },
};

/* librdkafka has a command of a shell run, kinit, with these in it. */
static bool check_kinit_word(const struct property *p, struct error *e)
{
	if (strcmp(p->name, "sasl.kerberos.principal") != 0 &&
		strcmp(p->name, "sasl.kerberos.keytab") != 0)
		return true;
	size_t plain = strspn(p->value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					"0123456789_./@:+,=%-");
	return p->value[plain] == '\0' ||
	       error_set(e, ERROR_CONFIG,
		       "\"%s\" has \"%c\", which a shell would not take as it is", p->value,
		       p->value[plain]);
}

/* Settings for librdkafka's own tests: messages would go to a mock broker. */
static bool check_no_test(const struct property *p, struct error *e)
{
	return strncmp(p->name, "test.", strlen("test.")) != 0 ||
	       error_set(e, ERROR_CONFIG, "may not be set: it is for librdkafka's own tests");
}

static bool check_fixed(const struct property *p, struct error *e)
{
	size_t named = SIZE_MAX;
	for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++) {
		if (strcmp(fixed[i].name, p->name) != 0)
			continue;
		if (fixed[i].value != NULL && !p->is_secret &&
			strcmp(fixed[i].value, p->value) == 0)
			return true;
		named = named == SIZE_MAX ? i : named;
	}
	if (named == SIZE_MAX)
		return true;
	if (p->is_secret && fixed[named].value != NULL)
		return error_set(
			e, ERROR_CONFIG, "must be %s, which is no secret", fixed[named].value);
	if (fixed[named].value == NULL)
		return error_set(e, ERROR_CONFIG, "may not be set: %s", fixed[named].why);
	return error_set(e, ERROR_CONFIG, "must be %s, not %s: %s", fixed[named].value, p->value,
		fixed[named].why);
}

/* Whether [protocol://]host[:port] has a protocol that librdkafka knows, or none, and a host. */
static bool check_server(const char *server, struct error *e)
{
	static const char *const protocols[] = { "plaintext", "ssl", "sasl_plaintext", "sasl_ssl" };
	const char *scheme_end = strstr(server, "://");
	bool is_known = scheme_end == NULL;
	for (size_t i = 0; i < sizeof protocols / sizeof protocols[0]; i++)
		is_known =
			is_known || (strncasecmp(server, protocols[i], strlen(protocols[i])) == 0 &&
					    server + strlen(protocols[i]) == scheme_end);
	const char *host = scheme_end != NULL ? scheme_end + 3 : server;
	if (!is_known)
		return error_set(e, ERROR_CONFIG,
			"\"%s\" has an unsupported protocol; write HOST:PORT", server);
	if (server[strcspn(server, "; \t\n")] != '\0')
		return error_set(e, ERROR_CONFIG,
			"\"%s\" is not one server; separate them by commas", server);
	if (host[0] == '\0' || host[0] == ':')
		return error_set(e, ERROR_CONFIG, "\"%s\" has no host; write HOST:PORT", server);
	return true;
}

/* librdkafka ignores servers that it does not understand, and an empty list. */
static bool check_servers(const struct property *p, struct error *e)
{
	bool is_list = strcmp(p->name, "bootstrap.servers") == 0 ||
		       strcmp(p->name, "metadata.broker.list") == 0;
	if (!is_list || p->is_secret)
		return true;
	char *list = text_copy(p->value), *rest = list;
	bool ok = true, any = false;
	for (char *server; ok && (server = strsep(&rest, ",")) != NULL;) {
		server += strspn(server, " \t\n");
		for (char *end = server + strlen(server);
			end > server && isspace((unsigned char)end[-1]);)
			*--end = '\0';
		any = any || server[0] != '\0';
		ok = server[0] == '\0' || check_server(server, e);
	}
	free(list);
	return ok && (any || error_set(e, ERROR_CONFIG, "names no server; write HOST:PORT"));
}

/* The properties that librdkafka knows, from its documentation: one line each, "name | C/P | …",
 * with C for consumers, P for producers and * for both. */
static char *known_properties(void)
{
	char *documentation = NULL;
	size_t size = 0;
	FILE *memory = open_memstream(&documentation, &size);
	if (memory == NULL)
		abort();
	rd_kafka_conf_properties_show(memory);
	fclose(memory);
	return documentation;
}

/* A line of them. */
struct known {
	const char *name;
	bool of_consumers; /* only */
	const char *range; /* "1000 .. 1000000000", "none, gzip, …"; empty: any */
};

/* The text up to the next "|", without the spaces around it. */
static char *cell(char **rest)
{
	char *text = strsep(rest, "|");
	if (text == NULL)
		return NULL;
	text += strspn(text, " ");
	for (char *end = text + strlen(text); end > text && end[-1] == ' ';)
		*--end = '\0';
	return text;
}

/* Take the next property.  Returns false after the last one. */
static bool next_property(char **rest, struct known *p)
{
	for (char *line; (line = strsep(rest, "\n")) != NULL;) {
		char *cells = line;
		p->name = cell(&cells);
		const char *users = cell(&cells);
		p->range = cell(&cells);
		if (p->range == NULL || !islower((unsigned char)p->name[0]))
			continue; /* a heading */
		p->of_consumers = users[0] == 'C';
		return true;
	}
	return false;
}

/* The property with a name, to be freed with *memory; zero-initialized if there is none. */
static struct known find_property(const char *name, char **memory)
{
	*memory = known_properties();
	char *rest = *memory;
	for (struct known p; next_property(&rest, &p);)
		if (strcmp(p.name, name) == 0)
			return p;
	return (struct known){ .range = "" };
}

static bool is_number(const char *value)
{
	char *end;
	(void)strtod(value, &end);
	return end > value && *end == '\0';
}

/* librdkafka reads "10MB" as 10, and does not say which names it knows. */
static bool refuse_value(
	const struct known *known, const char *value, const char *reason, struct error *e)
{
	if (strstr(known->range, " .. ") != NULL && !is_number(value))
		return error_set(e, ERROR_CONFIG, "\"%s\" is not a number; it must be %s", value,
			known->range);
	if (strchr(known->range, ',') != NULL)
		return error_set(
			e, ERROR_CONFIG, "%s; it must be one of: %s", reason, known->range);
	return error_set(e, ERROR_CONFIG, "%s", reason);
}

/* The name in the configuration's form, to be freed: libconfig allows no "." in a name. */
static char *written(const char *name)
{
	char *text = text_copy(name);
	for (char *p = text; (p = strchr(p, '.')) != NULL;)
		*p = '_';
	return text;
}

static void unknown_property(const char *name, struct error *e)
{
	struct nearest nearest = nearest_to(name);
	char *known = known_properties(), *rest = known;
	for (struct known p; next_property(&rest, &p);)
		if (!p.of_consumers)
			nearest_offer(&nearest, p.name);
	char *hint = nearest.best != NULL ? written(nearest.best) : NULL;
	if (hint != NULL)
		error_set(e, ERROR_CONFIG,
			"librdkafka has no property \"%s\"; did you mean \"%s\"?", name, hint);
	else
		error_set(e, ERROR_CONFIG, "librdkafka has no property \"%s\"", name);
	free(hint);
	free(known);
}

static rd_kafka_conf_res_t try_value(const struct property *p, char *reason, size_t size)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_conf_res_t res = rd_kafka_conf_set(conf, p->name, p->value, reason, size);
	rd_kafka_conf_destroy(conf);
	return res;
}

/* The value of a secret is not known now. */
enum property_answer property_check(const struct property *p, struct error *e)
{
	char reason[512], *memory;
	struct known known = find_property(p->name, &memory);
	rd_kafka_conf_res_t res = !p->is_secret        ? try_value(p, reason, sizeof reason)
				  : known.name != NULL ? RD_KAFKA_CONF_OK
						       : RD_KAFKA_CONF_UNKNOWN;
	bool is_taken = false;
	if (res == RD_KAFKA_CONF_UNKNOWN)
		unknown_property(p->name, e);
	else if (known.of_consumers) /* which a producer would accept, and ignore */
		error_set(e, ERROR_CONFIG, "is for consumers only, and signalbus is a producer");
	else if (res != RD_KAFKA_CONF_OK)
		refuse_value(&known, p->value, reason, e);
	else
		is_taken = check_fixed(p, e) && check_no_test(p, e) && check_servers(p, e) &&
			   check_kinit_word(p, e);
	free(memory);
	return res == RD_KAFKA_CONF_UNKNOWN ? PROPERTY_UNKNOWN
	       : is_taken                   ? PROPERTY_TAKEN
					    : PROPERTY_REFUSED;
}

void property_add_library_version(struct text *t)
{
	text_addf(t, "%s", rd_kafka_version_str());
}

void property_add_library_features(struct text *t)
{
	char features[512];
	size_t size = sizeof features;
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	if (rd_kafka_conf_get(conf, "builtin.features", features, &size) == RD_KAFKA_CONF_OK) {
		text_addf(t, " (");
		for (const char *c = features; *c != '\0'; c++)
			text_addf(t, "%c%s", *c, *c == ',' ? " " : "");
		text_addf(t, ")");
	}
	rd_kafka_conf_destroy(conf);
}
