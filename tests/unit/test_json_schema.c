#include "catalog/json_schema.h"

#include "model_fixture.h"

enum { OTHER_OID = 600, ARRAY_OID = 70000, ENUM_OID, COMPOSITE_OID, DOMAIN_OID, HSTORE_OID };

static char labels[] = "[\"a\", \"b \\\"c\\\"\"]";
static char attributes[] = "[[\"x\", 23], [\"y z\", 70001]]";
static char no_attributes[] = "[]";

static struct type_facts types[] = {
	{ .oid = ARRAY_OID, .kind = 'b', .element = ENUM_OID },
	{ .oid = ENUM_OID, .kind = 'e', .labels = labels },
	{ .oid = COMPOSITE_OID, .kind = 'c', .attributes = attributes },
	{ .oid = DOMAIN_OID, .kind = 'd', .base = COMPOSITE_OID },
	{ .oid = HSTORE_OID, .kind = 'b', .is_any_json = true },
	{ .oid = HSTORE_OID + 1, .kind = 'b', .element = 23 },
	{ .oid = HSTORE_OID + 2, .kind = 'c', .attributes = no_attributes },
	{ .oid = HSTORE_OID + 3, .kind = 'b', .element = HSTORE_OID },
};

#define INT4_BOUNDS "\"minimum\":-2147483648,\"maximum\":2147483647"
#define COMPOSITE                                                                                  \
	"\"properties\":{\"x\":{\"type\":[\"integer\",\"null\"]," INT4_BOUNDS "},"                 \
	"\"yz\":{\"enum\":[\"a\",\"b\\\"c\\\"\",null]}},\"required\":[\"x\",\"yz\"]"

/* Without spaces and tabs and line feeds. */
static const struct {
	unsigned oid;
	bool not_null;
	const char *schema;
} parts[] = {
	{ TEXT_OID, false, "{\"type\":[\"string\",\"null\"]}" },
	{ TEXT_OID, true, "{\"type\":[\"string\"]}" },
	{ OTHER_OID, true, "{\"type\":[\"string\"]}" },
	{ BOOL_OID, true, "{\"type\":[\"boolean\"]}" },
	{ INT4_OID, true, "{\"type\":[\"integer\"]," INT4_BOUNDS "}" },
	{ INT8_OID, true,
		"{\"type\":[\"integer\"],\"minimum\":-9223372036854775808,"
		"\"maximum\":9223372036854775807}" },
	{ NUMERIC_OID, false,
		"{\"type\":[\"number\",\"string\",\"null\"],\"pattern\":\"^(NaN|-?Infinity)$\"}" },
	{ BYTEA_OID, true, "{\"type\":[\"string\"],\"contentEncoding\":\"base64\"}" },
	{ TIMESTAMPTZ_OID, true, "{\"type\":[\"string\"],\"format\":\"date-time\"}" },
	{ JSON_OID, false, "{}" },
	{ JSONB_OID, true, "{}" },
	{ HSTORE_OID, true, "{}" },
	{ ENUM_OID, true, "{\"enum\":[\"a\",\"b\\\"c\\\"\"]}" },
	{ ENUM_OID, false, "{\"enum\":[\"a\",\"b\\\"c\\\"\",null]}" },
	{ ARRAY_OID, true,
		"{\"type\":[\"array\"],\"items\":{\"anyOf\":[{\"enum\":[\"a\",\"b\\\"c\\\"\",null]}"
		",{\"type\":[\"array\"]}]}}" },
	{ HSTORE_OID + 1, true,
		"{\"type\":[\"array\"],\"items\":{\"type\":[\"integer\",\"null\",\"array\"]"
		"," INT4_BOUNDS "}}" },
	{ HSTORE_OID + 3, true, "{\"type\":[\"array\"],\"items\":{}}" },
	{ COMPOSITE_OID, true, "{\"type\":[\"object\"]," COMPOSITE "}" },
	{ DOMAIN_OID, false, "{\"type\":[\"object\",\"null\"]," COMPOSITE "}" },
	{ HSTORE_OID + 2, true, "{\"type\":[\"object\"],\"properties\":{},\"required\":[]}" },
};

static void remove_spaces(char *text)
{
	char *to = text;
	for (const char *from = text; *from != '\0'; from++)
		if (strchr(" \t\n", *from) == NULL)
			*to++ = *from;
	*to = '\0';
}

START_TEST(each_type_has_its_schema)
{
	struct fixture f;
	struct error e;
	const struct told_column columns[] = { { "c", parts[_i].oid, "t" } };
	struct column_facts column = { .not_null = parts[_i].not_null };
	struct facts facts = { NULL, &column, 1, types, COUNT(types) };
	fixture_init(&f);
	struct model *m = fixture_resolved(&f, columns, 1, "c");
	char *schema = schema_print(m, &facts, &e);
	ck_assert_ptr_nonnull(schema);
	remove_spaces(schema);
	char *expected =
		text_format("{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\","
			    "\"title\":\"Order\",\"type\":\"object\",\"properties\":{\"c\":%s},"
			    "\"required\":[\"c\"]}",
			parts[_i].schema);
	ck_assert_str_eq(schema, expected);
	free(expected);
	free(schema);
	model_free(m);
}
END_TEST

START_TEST(comments_and_lengths)
{
	struct fixture f;
	struct error e;
	char about_table[] = "Orders", about_column[] = "The\"kind\"\x7F";
	const struct told_column columns[] = { { "c", TEXT_OID, "t" } };
	struct column_facts column = { true, 7, about_column };
	struct facts facts = { about_table, &column, 1, NULL, 0 };
	fixture_init(&f);
	struct model *m = fixture_resolved(&f, columns, 1, "c");
	char *schema = schema_print(m, &facts, &e);
	remove_spaces(schema);
	ck_assert_ptr_nonnull(strstr(schema, "\"description\":\"Orders\",\"type\":\"object\""));
	ck_assert_ptr_nonnull(strstr(schema, "{\"c\":{\"type\":[\"string\"],\"maxLength\":7,"
					     "\"description\":\"The\\\"kind\\\"\\u007f\"}}"));
	free(schema);
	model_free(m);
}
END_TEST

START_TEST(an_expression_may_be_null)
{
	static struct item item = { .name = "x", .sql = "f()" };
	struct fixture f;
	struct error e;
	const struct told_column columns[] = { { "c", TEXT_OID, "t" } };
	struct column_facts column = { .not_null = true };
	struct facts facts = { NULL, &column, 1, NULL, 0 };
	fixture_init(&f);
	f.settings.fields = (struct items){ &item, 1 };
	struct model *m = fixture_model(&f, columns, 1, "c");
	model_add_expression(m, "f()", BOOL_OID);
	ck_assert(model_resolve(m, &e));
	char *schema = schema_print(m, &facts, &e);
	remove_spaces(schema);
	ck_assert_ptr_nonnull(strstr(schema, "{\"x\":{\"type\":[\"boolean\",\"null\"]}}"));
	free(schema);
	model_free(m);
}
END_TEST

static const struct {
	unsigned oid;
	bool is_json;
} contents[] = { { JSON_OID, true }, { JSONB_OID, true }, { TEXT_OID, false },
	{ BYTEA_OID, false } };

START_TEST(a_column_as_it_is)
{
	struct fixture f;
	struct error e;
	struct facts facts = { 0 };
	const struct told_column columns[] = { { "c", contents[_i].oid, "its type" } };
	fixture_init(&f);
	f.settings.value = "c";
	struct model *m = fixture_resolved(&f, columns, 1, "c");
	char *schema = schema_print(m, &facts, &e);
	ck_assert_int_eq(schema != NULL, contents[_i].is_json);
	if (schema != NULL) {
		remove_spaces(schema);
		ck_assert_str_eq(schema, "{\"$schema\":\"https://json-schema.org/draft/2020-12/"
					 "schema\",\"title\":\"Order\"}");
	} else {
		ck_assert_int_eq(e.kind, ERROR_CONFIG);
		ck_assert_ptr_nonnull(strstr(e.text, "of type its type: that is not JSON"));
	}
	free(schema);
	model_free(m);
}
END_TEST

int main(void)
{
	const struct test tests[] = {
		{ each_type_has_its_schema, COUNT(parts), 0 },
		{ comments_and_lengths, 1, 0 },
		{ an_expression_may_be_null, 1, 0 },
		{ a_column_as_it_is, COUNT(contents), 0 },
	};
	return suite_run("json_schema", tests, COUNT(tests));
}
