/*
 * triggers - the SQL of the triggers that notify the daemon of new rows: a function in each schema,
 * and a trigger on each table that calls it.  Pure.
 */
#ifndef SIGNALBUS_TRIGGERS_H
#define SIGNALBUS_TRIGGERS_H

#include "base/text.h"
#include "model/model.h"

#include <stdbool.h>

/* Add to t the statements that install the triggers, in one transaction; they may be executed
 * repeatedly.  They fail if a function belongs to a user who is not TRIGGERS_ALLOWED on one of the
 * tables: the function runs as whoever inserts rows.  server_version as from db_server_version().
 */
void triggers_install(
	struct text *t, const struct model *const *models, size_t count, int server_version);

/* Add to t the statements that remove the triggers, with_functions: and the functions. */
void triggers_drop(
	struct text *t, const struct model *const *models, size_t count, bool with_functions);

/* Whether a user may have code executed by those who use a table (both are oids): by a trigger, or,
 * as the owner of its schema, by another table with its name.  Its aliases must not be in the
 * arguments. */
#define TRIGGERS_ALLOWED(user, table)                                                              \
	"(pg_catalog.has_table_privilege(" user ", " table ", 'TRIGGER') OR pg_catalog."           \
	"pg_has_role(" user ", (SELECT its_schema.nspowner FROM pg_catalog.pg_class its_table"     \
	" JOIN pg_catalog.pg_namespace its_schema ON its_schema.oid OPERATOR(pg_catalog.=)"        \
	" its_table.relnamespace WHERE its_table.oid OPERATOR(pg_catalog.=) " table "), 'USAGE'))"

/* Why the function p (pg_proc) of the trigger t (pg_trigger) is not safe, by its owner; NULL: it is
 * safe. */
#define TRIGGERS_FOREIGN                                                                           \
	"CASE WHEN NOT " TRIGGERS_ALLOWED("p.proowner",                                            \
		"t.tgrelid") " THEN"                                                               \
			     " pg_catalog.format('table %1$s: its trigger executes function "      \
			     "%2$s, which belongs to"                                              \
			     " user %3$s, who may not create triggers on the table; DROP "         \
			     "FUNCTION %2$s CASCADE, then"                                         \
			     " signalbus triggers | psql', t.tgrelid::pg_catalog.regclass, "       \
			     "p.oid::pg_catalog.regprocedure,"                                     \
			     " p.proowner::pg_catalog.regrole) END"

/* The enabled triggers of the table with the oid $1: is_heard, whether they notify the channel $2
 * (an argument, which the catalog stores with a NUL at its end), and TRIGGERS_FOREIGN.  A function
 * that has been replaced since may do something else. */
#define TRIGGERS_FOUND                                                                             \
	"SELECT t.tgargs = pg_catalog.convert_to($2, pg_catalog.getdatabaseencoding())"            \
	" || '\\x00'::pg_catalog.bytea AND p.prosrc LIKE '%pg_notify(TG_ARGV[0]%'"                 \
	" AS is_heard, " TRIGGERS_FOREIGN " AS foreign_owner"                                      \
	" FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid"              \
	" WHERE t.tgrelid = $1::pg_catalog.oid AND p.proname = 'signalbus_notify'"                 \
	" AND t.tgenabled IN ('O', 'A') AND t.tgtype & 4 <> 0" /* INSERT */

#endif
