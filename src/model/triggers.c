#include "model/triggers.h"

#include "model/sql.h"

void triggers_begin(struct text *t, bool drop)
{
	if (!drop)
		text_addf(t, "CREATE OR REPLACE FUNCTION signalbus_notify() RETURNS "
			     "pg_catalog.trigger LANGUAGE plpgsql AS $$\n"
			     "BEGIN\n"
			     "  PERFORM pg_catalog.pg_notify(TG_ARGV[0],"
			     " pg_catalog.format('%%I.%%I', TG_TABLE_SCHEMA, TG_TABLE_NAME));\n"
			     "  RETURN NULL;\n"
			     "END $$;\n");
}

void triggers_add(struct text *t, const struct model *m, bool drop)
{
	if (drop) {
		text_addf(t, "DROP TRIGGER IF EXISTS signalbus_notify ON %s;\n", m->relation);
		return;
	}
	text_addf(t,
		"CREATE OR REPLACE TRIGGER signalbus_notify AFTER INSERT ON %s\n"
		"  FOR EACH STATEMENT EXECUTE FUNCTION signalbus_notify(",
		m->relation);
	sql_constant(t, m->config->notify_channel);
	text_addf(t, ");\n");
}

/* Whoever made the function before keeps it, and may replace it again.  This comes last: before, he
 * could make it between the look and CREATE OR REPLACE. */
void triggers_end(struct text *t, bool drop, bool with_function)
{
	if (!drop)
		text_addf(t, "%s",
			"DO $$\n"
			"DECLARE\n"
			"  wrong pg_catalog.text;\n"
			"BEGIN\n"
			"  SELECT pg_catalog.min(" TRIGGERS_FOREIGN ")\n"
			"    INTO wrong FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_proc p\n"
			"    ON p.oid OPERATOR(pg_catalog.=) t.tgfoid\n"
			"    WHERE p.oid OPERATOR(pg_catalog.=)"
			" 'signalbus_notify()'::pg_catalog.regprocedure;\n"
			"  IF wrong IS NOT NULL THEN\n"
			"    RAISE EXCEPTION '%', wrong;\n"
			"  END IF;\n"
			"END $$;\n");
	else if (with_function)
		text_addf(t, "DROP FUNCTION IF EXISTS signalbus_notify();\n");
}
