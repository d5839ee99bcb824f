/*
 * standing - the state of each model of the daemon: whether sending succeeds and, if not, when to
 * try again.  Any thread.
 *
 * A failure that is not temporary is logged at once, any other one when it has lasted longer than
 * `timeout`, whichever worker detects it; each reason once, and once when it is over.
 */
#ifndef SIGNALBUS_STANDING_H
#define SIGNALBUS_STANDING_H

#include "base/error.h"
#include "base/text.h"
#include "config/config.h"
#include "relay/deferral.h"
#include "store/hold.h"
#include "store/position.h"

#include <stddef.h>

struct standing;

/* For the models of a configuration, which it borrows. */
struct standing *standing_new(const struct config *config);
void standing_free(struct standing *s);

/* The position of new rows of a model, as far as the workers know, and its deferred rows. */
struct position *standing_position(const struct standing *s, size_t model);
struct deferral *standing_deferral(const struct standing *s, size_t model);

/* A worker begins to serve a model; one of the other calls ends this. */
void standing_begin(struct standing *s, size_t model);

/* While it is served: the scan from the beginning of its table found nothing. */
void standing_emptied(struct standing *s, size_t model);

/* It was served without an error, and something was sent, or nothing was found.  The latter proves
 * nothing while another worker, which may have all rows locked, is serving it, or while rows are
 * deferred, which claims skip. */
void standing_success(struct standing *s, size_t model, bool has_sent);

/* Serving it failed; it began at start.  Returns for how many seconds to pause it; dice is from [0,
 * 1). */
double standing_failure(
	struct standing *s, size_t model, const struct error *e, struct instant start, double dice);

/* It was returned for reasons of its own worker, or with rows deferred and nothing sent. */
void standing_leave(struct standing *s, size_t model);

/* Whether the last attempt failed, and it waits for the next one, or rows of it are deferred, or
 * other sessions keep some locked. */
bool standing_is_stopped(struct standing *s, size_t model);

/* Rows of it were counted.  Any time. */
void standing_counted(struct standing *s, size_t model);

/* While it is served: whether to read a row that other sessions may have locked: *row, which has no
 * ctid if it is any row.  swept: the scan from the beginning of its table found nothing. */
bool standing_looks(struct standing *s, size_t model, bool swept, struct sighting *row);

/* The result of reading.  Returns whether to log it, with standing_tell_held(). */
bool standing_saw(struct standing *s, size_t model, bool swept, const struct sighting *row);

/* Other sessions have rows of its table locked: who. */
void standing_tell_held(struct standing *s, size_t model, const char *table, const char *who);

/* Whether there is a row that a scan did not find, as far as is known, and whether to check soon
 * whether other sessions keep one locked. */
bool standing_sees_rows(struct standing *s, size_t model);
bool standing_watches(struct standing *s, size_t model);

/* Add to t the models with a logged failure that is not over, or with deferred rows, such as "Mail
 * (broker, 75 s), Order (database, 3 s)"; nothing if there are none. */
void standing_describe(struct standing *s, struct instant now, struct text *t);

#endif
