/*
 * recovery - when to look for what senders that are gone left, and which of their slots wait.  With
 * delivery = "exactly-once"; shared by the workers of a process, so that one of them searches at a
 * time.  Any thread; nothing blocks.
 *
 * A slot that cannot be resolved waits for 5 to 60 s, and delays no other slot.  It is logged when
 * that begins, and when it ends.
 */
#ifndef SIGNALBUS_RECOVERY_H
#define SIGNALBUS_RECOVERY_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct recovery;

/* instance is borrowed. */
struct recovery *recovery_new(const char *instance);
void recovery_free(struct recovery *r);

/* Whether it is time to look, and nobody else does; then call recovery_end(). */
bool recovery_begin(struct recovery *r);

/* The look is over; the next one is due in `seconds`.  If it saw all slots that somebody
 * left, those that it did not see have been resolved. */
void recovery_end(struct recovery *r, bool saw_all, double seconds);

/* Whether the slot, which somebody left, waits. */
bool recovery_waits(struct recovery *r, unsigned slot);

/* It waits, because it could not be resolved, or because it must be decided by hand, which the
 * caller has logged. */
void recovery_fail(struct recovery *r, unsigned slot, const struct error *e);
void recovery_put_off(struct recovery *r, unsigned slot, double seconds);

/* How many wait. */
size_t recovery_count_waiting(struct recovery *r);

/* Of the first slots, a bit for each: note those that are used now; which were, and are no longer?
 * Each of these stays one until its sender is known to be gone. */
uint64_t recovery_note_used(struct recovery *r, uint64_t used);
void recovery_is_gone(struct recovery *r, uint64_t slot);

#endif
