/*
 * identity - which database it is, as a text "SYSTEM/OID/NAME": the server's system identifier, 0
 * if it is unknown; the database's oid; and its name, for people.  Pure.
 *
 * A standby that is promoted has the identity of its primary.  A dump that is restored has not.
 */
#ifndef SIGNALBUS_IDENTITY_H
#define SIGNALBUS_IDENTITY_H

#include "base/text.h"

#include <stdbool.h>

/* Whether two identities are those of different databases, as far as it is known: if a system
 * identifier is unknown, the names tell, because first databases of all servers have the same oid.
 * What is no identity, is of any. */
bool identity_differs(const char *a, const char *b);

/* Add the identity to t, for people. */
void identity_describe(const char *identity, struct text *t);

#endif
