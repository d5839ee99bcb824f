#include "postgres/binary_format.h"

#include "suite.h"

#include <string.h>

#define BYTES(literal) literal, sizeof(literal) - 1

/* The numbers are those of pg_type.dat. */
static const struct {
	unsigned oid;
	const char *bytes;
	size_t length;
	const char *text; /* NULL: it is no value of the type */
} values[] = {
	{ 16, BYTES("\1"), "t" },
	{ 16, BYTES("\0"), "f" },
	{ 16, BYTES(""), NULL },
	{ 17, BYTES(""), "\\x" },
	{ 17, BYTES("\0\xff\x10z"), "\\x00ff107a" },
	{ 17, BYTES("0123456789012345678901234567890123"),
		"\\x30313233343536373839303132333435363738393031323334353637383930313233" },
	{ 19, BYTES("a_name"), "a_name" },
	{ 20, BYTES("\0\0\0\0\0\0\0\0"), "0" },
	{ 20, BYTES("\x7f\xff\xff\xff\xff\xff\xff\xff"), "9223372036854775807" },
	{ 20, BYTES("\x80\0\0\0\0\0\0\0"), "-9223372036854775808" },
	{ 20, BYTES("\xff\xff\xff\xff\xff\xff\xff\xff"), "-1" },
	{ 20, BYTES("\0\0\0\1"), NULL },
	{ 21, BYTES("\x7f\xff"), "32767" },
	{ 21, BYTES("\x80\0"), "-32768" },
	{ 23, BYTES("\x7f\xff\xff\xff"), "2147483647" },
	{ 23, BYTES("\x80\0\0\0"), "-2147483648" },
	{ 25, BYTES(""), "" },
	{ 25, BYTES("it's \xe2\x82\xac"), "it's \xe2\x82\xac" },
	{ 26, BYTES("\xff\xff\xff\xff"), "4294967295" },
	{ 27, BYTES("\xff\xff\xff\xfe\0\1"), "(4294967294,1)" },
	{ 27, BYTES("\0\0\0\0\xff\xff"), "(0,65535)" },
	{ 27, BYTES("\0\0\0\0\0\0\0\0"), NULL },
	{ 114, BYTES("{\"a\" :1}"), "{\"a\" :1}" },
	{ 1042, BYTES("ab  "), "ab  " },
	{ 1043, BYTES("ab"), "ab" },
	{ 1082, BYTES("\0\0\0\0"), "2000-01-01" },
	{ 1082, BYTES("\xff\xff\xff\xff"), "1999-12-31" },
	{ 1082, BYTES("\0\0\0\x3b"), "2000-02-29" },
	{ 1082, BYTES("\x00\x00\x00\x3c"), "2000-03-01" },
	{ 1082, BYTES("\xff\xff\x71\x8e"), "1900-02-28" },
	{ 1082, BYTES("\xff\xff\x71\x8f"), "1900-03-01" },
	{ 1082, BYTES("\x00\x00\x22\x3d"), "2023-12-31" },
	{ 1082, BYTES("\x00\x00\x23\xab"), "2024-12-31" },
	{ 1082, BYTES("\0\0\x26\x5c"), "2026-11-20" },
	{ 1082, BYTES("\xff\xf4\xdb\xf8"), "0001-12-31 BC" },
	{ 1082, BYTES("\xff\xf4\xdb\xf9"), "0001-01-01" },
	{ 1082, BYTES("\xff\xf4\xd5\x11"), "0005-02-29 BC" },
	{ 1082, BYTES("\xff\xda\x97\xcd"), "4713-01-01 BC" },
	{ 1082, BYTES("\x7f\xff\xff\xff"), "infinity" },
	{ 1082, BYTES("\x80\0\0\0"), "-infinity" },
	{ 1082, BYTES("\x7f\xda\x97\x0c"), "5874897-12-31" },
	{ 1114, BYTES("\0\0\0\0\0\0\0\0"), "2000-01-01 00:00:00" },
	{ 1114, BYTES("\0\0\0\0\0\0\0\1"), "2000-01-01 00:00:00.000001" },
	{ 1114, BYTES("\0\0\0\0\0\1\x86\xa0"), "2000-01-01 00:00:00.1" },
	{ 1114, BYTES("\xff\xff\xff\xff\xff\xff\xff\xff"), "1999-12-31 23:59:59.999999" },
	{ 1114, BYTES("\x7f\xff\xff\xff\xff\xff\xff\xff"), "infinity" },
	{ 1114, BYTES("\x80\0\0\0\0\0\0\0"), "-infinity" },
	{ 1184, BYTES("\0\0\0\0\0\0\0\0"), "2000-01-01 00:00:00+00" },
	{ 1184, BYTES("\x80\0\0\0\0\0\0\0"), "-infinity" },
	{ 1184, BYTES("\xff\x1f\xe2\xeb\xa7\xc5\0\0"), "0001-12-31 00:00:00+00 BC" },
	{ 1184, BYTES("\x7f\xff\xff\x5b\xb3\xb2\x9f\xff"), "294276-12-31 23:59:59.999999+00" },
	{ 1184, BYTES("\0\3\x03\xb1\x5c\xc1\x65\x88"), "2026-11-20 10:20:30.405+00" },
	{ 1184, BYTES("\0\0"), NULL },
	{ 1700, BYTES("\0\0\0\0\0\0\0\0"), "0" },
	{ 1700, BYTES("\0\0\0\0\0\0\0\3"), "0.000" },
	{ 1700, BYTES("\0\1\0\0\0\0\0\0\0\7"), "7" },
	{ 1700, BYTES("\0\2\0\1\x40\0\0\0\0\1\0\2"), "-10002" },
	{ 1700, BYTES("\0\1\0\2\0\0\0\0\0\1"), "100000000" },
	{ 1700, BYTES("\0\1\xff\xff\0\0\0\1\x03\xe8"), "0.1" },
	{ 1700, BYTES("\0\1\xff\xfe\0\0\0\6\x03\xe8"), "0.000010" },
	{ 1700, BYTES("\0\2\0\0\0\0\0\2\0\14\x0d\x48"), "12.34" },
	{ 1700, BYTES("\0\2\xff\xfe\x40\0\0\x0b\x04\xd2\x13\x88"), "-0.00001234500" },
	{ 1700, BYTES("\0\1\0\5\0\0\0\0\0\1"), "100000000000000000000" },
	{ 1700, BYTES("\0\0\0\0\xc0\0\0\0"), "NaN" },
	{ 1700, BYTES("\0\0\0\0\xd0\0\0\x20"), "Infinity" },
	{ 1700, BYTES("\0\0\0\0\xf0\0\0\x20"), "-Infinity" },
	{ 1700, BYTES("\0\1\0\0\0\0\0\0"), NULL },
	{ 1700, BYTES("\0\0\0\0\x12\x34\0\0"), NULL },
	{ 1700, BYTES("\0\0\0\0\0\0\0"), NULL },
	{ 2950, BYTES("\x01\x23\x45\x67\x89\xab\xcd\xef\xfe\xdc\xba\x98\x76\x54\x32\x10"),
		"01234567-89ab-cdef-fedc-ba9876543210" },
	{ 2950, BYTES("\1\2\3"), NULL },
	{ 3802, BYTES("\1{\"a\": 1}"), "{\"a\": 1}" },
	{ 3802, BYTES("\2{}"), NULL },
	{ 3802, BYTES(""), NULL },
};

START_TEST(a_value_is_printed_as_the_server_prints_it)
{
	struct binary_room room = { 0 };
	struct field f = { values[_i].bytes, values[_i].length };
	const struct binary_type *type = binary_type(values[_i].oid);
	ck_assert_ptr_nonnull(type);
	/* What was there before does not matter. */
	text_add(&room.text, "before", 6);
	bool ok = binary_print(type, &f, &room);
	ck_assert_int_eq(ok, values[_i].text != NULL);
	if (ok) {
		ck_assert_str_eq(f.text, values[_i].text);
		ck_assert_uint_eq(f.length, strlen(values[_i].text));
	}
	text_free(&room.text);
}
END_TEST

START_TEST(other_types_are_not_known)
{
	static const unsigned oids[] = { 0, 18, 700, 701, 790, 869, 1009, 1186, 16384 };
	for (size_t i = 0; i < COUNT(oids); i++)
		ck_assert_ptr_null(binary_type(oids[i]));
}
END_TEST

START_TEST(tids_become_an_array)
{
	static const char expected[] = "\0\0\0\1\0\0\0\0\0\0\0\33\0\0\0\2\0\0\0\1"
				       "\0\0\0\6\0\0\0\0\0\1"
				       "\0\0\0\6\xff\xff\xff\xfe\xff\xff";
	struct text t = { 0 };
	binary_tids_add(&t, "(0,1)");
	binary_tids_add(&t, "(4294967294,65535)");
	ck_assert_uint_eq(t.length, sizeof expected - 1);
	ck_assert_mem_eq(t.text, expected, t.length);
	text_free(&t);
}
END_TEST

int main(void)
{
	const struct test tests[] = {
		{ a_value_is_printed_as_the_server_prints_it, COUNT(values), 0 },
		{ other_types_are_not_known, 1, 0 },
		{ tids_become_an_array, 1, 0 },
	};
	return suite_run("binary_format", tests, COUNT(tests));
}
