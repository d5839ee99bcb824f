#include "base/clock.h"
#include "base/stop.h"
#include "base/text.h"
#include "cli/command.h"
#include "kafka/broker.h"
#include "relay/flusher.h"

#include <stdlib.h>
#include <unistd.h>

static void log_start(const struct config *config, const size_t *models, size_t count)
{
	struct text names = { 0 };
	text_addf(&names, "Started flushing ");
	for (size_t i = 0; i < count; i++)
		text_addf(&names, "%s%s", i > 0 ? ", " : "", config->models[models[i]].name);
	log_info("%s.", names.text);
	text_free(&names);
}

static void log_sent(size_t sent)
{
	if (sent == 1)
		log_info("1 signal has been successfully processed.");
	else if (sent > 1)
		log_info("%zu signals have been successfully processed.", sent);
}

/* Flush, repeatedly if requested.  When repeating, the next flush makes up for a failure. */
static int flush_repeatedly(const struct command_line *line, const struct flush_plan *plan)
{
	struct flusher *f = flusher_new(plan);
	int status;
	do {
		struct instant start = clock_now();
		struct error e;
		size_t sent = 0;
		log_start(plan->config, plan->models, plan->model_count);
		bool ok = flusher_run(f, &sent, &e);
		log_sent(sent);
		status = ok ? 0 : error_exit_status(e.kind);
		if (line->repeat < 0)
			break;
		stop_wait(instant_after(start, line->repeat));
	} while (!stop_requested());
	flusher_free(f);
	return line->repeat >= 0 ? 0 : status;
}

static int flush(const struct command_line *line, enum discipline discipline)
{
	struct config *config = command_load(line, LOG_LEVEL_WARNING);
	if (config == NULL)
		return EXIT_WRONG_CONFIG;
	struct error e;
	size_t count;
	size_t *models = command_select(line, config, &count);
	int status = models != NULL ? 0 : EXIT_WRONG_USAGE;
	unsigned jobs = discipline == FLUSH_MANY ? line->jobs : 1;
	bool any = models != NULL && count > 0;
	struct broker *broker = any ? broker_new(config, jobs, &e) : NULL;
	if (broker != NULL) {
		struct flush_plan plan = { .discipline = discipline,
			.config = config,
			.broker = broker,
			.models = models,
			.model_count = count,
			.are_named = line->name_count > 0,
			.wait = line->wait,
			.jobs = jobs,
			.show_progress = log_enabled(LOG_LEVEL_WARNING) &&
					 log_format() == LOG_FORMAT_TEXT && isatty(STDERR_FILENO) };
		status = flush_repeatedly(line, &plan);
	} else if (any) {
		status = error_exit_status(e.kind);
		log_problem(e.text);
	}
	broker_free(broker);
	free(models);
	config_free(config);
	if (line->repeat < 0)
		stop_by_signal(); /* a flush that was interrupted is not done */
	return status;
}

int cmd_flush(const struct command_line *line)
{
	return flush(line, FLUSH_BY_KEY);
}

int cmd_flushmany(const struct command_line *line)
{
	return flush(line, FLUSH_MANY);
}

int cmd_flushordered(const struct command_line *line)
{
	return flush(line, FLUSH_ORDERED);
}
