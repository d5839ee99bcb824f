/*
 * monotonic_cond - librdkafka's timed waits on the monotonic clock.
 *
 * librdkafka computes the end of a wait on the wall clock (rdtime.h and tinycthread_extra.c, from
 * 2.0.2 to 2.15.0) and passes it to C11's cnd_timedwait(), which glibc ends when the wall clock
 * reaches it: if the clock were set back by an hour while the broker is unavailable, all its
 * threads and all callers of rd_kafka_metadata() would wait for that hour.  This definition takes
 * precedence over glibc's, for the libraries of this program too, because ld.so(8) searches the
 * program first; it waits for the time that was left when it was called.
 */
#include "base/clock.h"

#include <errno.h>
#include <pthread.h>
#include <threads.h>

/* glibc defines them as their POSIX counterparts (nptl/cnd_timedwait.c). */
_Static_assert(sizeof(mtx_t) >= sizeof(pthread_mutex_t), "mtx_t has room");
_Static_assert(sizeof(cnd_t) >= sizeof(pthread_cond_t), "cnd_t has room");

static double seconds_until(const struct timespec *time)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (double)(time->tv_sec - now.tv_sec) + (double)(time->tv_nsec - now.tv_nsec) / 1e9;
}

int cnd_timedwait(
	cnd_t *restrict cond, mtx_t *restrict mutex, const struct timespec *restrict time_point)
{
	double left = seconds_until(time_point);
	struct timespec end = instant_timespec(instant_after(clock_now(), left > 0 ? left : 0));
	int error = pthread_cond_clockwait(
		(pthread_cond_t *)cond, (pthread_mutex_t *)mutex, CLOCK_MONOTONIC, &end);
	return error == 0 ? thrd_success : error == ETIMEDOUT ? thrd_timedout : thrd_error;
}
