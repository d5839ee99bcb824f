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

/* Find the dead letter table: its name, quoted for SQL and to be freed, in *name.  Returns false
 * with e if it does not exist, but sets the name by which it can be created; or if it is another
 * kind of table, with the name NULL.  Blocks until deadline. */
bool catalog_dead_letters(struct db *db, const struct config *config, struct instant deadline,
	char **name, struct error *e);

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

/* Which column of the model's key may be NULL, with the remedy; to be freed.  NULL: none, or it is
 * unknown.  Blocks until deadline.  (catalog_check_table.c) */
char *catalog_null_key(struct db *db, const struct model_config *m, struct instant deadline);

#endif
