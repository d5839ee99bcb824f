/*
 * standing - how each model of the daemon stands: whether it goes well, and where it does not, when
 * to try it again.  Any thread.
 *
 * A failure that will not pass by itself is logged at once, any other one when it has lasted longer
 * than `timeout`, whichever worker finds it; each reason once, and once that it is over.
 */
#ifndef SIGNALBUS_STANDING_H
#define SIGNALBUS_STANDING_H

#include "config.h"
#include "deferral.h"
#include "error.h"
#include "position.h"
#include "text.h"

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
 * latter proves nothing while another worker is at it, which may have all rows locked. */
void standing_success(struct standing *s, size_t model, bool has_sent);

/* Serving it failed; it was begun at start.  Returns for how many seconds to leave it alone; dice
 * is from [0, 1). */
double standing_failure(
	struct standing *s, size_t model, const struct error *e, struct instant start, double dice);

/* It was given back for no fault of its own. */
void standing_leave(struct standing *s, size_t model);

/* Whether the last try failed, and it waits for the next one. */
bool standing_is_stopped(struct standing *s, size_t model);

/* Add to t the models of which a failure was logged that is not over, such as
 * "Mail (broker, 75 s), Order (database, 3 s)"; nothing where there are none. */
void standing_describe(struct standing *s, struct instant now, struct text *t);

#endif
