#include "postgres/rows.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

/* Values are stored consecutively in blocks, which never move.  The first block is small, because
 * most results are; each is twice as large as the previous one, up to the limit. */
#define BLOCK_MIN_BYTES ((size_t)4 * 1024)
#define BLOCK_MAX_BYTES ((size_t)256 * 1024)

struct block {
	struct block *previous;
	size_t size, used;
	char bytes[];
};

struct rows {
	size_t columns;
	size_t count;
	size_t capacity; /* in rows */
	size_t bytes;
	struct field *fields;
	struct block *block; /* the last one */
	unsigned types[];
};

struct rows *rows_new(size_t columns)
{
	struct rows *r = memory_new(1, sizeof *r + columns * sizeof r->types[0]);
	r->columns = columns;
	return r;
}

void rows_set_type(struct rows *r, size_t column, unsigned type_oid)
{
	r->types[column] = type_oid;
}

/* Room for size bytes, in a separate block if they are many. */
static char *make_room(struct rows *r, size_t size)
{
	struct block *last = r->block;
	if (last == NULL || last->size - last->used < size) {
		size_t next = last == NULL ? BLOCK_MIN_BYTES : last->size * 2;
		if (next > BLOCK_MAX_BYTES)
			next = BLOCK_MAX_BYTES;
		if (next < size)
			next = size;
		struct block *block = memory_resize(NULL, 1, sizeof *block + next);
		*block = (struct block){ .previous = last, .size = next };
		r->block = block;
	}
	char *room = r->block->bytes + r->block->used;
	r->block->used += size;
	return room;
}

void rows_add(struct rows *r, const struct field *fields)
{
	if (r->count == r->capacity) {
		r->capacity = r->capacity > 0 ? r->capacity * 2 : 1;
		r->fields =
			memory_resize(r->fields, r->capacity * r->columns + 1, sizeof *r->fields);
	}
	struct field *own = r->fields + r->count++ * r->columns;
	for (size_t i = 0; i < r->columns; i++) {
		own[i] = fields[i];
		if (fields[i].text == NULL)
			continue;
		char *copy = make_room(r, fields[i].length + 1);
		memcpy(copy, fields[i].text, fields[i].length + 1);
		own[i].text = copy;
		r->bytes += fields[i].length;
	}
}

size_t rows_count(const struct rows *r)
{
	/* cppcheck-suppress ctunullpointer ; it does not see who sets what a query returns */
	return r->count;
}

size_t rows_bytes(const struct rows *r)
{
	return r->bytes;
}

unsigned rows_type(const struct rows *r, size_t column)
{
	return r->types[column];
}

const char *rows_value(const struct rows *r, size_t row, size_t column)
{
	return r->fields[row * r->columns + column].text;
}

void rows_fields(const struct rows *r, size_t row, struct field *fields, size_t count)
{
	memcpy(fields, r->fields + row * r->columns, count * sizeof *fields);
}

char *rows_join(const struct rows *r, size_t first_column)
{
	struct text t = { 0 };
	for (size_t i = first_column; i < r->columns; i++) {
		const char *value = rows_value(r, 0, i);
		text_addf(&t, "%s%s", i > first_column ? "\n" : "", value != NULL ? value : "\\N");
	}
	return t.text;
}

void rows_free(struct rows *r)
{
	if (r == NULL)
		return;
	for (struct block *block = r->block, *previous; block != NULL; block = previous) {
		previous = block->previous;
		free(block);
	}
	free(r->fields);
	free(r);
}
