/*
 * Which properties may be set: what librdkafka takes and signalbus allows.
 */
#include "bus.h"
#include "bus_producer.h"
#include "nearest.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Properties that may not be other than this; NULL: may not be set at all. */
static const struct {
	const char *name, *value, *why;
} fixed[] = {
	{ "acks", "all", "a signal is deleted only when all replicas have it" },
	{ "acks", "-1", "a signal is deleted only when all replicas have it" },
	{ "request.required.acks", "all", "a signal is deleted only when all replicas have it" },
	{ "request.required.acks", "-1", "a signal is deleted only when all replicas have it" },
	{ "enable.idempotence", "true", "retries would repeat and reorder messages" },
	{ "transactional.id", NULL, "signalbus sets it" },
	{ "delivery.report.only.error", "false", "a signal is deleted when its report has come" },
	{ "test.mock.num.brokers", NULL, "messages would go to a broker that is none" },
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

/* The properties that librdkafka knows, as its documentation: a line each, the name first. */
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

static bool unknown_property(const char *name, struct error *e)
{
	struct nearest nearest = nearest_to(name);
	char *known = known_properties();
	char *rest = NULL;
	for (char *line = strtok_r(known, "\n", &rest); line != NULL;
		line = strtok_r(NULL, "\n", &rest)) {
		line[strcspn(line, " ")] = '\0';
		nearest_offer(&nearest, line);
	}
	if (nearest.best != NULL)
		error_set(e, ERROR_CONFIG,
			"librdkafka has no property \"%s\"; did you mean \"%s\"?", name,
			nearest.best);
	else
		error_set(e, ERROR_CONFIG, "librdkafka has no property \"%s\"", name);
	free(known);
	return false;
}

bool bus_check_property(const struct property *p, struct error *e)
{
	char reason[512];
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_conf_res_t res = rd_kafka_conf_set(conf, p->name, p->value, reason, sizeof reason);
	bool ok = res == RD_KAFKA_CONF_OK && check_fixed(p, e);
	if (res == RD_KAFKA_CONF_UNKNOWN)
		unknown_property(p->name, e);
	else if (res == RD_KAFKA_CONF_INVALID)
		error_set(e, ERROR_CONFIG, "%s", reason);
	rd_kafka_conf_destroy(conf);
	return ok;
}
