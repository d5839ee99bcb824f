#include "model/model.h"

#include "model_fixture.h"

#include <stdio.h>

/* A form for each type of which the text suffices, and the server's work for all others. */
static const struct {
	unsigned type_oid;
	enum value_form form;
} forms[] = {
	{ BOOL_OID, FORM_BOOLEAN },
	{ BYTEA_OID, FORM_BYTES },
	{ 18 /* "char" */, FORM_SERVER },
	{ 19 /* name */, FORM_STRING },
	{ INT8_OID, FORM_NUMBER },
	{ INT2_OID, FORM_NUMBER },
	{ INT4_OID, FORM_NUMBER },
	{ TEXT_OID, FORM_STRING },
	{ 26 /* oid */, FORM_SERVER },
	{ JSON_OID, FORM_JSON },
	{ 142 /* xml */, FORM_SERVER },
	{ 700 /* float4 */, FORM_SERVER },
	{ FLOAT8_OID, FORM_SERVER },
	{ 790 /* money */, FORM_SERVER },
	{ 1007 /* int4[] */, FORM_SERVER },
	{ 1042 /* bpchar */, FORM_STRING },
	{ 1043 /* varchar */, FORM_STRING },
	{ DATE_OID, FORM_STRING },
	{ TIMESTAMP_OID, FORM_TIMESTAMP },
	{ TIMESTAMPTZ_OID, FORM_TIMESTAMPTZ },
	{ NUMERIC_OID, FORM_NUMBER },
	{ 2950 /* uuid */, FORM_STRING },
	{ JSONB_OID, FORM_JSON },
	{ 16400 /* a user's type */, FORM_SERVER },
};

START_TEST(a_type_has_a_form)
{
	struct fixture f;
	const struct told_column columns[] = { { "c", forms[_i].type_oid, "t" } };
	fixture_init(&f);
	struct model *m = fixture_resolved(&f, columns, 1, "c");
	ck_assert_int_eq(m->columns[0].form, forms[_i].form);
	ck_assert_int_eq(m->outputs[m->members[0].field - ROW_FIXED_FIELDS].as_json,
		forms[_i].form == FORM_SERVER);
	model_free(m);
}
END_TEST

static const struct told_column order_columns[] = {
	{ "id", INT8_OID, "bigint" },
	{ "customer", TEXT_OID, "text" },
	{ "placed_at", TIMESTAMPTZ_OID, "timestamp with time zone" },
	{ "Odd \"Name", INT4_OID, "integer" },
	{ "rank desc", INT4_OID, "integer" },
};

/* The columns that settings name, and what they come down to; or the error. */
static const struct {
	const char *key_columns; /* of the primary key */
	const char *order_by[4];
	const char *order; /* column numbers, "-" before a descending one */
	const char *error;
} orders[] = {
	{ "id", { NULL }, "0", NULL },
	{ "customer id", { NULL }, "1 0", NULL },
	{ "id", { "customer" }, "1 0", NULL },
	{ "id", { "id" }, "0", NULL },
	{ "id", { "id DESC" }, "-0", NULL },
	{ "id", { "id desc" }, "-0", NULL },
	{ "id", { "id ASC" }, "0", NULL },
	{ "id", { "id  Asc  " }, "0", NULL },
	{ "id", { "placed_at   DESC ", "id" }, "-2 0", NULL },
	{ "id", { "placed_at DESC", "customer" }, "-2 1 0", NULL },
	{ "customer id", { "id DESC" }, "-0 1", NULL },
	{ "id", { "customer", "customer DESC" }, "1 0", NULL },
	{ "id", { "\"customer\" DESC" }, "-1 0", NULL },
	{ "id", { "Odd \"Name" }, "3 0", NULL },
	{ "id", { "Odd \"Name DESC" }, "-3 0", NULL },
	{ "id", { "\"Odd \"\"Name\" DESC" }, "-3 0", NULL },
	{ "id", { "rank desc" }, "4 0", NULL },
	{ "id", { "rank desc DESC" }, "-4 0", NULL },
	{ "id", { "\"rank desc\"" }, "4 0", NULL },
	{ "id", { "custmer DESC" }, NULL,
		"bus.conf:4: order_by: table shop.\"order\" has no column \"custmer\"; did you "
		"mean \"customer\"?" },
	{ "id", { "id", "nothing_like_it" }, NULL,
		"bus.conf:4: order_by: table shop.\"order\" has no column \"nothing_like_it\"" },
	{ "id", { "DESC" }, NULL,
		"bus.conf:4: order_by: table shop.\"order\" has no column \"DESC\"" },
	{ "id", { " DESC" }, NULL,
		"bus.conf:4: order_by: table shop.\"order\" has no column \" DESC\"" },
	{ "id", { "CUSTOMER" }, NULL,
		"bus.conf:4: order_by: table shop.\"order\" has no column \"CUSTOMER\"; did you "
		"mean \"customer\"?" },
	{ "id", { "id DESCENDING" }, NULL,
		"bus.conf:4: order_by: table shop.\"order\" has no column \"id DESCENDING\"" },
};

static void check_order(const struct model *m, const char *expected)
{
	char order[64] = "";
	for (size_t i = 0; i < m->order_count; i++) {
		size_t used = strlen(order);
		snprintf(order + used, sizeof order - used, "%s%s%zu", i > 0 ? " " : "",
			m->order[i].descending ? "-" : "", m->order[i].column);
	}
	ck_assert_str_eq(order, expected);
}

START_TEST(order_by_names_columns_and_the_primary_key_breaks_ties)
{
	struct fixture f;
	struct error e;
	fixture_init(&f);
	const char *order_by[COUNT(orders[0].order_by)];
	memcpy(order_by, orders[_i].order_by, sizeof order_by);
	f.settings.order_by.items = order_by;
	while (order_by[f.settings.order_by.count] != NULL)
		f.settings.order_by.count++;
	struct model *m =
		fixture_model(&f, order_columns, COUNT(order_columns), orders[_i].key_columns);
	bool ok = model_resolve(m, &e);
	ck_assert_int_eq(ok, orders[_i].error == NULL);
	if (ok) {
		check_order(m, orders[_i].order);
	} else {
		ck_assert_int_eq(e.kind, ERROR_CONFIG);
		ck_assert_str_eq(e.text, orders[_i].error);
	}
	model_free(m);
}
END_TEST

/* In which orders places are assigned one after another, and in which of these sent rows leave
 * nothing after them.  Sequences number "id" and "rank desc". */
static const struct {
	const char *key_columns, *order_by, *where;
	bool is_serial, has_floor;
} serial_orders[] = {
	{ "id", "id", NULL, true, true },
	{ "id", "rank desc", NULL, true, true },
	{ "customer id", "id", NULL, true, true },
	{ "id", "id DESC", NULL, true, false },
	{ "id", "id", "customer = 'a'", true, false },
	{ "customer", "customer", NULL, true, true },
	{ "Odd\"Name", "Odd\"Name", NULL, true, true },
	{ "id", "Odd\"Name", NULL, false, false },
	{ "id", "customer", NULL, false, false },
	{ "customer id", "customer", NULL, false, false },
};

START_TEST(an_order_may_be_serial)
{
	static const struct told_column columns[] = {
		{ "id", INT8_OID, "bigint" },
		{ "customer", TEXT_OID, "text" },
		{ "Odd\"Name", INT4_OID, "integer" },
		{ "rank desc", INT2_OID, "smallint" },
	};
	struct fixture f;
	struct error e;
	fixture_init(&f);
	const char *order_by[] = { serial_orders[_i].order_by };
	f.settings.order_by = (struct strings){ order_by, 1 };
	f.settings.where = serial_orders[_i].where;
	struct model *m = fixture_model(&f, columns, COUNT(columns), serial_orders[_i].key_columns);
	m->columns[0].is_serial = m->columns[3].is_serial = true;
	ck_assert(model_resolve(m, &e));
	ck_assert_int_eq(m->serial_order, serial_orders[_i].is_serial);
	ck_assert_int_eq(m->floor_field != NO_FIELD, serial_orders[_i].has_floor);
	model_free(m);
}
END_TEST

/* Columns as they stand are those of the table; what goes through to_json() shows its type last. */
START_TEST(what_a_claim_returns_is_known_beforehand)
{
	static const struct told_column columns[] = { { "id", INT8_OID, "bigint" },
		{ "f", FLOAT8_OID, "double precision" }, { "at", TIMESTAMP_OID, "timestamp" } };
	static const struct row_column wanted[] = { { 27, 0, 0 }, { 26, 0, 0 },
		{ INT8_OID, 16999, 1 }, { JSON_OID, 0, 0 }, { TIMESTAMP_OID, 16999, 3 },
		{ INT8_OID, 0, 0 }, { FLOAT8_OID, 0, 0 } };
	struct fixture f;
	struct error e;
	fixture_init(&f);
	f.settings.timestamp = "at";
	struct model *m = fixture_model(&f, columns, COUNT(columns), "id");
	m->table_oid = 16999;
	ck_assert(model_resolve(m, &e));
	ck_assert_uint_eq(m->output_count, 4);
	ck_assert_uint_eq(m->claimed_count, COUNT(wanted));
	for (size_t i = 0; i < COUNT(wanted); i++) {
		ck_assert_uint_eq(m->claimed[i].type_oid, wanted[i].type_oid);
		ck_assert_uint_eq(m->claimed[i].table_oid, wanted[i].table_oid);
		ck_assert_int_eq(m->claimed[i].attnum, wanted[i].attnum);
	}
	model_free(m);
}
END_TEST

static const struct {
	const char *key;
	size_t column;
	const char *error;
} keys[] = {
	{ "customer", 1, NULL },
	{ "placed_at", 2, NULL },
	{ "\"customer\"", 1, NULL },
	{ "Odd \"Name", 3, NULL },
	{ "\"Odd \"\"Name\"", 3, NULL },
	{ "custommer", 0,
		"bus.conf:3: key: table shop.\"order\" has no column \"custommer\"; did you mean "
		"\"customer\"?" },
	{ "\"customer", 0,
		"bus.conf:3: key: table shop.\"order\" has no column \"\"customer\"; did you mean "
		"\"customer\"?" },
	{ "completely_else", 0,
		"bus.conf:3: key: table shop.\"order\" has no column \"completely_else\"" },
	{ "\"", 0, "bus.conf:3: key: table shop.\"order\" has no column \"\"\"" },
	{ "\"\"", 0, "bus.conf:3: key: table shop.\"order\" has no column \"\"\"\"" },
};

START_TEST(key_names_a_column_whose_text_is_asked_for)
{
	struct fixture f;
	struct error e;
	fixture_init(&f);
	f.settings.key = keys[_i].key;
	struct model *m = fixture_model(&f, order_columns, COUNT(order_columns), "id");
	bool ok = model_resolve(m, &e);
	ck_assert_int_eq(ok, keys[_i].error == NULL);
	if (ok) {
		const struct output *o = &m->outputs[m->key_field - ROW_FIXED_FIELDS];
		ck_assert_uint_eq(o->column, keys[_i].column);
		ck_assert(!o->as_json);
	} else {
		ck_assert_str_eq(e.text, keys[_i].error);
	}
	model_free(m);
}
END_TEST

START_TEST(without_a_key_there_is_no_key_field)
{
	struct fixture f;
	fixture_init(&f);
	struct model *m = fixture_resolved(&f, order_columns, COUNT(order_columns), "id");
	ck_assert_uint_eq(m->key_field, NO_FIELD);
	model_free(m);
}
END_TEST

START_TEST(each_field_is_asked_for_once)
{
	static const struct told_column columns[] = {
		{ "span", 3912, "daterange" },
		{ "id", INT8_OID, "bigint" },
		{ "body", TEXT_OID, "text" },
	};
	struct fixture f;
	fixture_init(&f);
	f.settings.key = "id";
	struct model *m = fixture_resolved(&f, columns, COUNT(columns), "span id");
	/* span as JSON, id, body, and span as text for the primary key. */
	ck_assert_uint_eq(m->output_count, 4);
	ck_assert_uint_eq(m->members[0].field, ROW_FIXED_FIELDS);
	ck_assert_uint_eq(m->members[1].field, ROW_FIXED_FIELDS + 1);
	ck_assert_uint_eq(m->members[2].field, ROW_FIXED_FIELDS + 2);
	ck_assert_uint_eq(m->primary_key_fields[0], ROW_FIXED_FIELDS + 3);
	ck_assert_uint_eq(m->primary_key_fields[1], m->members[1].field);
	ck_assert_uint_eq(m->key_field, m->members[1].field);
	model_free(m);
}
END_TEST

START_TEST(a_table_without_primary_key_is_an_error)
{
	struct fixture f;
	struct error e;
	fixture_init(&f);
	struct model *m = fixture_model(&f, order_columns, COUNT(order_columns), "");
	ck_assert(!model_resolve(m, &e));
	ck_assert_int_eq(e.kind, ERROR_CONFIG);
	ck_assert_str_eq(e.text, "bus.conf:2: table shop.\"order\" has no primary key");
	model_free(m);
}
END_TEST

START_TEST(a_model_can_be_freed_at_any_stage)
{
	struct fixture f;
	fixture_init(&f);
	model_free(NULL);
	model_free(model_new(&f.config, 0));
	model_free(fixture_model(&f, order_columns, COUNT(order_columns), "id"));
}
END_TEST

START_TEST(a_long_message_is_cut_and_keeps_its_place)
{
	char name[2000];
	struct fixture f;
	struct error e;
	memset(name, 'x', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	fixture_init(&f);
	f.settings.key = name;
	struct model *m = fixture_model(&f, order_columns, COUNT(order_columns), "id");
	ck_assert(!model_resolve(m, &e));
	ck_assert_uint_lt(strlen(e.text), sizeof e.text);
	ck_assert_mem_eq(e.text, "bus.conf:3: key: ", 17);
	model_free(m);
}
END_TEST

int main(void)
{
	const struct test tests[] = {
		{ what_a_claim_returns_is_known_beforehand, 1, 0 },
		{ a_type_has_a_form, COUNT(forms), 0 },
		{ order_by_names_columns_and_the_primary_key_breaks_ties, COUNT(orders), 0 },
		{ an_order_may_be_serial, COUNT(serial_orders), 0 },
		{ key_names_a_column_whose_text_is_asked_for, COUNT(keys), 0 },
		{ without_a_key_there_is_no_key_field, 1, 0 },
		{ each_field_is_asked_for_once, 1, 0 },
		{ a_table_without_primary_key_is_an_error, 1, 0 },
		{ a_model_can_be_freed_at_any_stage, 1, 0 },
		{ a_long_message_is_cut_and_keeps_its_place, 1, 0 },
	};
	return suite_run("model", tests, COUNT(tests));
}
