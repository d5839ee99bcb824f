"""Nobody gets code executed as signalbus, or as those who insert signals, by having been first."""

import pytest

from runner import model

DEAD_LETTERS = ("CREATE TABLE dead (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "
                "model text, signal jsonb, error text, failed_at timestamptz DEFAULT now())")


@pytest.fixture
def intruder(schema):
    """A role that may create objects in the schema of the signal table."""
    name = f'"{schema} intruder"'
    schema.execute(f"CREATE ROLE {name}; GRANT USAGE, CREATE ON SCHEMA {schema} TO {name}")
    yield name
    schema.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")


def create_as(schema, user, sql):
    schema.execute(f"SET ROLE {user}; {sql}; RESET ROLE")


def test_a_dead_letter_table_of_somebody_else(signalbus, schema, make_topic, check, intruder):
    """Its triggers would be executed as signalbus."""
    table = schema.make_signals("t", 1)
    signalbus.configure(model("A", table, make_topic(), on_reject="dead-letter"), notify_channel="",
                        dead_letter_table=schema.table("dead"))
    schema.execute("INSERT INTO t VALUES (9, repeat('x', 2000000))")
    statements = signalbus("triggers").expect(0).stdout
    create_as(schema, intruder, f"{DEAD_LETTERS}; GRANT ALL ON dead TO PUBLIC")
    foreign = (f"table {schema}.dead belongs to user {intruder}, who may not create triggers on the "
               "signal tables; DROP it")
    with pytest.raises(Exception, match=foreign.replace(f"{schema}.dead", "dead")):
        schema.execute(statements)
    schema.execute("ROLLBACK")
    [line] = check(about="dead")
    assert line.startswith('model "A": ') and line.endswith(f": {foreign}")
    assert foreign in signalbus("flushmany").expect(78).stderr
    assert schema.count("t") == 2 and schema.count("dead") == 0
    for command in ("dead-letters",), ("dead-letters", "--requeue"), ("triggers",):
        assert foreign in signalbus(*command).expect(78).stderr
    schema.execute(f"GRANT TRIGGER ON t TO {intruder}")  # nothing new for whoever has it
    assert check(about="dead") == []
    schema.execute(f"REVOKE TRIGGER ON t FROM {intruder}")
    assert check(about="dead") != []
    schema.execute(f"ALTER SCHEMA {schema} OWNER TO {intruder}")  # may replace t
    assert check(about="dead") == []
    schema.execute(statements)
    schema.execute(f"ALTER SCHEMA {schema} OWNER TO postgres; DROP TABLE dead")
    schema.execute(statements)
    signalbus("flushmany").expect(0)
    assert schema.count("t") == 0 and schema.count("dead") == 1


def test_the_triggers_function_is_in_the_schema_of_its_table(signalbus, schema, make_topic, check,
                                                             install):
    """Whatever search_path the one has who installs it."""
    other = f'"{schema} b.c"'
    schema.execute(f"CREATE SCHEMA {other}; CREATE TABLE {other}.t (id int PRIMARY KEY)")
    try:
        signalbus.configure(model("A", schema.make_signals("t"), make_topic()),
                            model("B", f"{other}.t", make_topic()))
        schema.execute("SET search_path = public")
        install()
        assert check(about="trigger") == []
        functions = ("SELECT pronamespace::regnamespace::text FROM pg_proc "
                     "WHERE proname = 'signalbus_notify' ORDER BY 1")
        assert schema.execute(functions) == [(other,), (str(schema),)]
        schema.execute(f"CREATE OR REPLACE FUNCTION {schema}.signalbus_notify() RETURNS trigger "
                       "LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'")
        [line] = check(about="trigger")
        assert "table {}.t: its trigger does not notify channel".format(schema) in line
        install()
        schema.execute(signalbus("triggers", "--drop").expect(0).stdout)
        assert schema.execute(functions) == []
    finally:
        schema.execute(f"DROP SCHEMA {other} CASCADE")
