/*
 * c11_threads - C11's threads on top of POSIX threads, for the thread sanitizer alone.
 *
 * librdkafka uses <threads.h>, which the sanitizer does not know: GCC's (12) does not intercept
 * thrd_create() and mtx_lock(), crashes in threads that it has not seen begin, and would not see
 * what their locks protect.  These definitions come before glibc's, and end in functions that it
 * intercepts.  In glibc, mtx_t and cnd_t have room for their POSIX counterparts.  cnd_timedwait() is
 * the program's own (monotonic_cond.c).
 */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <threads.h>

_Static_assert(sizeof(mtx_t) >= sizeof(pthread_mutex_t), "mtx_t has room");
_Static_assert(sizeof(cnd_t) >= sizeof(pthread_cond_t), "cnd_t has room");

struct start {
	thrd_start_t run;
	void *arg;
};

static int result_of(int error)
{
	switch (error) {
	case 0:
		return thrd_success;
	case EBUSY:
		return thrd_busy;
	case ETIMEDOUT:
		return thrd_timedout;
	default:
		return thrd_error;
	}
}

static void *run(void *arg)
{
	struct start start = *(struct start *)arg;
	free(arg);
	return (void *)(intptr_t)start.run(start.arg);
}

int thrd_create(thrd_t *thread, thrd_start_t function, void *arg)
{
	struct start *start = malloc(sizeof *start);
	if (start == NULL)
		return thrd_nomem;
	*start = (struct start){ function, arg };
	return result_of(pthread_create((pthread_t *)thread, NULL, run, start));
}

int thrd_join(thrd_t thread, int *result)
{
	void *value = NULL;
	int error = pthread_join((pthread_t)thread, &value);
	if (result != NULL)
		*result = (int)(intptr_t)value;
	return result_of(error);
}

int thrd_detach(thrd_t thread)
{
	return result_of(pthread_detach((pthread_t)thread));
}

int mtx_init(mtx_t *mutex, int type)
{
	pthread_mutexattr_t attributes;
	pthread_mutexattr_init(&attributes);
	if (type & mtx_recursive)
		pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
	int error = pthread_mutex_init((pthread_mutex_t *)mutex, &attributes);
	pthread_mutexattr_destroy(&attributes);
	return result_of(error);
}

void mtx_destroy(mtx_t *mutex)
{
	pthread_mutex_destroy((pthread_mutex_t *)mutex);
}

int mtx_lock(mtx_t *mutex)
{
	return result_of(pthread_mutex_lock((pthread_mutex_t *)mutex));
}

int mtx_trylock(mtx_t *mutex)
{
	return result_of(pthread_mutex_trylock((pthread_mutex_t *)mutex));
}

int mtx_unlock(mtx_t *mutex)
{
	return result_of(pthread_mutex_unlock((pthread_mutex_t *)mutex));
}

int cnd_init(cnd_t *condition)
{
	return result_of(pthread_cond_init((pthread_cond_t *)condition, NULL));
}

void cnd_destroy(cnd_t *condition)
{
	pthread_cond_destroy((pthread_cond_t *)condition);
}

int cnd_signal(cnd_t *condition)
{
	return result_of(pthread_cond_signal((pthread_cond_t *)condition));
}

int cnd_broadcast(cnd_t *condition)
{
	return result_of(pthread_cond_broadcast((pthread_cond_t *)condition));
}

int cnd_wait(cnd_t *condition, mtx_t *mutex)
{
	return result_of(pthread_cond_wait((pthread_cond_t *)condition, (pthread_mutex_t *)mutex));
}
