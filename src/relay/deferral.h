/*
 * deferral - deferred rows of an unordered model: each cannot be sent for a reason of its own, such
 * as a missing topic, and delays no other.  Claims skip them until it is time to retry them, all at
 * once.  Shared by the senders of a model; any thread.
 *
 * The number of remembered rows is limited, because claims carry them.  Further rows are found
 * again by every scan from the beginning of the table, which therefore must wait until the retry.
 */
#ifndef SIGNALBUS_DEFERRAL_H
#define SIGNALBUS_DEFERRAL_H

#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>

struct deferral;

enum { DEFERRAL_MAX = 1000, DEFERRAL_TOLD_MAX = 20 };

/* Whether to log a deferred row. */
enum deferral_news {
	DEFERRAL_KNOWN, /* no: its reason was logged since the model last succeeded, or too many
			   others were */
	DEFERRAL_NEW,
	DEFERRAL_MANY, /* log only that from now on there are too many to log */
};

/* The latter, for a model and its table. */
#define DEFERRAL_MANY_FORMAT                                                                       \
	"model \"%s\": more signals of table %s cannot be sent; from now on the reasons are "      \
	"logged at log_level \"debug\" only"

/* Called for each deferred row, with the deferral locked. */
typedef void deferral_tell(void *arg, const struct error *e, enum deferral_news news);

struct deferral *deferral_new(deferral_tell *tell, void *arg);
void deferral_free(struct deferral *d);

/* Defer a row, because of e.  The first one starts the delay until all are retried, which grows
 * from 0.1 to 10 seconds. */
void deferral_add(
	struct deferral *d, const char *tableoid, const char *ctid, const struct error *e);

/* Add the rows to skip to two array literals, of tableoids and of ctids.  Returns false, and adds
 * nothing, if there are none. */
bool deferral_list(struct deferral *d, struct text *tableoids, struct text *ctids);

/* A burst that sent nothing spent this time on rows to defer, when others were deferred already.
 * The delay until all are retried grows by twice as much, so that such retries take at most half of
 * the time, and do not start again before they have reached the end of the table. */
void deferral_extend(struct deferral *d, double seconds);

/* Whether rows are deferred, and whether they are more than are remembered. */
bool deferral_has_rows(struct deferral *d);
bool deferral_is_full(struct deferral *d);

/* Seconds until they are retried; 0: now, or there are none. */
double deferral_rest(struct deferral *d, struct instant now);

/* Let the rows be claimed again; with only_due, if it is time. */
void deferral_release(struct deferral *d, struct instant now, bool only_due);

/* A scan from the beginning of the table found no more rows of the model.  Returns for how many
 * seconds rows were failing, if they were until now and no longer are; otherwise a negative
 * number. */
double deferral_end(struct deferral *d, struct instant now);

/* Whether rows have been failing, since when, and the reason for the last one. */
bool deferral_is_failing(struct deferral *d, struct instant *since, enum error_kind *kind);

#endif
