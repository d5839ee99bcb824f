#include "base/error.h"
#include "base/stop.h"
#include "cli/command.h"
#include "model/triggers.h"
#include "store/store.h"

#include <stdio.h>
#include <stdlib.h>

/* What to print, and for which models. */
struct wanted {
	const struct config *config;
	bool drop;
	bool dead_letters; /* the definition of their table */
	bool triggers;
	const size_t *models;
	size_t count;
};

static bool add_triggers(struct store *s, const struct wanted *w, struct text *t, struct error *e)
{
	if (!command_read_models(s, w->models, w->count, e))
		return false;
	const struct model **models = memory_new(w->count, sizeof *models);
	bool ok = true;
	for (size_t i = 0; ok && i < w->count; i++)
		ok = (models[i] = store_model(s, w->models[i], e)) != NULL;
	if (ok && w->drop)
		triggers_drop(t, models, w->count, w->count == w->config->model_count);
	else if (ok)
		triggers_install(t, models, w->count, store_server_version(s));
	free(models);
	return ok;
}

static bool add_statements(struct store *s, const struct wanted *w, struct text *t, struct error *e)
{
	text_addf(t, "BEGIN;\n");
	bool ok = command_connect_store(s, w->config, e) &&
		  (!w->dead_letters || store_define_dead_letters(s, t, e)) &&
		  (!w->triggers || add_triggers(s, w, t, e));
	text_addf(t, "COMMIT;\n");
	return ok;
}

/* Print the statements, or log why that is not possible. */
static int print_statements(const struct wanted *w)
{
	struct error e;
	struct text t = { 0 };
	struct store *s = store_new(w->config);
	bool ok = add_statements(s, w, &t, &e);
	store_free(s);
	if (ok)
		fputs(t.text, stdout);
	text_free(&t);
	return ok ? command_finish_output() : command_failed("", &e);
}

int cmd_triggers(const struct command_line *line)
{
	struct config *config = command_load(line, LOG_LEVEL_WARNING);
	if (config == NULL)
		return EXIT_WRONG_CONFIG;
	struct wanted w = { .config = config,
		.drop = line->drop,
		.dead_letters = config->dead_letter_table != NULL && !line->drop,
		.triggers = config->notify_channel[0] != '\0' || line->drop };
	if (!w.triggers && !w.dead_letters) {
		int status = command_refuse(config, "notify_channel",
			"notify_channel is \"\"; set it to the channel that the triggers notify, "
			"such as \"signalbus\"");
		config_free(config);
		return status;
	}
	/* The dead letter table need not exist yet, and what the triggers do not need is not
	 * examined, since that takes privileges on the signal table. */
	for (size_t i = 0; i < config->model_count; i++) {
		struct model_config *m = &config->models[i];
		m->on_reject = ON_REJECT_STOP;
		m->where = NULL;
	}
	size_t *models = command_select(line, config, &w.count);
	w.models = models;
	int status = models != NULL ? print_statements(&w) : EXIT_WRONG_USAGE;
	free(models);
	config_free(config);
	stop_by_signal();
	return status;
}
