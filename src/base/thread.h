/*
 * thread - start a thread that the program cannot do without.
 */
#ifndef SIGNALBUS_THREAD_H
#define SIGNALBUS_THREAD_H

#include <pthread.h>

/* Start a thread, which the caller joins.  If that is not possible, log the reason and abort; what
 * names the thread: "a worker". */
void thread_start(pthread_t *thread, void *(*run)(void *arg), void *arg, const char *what);

#endif
