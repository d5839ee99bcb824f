#include "catalog/catalog.h"

#include <stddef.h>

/* Owners of signal tables can execute code as the role that deletes there, by triggers: which of
 * its powers matter most.  (It needs BYPASSRLS for tables with policies.)  Those of a role that it
 * is a member of are its own, by SET ROLE, and those of the role that logged in, by SET ROLE NONE.
 * The last ones of the predefined roles are those of managed servers. */
static const char sql[] =
	"WITH own AS (SELECT r.*, r.rolname <> CURRENT_USER AS is_login, pg_catalog.format('%I%s',"
	" r.rolname, CASE WHEN r.rolname <> CURRENT_USER THEN"
	" ' (to which SET ROLE NONE returns)' END) AS title"
	" FROM pg_catalog.pg_roles r WHERE r.rolname IN (CURRENT_USER, SESSION_USER))"
	" SELECT pg_catalog.format('database: role %s is a superuser, so owners of signal tables"
	" can execute any code, by triggers; connect as a role that may only SELECT, UPDATE and"
	" DELETE in the signal tables', own.title) FROM own WHERE own.rolsuper UNION ALL"
	" SELECT pg_catalog.format('database: role %s has %s, which owners of signal tables can"
	" use, by triggers; ALTER ROLE %I NO%2$s', own.title, power.name, own.rolname)"
	" FROM own CROSS JOIN LATERAL (VALUES (own.rolcreaterole, 'CREATEROLE'),"
	" (own.rolreplication, 'REPLICATION'), (own.rolbypassrls AND own.is_login, 'BYPASSRLS'))"
	" AS power (is_held, name) WHERE power.is_held AND NOT own.rolsuper UNION ALL"
	" SELECT pg_catalog.format('database: owners of signal tables can use the privileges of %s,"
	" by triggers, since role %s is a member of %I; REVOKE %3$I FROM %I', pg_catalog."
	"string_agg(DISTINCT pg_catalog.quote_ident(held.rolname), ', '), own.title,"
	" team.rolname, own.rolname)"
	" FROM own JOIN pg_catalog.pg_auth_members m ON m.member = own.oid"
	" JOIN pg_catalog.pg_roles team ON team.oid = m.roleid AND team.rolname <> CURRENT_USER"
	" JOIN pg_catalog.pg_roles held ON held.oid = team.oid"
	" OR (NOT team.rolsuper AND pg_catalog.pg_has_role(team.oid, held.oid, 'MEMBER'))"
	" WHERE NOT own.rolsuper AND (held.rolsuper OR held.rolcreaterole OR held.rolbypassrls"
	" OR held.rolreplication OR held.rolname IN ('pg_read_all_data', 'pg_write_all_data',"
	" 'pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files',"
	" 'rds_superuser', 'cloudsqlsuperuser', 'alloydbsuperuser', 'azure_pg_admin',"
	" 'neon_superuser')) GROUP BY own.title, own.rolname, team.rolname ORDER BY 1";

bool catalog_check_role(
	struct db *db, struct instant deadline, struct check_report *f, struct error *e)
{
	struct rows *rows = NULL;
	struct db_call call = { .sql = sql, .rows = &rows, .never_null = 1 };
	if (!db_call(db, call, deadline, e))
		return false;
	for (size_t i = 0; i < rows_count(rows); i++)
		report_warning(f, NULL, rows_value(rows, i, 0));
	rows_free(rows);
	return true;
}
