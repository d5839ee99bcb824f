/*
 * sql - the statements that signalbus sends for a model, as text.  Pure.  The caller frees the
 * results.  In every statement the signal table has the alias "signal".
 *
 * Statements of a model may include expressions of users, and be executed with their search_path:
 * all other names in them, of functions, types and operators, are schema-qualified.
 */
#ifndef SIGNALBUS_SQL_H
#define SIGNALBUS_SQL_H

#include "base/text.h"
#include "model/model.h"

#include <stdbool.h>
#include <stddef.h>

/* Which rows a claim selects; each kind is a prepared statement of its own. */
enum claim_kind {
	CLAIM_FIRST,        /* any rows, from the beginning of the table */
	CLAIM_NEXT,         /* any rows after a position: sql_position_count() parameters */
	CLAIM_RANGE,        /* the same, up to another position: two ctids */
	CLAIM_BY_KEY,       /* the rows with these primary keys: an array for each of its columns */
	CLAIM_ORDERED,      /* the first rows in the model's order */
	CLAIM_ORDERED_FROM, /* the same, from a value of the floor field on: a parameter */
	CLAIM_KINDS
};

/* Claims select at most count rows, and lock them.  Unordered ones skip rows
 * that others have locked: those are already being sent.  Ordered ones wait for them, because
 * nothing may overtake them.  CLAIM_PASSES_OVER: exclude the rows whose tableoids and ctids are in
 * two arrays, which are two more parameters.  CLAIM_BARE: only read values that the claim itself
 * needs: all others are NULL. */
enum { CLAIM_PASSES_OVER = 1, CLAIM_BARE = 2 }; /* the bits of how */
char *sql_claim(const struct model *m, enum claim_kind kind, size_t count, unsigned how);

/* Read locked rows, with the columns of a claim: $1 is an array of their tableoids, $2 of their
 * ctids.  Or just one of the outputs of a model, as text. */
char *sql_read(const struct model *m);
char *sql_read_output(const struct model *m, size_t output);

/* The same rows, as far as they are too large for any message, with ctid, tableoid, and the size of
 * the text of each output. */
char *sql_sizes(const struct model *m);

/* Whether the order, or a position in a parent's key, depends on an output. */
bool sql_is_place(const struct model *m, size_t output);

/* The primary keys of the first count visible rows in the model's order; nothing is locked.  With
 * floor: from a value of the floor field on, which is a parameter. */
char *sql_list(const struct model *m, size_t count, bool floor);

/* The transactions that hold a writer's lock on the table $1 (a regclass) or a table that inherits
 * from it: their virtualtransactions.  With among: only those that are in the array $2. */
char *sql_writers(const struct model *m, bool among);

/* A table, that of the row c of pg_class or $1, and all that inherit from it. */
#define SQL_FAMILY "WITH RECURSIVE family AS (SELECT c.oid" SQL_CHILDREN
#define SQL_FAMILY_OF_1                                                                            \
	"WITH RECURSIVE family AS (SELECT $1::pg_catalog.regclass::pg_catalog.oid" SQL_CHILDREN
#define SQL_CHILDREN                                                                               \
	" UNION SELECT i.inhrelid FROM pg_catalog.pg_inherits i"                                   \
	" JOIN family ON i.inhparent OPERATOR(pg_catalog.=) family.oid)"

/* Why a table that inherits from it is unsuitable, with the remedy; NULL: it is suitable.  Neither
 * a primary key nor its NOT NULL is binding for children, and rows of a foreign table cannot be
 * locked. */
#define SQL_UNFIT_CHILD                                                                            \
	"CASE WHEN c.relhassubclass AND c.relkind = 'r' THEN (" SQL_FAMILY                         \
	" SELECT pg_catalog.format(CASE WHEN k.relkind = 'f'"                                      \
	" THEN '%1$s is a foreign table, whose rows cannot be locked;"                             \
	" ALTER FOREIGN TABLE %1$s NO INHERIT %3$s'"                                               \
	" ELSE 'column %2$I of %1$s may be NULL; ALTER TABLE %1$s ALTER %2$I SET NOT NULL' END,"   \
	" k.oid::pg_catalog.regclass, own.attname, c.oid::pg_catalog.regclass)"                    \
	" FROM family JOIN pg_catalog.pg_class k ON k.oid = family.oid AND k.oid <> c.oid"         \
	" JOIN pg_catalog.pg_index x ON x.indrelid = c.oid AND x.indisprimary"                     \
	" JOIN pg_catalog.pg_attribute key ON key.attrelid = c.oid AND key.attnum ="               \
	" ANY ((x.indkey::pg_catalog.int2[])[0:x.indnkeyatts - 1])"                                \
	" JOIN pg_catalog.pg_attribute own ON own.attrelid = k.oid AND own.attname = key.attname"  \
	" WHERE k.relkind = 'f' OR NOT own.attnotnull ORDER BY k.oid, own.attnum LIMIT 1) END"

/* Triggers for DELETE, which foreign keys of other tables have as well: of the table itself, or of
 * any that inherits from it. */
#define SQL_DELETE_TRIGGERS                                                                        \
	" pg_catalog.pg_trigger t ON t.tgrelid = family.oid"                                       \
	" WHERE t.tgenabled IN ('O', 'A') AND t.tgtype::pg_catalog.int4 & 8 <> 0"
#define SQL_HAS_TRIGGER                                                                            \
	"c.relhastriggers AND EXISTS (SELECT FROM (SELECT c.oid) AS family "                       \
	"JOIN" SQL_DELETE_TRIGGERS ")"
#define SQL_FAMILY_HAS_TRIGGER                                                                     \
	"EXISTS (" SQL_FAMILY " SELECT FROM family JOIN" SQL_DELETE_TRIGGERS ")"

/* Everything in a table that a model depends on, for the row c of pg_class, in the order of enum
 * state: it is queried with each claim from the beginning of the table, so properties that only
 * parents have are separate. */
#define SQL_STATE(has_trigger, unfit)                                                              \
	"c.oid, c.relkind = 'p' OR c.relhassubclass, " has_trigger ","                             \
	" pg_catalog.row_security_active(c.oid), ("                                                \
	"SELECT pg_catalog.sum(pg_catalog.hashtextextended(pg_catalog.concat_ws(' ',"              \
	" a.attnum, a.attname, a.atttypid, a.atttypmod, a.attcollation, a.attnotnull,"             \
	" a.attisdropped), 0))"                                                                    \
	" FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0), ("            \
	"SELECT i.indexrelid FROM pg_catalog.pg_index i"                                           \
	" WHERE i.indrelid = c.oid AND i.indisprimary), CASE WHEN c.relhasrules THEN ("            \
	"SELECT pg_catalog.bool_or(r.is_instead) FROM pg_catalog.pg_rewrite r"                     \
	" WHERE r.ev_class = c.oid AND r.ev_type = '4') END, " unfit
#define SQL_PLAIN_STATE SQL_STATE(SQL_HAS_TRIGGER, "NULL")
enum state {
	STATE_OID,
	STATE_IS_PARENT, /* it is partitioned, or has children */
	STATE_HAS_TRIGGER,
	STATE_HAS_POLICY,
	STATE_COLUMNS,
	STATE_KEY,
	STATE_RULE, /* for DELETE; t: one that keeps the row, NULL: none */
	STATE_UNFIT /* of a parent: what is wrong with a child; NULL: nothing */
};
extern const char *const sql_table_state[2]; /* of the table $1; the second one of a parent */

/* Delete claimed rows: $1 is an array of ctids, $2 their tableoid.  Claimed rows are locked, so
 * their ctids cannot change before the transaction ends. */
char *sql_delete(const struct model *m);

/* Lock rows: $1 is an array of ctids, $2 the last transaction that locked or deleted them.  Rows of
 * other transactions are skipped. */
char *sql_lock_again(const struct model *m);

/* Copy a claimed row to the dead letters: $1 is the model's name, $2 the reason, then ctid and
 * tableoid. */
char *sql_copy_to_dead_letters(const struct model *m);

/* Return the dead letters of the model $1 in table, with the ids $2, to the signal table;
 * writable says of each column whether it accepts a value (a generated one does not).  Returns how
 * many they are; how many were not restored exactly, which must be rolled back; and for one of
 * these the column that differs, "" if the row does not exist. */
char *sql_put_back(const struct model *m, const char *table, const bool *writable);

/* Note the primary keys of all pending rows in a cursor that outlives its transaction and whose
 * name includes that of the session. */
char *sql_note(const struct model *m, const char *session);
char *sql_noted(
	const struct model *m, const char *session, size_t count); /* fetch count noted keys */

char *sql_count(const struct model *m);
char *sql_count_some(const struct model *m, size_t bound); /* counts up to bound */

/* The number of rows of table $1 and of those that inherit from it, according to the server's
 * statistics. */
extern const char sql_live_rows[];

/* The index that would serve the model's order, for people to create. */
char *sql_order_index(const struct model *m);

/* Validate an expression of the settings, or the condition "where", against the table, without
 * reading a row.  The second column is the expression, with its type.  The form of the statement
 * makes the server refuse expressions that cannot be used in a claim: aggregates, sets, several at
 * once. */
char *sql_probe(const struct model *m, const char *expression);
char *sql_probe_where(const struct model *m);

/* The place of a row in its table: the values of its position fields, as text.  count 0: the
 * beginning. */
struct row_position {
	char **values;
	size_t count;
	char *state; /* the state of the table for which they are valid (a model's table_state);
			NULL: any */
};

/* The fields of a claimed row that form a position, and their number.  The position in a plain
 * table is a ctid: a scan that begins at a page reads no dead rows before it.  If ctids are not
 * unique, it is the primary key. */
size_t sql_position_count(const struct model *m);
size_t sql_position_field(const struct model *m, size_t i);

/* Add a text as a constant. */
void sql_constant(struct text *t, const char *s);

/* Make an array literal: begin with an empty text, add values (NULL: a NULL), end. */
void sql_array_add(struct text *array, const char *value);
void sql_array_end(struct text *array);

#endif
