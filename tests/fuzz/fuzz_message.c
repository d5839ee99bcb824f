/*
 * fuzz_message - libFuzzer drives a model's settings and rows through placeholders and encoder.
 *
 * The input chooses columns, settings and rows as PostgreSQL could give them: any text, and JSON,
 * numbers, bytea or timestamps in their forms.  A message that comes out has to be what went in.
 */
#include "model/encode.h"

#include <cjson/cJSON.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS_MAX 6
#define ITEMS_MAX   4
#define ROWS        3

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *data;
	size_t size;
};

/* A row's content of a column: the text that PostgreSQL prints, and the bytes of a bytea. */
struct content {
	struct field field;
	struct text bytes;
	const char *iso; /* what JSON has of a timestamp */
};

/* Everything that one input makes; strings that were taken from it are freed at the end. */
struct trial {
	struct input in;
	struct model_config settings;
	struct config config;
	struct item fields[ITEMS_MAX], headers[ITEMS_MAX];
	size_t column_count;
	struct content contents[COLUMNS_MAX];
	char *taken[256];
	size_t taken_count;
};

static const unsigned type_oids[] = { 16, 17, 20, 23, 25, 114, 701, 1114, 1184, 1700, 3802, 600 };

static const char *const jsons[] = { "null", "{\"b\" : 1,  \"a\":[1, 2.50]}", "[]", "\"\\u0001\"",
	"12345678901234567890.10", "[[[[{}]]]]" };
static const char *const numbers[] = { "0", "-1", "9223372036854775807", "1e-30", "NaN",
	"-Infinity", "2147483648", "123456789012345678901234567890.5" };

/* A timestamp as PostgreSQL prints it, and as to_json() has it. */
struct stamp {
	const char *text, *iso;
};

static const struct stamp with_zone[] = { { "infinity", "infinity" },
	{ "2026-11-23 17:00:00.123456+00", "2026-11-23T17:00:00.123456+00:00" },
	{ "0044-03-15 12:00:00+00 BC", "0044-03-15T12:00:00+00:00 BC" } };
static const struct stamp without_zone[] = { { "-infinity", "-infinity" },
	{ "2026-11-23 17:00:00", "2026-11-23T17:00:00" },
	{ "4713-01-01 00:00:00.5 BC", "4713-01-01T00:00:00.5 BC" } };
static const char *const milliseconds[] = { "0", "-1", "1795453200123", "9223372036854775807" };

#define CHOOSE(in, list) ((list)[take_byte(in) % (sizeof(list) / sizeof(list)[0])])

static void check(bool condition)
{
	if (!condition)
		abort();
}

static unsigned take_byte(struct input *in)
{
	if (in->size == 0)
		return 0;
	in->size--;
	return *in->data++;
}

/* Some of the input's bytes, without NUL, as a string. */
static char *take_text(struct trial *t)
{
	size_t wanted = take_byte(&t->in);
	if (wanted > 250)
		wanted *= 16; /* now and then a long one */
	struct text text = { 0 };
	text_add(&text, "", 0);
	for (; wanted > 0 && t->in.size > 0; wanted--) {
		char c = (char)take_byte(&t->in);
		if (c != '\0')
			text_add(&text, &c, 1);
	}
	check(t->taken_count < sizeof t->taken / sizeof t->taken[0]);
	t->taken[t->taken_count++] = text.text;
	return text.text;
}

/* In the place of config.c's. */
struct place config_place(const struct config *c, const struct model_config *m, const char *setting)
{
	(void)m;
	(void)setting;
	return (struct place){ c->file, 1 };
}

/* A column's name, or now and then any text; NULL: the setting is not there. */
static const char *take_column(struct trial *t, const struct model *m)
{
	unsigned choice = take_byte(&t->in);
	if (choice < 100)
		return NULL;
	return choice > 250 ? take_text(t) : m->columns[choice % m->column_count].name;
}

static struct items take_items(
	struct trial *t, const struct model *m, struct item *items, bool of_headers)
{
	struct items list = { items, take_byte(&t->in) % (ITEMS_MAX + 1) };
	for (size_t i = 0; i < list.count; i++) {
		items[i] = (struct item){ .place = { "f", 1 } };
		items[i].column = take_column(t, m);
		if (items[i].column == NULL || take_byte(&t->in) % 2 == 0)
			items[i].name = take_text(t);
		if (items[i].column == NULL && of_headers)
			items[i].value = take_text(t);
		else if (items[i].column == NULL)
			items[i].column = m->columns[0].name;
	}
	return list;
}

/* Columns and settings from the input. */
static struct model *make_model(struct trial *t)
{
	t->config = (struct config){ .file = "f", .models = &t->settings, .model_count = 1 };
	t->settings = (struct model_config){ .name = "m", .table = "t", .burst_count = 1 };
	struct model *m = model_new(&t->config, 0);
	model_set_table(m, "t", false);
	t->column_count = 1 + take_byte(&t->in) % COLUMNS_MAX;
	for (size_t i = 0; i < t->column_count; i++)
		model_add_column(m, take_text(t), CHOOSE(&t->in, type_oids))->type =
			text_copy("type");
	model_add_primary_key(m, m->columns[0].name);
	t->settings.topic = take_text(t);
	t->settings.key = take_column(t, m);
	t->settings.value = take_column(t, m);
	t->settings.partition = take_column(t, m);
	t->settings.timestamp = take_column(t, m);
	if (t->settings.value == NULL)
		t->settings.fields = take_items(t, m, t->fields, false);
	t->settings.headers = take_items(t, m, t->headers, true);
	return m;
}

static void take_bytea(struct trial *t, struct content *c)
{
	static const char digits[] = "0123456789abcdef";
	const char *raw = take_text(t);
	struct text hex = { 0 };
	text_add(&hex, "\\x", 2);
	for (const char *p = raw; *p != '\0'; p++) {
		const char pair[] = { digits[(unsigned char)*p >> 4], digits[*p & 15] };
		text_add(&hex, pair, 2);
	}
	text_add(&c->bytes, raw, strlen(raw));
	t->taken[t->taken_count++] = hex.text;
	c->field = (struct field){ hex.text, hex.length };
}

static void take_content(struct trial *t, enum value_form form, struct content *c)
{
	const char *text = NULL;
	text_clear(&c->bytes);
	c->field = (struct field){ 0 };
	if (take_byte(&t->in) % 8 == 0)
		return;
	if (form == FORM_BYTES) {
		take_bytea(t, c);
		return;
	}
	if (form == FORM_TIMESTAMP || form == FORM_TIMESTAMPTZ) {
		struct stamp stamp = form == FORM_TIMESTAMP ? CHOOSE(&t->in, without_zone)
							    : CHOOSE(&t->in, with_zone);
		c->iso = stamp.iso;
		text = stamp.text;
	} else if (form == FORM_STRING)
		text = take_text(t);
	else if (form == FORM_BOOLEAN)
		text = take_byte(&t->in) % 2 == 0 ? "t" : "f";
	else
		text = form == FORM_NUMBER ? CHOOSE(&t->in, numbers) : CHOOSE(&t->in, jsons);
	c->field = (struct field){ text, strlen(text) };
}

/* The content as a key, a value or a header has it. */
static struct field raw_of(const struct trial *t, const struct model *m, size_t column)
{
	const struct content *c = &t->contents[column];
	if (c->field.text == NULL || m->columns[column].form != FORM_BYTES)
		return c->field;
	return (struct field){ c->bytes.text, c->bytes.length };
}

static void check_same(const char *found, size_t length, struct field expected)
{
	check((found == NULL) == (expected.text == NULL));
	check(found == NULL ||
		(length == expected.length && memcmp(found, expected.text, length) == 0));
}

/* That base64 stands for these bytes. */
static void check_base64(const char *base64, const struct text *bytes)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	unsigned bits = 0;
	size_t found = 0, length = strlen(base64);
	check(length == (bytes->length + 2) / 3 * 4);
	for (size_t i = 0; i < length && base64[i] != '='; i++) {
		const char *digit = strchr(digits, base64[i]);
		check(digit != NULL);
		bits = bits << 6 | (unsigned)(digit - digits);
		if (i % 4 > 0)
			check((unsigned char)bytes->text[found++] ==
				(bits >> (6 - i % 4 * 2) & 255));
	}
	check(found == bytes->length);
}

/* That JSON has the content of a column. */
static void check_member(const cJSON *found, const struct content *c, const struct part *part)
{
	check(found != NULL && strcmp(found->string, part->name) == 0);
	if (c->field.text == NULL)
		check(cJSON_IsNull(found));
	else if (part->form == FORM_STRING)
		check(cJSON_IsString(found) && strcmp(found->valuestring, c->field.text) == 0);
	else if (part->form == FORM_BOOLEAN)
		check(cJSON_IsBool(found) && cJSON_IsTrue(found) == (c->field.text[0] == 't'));
	else if (part->form == FORM_TIMESTAMP || part->form == FORM_TIMESTAMPTZ)
		check(cJSON_IsString(found) && strcmp(found->valuestring, c->iso) == 0);
	else if (part->form == FORM_BYTES)
		check_base64(cJSON_GetStringValue(found), &c->bytes);
	else if (part->form == FORM_NUMBER)
		check(cJSON_IsNumber(found) || cJSON_IsString(found));
}

static void check_value(const struct trial *t, const struct model *m, const struct message *message)
{
	if (m->value_field != NO_FIELD) {
		size_t column = m->outputs[m->value_field - ROW_FIXED_FIELDS].column;
		check_same(message->value, message->value_length, raw_of(t, m, column));
		return;
	}
	cJSON *object = cJSON_ParseWithLength(message->value, message->value_length);
	check(cJSON_IsObject(object));
	check(strlen(message->value) == message->value_length);
	const cJSON *found = object->child;
	for (size_t i = 0; i < m->member_count; i++) {
		check_member(found, &t->contents[m->members[i].column], &m->members[i]);
		found = found->next;
	}
	check(found == NULL);
	cJSON_Delete(object);
}

static void check_headers(
	const struct trial *t, const struct model *m, const struct message *message)
{
	size_t found = 0;
	for (size_t i = 0; i < m->header_count; i++) {
		const struct part *part = &m->headers[i];
		struct field expected = { part->constant, 0 };
		if (part->constant != NULL)
			expected.length = strlen(part->constant);
		else
			expected = raw_of(t, m, part->column);
		if (expected.text == NULL)
			continue;
		check(found < message->header_count);
		const struct header *h = &message->headers[found++];
		check(strcmp(h->name, part->name) == 0);
		check_same(h->value, h->length, expected);
	}
	check(found == message->header_count);
}

static void check_topic(const struct trial *t, const struct model *m, const struct message *message)
{
	struct text expected = { 0 };
	for (size_t i = 0; i < m->topic.count; i++) {
		const struct template_part *part = &m->topic.parts[i];
		const char *text = part->text;
		if (part->is_column)
			text = t->contents[m->outputs[part->field - ROW_FIXED_FIELDS].column]
				       .field.text;
		text_add(&expected, text, strlen(text));
	}
	check(strcmp(expected.text, message->topic) == 0);
	text_free(&expected);
}

static void check_message(
	const struct trial *t, const struct model *m, const struct message *message)
{
	check_topic(t, m, message);
	size_t length = strlen(message->topic);
	check(length > 0 && length <= 249 && strcmp(message->topic, ".") != 0 &&
		strcmp(message->topic, "..") != 0);
	for (size_t i = 0; i < length; i++) {
		char c = message->topic[i];
		check((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
			c == '.' || c == '_' || c == '-');
	}
	if (m->key_field != NO_FIELD)
		check_same(message->key, message->key_length,
			raw_of(t, m, m->outputs[m->key_field - ROW_FIXED_FIELDS].column));
	check(message->partition >= 0 && message->timestamp_ms >= 0);
	check_value(t, m, message);
	check_headers(t, m, message);
}

/* The field that a claim would have for an output. */
static struct field field_of(struct trial *t, const struct output *o)
{
	struct field f = t->contents[o->column].field;
	if (!o->as_milliseconds || f.text == NULL)
		return f;
	const char *number = CHOOSE(&t->in, milliseconds);
	return (struct field){ number, strlen(number) };
}

static void encode_some(struct trial *t, const struct model *m)
{
	struct field *fields = memory_new(ROW_FIXED_FIELDS + m->output_count, sizeof *fields);
	struct encoder *enc = encoder_new(m);
	for (int row = 0; row < ROWS; row++) {
		struct message message;
		struct error e = { 0 };
		for (size_t i = 0; i < t->column_count; i++)
			take_content(t, m->columns[i].form, &t->contents[i]);
		for (size_t i = 0; i < m->output_count; i++)
			fields[ROW_FIXED_FIELDS + i] = field_of(t, &m->outputs[i]);
		if (encode_row(enc, fields, &message, &e))
			check_message(t, m, &message);
		else
			check(e.kind == ERROR_REJECTED && strlen(e.text) > 0);
	}
	encoder_free(enc);
	free(fields);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct trial t;
	struct error e = { 0 };
	t = (struct trial){ .in = { data, size } };
	struct model *m = make_model(&t);
	if (model_resolve(m, &e))
		encode_some(&t, m);
	else
		check(e.kind == ERROR_CONFIG && strncmp(e.text, "f:1: ", 5) == 0);
	model_free(m);
	for (size_t i = 0; i < COLUMNS_MAX; i++)
		text_free(&t.contents[i].bytes);
	for (size_t i = 0; i < t.taken_count; i++)
		free(t.taken[i]);
	return 0;
}
