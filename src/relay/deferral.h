/*
 * deferral - rows of a model in no order that are put off: each cannot be sent for a reason of its
 * own, such as that its topic is missing, and holds up no other.  They are passed over by claims
 * until it is time to try them again, all at once.  Shared by the senders of a model; any thread.
 *
 * Only so many are remembered, since claims carry them along.  Rows beyond these are met again by
 * whoever looks from the beginning of the table, which must wait until that time, then.
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

/* Whether people need to know of a row that is put off. */
enum deferral_news {
	DEFERRAL_KNOWN, /* no: its reason was told since all went well, or too many others were */
	DEFERRAL_NEW,
	DEFERRAL_MANY, /* only that from now on there are too many to be told */
};

/* The latter, for a model and its table. */
#define DEFERRAL_MANY_FORMAT                                                                       \
	"model \"%s\": more signals of table %s cannot be sent; from now on the reasons are "      \
	"logged at log_level \"debug\" only"

/* Told of each row that is put off.  Called with the deferral locked. */
typedef void deferral_tell(void *arg, const struct error *e, enum deferral_news news);

struct deferral *deferral_new(deferral_tell *tell, void *arg);
void deferral_free(struct deferral *d);

/* Put a row off, for e.  With the first one the time begins until all are tried again, which grows
 * from 0.1 to 10 seconds. */
void deferral_add(
	struct deferral *d, const char *tableoid, const char *ctid, const struct error *e);

/* Add the rows to pass over to two array literals, of tableoids and of ctids.  Returns false, and
 * adds nothing, where there are none. */
bool deferral_list(struct deferral *d, struct text *tableoids, struct text *ctids);

/* A burst that sent nothing took so long over rows to put off, when others had been before it.  The
 * time until all are tried again grows by twice as much, so that such tries take half of the time
 * at most, and are not begun again before they have come to the end of the table. */
void deferral_extend(struct deferral *d, double seconds);

/* Whether rows are put off, and whether they are more than are remembered. */
bool deferral_has_rows(struct deferral *d);
bool deferral_is_full(struct deferral *d);

/* In how many seconds they are to be tried again; 0: now, or there are none. */
double deferral_rest(struct deferral *d, struct instant now);

/* Let the rows be claimed again; with only_due where it is time to. */
void deferral_release(struct deferral *d, struct instant now, bool only_due);

/* Nothing of the model was left to be seen, from the beginning of its table on.  Returns for how
 * many seconds rows were failing, if they were until now and are no more; else a negative number.
 */
double deferral_end(struct deferral *d, struct instant now);

/* Whether rows have been failing, and since when, and the last one for what. */
bool deferral_is_failing(struct deferral *d, struct instant *since, enum error_kind *kind);

#endif
