-- The database role of signalbus, with no more privileges than it needs.  Execute this with psql, as a superuser, or as
-- the owner of the tables and their schemas if the role exists:
--
--   psql -v role=signalbus -v tables='shop.order_created, shop.order_paid' -f grants.sql shop
--
-- It may be executed again, for example with more tables.  Names need their schemas.  Further variables:
--
--   -v dead_letters=shop.dead_letter  the dead_letter_table; create it before, by "signalbus triggers | psql -v ON_ERROR_STOP=1 -d shop"
--   -v requeue=on                     "signalbus dead-letters --requeue", which inserts into the signal tables
--   -v pause=on                       "signalbus pause" and "resume", with their table in each of the schemas
--   -v statistics=on                  transactions of other users in messages and statistics (pg_read_all_stats)
--
-- delivery = "exactly-once" needs nothing else, unless EXECUTE on pg_catalog.pg_control_system() was revoked from PUBLIC:
-- then "signalbus check" prints what to grant.
\set ON_ERROR_STOP on
\if :{?role} \else
  \set role signalbus
\endif
\if :{?tables} \else
  \set tables ''
\endif
\if :{?dead_letters} \else
  \set dead_letters ''
\endif
\if :{?requeue} \else
  \set requeue off
\endif
\if :{?pause} \else
  \set pause off
\endif
\if :{?statistics} \else
  \set statistics off
\endif
BEGIN;
SET LOCAL search_path = pg_catalog, pg_temp;

SELECT format('CREATE ROLE %I LOGIN', :'role') WHERE to_regrole(quote_ident(:'role')) IS NULL \gexec
SELECT format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), :'role')
 WHERE NOT has_database_privilege(:'role', current_database(), 'CONNECT') \gexec

-- PostgreSQL requires UPDATE on a column to lock a row; signalbus never updates one.
SELECT format('GRANT USAGE ON SCHEMA %s TO %I', c.relnamespace::regnamespace, :'role'),
       format('GRANT SELECT, DELETE, UPDATE (%I) ON TABLE %s TO %I', a.attname, c.oid::regclass, :'role')
  FROM regexp_split_to_table(:'tables', '\s*,\s*') AS t (name)
  JOIN pg_class c ON c.oid = t.name::regclass
  JOIN LATERAL (SELECT attname FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped
                ORDER BY attnum LIMIT 1) AS a ON true
\gexec

SELECT format('GRANT USAGE ON SCHEMA %s TO %I', c.relnamespace::regnamespace, :'role'),
       format('GRANT SELECT, INSERT, DELETE ON TABLE %s TO %I', c.oid::regclass, :'role')
  FROM pg_class c WHERE c.oid = nullif(:'dead_letters', '')::regclass
\gexec

\if :requeue
SELECT format('GRANT INSERT ON TABLE %s TO %I', t.name::regclass, :'role')
  FROM regexp_split_to_table(:'tables', '\s*,\s*') AS t (name)
\gexec
\endif

\if :pause
SELECT format('CREATE TABLE %s.signalbus_paused (instance text, model text, paused bool NOT NULL,'
              ' changed_by text NOT NULL, changed_at timestamptz NOT NULL, PRIMARY KEY (instance, model))', s.name)
  FROM (SELECT DISTINCT c.relnamespace::regnamespace AS name
        FROM regexp_split_to_table(:'tables', '\s*,\s*') AS t (name) JOIN pg_class c ON c.oid = t.name::regclass) AS s
 WHERE to_regclass(s.name || '.signalbus_paused') IS NULL
\gexec
SELECT DISTINCT format('GRANT SELECT ON TABLE %s.signalbus_paused TO PUBLIC', c.relnamespace::regnamespace),
       format('GRANT INSERT, UPDATE ON TABLE %s.signalbus_paused TO %I', c.relnamespace::regnamespace, :'role')
  FROM regexp_split_to_table(:'tables', '\s*,\s*') AS t (name) JOIN pg_class c ON c.oid = t.name::regclass
\gexec
\endif

\if :statistics
SELECT format('GRANT pg_read_all_stats TO %I', :'role')
 WHERE NOT pg_has_role(:'role', 'pg_read_all_stats', 'USAGE')
\gexec
\endif
COMMIT;
