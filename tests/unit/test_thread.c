#include "base/thread.h"

#include "log_doubles.h"
#include "suite.h"

#include <errno.h>
#include <signal.h>

/* As at the limit of threads. */
int pthread_create(
	pthread_t *newthread, const pthread_attr_t *attr, void *(*start_routine)(void *), void *arg)
{
	*newthread = 0;
	(void)attr, (void)start_routine, (void)arg;
	return EAGAIN;
}

void abort(void)
{
	check_logged(
		"error: cannot create the thread of a worker: Resource temporarily unavailable; "
		"raise the limit of threads (TasksMax)\n");
	raise(SIGABRT);
	_Exit(EXIT_FAILURE);
}

static void *nothing(void *arg)
{
	return arg;
}

START_TEST(a_missing_thread_is_reported_before_the_program_aborts)
{
	pthread_t thread;
	thread_start(&thread, nothing, NULL, "a worker");
}
END_TEST

int main(void)
{
	const struct test tests[] = {
		{ a_missing_thread_is_reported_before_the_program_aborts, 1, SIGABRT },
	};
	return suite_run("thread", tests, COUNT(tests));
}
