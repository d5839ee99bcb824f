/*
 * error - why something expected went wrong: a kind, which decides what happens next, and a text
 * for people.  Values, owned by the caller; no I/O.
 *
 * A function that can fail this way returns bool and fills the struct error that it was given.
 * Texts are lower case, name the object and end with a hint where there is one.  An error is
 * returned or logged, never both.
 */
#ifndef SIGNALBUS_ERROR_H
#define SIGNALBUS_ERROR_H

#include <stdarg.h>
#include <stdbool.h>

enum error_kind {
	ERROR_NONE,
	ERROR_CONFIG,     /* the configuration is wrong */
	ERROR_CONNECTION, /* the database is away, or this session is lost */
	ERROR_POOLED,     /* the database gives no session of our own: a pooler is in between */
	ERROR_TEMPORARY,  /* a statement failed for what may pass, such as a lock; the session lives
			   */
	ERROR_CONFLICT,   /* serialization failure or deadlock */
	ERROR_PLAN,       /* a prepared statement no longer fits its table */
	ERROR_DATABASE,   /* the database refused; trying again would not help */
	ERROR_BROKER,     /* not acknowledged in time; the broker may or may not have the message */
	ERROR_TOPIC,      /* topic missing, or not authorized */
	ERROR_REJECTED,   /* the broker will never take this message */
	ERROR_BUSY,       /* another process holds the ordered lock of a model */
	ERROR_STOPPED,    /* asked to stop while waiting */
	ERROR_KINDS
};

/* What is done about an error of a kind by the one that flushes a model. */
enum error_policy {
	POLICY_GIVE_UP, /* this model cannot go on */
	POLICY_RETRY,   /* again on the schedule for conflicts, a limited number of times */
	POLICY_PREPARE, /* read the catalog and prepare anew, then again */
	POLICY_CONNECT, /* a new database session, then again, until the time is up */
	POLICY_WAIT,    /* again after a back-off, until the time is up */
};

struct error {
	enum error_kind kind;
	char sqlstate[6]; /* of the server's answer; empty: it has not said so */
	char text[1024];  /* what is too long ends with "…" */
};

/* Fill e, without an SQLSTATE.  Always returns false, so that a caller can `return error_set(…)`.
 */
bool error_set(struct error *e, enum error_kind kind, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The same with the arguments of a caller's `...`. */
bool error_vset(struct error *e, enum error_kind kind, const char *format, va_list args)
	__attribute__((format(printf, 3, 0)));

/* Put text in front of what e says: "text: …".  Always returns false. */
bool error_prefix(struct error *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What people call the kind, in a word. */
const char *error_kind_name(enum error_kind kind);

/* The one table that says what becomes of each kind. */
enum error_policy error_policy(enum error_kind kind);

/* The exit status of a command that ends with an error of this kind (sysexits.h numbers). */
int error_exit_status(enum error_kind kind);

#endif
