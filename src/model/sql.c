#include "model/sql.h"

#include "model/size_guard.h"
#include "postgres/types.h"

#include <string.h>

/* A built-in operator, regardless of the search_path. */
#define OP(symbol) " OPERATOR(pg_catalog." symbol ") "
#define EQ         OP("=")

#define STATE_FROM " FROM pg_catalog.pg_class c WHERE c.oid" EQ "pg_catalog.to_regclass($1)"

const char *const sql_table_state[2] = { "SELECT " SQL_PLAIN_STATE STATE_FROM,
	"SELECT " SQL_STATE(SQL_FAMILY_HAS_TRIGGER, SQL_UNFIT_CHILD) STATE_FROM };

static void add_string(struct text *t, const char *s)
{
	text_add(t, s, strlen(s));
}

static void add_quoted(struct text *t, const char *name)
{
	add_string(t, "\"");
	for (const char *p = name; *p != '\0'; p++) {
		if (*p == '"')
			add_string(t, "\"");
		text_add(t, p, 1);
	}
	add_string(t, "\"");
}

/* Standard strings: only quotes are doubled. */
void sql_constant(struct text *t, const char *s)
{
	add_string(t, "'");
	for (; *s != '\0'; s++) {
		if (*s == '\'')
			add_string(t, "'");
		text_add(t, s, 1);
	}
	add_string(t, "'");
}

static void add_column(struct text *t, const struct model *m, size_t column)
{
	add_string(t, "signal.");
	add_quoted(t, m->columns[column].name);
}

/* The line feed terminates a comment at the end of an expression. */
static void add_expression(struct text *t, const char *sql)
{
	text_addf(t, "(%s\n)", sql);
}

/* Rounded down, like Kafka's milliseconds; date_trunc() first, because before PostgreSQL 14
 * extract() returns a binary fraction. */
static void add_milliseconds(struct text *t, const struct model *m, size_t column)
{
	add_string(t, "CASE WHEN pg_catalog.isfinite(");
	add_column(t, m, column);
	add_string(t, ") THEN pg_catalog.round(EXTRACT(epoch FROM "
		      "pg_catalog.date_trunc('milliseconds', ");
	add_column(t, m, column);
	add_string(t, "))" OP("*") "1000)::pg_catalog.int8 END");
}

static void add_value(struct text *t, const struct model *m, const struct output *o)
{
	if (o->as_milliseconds)
		add_milliseconds(t, m, o->column);
	else if (o->sql != NULL)
		add_expression(t, o->sql);
	else
		add_column(t, m, o->column);
}

static void add_output(struct text *t, const struct model *m, const struct output *o)
{
	add_string(t, o->as_json ? ", pg_catalog.to_json(" : ", ");
	add_value(t, m, o);
	add_string(t, o->as_json ? ")" : "");
}

/* The type of an output that uses to_json() is visible in a column that is always NULL. */
static void add_types(struct text *t, const struct model *m)
{
	for (size_t i = 0; i < m->output_count; i++) {
		if (!m->outputs[i].as_json)
			continue;
		add_string(t, ", CASE WHEN false THEN ");
		add_value(t, m, &m->outputs[i]);
		add_string(t, " END");
	}
}

bool sql_is_place(const struct model *m, size_t output)
{
	size_t field = ROW_FIXED_FIELDS + output;
	bool is_key = field == m->floor_field;
	for (size_t i = 0; i < m->primary_key_count; i++)
		is_key = is_key || field == m->primary_key_fields[i];
	return is_key;
}

/* The table of a row, unless a size that costs little shows that it is too large. */
static void add_tableoid(struct text *t, const struct model *m, bool is_bare)
{
	const char *gap = ", CASE WHEN ";
	struct text reference = { 0 };
	for (size_t i = 0; i < m->output_count && !is_bare; i++) {
		size_t column = m->outputs[i].column;
		if (column == NO_FIELD || !size_guard_applies(&m->columns[column]))
			continue;
		text_clear(&reference);
		add_column(&reference, m, column);
		add_string(t, gap);
		size_guard_add(t, m, &m->columns[column], reference.text);
		gap = " OR ";
	}
	add_string(t, gap[0] == ',' ? ", signal.tableoid"
				    : " THEN " SIZE_GUARD_FAIL "signal.ctid))"
				      "::pg_catalog.oid ELSE signal.tableoid END");
	text_free(&reference);
}

/* Bare columns have the same types. */
static void add_outputs(struct text *t, const struct model *m, bool is_bare, bool needs_place)
{
	for (size_t i = 0; i < m->output_count; i++) {
		if (!is_bare || (needs_place && sql_is_place(m, i))) {
			add_output(t, m, &m->outputs[i]);
			continue;
		}
		/* An output begins with a comma. */
		struct text output = { 0 };
		add_output(&output, m, &m->outputs[i]);
		text_addf(t, ", CASE WHEN false THEN%s END", output.text + 1);
		text_free(&output);
	}
	add_types(t, m);
}

/* The model's own condition, after another one or as the first. */
static void add_where(struct text *t, const struct model *m, bool is_first)
{
	if (m->settings->where == NULL)
		return;
	add_string(t, is_first ? " WHERE " : " AND ");
	add_expression(t, m->settings->where);
}

/* All rows of the model. */
static void add_rows(struct text *t, const struct model *m)
{
	text_addf(t, " FROM %s AS signal", m->relation);
	add_where(t, m, true);
}

static void add_primary_key(struct text *t, const struct model *m)
{
	for (size_t i = 0; i < m->primary_key_count; i++) {
		add_string(t, i > 0 ? ", " : "");
		add_column(t, m, m->primary_key[i]);
	}
}

/* The type's own comparison operator with this symbol. */
static void add_operator(struct text *t, const struct column *c, const char *symbol)
{
	text_addf(t, " OPERATOR(%s.%s) ", c->operators, symbol);
}

/* A column of the primary key, compared with its parameter. */
static void add_comparison(struct text *t, const struct model *m, size_t i, const char *symbol)
{
	const struct column *c = &m->columns[m->primary_key[i]];
	add_column(t, m, m->primary_key[i]);
	add_operator(t, c, symbol);
	text_addf(t, "$%zu::%s", i + 1, c->cast);
}

/* Whether one operator works for all columns of the primary key. */
static bool has_one_operator(const struct model *m)
{
	for (size_t i = 1; i < m->primary_key_count; i++)
		if (strcmp(m->columns[m->primary_key[i]].operators,
			    m->columns[m->primary_key[0]].operators) != 0)
			return false;
	return true;
}

/* The primary key is greater than the parameters, in row comparison. */
static void add_greater(struct text *t, const struct model *m)
{
	add_string(t, "(");
	add_primary_key(t, m);
	add_string(t, ")");
	add_operator(t, &m->columns[m->primary_key[0]], ">");
	for (size_t i = 0; i < m->primary_key_count; i++)
		text_addf(t, "%s$%zu::%s", i > 0 ? ", " : "(", i + 1,
			m->columns[m->primary_key[i]].cast);
	add_string(t, ")");
}

/* The same, column by column; an index serves the first comparison. */
static void add_greater_by_columns(struct text *t, const struct model *m)
{
	add_comparison(t, m, 0, ">=");
	for (size_t i = 0; i < m->primary_key_count; i++) {
		add_string(t, " AND (");
		add_comparison(t, m, i, ">");
		if (i + 1 == m->primary_key_count)
			break;
		add_string(t, " OR ");
		add_comparison(t, m, i, "=");
	}
	for (size_t i = 0; i < m->primary_key_count; i++)
		add_string(t, ")");
}

static void add_next(struct text *t, const struct model *m)
{
	add_string(t, " WHERE ");
	if (!m->has_children)
		add_string(t, "signal.ctid" OP(">") "$1::pg_catalog.tid");
	else if (has_one_operator(m))
		add_greater(t, m);
	else
		add_greater_by_columns(t, m);
}

/* The keys are passed as arrays of text: an array of arrays, for a key that is an array, would
 * become an array of more dimensions. */
static void add_noted(struct text *t, const struct model *m)
{
	add_string(t, " WHERE EXISTS (SELECT FROM ROWS FROM (");
	for (size_t i = 0; i < m->primary_key_count; i++)
		text_addf(t, "%spg_catalog.unnest($%zu::pg_catalog.text[])", i > 0 ? ", " : "",
			i + 1);
	for (size_t i = 0; i < m->primary_key_count; i++)
		text_addf(t, "%sc%zu", i > 0 ? ", " : ") AS key (", i);
	for (size_t i = 0; i < m->primary_key_count; i++) {
		const struct column *c = &m->columns[m->primary_key[i]];
		add_string(t, i > 0 ? " AND " : ") WHERE ");
		add_column(t, m, m->primary_key[i]);
		add_operator(t, c, "=");
		text_addf(t, "key.c%zu::%s", i, c->cast);
	}
	add_string(t, ")");
}

static void add_order(struct text *t, const struct model *m)
{
	for (size_t i = 0; i < m->order_count; i++) {
		add_string(t, i > 0 ? ", " : " ORDER BY ");
		add_column(t, m, m->order[i].column);
		add_string(t, m->order[i].descending ? " DESC" : "");
	}
}

static void add_floor(struct text *t, const struct model *m)
{
	const struct column *c = &m->columns[m->order[0].column];
	add_string(t, " WHERE ");
	add_column(t, m, m->order[0].column);
	add_operator(t, c, ">=");
	text_addf(t, "$1::%s", c->cast);
}

/* The rows of two arrays: their tableoids are the parameter number n, the next one is their ctids.
 */
static void add_among(struct text *t, size_t n)
{
	text_addf(t,
		"(signal.tableoid, signal.ctid)" EQ "ANY (SELECT p.t, p.c FROM"
		" ROWS FROM (pg_catalog.unnest($%zu::pg_catalog.oid[]),"
		" pg_catalog.unnest($%zu::pg_catalog.tid[])) AS p (t, c))",
		n, n + 1);
}

/* A plan that joins would not keep the order of a parent's key: this one hashes the rows. */
static void add_passed_over(struct text *t, const struct model *m, enum claim_kind kind)
{
	size_t before = kind == CLAIM_BY_KEY  ? m->primary_key_count
			: kind == CLAIM_RANGE ? 2
			: kind == CLAIM_NEXT  ? sql_position_count(m)
					      : 0;
	add_string(t, kind == CLAIM_FIRST && m->has_children ? " WHERE NOT (" : " AND NOT (");
	add_among(t, before + 1);
	add_string(t, ")");
}

char *sql_claim(const struct model *m, enum claim_kind kind, size_t count, unsigned how)
{
	bool in_order = kind == CLAIM_ORDERED || kind == CLAIM_ORDERED_FROM;
	bool passes_over = how & CLAIM_PASSES_OVER;
	struct text t = { 0 };
	add_string(&t, "SELECT signal.ctid");
	add_tableoid(&t, m, how & CLAIM_BARE);
	add_outputs(&t, m, how & CLAIM_BARE, in_order || m->has_children);
	text_addf(&t, " FROM %s AS signal", m->relation);
	if (kind == CLAIM_NEXT || kind == CLAIM_RANGE)
		add_next(&t, m);
	if (kind == CLAIM_RANGE)
		add_string(&t, " AND signal.ctid" OP("<=") "$2::pg_catalog.tid");
	if (kind == CLAIM_BY_KEY)
		add_noted(&t, m);
	else if (kind == CLAIM_FIRST && !m->has_children)
		/* Without a condition, a scan of a large table may begin anywhere in it
		 * (synchronize_seqscans), and the position would skip the rows before. */
		add_string(&t, " WHERE signal.ctid" OP(">") "'(0,0)'::pg_catalog.tid");
	else if (kind == CLAIM_ORDERED_FROM)
		add_floor(&t, m);
	if (passes_over)
		add_passed_over(&t, m, kind);
	add_where(&t, m,
		!passes_over &&
			(kind == CLAIM_ORDERED || (kind == CLAIM_FIRST && m->has_children)));
	if (in_order) {
		add_order(&t, m);
	} else if (m->has_children && kind != CLAIM_BY_KEY) {
		add_string(&t, " ORDER BY ");
		add_primary_key(&t, m);
	}
	text_addf(&t, " LIMIT %zu FOR UPDATE OF signal%s", count, in_order ? "" : " SKIP LOCKED");
	return t.text;
}

char *sql_order_index(const struct model *m)
{
	struct text t = { 0 };
	text_addf(&t, "CREATE INDEX ON %s (", m->relation);
	for (size_t i = 0; i < m->order_count; i++) {
		add_string(&t, i > 0 ? ", " : "");
		add_quoted(&t, m->columns[m->order[i].column].name);
		add_string(&t, m->order[i].descending ? " DESC" : "");
	}
	add_string(&t, ")");
	return t.text;
}

char *sql_list(const struct model *m, size_t count, bool floor)
{
	struct text t = { 0 };
	add_string(&t, "SELECT ");
	add_primary_key(&t, m);
	text_addf(&t, " FROM %s AS signal", m->relation);
	if (floor)
		add_floor(&t, m);
	add_where(&t, m, !floor);
	add_order(&t, m);
	text_addf(&t, " LIMIT %zu", count);
	return t.text;
}

/* RowExclusiveLock is taken by INSERT, COPY, UPDATE, DELETE and MERGE, in addition to any
 * stronger lock of their transaction; an insert directly into a partition takes it on that
 * partition only. */
char *sql_writers(const struct model *m, bool among)
{
	static const char plain[] = " AND l.relation" EQ "$1::pg_catalog.regclass";
	static const char with_children[] =
		" AND l.relation" EQ "ANY (" SQL_FAMILY_OF_1 " SELECT oid FROM family)";
	return text_format("SELECT DISTINCT l.virtualtransaction FROM pg_catalog.pg_locks l"
			   " WHERE l.locktype" EQ "'relation'"
			   " AND l.mode" EQ "'RowExclusiveLock' AND l.granted"
			   " AND (l.pid" EQ "pg_catalog.pg_backend_pid()) IS NOT TRUE"
			   " AND l.database" EQ "(SELECT d.oid FROM pg_catalog.pg_database d"
			   " WHERE d.datname" EQ "pg_catalog.current_database())%s%s",
		m->has_children ? with_children : plain,
		among ? " AND l.virtualtransaction" EQ "ANY ($2::pg_catalog.text[])" : "");
}

/* The rows of two arrays: found by their ctids, which is fast, and then filtered. */
static void add_located(struct text *t, const struct model *m)
{
	text_addf(t, " FROM %s AS signal WHERE signal.ctid" EQ "ANY ($2::pg_catalog.tid[]) AND ",
		m->relation);
	add_among(t, 1);
}

char *sql_read(const struct model *m)
{
	struct text t = { 0 };
	add_string(&t, "SELECT signal.ctid, signal.tableoid");
	add_outputs(&t, m, false, false);
	add_located(&t, m);
	return t.text;
}

/* The size of an output's text. */
static void add_size(struct text *t, const struct model *m, const struct output *o)
{
	struct text value = { 0 };
	add_output(&value, m, o);
	size_guard_add_size(t, o->column != NO_FIELD ? &m->columns[o->column] : NULL,
		value.text + strlen(", "));
	text_free(&value);
}

char *sql_sizes(const struct model *m)
{
	struct text t = { 0 };
	add_string(&t, "SELECT * FROM (SELECT signal.ctid, signal.tableoid");
	for (size_t i = 0; i < m->output_count; i++) {
		add_string(&t, ", ");
		add_size(&t, m, &m->outputs[i]);
		text_addf(&t, " AS s%zu", i);
	}
	add_located(&t, m);
	add_string(&t, " OFFSET 0) AS g WHERE 0::pg_catalog.int8");
	for (size_t i = 0; i < m->output_count; i++)
		text_addf(&t, OP("+") "g.s%zu", i);
	text_addf(&t, OP(">") "%zu", size_guard_max(m));
	return t.text;
}

char *sql_read_output(const struct model *m, size_t output)
{
	struct text t = { 0 };
	add_string(&t, "SELECT NULL");
	add_output(&t, m, &m->outputs[output]);
	add_located(&t, m);
	return t.text;
}

char *sql_delete(const struct model *m)
{
	return text_format("DELETE FROM %s AS signal"
			   " WHERE signal.ctid" EQ "ANY ($1::pg_catalog.tid[])"
			   " AND signal.tableoid" EQ "$2::pg_catalog.oid",
		m->relation);
}

char *sql_lock_again(const struct model *m)
{
	return text_format("SELECT FROM %s AS signal"
			   " WHERE signal.ctid" EQ "ANY ($1::pg_catalog.tid[])"
			   " AND signal.xmax" EQ "$2::pg_catalog.xid"
			   " FOR UPDATE OF signal SKIP LOCKED",
		m->relation);
}

/* Whether to_jsonb() may lose information from a column: json loses its form, JSON's null becomes
 * NULL, an array loses its bounds, -0 its sign, and hstore becomes an object. */
static bool loses_in_json(const struct column *c)
{
	return c->form == FORM_JSON || c->form == FORM_SERVER;
}

/* The text of a column that its type's input function makes the same value of.  The output function
 * of xml leaves out a declaration, the cast does not. */
static void add_text(struct text *t, const struct model *m, size_t column)
{
	unsigned type_oid = m->columns[column].type_oid;
	bool is_xml = type_oid == XML_OID || type_oid == XML_ARRAY_OID;
	add_string(t, is_xml ? "" : "pg_catalog.format('%s', ");
	add_column(t, m, column);
	add_string(t, type_oid == XML_ARRAY_OID ? "::pg_catalog.text[]" : "");
	add_string(t, is_xml ? "::pg_catalog.text" : ")");
}

/* The text of a column, where the row's JSON has another one. */
static void add_exact_text(struct text *t, const struct model *m, size_t column)
{
	add_string(t, "(SELECT CASE WHEN pg_catalog.num_nulls(");
	add_column(t, m, column);
	add_string(t, ")" EQ "0 AND COALESCE(pg_catalog.jsonb_extract_path_text(r.json, ");
	sql_constant(t, m->columns[column].name);
	add_string(t, ")" OP("<>") "x.text, true) THEN x.text END"
				   " FROM (SELECT ");
	add_text(t, m, column);
	add_string(t, " AS text) AS x)");
}

/* The texts of the columns that need one, as an object. */
static void add_exact_texts(struct text *t, const struct model *m)
{
	const char *gap = "";
	add_string(t, "pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_object(ARRAY[");
	for (size_t i = 0; i < m->column_count; i++) {
		if (!loses_in_json(&m->columns[i]))
			continue;
		add_string(t, gap);
		sql_constant(t, m->columns[i].name);
		add_string(t, ", ");
		add_exact_text(t, m, i);
		gap = ", ";
	}
	add_string(t, "]::pg_catalog.text[]))");
}

/* The row "signal" as a dead letter stores it: an object of its columns, and, under the name "",
 * which no column can have, the texts of the columns that this does not represent completely.
 * "signal.*" is the row, even if the table has a column of that name. */
static void add_image(struct text *t, const struct model *m)
{
	add_string(t, "(SELECT pg_catalog.jsonb_concat(r.json, CASE"
		      " WHEN pg_catalog.jsonb_eq(x.texts, '{}') THEN '{}'"
		      " ELSE pg_catalog.jsonb_build_object('', x.texts) END)"
		      " FROM (SELECT pg_catalog.to_jsonb(signal.*) AS json) AS r"
		      " CROSS JOIN LATERAL (SELECT ");
	add_exact_texts(t, m);
	add_string(t, " AS texts) AS x)");
}

/* The condition that a column's text says all of its value. */
static void add_text_suffices(struct text *t, const struct model *m, size_t column)
{
	add_string(t, " AND pg_catalog.record_image_eq(ROW(");
	add_column(t, m, column);
	add_string(t, "), ROW(");
	add_text(t, m, column);
	text_addf(t, "::%s))", m->columns[column].cast);
}

char *sql_copy_to_dead_letters(const struct model *m)
{
	struct text t = { 0 };
	text_addf(&t, "INSERT INTO %s (model, signal, error) SELECT $1, ", m->dead_letters);
	add_image(&t, m);
	text_addf(&t,
		", $2 FROM %s AS signal WHERE signal.ctid" EQ "$3::pg_catalog.tid"
		" AND signal.tableoid" EQ "$4::pg_catalog.oid",
		m->relation);
	for (size_t i = 0; i < m->column_count; i++)
		if (m->columns[i].has_inner_xml)
			add_text_suffices(&t, m, i);
	return t.text;
}

/* The primary key in an image, for comparison. */
static void add_image_key(struct text *t, const struct model *m, const char *image)
{
	add_string(t, "pg_catalog.jsonb_build_array(");
	for (size_t i = 0; i < m->primary_key_count; i++) {
		text_addf(t, "%spg_catalog.jsonb_extract_path(%s, ", i > 0 ? ", " : "", image);
		sql_constant(t, m->columns[m->primary_key[i]].name);
		add_string(t, ")");
	}
	add_string(t, ")");
}

/* A column of a dead letter t, from which r is built: a string is the text of any type except
 * JSON. */
static void add_returning(struct text *t, const struct model *m, size_t column)
{
	bool is_json = m->columns[column].form == FORM_JSON;
	if (is_json) {
		add_string(t, "COALESCE(pg_catalog.jsonb_extract_path_text(t.signal, '', ");
		sql_constant(t, m->columns[column].name);
		text_addf(t, ")::%s, ", m->columns[column].cast);
	}
	add_string(t, "r.");
	add_quoted(t, m->columns[column].name);
	add_string(t, is_json ? ")" : "");
}

static void add_insert(struct text *t, const struct model *m, const bool *writable)
{
	struct text values = { 0 };
	text_addf(t, "INSERT INTO %s AS signal (", m->relation);
	for (size_t i = 0; i < m->column_count; i++) {
		if (!writable[i])
			continue;
		add_string(t, values.length > 0 ? ", " : "");
		add_quoted(t, m->columns[i].name);
		add_string(&values, values.length > 0 ? ", " : "");
		add_returning(&values, m, i);
	}
	text_addf(t, ") OVERRIDING SYSTEM VALUE SELECT %s", values.text);
	text_free(&values);
}

/* Dropped columns count as NULL. */
static const char sql_first_difference[] =
	"(SELECT pg_catalog.min(e.name) FROM ("
	"SELECT j.key, j.value, pg_catalog.jsonb_extract_path(b.image, j.key)"
	" FROM pg_catalog.jsonb_each(t.signal) AS j WHERE j.key" OP(
		"<>") "''"
		      " UNION ALL SELECT j.key, j.value, pg_catalog.jsonb_extract_path(b.image, "
		      "'', j.key)"
		      " FROM pg_catalog.jsonb_each(pg_catalog.jsonb_extract_path(t.signal, '')) AS "
		      "j"
		      ") AS e (name, was, is_now)"
		      " WHERE pg_catalog.jsonb_ne(e.was, COALESCE(e.is_now, 'null')))";

char *sql_put_back(const struct model *m, const char *table, const bool *writable)
{
	struct text t = { 0 };
	text_addf(&t,
		"WITH taken AS (DELETE FROM %s AS d WHERE d.model" EQ "$1"
		" AND d.id" EQ "ANY ($2::pg_catalog.int8[])"
		" RETURNING d.id, d.signal), back AS (",
		table);
	add_insert(&t, m, writable);
	text_addf(&t,
		" FROM taken AS t CROSS JOIN LATERAL pg_catalog.jsonb_populate_record(NULL::%s,"
		" pg_catalog.jsonb_concat(t.signal,"
		" COALESCE(pg_catalog.jsonb_extract_path(t.signal, ''), '{}'))) AS r"
		" ORDER BY t.id RETURNING ",
		m->relation);
	add_image(&t, m);
	text_addf(&t,
		" AS image) SELECT pg_catalog.count(*), pg_catalog.count(c.wrong),"
		" pg_catalog.min(c.wrong) FROM (SELECT CASE WHEN b.image IS NULL THEN '' ELSE %s"
		" END AS wrong FROM taken AS t LEFT JOIN back AS b ON ",
		sql_first_difference);
	add_image_key(&t, m, "t.signal");
	add_string(&t, EQ);
	add_image_key(&t, m, "b.image");
	add_string(&t, ") AS c");
	return t.text;
}

char *sql_note(const struct model *m, const char *session)
{
	struct text t = { 0 };
	text_addf(&t, "DECLARE noted_%zu_%s NO SCROLL CURSOR WITH HOLD FOR SELECT ", m->index,
		session);
	add_primary_key(&t, m);
	add_rows(&t, m);
	return t.text;
}

char *sql_noted(const struct model *m, const char *session, size_t count)
{
	return text_format("FETCH FORWARD %zu FROM noted_%zu_%s", count, m->index, session);
}

char *sql_count(const struct model *m)
{
	struct text t = { 0 };
	add_string(&t, "SELECT pg_catalog.count(*)");
	add_rows(&t, m);
	return t.text;
}

char *sql_probe(const struct model *m, const char *expression)
{
	return text_format("SELECT signal.ctid, CASE WHEN true THEN (%s\n) END"
			   " FROM %s AS signal LIMIT 0",
		expression, m->relation);
}

char *sql_probe_where(const struct model *m)
{
	return text_format(
		"SELECT FROM %s AS signal WHERE (%s\n) LIMIT 0", m->relation, m->settings->where);
}

char *sql_count_some(const struct model *m, size_t bound)
{
	struct text t = { 0 };
	add_string(&t, "SELECT pg_catalog.count(*) FROM (SELECT");
	add_rows(&t, m);
	text_addf(&t, " LIMIT %zu) AS bounded", bound);
	return t.text;
}

const char sql_live_rows[] = SQL_FAMILY_OF_1
	" SELECT pg_catalog.sum(pg_catalog.pg_stat_get_live_tuples(oid)) FROM family";

size_t sql_position_count(const struct model *m)
{
	return m->has_children ? m->primary_key_count : 1;
}

size_t sql_position_field(const struct model *m, size_t i)
{
	return m->has_children ? m->primary_key_fields[i] : ROW_CTID;
}

void sql_array_add(struct text *array, const char *value)
{
	add_string(array, array->length > 0 ? "," : "{");
	if (value == NULL) {
		add_string(array, "NULL");
		return;
	}
	add_string(array, "\"");
	for (size_t plain; *value != '\0'; value += plain) {
		plain = strcspn(value, "\"\\");
		if (plain == 0) {
			add_string(array, "\\");
			plain = 1;
		}
		text_add(array, value, plain);
	}
	add_string(array, "\"");
}

void sql_array_end(struct text *array)
{
	add_string(array, array->length > 0 ? "}" : "{}");
}
