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
	{ "test.mock.num.brokers", NULL, "messages would go to a mock broker" },
};

static bool check_fixed(const struct property *p, struct error *e)
{
	size_t named = SIZE_MAX;
	for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++) {
		if (strcmp(fixed[i].name, p->name) != 0)
			continue;
		if (fixed[i].value != NULL && strcmp(fixed[i].value, p->value) == 0)
			return true;
		named = named == SIZE_MAX ? i : named;
	}
	if (named == SIZE_MAX)
		return true;
	if (fixed[named].value == NULL)
		return error_set(e, ERROR_CONFIG, "may not be set: %s", fixed[named].why);
	return error_set(e, ERROR_CONFIG, "must be %s, not %s: %s", fixed[named].value, p->value,
		fixed[named].why);
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

/* The name of the next property, and whether it is for consumers only; NULL after the last one. */
static const char *next_property(char **rest, bool *of_consumers)
{
	for (char *line; (line = strsep(rest, "\n")) != NULL;) {
		const char *users = strchr(line, '|');
		if (users == NULL || !islower((unsigned char)line[0]))
			continue; /* a heading */
		users += strspn(users, "| ");
		*of_consumers = users[0] == 'C';
		line[strcspn(line, " ")] = '\0';
		return line;
	}
	return NULL;
}

/* A producer would accept such a property, and ignore it. */
static bool is_of_consumers(const char *name)
{
	char *known = known_properties(), *rest = known;
	bool found = false, of_consumers;
	for (const char *p; !found && (p = next_property(&rest, &of_consumers)) != NULL;)
		found = of_consumers && strcmp(p, name) == 0;
	free(known);
	return found;
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
	bool of_consumers;
	for (const char *p; (p = next_property(&rest, &of_consumers)) != NULL;)
		if (!of_consumers)
			nearest_offer(&nearest, p);
	char *hint = nearest.best != NULL ? written(nearest.best) : NULL;
	if (hint != NULL)
		error_set(e, ERROR_CONFIG,
			"librdkafka has no property \"%s\"; did you mean \"%s\"?", name, hint);
	else
		error_set(e, ERROR_CONFIG, "librdkafka has no property \"%s\"", name);
	free(hint);
	free(known);
}

enum property_answer property_check(const struct property *p, struct error *e)
{
	char reason[512];
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_conf_res_t res = rd_kafka_conf_set(conf, p->name, p->value, reason, sizeof reason);
	rd_kafka_conf_destroy(conf);
	if (res == RD_KAFKA_CONF_UNKNOWN) {
		unknown_property(p->name, e);
		return PROPERTY_UNKNOWN;
	}
	if (is_of_consumers(p->name))
		error_set(e, ERROR_CONFIG, "is for consumers only, and signalbus is a producer");
	else if (res != RD_KAFKA_CONF_OK)
		error_set(e, ERROR_CONFIG, "%s", reason);
	else if (check_fixed(p, e))
		return PROPERTY_TAKEN;
	return PROPERTY_REFUSED;
}
