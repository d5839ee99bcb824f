/* What the settings of a model make of a row: the shape, the claim's outputs, the message. */
#include "model/encode.h"
#include "model/sql.h"

#include "model_fixture.h"

#include <stdint.h>

enum { ID, KIND, RAW, AT, NUMBER, DOC };

static const struct told_column columns[] = { { "id", INT8_OID, "bigint" },
	{ "kind", TEXT_OID, "text" }, { "raw", BYTEA_OID, "bytea" },
	{ "at", TIMESTAMPTZ_OID, "timestamp with time zone" }, { "number", INT4_OID, "integer" },
	{ "Doc", JSONB_OID, "jsonb" } };

/* What the server would say of a row: each column's text, its JSON and its milliseconds. */
struct row {
	const char *texts[COUNT(columns)];
	const char *json, *milliseconds, *expression;
};

static const struct row usual = { { "1", "paid", "\\x00ff41", "2026-11-23 16:00:00+00", "3",
					  "{\"a\": 1}" },
	"\"2026-11-23T16:00:00+00:00\"", "1795449600000", "42" };

struct setup {
	struct fixture fixture;
	struct model *model;
	struct encoder *encoder;
	struct field fields[32];
	struct message message;
	struct error e;
};

static struct setup *setup_new(void)
{
	struct setup *s = memory_new(1, sizeof *s);
	fixture_init(&s->fixture);
	return s;
}

static void setup_free(struct setup *s)
{
	encoder_free(s->encoder);
	model_free(s->model);
	free(s);
}

static void resolve(struct setup *s)
{
	s->model = fixture_resolved(&s->fixture, columns, COUNT(columns), "id");
	s->encoder = encoder_new(s->model);
}

static bool encode(struct setup *s, const struct row *row)
{
	for (size_t i = 0; i < s->model->output_count; i++) {
		const struct output *o = &s->model->outputs[i];
		const char *text = o->sql != NULL       ? row->expression
				   : o->as_milliseconds ? row->milliseconds
				   : o->as_json         ? row->json
							: row->texts[o->column];
		s->fields[ROW_FIXED_FIELDS + i] =
			(struct field){ text, text != NULL ? strlen(text) : 0 };
	}
	return encode_row(s->encoder, s->fields, &s->message, &s->e);
}

static void encode_well(struct setup *s, const struct row *row)
{
	ck_assert_msg(encode(s, row), "%s", s->e.text);
}

static void assert_value(const struct setup *s, const char *value)
{
	ck_assert_ptr_nonnull(s->message.value);
	ck_assert_uint_eq(s->message.value_length, strlen(value));
	ck_assert_mem_eq(s->message.value, value, strlen(value));
}

START_TEST(without_settings_a_message_is_plain)
{
	struct setup *s = setup_new();
	resolve(s);
	encode_well(s, &usual);
	ck_assert_str_eq(s->message.topic, "orders");
	ck_assert_ptr_null(s->message.key);
	ck_assert_uint_eq(s->message.header_count, 0);
	ck_assert(!s->message.has_partition);
	ck_assert_int_eq(s->message.timestamp_ms, 0);
	assert_value(s, "{\"id\":1,\"kind\":\"paid\",\"raw\":\"AP9B\","
			"\"at\":\"2026-11-23T16:00:00+00:00\",\"number\":3,\"Doc\":{\"a\": 1}}");
	setup_free(s);
}
END_TEST

START_TEST(each_row_has_its_topic)
{
	struct setup *s = setup_new();
	struct row row = usual;
	s->fixture.settings.topic = "x.{kind}.{id}";
	resolve(s);
	encode_well(s, &row);
	ck_assert_str_eq(s->message.topic, "x.paid.1");
	row.texts[KIND] = "b";
	encode_well(s, &row);
	ck_assert_str_eq(s->message.topic, "x.b.1");
	row.texts[KIND] = NULL;
	ck_assert(!encode(s, &row));
	ck_assert_int_eq(s->e.kind, ERROR_REJECTED);
	setup_free(s);
}
END_TEST

START_TEST(fields_choose_and_rename)
{
	static struct item items[] = { { .column = "\"Doc\"" },
		{ .name = "is \"so\"", .column = "kind" }, { .name = "n", .sql = "f(signal)" } };
	struct setup *s = setup_new();
	s->fixture.settings.fields = (struct items){ items, COUNT(items) };
	s->model = fixture_model(&s->fixture, columns, COUNT(columns), "id");
	model_add_expression(s->model, "f(signal)", INT4_OID);
	ck_assert(model_resolve(s->model, &s->e));
	s->encoder = encoder_new(s->model);
	encode_well(s, &usual);
	assert_value(s, "{\"Doc\":{\"a\": 1},\"is \\\"so\\\"\":\"paid\",\"n\":42}");
	char *sql = sql_claim(s->model, CLAIM_ORDERED, 100, false);
	const char *outputs = strstr(sql, "signal.tableoid END, ");
	ck_assert_ptr_nonnull(outputs);
	ck_assert_str_eq(outputs, "signal.tableoid END, signal.\"Doc\", signal.\"kind\", "
				  "(f(signal)\n), signal.\"id\" FROM shop.\"order\" AS signal "
				  "ORDER BY signal.\"id\" LIMIT 100 FOR UPDATE OF signal");
	free(sql);
	setup_free(s);
}
END_TEST

START_TEST(expressions_of_other_types_go_through_to_json)
{
	static struct item items[] = { { .name = "n", .sql = "at" } };
	struct setup *s = setup_new();
	s->fixture.settings.fields = (struct items){ items, COUNT(items) };
	s->fixture.settings.headers = (struct items){ items, COUNT(items) };
	resolve(s);
	ck_assert_uint_eq(s->model->output_count, 3);
	ck_assert(s->model->outputs[0].as_json);
	ck_assert(!s->model->outputs[2].as_json); /* a header is text */
	char *sql = sql_claim(s->model, CLAIM_ORDERED, 100, false);
	ck_assert_ptr_nonnull(strstr(sql, ", pg_catalog.to_json((at\n)), signal.\"id\", (at\n),"
					  " CASE WHEN false THEN (at\n) END FROM"));
	free(sql);
	setup_free(s);
}
END_TEST

static const struct {
	const char *column, *text, *value;
	size_t length;
} contents[] = {
	{ "kind", "a \"b\"", "a \"b\"", 5 },
	{ "kind", "", "", 0 },
	{ "Doc", "{\"a\":  1}", "{\"a\":  1}", 9 },
	{ "raw", "\\x00ff41",
		"\0\xff"
		"A",
		3 },
	{ "raw", "\\x", "", 0 },
	{ "number", "-7", "-7", 2 },
	{ "kind", NULL, NULL, 0 },
	{ "raw", NULL, NULL, 0 },
};

static struct row row_with(const char *column, const char *text)
{
	struct row row = usual;
	for (size_t i = 0; i < COUNT(columns); i++)
		if (strcmp(columns[i].name, column) == 0)
			row.texts[i] = text;
	return row;
}

static void assert_bytes(const char *found, size_t length)
{
	if (contents[length].value == NULL) {
		ck_assert_ptr_null(found);
		return;
	}
	ck_assert_ptr_nonnull(found);
	ck_assert_mem_eq(found, contents[length].value, contents[length].length);
}

START_TEST(values_keys_and_headers_are_content)
{
	struct item item = { .name = "h", .column = contents[_i].column };
	struct setup *s = setup_new();
	struct row row = row_with(contents[_i].column, contents[_i].text);
	s->fixture.settings.value = s->fixture.settings.key = contents[_i].column;
	s->fixture.settings.headers = (struct items){ &item, 1 };
	resolve(s);
	encode_well(s, &row);
	assert_bytes(s->message.value, (size_t)_i);
	assert_bytes(s->message.key, (size_t)_i);
	ck_assert_uint_eq(s->message.value_length, contents[_i].length);
	ck_assert_uint_eq(s->message.key_length, contents[_i].length);
	ck_assert_uint_eq(s->message.header_count, contents[_i].value != NULL);
	if (s->message.header_count > 0) {
		assert_bytes(s->message.headers[0].value, (size_t)_i);
		ck_assert_uint_eq(s->message.headers[0].length, contents[_i].length);
	}
	setup_free(s);
}
END_TEST

START_TEST(headers_keep_their_order)
{
	static struct item items[] = { { .column = "raw" }, { .name = "c", .value = "" },
		{ .name = "kind", .column = "id" }, { .name = "c", .value = "x" } };
	struct setup *s = setup_new();
	struct row row = row_with("raw", NULL);
	s->fixture.settings.headers = (struct items){ items, COUNT(items) };
	resolve(s);
	encode_well(s, &usual);
	ck_assert_uint_eq(s->message.header_count, 4);
	ck_assert_str_eq(s->message.headers[0].name, "raw");
	encode_well(s, &row);
	ck_assert_uint_eq(s->message.header_count, 3);
	ck_assert_str_eq(s->message.headers[0].name, "c");
	ck_assert_uint_eq(s->message.headers[0].length, 0);
	ck_assert_str_eq(s->message.headers[1].name, "kind");
	ck_assert_str_eq(s->message.headers[1].value, "1");
	ck_assert_str_eq(s->message.headers[2].value, "x");
	setup_free(s);
}
END_TEST

static const struct {
	const char *text;
	bool is_right, is_set;
	int32_t partition;
} partitions[] = {
	{ "0", true, true, 0 },
	{ "7", true, true, 7 },
	{ "2147483647", true, true, INT32_MAX },
	{ NULL, true, false, 0 },
	{ "-1", false, false, 0 },
	{ "2147483648", false, false, 0 },
	{ "9223372036854775807", false, false, 0 },
	{ "99999999999999999999", false, false, 0 },
};

START_TEST(partitions_are_in_range)
{
	struct setup *s = setup_new();
	struct row row = row_with("number", partitions[_i].text);
	s->fixture.settings.partition = "number";
	resolve(s);
	ck_assert_int_eq(encode(s, &row), partitions[_i].is_right);
	if (partitions[_i].is_right) {
		ck_assert_int_eq(s->message.has_partition, partitions[_i].is_set);
		ck_assert_int_eq(s->message.partition, partitions[_i].partition);
	} else {
		ck_assert_int_eq(s->e.kind, ERROR_REJECTED);
		ck_assert_ptr_nonnull(strstr(s->e.text, "is out of range"));
	}
	setup_free(s);
}
END_TEST

static const struct {
	const char *text;
	int64_t milliseconds;
} timestamps[] = { { "1795449600123", 1795449600123 }, { "1", 1 }, { "0", 0 }, { "-1", 0 },
	{ "-62200000000000", 0 }, { NULL, 0 } };

START_TEST(timestamps_before_1970_are_none)
{
	struct setup *s = setup_new();
	struct row row = usual;
	row.milliseconds = timestamps[_i].text;
	s->fixture.settings.timestamp = "at";
	resolve(s);
	encode_well(s, &row);
	ck_assert_int_eq(s->message.timestamp_ms, timestamps[_i].milliseconds);
	char *sql = sql_claim(s->model, CLAIM_FIRST, 100, false);
	ck_assert_ptr_nonnull(
		strstr(sql, ", CASE WHEN pg_catalog.isfinite(signal.\"at\") THEN "
			    "pg_catalog.round(EXTRACT(epoch FROM pg_catalog.date_trunc("
			    "'milliseconds', signal.\"at\")) OPERATOR(pg_catalog.*) 1000)"
			    "::pg_catalog.int8 END FROM"));
	free(sql);
	setup_free(s);
}
END_TEST

static struct item wrong_item = { .name = "x", .column = "kin" };

static const struct {
	struct model_config settings;
	const char *message;
} wrong[] = {
	{ { .topic = "{kin}" }, "topic: table shop.\"order\" has no column \"kin\"; did you" },
	{ { .topic = "a{" }, "topic: \"{\" without its \"}\"" },
	{ { .value = "kin" }, "value: table shop.\"order\" has no column \"kin\"" },
	{ { .key = "kin" }, "key: table shop.\"order\" has no column \"kin\"" },
	{ { .partition = "kin" }, "partition: table shop.\"order\" has no column \"kin\"" },
	{ { .partition = "kind" }, "partition: column \"kind\" is of type text, not an integer" },
	{ { .timestamp = "kin" }, "timestamp: table shop.\"order\" has no column \"kin\"" },
	{ { .timestamp = "id" }, "timestamp: column \"id\" is of type bigint, not a timestamp" },
	{ { .fields = { &wrong_item, 1 } }, "fields: table shop.\"order\" has no column \"kin\"" },
	{ { .headers = { &wrong_item, 1 } },
		"headers: table shop.\"order\" has no column \"kin\"" },
};

START_TEST(wrong_settings_are_reported)
{
	struct setup *s = setup_new();
	wrong_item.place = (struct place){ "bus.conf", 99 };
	const char *topic = wrong[_i].settings.topic;
	struct model_config settings = wrong[_i].settings;
	settings.name = settings.table = "t";
	settings.topic = topic != NULL ? topic : "t";
	s->fixture.settings = settings;
	s->model = fixture_model(&s->fixture, columns, COUNT(columns), "id");
	ck_assert(!model_resolve(s->model, &s->e));
	ck_assert_int_eq(s->e.kind, ERROR_CONFIG);
	const char *message = strstr(s->e.text, ": ");
	ck_assert_ptr_nonnull(message);
	ck_assert_msg(strncmp(message + 2, wrong[_i].message, strlen(wrong[_i].message)) == 0, "%s",
		s->e.text);
	setup_free(s);
}
END_TEST

/* Each statement with the condition, for a plain table and for one with partitions. */
static const struct {
	enum claim_kind kind;
	bool has_children;
	const char *part;
} claims[] = {
	{ CLAIM_FIRST, false,
		" WHERE signal.ctid OPERATOR(pg_catalog.>) '(0,0)'::pg_catalog.tid AND (a OR b -- "
		"c\n) LIMIT" },
	{ CLAIM_FIRST, true, " WHERE (a OR b -- c\n) ORDER BY" },
	{ CLAIM_NEXT, false,
		" WHERE signal.ctid OPERATOR(pg_catalog.>) $1::pg_catalog.tid AND (a OR b -- c\n) "
		"LIMIT" },
	{ CLAIM_NEXT, true, ") OPERATOR(pg_catalog.>) ($1::bigint) AND (a OR b -- c\n) ORDER BY" },
	{ CLAIM_BY_KEY, false,
		" OPERATOR(pg_catalog.=) key.c0::bigint) AND (a OR b -- c\n) LIMIT" },
	{ CLAIM_ORDERED, false, " AS signal WHERE (a OR b -- c\n) ORDER BY" },
	{ CLAIM_ORDERED, true, " AS signal WHERE (a OR b -- c\n) ORDER BY" },
	{ CLAIM_ORDERED_FROM, false,
		" OPERATOR(pg_catalog.>=) $1::bigint AND (a OR b -- c\n) ORDER BY" },
};

START_TEST(claims_honour_where)
{
	struct setup *s = setup_new();
	s->fixture.settings.where = "a OR b -- c";
	resolve(s);
	s->model->has_children = claims[_i].has_children;
	char *sql = sql_claim(s->model, claims[_i].kind, 100, false);
	ck_assert_msg(strstr(sql, claims[_i].part) != NULL, "%s", sql);
	free(sql);
	setup_free(s);
}
END_TEST

START_TEST(a_list_is_of_keys)
{
	struct setup *s = setup_new();
	resolve(s);
	char *keys = sql_list(s->model, 7, true);
	ck_assert_str_eq(keys, "SELECT signal.\"id\" FROM shop.\"order\" AS signal"
			       " WHERE signal.\"id\" OPERATOR(pg_catalog.>=) $1::bigint ORDER BY "
			       "signal.\"id\" LIMIT 7");
	free(keys);
	setup_free(s);
}
END_TEST

START_TEST(notes_and_counts_honour_where)
{
	struct setup *s = setup_new();
	s->fixture.settings.where = "a OR b";
	resolve(s);
	char *note = sql_note(s->model, "x7"), *count = sql_count(s->model);
	ck_assert_str_eq(note,
		"DECLARE noted_0_x7 NO SCROLL CURSOR WITH HOLD FOR SELECT signal.\"id\""
		" FROM shop.\"order\" AS signal WHERE (a OR b\n)");
	ck_assert_str_eq(
		count, "SELECT pg_catalog.count(*) FROM shop.\"order\" AS signal WHERE (a OR b\n)");
	char *some = sql_count_some(s->model, 7);
	ck_assert_str_eq(some,
		"SELECT pg_catalog.count(*) FROM (SELECT FROM shop.\"order\" AS signal"
		" WHERE (a OR b\n) LIMIT 7) AS bounded");
	free(some);
	char *list = sql_list(s->model, 7, false);
	ck_assert_str_eq(list, "SELECT signal.\"id\" FROM shop.\"order\" AS signal WHERE (a OR b\n)"
			       " ORDER BY signal.\"id\" LIMIT 7");
	free(list);
	ck_assert_str_eq(s->model->scope, "shop.\"order\" WHERE a OR b");
	free(note);
	free(count);
	setup_free(s);
}
END_TEST

int main(void)
{
	const struct test tests[] = {
		{ without_settings_a_message_is_plain, 1, 0 },
		{ each_row_has_its_topic, 1, 0 },
		{ fields_choose_and_rename, 1, 0 },
		{ expressions_of_other_types_go_through_to_json, 1, 0 },
		{ values_keys_and_headers_are_content, COUNT(contents), 0 },
		{ headers_keep_their_order, 1, 0 },
		{ partitions_are_in_range, COUNT(partitions), 0 },
		{ timestamps_before_1970_are_none, COUNT(timestamps), 0 },
		{ wrong_settings_are_reported, COUNT(wrong), 0 },
		{ claims_honour_where, COUNT(claims), 0 },
		{ a_list_is_of_keys, 1, 0 },
		{ notes_and_counts_honour_where, 1, 0 },
	};
	return suite_run("message", tests, COUNT(tests));
}
