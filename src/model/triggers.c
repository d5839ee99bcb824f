#include "model/triggers.h"

#include "model/sql.h"

#include <string.h>

/* The first version with CREATE OR REPLACE TRIGGER. */
#define REPLACES_TRIGGERS 140000

/* The length of the schema in the relation of a model. */
static size_t schema_length(const struct model *m)
{
	const char *p = m->relation;
	bool is_quoted = false;
	for (; is_quoted || *p != '.'; p++)
		if (*p == '"')
			is_quoted = !is_quoted;
	return (size_t)(p - m->relation);
}

static bool have_one_schema(const struct model *a, const struct model *b)
{
	size_t length = schema_length(a);
	return length == schema_length(b) && strncmp(a->relation, b->relation, length) == 0;
}

/* Whether a model is the first one of its schema. */
static bool is_first(const struct model *const *models, size_t index)
{
	for (size_t i = 0; i < index; i++)
		if (have_one_schema(models[i], models[index]))
			return false;
	return true;
}

static void add_name(struct text *t, const struct model *m)
{
	text_add(t, m->relation, schema_length(m));
	text_addf(t, ".signalbus_notify");
}

static void create_function(struct text *t, const struct model *m)
{
	text_addf(t, "CREATE OR REPLACE FUNCTION ");
	add_name(t, m);
	text_addf(t, "() RETURNS pg_catalog.trigger LANGUAGE plpgsql AS $$\n"
		     "BEGIN\n"
		     "  PERFORM pg_catalog.pg_notify(TG_ARGV[0],"
		     " pg_catalog.format('%%I.%%I', TG_TABLE_SCHEMA, TG_TABLE_NAME));\n"
		     "  RETURN NULL;\n"
		     "END $$;\n");
}

static void drop_trigger(struct text *t, const struct model *m)
{
	text_addf(t, "DROP TRIGGER IF EXISTS signalbus_notify ON %s;\n", m->relation);
}

/* OR REPLACE is preferred: DROP TRIGGER takes the owner of the table, and locks out its readers. */
static void create_trigger(struct text *t, const struct model *m, bool can_replace)
{
	if (!can_replace)
		drop_trigger(t, m);
	text_addf(t,
		"CREATE %sTRIGGER signalbus_notify AFTER INSERT ON %s\n"
		"  FOR EACH STATEMENT EXECUTE FUNCTION ",
		can_replace ? "OR REPLACE " : "", m->relation);
	add_name(t, m);
	text_addf(t, "(");
	sql_constant(t, m->config->notify_channel);
	text_addf(t, ");\n");
}

/* Whoever made a function before keeps it, and may replace it again.  This comes last: before, he
 * could make it between the look and CREATE OR REPLACE. */
static void refuse_foreign(struct text *t, const struct model *const *models, size_t count)
{
	struct text tables = { 0 };
	for (size_t i = 0; i < count; i++)
		sql_array_add(&tables, models[i]->relation);
	sql_array_end(&tables);
	text_addf(t, "SET LOCAL signalbus.tables = ");
	sql_constant(t, tables.text);
	text_addf(t, "%s",
		";\n"
		"DO $$\n"
		"DECLARE\n"
		"  wrong pg_catalog.text;\n"
		"BEGIN\n"
		"  SELECT pg_catalog.min(" TRIGGERS_FOREIGN ")\n"
		"    INTO wrong FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_proc p\n"
		"    ON p.oid OPERATOR(pg_catalog.=) t.tgfoid\n"
		"    WHERE t.tgname OPERATOR(pg_catalog.=) 'signalbus_notify' AND t.tgrelid\n"
		"    OPERATOR(pg_catalog.=) ANY (pg_catalog.current_setting('signalbus.tables')\n"
		"    ::pg_catalog.regclass[]);\n"
		"  IF wrong IS NOT NULL THEN\n"
		"    RAISE EXCEPTION '%', wrong;\n"
		"  END IF;\n"
		"END $$;\n");
	text_free(&tables);
}

void triggers_install(
	struct text *t, const struct model *const *models, size_t count, int server_version)
{
	for (size_t i = 0; i < count; i++)
		if (is_first(models, i))
			create_function(t, models[i]);
	for (size_t i = 0; i < count; i++)
		create_trigger(t, models[i], server_version >= REPLACES_TRIGGERS);
	refuse_foreign(t, models, count);
}

void triggers_drop(
	struct text *t, const struct model *const *models, size_t count, bool with_functions)
{
	for (size_t i = 0; i < count; i++)
		drop_trigger(t, models[i]);
	for (size_t i = 0; with_functions && i < count; i++)
		if (is_first(models, i)) {
			text_addf(t, "DROP FUNCTION IF EXISTS ");
			add_name(t, models[i]);
			text_addf(t, "();\n");
		}
}
