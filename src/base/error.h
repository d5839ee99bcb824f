/*
 * error - an expected failure: a kind, which determines what happens next, and a text for people.
 * Values, owned by the caller; no I/O.
 *
 * A function that can fail in this way returns bool and fills the caller's struct error.  Texts are
 * lower case, name the object and end with a hint if there is one.  An error is returned or logged,
 * never both.
 */
#ifndef SIGNALBUS_ERROR_H
#define SIGNALBUS_ERROR_H

#include <stdarg.h>
#include <stdbool.h>

enum error_kind {
	ERROR_NONE,
	ERROR_CONFIG,      /* invalid configuration */
	ERROR_CONNECTION,  /* the database is unavailable, or this session is lost */
	ERROR_POOLED,      /* a pooler shares the session with other clients */
	ERROR_TEMPORARY,   /* a statement failed for a temporary reason, such as a lock; the session
			      is intact */
	ERROR_MEMORY,      /* a row is too large for the memory of this process; the session is
			      closed */
	ERROR_UNCONFIRMED, /* it is committed, though no standby has confirmed that */
	ERROR_CONFLICT,    /* serialization failure or deadlock */
	ERROR_PLAN,        /* a prepared statement no longer matches its table */
	ERROR_DATABASE,    /* the database refused; retrying would not help */
	ERROR_BROKER,   /* not acknowledged in time; the broker may or may not have the message */
	ERROR_TOPIC,    /* topic missing, or not authorized */
	ERROR_REJECTED, /* the broker will never take this message */
	ERROR_BUSY,     /* another process holds the ordered lock of a model */
	ERROR_LOCKED,   /* … which is no signalbus of this instance */
	ERROR_INSTANCE, /* another database uses the name of this instance */
	ERROR_STOPPED,  /* asked to stop while waiting */
	ERROR_KINDS
};

/* What to do about an error of a kind when flushing a model. */
enum error_policy {
	POLICY_GIVE_UP,   /* this model fails */
	POLICY_RETRY,     /* retry on the schedule for conflicts, a limited number of times */
	POLICY_REPREPARE, /* read the catalog, prepare again, and retry */
	POLICY_RECONNECT, /* reconnect and retry, until the time is up */
	POLICY_WAIT,      /* retry after a back-off, until the time is up */
};

struct error {
	enum error_kind kind;
	char sqlstate[6]; /* of the server's response; empty if it had none */
	char text[1024];  /* truncated with "…" if too long */
};

/* Fill e, without an SQLSTATE.  Always returns false, so that a caller can `return error_set(…)`.
 */
bool error_set(struct error *e, enum error_kind kind, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The same with the arguments of a caller's `...`. */
bool error_vset(struct error *e, enum error_kind kind, const char *format, va_list args)
	__attribute__((format(printf, 3, 0)));

/* Prepend text to the error: "text: …".  Always returns false. */
bool error_prefix(struct error *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Append text to the error.  Always returns false. */
bool error_suffix(struct error *e, const char *text);

/* The name of the kind for people, in one word. */
const char *error_kind_name(enum error_kind kind);

/* The policy for a kind; the only table of policies. */
enum error_policy error_policy(enum error_kind kind);

/* The exit status of a command that ends with an error of this kind (sysexits.h numbers). */
int error_exit_status(enum error_kind kind);

#endif
