#include "model/ledger.h"

#include "base/text.h"

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
		l->entries[i] = (struct entry){ .verdict = VERDICT_NONE };
	l->burst = burst;
	l->count = count;
	l->open = count;
}

void ledger_shorten(struct ledger *l, size_t count)
{
	while (l->count > count) {
		const struct entry *last = &l->entries[--l->count];
		l->open -= last->verdict == VERDICT_NONE;
		free(last->reason);
	}
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
	l->entries[slot] =
		(struct entry){ .verdict = v, .reason = reason != NULL ? text_copy(reason) : NULL };
	l->open--;
	return true;
}

void ledger_explain(struct ledger *l, size_t slot, int cause, enum blame blame)
{
	l->entries[slot].cause = (int16_t)cause;
	l->entries[slot].blame = (uint8_t)blame;
}

void ledger_replace(struct ledger *l, size_t slot, const struct ledger *from, size_t from_slot)
{
	struct entry *entry = &l->entries[slot];
	const struct entry *better = &from->entries[from_slot];
	if (entry->verdict == VERDICT_NONE || better->verdict == VERDICT_NONE)
		abort(); /* an attempt that is not over has found nothing */
	free(entry->reason);
	*entry = *better;
	entry->reason = better->reason != NULL ? text_copy(better->reason) : NULL;
}

bool ledger_complete(const struct ledger *l)
{
	return l->open == 0;
}

bool ledger_all_stored(const struct ledger *l)
{
	for (size_t i = 0; i < l->count; i++)
		if (l->entries[i].verdict != VERDICT_STORED)
			return false;
	return true;
}

bool ledger_rejected_alike(const struct ledger *l)
{
	size_t alike = 0;
	int cause = 0;
	for (size_t i = 0; i < l->count; i++) {
		const struct entry *entry = &l->entries[i];
		if (entry->verdict == VERDICT_HELD || entry->verdict == VERDICT_UNREADABLE ||
			(entry->verdict == VERDICT_REJECTED && entry->cause == 0))
			continue; /* says nothing of the others */
		if (entry->verdict != VERDICT_REJECTED || (alike > 0 && entry->cause != cause))
			return false;
		cause = entry->cause;
		alike++;
	}
	return alike > 1;
}

static enum fate fate_of(enum verdict v, struct ledger_rules rules)
{
	if (v == VERDICT_STORED)
		return FATE_GOES;
	bool may_die = v == VERDICT_REJECTED || v == VERDICT_UNREADABLE;
	return may_die && rules.dead_letters ? FATE_DIES : FATE_STAYS;
}

size_t ledger_dispose(const struct ledger *l, struct ledger_rules rules, struct disposal *d)
{
	size_t leaving = 0;
	bool unbroken = true;
	bool spares = !rules.in_order && ledger_rejected_alike(l);
	for (size_t i = 0; i < l->count; i++) {
		enum fate fate = fate_of(l->entries[i].verdict, rules);
		if (spares && l->entries[i].cause != 0 && fate == FATE_DIES)
			fate = FATE_STAYS;
		if (rules.in_order && !unbroken)
			fate = FATE_STAYS;
		unbroken = unbroken && fate == FATE_GOES;
		d[i] = (struct disposal){ fate, fate == FATE_DIES ? l->entries[i].reason : NULL };
		leaving += fate != FATE_STAYS;
	}
	return leaving;
}

size_t ledger_failure(const struct ledger *l, struct ledger_rules rules, const struct disposal *d)
{
	size_t worst = l->count;
	bool is_excused = false;
	for (size_t i = 0; i < l->count; i++) {
		is_excused = is_excused || d[i].fate == FATE_DIES;
		if (d[i].fate != FATE_STAYS)
			continue;
		if (rules.in_order)
			return is_excused ? l->count : i;
		if (worst == l->count || l->entries[i].verdict > l->entries[worst].verdict)
			worst = i;
	}
	return worst;
}
