#include "catalog/json_schema.h"

#include "base/text.h"
#include "base/utf8.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#define DRAFT "https://json-schema.org/draft/2020-12/schema"

/* Types that are not simply strings. */
static const struct simple_type {
	unsigned oid;
	const char *types[2]; /* JSON's */
	const char *format;
	const char *minimum, *maximum;
	const char *pattern; /* of those that are strings */
} simple_types[] = {
	{ BOOL_OID, .types = { "boolean" } },
	{ BYTEA_OID, .types = { "string" },
		.pattern = "^\\\\x([0-9a-f]{2})*$" }, /* within others */
	{ INT8_OID, .types = { "integer" }, .minimum = "-9223372036854775808",
		.maximum = "9223372036854775807" },
	{ INT2_OID, .types = { "integer" }, .minimum = "-32768", .maximum = "32767" },
	{ INT4_OID, .types = { "integer" }, .minimum = "-2147483648", .maximum = "2147483647" },
	{ FLOAT4_OID, .types = { "number", "string" }, .pattern = "^(NaN|-?Infinity)$" },
	{ FLOAT8_OID, .types = { "number", "string" }, .pattern = "^(NaN|-?Infinity)$" },
	{ DATE_OID, .types = { "string" }, .format = "date" },
	{ TIMESTAMPTZ_OID, .types = { "string" }, .format = "date-time" },
	{ NUMERIC_OID, .types = { "number", "string" }, .pattern = "^(NaN|-?Infinity)$" },
	{ UUID_OID, .types = { "string" }, .format = "uuid" },
};

static cJSON *type_schema(const struct facts *f, unsigned oid);

static cJSON *must(cJSON *item)
{
	if (item == NULL)
		abort();
	return item;
}

static void add(cJSON *object, const char *name, cJSON *item)
{
	if (!cJSON_AddItemToObject(object, name, must(item)))
		abort();
}

static void add_string(cJSON *object, const char *name, const char *text)
{
	if (text != NULL)
		add(object, name, cJSON_CreateString(text));
}

static void add_raw(cJSON *object, const char *name, const char *text)
{
	if (text != NULL)
		add(object, name, cJSON_CreateRaw(text));
}

static cJSON *of_types(const char *const *types, int count)
{
	cJSON *schema = must(cJSON_CreateObject());
	add(schema, "type", cJSON_CreateStringArray(types, count));
	return schema;
}

static cJSON *of_type(const char *type)
{
	return of_types(&type, 1);
}

static cJSON *simple_schema(unsigned oid)
{
	static const struct simple_type any = { .types = { "string" } };
	const struct simple_type *s = &any;
	for (size_t i = 0; i < sizeof simple_types / sizeof simple_types[0]; i++)
		if (simple_types[i].oid == oid)
			s = &simple_types[i];
	cJSON *schema = of_types(s->types, s->types[1] != NULL ? 2 : 1);
	add_string(schema, "format", s->format);
	add_raw(schema, "minimum", s->minimum);
	add_raw(schema, "maximum", s->maximum);
	add_string(schema, "pattern", s->pattern);
	return schema;
}

/* Make schema, whose ownership is taken, allow values of one more JSON type. */
static cJSON *allow(cJSON *schema, const char *type)
{
	cJSON *types = cJSON_GetObjectItemCaseSensitive(schema, "type");
	cJSON *values = cJSON_GetObjectItemCaseSensitive(schema, "enum");
	if (types == NULL && values == NULL)
		return schema; /* allows any value */
	if (values != NULL && strcmp(type, "null") == 0 && types == NULL) {
		cJSON_AddItemToArray(values, must(cJSON_CreateNull()));
		return schema;
	}
	if (types == NULL) {
		cJSON *either = must(cJSON_CreateObject());
		cJSON *choices = must(cJSON_CreateArray());
		cJSON_AddItemToArray(choices, schema);
		cJSON_AddItemToArray(choices, of_type(type));
		add(either, "anyOf", choices);
		return either;
	}
	for (const cJSON *known = types->child; known != NULL; known = known->next)
		if (strcmp(known->valuestring, type) == 0)
			return schema;
	cJSON_AddItemToArray(types, must(cJSON_CreateString(type)));
	return schema;
}

/* PostgreSQL's array types specify neither the number of dimensions nor that no element is NULL. */
static cJSON *array_schema(const struct facts *f, unsigned element)
{
	cJSON *schema = of_type("array");
	add(schema, "items", allow(allow(type_schema(f, element), "null"), "array"));
	return schema;
}

static cJSON *composite_schema(const struct facts *f, const char *attributes)
{
	cJSON *schema = of_type("object");
	cJSON *properties = must(cJSON_CreateObject());
	cJSON *required = must(cJSON_CreateArray());
	cJSON *list = must(cJSON_Parse(attributes));
	const cJSON *attribute;
	cJSON_ArrayForEach(attribute, list)
	{
		const char *name = cJSON_GetArrayItem(attribute, 0)->valuestring;
		unsigned oid = (unsigned)cJSON_GetArrayItem(attribute, 1)->valuedouble;
		add(properties, name, allow(type_schema(f, oid), "null"));
		cJSON_AddItemToArray(required, must(cJSON_CreateString(name)));
	}
	cJSON_Delete(list);
	add(schema, "properties", properties);
	add(schema, "required", required);
	return schema;
}

/* The result of to_json() for a value of the type that is not NULL. */
static cJSON *type_schema(const struct facts *f, unsigned oid)
{
	const struct type_facts *t = facts_type(f, oid);
	cJSON *schema;
	if (oid == JSON_OID || oid == JSONB_OID || (t != NULL && t->is_any_json))
		return must(cJSON_CreateObject());
	if (t == NULL)
		return simple_schema(oid);
	if (t->kind == 'd')
		return type_schema(f, t->base);
	if (t->attributes != NULL)
		return composite_schema(f, t->attributes);
	if (t->element != 0)
		return array_schema(f, t->element);
	if (t->labels == NULL)
		return simple_schema(oid);
	schema = must(cJSON_CreateObject());
	add(schema, "enum", cJSON_Parse(t->labels));
	return schema;
}

static cJSON *member_schema(const struct facts *f, const struct part *part)
{
	static const struct column_facts unknown = { .not_null = false };
	const struct column_facts *c =
		part->column < f->column_count ? &f->columns[part->column] : &unknown;
	cJSON *schema =
		part->type_oid == BYTEA_OID ? of_type("string") : type_schema(f, part->type_oid);
	if (part->type_oid == BYTEA_OID)
		add_string(schema, "contentEncoding", "base64");
	if (c->max_length > 0)
		add(schema, "maxLength", cJSON_CreateNumber((double)c->max_length));
	if (!c->not_null)
		schema = allow(schema, "null");
	add_string(schema, "description", c->comment);
	return schema;
}

static cJSON *new_document(const struct model *m, const char *description)
{
	cJSON *document = must(cJSON_CreateObject());
	add_string(document, "$schema", DRAFT);
	add_string(document, "title", m->settings->name);
	add_string(document, "description", description);
	return document;
}

static cJSON *object_document(const struct model *m, const struct facts *f)
{
	cJSON *document = new_document(m, f->comment);
	cJSON *properties = must(cJSON_CreateObject());
	cJSON *required = must(cJSON_CreateArray());
	for (size_t i = 0; i < m->member_count; i++) {
		add(properties, m->members[i].name, member_schema(f, &m->members[i]));
		cJSON_AddItemToArray(required, must(cJSON_CreateString(m->members[i].name)));
	}
	add_string(document, "type", "object");
	add(document, "properties", properties);
	add(document, "required", required);
	return document;
}

static bool is_json(unsigned oid)
{
	return oid == JSON_OID || oid == JSONB_OID;
}

char *schema_print(const struct model *m, const struct facts *f, struct error *e)
{
	cJSON *document;
	if (m->value_field == NO_FIELD) {
		document = object_document(m, f);
	} else {
		size_t column = m->outputs[m->value_field - ROW_FIXED_FIELDS].column;
		const struct column *c = &m->columns[column];
		if (!is_json(c->type_oid)) {
			model_error(m, "value", e,
				"the value is column \"%s\" as it is, of type %s: that is not JSON",
				c->name, c->type);
			return NULL;
		}
		document = new_document(
			m, column < f->column_count ? f->columns[column].comment : NULL);
	}
	char *text = cJSON_Print(document);
	if (text == NULL)
		abort();
	cJSON_Delete(document);
	return utf8_shown_json(text);
}
