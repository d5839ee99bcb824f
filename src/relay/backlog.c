#include "relay/backlog.h"

#include "base/log.h"

#include <stdio.h>

void backlog_warn(const struct model_config *m, size_t pending, double rate)
{
	char time[80] = "";
	unsigned long left = rate > 0 ? (unsigned long)((double)pending / rate + 0.5) : 0;
	if (rate > 0)
		snprintf(time, sizeof time, ": at %.0f/s that takes %lu:%02lu:%02lu", rate,
			left / 3600, left / 60 % 60, left % 60);
	log_warning("model \"%s\": %zu signals are pending and burst_count is 1, so each is a "
		    "transaction of its own%s; set burst_count = 100",
		m->name, pending, time);
}
