/*
 * version - what --version prints: signalbus, the libraries that it runs with, and what they were
 * built with.
 */
#include "base/text.h"
#include "cli/command.h"
#include "config/config.h"
#include "daemon/http.h"
#include "daemon/systemd.h"
#include "kafka/property.h"
#include "postgres/db.h"

#include <cjson/cJSON.h>
#include <stdio.h>

static void add_cjson_version(struct text *t)
{
	text_addf(t, "%s", cJSON_Version());
}

static const struct {
	const char *name;
	void (*add_version)(struct text *t);
	void (*add_features)(struct text *t); /* NULL: none are known */
} libraries[] = {
	{ "libpq", db_add_library_version, db_add_library_features },
	{ "librdkafka", property_add_library_version, property_add_library_features },
	{ "libconfig", config_add_library_version, NULL },
	{ "cJSON", add_cjson_version, NULL },
	{ "libmicrohttpd", http_add_library_version, NULL },
	{ "libsystemd", systemd_add_library_version, NULL },
};

int command_print_version(void)
{
	struct text t = { 0 };
	text_addf(&t, "signalbus %s\n", SIGNALBUS_VERSION);
	for (size_t i = 0; i < sizeof libraries / sizeof libraries[0]; i++) {
		text_addf(&t, "%s ", libraries[i].name);
		libraries[i].add_version(&t);
		if (libraries[i].add_features != NULL)
			libraries[i].add_features(&t);
		text_addf(&t, "\n");
	}
	fputs(t.text, stdout);
	text_free(&t);
	return command_finish_output();
}
