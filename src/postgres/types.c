#include "postgres/types.h"

#include <stddef.h>

static const struct {
	unsigned type_oid;
	enum value_form form;
} forms[] = {
	{ BOOL_OID, FORM_BOOLEAN },
	{ BYTEA_OID, FORM_BYTES },
	{ NAME_OID, FORM_STRING },
	{ INT8_OID, FORM_NUMBER },
	{ INT2_OID, FORM_NUMBER },
	{ INT4_OID, FORM_NUMBER },
	{ TEXT_OID, FORM_STRING },
	{ JSON_OID, FORM_JSON },
	{ BPCHAR_OID, FORM_STRING },
	{ VARCHAR_OID, FORM_STRING },
	{ DATE_OID, FORM_STRING },
	{ TIMESTAMP_OID, FORM_TIMESTAMP },
	{ TIMESTAMPTZ_OID, FORM_TIMESTAMPTZ },
	{ NUMERIC_OID, FORM_NUMBER },
	{ UUID_OID, FORM_STRING },
	{ JSONB_OID, FORM_JSON },
};

enum value_form type_form(unsigned type_oid)
{
	for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++)
		if (forms[i].type_oid == type_oid)
			return forms[i].form;
	return FORM_SERVER;
}
