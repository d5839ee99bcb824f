/*
 * What a session remembers of what it has sent, and of the order: forgetting it.
 */
#include "store/store_internal.h"

#include <stdlib.h>

void deletions_free(struct deletions *d)
{
	for (size_t i = 0; i < d->count; i++)
		text_free(&d->items[i].ctids);
	free(d->items);
	free(d->calls);
	free(d->statement);
	*d = (struct deletions){ 0 };
}

void sent_claim_free(struct sent_claim *c)
{
	if (c == NULL)
		return;
	rows_free(c->state);
	free(c->statement);
	free(c);
}

void store_forget_sent(struct store *s)
{
	deletions_free(&s->deletions);
	s->early = EARLY_NOT;
	sent_claim_free(s->prefetched);
	s->prefetched = NULL;
}

void ordering_reset(struct ordering *o)
{
	barrier_reset(&o->barrier);
	free(o->floor);
	*o = (struct ordering){ .prepared_list = o->prepared_list,
		.prepared_floor_list = o->prepared_floor_list,
		.prepared_writers = o->prepared_writers,
		.prepared_awaited = o->prepared_awaited };
}
