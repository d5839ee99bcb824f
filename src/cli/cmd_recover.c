#include "base/clock.h"
#include "base/stop.h"
#include "cli/command.h"
#include "kafka/broker.h"
#include "relay/burst.h"
#include "store/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* What is prepared now. */
static bool count_prepared(struct store *s, size_t *count, struct error *e)
{
	struct rows *rows = NULL;
	bool ok = store_list_prepared(s, &rows, e);
	*count = rows_count(rows);
	rows_free(rows);
	return ok;
}

static int recover(const struct config *config, struct broker *broker)
{
	struct error e;
	struct store *s = store_new(config);
	struct recovery *r = recovery_new(config->instance);
	struct burst *b = burst_new(config, s, broker, (struct burst_owner){ 0, 1, r });
	size_t before = 0, after = 0;
	bool ok = command_connect_store(s, config, &e) && count_prepared(s, &before, &e) &&
		  burst_recover(b, &e) && count_prepared(s, &after, &e);
	size_t undecided = recovery_count_waiting(r);
	burst_free(b);
	recovery_free(r);
	store_free(s);
	if (!ok)
		return command_failed("Cannot recover: ", &e);
	if (before > 0)
		printf("%zu prepared transaction%s of instance \"%s\": %zu resolved, %zu left\n",
			before, before == 1 ? "" : "s", config->instance, before - after, after);
	return undecided > 0 ? EXIT_FAILURE : command_finish_output();
}

int cmd_recover(const struct command_line *line)
{
	struct error e;
	struct config *config = command_load(line, LOG_LEVEL_WARNING);
	if (config == NULL)
		return EXIT_WRONG_CONFIG;
	config->delivery = DELIVERY_EXACTLY_ONCE; /* it may have been changed since */
	struct broker *broker = broker_new(config, 1, &e);
	int status = broker != NULL ? recover(config, broker) : command_failed("", &e);
	broker_free(broker);
	config_free(config);
	stop_by_signal();
	return status;
}
