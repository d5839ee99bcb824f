#include "postgres/binary_format.h"

#include "postgres/numeric.h"

#include <stdint.h>
#include <string.h>

#define US_PER_SECOND INT64_C(1000000)
#define SECONDS_A_DAY INT64_C(86400)
#define US_PER_DAY    (SECONDS_A_DAY * US_PER_SECOND)

/* From 1 March of the year 0, so that leap days are last, to 1 January 2000, PostgreSQL's epoch. */
#define DAYS_TO_2000   INT64_C(730425)
#define DAYS_400_YEARS 146097
#define DAYS_100_YEARS 36524
#define DAYS_4_YEARS   1461

#define JSONB_VERSION 1

#define TID_BYTES 6
/* The length of an array's header, in bytes, and the offset of the number of elements. */
#define TIDS_HEAD  20
#define TIDS_COUNT 12

struct binary_type {
	unsigned oid;
	enum value_form form;
	size_t length; /* of all its values; 0: it varies */
	/* How to print it, one of these; none: the bytes are the text. */
	char *(*put)(char *p, const unsigned char *bytes,
		size_t length); /* at p, at most BINARY_ROOM; returns the end */
	bool (*add)(struct text *t, const unsigned char *bytes, size_t length);
};

static uint64_t unsigned_at(const unsigned char *bytes, size_t length)
{
	uint64_t n = 0;
	for (size_t i = 0; i < length; i++)
		n = n << 8 | bytes[i];
	return n;
}

/* Two's complement of this many bytes. */
static int64_t signed_at(const unsigned char *bytes, size_t length)
{
	int64_t n = bytes[0] < 128 ? bytes[0] : bytes[0] - 256;
	for (size_t i = 1; i < length; i++)
		n = n * 256 + bytes[i];
	return n;
}

/* With leading zeros, if it has fewer digits. */
static char *put_digits(char *p, uint64_t n, int digits)
{
	char buffer[BINARY_ROOM];
	char *const end = buffer + sizeof buffer, *first = end;
	for (; n > 0 || digits > 0; n /= 10, digits--)
		*--first = (char)('0' + n % 10);
	memcpy(p, first, (size_t)(end - first));
	return p + (end - first);
}

static char *put_two_digits(char *p, unsigned n)
{
	p[0] = (char)('0' + n / 10);
	p[1] = (char)('0' + n % 10);
	return p + 2;
}

static char *put_boolean(char *p, const unsigned char *bytes, size_t length)
{
	(void)length;
	*p = bytes[0] != 0 ? 't' : 'f';
	return p + 1;
}

static char *put_integer(char *p, const unsigned char *bytes, size_t length)
{
	int64_t n = signed_at(bytes, length);
	if (n >= 0)
		return put_digits(p, (uint64_t)n, 1);
	*p = '-';
	return put_digits(p + 1, -(uint64_t)n, 1);
}

static char *put_oid(char *p, const unsigned char *bytes, size_t length)
{
	return put_digits(p, unsigned_at(bytes, length), 1);
}

static char *put_tid(char *p, const unsigned char *bytes, size_t length)
{
	*p++ = '(';
	p = put_digits(p, unsigned_at(bytes, 4), 1);
	*p++ = ',';
	p = put_digits(p, unsigned_at(bytes + 4, length - 4), 1);
	*p++ = ')';
	return p;
}

static int64_t floor_division(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

/* A day, counted from 2000. Sets *is_bc to whether it is BC, which is printed last. */
static char *put_day(char *p, int64_t days, bool *is_bc)
{
	int64_t since = days + DAYS_TO_2000;
	int64_t era = floor_division(since, DAYS_400_YEARS);
	unsigned day = (unsigned)(since - era * DAYS_400_YEARS);
	unsigned leap_days =
		day / (DAYS_4_YEARS - 1) - day / DAYS_100_YEARS + day / (DAYS_400_YEARS - 1);
	unsigned year_of_era = (day - leap_days) / 365;
	day -= 365 * year_of_era + year_of_era / 4 - year_of_era / 100;
	unsigned month = (5 * day + 2) / 153; /* from March on, five months have 153 days */
	day -= (153 * month + 2) / 5;
	month += month < 10 ? 3U : -9U;
	int64_t year = 400 * era + year_of_era + (month <= 2);
	*is_bc = year <= 0;
	p = put_digits(p, (uint64_t)(*is_bc ? 1 - year : year), 4);
	*p++ = '-';
	p = put_two_digits(p, month);
	*p++ = '-';
	return put_two_digits(p, day + 1);
}

/* Microseconds, without trailing zeros. */
static char *put_fraction(char *p, unsigned us)
{
	if (us == 0)
		return p;
	*p++ = '.';
	p = put_two_digits(p, us / 10000);
	p = put_two_digits(p, us / 100 % 100);
	p = put_two_digits(p, us % 100);
	while (p[-1] == '0')
		p--;
	return p;
}

static char *put_time(char *p, int64_t us)
{
	unsigned seconds = (unsigned)(us / US_PER_SECOND);
	p = put_two_digits(p, seconds / 3600);
	*p++ = ':';
	p = put_two_digits(p, seconds / 60 % 60);
	*p++ = ':';
	p = put_two_digits(p, seconds % 60);
	return put_fraction(p, (unsigned)(us % US_PER_SECOND));
}

/* The infinities are the ends of the range that ends with last. */
static bool is_infinite(int64_t n, int64_t last)
{
	return n == last || n == -last - 1;
}

static char *put_date(char *p, const unsigned char *bytes, size_t length)
{
	int64_t days = signed_at(bytes, length);
	if (is_infinite(days, INT32_MAX))
		return stpcpy(p, days > 0 ? "infinity" : "-infinity");
	bool is_bc;
	p = put_day(p, days, &is_bc);
	return stpcpy(p, is_bc ? " BC" : "");
}

static char *put_moment(char *p, int64_t us, const char *zone)
{
	if (is_infinite(us, INT64_MAX))
		return stpcpy(p, us > 0 ? "infinity" : "-infinity");
	bool is_bc;
	int64_t days = floor_division(us, US_PER_DAY);
	p = put_day(p, days, &is_bc);
	*p++ = ' ';
	p = put_time(p, us - days * US_PER_DAY);
	p = stpcpy(p, zone);
	return stpcpy(p, is_bc ? " BC" : "");
}

static char *put_timestamp(char *p, const unsigned char *bytes, size_t length)
{
	return put_moment(p, signed_at(bytes, length), "");
}

static char *put_timestamptz(char *p, const unsigned char *bytes, size_t length)
{
	return put_moment(p, signed_at(bytes, length), "+00");
}

static char *put_hex(char *p, const unsigned char *bytes, size_t length)
{
	static const char digits[] = "0123456789abcdef";
	for (size_t i = 0; i < length; i++) {
		*p++ = digits[bytes[i] >> 4];
		*p++ = digits[bytes[i] & 15];
	}
	return p;
}

static char *put_uuid(char *p, const unsigned char *bytes, size_t length)
{
	static const size_t groups[] = { 4, 2, 2, 2, 6 };
	(void)length;
	for (size_t i = 0; i < sizeof groups / sizeof groups[0]; bytes += groups[i++]) {
		if (i > 0)
			*p++ = '-';
		p = put_hex(p, bytes, groups[i]);
	}
	return p;
}

static bool add_bytea(struct text *t, const unsigned char *bytes, size_t length)
{
	char chunk[BINARY_ROOM];
	text_add(t, "\\x", 2);
	while (length > 0) {
		size_t part = length < sizeof chunk / 2 ? length : sizeof chunk / 2;
		text_add(t, chunk, (size_t)(put_hex(chunk, bytes, part) - chunk));
		bytes += part;
		length -= part;
	}
	return true;
}

/* The text follows. */
static bool skip_version(struct field *f)
{
	if (f->length < 1 || f->text[0] != JSONB_VERSION)
		return false;
	*f = (struct field){ f->text + 1, f->length - 1 };
	return true;
}

/* The text of these is sufficient to write what to_json() writes, except for FORM_SERVER.  For all
 * other types to_json() on the server costs more; yet for floats it costs less than if all columns
 * were text for their sake. */
static const struct binary_type types[] = {
	{ BOOL_OID, FORM_BOOLEAN, 1, put_boolean, NULL },
	{ BYTEA_OID, FORM_BYTES, 0, NULL, add_bytea },
	{ NAME_OID, FORM_STRING, 0, NULL, NULL },
	{ INT8_OID, FORM_NUMBER, 8, put_integer, NULL },
	{ INT2_OID, FORM_NUMBER, 2, put_integer, NULL },
	{ INT4_OID, FORM_NUMBER, 4, put_integer, NULL },
	{ TEXT_OID, FORM_STRING, 0, NULL, NULL },
	{ OID_OID, FORM_SERVER, 4, put_oid, NULL },
	{ TID_OID, FORM_SERVER, TID_BYTES, put_tid, NULL },
	{ JSON_OID, FORM_JSON, 0, NULL, NULL },
	{ BPCHAR_OID, FORM_STRING, 0, NULL, NULL },
	{ VARCHAR_OID, FORM_STRING, 0, NULL, NULL },
	{ DATE_OID, FORM_STRING, 4, put_date, NULL },
	{ TIMESTAMP_OID, FORM_TIMESTAMP, 8, put_timestamp, NULL },
	{ TIMESTAMPTZ_OID, FORM_TIMESTAMPTZ, 8, put_timestamptz, NULL },
	{ NUMERIC_OID, FORM_NUMBER, 0, NULL, numeric_add },
	{ UUID_OID, FORM_STRING, 16, put_uuid, NULL },
	{ JSONB_OID, FORM_JSON, 0, NULL, NULL },
};

const struct binary_type *binary_type(unsigned type_oid)
{
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
		if (types[i].oid == type_oid)
			return &types[i];
	return NULL;
}

enum value_form binary_form(unsigned type_oid)
{
	const struct binary_type *type = binary_type(type_oid);
	return type != NULL ? type->form : FORM_SERVER;
}

bool binary_print(const struct binary_type *type, struct field *f, struct binary_room *room)
{
	if (type->length > 0 && f->length != type->length)
		return false;
	if (type->put == NULL && type->add == NULL)
		return type->oid != JSONB_OID || skip_version(f);
	const unsigned char *bytes = (const unsigned char *)f->text;
	if (type->put != NULL) {
		char *end = type->put(room->bytes, bytes, f->length);
		*end = '\0';
		*f = (struct field){ room->bytes, (size_t)(end - room->bytes) };
		return true;
	}
	text_clear(&room->text);
	if (!type->add(&room->text, bytes, f->length))
		return false;
	*f = (struct field){ room->text.text, room->text.length };
	return true;
}

static void put_number(char *bytes, size_t length, uint32_t n)
{
	for (size_t i = length; i > 0; n >>= 8)
		bytes[--i] = (char)n;
}

static uint32_t take_number(const char **p)
{
	uint32_t n = 0;
	for (; **p >= '0' && **p <= '9'; ++*p)
		n = n * 10 + (uint32_t)(**p - '0');
	return n;
}

/* One dimension, no NULLs, the type and the number of the elements, and the lower bound 1
 * (array_recv() in arrayfuncs.c). */
static void begin_tids(struct text *t)
{
	const uint32_t head[] = { 1, 0, TID_OID, 0, 1 };
	char bytes[TIDS_HEAD];
	for (size_t i = 0; i < TIDS_HEAD / 4; i++)
		put_number(bytes + 4 * i, 4, head[i]);
	text_add(t, bytes, sizeof bytes);
}

void binary_tids_add(struct text *t, const char *tid)
{
	char element[4 + TID_BYTES];
	if (t->length == 0)
		begin_tids(t);
	put_number(element, 4, TID_BYTES);
	tid++; /* ( */
	put_number(element + 4, 4, take_number(&tid));
	tid++; /* , */
	put_number(element + 8, 2, take_number(&tid));
	text_add(t, element, sizeof element);
	size_t count = (t->length - TIDS_HEAD) / sizeof element;
	put_number(t->text + TIDS_COUNT, 4, (uint32_t)count);
}
