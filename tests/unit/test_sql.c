#include "model/sql.h"

#include "model/triggers.h"
#include "model_fixture.h"

static const struct told_column simple[] = {
	{ "id", INT8_OID, "bigint" },
	{ "body", JSONB_OID, "jsonb" },
};

static const struct told_column odd[] = {
	{ "Tenant \"x\"", TEXT_OID, "character varying" },
	{ "nr", INT4_OID, "integer" },
	{ "span", 1186 /* interval */, "interval" },
};

/* Tables and what is said of them in the configuration. */
struct table {
	const struct told_column *columns;
	size_t count;
	bool odd_key; /* primary key ("Tenant ""x""", nr), else (id) */
	bool has_children;
	const char *order_by[3];
	long long burst_count;
};

/* fixture_model() parts names at spaces, so odd ones are added here. */
static struct model *model_of(struct fixture *f, const struct table *t, const char **order_by)
{
	struct error e;
	fixture_init(f);
	f->settings.burst_count = t->burst_count;
	memcpy(order_by, t->order_by, sizeof t->order_by);
	f->settings.order_by.items = order_by;
	while (f->settings.order_by.count < COUNT(t->order_by) &&
		order_by[f->settings.order_by.count] != NULL)
		f->settings.order_by.count++;
	struct model *m = fixture_model(f, t->columns, t->count, t->odd_key ? "" : "id");
	m->has_children = t->has_children;
	if (t->odd_key) {
		model_add_primary_key(m, "Tenant \"x\"");
		model_add_primary_key(m, "nr");
	}
	ck_assert_msg(model_resolve(m, &e), "%s", e.text);
	return m;
}

#define SIMPLE simple, COUNT(simple), false
#define ODD    odd, COUNT(odd), true
/* A row's table, if nothing in it is too large. */
#define SIZE(column) "pg_catalog.octet_length(" column ")"
#define TOO_LARGE    " OPERATOR(pg_catalog.>) 16777216"
#define JSON_TOO_LARGE(column)                                                                     \
	"pg_catalog.pg_column_size(" column ") OPERATOR(pg_catalog.>) 65536 AND " SIZE(            \
		"pg_catalog.format('%s', " column ")") TOO_LARGE
#define TABLE_UNLESS(condition)                                                                    \
	"CASE WHEN " condition " THEN pg_catalog.pg_size_bytes(pg_catalog.concat('too large: ', "  \
	"signal.ctid))::pg_catalog.oid ELSE signal.tableoid END"
#define BODY                                                                                       \
	"SELECT signal.ctid, " TABLE_UNLESS(                                                       \
		JSON_TOO_LARGE("signal.\"body\"")) ", signal.\"id\", signal.\"body\""
#define ODD_BODY                                                                                   \
	"SELECT signal.ctid, " TABLE_UNLESS(                                                       \
		SIZE("signal.\"Tenant \"\"x\"\"\"") TOO_LARGE " OR " JSON_TOO_LARGE(               \
			"signal.\"span\"")) ", signal.\"Tenant \"\"x\"\"\", signal.\"nr\","        \
					    " pg_catalog.to_json(signal.\"span\"), CASE WHEN "     \
					    "false THEN signal.\"span\" END"
#define FROM    " FROM shop.\"order\" AS signal"
#define ODD_KEY "signal.\"Tenant \"\"x\"\"\", signal.\"nr\""

static const struct {
	struct table table;
	enum claim_kind kind;
	const char *sql;
} claims[] = {
	{ { SIMPLE, false, { NULL }, 7 }, CLAIM_FIRST,
		BODY FROM " WHERE signal.ctid OPERATOR(pg_catalog.>) '(0,0)'::pg_catalog.tid LIMIT "
			  "7 FOR UPDATE OF signal SKIP "
			  "LOCKED" },
	{ { SIMPLE, false, { NULL }, 1 }, CLAIM_NEXT,
		BODY FROM " WHERE signal.ctid OPERATOR(pg_catalog.>) $1::pg_catalog.tid LIMIT 1 "
			  "FOR UPDATE OF signal SKIP "
			  "LOCKED" },
	{ { SIMPLE, false, { NULL }, 9 }, CLAIM_RANGE,
		BODY FROM " WHERE signal.ctid OPERATOR(pg_catalog.>) $1::pg_catalog.tid AND "
			  "signal.ctid OPERATOR(pg_catalog.<=) $2::pg_catalog.tid LIMIT 9 FOR "
			  "UPDATE OF signal SKIP LOCKED" },
	{ { SIMPLE, false, { NULL }, 1 }, CLAIM_BY_KEY,
		BODY FROM " WHERE EXISTS (SELECT FROM ROWS FROM (pg_catalog.unnest("
			  "$1::pg_catalog.text[])) AS key (c0) WHERE signal.\"id\" "
			  "OPERATOR(pg_catalog.=) key.c0::bigint)"
			  " LIMIT 1 FOR UPDATE OF signal SKIP LOCKED" },
	{ { SIMPLE, false, { NULL }, 100000 }, CLAIM_ORDERED,
		BODY FROM " ORDER BY signal.\"id\" LIMIT 100000 FOR UPDATE OF signal" },
	{ { SIMPLE, false, { "id DESC" }, 1 }, CLAIM_ORDERED,
		BODY FROM " ORDER BY signal.\"id\" DESC LIMIT 1 FOR UPDATE OF signal" },
	{ { SIMPLE, true, { NULL }, 1 }, CLAIM_FIRST,
		BODY FROM " ORDER BY signal.\"id\" LIMIT 1 FOR UPDATE OF signal SKIP LOCKED" },
	{ { SIMPLE, true, { "body" }, 1 }, CLAIM_NEXT,
		BODY FROM " WHERE (signal.\"id\") OPERATOR(pg_catalog.>) ($1::bigint) ORDER BY "
			  "signal.\"id\" LIMIT 1"
			  " FOR UPDATE OF signal SKIP LOCKED" },
	{ { ODD, false, { NULL }, 2 }, CLAIM_NEXT,
		ODD_BODY FROM " WHERE signal.ctid OPERATOR(pg_catalog.>) $1::pg_catalog.tid LIMIT "
			      "2 FOR UPDATE OF signal SKIP "
			      "LOCKED" },
	{ { ODD, true, { NULL }, 2 }, CLAIM_NEXT,
		ODD_BODY FROM " WHERE (" ODD_KEY
			      ") OPERATOR(pg_catalog.>) ($1::character varying, $2::integer)"
			      " ORDER BY " ODD_KEY " LIMIT 2 FOR UPDATE OF signal SKIP LOCKED" },
	{ { ODD, true, { NULL }, 2 }, CLAIM_BY_KEY,
		ODD_BODY FROM " WHERE EXISTS (SELECT FROM ROWS FROM ("
			      "pg_catalog.unnest($1::pg_catalog.text[]), "
			      "pg_catalog.unnest($2::pg_catalog.text[])) AS key (c0, c1)"
			      " WHERE signal.\"Tenant \"\"x\"\"\" OPERATOR(pg_catalog.=) "
			      "key.c0::character varying AND signal.\"nr\" "
			      "OPERATOR(pg_catalog.=) key.c1::integer)"
			      " LIMIT 2 FOR UPDATE OF signal SKIP LOCKED" },
	{ { ODD, true, { "span DESC", "nr" }, 2 }, CLAIM_ORDERED,
		ODD_BODY FROM " ORDER BY signal.\"span\" DESC, signal.\"nr\", signal.\"Tenant "
			      "\"\"x\"\"\" LIMIT 2 FOR UPDATE OF signal" },
	{ { ODD, false, { "\"Tenant \"\"x\"\"\" DESC" }, 2 }, CLAIM_ORDERED,
		ODD_BODY FROM " ORDER BY signal.\"Tenant \"\"x\"\"\" DESC, signal.\"nr\" LIMIT 2"
			      " FOR UPDATE OF signal" },
};

START_TEST(a_claim_locks_the_rows_of_its_kind)
{
	struct fixture f;
	const char *order_by[3];
	struct model *m = model_of(&f, &claims[_i].table, order_by);
	char *sql = sql_claim(m, claims[_i].kind, (size_t)claims[_i].table.burst_count, false);
	ck_assert_str_eq(sql, claims[_i].sql);
	free(sql);
	model_free(m);
}
END_TEST

static void check_sql(char *sql, const char *expected)
{
	ck_assert_str_eq(sql, expected);
	free(sql);
}

/* The limit grows with kafka.message_max_bytes. */
START_TEST(rows_that_are_too_large_for_any_message_are_measured)
{
	struct fixture f;
	const char *order_by[3];
	const struct table table = { SIMPLE, false, { NULL }, 1 };
	struct model *m = model_of(&f, &table, order_by);
	m->message_max = 5000000;
	check_sql(sql_sizes(m),
		"SELECT * FROM (SELECT signal.ctid, signal.tableoid, "
		"COALESCE(pg_catalog.octet_length(pg_catalog.format('%s', signal.\"id\")), 0) AS "
		"s0, "
		"COALESCE(pg_catalog.octet_length(pg_catalog.format('%s', signal.\"body\")), 0) AS "
		"s1" FROM
		" WHERE signal.ctid OPERATOR(pg_catalog.=) ANY ($2::pg_catalog.tid[]) AND "
		"(signal.tableoid, signal.ctid) OPERATOR(pg_catalog.=) ANY (SELECT p.t, p.c FROM "
		"ROWS FROM (pg_catalog.unnest($1::pg_catalog.oid[]), "
		"pg_catalog.unnest($2::pg_catalog.tid[])) AS p (t, c)) OFFSET 0) AS g "
		"WHERE 0::pg_catalog.int8 OPERATOR(pg_catalog.+) g.s0 OPERATOR(pg_catalog.+) g.s1 "
		"OPERATOR(pg_catalog.>) 20000000");
	model_free(m);
}
END_TEST

START_TEST(other_statements_name_the_table_as_the_catalog_does)
{
	struct fixture f;
	const char *order_by[3];
	const struct table table = { ODD, false, { NULL }, 5 };
	struct model *m = model_of(&f, &table, order_by);
	m->index = 12;
	check_sql(sql_delete(m), "DELETE FROM shop.\"order\" AS signal WHERE signal.ctid "
				 "OPERATOR(pg_catalog.=) ANY ($1::pg_catalog.tid[]) AND "
				 "signal.tableoid OPERATOR(pg_catalog.=) $2::pg_catalog.oid");
	check_sql(sql_note(m, "x7"),
		"DECLARE noted_12_x7 NO SCROLL CURSOR WITH HOLD FOR SELECT " ODD_KEY
		" FROM shop.\"order\" AS signal");
	check_sql(sql_noted(m, "x7", 1000), "FETCH FORWARD 1000 FROM noted_12_x7");
	check_sql(sql_count(m), "SELECT pg_catalog.count(*) FROM shop.\"order\" AS signal");
	check_sql(sql_count_some(m, 10001),
		"SELECT pg_catalog.count(*) FROM (SELECT FROM shop.\"order\" AS "
		"signal LIMIT 10001) AS bounded");
	model_free(m);
}
END_TEST

/* A primary key whose columns have operators of two schemas: (a, b, c) > ($1, $2, $3). */
START_TEST(keys_are_compared_by_the_operators_of_their_types)
{
	static const struct told_column columns[] = { { "a", 90001, "x.citext" },
		{ "b", INT8_OID, "bigint" }, { "c", INT8_OID, "bigint" } };
	struct fixture f;
	struct text t = { 0 };
	fixture_init(&f);
	struct model *m = fixture_resolved(&f, columns, 3, "a b c");
	m->has_children = true;
	free(m->columns[0].operators);
	m->columns[0].operators = text_copy("x");
	char *sql = sql_claim(m, CLAIM_NEXT, 1, false);
	text_addf(&t, "%s", strstr(sql, " WHERE"));
	ck_assert_str_eq(t.text, " WHERE signal.\"a\" OPERATOR(x.>=) $1::x.citext"
				 " AND (signal.\"a\" OPERATOR(x.>) $1::x.citext"
				 " OR signal.\"a\" OPERATOR(x.=) $1::x.citext"
				 " AND (signal.\"b\" OPERATOR(pg_catalog.>) $2::bigint"
				 " OR signal.\"b\" OPERATOR(pg_catalog.=) $2::bigint"
				 " AND (signal.\"c\" OPERATOR(pg_catalog.>) $3::bigint)))"
				 " ORDER BY signal.\"a\", signal.\"b\", signal.\"c\" LIMIT 1"
				 " FOR UPDATE OF signal SKIP LOCKED");
	free(sql);
	text_free(&t);
	model_free(m);
}
END_TEST

START_TEST(a_percent_sign_in_a_name_is_a_percent_sign)
{
	static const struct told_column columns[] = { { "%s%n", TEXT_OID, "text" } };
	struct fixture f;
	fixture_init(&f);
	struct model *m = fixture_resolved(&f, columns, 1, "%s%n");
	check_sql(sql_claim(m, CLAIM_ORDERED, 100, false),
		"SELECT signal.ctid, " TABLE_UNLESS(SIZE("signal.\"%s%n\"")
				TOO_LARGE) ", signal.\"%s%n\" FROM shop.\"order\" AS "
					   "signal ORDER BY signal.\"%s%n\" LIMIT 100 FOR UPDATE "
					   "OF signal");
	model_free(m);
}
END_TEST

/* Models with these relations; models[0] is the first one. */
static const struct model **models_of(struct fixture *f, const char *const *relations, size_t count)
{
	static const struct told_column columns[] = { { "id", INT8_OID, "bigint" } };
	const struct model **models = memory_new(count, sizeof *models);
	fixture_init(f);
	for (size_t i = 0; i < count; i++) {
		struct model *m = fixture_resolved(f, columns, 1, "id");
		free(m->relation);
		m->relation = text_copy(relations[i]);
		models[i] = m;
	}
	return models;
}

static void free_models(const struct model **models, size_t count)
{
	for (size_t i = 0; i < count; i++)
		model_free((struct model *)models[i]);
	free(models);
}

static const char *const relations[] = { "shop.\"order\"", "\"a.\"\"b\".t", "shop.paid",
	"\"a.\"\"b\".\"u.v\"", "\"a.\".t" };

START_TEST(triggers_have_a_function_in_each_schema)
{
	struct fixture f;
	struct text t = { 0 };
	const struct model **models = models_of(&f, relations, COUNT(relations));
	f.config.notify_channel = "it's";
	triggers_install(&t, models, COUNT(relations), 140000);
	ck_assert_ptr_nonnull(strstr(t.text,
		"CREATE OR REPLACE TRIGGER signalbus_notify AFTER INSERT ON \"a.\"\"b\".\"u.v\"\n"
		"  FOR EACH STATEMENT EXECUTE FUNCTION \"a.\"\"b\".signalbus_notify('it''s');\n"));
	ck_assert_ptr_nonnull(strstr(t.text,
		"SET LOCAL signalbus.tables = '{\"shop.\\\"order\\\"\",\"\\\"a.\\\"\\\"b\\\".t\","
		"\"shop.paid\",\"\\\"a.\\\"\\\"b\\\".\\\"u.v\\\"\",\"\\\"a.\\\".t\"}';\n"));
	size_t functions = 0;
	for (const char *p = t.text; (p = strstr(p, "OR REPLACE FUNCTION ")) != NULL; p++)
		functions++;
	ck_assert_uint_eq(functions, 3);
	text_free(&t);
	free_models(models, COUNT(relations));
}
END_TEST

/* PostgreSQL 13 replaces no triggers. */
START_TEST(older_servers_have_triggers_dropped_first)
{
	struct fixture f;
	struct text t = { 0 };
	const struct model **models = models_of(&f, relations, 1);
	f.config.notify_channel = "signalbus";
	triggers_install(&t, models, 1, 130023);
	ck_assert_ptr_nonnull(
		strstr(t.text, "DROP TRIGGER IF EXISTS signalbus_notify ON shop.\"order\";\n"
			       "CREATE TRIGGER signalbus_notify AFTER INSERT ON shop.\"order\"\n"));
	text_free(&t);
	free_models(models, 1);
}
END_TEST

START_TEST(triggers_are_dropped_before_their_functions)
{
	struct fixture f;
	struct text t = { 0 };
	const struct model **models = models_of(&f, relations, 3);
	triggers_drop(&t, models, 3, true);
	ck_assert_str_eq(t.text, "DROP TRIGGER IF EXISTS signalbus_notify ON shop.\"order\";\n"
				 "DROP TRIGGER IF EXISTS signalbus_notify ON \"a.\"\"b\".t;\n"
				 "DROP TRIGGER IF EXISTS signalbus_notify ON shop.paid;\n"
				 "DROP FUNCTION IF EXISTS shop.signalbus_notify();\n"
				 "DROP FUNCTION IF EXISTS \"a.\"\"b\".signalbus_notify();\n");
	text_free(&t);
	free_models(models, 3);
}
END_TEST

START_TEST(a_position_is_a_ctid_or_the_primary_key_if_ctids_are_not_unique)
{
	struct fixture f;
	const char *order_by[3];
	const struct table table = { ODD, false, { NULL }, 5 };
	struct model *m = model_of(&f, &table, order_by);
	ck_assert_uint_eq(sql_position_count(m), 1);
	ck_assert_uint_eq(sql_position_field(m, 0), ROW_CTID);
	m->has_children = true;
	ck_assert_uint_eq(sql_position_count(m), 2);
	ck_assert_uint_eq(sql_position_field(m, 0), m->primary_key_fields[0]);
	ck_assert_uint_eq(sql_position_field(m, 1), m->primary_key_fields[1]);
	model_free(m);
}
END_TEST

static const struct {
	const char *values[4];
	const char *literal;
} arrays[] = {
	{ { NULL }, "{}" },
	{ { "1" }, "{\"1\"}" },
	{ { "1", "22", "-3" }, "{\"1\",\"22\",\"-3\"}" },
	{ { "" }, "{\"\"}" },
	{ { "", "" }, "{\"\",\"\"}" },
	{ { "NULL", "null" }, "{\"NULL\",\"null\"}" },
	{ { "(0,1)", "(4294967295,65535)" }, "{\"(0,1)\",\"(4294967295,65535)\"}" },
	{ { "a\"b" }, "{\"a\\\"b\"}" },
	{ { "a\\b" }, "{\"a\\\\b\"}" },
	{ { "\"", "\\" }, "{\"\\\"\",\"\\\\\"}" },
	{ { "\\\"\"\\" }, "{\"\\\\\\\"\\\"\\\\\"}" },
	{ { "{a,b}", " c " }, "{\"{a,b}\",\" c \"}" },
	{ { "a\nb\t'" }, "{\"a\nb\t'\"}" },
	{ { "\xc3\xa4\xf0\x9f\x98\x80" }, "{\"\xc3\xa4\xf0\x9f\x98\x80\"}" },
};

START_TEST(array_literals_quote_whatever_is_in_a_value)
{
	struct text array = { 0 };
	for (size_t i = 0; i < COUNT(arrays[_i].values) && arrays[_i].values[i] != NULL; i++)
		sql_array_add(&array, arrays[_i].values[i]);
	sql_array_end(&array);
	ck_assert_str_eq(array.text, arrays[_i].literal);
	text_free(&array);
}
END_TEST

START_TEST(an_array_literal_may_have_a_null)
{
	struct text array = { 0 };
	sql_array_add(&array, NULL);
	sql_array_add(&array, "NULL");
	sql_array_add(&array, NULL);
	sql_array_end(&array);
	ck_assert_str_eq(array.text, "{NULL,\"NULL\",NULL}");
	text_free(&array);
}
END_TEST

int main(void)
{
	const struct test tests[] = {
		{ a_claim_locks_the_rows_of_its_kind, COUNT(claims), 0 },
		{ rows_that_are_too_large_for_any_message_are_measured, 1, 0 },
		{ other_statements_name_the_table_as_the_catalog_does, 1, 0 },
		{ keys_are_compared_by_the_operators_of_their_types, 1, 0 },
		{ a_percent_sign_in_a_name_is_a_percent_sign, 1, 0 },
		{ triggers_have_a_function_in_each_schema, 1, 0 },
		{ older_servers_have_triggers_dropped_first, 1, 0 },
		{ triggers_are_dropped_before_their_functions, 1, 0 },
		{ a_position_is_a_ctid_or_the_primary_key_if_ctids_are_not_unique, 1, 0 },
		{ array_literals_quote_whatever_is_in_a_value, COUNT(arrays), 0 },
		{ an_array_literal_may_have_a_null, 1, 0 },
	};
	return suite_run("sql", tests, COUNT(tests));
}
