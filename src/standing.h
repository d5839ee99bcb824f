/*
 * standing - how each model of the daemon stands: whether it goes well, and where it does not, when
 * to try it again.  A change is logged once, whichever worker finds it.  Any thread.
 */
#ifndef SIGNALBUS_STANDING_H
#define SIGNALBUS_STANDING_H

#include "config.h"
#include "error.h"
#include "position.h"

#include <stddef.h>

struct standing;

/* For the models of a configuration, which it borrows. */
struct standing *standing_new(const struct config *config);
void standing_free(struct standing *s);

/* Where new rows of a model are, as far as the workers know. */
struct position *standing_position(const struct standing *s, size_t model);

/* A model was served, all went well. */
void standing_success(struct standing *s, size_t model);

/* Serving a model failed.  Returns for how many seconds to leave it alone; dice is from [0, 1). */
double standing_failure(struct standing *s, size_t model, const struct error *e, double dice);

#endif
