/*
 * catalog - what PostgreSQL's system catalog says of a model's table.  For store.c, and for
 * the command that shows it.
 */
#ifndef SIGNALBUS_CATALOG_H
#define SIGNALBUS_CATALOG_H

#include "base/findings.h"
#include "catalog/facts.h"
#include "model/model.h"
#include "postgres/db.h"

/* Find the table that people call by name: its number in *oid, to be freed, or NULL.  Blocks until
 * deadline. */
bool catalog_find_table(
	struct db *db, const char *name, struct instant deadline, char **oid, struct error *e);

/* Find the dead letter table: its name, quoted for SQL and to be freed, in *name.  Returns false
 * with e if it does not exist, but sets the name by which it can be created; or if it is another
 * kind of table, with the name NULL.  Blocks until deadline. */
bool catalog_dead_letters(struct db *db, const struct config *config, struct instant deadline,
	char **name, struct error *e);

/* Make the model number index of the configuration from the catalog; blocks until deadline.
 * Returns NULL with e, ERROR_CONFIG where table and configuration do not fit. */
struct model *catalog_read(struct db *db, const struct config *config, size_t index,
	struct instant deadline, struct error *e);

/* What the catalog says of the values of m beyond that, to be freed; blocks until deadline.
 * (catalog_facts.c) */
bool catalog_facts(struct db *db, const struct model *m, struct facts *f, struct instant deadline,
	struct error *e);

/* Read all that there is to know of a model that has mistakes, and note these, all of them; its
 * relation is NULL where there is no such table.  Blocks until deadline; false with e where the
 * database is away. */
bool catalog_examine(struct db *db, struct model *m, struct instant deadline, struct error *e);

/* Add to e, if a lock was waited for in vain, who has the table, or one of its children, locked.
 * Blocks until deadline.  (catalog_holder.c) */
void catalog_say_holder(struct db *db, const char *table, struct instant deadline, struct error *e);

/* Find out what would keep the session from sending the signals of the model number index, or would
 * make it slow; nothing is locked or changed.  Each statement blocks for `timeout` of the
 * configuration; false with e where the database is away.  (catalog_check.c) */
bool catalog_check(struct db *db, const struct config *config, size_t index, struct findings *f,
	struct error *e);

/* The same of the database itself. */
bool catalog_check_database(
	struct db *db, const struct config *config, struct findings *f, struct error *e);

#endif
