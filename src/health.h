/*
 * health - whether the database can be reached, as the threads of the daemon find it; each change
 * is logged once, however many of them find it.  Any thread.
 */
#ifndef SIGNALBUS_HEALTH_H
#define SIGNALBUS_HEALTH_H

#include <stdbool.h>
#include <stddef.h>

struct health;

struct health *health_new(void);
void health_free(struct health *h);

/* A connection was made, or could not be made because of reason. */
void health_connected(struct health *h);
void health_refused(struct health *h, const char *reason);

/* Whether the last try to connect succeeded; false before the first. */
bool health_is_up(struct health *h);

/* Put into reason, which has room for size bytes, why it did not; an empty text where it did. */
void health_view(struct health *h, char *reason, size_t size);

#endif
