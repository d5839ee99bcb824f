#include "model/encode.h"

#include "model_fixture.h"

#include <stdio.h>

static const char some_ctid[] = "(0,1)", some_oid[] = "16384";

static struct field field_of(const char *text)
{
	return (struct field){ text, text != NULL ? strlen(text) : 0 };
}

/* A row's fields as a claim of the model gives them: texts[i] is column i's text, also where the
 * server is asked for JSON. */
static struct field *fields_of(const struct model *m, const char *const *texts)
{
	struct field *fields = memory_new(ROW_FIXED_FIELDS + m->output_count, sizeof *fields);
	fields[ROW_CTID] = field_of(some_ctid);
	fields[ROW_TABLEOID] = field_of(some_oid);
	for (size_t i = 0; i < m->output_count; i++)
		fields[ROW_FIXED_FIELDS + i] = field_of(texts[m->outputs[i].column]);
	return fields;
}

static void encode(struct encoder *enc, const struct model *m, const char *const *texts,
	struct message *message)
{
	struct error e;
	struct field *fields = fields_of(m, texts);
	ck_assert_msg(encode_row(enc, fields, message, &e), "%s", e.text);
	ck_assert_uint_eq(strlen(message->value), message->value_length);
	free(fields);
}

/* The JSON of one value of a type; to be freed. */
static char *json_of(unsigned type_oid, const char *text)
{
	static const char begin[] = "{\"c\":";
	struct fixture f;
	struct message message;
	const struct told_column columns[] = { { "c", type_oid, "t" } };
	fixture_init(&f);
	struct model *m = fixture_resolved(&f, columns, 1, "c");
	struct encoder *enc = encoder_new(m);
	encode(enc, m, &text, &message);
	ck_assert_uint_ge(message.value_length, sizeof begin);
	ck_assert_mem_eq(message.value, begin, sizeof begin - 1);
	ck_assert_int_eq(message.value[message.value_length - 1], '}');
	char *json = text_copy_bytes(
		message.value + sizeof begin - 1, message.value_length - sizeof begin);
	encoder_free(enc);
	model_free(m);
	return json;
}

static const struct {
	unsigned type_oid;
	const char *text, *json;
} values[] = {
	{ INT8_OID, "9223372036854775807", "9223372036854775807" },
	{ INT8_OID, "-9223372036854775808", "-9223372036854775808" },
	{ INT8_OID, "9007199254740993", "9007199254740993" },
	{ INT4_OID, "0", "0" },
	{ INT4_OID, NULL, "null" },
	{ NUMERIC_OID, "0.10", "0.10" },
	{ NUMERIC_OID, "-0.000000000000000000000000000000000000000001",
		"-0.000000000000000000000000000000000000000001" },
	{ NUMERIC_OID, "12345678901234567890123456789012345678901234567890.1234567890123456789",
		"12345678901234567890123456789012345678901234567890.1234567890123456789" },
	{ NUMERIC_OID, "NaN", "\"NaN\"" },
	{ NUMERIC_OID, "Infinity", "\"Infinity\"" },
	{ NUMERIC_OID, "-Infinity", "\"-Infinity\"" },
	{ FLOAT8_OID, "1e+20", "1e+20" },
	{ FLOAT8_OID, "-0", "-0" },
	{ FLOAT8_OID, "0.1", "0.1" },
	{ FLOAT8_OID, "\"NaN\"", "\"NaN\"" },
	{ BOOL_OID, "t", "true" },
	{ BOOL_OID, "f", "false" },
	{ BOOL_OID, NULL, "null" },
	{ TEXT_OID, "", "\"\"" },
	{ TEXT_OID, "null", "\"null\"" },
	{ TEXT_OID, "12", "\"12\"" },
	{ TEXT_OID, NULL, "null" },
	{ TEXT_OID, "a/b </script> %s & '", "\"a/b </script> %s & '\"" },
	{ TEXT_OID, "\"\\\"", "\"\\\"\\\\\\\"\"" },
	{ TEXT_OID, "\b\f\n\r\t", "\"\\b\\f\\n\\r\\t\"" },
	{ TEXT_OID, "\x01\x0b\x0e\x1b\x1f", "\"\\u0001\\u000b\\u000e\\u001b\\u001f\"" },
	{ TEXT_OID, "\x7f\xc2\x80\xe2\x80\xa8", "\"\x7f\xc2\x80\xe2\x80\xa8\"" },
	{ TEXT_OID, "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80",
		"\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"" },
	{ JSON_OID, "{ \"a\" : [1,\n 2.50] }", "{ \"a\" : [1,\n 2.50] }" },
	{ JSON_OID, "null", "null" },
	{ JSON_OID, "\"\\u00e4\\/\"", "\"\\u00e4\\/\"" },
	{ JSONB_OID, "{\"a\": 12345678901234567890}", "{\"a\": 12345678901234567890}" },
	{ JSONB_OID, NULL, "null" },
	{ TIMESTAMPTZ_OID, "2026-11-23 17:00:00.123456+00",
		"\"2026-11-23T17:00:00.123456+00:00\"" },
	{ TIMESTAMPTZ_OID, "12345-06-07 00:00:00+00", "\"12345-06-07T00:00:00+00:00\"" },
	{ TIMESTAMPTZ_OID, "0044-03-15 01:02:03+00 BC", "\"0044-03-15T01:02:03+00:00 BC\"" },
	{ TIMESTAMPTZ_OID, "infinity", "\"infinity\"" },
	{ TIMESTAMPTZ_OID, "-infinity", "\"-infinity\"" },
	{ TIMESTAMP_OID, "2026-11-23 17:00:00.1", "\"2026-11-23T17:00:00.1\"" },
	{ TIMESTAMP_OID, "0044-03-15 01:02:03 BC", "\"0044-03-15T01:02:03 BC\"" },
	{ TIMESTAMP_OID, "infinity", "\"infinity\"" },
	{ TIMESTAMP_OID, NULL, "null" },
	{ DATE_OID, "0044-03-15 BC", "\"0044-03-15 BC\"" },
	{ DATE_OID, "infinity", "\"infinity\"" },
	{ TIMESTAMPTZ_OID, NULL, "null" },
	{ 1007 /* int4[] */, "[1,2,null]", "[1,2,null]" },
	{ BYTEA_OID, NULL, "null" },
	{ BYTEA_OID, "\\x", "\"\"" },
	{ BYTEA_OID, "\\xfb", "\"+w==\"" },
	{ BYTEA_OID, "\\xfbff", "\"+/8=\"" },
	{ BYTEA_OID, "\\xfbfffe", "\"+//+\"" },
	{ BYTEA_OID, "\\xfbfffe00", "\"+//+AA==\"" },
	{ BYTEA_OID, "\\xfbfffe0001", "\"+//+AAE=\"" },
	{ BYTEA_OID, "\\xfbfffe00017f", "\"+//+AAF/\"" },
	{ BYTEA_OID, "\\xfbfffe00017f80", "\"+//+AAF/gA==\"" },
	{ BYTEA_OID, "\\xfbfffe00017f8022", "\"+//+AAF/gCI=\"" },
	{ BYTEA_OID, "\\xfbfffe00017f80225c", "\"+//+AAF/gCJc\"" },
	{ BYTEA_OID, "\\xfbfffe00017f80225c0a", "\"+//+AAF/gCJcCg==\"" },
};

START_TEST(a_value_is_what_to_json_makes_of_it_but_bytea_is_base64)
{
	char *json = json_of(values[_i].type_oid, values[_i].text);
	ck_assert_str_eq(json, values[_i].json);
	free(json);
}
END_TEST

static void add_utf8(struct text *t, unsigned c)
{
	if (c < 0x80)
		text_addf(t, "%c", (int)c);
	else if (c < 0x800)
		text_addf(t, "%c%c", (int)(0xc0 | c >> 6), (int)(0x80 | (c & 63)));
	else if (c < 0x10000)
		text_addf(t, "%c%c%c", (int)(0xe0 | c >> 12), (int)(0x80 | (c >> 6 & 63)),
			(int)(0x80 | (c & 63)));
	else
		text_addf(t, "%c%c%c%c", (int)(0xf0 | c >> 18), (int)(0x80 | (c >> 12 & 63)),
			(int)(0x80 | (c >> 6 & 63)), (int)(0x80 | (c & 63)));
}

/* escape_json() of PostgreSQL's src/backend/utils/adt/json.c. */
static void add_escaped(struct text *t, unsigned c)
{
	static const char plain[] = "\b\f\n\r\t\"\\", letters[] = "bfnrt\"\\";
	const char *short_form = c < 0x80 ? strchr(plain, (int)c) : NULL;
	if (short_form != NULL)
		text_addf(t, "\\%c", letters[short_form - plain]);
	else if (c < ' ')
		text_addf(t, "\\u%04x", c);
	else
		add_utf8(t, c);
}

START_TEST(every_character_is_escaped_as_postgresql_does)
{
	struct text raw = { 0 }, expected = { 0 };
	text_addf(&expected, "\"");
	for (unsigned c = 1; c <= 0x10ffff; c++) {
		if (c >= 0xd800 && c <= 0xdfff)
			continue; /* surrogates are not UTF-8 */
		add_utf8(&raw, c);
		add_escaped(&expected, c);
		c += c < 0x3000 ? 0 : 0xff; /* by then each byte of UTF-8 but the first has been */
	}
	text_addf(&expected, "\"");
	char *json = json_of(TEXT_OID, raw.text);
	ck_assert_uint_eq(strlen(json), expected.length);
	ck_assert_mem_eq(json, expected.text, expected.length);
	free(json);
	text_free(&raw);
	text_free(&expected);
}
END_TEST

/* A text of plain characters is taken as it is, so one that is not plain has to be seen. */
START_TEST(one_character_that_is_escaped_is_seen_wherever_it_is)
{
	enum { LENGTH = 40 };
	static const char plain[] = "plain";
	for (unsigned c = 1; c < 0x80; c++)
		for (size_t place = 0; place < LENGTH; place++) {
			struct text raw = { 0 }, expected = { 0 };
			text_addf(&expected, "\"");
			for (size_t i = 0; i < LENGTH; i++) {
				unsigned here = i == place ? c : (unsigned)plain[i % 5];
				add_utf8(&raw, here);
				add_escaped(&expected, here);
			}
			text_addf(&expected, "\"");
			char *json = json_of(TEXT_OID, raw.text);
			ck_assert_str_eq(json, expected.text);
			free(json);
			text_free(&raw);
			text_free(&expected);
		}
}
END_TEST

/* All lengths around those at which the buffer grows, and escapes at its end. */
START_TEST(a_value_of_any_length_fits)
{
	for (size_t length = 900; length < 1100; length++)
		for (int escaped = 0; escaped < 2; escaped++) {
			struct text raw = { 0 };
			for (size_t i = 0; i < length; i++)
				text_add(&raw, escaped ? "\x01" : "x", 1);
			char *json = json_of(TEXT_OID, raw.text);
			ck_assert_uint_eq(strlen(json), (escaped ? 6 * length : length) + 2);
			free(json);
			text_free(&raw);
		}
}
END_TEST

START_TEST(a_text_of_eight_megabytes_is_encoded_whole)
{
	const size_t size = 8 << 20;
	char *text = memory_new(size + 1, 1);
	memset(text, 'x', size);
	text[0] = 'a';
	text[size - 1] = 'z';
	char *json = json_of(TEXT_OID, text);
	ck_assert_uint_eq(strlen(json), size + 2);
	ck_assert_mem_eq(json + 1, text, size);
	free(json);
	free(text);
}
END_TEST

START_TEST(nine_hundred_columns_are_members_in_their_order)
{
	enum { COLUMNS = 900 };
	struct told_column columns[COLUMNS];
	const char *texts[COLUMNS];
	static char names[COLUMNS][16];
	struct text expected = { 0 };
	struct fixture f;
	struct message message;
	for (int i = 0; i < COLUMNS; i++) {
		snprintf(names[i], sizeof names[i], "c%d", i);
		columns[i] = (struct told_column){ names[i], i % 2 ? TEXT_OID : INT4_OID, "t" };
		texts[i] = i % 3 == 2 ? NULL : names[i] + 1;
		text_addf(&expected, i % 3 == 2 ? "%s\"%s\":null" : "%s\"%s\":%s%s%s",
			i > 0 ? "," : "{", names[i], i % 2 ? "\"" : "", names[i] + 1,
			i % 2 ? "\"" : "");
	}
	text_addf(&expected, "}");
	fixture_init(&f);
	struct model *m = fixture_resolved(&f, columns, COLUMNS, "c0");
	struct encoder *enc = encoder_new(m);
	encode(enc, m, texts, &message);
	ck_assert_str_eq(message.value, expected.text);
	encoder_free(enc);
	model_free(m);
	text_free(&expected);
}
END_TEST

START_TEST(column_names_are_escaped_too)
{
	static const struct told_column columns[] = { { "a \"b\"\\\n", INT4_OID, "integer" } };
	static const char *const texts[] = { "1" };
	struct fixture f;
	struct message message;
	fixture_init(&f);
	struct model *m = fixture_model(&f, columns, 1, "");
	model_add_primary_key(m, columns[0].name);
	struct error e;
	ck_assert(model_resolve(m, &e));
	struct encoder *enc = encoder_new(m);
	encode(enc, m, texts, &message);
	ck_assert_str_eq(message.value, "{\"a \\\"b\\\"\\\\\\n\":1}");
	encoder_free(enc);
	model_free(m);
}
END_TEST

/* A key's bytes, of which some may be NUL; length 0 and not NULL is an empty key. */
static const struct {
	unsigned type_oid;
	const char *text;
	const char *key;
	size_t length;
} keys[] = {
	{ TEXT_OID, "customer \"1\"", "customer \"1\"", 12 },
	{ TEXT_OID, "", "", 0 },
	{ TEXT_OID, NULL, NULL, 0 },
	{ INT8_OID, "9007199254740993", "9007199254740993", 16 },
	{ BOOL_OID, "t", "t", 1 },
	{ TIMESTAMPTZ_OID, "2026-11-23 17:00:00+00", "2026-11-23 17:00:00+00", 22 },
	{ BYTEA_OID, "\\x00ff0a61", "\x00\xff\x0a\x61", 4 },
	{ BYTEA_OID, "\\x", "", 0 },
	{ BYTEA_OID, NULL, NULL, 0 },
	{ JSONB_OID, "{\"a\": 1}", "{\"a\": 1}", 8 },
};

START_TEST(a_key_is_the_text_or_the_bytes_of_its_column)
{
	const struct told_column columns[] = { { "id", INT8_OID, "bigint" },
		{ "k", keys[_i].type_oid, "t" } };
	const char *const texts[] = { "1", keys[_i].text };
	struct fixture f;
	struct message message;
	fixture_init(&f);
	f.settings.key = "k";
	struct model *m = fixture_resolved(&f, columns, 2, "id");
	struct encoder *enc = encoder_new(m);
	encode(enc, m, texts, &message);
	ck_assert_int_eq(message.key == NULL, keys[_i].key == NULL);
	ck_assert_uint_eq(message.key_length, keys[_i].length);
	if (keys[_i].key != NULL)
		ck_assert_mem_eq(message.key, keys[_i].key, keys[_i].length);
	encoder_free(enc);
	model_free(m);
}
END_TEST

START_TEST(a_key_that_is_not_configured_is_no_key)
{
	static const struct told_column columns[] = { { "id", INT8_OID, "bigint" } };
	static const char *const texts[] = { "1" };
	struct fixture f;
	struct message message;
	fixture_init(&f);
	struct model *m = fixture_resolved(&f, columns, 1, "id");
	struct encoder *enc = encoder_new(m);
	encode(enc, m, texts, &message);
	ck_assert_ptr_null(message.key);
	ck_assert_uint_eq(message.key_length, 0);
	ck_assert_str_eq(message.topic, "orders");
	encoder_free(enc);
	model_free(m);
}
END_TEST

static const struct {
	const char *texts[4]; /* id, text, bytea (the key), numeric */
	const char *value;
	size_t key_length;
} rows[] = {
	{ { "1", "a long text with \"quotes\"", "\\x0102030405", "1.50" },
		"{\"id\":1,\"t\":\"a long text with \\\"quotes\\\"\",\"b\":\"AQIDBAU=\","
		"\"n\":1.50}",
		5 },
	{ { "2", NULL, NULL, NULL }, "{\"id\":2,\"t\":null,\"b\":null,\"n\":null}", 0 },
	{ { "3", "", "\\x", "NaN" }, "{\"id\":3,\"t\":\"\",\"b\":\"\",\"n\":\"NaN\"}", 0 },
	{ { "4", "x", "\\xff", "7" }, "{\"id\":4,\"t\":\"x\",\"b\":\"/w==\",\"n\":7}", 1 },
};

START_TEST(an_encoder_forgets_the_row_before)
{
	static const struct told_column columns[] = { { "id", INT8_OID, "bigint" },
		{ "t", TEXT_OID, "text" }, { "b", BYTEA_OID, "bytea" },
		{ "n", NUMERIC_OID, "numeric" } };
	struct fixture f;
	struct message message;
	fixture_init(&f);
	f.settings.key = "b";
	struct model *m = fixture_resolved(&f, columns, COUNT(columns), "id");
	struct encoder *enc = encoder_new(m);
	for (size_t k = 0; k < 3 * COUNT(rows); k++) {
		size_t i = k * 3 % COUNT(rows);
		encode(enc, m, rows[i].texts, &message);
		ck_assert_str_eq(message.value, rows[i].value);
		ck_assert_uint_eq(message.key_length, rows[i].key_length);
		ck_assert_int_eq(message.key == NULL, rows[i].texts[2] == NULL);
	}
	encoder_free(enc);
	model_free(m);
}
END_TEST

/* What is JSON, or bytes, was made for the message; a text belongs to the row. */
static const struct {
	unsigned type_oid;
	bool is_value;
	const char *row, *next_row, *value, *next;
	bool is_kept;
} kept[] = {
	{ TEXT_OID, false, "a", "b", "{\"c\":\"a\"}", "{\"c\":\"b\"}", true },
	{ BYTEA_OID, true, "\\x6161", "\\x62", "aa", "b", true },
	{ BYTEA_OID, true, NULL, "\\x62", NULL, "b", false },
	{ TEXT_OID, true, "a", "b", "a", "b", false },
};

START_TEST(a_value_that_was_made_for_the_message_may_be_kept)
{
	struct fixture f;
	struct message message, next;
	const struct told_column columns[] = { { "c", kept[_i].type_oid, "t" } };
	fixture_init(&f);
	if (kept[_i].is_value)
		f.settings.value = "c";
	struct model *m = fixture_resolved(&f, columns, 1, "c");
	struct encoder *enc = encoder_new(m);
	struct field *fields = fields_of(m, &kept[_i].row);
	struct error e;
	ck_assert(encode_row(enc, fields, &message, &e));
	free(fields);
	ck_assert_int_eq(message.holder != NULL, kept[_i].is_kept);
	char *value = kept[_i].is_kept ? message.holder->text : NULL;
	if (value != NULL)
		*message.holder = (struct text){ 0 };
	encode(enc, m, &kept[_i].next_row, &next);
	ck_assert_str_eq(next.value, kept[_i].next);
	if (value != NULL)
		ck_assert_str_eq(value, kept[_i].value);
	free(value);
	encoder_free(enc);
	model_free(m);
}
END_TEST

START_TEST(identity_names_the_primary_key_in_its_order)
{
	static const struct told_column columns[] = { { "id", INT8_OID, "bigint" },
		{ "day", DATE_OID, "date" }, { "body", TEXT_OID, "text" } };
	static const char *const texts[] = { "5", "2026-11-23", "secret" };
	static const char *const keys_and_names[][2] = { { "id", "(id)=(5)" },
		{ "day id", "(day, id)=(2026-11-23, 5)" } };
	for (size_t i = 0; i < COUNT(keys_and_names); i++) {
		struct fixture f;
		struct text identity = { 0 };
		fixture_init(&f);
		struct model *m = fixture_resolved(&f, columns, 3, keys_and_names[i][0]);
		struct field *fields = fields_of(m, texts);
		encode_identity(m, fields, &identity);
		ck_assert_str_eq(identity.text, keys_and_names[i][1]);
		text_free(&identity);
		free(fields);
		model_free(m);
	}
}
END_TEST

START_TEST(a_long_key_is_shortened_in_its_middle)
{
	static const struct told_column columns[] = { { "day", DATE_OID, "date" },
		{ "id", TEXT_OID, "text" } };
	char key[2501] = "the beginning";
	memset(key + strlen(key), '-', sizeof key - 1 - strlen(key));
	memcpy(key + sizeof key - 8, "the end", 8);
	const char *const texts[] = { "2026-11-23", key };
	struct fixture f;
	struct text identity = { 0 };
	fixture_init(&f);
	struct model *m = fixture_resolved(&f, columns, 2, "day id");
	struct field *fields = fields_of(m, texts);
	encode_identity(m, fields, &identity);
	ck_assert_uint_lt(identity.length, 200);
	ck_assert_ptr_eq(
		strstr(identity.text, "(day, id)=(2026-11-23, the beginning-"), identity.text);
	ck_assert_ptr_nonnull(strstr(identity.text, "…"));
	ck_assert_str_eq(identity.text + identity.length - 9, "-the end)");
	text_free(&identity);
	free(fields);
	model_free(m);
}
END_TEST

START_TEST(freeing_no_encoder_is_fine)
{
	encoder_free(NULL);
}
END_TEST

int main(void)
{
	const struct test tests[] = {
		{ a_value_is_what_to_json_makes_of_it_but_bytea_is_base64, COUNT(values), 0 },
		{ every_character_is_escaped_as_postgresql_does, 1, 0 },
		{ one_character_that_is_escaped_is_seen_wherever_it_is, 1, 0 },
		{ a_value_of_any_length_fits, 1, 0 },
		{ a_text_of_eight_megabytes_is_encoded_whole, 1, 0 },
		{ nine_hundred_columns_are_members_in_their_order, 1, 0 },
		{ column_names_are_escaped_too, 1, 0 },
		{ a_key_is_the_text_or_the_bytes_of_its_column, COUNT(keys), 0 },
		{ a_key_that_is_not_configured_is_no_key, 1, 0 },
		{ a_value_that_was_made_for_the_message_may_be_kept, COUNT(kept), 0 },
		{ an_encoder_forgets_the_row_before, 1, 0 },
		{ identity_names_the_primary_key_in_its_order, 1, 0 },
		{ a_long_key_is_shortened_in_its_middle, 1, 0 },
		{ freeing_no_encoder_is_fine, 1, 0 },
	};
	return suite_run("encode", tests, COUNT(tests));
}
