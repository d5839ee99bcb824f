#include "base/error.h"
#include "base/stop.h"
#include "cli/command.h"
#include "store/store.h"

#include <stdlib.h>
#include <unistd.h>

/* Log what was done, or why not.  Returns the exit status. */
static int change(struct store *s, const struct config *config, size_t model, bool is_paused)
{
	struct error e;
	struct pause_change c = { .is_paused = is_paused };
	const char *name = config->models[model].name;
	if (!store_pause(s, model, &c, &e))
		return command_failed("", &e);
	if (!is_paused)
		log_info("model \"%s\": %s", name, c.is_new ? "resumed" : "was not paused");
	else
		log_info("model \"%s\": paused%s", name, c.is_new ? "" : " already");
	if (!is_paused && !config_autoflushes(config, model))
		command_warn_of_autoflush(name);
	return 0;
}

/* A model that cannot be changed prevents no others from it. */
static int change_all(
	const struct config *config, const size_t *models, size_t count, bool is_paused)
{
	struct error e;
	struct store *s = store_new(config);
	int status = 0;
	if (!command_connect_store(s, config, &e))
		status = command_failed("", &e);
	for (size_t i = 0; i < count && store_connected(s); i++) {
		int changed = change(s, config, models[i], is_paused);
		status = changed > status ? changed : status;
	}
	store_free(s);
	return status;
}

static int run(const struct command_line *line, bool is_paused)
{
	struct config *config =
		command_load(line, isatty(STDERR_FILENO) ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING);
	if (config == NULL)
		return EXIT_WRONG_CONFIG;
	size_t count;
	size_t *models = command_select(line, config, &count);
	int status =
		models != NULL ? change_all(config, models, count, is_paused) : EXIT_WRONG_USAGE;
	free(models);
	config_free(config);
	stop_by_signal();
	return status;
}

int cmd_pause(const struct command_line *line)
{
	return run(line, true);
}

int cmd_resume(const struct command_line *line)
{
	return run(line, false);
}
