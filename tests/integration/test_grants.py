"""conf/grants.sql makes a role that can do all that signalbus does, and nothing else."""

import os
import subprocess

import pytest

from runner import model
from servers import ROOT, clean_environment, find_program

PRIVILEGES = """
    SELECT format('%%s on %%s', a.privilege_type, x.name) FROM (
        SELECT relacl, oid::regclass::text FROM pg_class UNION ALL
        SELECT attacl, format('%%s (%%s)', attrelid::regclass, attname) FROM pg_attribute UNION ALL
        SELECT nspacl, nspname FROM pg_namespace) AS x (acl, name)
    CROSS JOIN LATERAL aclexplode(x.acl) AS a WHERE a.grantee = %s::regrole
    AND (x.name LIKE %s OR x.name LIKE %s) ORDER BY 1"""


@pytest.fixture
def bus(signalbus, schema, postgres):
    """The name of the role."""
    name = f"{schema} bus's"
    signalbus.database = postgres.conninfo(user=name.replace("'", r"\'"))
    yield name
    cleaner = postgres.connect()
    cleaner.cursor().execute(f'DROP OWNED BY "{name}"; DROP ROLE "{name}"')
    cleaner.close()


def grant(postgres, **variables):
    words = [word for name, value in variables.items() for word in ("-v", f"{name}={value}")]
    return subprocess.run(
        [find_program("psql", "postgresql-client"), "-qX", *words, "-f", ROOT / "conf" / "grants.sql",
         postgres.conninfo(user="postgres")], env=clean_environment(PGCONNECT_TIMEOUT="10"),
        capture_output=True, text=True, timeout=60, cwd=os.sep, check=False)


def privileges(schema, role):
    return [line for line, in schema.execute(PRIVILEGES, f'"{role}"', f"%{schema}%", "t2%")]


def test_the_role_can_do_everything(signalbus, schema, postgres, make_topic, bus):
    topic = make_topic()
    schema.execute('CREATE TABLE "T 1" (id int PRIMARY KEY, payload text) PARTITION BY RANGE (id);'
                   'CREATE TABLE part PARTITION OF "T 1" DEFAULT; INSERT INTO "T 1" VALUES (1, \'a\')')
    schema.make_signals("t2", 3)
    schema.execute("INSERT INTO t2 VALUES (9, repeat('x', 2000000))")
    tables = f'{schema}."T 1",  {schema}.t2'
    assert grant(postgres, role=bus, tables=tables).stderr == ""
    assert privileges(schema, bus) == privileges(schema, "bus")  # so that all tests are its tests
    signalbus.configure(model("A", f'{schema}."T 1"', topic),
                        model("B", schema.table("t2"), topic, on_reject="dead-letter"),
                        notify_channel="", dead_letter_table=schema.table("dead"))
    schema.execute(signalbus("triggers").expect(0).stdout)
    for _ in range(2):
        run = grant(postgres, role=bus, tables=tables, dead_letters=schema.table("dead"), requeue="on",
                    pause="on", statistics="on")
        assert run.returncode == 0 and run.stderr == "", run
    assert signalbus("check").expect(0).findings() == []
    signalbus("pause").expect(0)
    signalbus("resume").expect(0)
    signalbus("flushmany").expect(0)
    assert schema.count("dead") == 1 and schema.count('"T 1"') == schema.count("t2") == 0
    signalbus("dead-letters", "--requeue").expect_silence()
    assert schema.count("t2") == 1


def test_what_grants_refuses(schema, postgres):
    schema.make_signals("t")
    run = grant(postgres, role="bus", tables=f"{schema}.gone")
    assert run.returncode == 3 and f'relation "{schema}.gone" does not exist' in run.stderr
    assert grant(postgres, role=f"{schema} nobody").returncode == 3
    assert schema.value("SELECT count(*) FROM pg_roles WHERE rolname = %s", f"{schema} nobody") == 0
