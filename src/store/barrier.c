#include "store/barrier.h"

#include "base/text.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void forget_awaited(struct barrier *b)
{
	for (size_t i = 0; i < b->awaited_count; i++)
		free(b->awaited[i]);
	free(b->awaited);
	b->awaited = NULL;
	b->awaited_count = 0;
}

void barrier_reset(struct barrier *b)
{
	forget_awaited(b);
	rows_free(b->list);
	free(b->sent);
	free(b->table);
	*b = (struct barrier){ 0 };
}

/* FNV-1a over the texts of a key, each with its terminating NUL; NULL, which no key should contain,
 * is an empty one. */
static uint64_t hash_add(uint64_t hash, const char *value)
{
	const char *s = value != NULL ? value : "";
	do
		hash = (hash ^ (unsigned char)*s) * UINT64_C(1099511628211);
	while (*s++ != '\0');
	return hash;
}

#define HASH_START UINT64_C(14695981039346656037)

static uint64_t hash_listed(const struct barrier *b, const struct model *m, size_t row)
{
	uint64_t hash = HASH_START;
	for (size_t i = 0; i < m->primary_key_count; i++)
		hash = hash_add(hash, rows_value(b->list, row, i));
	return hash;
}

static uint64_t hash_claimed(const struct model *m, const struct rows *claimed, size_t row)
{
	uint64_t hash = HASH_START;
	for (size_t i = 0; i < m->primary_key_count; i++)
		hash = hash_add(hash, rows_value(claimed, row, m->primary_key_fields[i]));
	return hash;
}

static bool is_same(const struct barrier *b, const struct model *m, size_t listed,
	const struct rows *claimed, size_t row)
{
	for (size_t i = 0; i < m->primary_key_count; i++) {
		const char *own = rows_value(b->list, listed, i);
		const char *other = rows_value(claimed, row, m->primary_key_fields[i]);
		if (own == NULL || other == NULL || strcmp(own, other) != 0)
			return false;
	}
	return true;
}

#define NOT_LISTED SIZE_MAX

/* The claimed row's index in the list. */
static size_t find(
	const struct barrier *b, const struct model *m, const struct rows *claimed, size_t row)
{
	if (b->left == 0)
		return NOT_LISTED;
	size_t mask = b->table_size - 1;
	for (size_t at = hash_claimed(m, claimed, row) & mask; b->table[at] != 0;
		at = (at + 1) & mask)
		if (is_same(b, m, b->table[at] - 1, claimed, row))
			return b->table[at] - 1;
	return NOT_LISTED;
}

static void add_listed(struct barrier *b, const struct model *m, size_t row)
{
	size_t mask = b->table_size - 1;
	size_t at = hash_listed(b, m, row) & mask;
	while (b->table[at] != 0)
		at = (at + 1) & mask;
	b->table[at] = row + 1;
}

static void index_list(struct barrier *b, const struct model *m)
{
	b->left = rows_count(b->list);
	b->sent = memory_new(b->left, sizeof *b->sent);
	for (b->table_size = 4; b->table_size < 2 * b->left;)
		b->table_size *= 2;
	b->table = memory_new(b->table_size, sizeof *b->table);
	for (size_t i = 0; i < b->left; i++)
		add_listed(b, m, i);
}

void barrier_begin(struct barrier *b, const struct model *m, struct rows *list,
	const struct rows *writers, struct instant now)
{
	barrier_reset(b);
	b->list = list;
	b->since = now;
	if (rows_count(list) == 0) {
		barrier_reset(b);
		return;
	}
	index_list(b, m);
	barrier_look(b, writers);
}

void barrier_look(struct barrier *b, const struct rows *writers)
{
	forget_awaited(b);
	b->awaited_count = rows_count(writers);
	b->state = b->awaited_count > 0 ? BARRIER_HELD : BARRIER_OPEN;
	if (b->awaited_count == 0)
		return;
	b->awaited = memory_new(b->awaited_count, sizeof *b->awaited);
	for (size_t i = 0; i < b->awaited_count; i++)
		b->awaited[i] = text_copy(rows_value(writers, i, 0));
}

size_t barrier_admit(const struct barrier *b, const struct model *m, const struct rows *claimed,
	struct admission *a)
{
	if (b->state != BARRIER_OPEN)
		return 0;
	for (; a->seen < rows_count(claimed); a->seen++) {
		if (!m->serial_order && a->admitted < a->seen)
			break; /* a row that was not listed ends it */
		size_t listed = find(b, m, claimed, a->seen);
		if (listed != NOT_LISTED && !b->sent[listed])
			a->admitted = a->seen + 1;
	}
	return a->admitted;
}

void barrier_note_sent(struct barrier *b, const struct model *m, const struct rows *claimed,
	const bool *flags, size_t count)
{
	for (size_t row = 0; row < count; row++) {
		size_t listed = flags[row] ? find(b, m, claimed, row) : NOT_LISTED;
		if (listed == NOT_LISTED || b->sent[listed])
			continue;
		b->sent[listed] = true;
		b->left--;
	}
	if (b->left == 0)
		barrier_reset(b);
}
