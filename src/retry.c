#include "retry.h"

struct retry retry_new(double patience, struct instant now)
{
	return (struct retry){ .patience = patience, .since = now };
}

void retry_success(struct retry *r, struct instant now)
{
	*r = retry_new(r->patience, now);
}

bool retry_again(
	struct retry *r, enum error_kind kind, struct instant now, double dice, double *delay)
{
	switch (error_policy(kind)) {
	case POLICY_RETRY:
	case POLICY_PREPARE:
		*delay = clock_conflict_delay(++r->conflicts);
		return *delay >= 0;
	case POLICY_CONNECT:
	case POLICY_WAIT:
		*delay = clock_backoff_delay(++r->waits, dice);
		/* A wait that would end after the time is up need not begin. */
		return instant_seconds(r->since, now) + *delay < r->patience;
	case POLICY_GIVE_UP:
		break;
	}
	return false;
}
