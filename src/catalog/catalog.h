/*
 * catalog - reads the description of a model's table from PostgreSQL's system catalog.  Calls block
 * until their deadline, and fail with the database's kinds.  For the store, and for the commands
 * that show the description.
 */
#ifndef SIGNALBUS_CATALOG_H
#define SIGNALBUS_CATALOG_H

#include "base/check_report.h"
#include "catalog/type_facts.h"
#include "model/model.h"
#include "model/triggers.h"
#include "postgres/db.h"

/* The answer to a statement with one parameter; NULL with e.  Blocks until deadline. */
struct rows *catalog_query(struct db *db, struct instant deadline, const char *sql,
	const char *value, struct error *e);

/* Find a table by the name that users give it: its oid in *oid, to be freed, or NULL.  Blocks until
 * deadline. */
bool catalog_find_table(
	struct db *db, const char *name, struct instant deadline, char **oid, struct error *e);

/* The tables of all models of a configuration, as they are named there: an array literal, to be
 * freed; and the condition that it, $2, has the table with an oid.  It compares names, because to
 * look up another model's table may fail, and that is none of this model's failures. */
char *catalog_signal_tables(const struct config *config);
#define SQL_IS_SIGNAL_TABLE(table)                                                                 \
	"EXISTS (SELECT FROM pg_catalog.unnest($2::pg_catalog.text[]) AS t (name)"                 \
	" JOIN pg_catalog.pg_class s ON s.oid = " table                                            \
	" JOIN pg_catalog.pg_namespace n ON n.oid = s.relnamespace"                                \
	" WHERE pg_catalog.replace(pg_catalog.lower(t.name), '\"', '') IN"                         \
	" (pg_catalog.lower(s.relname), pg_catalog.lower(n.nspname || '.' || s.relname)))"

/* Those of the signal tables that exist, as an array of oids, to be freed; NULL with e if the
 * session is lost.  Blocks until deadline. */
char *catalog_find_signal_tables(
	struct db *db, const struct config *config, struct instant deadline, struct error *e);

/* Whoever owns a table has code executed by those who insert there, by triggers.  Whether that is
 * nothing new for the owner (an oid): it is this role, or may do so already by one of the tables
 * (an array of oids), as superusers may. */
#define SQL_IS_TRUSTED(owner, tables)                                                              \
	"(EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.oid = " owner                          \
	" AND (r.rolsuper OR r.rolname = CURRENT_USER))"                                           \
	" OR EXISTS (SELECT FROM pg_catalog.unnest(" tables "::pg_catalog.oid[]) AS t (oid)"       \
	" WHERE " TRIGGERS_ALLOWED(owner, "t.oid") "))"

/* Find the dead letter table: its name, quoted for SQL and to be freed, in *name.  Returns false
 * with e if it does not exist, but sets the name by which it can be created; or if it is another
 * kind of table, or its owner is not trusted, with the name NULL.  Blocks until deadline. */
bool catalog_dead_letters(struct db *db, const struct config *config, struct instant deadline,
	char **name, struct error *e);

/* The tables signalbus_paused that belong to signal tables (an array of oids), each in their
 * schema: their names, quoted for SQL, and whether they exist.  Returns NULL with e also if one
 * cannot be used to do so, because of its owner or of privileges.  Blocks until deadline.
 * (catalog_pauses.c) */
#define PAUSES_READ   "read"
#define PAUSES_PAUSE  "pause"
#define PAUSES_RESUME "resume"
enum { PAUSE_TABLE_NAME, PAUSE_TABLE_EXISTS, PAUSE_TABLE_PROBLEM };
struct rows *catalog_pause_tables(
	struct db *db, const char *oids, const char *use, struct instant deadline, struct error *e);

/* Everybody may read it, so that a daemon sees what another user than its own has paused. */
#define SQL_PAUSE_COLUMNS                                                                          \
	"(instance pg_catalog.text, model pg_catalog.text, paused pg_catalog.bool NOT NULL,"       \
	" changed_by pg_catalog.text NOT NULL, changed_at pg_catalog.timestamptz NOT NULL,"        \
	" PRIMARY KEY (instance, model))"

/* Build the model number index of the configuration from the catalog; blocks until deadline.
 * Returns NULL with e, ERROR_CONFIG if table and configuration do not match. */
struct model *catalog_read(struct db *db, const struct config *config, size_t index,
	struct instant deadline, struct error *e);

/* Further facts about the values of m, to be freed; blocks until deadline.  (catalog_types.c) */
bool catalog_facts(struct db *db, const struct model *m, struct facts *f, struct instant deadline,
	struct error *e);

/* Read everything about a model that has mistakes, and record all of them; its relation is NULL if
 * there is no such table.  Blocks until deadline; false with e if the database is unavailable. */
bool catalog_examine(struct db *db, struct model *m, struct instant deadline, struct error *e);

/* If e is a lock time-out, add to it who holds a lock on the table or on one of its children.
 * Blocks until deadline.  (catalog_holder.c) */
void catalog_say_holder(struct db *db, const char *table, struct instant deadline, struct error *e);

/* An advisory lock of signalbus.  Its key is PostgreSQL's hash, from text to 64 bits, of its name;
 * advisory locks are local to a database.  Any user of the database can take it. */
struct advisory_lock {
	const char *name;
	const char *what;  /* is locked by it, for people */
	const char *table; /* quoted for SQL; NULL: none */
};
#define SQL_ADVISORY_KEY "pg_catalog.hashtextextended($1, 0)"

/* The key of the fence of an ordered lock with the name $1: see store/lock_session.c. */
#define SQL_FENCE_KEY "pg_catalog.hashtextextended($1, 1)"

/* A session for "database", not connected.  With database_listen a pooler may share it.
 * (catalog_session.c) */
struct db *catalog_session(const struct config *config);

/* The name of a model's ordered lock, to be freed.  Models that share a table, each with its own
 * rows, are sent at the same time, so it is that of the model's scope. */
char *catalog_ordered_lock(const struct config *config, const struct model *m);

/* The name of the lock of a sender's slot (exactly-once), to be freed. */
char *catalog_slot_lock(const struct config *config, unsigned slot);

/* A session could not get the lock: set e to ERROR_BUSY with the process that has it.  Or to
 * ERROR_LOCKED, if that is none of this instance: a prepared transaction, a session that waits for
 * the lock, which signalbus never does, or one of another role; except with the application_name
 * of this one if the role may delete the table's signals, or is a superuser.  ERROR_NONE: nobody
 * has it.  Blocks until deadline.  (catalog_holder.c) */
void catalog_say_lock_holder(
	struct db *db, struct advisory_lock lock, struct instant deadline, struct error *e);

/* The same, even if the user has no privilege on the table's schema, so that it can be named; this
 * is only possible for a qualified name.  (catalog_privileges.c) */
struct hidden_table {
	char *oid;
	bool is_visible; /* USAGE on its schema */
};
bool catalog_find_hidden(struct db *db, const char *name, struct instant deadline,
	struct hidden_table *table, struct error *e);

/* Add to e, if privileges on the table are missing, which, and the statements that grant them.
 * Blocks until deadline.  (catalog_privileges.c) */
void catalog_say_privileges(
	struct db *db, const char *table, struct instant deadline, struct error *e);

/* The end of the sentence that a table does not exist: the search path in which it was looked for,
 * and the table that was probably meant; to be freed.  Blocks until deadline.  (catalog_missing.c)
 */
char *catalog_missing(struct db *db, const char *name, struct instant deadline);

/* Report what would prevent the session from sending the signals of the model number index, or slow
 * it down; nothing is locked or changed.  Each statement blocks for at most `timeout` of the
 * configuration; false with e if the database is unavailable.  (catalog_check.c) */
bool catalog_check(struct db *db, const struct config *config, size_t index, struct check_report *f,
	struct error *e);

/* The same for the database itself. */
bool catalog_check_database(
	struct db *db, const struct config *config, struct check_report *f, struct error *e);

/* Report powers of the session's role that sending does not need.  Blocks until deadline; false
 * with e.  (catalog_role.c) */
bool catalog_check_role(
	struct db *db, struct instant deadline, struct check_report *f, struct error *e);

/* Which column of the model's key may be NULL, with the remedy; to be freed.  NULL: none, or it is
 * unknown.  Blocks until deadline.  (catalog_check_table.c) */
char *catalog_null_key(struct db *db, const struct model_config *m, struct instant deadline);

#endif
