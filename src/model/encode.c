#include "model/encode.h"

#include "base/utf8.h"
#include "model/bytea.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_BUFFER_SIZE 1024
#define BLOCK             16

struct encoder {
	const struct model *model;
	struct text *names; /* of the members, as JSON has them, with what is around */
	cJSON *string;      /* one for cJSON to print … */
	char *buffer;       /* … up to there */
	size_t buffer_size;
	struct text object, base64;
	struct text topic, key, value;
	struct text *header_bytes; /* one for each header of the model … */
	struct header *headers;    /* … and those that the row has */
};

/* Whether a byte must be escaped in JSON.  Without a branch, so that compilers can vectorize it for
 * a block. */
static unsigned char is_special(unsigned char c)
{
	return (c < ' ') | (c == '"') | (c == '\\');
}

static bool is_plain(const char *text, size_t length)
{
	const unsigned char *bytes = (const unsigned char *)text;
	unsigned char special = 0;
	size_t i = 0;
	for (; i + BLOCK <= length; i += BLOCK)
		for (size_t k = i; k < i + BLOCK; k++)
			special |= is_special(bytes[k]);
	for (; i < length; i++)
		special |= is_special(bytes[i]);
	return special == 0;
}

/* Print a string with cJSON, which prints into at most INT_MAX bytes, and fails only for lack of
 * space. */
static bool print_string(struct encoder *enc, const char *text, struct error *e)
{
	enc->string->valuestring = (char *)(uintptr_t)text; /* only read: cJSON_IsReference */
	while (!cJSON_PrintPreallocated(enc->string, enc->buffer, (int)enc->buffer_size, false)) {
		if (enc->buffer_size == INT_MAX)
			return error_set(e, ERROR_REJECTED, "the value is larger than 2 GB");
		enc->buffer_size = enc->buffer_size > INT_MAX / 2 ? INT_MAX : enc->buffer_size * 2;
		enc->buffer = memory_resize(enc->buffer, enc->buffer_size, 1);
	}
	return true;
}

/* Add a string to JSON.  Most are plain, and need not be examined byte by byte. */
static bool add_string(struct encoder *enc, struct text *json, struct field f, struct error *e)
{
	if (is_plain(f.text, f.length)) {
		text_add(json, "\"", 1);
		text_add(json, f.text, f.length);
		text_add(json, "\"", 1);
		return true;
	}
	if (!print_string(enc, f.text, e))
		return false;
	text_add(json, enc->buffer, strlen(enc->buffer));
	return true;
}

static void set_name(struct encoder *enc, size_t member)
{
	struct error e;
	const char *name = enc->model->members[member].name;
	struct text *json = &enc->names[member];
	text_add(json, member == 0 ? "{" : ",", 1);
	if (!add_string(enc, json, (struct field){ name, strlen(name) }, &e))
		abort(); /* a name is short */
	text_add(json, ":", 1);
}

struct encoder *encoder_new(const struct model *m)
{
	struct encoder *enc = memory_new(1, sizeof *enc);
	enc->model = m;
	enc->string = cJSON_CreateStringReference("");
	if (enc->string == NULL)
		abort();
	enc->buffer_size = FIRST_BUFFER_SIZE;
	enc->buffer = memory_new(enc->buffer_size, 1);
	enc->names = memory_new(m->member_count, sizeof *enc->names);
	for (size_t i = 0; i < m->member_count; i++)
		set_name(enc, i);
	enc->header_bytes = memory_new(m->header_count, sizeof *enc->header_bytes);
	enc->headers = memory_new(m->header_count, sizeof *enc->headers);
	return enc;
}

static void free_texts(struct text *texts, size_t count)
{
	for (size_t i = 0; i < count; i++)
		text_free(&texts[i]);
	free(texts);
}

void encoder_free(struct encoder *enc)
{
	if (enc == NULL)
		return;
	free_texts(enc->names, enc->model->member_count);
	free_texts(enc->header_bytes, enc->model->header_count);
	free(enc->headers);
	cJSON_Delete(enc->string);
	free(enc->buffer);
	text_free(&enc->object);
	text_free(&enc->base64);
	text_free(&enc->topic);
	text_free(&enc->key);
	text_free(&enc->value);
	free(enc);
}

/* Values that are not JSON numbers are strings in PostgreSQL's JSON: NaN, Infinity, -Infinity. */
static bool is_json_number(const char *text)
{
	const char *digits = text[0] == '-' ? text + 1 : text;
	return digits[0] >= '0' && digits[0] <= '9';
}

/* A timestamp as PostgreSQL prints it in ISO style and UTC: "2026-11-23 17:00:00.1+00", optionally
 * followed by " BC", or "infinity", which is kept. */
static void add_timestamp(struct text *json, const struct field *f, enum value_form form)
{
	size_t date = strcspn(f->text, " ");
	size_t time = date < f->length ? strcspn(f->text + date + 1, " ") : 0;
	text_add(json, "\"", 1);
	text_add(json, f->text, date);
	if (time > 0) {
		text_add(json, "T", 1);
		text_add(json, f->text + date + 1, time);
		if (form == FORM_TIMESTAMPTZ)
			text_add(json, ":00", 3);
		text_add(json, f->text + date + 1 + time, f->length - date - 1 - time);
	}
	text_add(json, "\"", 1);
}

static void add_boolean(struct text *json, bool is)
{
	text_add(json, is ? "true" : "false", is ? 4 : 5);
}

static bool add_value(
	struct encoder *enc, enum value_form form, const struct field *f, struct error *e)
{
	struct text *json = &enc->object;
	if (f->text == NULL) {
		text_add(json, "null", 4);
		return true;
	}
	switch (form) {
	case FORM_STRING:
		return add_string(enc, json, *f, e);
	case FORM_BYTES:
		bytes_to_base64(f->text, f->length, &enc->base64);
		return add_string(
			enc, json, (struct field){ enc->base64.text, enc->base64.length }, e);
	case FORM_NUMBER:
		if (!is_json_number(f->text))
			return add_string(enc, json, *f, e);
		break;
	case FORM_TIMESTAMP:
	case FORM_TIMESTAMPTZ:
		add_timestamp(json, f, form);
		return true;
	case FORM_BOOLEAN:
		add_boolean(json, f->text[0] == 't');
		return true;
	case FORM_JSON:
	case FORM_SERVER:
		break;
	}
	text_add(json, f->text, f->length);
	return true;
}

static bool set_object(
	struct encoder *enc, const struct field *fields, struct message *message, struct error *e)
{
	const struct model *m = enc->model;
	text_clear(&enc->object);
	for (size_t i = 0; i < m->member_count; i++) {
		text_add(&enc->object, enc->names[i].text, enc->names[i].length);
		if (!add_value(enc, m->members[i].form, &fields[m->members[i].field], e))
			return false;
	}
	text_add(&enc->object, "}", 1);
	message->holder = &enc->object;
	message->value = enc->object.text;
	message->value_length = enc->object.length;
	return true;
}

/* A field's content, unchanged: text, or the bytes of bytea, which are stored in bytes.  NULL stays
 * NULL. */
static struct field content(const struct field *f, enum value_form form, struct text *bytes)
{
	if (f->text == NULL || form != FORM_BYTES)
		return *f;
	bytes_from_hex(f->text, f->length, bytes);
	return (struct field){ bytes->text, bytes->length };
}

static struct field content_of(
	const struct model *m, const struct field *fields, size_t field, struct text *bytes)
{
	if (field == NO_FIELD)
		return (struct field){ 0 };
	return content(&fields[field], m->outputs[field - ROW_FIXED_FIELDS].form, bytes);
}

static bool set_value(
	struct encoder *enc, const struct field *fields, struct message *message, struct error *e)
{
	const struct model *m = enc->model;
	if (m->value_field == NO_FIELD)
		return set_object(enc, fields, message, e);
	struct field f = content_of(m, fields, m->value_field, &enc->value);
	message->holder = f.text != NULL && f.text == enc->value.text ? &enc->value : NULL;
	message->value = f.text;
	message->value_length = f.text != NULL ? f.length : 0;
	return true;
}

static void set_key(struct encoder *enc, const struct field *fields, struct message *message)
{
	struct field f = content_of(enc->model, fields, enc->model->key_field, &enc->key);
	message->key = f.text;
	message->key_length = f.text != NULL ? f.length : 0;
	message->is_keyless = enc->model->key_field == NO_FIELD;
}

static bool set_topic(
	struct encoder *enc, const struct field *fields, struct message *message, struct error *e)
{
	const struct model *m = enc->model;
	message->topic = m->settings->topic;
	if (template_is_constant(&m->topic))
		return true;
	if (!template_expand(&m->topic, fields, &enc->topic, e))
		return false;
	message->topic = enc->topic.text;
	return true;
}

/* A NULL sends no header. */
static void set_headers(struct encoder *enc, const struct field *fields, struct message *message)
{
	const struct model *m = enc->model;
	message->headers = enc->headers;
	for (size_t i = 0; i < m->header_count; i++) {
		const struct part *part = &m->headers[i];
		struct field f = { part->constant, 0 };
		if (part->constant != NULL)
			f.length = strlen(part->constant);
		else
			f = content_of(m, fields, part->field, &enc->header_bytes[i]);
		if (f.text != NULL)
			enc->headers[message->header_count++] =
				(struct header){ part->name, f.text, f.length };
	}
}

static bool set_partition(
	const struct model *m, const struct field *fields, struct message *message, struct error *e)
{
	if (m->partition_field == NO_FIELD || fields[m->partition_field].text == NULL)
		return true;
	const char *text = fields[m->partition_field].text;
	errno = 0;
	long long number = strtoll(text, NULL, 10);
	if (errno != 0 || number < 0 || number > INT32_MAX)
		return error_set(e, ERROR_REJECTED, "partition %.20s is out of range", text);
	message->has_partition = true;
	message->partition = (int32_t)number;
	return true;
}

/* Kafka has no time before 1970, and 0 is the time of sending in librdkafka (RD_KAFKA_V_TIMESTAMP):
 * such a timestamp counts as none. */
static void set_timestamp(
	const struct model *m, const struct field *fields, struct message *message)
{
	if (m->timestamp_field == NO_FIELD || fields[m->timestamp_field].text == NULL)
		return;
	long long number = strtoll(fields[m->timestamp_field].text, NULL, 10);
	message->timestamp_ms = number > 0 ? number : 0;
}

bool encode_row(
	struct encoder *enc, const struct field *fields, struct message *message, struct error *e)
{
	*message = (struct message){ 0 };
	set_key(enc, fields, message);
	set_headers(enc, fields, message);
	set_timestamp(enc->model, fields, message);
	return set_topic(enc, fields, message, e) &&
	       set_partition(enc->model, fields, message, e) && set_value(enc, fields, message, e);
}

/* Longer keys are shortened, to leave room for the rest of the message. */
#define KEY_MAX 200

void encode_identity(const struct model *m, const struct field *fields, struct text *t)
{
	text_addf(t, "(");
	for (size_t i = 0; i < m->primary_key_count; i++)
		text_addf(t, "%s%s", i > 0 ? ", " : "", m->columns[m->primary_key[i]].name);
	text_addf(t, ")=(");
	for (size_t i = 0; i < m->primary_key_count; i++) {
		const char *value = fields[m->primary_key_fields[i]].text;
		char *shown = utf8_shown(value != NULL ? value : "NULL");
		text_addf(t, "%s", i > 0 ? ", " : "");
		text_add_short(t, shown, KEY_MAX / m->primary_key_count);
		free(shown);
	}
	text_addf(t, ")");
}
