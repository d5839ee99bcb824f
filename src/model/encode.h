/*
 * encode - converts a claimed row to a Kafka message, in the shape of its model.  Pure.
 *
 * If the value is a JSON object, it is compact, and its members are, in the model's order, what
 * PostgreSQL's to_json() returns for them; bytea is base64.
 */
#ifndef SIGNALBUS_ENCODE_H
#define SIGNALBUS_ENCODE_H

#include "base/error.h"
#include "base/text.h"
#include "model/message.h"
#include "model/model.h"
#include "postgres/rows.h"

#include <stdbool.h>
#include <stddef.h>

struct encoder;

/* An encoder for rows of a model, which it borrows.  It belongs to one thread. */
struct encoder *encoder_new(const struct model *m);
void encoder_free(struct encoder *enc);

/* Encode the row with these fields; the pointers in message belong to the row, to the model and to
 * the encoder, and are valid until the next row, or until the value is kept.  Fails with
 * ERROR_REJECTED: this row can never be a message. */
bool encode_row(
	struct encoder *enc, const struct field *fields, struct message *message, struct error *e);

/* Add "(id)=(5)", which identifies this row for people: long values are shortened in the middle. */
void encode_identity(const struct model *m, const struct field *fields, struct text *t);

#endif
