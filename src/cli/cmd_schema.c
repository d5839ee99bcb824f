#include "base/clock.h"
#include "base/error.h"
#include "base/stop.h"
#include "catalog/catalog.h"
#include "catalog/json_schema.h"
#include "cli/command.h"
#include "cli/options.h"

#include <stdio.h>
#include <stdlib.h>

/* The schema of a model as text to be freed; NULL with e. */
static char *make(struct db *db, const struct config *config, size_t index, struct error *e)
{
	struct facts facts = { 0 };
	if (!command_connect(db, config, e))
		return NULL;
	char *schema = NULL;
	struct instant deadline = instant_after(clock_now(), config->timeout);
	struct model *m = catalog_read(db, config, index, deadline, e);
	if (m != NULL && catalog_facts(db, m, &facts, deadline, e))
		schema = schema_print(m, &facts, e);
	facts_free(&facts);
	model_free(m);
	return schema;
}

static int print(const struct config *config, size_t index)
{
	struct error e;
	struct db *db = catalog_session(config);
	char *schema = make(db, config, index, &e);
	db_free(db);
	if (schema == NULL)
		return command_failed("Cannot make the schema: ", &e);
	puts(schema);
	free(schema);
	return command_finish_output();
}

int cmd_schema(const struct command_line *line)
{
	if (line->name_count != 1)
		return usage_error("schema needs one NAME");
	struct config *config = command_load(line, LOG_LEVEL_WARNING);
	if (config == NULL)
		return EXIT_WRONG_CONFIG;
	size_t count;
	size_t *models = command_select(line, config, &count);
	int status = models != NULL ? print(config, models[0]) : EXIT_WRONG_USAGE;
	free(models);
	config_free(config);
	stop_by_signal();
	return status;
}
