#include "ledger.h"

#include "text.h"

#include <stdlib.h>

static void forget_reasons(struct ledger *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->entries[i].reason);
}

void ledger_begin(struct ledger *l, uint64_t burst, size_t count)
{
	forget_reasons(l);
	if (count > l->capacity) {
		l->entries = memory_resize(l->entries, count, sizeof *l->entries);
		l->capacity = count;
	}
	for (size_t i = 0; i < count; i++)
		l->entries[i] = (struct entry){ VERDICT_NONE, NULL };
	l->burst = burst;
	l->count = count;
	l->open = count;
}

void ledger_free(struct ledger *l)
{
	forget_reasons(l);
	free(l->entries);
	*l = (struct ledger){ 0 };
}

bool ledger_record(struct ledger *l, size_t slot, enum verdict v, const char *reason)
{
	if (slot >= l->count || l->entries[slot].verdict != VERDICT_NONE || v == VERDICT_NONE)
		return false;
	l->entries[slot] = (struct entry){ v, reason != NULL ? text_copy(reason) : NULL };
	l->open--;
	return true;
}

void ledger_replace(struct ledger *l, size_t slot, const struct ledger *from, size_t from_slot)
{
	struct entry *entry = &l->entries[slot];
	const struct entry *better = &from->entries[from_slot];
	if (entry->verdict == VERDICT_NONE || better->verdict == VERDICT_NONE)
		abort(); /* an attempt that is not over has found nothing */
	free(entry->reason);
	entry->verdict = better->verdict;
	entry->reason = better->reason != NULL ? text_copy(better->reason) : NULL;
}

bool ledger_complete(const struct ledger *l)
{
	return l->open == 0;
}

size_t ledger_deletable(const struct ledger *l, bool in_order, bool *deletable)
{
	size_t stored = 0;
	bool unbroken = true;
	for (size_t i = 0; i < l->count; i++) {
		bool is_stored = l->entries[i].verdict == VERDICT_STORED;
		unbroken = unbroken && is_stored;
		deletable[i] = in_order ? unbroken : is_stored;
		stored += deletable[i];
	}
	return stored;
}

size_t ledger_failure(const struct ledger *l)
{
	size_t worst = l->count;
	for (size_t i = 0; i < l->count; i++) {
		enum verdict v = l->entries[i].verdict;
		if (v != VERDICT_STORED && (worst == l->count || v > l->entries[worst].verdict))
			worst = i;
	}
	return worst;
}

size_t ledger_first_failure(const struct ledger *l)
{
	size_t slot = 0;
	while (slot < l->count && l->entries[slot].verdict == VERDICT_STORED)
		slot++;
	return slot;
}
