#include "clock.h"
#include "command.h"
#include "error.h"
#include "sql.h"
#include "store.h"

#include <stdio.h>
#include <stdlib.h>

/* Print the statements for the chosen models, or log why that cannot be done. */
static int print_triggers(const struct command_line *line, const struct config *config,
	struct store *s, const size_t *models, size_t count)
{
	struct error e;
	if (!store_connect(s, instant_after(clock_now(), config->timeout), &e)) {
		log_error("%s", e.text);
		return error_exit_status(e.kind);
	}
	struct text t = { 0 };
	sql_triggers_begin(&t, line->drop);
	for (size_t i = 0; i < count; i++) {
		const struct model *m = store_model(s, models[i], &e);
		if (m == NULL) {
			log_problem(e.text);
			text_free(&t);
			return error_exit_status(e.kind);
		}
		sql_trigger(&t, m, line->drop);
	}
	sql_triggers_end(&t, line->drop && count == config->model_count);
	fputs(t.text, stdout);
	text_free(&t);
	return command_finish_output();
}

int cmd_triggers(const struct command_line *line)
{
	struct config *config = command_load(line, LOG_LEVEL_WARNING);
	if (config == NULL)
		return EXIT_WRONG_CONFIG;
	if (config->notify_channel[0] == '\0' && !line->drop) {
		log_error(
			"notify_channel is \"\" in %s: there is no channel for triggers to notify",
			config->file);
		config_free(config);
		return EXIT_WRONG_CONFIG;
	}
	size_t count;
	size_t *models = command_select(line, config, &count);
	struct store *s = store_new(config);
	int status = print_triggers(line, config, s, models, count);
	store_free(s);
	free(models);
	config_free(config);
	return status;
}
