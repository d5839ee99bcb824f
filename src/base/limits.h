/*
 * limits - the time limits that depend on each other, in seconds, computed from `timeout` of the
 * configuration.  Pure.
 *
 *   - lock < timeout < answer: the lock time-out expires first, then the server's own limit
 *     (statement_timeout); only then the statement is cancelled.
 *   - burst <= idle transaction: the broker is waited for only while the rows are still ours. Burst
 *     counts from the beginning of the claim, the server's limit from its end.
 *   - diagnosis < burst: the cluster is asked why messages wait while they still do.
 *   - linger, propagation < timeout: what librdkafka holds back has time to be sent.
 *   - answer + burst + answer < alive: the longest silence of a worker that is not stuck, for the
 *     claim, the broker and the commit.
 *   - twice secret + connect < alive: a worker that connects is not stuck either.
 *   - PING_S and a tick < silence: a session that holds an ordered lock is used before the server
 *     ends it for being idle.
 */
#ifndef SIGNALBUS_LIMITS_H
#define SIGNALBUS_LIMITS_H

#include <math.h>

#define CONNECT_S 5.0 /* for one try of the daemon to connect */
#define PING_S    5.0 /* an unused session is pinged at this interval */

/* How long a program may take to print a secret; a worker may wait for it twice to connect. */
static inline double limit_secret(double timeout)
{
	return fmin(fmax(timeout, 1), 10);
}

/* How long a statement waits for others' locks. */
static inline double limit_lock(double timeout)
{
	return 0.9 * timeout;
}

/* How long the server's answer to a statement is waited for. */
static inline double limit_answer(double timeout)
{
	return timeout + 1;
}

/* How long the broker is waited for, from the beginning of a claim; and when the server ends the
 * idle transaction. */
static inline double limit_burst(double timeout)
{
	return 2 * timeout;
}

/* When the broker ends a transaction of delivery = "exactly-once" whose sender is gone: after the
 * sender has given up; no brokers refuse it (transaction.max.timeout.ms, 15 minutes), and
 * librdkafka accepts its default of socket.timeout.ms, a minute. */
static inline double limit_transaction(double timeout)
{
	return fmax(timeout, fmax(70, fmin(4 * timeout + 10, 900)));
}

/* How long before the end of a burst's time, and how long after its beginning, the cluster is asked
 * why messages wait. */
static inline double limit_diagnosis(double timeout)
{
	return fmin(timeout / 4, 1);
}

/* How long librdkafka waits for more messages of a batch, at most; a flush ends that. */
static inline double limit_linger(double timeout)
{
	return fmin(timeout / 2, 1);
}

/* How long librdkafka waits for a topic that is unknown to it. */
static inline double limit_propagation(double timeout)
{
	return fmin(timeout / 4, 1);
}

/* How long a worker may make no progress before the daemon counts as stuck. */
static inline double limit_alive(double timeout)
{
	return 4 * timeout + 10;
}

/* When the server ends a session that holds an ordered lock and is silent, so that another process
 * can take over from one that is frozen. */
static inline double limit_silence(double timeout)
{
	return fmax(2 * timeout, 15);
}

#endif
