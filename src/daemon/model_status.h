/*
 * model_status - the state of each model of the daemon: whether sending succeeds and, if not, when
 * to try again.  Any thread.
 *
 * A failure that is not temporary is logged at once, any other one when it has lasted longer than
 * `timeout`, whichever worker detects it; each reason once, and once when it is over.
 */
#ifndef SIGNALBUS_MODEL_STATUS_H
#define SIGNALBUS_MODEL_STATUS_H

#include "base/error.h"
#include "base/text.h"
#include "config/config.h"
#include "relay/deferral.h"
#include "relay/scan_position.h"
#include "store/held_rows.h"

#include <stddef.h>

struct model_status;

/* For the models of a configuration, which it borrows. */
struct model_status *status_new(const struct config *config);
void status_free(struct model_status *s);

/* The position of new rows of a model, as far as the workers know, and its deferred rows. */
struct position *status_position(const struct model_status *s, size_t model);
struct deferral *status_deferral(const struct model_status *s, size_t model);

/* A worker begins to serve a model; one of the other calls ends this. */
void status_begin(struct model_status *s, size_t model);

/* While it is served: the scan from the beginning of its table found nothing. */
void status_emptied(struct model_status *s, size_t model);

/* It was served without an error, and something was sent, or nothing was found.  The latter proves
 * nothing while another worker, which may have all rows locked, is serving it, or while rows are
 * deferred, which claims skip. */
void status_success(struct model_status *s, size_t model, bool has_sent);

/* Serving it failed; it began at start.  Returns for how many seconds to pause it; jitter is from
 * [0, 1). */
double status_failure(struct model_status *s, size_t model, const struct error *e,
	struct instant start, double jitter);

/* It was returned for reasons of its own worker, or with rows deferred and nothing sent. */
void status_leave(struct model_status *s, size_t model);

/* An operator has paused or resumed it. */
void status_pause(struct model_status *s, size_t model, bool is_paused);

/* Whether the last attempt failed, and it waits for the next one, or rows of it are deferred, or
 * other sessions keep some locked. */
bool status_is_stopped(struct model_status *s, size_t model);

/* Rows of it were counted.  Any time. */
void status_counted(struct model_status *s, size_t model);

/* While it is served: whether to read a row that other sessions may have locked: *row, or any row
 * if it has no ctid.  swept: the scan from the beginning of its table found nothing. */
bool status_looks(struct model_status *s, size_t model, bool swept, struct sighting *row);

/* The result of reading.  Returns whether to log it, with status_tell_held(). */
bool status_saw(struct model_status *s, size_t model, bool swept, const struct sighting *row);

/* Log that other sessions have rows of its table locked; who names them. */
void status_tell_held(struct model_status *s, size_t model, const char *table, const char *who);

/* Whether there is a row that a scan did not find, as far as is known, and whether to check soon
 * whether other sessions keep one locked. */
bool status_sees_rows(struct model_status *s, size_t model);
bool status_watches(struct model_status *s, size_t model);

/* Add to t the models with a logged failure that is not over, or with deferred rows, and the paused
 * ones, such as "; stopped: Mail (broker, 75 s), Order (database, 3 s); paused: Invoice"; nothing
 * if there are none. */
void status_describe(struct model_status *s, struct instant now, struct text *t);

#endif
