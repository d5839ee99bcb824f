/*
 * stepped_clock - has a program see a wall clock that is set while it runs, for tests; loaded by
 * LD_PRELOAD.
 *
 * CLOCK_STEP_FILE is a file of eight bytes: by how many seconds the clock is off now, as a number
 * of the machine's own form.  Waits until a time of the wall clock end when that clock gets there,
 * as the kernel's do, however often it is set meanwhile; the monotonic clock is left alone.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#define SLICE_NS 10000000 /* a wait reads the clock at this interval */
#define SECOND   INT64_C(1000000000)

static const int64_t none;
static const volatile int64_t *step = &none; /* libraries that are begun before this one ask, too */

typedef int timed_wait(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("CLOCK_STEP_FILE");
	int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void *map = fd >= 0 ? mmap(NULL, sizeof *step, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
	if (map == MAP_FAILED) {
		fputs("stepped_clock: CLOCK_STEP_FILE is no such file\n", stderr);
		_exit(99);
	}
	close(fd);
	step = map;
}

static bool is_wall_clock(clockid_t clock)
{
	return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE;
}

static int64_t nanoseconds(struct timespec t)
{
	return t.tv_sec * SECOND + t.tv_nsec;
}

static struct timespec timespec_of(int64_t ns)
{
	return (struct timespec){ .tv_sec = ns / SECOND, .tv_nsec = ns % SECOND };
}

static int64_t real_now(void)
{
	struct timespec t;
	syscall(SYS_clock_gettime, CLOCK_REALTIME, &t);
	return nanoseconds(t);
}

int clock_gettime(clockid_t clock, struct timespec *t)
{
	long result = syscall(SYS_clock_gettime, clock, t);
	if (result == 0 && is_wall_clock(clock))
		t->tv_sec += *step;
	return (int)result;
}

int gettimeofday(struct timeval *restrict t, void *restrict zone)
{
	struct timespec now;
	(void)zone;
	clock_gettime(CLOCK_REALTIME, &now);
	*t = (struct timeval){ .tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000 };
	return 0;
}

time_t time(time_t *t)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	if (t != NULL)
		*t = now.tv_sec;
	return now.tv_sec;
}

int timespec_get(struct timespec *t, int base)
{
	return base == TIME_UTC && clock_gettime(CLOCK_REALTIME, t) == 0 ? base : 0;
}

/* Whether timed waits for a condition are by the monotonic clock (glibc, nptl/pthread_cond_wait.c:
 * the second bit of __wrefs). */
static bool is_monotonic(const pthread_cond_t *condition)
{
	return (condition->__data.__wrefs & 2) != 0;
}

int pthread_cond_timedwait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex,
	const struct timespec *restrict until)
{
	timed_wait *wait = (timed_wait *)dlsym(RTLD_NEXT, "pthread_cond_timedwait");
	if (is_monotonic(condition))
		return wait(condition, mutex, until);
	for (;;) {
		int64_t now = real_now();
		int64_t left = nanoseconds(*until) - now - *step * SECOND;
		if (left <= 0)
			return ETIMEDOUT;
		struct timespec soon = timespec_of(now + (left < SLICE_NS ? left : SLICE_NS));
		int result = wait(condition, mutex, &soon);
		if (result != ETIMEDOUT)
			return result;
	}
}

int cnd_timedwait(
	cnd_t *restrict condition, mtx_t *restrict mutex, const struct timespec *restrict until)
{
	int result = pthread_cond_timedwait(
		(pthread_cond_t *)condition, (pthread_mutex_t *)mutex, until);
	return result == 0 ? thrd_success : result == ETIMEDOUT ? thrd_timedout : thrd_error;
}
