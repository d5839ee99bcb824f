#include "model/size_guard.h"

/* Values up to this size are read, and sent or rejected, whatever a message may have: a burst may
 * be as large by default. */
#define READ_MAX ((size_t)16 << 20)

/* The text in the encoding of the server, or in another form than in the message, may be several
 * times as long; it is too large by itself in any case. */
#define FORMS_MAX 4

/* Of this many bytes the best compression of PostgreSQL, lz4, makes one. */
#define COMPRESSION_MAX 256

size_t size_guard_max(const struct model *m)
{
	return m->message_max * FORMS_MAX > READ_MAX ? m->message_max * FORMS_MAX : READ_MAX;
}

static bool is_of_characters(const struct column *c)
{
	return c->type_oid == TEXT_OID || c->type_oid == VARCHAR_OID || c->type_oid == BPCHAR_OID;
}

/* Whether the server knows the size without reading the value. */
static bool is_known(const struct column *c)
{
	return is_of_characters(c) || c->form == FORM_BYTES;
}

bool size_guard_applies(const struct column *c)
{
	return is_known(c) || c->form == FORM_JSON || c->form == FORM_SERVER;
}

static void add_size(struct text *t, bool is_known, const char *value)
{
	text_addf(t,
		is_known ? "pg_catalog.octet_length(%s)"
			 : "pg_catalog.octet_length(pg_catalog.format('%%s', %s))",
		value);
}

/* Others become text only if they may be too large. */
void size_guard_add(
	struct text *t, const struct model *m, const struct column *c, const char *reference)
{
	if (!is_known(c))
		text_addf(t, "pg_catalog.pg_column_size(%s) OPERATOR(pg_catalog.>) %zu AND ",
			reference, size_guard_max(m) / COMPRESSION_MAX);
	add_size(t, is_known(c), reference);
	text_addf(t, " OPERATOR(pg_catalog.>) %zu", size_guard_max(m));
}

void size_guard_add_size(struct text *t, const struct column *c, const char *value)
{
	text_addf(t, "COALESCE(");
	add_size(t, c != NULL && is_known(c), value);
	text_addf(t, ", 0)");
}
