/*
 * What a pooler that pools transactions does not keep: the settings of a session, which each
 * transaction makes for itself, and its prepared statements.  Without prepared statements the
 * server parses and plans them each time, but no pooler can confuse them with those of others.
 */
#include "postgres/db_internal.h"

#include "base/limits.h"

#include <math.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

struct kept {
	char *name, *sql;
};

static int compare(const void *a, const void *b)
{
	const struct kept *x = a, *y = b;
	return strcmp(x->name, y->name);
}

static void free_kept(void *kept)
{
	struct kept *k = kept;
	free(k->name);
	free(k->sql);
	free(k);
}

/* Undo what other clients left in the session, for this transaction.  Operators are qualified,
 * since the search_path is theirs, too.  Not all settings can be changed in a transaction, and the
 * first is shown to people only. */
#define THEIRS                                                                                     \
	"SELECT 'role', 'none' UNION ALL SELECT name, reset_val FROM pg_catalog.pg_settings"       \
	" WHERE source OPERATOR(pg_catalog.=) 'session' AND name OPERATOR(pg_catalog.<>) ALL"      \
	" (ARRAY['application_name', 'tcp_user_timeout', 'tcp_keepalives_idle',"                   \
	" 'tcp_keepalives_interval', 'tcp_keepalives_count', 'idle_session_timeout',"              \
	" 'temp_buffers', 'transaction_isolation', 'transaction_read_only',"                       \
	" 'transaction_deferrable'])"

/* The limits of sessions are in db_session.c, with reasons; what concerns the connection is the
 * pooler's business here. */
void db_make_settings(struct db *db)
{
	free(db->settings);
	db->settings = text_format(
		"SELECT pg_catalog.set_config(name, setting, true) FROM (" THEIRS
		" UNION ALL VALUES" DB_SETTINGS ", ('statement_timeout', '%.0f'),"
		" ('lock_timeout', '%.0f'), ('idle_in_transaction_session_timeout', '%.0f'),"
		" ('transaction_timeout', '0')) AS s (name, setting)"
		" WHERE pg_catalog.current_setting(name, true) IS NOT NULL",
		db->timeout * 1000, ceil(db->lock_wait * 1000), limit_burst(db->timeout) * 1000);
}

void db_keep_statement(struct db *db, const char *name, const char *sql)
{
	struct kept *own = memory_new(1, sizeof *own);
	*own = (struct kept){ text_copy(name), text_copy(sql) };
	struct kept **at = tsearch(own, &db->statements, compare);
	if (at == NULL)
		abort();
	if (*at == own)
		return;
	free_kept(*at); /* the server has refused it */
	*at = own;
}

const char *db_kept_statement(const struct db *db, const char *name)
{
	const struct kept wanted = { (char *)name, NULL };
	struct kept *const *at = tfind(&wanted, &db->statements, compare);
	if (at == NULL)
		abort();
	return (*at)->sql;
}

void db_forget_statements(struct db *db)
{
	tdestroy(db->statements, free_kept);
	db->statements = NULL;
}
