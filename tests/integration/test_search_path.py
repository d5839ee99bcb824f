"""What others put into the schemas of the search_path is never run; what people wrote is found."""

import json
import re

import pytest

from runner import ids, model
from servers import ROOT

# Whatever the program's text may call, as everybody may make it who may create in a schema.
TRAPS = """
    CREATE SEQUENCE {evil}.calls;
    DO $do$
    DECLARE
        body text := $$BEGIN PERFORM pg_catalog.nextval('{evil}.calls');
                       RAISE 'a trap is called: %%'; END$$;
        r record;
    BEGIN
        FOR r IN SELECT p.oid, p.proname, p.proretset,
                 pg_get_function_identity_arguments(p.oid) AS arguments,
                 format_type(p.prorettype, NULL) AS result
                 FROM pg_proc p WHERE p.pronamespace = 'pg_catalog'::regnamespace
                 AND p.prokind = 'f' AND p.proname = ANY (%(names)s)
        LOOP
            BEGIN
                EXECUTE format('CREATE FUNCTION {evil}.%%I(%%s) RETURNS %%s%%s LANGUAGE plpgsql '
                               'AS %%L', r.proname, r.arguments,
                               CASE WHEN r.proretset THEN 'SETOF ' END, r.result,
                               replace(body, '%%', r.proname));
            EXCEPTION WHEN OTHERS THEN NULL;  -- not in PL/pgSQL, such as a pseudo-type's
            END;
        END LOOP;
        FOR r IN SELECT o.oid, o.oprname, format_type(o.oprresult, NULL) AS result,
                 format_type(o.oprleft, NULL) AS l, format_type(o.oprright, NULL) AS r
                 FROM pg_operator o WHERE o.oprnamespace = 'pg_catalog'::regnamespace
                 AND o.oprkind = 'b' AND o.oprname = ANY (%(operators)s)
        LOOP
            BEGIN
                EXECUTE format('CREATE FUNCTION {evil}.operator_%%s(%%s, %%s) RETURNS %%s '
                               'LANGUAGE plpgsql AS %%L', r.oid, r.l, r.r, r.result,
                               replace(body, '%%', r.oprname));
                EXECUTE format('CREATE OPERATOR {evil}.%%s (LEFTARG = %%s, RIGHTARG = %%s, '
                               'FUNCTION = {evil}.operator_%%s)', r.oprname, r.l, r.r, r.oid);
            EXCEPTION WHEN OTHERS THEN NULL;
            END;
        END LOOP;
        FOR r IN SELECT relname FROM pg_class WHERE relnamespace = 'pg_catalog'::regnamespace
                 AND relkind IN ('r', 'v')
        LOOP
            EXECUTE format('CREATE VIEW {evil}.%%I AS SELECT {evil}.version()', r.relname);
        END LOOP;
        FOR r IN SELECT unnest('{{text,oid,tid,xid,int2,int4,int8,regclass,bytea,jsonb,json,name,
                                 timestamptz,trigger}}'::text[]) AS name
        LOOP
            EXECUTE format('CREATE DOMAIN {evil}.%%I AS bytea CHECK ({evil}.version() = $$a$$)',
                           r.name);
        END LOOP;
        -- These match better than what they stand for.
        FOR r IN SELECT unnest('{{format(text name) text,format(text name name) text,
                                 hashtextextended(text int) bigint,to_json(text[]) pg_catalog.json,
                                 to_json(float8) pg_catalog.json}}'::text[]) AS head
        LOOP
            EXECUTE format('CREATE FUNCTION {evil}.%%s LANGUAGE plpgsql AS %%L',
                           replace(replace(r.head, ' ', ', '), '), ', ') RETURNS '),
                           replace(body, '%%', r.head));
        END LOOP;
    END $do$
"""
OPERATORS = ["=", "<>", "<", ">", "<=", ">=", "||", "&", "|", "+", "-", "*", "<<", "->", "->>",
             "#>>", "~~", "!~~"]

COLUMNS = """id bigint GENERATED ALWAYS AS IDENTITY, topic text NOT NULL, good bool DEFAULT true,
             tags text[] DEFAULT '{a}', f float8 DEFAULT 1.5, i interval DEFAULT '1 day',
             at timestamptz DEFAULT '2026-11-23 18:00+01', n numeric DEFAULT 1.50,
             PRIMARY KEY (id)"""
VALUE = {"good": True, "tags": ["a"], "f": 1.5, "i": "1 day", "at": "2026-11-23T17:00:00+00:00",
         "n": 1.5}


@pytest.fixture
def evil(schema, signalbus):
    """A schema of traps that signalbus's search_path begins with, before pg_catalog even."""
    name = f"{schema}_evil"
    sources = "".join(path.read_text() for path in (ROOT / "src").rglob("*.c"))
    called = sorted(set(re.findall(r"\b([a-z_0-9]+)\(", sources)) | {"version"})
    schema.execute(f"CREATE SCHEMA {name}")
    schema.connection().cursor().execute(TRAPS.format(evil=name),
                                         {"names": called, "operators": OPERATORS})
    schema.execute(f"GRANT USAGE ON SCHEMA {name} TO PUBLIC; GRANT USAGE ON {name}.calls TO PUBLIC")
    signalbus.database += f" options='-c search_path={name},pg_catalog'"
    yield name
    schema.execute(f"DROP SCHEMA {name} CASCADE")


def is_untouched(schema, evil):
    return not schema.value(f"SELECT is_called FROM {evil}.calls")


def test_the_traps_bite(schema, evil):
    """Else the next test would prove nothing."""
    connection = schema.connect(autocommit=True)
    connection.cursor().execute(f"SET search_path = {evil}, pg_catalog")
    for sql in ("SELECT format('%I', 'a'::pg_catalog.name)", "SELECT to_json(1.5::float8)",
                "SELECT 1 = 1", "SELECT '(0,1)'::pg_catalog.tid = '(0,1)'::pg_catalog.tid",
                "SELECT hashtextextended('a', 0)", "SELECT ''::text", "SELECT FROM pg_class",
                "SELECT to_jsonb(1)", "SELECT unnest('{a}'::pg_catalog.text[])",
                "SELECT current_setting('a')"):
        with pytest.raises(Exception, match="a trap is called"):
            connection.cursor().execute(sql)
    assert not is_untouched(schema, evil)


def make_tables(schema):
    """A plain, an ordered and a partitioned table, and a plain one for a model with expressions."""
    for table in ("plain", "ordered", "asked", "parted"):
        parted = " PARTITION BY RANGE (id)" if table == "parted" else ""
        schema.execute(f"CREATE TABLE {table} ({COLUMNS}){parted}")
    schema.execute("CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (1) TO (100000)")


def insert(schema, table, topic, count):
    schema.execute(f"INSERT INTO {table} (topic) SELECT %s FROM generate_series(1, %s)", topic,
                   count)


def test_every_command_among_traps(signalbus, schema, evil, make_topic, topics):
    topic = make_topic()
    make_tables(schema)
    usual = {"timestamp": "at", "burst_count": 20, "headers": ["topic"], "key": "id"}
    expressions = [{"name": "id", "sql": "signal.id"}, {"name": "tags", "sql": "signal.tags"},
                   {"name": "f", "sql": "signal.f"}]
    signalbus.configure(
        model("Plain", schema.table("plain"), "{topic}", on_reject="dead-letter", **usual),
        model("Ordered", schema.table("ordered"), topic, order_by=["id"], **usual),
        model("Parted", schema.table("parted"), topic, **usual),
        model("Asked", schema.table("asked"), topic, where="signal.good", fields=expressions,
              order_by=["id"], **usual),
        dead_letter_table=schema.table("dead"), poll_interval=0.2, timeout=10.0)
    dba = schema.connect(autocommit=True)
    dba.cursor().execute(f"SET search_path = {evil}, pg_catalog")
    dba.cursor().execute(signalbus("triggers").expect(0).stdout)
    names = ("plain", "ordered", "parted", "asked")
    schema.execute(f"GRANT CREATE ON SCHEMA {schema} TO bus; GRANT INSERT ON plain TO bus")

    def fill(count):
        for table in names:
            insert(schema, table, topic, count)
        insert(schema, "plain", "no/topic", 1)

    found = signalbus("check").expect(0).findings()
    assert [line for line in found if "column id of the order has no default" not in line] == []
    fill(100)
    assert "Total pending: 401" in signalbus("pending").expect(0).stdout
    for name in ("Plain", "Asked"):
        json.loads(signalbus("schema", name).expect(0).stdout)
    for flush in (("flush", "-w", "0"), ("flushmany", "-j", "2"), ("flushordered",)):
        signalbus(*flush).expect(0)
        assert [schema.count(name) for name in names] == [0, 0, 0, 0]
        fill(100)
    daemon = signalbus.start("-v", "run")
    schema.wait_until(lambda: not any(schema.count(name) for name in names), what="all sent")
    signalbus("pause").expect(0)
    daemon.wait_log('model "Asked": paused by ')
    signalbus("resume").expect(0)
    fill(5)
    schema.wait_until(lambda: not any(schema.count(name) for name in names), what="all sent")
    assert "no wake-up trigger" not in daemon.stop().expect(0).stderr
    messages = topics.read(topic, 4 * (4 * 100 + 5))
    assert len(messages) == 4 * (4 * 100 + 5)
    for message in messages:
        value = json.loads(message.value)
        assert all(member in ("id", "topic") or content == VALUE[member]
                   for member, content in value.items()), message.value
    assert "no/topic" in signalbus("dead-letters").expect(0).stdout
    signalbus("dead-letters", "--requeue").expect(0)
    assert schema.count("plain") == 5 and schema.count("dead") == 0
    signalbus("flushmany").expect(0)
    signalbus("dead-letters", "--discard", "--all").expect(0)
    assert schema.count("dead") == 0
    dba.cursor().execute(signalbus("triggers", "--drop").expect(0).stdout)
    assert is_untouched(schema, evil)


def test_what_people_wrote_is_found_by_their_search_path(signalbus, schema, make_topic, topics):
    """Tables, functions in expressions, and what the triggers of the table name."""
    topic = make_topic()
    schema.execute("CREATE EXTENSION IF NOT EXISTS citext SCHEMA public")
    schema.execute("CREATE TABLE t (tenant citext, id bigint, payload text, "
                   "PRIMARY KEY (tenant, id)) PARTITION BY RANGE (id)")
    schema.execute("CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM (1) TO (100000)")
    schema.execute("CREATE TABLE gone (n bigint)")
    schema.execute("CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                   "INSERT INTO gone VALUES (OLD.id); RETURN OLD; END $$")
    schema.execute("CREATE TRIGGER note BEFORE DELETE ON t_1 FOR EACH ROW EXECUTE FUNCTION note()")
    schema.make_signals("plain", 50)
    schema.execute("CREATE TRIGGER note BEFORE DELETE ON plain FOR EACH ROW "
                   "EXECUTE FUNCTION note()")
    schema.execute("CREATE FUNCTION loud(text) RETURNS text LANGUAGE sql AS 'SELECT upper($1)'")
    signalbus.database += f" options='-c search_path={schema},public'"
    shout = ["id", {"name": "payload", "sql": "loud(payload)"}]
    signalbus.configure(
        model("Shout", "t", topic, burst_count=7, where="loud(payload) <> ''", fields=shout),
        model("Plain", "plain", topic, burst_count=7))
    signalbus("check").expect(0)
    for number, flush in enumerate((("flush", "-w", "0"), ("flushmany", "-j", "2"),
                                    ("flushordered",))):
        schema.execute("INSERT INTO t SELECT CASE WHEN n % 2 = 0 THEN 'a' ELSE 'B' END, n, 'n' "
                       "FROM generate_series(1, 50) n")
        signalbus(*flush).expect_silence()
        assert schema.count("t") == schema.count("plain") == 0
        schema.insert_signals("plain", 50)
        values = [json.loads(message.value) for message in topics.read(topic, 100 * (number + 1))]
        assert sum(value["payload"] == "N" for value in values) == 50 * (number + 1)
    assert schema.count("gone") == 6 * 50
