#include "base/retry.h"

#include <math.h>

#define LAST_TRY_S 1.0

struct retry retry_new(double time_limit, struct instant now)
{
	return (struct retry){ .time_limit = time_limit, .since = now };
}

void retry_success(struct retry *r, struct instant now)
{
	*r = retry_new(r->time_limit, now);
}

struct instant retry_deadline(const struct retry *r, struct instant now)
{
	double left = r->time_limit - instant_seconds(r->since, now);
	return instant_after(now, fmax(left, LAST_TRY_S));
}

bool retry_again(
	struct retry *r, enum error_kind kind, struct instant now, double jitter, double *delay)
{
	double left = r->time_limit - instant_seconds(r->since, now);
	switch (error_policy(kind)) {
	case POLICY_RETRY:
	case POLICY_REPREPARE:
		*delay = clock_conflict_delay(++r->conflicts);
		return *delay >= 0;
	case POLICY_RECONNECT:
	case POLICY_WAIT:
		*delay = clock_backoff_delay(++r->waits, jitter);
		if (*delay > left) /* the last attempt is when the time is up */
			*delay = left;
		return left > 0;
	case POLICY_GIVE_UP:
		break;
	}
	return false;
}
