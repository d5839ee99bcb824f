/*
 * standing - how each model of the daemon stands: whether it goes well, and where it does not, when
 * to try it again.  Any thread.
 *
 * A failure that will not pass by itself is logged at once, any other one when it has lasted longer
 * than `timeout`, whichever worker finds it; each reason once, and once that it is over.
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

/* Where new rows of a model are, as far as the workers know, and which of them are put off. */
struct position *standing_position(const struct standing *s, size_t model);
struct deferral *standing_deferral(const struct standing *s, size_t model);

/* A worker begins to serve a model, which ends with one of the others. */
void standing_begin(struct standing *s, size_t model);

/* While it is served: from the beginning of its table on there was nothing. */
void standing_emptied(struct standing *s, size_t model);

/* It was served, all went well, and something was sent, or there was nothing to be seen.  The
 * latter proves nothing while another worker is at it, which may have all rows locked, or while
 * rows are put off, which claims pass over. */
void standing_success(struct standing *s, size_t model, bool has_sent);

/* Serving it failed; it was begun at start.  Returns for how many seconds to leave it alone; dice
 * is from [0, 1). */
double standing_failure(
	struct standing *s, size_t model, const struct error *e, struct instant start, double dice);

/* It was given back for no fault of its own, or with rows put off and nothing sent. */
void standing_leave(struct standing *s, size_t model);

/* Whether the last try failed, and it waits for the next one, or rows of it are put off, or others
 * have some locked. */
bool standing_is_stopped(struct standing *s, size_t model);

/* Rows of it were counted.  Any time. */
void standing_counted(struct standing *s, size_t model);

/* While it is served: whether to look at a row that others may have locked, *row, which has no ctid
 * where it is any one.  swept: there was nothing from the beginning of its table on. */
bool standing_looks(struct standing *s, size_t model, bool swept, struct sighting *row);

/* What was seen.  Returns whether people are to be told, with standing_tell_held(). */
bool standing_saw(struct standing *s, size_t model, bool swept, const struct sighting *row);

/* Others have rows of its table locked: who. */
void standing_tell_held(struct standing *s, size_t model, const char *table, const char *who);

/* Whether there is a row that a look did not find, as far as is known, and whether to look soon
 * whether others keep one locked. */
bool standing_sees_rows(struct standing *s, size_t model);
bool standing_watches(struct standing *s, size_t model);

/* Add to t the models of which a failure was logged that is not over, or rows are put off, such as
 * "Mail (broker, 75 s), Order (database, 3 s)"; nothing where there are none. */
void standing_describe(struct standing *s, struct instant now, struct text *t);

#endif
