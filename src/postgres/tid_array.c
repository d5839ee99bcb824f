#include "postgres/tid_array.h"

#include "postgres/types.h"

#include <stdint.h>

#define TID_BYTES 6
/* The length of an array's header, in bytes, and the offset of the number of elements. */
#define TIDS_HEAD  20
#define TIDS_COUNT 12

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

void tid_array_add(struct text *t, const char *tid)
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
