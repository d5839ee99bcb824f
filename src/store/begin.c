/*
 * How transactions begin that change tables.
 */
#include "store/store_internal.h"

size_t store_begin_plain(const struct store *s, struct db_call *calls)
{
	size_t count = 0;
	/* The defaults of a shared session may be others'. */
	calls[count++] = (struct db_call){
		.sql = s->locks != NULL ? "BEGIN ISOLATION LEVEL READ COMMITTED, READ WRITE"
					: "BEGIN ISOLATION LEVEL READ COMMITTED"
	};
	if (db_prove(s->db, &calls[count]))
		count++;
	if (db_restore_settings(s->db, &calls[count]))
		count++;
	return count;
}

size_t store_begin_bare(const struct store *s, const struct model *m, struct db_call *calls)
{
	const struct session_model *d = &s->models[m->index];
	size_t count = store_begin_plain(s, calls);
	if (s->locks != NULL && d->locked) {
		lock_session_fence(s->locks, m, d->lock_mode == LOCK_EXCLUSIVE, &calls[count]);
		count += FENCE_CALLS;
	}
	return count;
}

size_t store_begin(const struct store *s, const struct model *m, struct db_call *calls)
{
	size_t count = store_begin_bare(s, m, calls);
	if (m->as_role)
		calls[count++] = db_role_path(s->db);
	return count;
}
