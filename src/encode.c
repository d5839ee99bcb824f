#include "encode.h"

#include "bytes.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_BUFFER_SIZE 1024

struct encoder {
	const struct model *model;
	/* The value's object, made once: for each row its members are pointed at the row's
	 * fields, so that nothing is copied before it is printed. */
	cJSON *object;
	cJSON **members;
	struct text *base64; /* one for each member */
	struct text topic, key, value;
	struct text *header_bytes; /* one for each header of the model … */
	struct header *headers;    /* … and those that the row has */
	char *buffer;
	size_t buffer_size;
};

struct encoder *encoder_new(const struct model *m)
{
	struct encoder *enc = memory_new(1, sizeof *enc);
	enc->model = m;
	enc->object = cJSON_CreateObject();
	enc->members = memory_new(m->member_count, sizeof(cJSON *));
	enc->base64 = memory_new(m->member_count, sizeof *enc->base64);
	for (size_t i = 0; i < m->member_count; i++) {
		enc->members[i] = cJSON_CreateNull();
		if (!cJSON_AddItemToObjectCS(enc->object, m->members[i].name, enc->members[i]))
			abort();
	}
	enc->header_bytes = memory_new(m->header_count, sizeof *enc->header_bytes);
	enc->headers = memory_new(m->header_count, sizeof *enc->headers);
	enc->buffer_size = FIRST_BUFFER_SIZE;
	enc->buffer = memory_new(enc->buffer_size, 1);
	return enc;
}

void encoder_free(struct encoder *enc)
{
	if (enc == NULL)
		return;
	for (size_t i = 0; i < enc->model->member_count; i++)
		text_free(&enc->base64[i]);
	for (size_t i = 0; i < enc->model->header_count; i++)
		text_free(&enc->header_bytes[i]);
	free(enc->base64);
	free(enc->header_bytes);
	free(enc->headers);
	cJSON_Delete(enc->object);
	free(enc->members);
	text_free(&enc->topic);
	text_free(&enc->key);
	text_free(&enc->value);
	free(enc->buffer);
	free(enc);
}

/* What JSON has no number for is a string in PostgreSQL's JSON: NaN, Infinity, -Infinity. */
static bool is_json_number(const char *text)
{
	const char *digits = text[0] == '-' ? text + 1 : text;
	return digits[0] >= '0' && digits[0] <= '9';
}

static void set_member(cJSON *member, int type, const char *text)
{
	member->type = type | cJSON_IsReference | cJSON_StringIsConst;
	member->valuestring = (char *)(uintptr_t)text; /* is only read: cJSON_IsReference */
}

static void point_member(struct encoder *enc, size_t i, const struct field *f)
{
	cJSON *member = enc->members[i];
	if (f->text == NULL) {
		set_member(member, cJSON_NULL, NULL);
		return;
	}
	switch (enc->model->members[i].form) {
	case FORM_STRING:
		set_member(member, cJSON_String, f->text);
		break;
	case FORM_NUMBER:
		set_member(member, is_json_number(f->text) ? cJSON_Raw : cJSON_String, f->text);
		break;
	case FORM_BOOLEAN:
		set_member(member, f->text[0] == 't' ? cJSON_True : cJSON_False, NULL);
		break;
	case FORM_BYTES:
		bytes_to_base64(f->text, f->length, &enc->base64[i]);
		set_member(member, cJSON_String, enc->base64[i].text);
		break;
	case FORM_JSON:
	case FORM_SERVER:
		set_member(member, cJSON_Raw, f->text);
		break;
	}
}

/* cJSON prints into at most INT_MAX bytes, and fails for lack of space only. */
static bool print_value(struct encoder *enc, struct error *e)
{
	while (!cJSON_PrintPreallocated(enc->object, enc->buffer, (int)enc->buffer_size, false)) {
		if (enc->buffer_size == INT_MAX)
			return error_set(e, ERROR_REJECTED, "the value is larger than 2 GB");
		enc->buffer_size = enc->buffer_size > INT_MAX / 2 ? INT_MAX : enc->buffer_size * 2;
		enc->buffer = memory_resize(enc->buffer, enc->buffer_size, 1);
	}
	return true;
}

static bool set_object(
	struct encoder *enc, const struct field *fields, struct message *message, struct error *e)
{
	const struct model *m = enc->model;
	for (size_t i = 0; i < m->member_count; i++)
		point_member(enc, i, &fields[m->members[i].field]);
	if (!print_value(enc, e))
		return false;
	message->value = enc->buffer;
	message->value_length = strlen(enc->buffer);
	return true;
}

/* A field's content as it is: text, of bytea its bytes, which go to bytes.  NULL stays NULL. */
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
	message->value = f.text;
	message->value_length = f.text != NULL ? f.length : 0;
	return true;
}

static void set_key(struct encoder *enc, const struct field *fields, struct message *message)
{
	struct field f = content_of(enc->model, fields, enc->model->key_field, &enc->key);
	message->key = f.text;
	message->key_length = f.text != NULL ? f.length : 0;
}

static bool set_topic(
	struct encoder *enc, const struct field *fields, struct message *message, struct error *e)
{
	const struct model *m = enc->model;
	message->topic = m->config->topic;
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

/* Kafka has no time before 1970, and in librdkafka 0 is the time of sending
 * (RD_KAFKA_V_TIMESTAMP): such a timestamp counts as none. */
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

void encode_identity(const struct model *m, const struct field *fields, struct text *t)
{
	text_addf(t, "(");
	for (size_t i = 0; i < m->primary_key_count; i++)
		text_addf(t, "%s%s", i > 0 ? ", " : "", m->columns[m->primary_key[i]].name);
	text_addf(t, ")=(");
	for (size_t i = 0; i < m->primary_key_count; i++)
		text_addf(t, "%s%s", i > 0 ? ", " : "", fields[m->primary_key_fields[i]].text);
	text_addf(t, ")");
}
