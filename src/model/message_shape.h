/*
 * message_shape - which columns and expressions of a row become which parts of its message.  Pure.
 * Used by model_resolve.c only.
 */
#ifndef SIGNALBUS_MESSAGE_SHAPE_H
#define SIGNALBUS_MESSAGE_SHAPE_H

#include "base/error.h"
#include "model/model.h"

#include <stdbool.h>

/* Fill in the shape of the messages, and the outputs that a claim needs for it.  Returns false with
 * ERROR_CONFIG, text beginning with FILE:LINE:, if settings and columns do not match, and this is
 * not tolerated. */
bool shape_resolve(struct model *m, struct error *e);

/* The field of a claimed row that holds a column unchanged; adds it to the claim. */
size_t shape_field(struct model *m, size_t column);

#endif
