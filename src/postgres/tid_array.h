/*
 * tid_array - ctids as a parameter of type tid[] in PostgreSQL's binary format: parsing their text
 * would cost the server more.  Pure.
 */
#ifndef SIGNALBUS_TID_ARRAY_H
#define SIGNALBUS_TID_ARRAY_H

#include "base/text.h"

/* Add a tid, given in text form, to an array: t, which is empty at first. */
void tid_array_add(struct text *t, const char *tid);

#endif
