/*
 * shape - which columns and expressions of a row become which parts of its message.  Pure.  For
 * model.c alone.
 */
#ifndef SIGNALBUS_SHAPE_H
#define SIGNALBUS_SHAPE_H

#include "base/error.h"
#include "model/model.h"

#include <stdbool.h>

/* Fill in the shape of the messages, and the outputs of a claim that it takes.  Returns false with
 * ERROR_CONFIG, text beginning with FILE:LINE:, where settings and columns do not fit, and that is
 * not tolerated. */
bool shape_resolve(struct model *m, struct error *e);

/* The field of a claimed row that holds a column as it is; from then on a claim takes it. */
size_t shape_field(struct model *m, size_t column);

#endif
