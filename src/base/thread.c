#include "base/thread.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>

void thread_start(pthread_t *thread, void *(*run)(void *arg), void *arg, const char *what)
{
	int code = pthread_create(thread, NULL, run, arg);
	if (code == 0)
		return;
	log_error("cannot create the thread of %s: %s; raise the limit of threads (TasksMax)", what,
		strerror(code));
	abort();
}
