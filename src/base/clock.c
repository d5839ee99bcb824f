#include "base/clock.h"

#include <limits.h>

#define NS_PER_SECOND INT64_C(1000000000)
#define NS_PER_MS     INT64_C(1000000)

#define CONFLICT_RETRIES 11
#define CONFLICT_FIRST_S 0.1
#define CONFLICT_LAST_S  1.0

#define BACKOFF_FIRST_S 0.1
#define BACKOFF_LAST_S  10.0

struct instant clock_now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (struct instant){ (int64_t)ts.tv_sec * NS_PER_SECOND + ts.tv_nsec };
}

struct instant instant_after(struct instant from, double seconds)
{
	double ns = seconds * (double)NS_PER_SECOND;
	if (ns >= (double)(INT64_MAX - from.ns))
		return INSTANT_NEVER;
	return (struct instant){ from.ns + (int64_t)ns };
}

bool instant_before(struct instant a, struct instant b)
{
	return a.ns < b.ns;
}

struct instant instant_earlier(struct instant a, struct instant b)
{
	return instant_before(b, a) ? b : a;
}

double instant_seconds(struct instant a, struct instant b)
{
	return (double)(b.ns - a.ns) / (double)NS_PER_SECOND;
}

int instant_poll_ms(struct instant deadline, struct instant now)
{
	if (deadline.ns == INT64_MAX)
		return -1;
	if (deadline.ns <= now.ns)
		return 0;
	int64_t left = deadline.ns - now.ns;
	int64_t ms = left / NS_PER_MS + (left % NS_PER_MS != 0);
	return ms > INT_MAX ? INT_MAX : (int)ms;
}

void clock_condition_init(pthread_cond_t *condition)
{
	pthread_condattr_t monotonic;
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(condition, &monotonic);
	pthread_condattr_destroy(&monotonic);
}

struct timespec instant_timespec(struct instant i)
{
	return (struct timespec){ .tv_sec = (time_t)(i.ns / NS_PER_SECOND),
		.tv_nsec = (long)(i.ns % NS_PER_SECOND) };
}

/* first × 2^doublings, at most last; doubling step by step cannot overflow. */
static double doubled(double first, unsigned doublings, double last)
{
	double delay = first;
	for (unsigned i = 0; i < doublings && delay < last; i++)
		delay *= 2;
	return delay < last ? delay : last;
}

double clock_conflict_delay(unsigned n)
{
	if (n > CONFLICT_RETRIES)
		return -1;
	return n <= 1 ? 0 : doubled(CONFLICT_FIRST_S, n - 2, CONFLICT_LAST_S);
}

double clock_backoff_delay(unsigned n, double jitter)
{
	double step = doubled(BACKOFF_FIRST_S, n > 0 ? n - 1 : 0, BACKOFF_LAST_S);
	return step / 2 + step / 2 * jitter;
}
