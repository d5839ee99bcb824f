/*
 * types - PostgreSQL's own types: their numbers, which are those of pg_type.dat and never change,
 * and how their values become JSON.
 */
#ifndef SIGNALBUS_TYPES_H
#define SIGNALBUS_TYPES_H

enum {
	BOOL_OID = 16,
	BYTEA_OID = 17,
	NAME_OID = 19,
	INT8_OID = 20,
	INT2_OID = 21,
	INT4_OID = 23,
	TEXT_OID = 25,
	OID_OID = 26,
	TID_OID = 27,
	JSON_OID = 114,
	XML_OID = 142,
	XML_ARRAY_OID = 143,
	FLOAT4_OID = 700,
	FLOAT8_OID = 701,
	BPCHAR_OID = 1042,
	VARCHAR_OID = 1043,
	DATE_OID = 1082,
	TIMESTAMP_OID = 1114,
	TIMESTAMPTZ_OID = 1184,
	NUMERIC_OID = 1700,
	UUID_OID = 2950,
	JSONB_OID = 3802,
	FIRST_NORMAL_OID =
		16384, /* types that are not PostgreSQL's own are numbered from here on */
};

/* How a value that PostgreSQL printed becomes JSON that equals PostgreSQL's to_json(). */
enum value_form {
	FORM_STRING,      /* escape it */
	FORM_NUMBER,      /* as it is; NaN and infinities are strings */
	FORM_BOOLEAN,     /* t and f */
	FORM_JSON,        /* as it is: json and jsonb */
	FORM_BYTES,       /* \x…: base64 */
	FORM_TIMESTAMP,   /* in ISO style: T in the place of the space … */
	FORM_TIMESTAMPTZ, /* … and +00:00 in the place of +00, which is UTC */
	FORM_SERVER,      /* to_json() on the server, then as it is: all other types */
};
enum value_form type_form(unsigned type_oid);

#endif
