#include "model/size_guard.h"

/* Values up to this size are read, and sent or rejected, whatever a message may have: a burst may
 * be as large by default. */
#define READ_MAX ((size_t)16 << 20)

/* The text in the encoding of the server, or in another form than in the message, may be several
 * times as long; it is too large by itself in any case. */
#define FORMS_MAX 4

/* Of this many bytes the best compression of PostgreSQL, lz4, makes one. */
#define COMPRESSION_MAX 256

static size_t read_max(const struct model *m)
{
	return m->message_max * FORMS_MAX > READ_MAX ? m->message_max * FORMS_MAX : READ_MAX;
}

static bool is_of_characters(const struct column *c)
{
	return c->type_oid == TEXT_OID || c->type_oid == VARCHAR_OID || c->type_oid == BPCHAR_OID;
}

bool size_guard_applies(const struct column *c)
{
	return is_of_characters(c) || c->form == FORM_BYTES || c->form == FORM_JSON ||
	       c->form == FORM_SERVER;
}

/* The size of a column's text.  Of text and bytea, the server knows it without reading them. */
static void add_size(struct text *t, const struct column *c, const char *reference)
{
	if (is_of_characters(c) || c->form == FORM_BYTES)
		text_addf(t, "pg_catalog.octet_length(%s)", reference);
	else
		text_addf(t, "pg_catalog.octet_length(pg_catalog.format('%%s', %s))", reference);
}

/* Others become text only if they may be too large. */
void size_guard_add(
	struct text *t, const struct model *m, const struct column *c, const char *reference)
{
	if (!is_of_characters(c) && c->form != FORM_BYTES)
		text_addf(t, "pg_catalog.pg_column_size(%s) OPERATOR(pg_catalog.>) %zu AND ",
			reference, read_max(m) / COMPRESSION_MAX);
	add_size(t, c, reference);
	text_addf(t, " OPERATOR(pg_catalog.>) %zu", read_max(m));
}

void size_guard_add_failure(
	struct text *t, const struct model *m, const struct column *c, const char *reference)
{
	text_addf(t, "CASE WHEN ");
	size_guard_add(t, m, c, reference);
	text_addf(t, " THEN " SIZE_GUARD_FAIL);
	add_size(t, c, reference);
	text_addf(t, ", ' bytes, and kafka.message_max_bytes is %zu'))::pg_catalog.text END",
		m->message_max);
}
