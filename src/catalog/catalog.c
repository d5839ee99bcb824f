#include "catalog/catalog.h"

#include "base/text.h"
#include "model/sql.h"

#include <stdlib.h>
#include <string.h>

#define CATALOG_CHANGING "table %s is being changed"

static unsigned number(const char *s)
{
	return (unsigned)strtoul(s, NULL, 10);
}

/* Foreign keys by which the server deletes signals, of this model or of another, with those that
 * were sent. */
static bool check_cascades(
	struct db *db, struct instant deadline, struct model *m, const char *oid, struct error *e)
{
	static const char sql[] = SQL_FAMILY_OF_1
		", reached AS (SELECT k.oid, k.conname, k.conrelid FROM pg_catalog.pg_constraint k"
		" JOIN family ON k.confrelid = family.oid"
		" WHERE k.contype = 'f' AND k.confdeltype = 'c'"
		" UNION SELECT k.oid, k.conname, k.conrelid FROM reached r"
		" JOIN pg_catalog.pg_constraint k ON k.confrelid = r.conrelid"
		" WHERE k.contype = 'f' AND k.confdeltype = 'c')"
		" SELECT r.conrelid::pg_catalog.regclass, pg_catalog.format('%I', r.conname)"
		" FROM reached r WHERE EXISTS (SELECT FROM family WHERE family.oid = r.conrelid)"
		" OR " SQL_IS_SIGNAL_TABLE("r.conrelid") " ORDER BY r.oid LIMIT 1";
	struct rows *rows = NULL;
	if (!m->may_refuse)
		return true; /* a foreign key that refers to a table is a trigger on it */
	char *signals = catalog_signal_tables(m->config);
	const char *const values[] = { oid, signals };
	const struct db_call call = {
		.sql = sql, .values = values, .value_count = 2, .rows = &rows, .never_null = 2
	};
	bool ok = db_call(db, call, deadline, e);
	free(signals);
	if (ok && rows_count(rows) > 0) {
		const char *table = rows_value(rows, 0, 0), *key = rows_value(rows, 0, 1);
		model_error(m, "table", e,
			"signals of table %s would be deleted unsent, with signals of table %s, "
			"because of the foreign key %s; ALTER TABLE %s DROP CONSTRAINT %s",
			table, m->relation, key, table, key);
		ok = model_tolerates(m, e);
	}
	rows_free(rows);
	return ok;
}

/* unfit: why a table that inherits from the model's is unsuitable, or NULL. */
static bool check_children(struct model *m, const char *unfit, struct error *e)
{
	if (unfit == NULL)
		return true;
	model_error(m, "table", e, "a table that inherits from %s does not fit: %s", m->relation,
		unfit);
	return model_tolerates(m, e);
}

/* A row of the table's state, its columns from first on. */
static bool set_state(struct model *m, const struct rows *row, size_t first, struct error *e)
{
	const char *rule = rows_value(row, 0, first + STATE_RULE);
	m->table_state = rows_join(row, first);
	m->may_refuse = rows_value(row, 0, first + STATE_HAS_TRIGGER)[0] == 't' ||
			rows_value(row, 0, first + STATE_HAS_POLICY)[0] == 't' ||
			(rule != NULL && rule[0] == 't');
	m->has_rule = rule != NULL;
	return check_children(m, rows_value(row, 0, first + STATE_UNFIT), e);
}

/* The state of a table as it is now; NULL with e where there is none. */
static struct rows *read_state(
	struct db *db, struct instant deadline, const struct model *m, struct error *e)
{
	struct rows *rows;
	const char *const values[] = { m->relation };
	const struct db_call call = { .sql = sql_table_state[m->has_children],
		.values = values,
		.value_count = 1,
		.rows = &rows,
		.never_null = STATE_COLUMNS };
	if (!db_call(db, call, deadline, e))
		return NULL;
	if (rows_count(rows) == 1)
		return rows;
	rows_free(rows);
	error_set(e, ERROR_PLAN, CATALOG_CHANGING, m->relation);
	return NULL;
}

/* A row of facts about the table: its name, whether it is one, and its state. */
static bool set_table(struct db *db, struct instant deadline, struct model *m,
	const struct rows *row, struct error *e)
{
	enum { NAME, IS_TABLE, STATE };
	if (rows_value(row, 0, IS_TABLE)[0] != 't')
		return model_error(m, "table", e, "%s is not a table", m->settings->table);
	model_set_table(
		m, rows_value(row, 0, NAME), rows_value(row, 0, STATE + STATE_IS_PARENT)[0] == 't');
	if (!m->has_children)
		return set_state(m, row, STATE, e);
	struct rows *state = read_state(db, deadline, m, e);
	bool ok = state != NULL && set_state(m, state, 0, e);
	rows_free(state);
	return ok;
}

/* Always returns false. */
static bool say_missing(
	struct db *db, struct instant deadline, const struct model *m, struct error *e)
{
	char *rest = catalog_missing(db, m->settings->table, deadline);
	model_error(m, "table", e, "table %s does not exist%s", m->settings->table, rest);
	free(rest);
	return false;
}

static bool describe_table(
	struct db *db, struct instant deadline, struct model *m, char **oid, struct error *e)
{
	static const char sql[] =
		"SELECT pg_catalog.format('%s.%I', c.relnamespace::pg_catalog.regnamespace,"
		" c.relname), c.relkind IN ('r', 'p'), " SQL_PLAIN_STATE
		" FROM pg_catalog.pg_class c WHERE c.oid = $1::pg_catalog.oid";
	struct rows *rows;
	if (!catalog_find_table(db, m->settings->table, deadline, oid, e)) {
		catalog_say_privileges(db, m->settings->table, deadline, e);
		const struct error own = *e;
		return own.kind == ERROR_DATABASE && model_error(m, "table", e, "%s", own.text);
	}
	const char *const values[] = { *oid };
	struct db_call call = { .sql = sql,
		.values = values,
		.value_count = 1,
		.rows = &rows,
		.never_null = 2 + STATE_COLUMNS };
	if (!db_call(db, call, deadline, e))
		return false;
	m->table_oid = *oid != NULL ? number(*oid) : 0;
	bool ok = rows_count(rows) == 1 ? set_table(db, deadline, m, rows, e)
					: say_missing(db, deadline, m, e);
	rows_free(rows);
	return ok && (*oid == NULL || check_cascades(db, deadline, m, *oid, e));
}

static void add_column(struct model *m, const struct rows *rows, size_t row)
{
	struct column *c =
		model_add_column(m, rows_value(rows, row, 0), number(rows_value(rows, row, 1)));
	c->is_serial = rows_value(rows, row, 2)[0] == 't';
	c->type = text_copy(rows_value(rows, row, 3));
	c->cast = text_copy(rows_value(rows, row, 4));
	c->operators = text_copy("pg_catalog");
	c->attnum = (int)number(rows_value(rows, row, 5));
}

/* Columns in order, each with the base type of its domain. */
static bool describe_columns(
	struct db *db, struct instant deadline, struct model *m, const char *oid, struct error *e)
{
	static const char sql[] =
		"WITH RECURSIVE base AS ("
		" SELECT a.attnum, a.attname, a.atttypid AS oid, a.atttypid AS declared,"
		" a.attnotnull AND (a.attidentity <> '' OR "
		"COALESCE(pg_catalog.pg_get_expr(d.adbin, d.adrelid)"
		" LIKE 'nextval(%', false)) AS is_serial"
		" FROM pg_catalog.pg_attribute a LEFT JOIN pg_catalog.pg_attrdef d"
		" ON d.adrelid = a.attrelid AND d.adnum = a.attnum"
		" WHERE a.attrelid = $1::pg_catalog.oid AND a.attnum > 0 AND NOT a.attisdropped"
		" UNION ALL SELECT base.attnum, base.attname, t.typbasetype, base.declared,"
		" base.is_serial FROM base JOIN pg_catalog.pg_type t ON t.oid = base.oid WHERE "
		"t.typtype = 'd')"
		" SELECT base.attname, base.oid, base.is_serial,"
		" pg_catalog.format_type(d.oid, -1), pg_catalog.format('%s.%I',"
		" d.typnamespace::pg_catalog.regnamespace, d.typname), base.attnum"
		" FROM base JOIN pg_catalog.pg_type t ON t.oid = base.oid"
		" JOIN pg_catalog.pg_type d ON d.oid = base.declared"
		" WHERE t.typtype <> 'd' ORDER BY base.attnum";
	struct rows *rows = catalog_query(db, deadline, sql, oid, e);
	if (rows == NULL)
		return false;
	for (size_t i = 0; i < rows_count(rows); i++)
		add_column(m, rows, i);
	rows_free(rows);
	return true;
}

/* Whether values of base.oid have xml in them, and are neither xml (142) nor an array of it (143).
 */
#define HAS_INNER_XML                                                                              \
	"base.oid NOT IN (142, 143) AND EXISTS (WITH RECURSIVE part AS ("                          \
	"SELECT base.oid UNION SELECT inner_type.oid FROM part"                                    \
	" JOIN pg_catalog.pg_type p ON p.oid = part.oid CROSS JOIN LATERAL ("                      \
	"SELECT p.typbasetype UNION ALL SELECT p.typelem UNION ALL SELECT a.atttypid"              \
	" FROM pg_catalog.pg_attribute a WHERE a.attrelid = p.typrelid AND a.attnum > 0"           \
	" AND NOT a.attisdropped) AS inner_type (oid)) SELECT FROM part WHERE part.oid = 142)"

/* The schema of the operators that compare values of base.oid: those of its default operator class.
 */
#define OPERATORS                                                                                  \
	"COALESCE((SELECT pg_catalog.quote_ident(s.nspname)"                                       \
	" FROM pg_catalog.pg_opclass c JOIN pg_catalog.pg_am m ON m.oid = c.opcmethod"             \
	" JOIN pg_catalog.pg_amop a ON a.amopfamily = c.opcfamily AND a.amopstrategy = 3"          \
	" AND a.amoplefttype = c.opcintype AND a.amoprighttype = c.opcintype"                      \
	" JOIN pg_catalog.pg_operator o ON o.oid = a.amopopr"                                      \
	" JOIN pg_catalog.pg_namespace s ON s.oid = o.oprnamespace"                                \
	" WHERE m.amname = 'btree' AND c.opcdefault AND c.opcintype = base.oid), 'pg_catalog')"

/* Of pg_type's numbers the first that is not a type of PostgreSQL itself (FirstNormalObjectId). */
#define FIRST_OTHER_TYPE 16384

/* What is so for columns of types that are not PostgreSQL's own: a query of its own, since planning
 * it takes a new session longer than to claim a burst. */
static bool describe_other_types(
	struct db *db, struct instant deadline, struct model *m, struct error *e)
{
	static const char sql[] = "SELECT " OPERATORS ", " HAS_INNER_XML
				  " FROM (SELECT $1::pg_catalog.oid AS oid) AS base";
	bool ok = true;
	for (size_t i = 0; ok && i < m->column_count; i++) {
		struct column *c = &m->columns[i];
		if (c->type_oid < FIRST_OTHER_TYPE)
			continue;
		struct rows *rows;
		char *type = text_format("%u", c->type_oid);
		const char *const values[] = { type };
		struct db_call call = { .sql = sql,
			.values = values,
			.value_count = 1,
			.rows = &rows,
			.never_null = 2 };
		ok = db_call(db, call, deadline, e);
		free(type);
		if (!ok)
			break;
		free(c->operators);
		c->operators = text_copy(rows_value(rows, 0, 0));
		c->has_inner_xml = rows_value(rows, 0, 1)[0] == 't';
		rows_free(rows);
	}
	return ok;
}

static bool describe_key(
	struct db *db, struct instant deadline, struct model *m, const char *oid, struct error *e)
{
	static const char sql[] =
		"SELECT a.attname FROM pg_catalog.pg_index i"
		" CROSS JOIN LATERAL pg_catalog.unnest(i.indkey::pg_catalog.int2[]) WITH "
		"ORDINALITY AS k (attnum, place)"
		" JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum"
		" WHERE i.indrelid = $1::pg_catalog.oid AND i.indisprimary AND k.place <= "
		"i.indnkeyatts"
		" ORDER BY k.place";
	struct rows *rows = catalog_query(db, deadline, sql, oid, e);
	if (rows == NULL)
		return false;
	for (size_t i = 0; i < rows_count(rows); i++)
		model_add_primary_key(m, rows_value(rows, i, 0));
	rows_free(rows);
	return true;
}

/* Whether the server refused SQL of the settings because the user may not read the signal table,
 * and all mistakes are collected: then missing privileges are reported, and this is none. */
static bool is_reported_elsewhere(
	struct db *db, struct instant deadline, const struct model *m, const struct error *e)
{
	static const char sql[] = "SELECT 1 WHERE NOT"
				  " pg_catalog.has_table_privilege($1::pg_catalog.oid, 'SELECT')";
	struct error ignored;
	if (m->mistakes == NULL || strcmp(e->sqlstate, "42501") != 0)
		return false;
	char *oid = text_format("%u", m->table_oid);
	struct rows *rows = catalog_query(db, deadline, sql, oid, &ignored);
	bool lacks_select = rows != NULL && rows_count(rows) > 0;
	rows_free(rows);
	free(oid);
	return lacks_select;
}

/* ERROR_CONFIG with FILE:LINE: if the server refuses what a setting, or an item of it, says. Always
 * returns false. */
static bool blame(struct place at, const char *setting, const char *item, struct error *e)
{
	const struct error own = *e;
	/* There is no plan that could be outdated: what is not supported (0A000) never will be. */
	if (own.kind == ERROR_DATABASE || own.kind == ERROR_PLAN)
		error_set(e, ERROR_CONFIG, "%s:%u: %s%s%s: %s", at.file, at.line, setting,
			item != NULL ? ": " : "", item != NULL ? item : "", own.text);
	return false;
}

static bool describe_expressions(struct db *db, struct instant deadline, struct model *m,
	const char *setting, struct error *e)
{
	const struct items *items =
		strcmp(setting, "fields") == 0 ? &m->settings->fields : &m->settings->headers;
	for (size_t i = 0; i < items->count; i++) {
		const struct item *item = &items->items[i];
		if (item->sql == NULL)
			continue;
		struct rows *rows;
		char *sql = sql_probe(m, item->sql);
		struct db_call call = { .sql = sql, .rows = &rows };
		bool ok = db_call_as_role(db, call, deadline, e) ||
			  blame(item->place, setting, item->name, e);
		if (ok)
			model_add_expression(m, item->sql, rows_type(rows, 1));
		rows_free(rows);
		free(sql);
		if (!ok && !model_tolerates(m, e))
			return false;
	}
	return true;
}

static bool check_where(struct db *db, struct instant deadline, struct model *m, struct error *e)
{
	if (m->settings->where == NULL)
		return true;
	char *sql = sql_probe_where(m);
	bool ok = db_call_as_role(db, (struct db_call){ .sql = sql }, deadline, e) ||
		  is_reported_elsewhere(db, deadline, m, e) ||
		  blame(config_place(m->config, m->settings, "where"), "where", NULL, e);
	free(sql);
	return ok || model_tolerates(m, e);
}

/* $1: its name in the settings; $2: its oid, if it exists; $3: the oids of the signal tables. */
static const char dead_letters_sql[] =
	"SELECT CASE WHEN c.oid IS NULL THEN written.name"
	" ELSE pg_catalog.format('%I.%I', n.nspname, c.relname) END, c.oid IS NOT NULL, 5 "
	"= ("
	"SELECT pg_catalog.count(*) FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid"
	" AND NOT a.attisdropped"
	" AND (a.attname IN ('id', 'model', 'error', 'failed_at')"
	" OR (a.attname = 'signal' AND a.atttypid = 'pg_catalog.jsonb'::pg_catalog.regtype)"
	")), CASE WHEN c.oid IS NOT NULL AND NOT " SQL_IS_TRUSTED("c.relowner",
		"$3") " THEN pg_catalog.format("
		      "'belongs to user %s, who may not create triggers on the signal "
		      "tables; DROP it',"
		      " c.relowner::pg_catalog.regrole) END FROM ("
		      "SELECT pg_catalog.string_agg(pg_catalog.quote_ident(part), '.' "
		      "ORDER BY place)"
		      " FROM pg_catalog.unnest(pg_catalog.parse_ident($1))"
		      " WITH ORDINALITY AS p (part, place)) AS written (name)"
		      " LEFT JOIN pg_catalog.pg_class c ON c.oid = $2::pg_catalog.oid"
		      " LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace";

/* Whether the dead letter table exists, has the right columns, and an owner who is trusted. */
static bool is_usable(
	const struct config *config, const struct rows *rows, char **name, struct error *e)
{
	const struct place at = config_place(config, NULL, "dead_letter_table");
	bool exists = rows_value(rows, 0, 1)[0] == 't', is_fit = rows_value(rows, 0, 2)[0] == 't';
	const char *foreign = rows_value(rows, 0, 3);
	is_fit = is_fit && foreign == NULL;
	*name = is_fit || !exists ? text_copy(rows_value(rows, 0, 0)) : NULL;
	if (foreign != NULL)
		error_set(e, ERROR_CONFIG, "%s:%u: table %s %s", at.file, at.line,
			config->dead_letter_table, foreign);
	else if (!is_fit)
		error_set(e, ERROR_CONFIG,
			"%s:%u: table %s %s; \"signalbus triggers\" prints its definition", at.file,
			at.line, config->dead_letter_table,
			exists ? "is not a dead letter table" : "does not exist");
	return is_fit;
}

bool catalog_dead_letters(struct db *db, const struct config *config, struct instant deadline,
	char **name, struct error *e)
{
	const struct place at = config_place(config, NULL, "dead_letter_table");
	const char *values[] = { config->dead_letter_table, NULL, NULL };
	struct rows *rows;
	struct db_call call = { .sql = dead_letters_sql,
		.values = values,
		.value_count = 3,
		.rows = &rows,
		.never_null = 3 };
	char *oid, *tables;
	*name = NULL;
	if (!catalog_find_table(db, values[0], deadline, &oid, e))
		return blame(at, "dead_letter_table", NULL, e);
	values[1] = oid;
	values[2] = tables = catalog_find_signal_tables(db, config, deadline, e);
	bool ok = tables != NULL && db_call(db, call, deadline, e);
	free(oid);
	free(tables);
	if (!ok) /* a name that only parse_ident() refuses, or a session lost here */
		return blame(at, "dead_letter_table", NULL, e);
	ok = is_usable(config, rows, name, e);
	rows_free(rows);
	return ok;
}

/* What is missing for moving rows to the dead letters: it is asked now, since a refused INSERT
 * leaves no transaction in which to ask. */
static bool describe_grant(struct db *db, struct instant deadline, struct model *m, struct error *e)
{
	static const char sql[] =
		"SELECT pg_catalog.format('user %I lacks INSERT; GRANT INSERT ON %s TO %1$I',"
		" CURRENT_USER, d) FROM pg_catalog.to_regclass($1) AS d"
		" WHERE NOT pg_catalog.has_table_privilege(d, 'INSERT')";
	struct rows *rows = catalog_query(db, deadline, sql, m->dead_letters, e);
	if (rows == NULL)
		/* uncovered: the session is lost at just this call */
		return false;
	if (rows_count(rows) > 0)
		m->dead_letter_grant = text_copy(rows_value(rows, 0, 0));
	rows_free(rows);
	return true;
}

/* If the model's signals go there.  Only moving them needs the table. */
static bool describe_dead_letters(
	struct db *db, struct instant deadline, struct model *m, struct error *e)
{
	if (m->settings->on_reject != ON_REJECT_DEAD_LETTER)
		return true;
	if (catalog_dead_letters(db, m->config, deadline, &m->dead_letters, e))
		return describe_grant(db, deadline, m, e);
	free(m->dead_letters);
	m->dead_letters = NULL;
	if (e->kind != ERROR_CONFIG || m->mistakes != NULL)
		return false;
	m->dead_letter_problem = text_copy(e->text);
	return true;
}

/* The results of several statements must describe the same table. */
static bool check_state(struct db *db, struct instant deadline, struct model *m, struct error *e)
{
	struct rows *rows = read_state(db, deadline, m, e);
	if (rows == NULL)
		return false;
	char *state = rows_join(rows, 0);
	bool is_same = strcmp(state, m->table_state) == 0;
	rows_free(rows);
	free(state);
	return is_same || error_set(e, ERROR_PLAN, CATALOG_CHANGING, m->relation);
}

static bool describe(struct db *db, struct instant deadline, struct model *m, struct error *e)
{
	char *oid = NULL;
	bool ok = describe_table(db, deadline, m, &oid, e) &&
		  describe_columns(db, deadline, m, oid, e) &&
		  describe_other_types(db, deadline, m, e) &&
		  describe_key(db, deadline, m, oid, e) &&
		  describe_expressions(db, deadline, m, "fields", e) &&
		  describe_expressions(db, deadline, m, "headers", e) &&
		  check_where(db, deadline, m, e) &&
		  (describe_dead_letters(db, deadline, m, e) || model_tolerates(m, e)) &&
		  check_state(db, deadline, m, e) && model_resolve(m, e);
	free(oid);
	return ok;
}

struct model *catalog_read(struct db *db, const struct config *config, size_t index,
	struct instant deadline, struct error *e)
{
	struct model *m = model_new(config, index);
	if (describe(db, deadline, m, e))
		return m;
	model_free(m);
	return NULL;
}

bool catalog_examine(struct db *db, struct model *m, struct instant deadline, struct error *e)
{
	return describe(db, deadline, m, e) || model_tolerates(m, e);
}
