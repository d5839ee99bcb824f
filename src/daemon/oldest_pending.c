#include "daemon/oldest_pending.h"

/* A row that cannot be sent is retried at least this often: back-off, and some time for an
 * attempt. */
#define STUCK_S 60.0
/* A visit may be late by this much, because others come first. */
#define LATE_S 5.0

void oldest_pending_begin(struct oldest_pending *l, struct instant now)
{
	*l = (struct oldest_pending){ .emptied = now };
}

void oldest_pending_served(struct oldest_pending *l, bool emptied, struct instant now)
{
	if (l->is_stuck && instant_seconds(l->failed, now) < STUCK_S)
		return;
	l->is_stuck = false;
	l->is_behind = !emptied;
	if (emptied)
		l->emptied = now;
}

void oldest_pending_failed(struct oldest_pending *l, enum error_kind kind, struct instant now)
{
	enum error_policy policy = error_policy(kind);
	l->is_behind = true;
	if (policy != POLICY_GIVE_UP && policy != POLICY_WAIT)
		return; /* the rows are unlocked now, and the next scan finds them */
	l->is_stuck = true;
	l->failed = now;
}

void oldest_pending_counted_none(struct oldest_pending *l, struct instant now)
{
	oldest_pending_begin(l, now);
}

void oldest_pending_seen(struct oldest_pending *l, bool is_same, struct instant now)
{
	l->is_behind = true;
	if (!is_same)
		l->emptied = now;
}

double oldest_pending_seconds(
	const struct oldest_pending *l, bool is_reachable, double interval, struct instant now)
{
	double seconds = instant_seconds(l->emptied, now);
	if (!l->is_behind && is_reachable && seconds <= interval + LATE_S)
		return 0;
	return seconds;
}
