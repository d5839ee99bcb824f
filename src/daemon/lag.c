#include "daemon/lag.h"

/* A row that cannot be sent is retried at least this often: back-off, and some time for an
 * attempt. */
#define STUCK_S 60.0
/* A visit may be late by this much, because others come first. */
#define LATE_S 5.0

void lag_begin(struct lag *l, struct instant now)
{
	*l = (struct lag){ .emptied = now };
}

void lag_served(struct lag *l, bool emptied, struct instant now)
{
	if (l->is_stuck && instant_seconds(l->failed, now) < STUCK_S)
		return;
	l->is_stuck = false;
	l->is_behind = !emptied;
	if (emptied)
		l->emptied = now;
}

void lag_failed(struct lag *l, enum error_kind kind, struct instant now)
{
	enum error_policy policy = error_policy(kind);
	l->is_behind = true;
	if (policy != POLICY_GIVE_UP && policy != POLICY_WAIT)
		return; /* the rows are unlocked now, and the next scan finds them */
	l->is_stuck = true;
	l->failed = now;
}

void lag_counted_none(struct lag *l, struct instant now)
{
	lag_begin(l, now);
}

double lag_seconds(const struct lag *l, bool is_reachable, double interval, struct instant now)
{
	double seconds = instant_seconds(l->emptied, now);
	if (!l->is_behind && is_reachable && seconds <= interval + LATE_S)
		return 0;
	return seconds;
}
