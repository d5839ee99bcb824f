#include "encode.h"

#include <cjson/cJSON.h>
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
	struct text key;
	char *buffer;
	size_t buffer_size;
};

struct encoder *encoder_new(const struct model *m)
{
	struct encoder *enc = memory_new(1, sizeof *enc);
	enc->model = m;
	enc->object = cJSON_CreateObject();
	enc->members = memory_new(m->column_count, sizeof(cJSON *));
	enc->base64 = memory_new(m->column_count, sizeof *enc->base64);
	for (size_t i = 0; i < m->column_count; i++) {
		enc->members[i] = cJSON_CreateNull();
		if (!cJSON_AddItemToObjectCS(enc->object, m->columns[i].name, enc->members[i]))
			abort();
	}
	enc->buffer_size = FIRST_BUFFER_SIZE;
	enc->buffer = memory_new(enc->buffer_size, 1);
	return enc;
}

void encoder_free(struct encoder *enc)
{
	if (enc == NULL)
		return;
	for (size_t i = 0; i < enc->model->column_count; i++)
		text_free(&enc->base64[i]);
	free(enc->base64);
	cJSON_Delete(enc->object);
	free(enc->members);
	text_free(&enc->key);
	free(enc->buffer);
	free(enc);
}

static unsigned char hex_digit(char c)
{
	return (unsigned char)(c <= '9' ? c - '0' : c - 'a' + 10);
}

/* The next byte of bytea's text form, which is \x and two lower case digits for each byte. */
static unsigned char hex_byte(const char *hex)
{
	return (unsigned char)(hex_digit(hex[0]) << 4 | hex_digit(hex[1]));
}

static void from_hex(const struct field *f, struct text *bytes)
{
	text_clear(bytes);
	text_add(bytes, "", 0);
	for (size_t i = 2; i + 1 < f->length; i += 2) {
		char byte = (char)hex_byte(f->text + i);
		text_add(bytes, &byte, 1);
	}
}

static void to_base64(const struct field *f, struct text *base64)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	text_clear(base64);
	text_add(base64, "", 0);
	for (size_t i = 2; i + 1 < f->length; i += 6) {
		size_t bytes = (f->length - i) / 2 < 3 ? (f->length - i) / 2 : 3;
		unsigned group = 0;
		for (size_t k = 0; k < 3; k++)
			group = group << 8 | (k < bytes ? hex_byte(f->text + i + 2 * k) : 0);
		char quad[] = { digits[group >> 18], digits[group >> 12 & 63],
			bytes > 1 ? digits[group >> 6 & 63] : '=',
			bytes > 2 ? digits[group & 63] : '=' };
		text_add(base64, quad, sizeof quad);
	}
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
	switch (enc->model->columns[i].form) {
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
		to_base64(f, &enc->base64[i]);
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

static void set_key(struct encoder *enc, const struct field *fields, struct message *message)
{
	const struct model *m = enc->model;
	if (m->key_field == NO_FIELD || fields[m->key_field].text == NULL)
		return;
	const struct field *f = &fields[m->key_field];
	message->key = f->text;
	message->key_length = f->length;
	if (m->columns[m->outputs[m->key_field - ROW_FIXED_FIELDS].column].form != FORM_BYTES)
		return;
	from_hex(f, &enc->key);
	message->key = enc->key.text;
	message->key_length = enc->key.length;
}

bool encode_row(
	struct encoder *enc, const struct field *fields, struct message *message, struct error *e)
{
	const struct model *m = enc->model;
	*message = (struct message){ .topic = m->config->topic };
	set_key(enc, fields, message);
	for (size_t i = 0; i < m->column_count; i++)
		point_member(enc, i, &fields[m->value_fields[i]]);
	if (!print_value(enc, e))
		return false;
	message->value = enc->buffer;
	message->value_length = strlen(enc->buffer);
	return true;
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
