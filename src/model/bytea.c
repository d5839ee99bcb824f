#include "model/bytea.h"

#define PREFIX_LENGTH 2 /* \x */

static unsigned char hex_digit(char c)
{
	return (unsigned char)(c <= '9' ? c - '0' : c - 'a' + 10);
}

static unsigned char hex_byte(const char *hex)
{
	return (unsigned char)(hex_digit(hex[0]) << 4 | (hex_digit(hex[1]) & 15));
}

void bytes_from_hex(const char *hex, size_t length, struct text *t)
{
	char chunk[256];
	size_t used = 0;
	text_clear(t);
	text_add(t, "", 0);
	for (size_t i = PREFIX_LENGTH; i + 1 < length; i += 2) {
		chunk[used++] = (char)hex_byte(hex + i);
		if (used == sizeof chunk) {
			text_add(t, chunk, used);
			used = 0;
		}
	}
	text_add(t, chunk, used);
}

void bytes_to_base64(const char *hex, size_t length, struct text *t)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	text_clear(t);
	text_add(t, "", 0);
	for (size_t i = PREFIX_LENGTH; i + 1 < length; i += 6) {
		size_t bytes = (length - i) / 2 < 3 ? (length - i) / 2 : 3;
		unsigned group = 0;
		for (size_t k = 0; k < 3; k++)
			group = group << 8 | (k < bytes ? hex_byte(hex + i + 2 * k) : 0U);
		char quad[] = { digits[group >> 18], digits[group >> 12 & 63],
			bytes > 1 ? digits[group >> 6 & 63] : '=',
			bytes > 2 ? digits[group & 63] : '=' };
		text_add(t, quad, sizeof quad);
	}
}
