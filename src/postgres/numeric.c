#include "postgres/numeric.h"

#include <string.h>

#define HEADER_BYTES   8
#define DECIMAL_DIGITS 4 /* in a digit of base 10,000 */

/* Digits of base 10,000: the first one counts 10,000 to the power of weight.  Leading and trailing
 * zeros are omitted. */
struct numeric {
	const unsigned char *digits;
	int count, weight;
	int scale; /* the number of decimal digits to print after the point */
};

/* The values of the sign field; digits follow the first two only. */
static const struct {
	unsigned sign;
	const char *text;
	bool is_finite;
} signs[] = {
	{ 0x0000, "", true },
	{ 0x4000, "-", true },
	{ 0xC000, "NaN", false },
	{ 0xD000, "Infinity", false },
	{ 0xF000, "-Infinity", false },
};

static unsigned unsigned_at(const unsigned char *bytes)
{
	return (unsigned)bytes[0] << 8 | bytes[1];
}

static int signed_at(const unsigned char *bytes)
{
	int n = (int)unsigned_at(bytes);
	return n < 32768 ? n : n - 65536;
}

/* Add the digit that counts 10,000 to this power, with at least this many decimal digits. */
static void add_digit(struct text *t, const struct numeric *n, int power, size_t least)
{
	char decimal[DECIMAL_DIGITS];
	int place = n->weight - power;
	bool is_there = place >= 0 && place < n->count;
	unsigned digit = is_there ? unsigned_at(n->digits + 2 * (size_t)place) : 0;
	size_t first = sizeof decimal;
	for (; first > 0 && (digit > 0 || sizeof decimal - first < least); digit /= 10)
		decimal[--first] = (char)('0' + digit % 10);
	text_add(t, decimal + first, sizeof decimal - first);
}

static void add_digits(struct text *t, const struct numeric *n)
{
	int power = n->weight > 0 ? n->weight : 0;
	add_digit(t, n, power, 1);
	while (power-- > 0)
		add_digit(t, n, power, DECIMAL_DIGITS);
	if (n->scale == 0)
		return;
	size_t end = t->length + 1 + (size_t)n->scale;
	text_add(t, ".", 1);
	while (t->length < end)
		add_digit(t, n, power--, DECIMAL_DIGITS);
	t->length = end; /* the last digit may have more decimal digits than are printed */
	t->text[end] = '\0';
}

bool numeric_add(struct text *t, const unsigned char *bytes, size_t length)
{
	if (length < HEADER_BYTES)
		return false;
	const struct numeric n = { bytes + HEADER_BYTES, (int)unsigned_at(bytes),
		signed_at(bytes + 2), (int)unsigned_at(bytes + 6) };
	if (length != HEADER_BYTES + 2 * (size_t)n.count)
		return false;
	for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++) {
		if (signs[i].sign != unsigned_at(bytes + 4))
			continue;
		text_add(t, signs[i].text, strlen(signs[i].text));
		if (signs[i].is_finite)
			add_digits(t, &n);
		return true;
	}
	return false;
}
