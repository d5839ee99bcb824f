"""Dead letters: what the broker rejects for good leaves its table, and may come back."""

import json
import os
import pty
import signal
import struct
import subprocess

import pytest

from inject import injector
from runner import every_flush, ids, is_sanitized, model

LIMIT = {"message_max_bytes": 10_000}
TOO_LARGE = "a message of {} bytes is larger than kafka.message_max_bytes (10000)"


def make_rows(schema, count, bad=()):
    """Rows of which the bad ones are larger than LIMIT allows."""
    schema.execute("CREATE TABLE t (id bigint PRIMARY KEY, payload text)")
    schema.execute("INSERT INTO t SELECT n, repeat('x', CASE WHEN n = ANY (%s) THEN 20000 "
                   "ELSE 10 END) FROM generate_series(1, %s) n", list(bad), count)
    return schema.table("t")


@pytest.fixture
def configure(signalbus, schema):
    """Configures models whose rejected rows die, and makes the table for them as users do."""
    def write(*models, kafka=None, **settings):
        signalbus.configure(*models, dead_letter_table=schema.table("dead"),
                            defaults={"on_reject": "dead-letter"},
                            kafka=LIMIT if kafka is None else kafka, **settings)
        schema.execute(signalbus("triggers").expect(0).stdout)
        for one in models:  # for --requeue
            schema.execute(f"GRANT INSERT ON {one['table']} TO bus")
    return write


def dead(schema, columns="signal ->> 'id'"):
    return [row[0] for row in schema.execute(f"SELECT {columns} FROM dead ORDER BY id")]


@every_flush
@pytest.mark.parametrize("burst_count", [1, 7, 200])
def test_neighbours_are_delivered(signalbus, schema, make_topic, consume, configure, flush,
                                  burst_count):
    bad, topic = (1, 60, 61, 120, 200), make_topic()
    configure(model("A", make_rows(schema, 200, bad), topic, burst_count=burst_count,
                    order_by=["id"]))
    run = signalbus(*flush).expect(0)
    good = [n for n in range(1, 201) if n not in bad]
    numbers = ids(consume(topic, len(good)))
    assert numbers == good if flush[0] == "flushordered" else sorted(numbers) == good
    assert sorted(map(int, dead(schema))) == list(bad)
    assert schema.count("t") == 0
    for n in bad:
        reason = TOO_LARGE.format(20_000 + len(f'{{"id":{n},"payload":""}}'))
        assert run.logged(f'model "A": the message of signal (id)=({n}) was rejected: {reason}; '
                          f"it was moved to table {schema}.dead"), run
    assert run.stderr.count("was rejected") == len(bad)


@every_flush
def test_a_topic_rejects_among_its_neighbours(signalbus, schema, make_topic, consume, configure,
                                              flush):
    """The broker refuses the whole batch that the message is in."""
    topic = make_topic(config={"max.message.bytes": "10000"})
    configure(model("A", make_rows(schema, 200, [120]), topic, burst_count=100,
                    order_by=["id"]), kafka={})
    signalbus(*flush).expect(0)
    good = [n for n in range(1, 201) if n != 120]
    numbers = ids(consume(topic, 199))
    assert numbers == good if flush[0] == "flushordered" else sorted(numbers) == good
    assert dead(schema) == ["120"] and schema.count("t") == 0


def test_a_new_partition_rejects_nothing(signalbus, schema, topics, configure):
    """librdkafka learns of it minutes later by itself; one that does not exist is rejected."""
    topic = topics.make()
    schema.execute("CREATE TABLE t (id bigint PRIMARY KEY, p int)")
    configure(model("A", schema.table("t"), topic, partition="p"), kafka={}, poll_interval=0.1)
    daemon = signalbus.start("run")
    schema.execute("INSERT INTO t VALUES (1, 0)")
    schema.wait_until(lambda: schema.count("t") == 0, what="the first row is sent")
    topics.extend(topic, 4)
    schema.execute("INSERT INTO t VALUES (2, 3), (3, 9), (4, 2)")
    schema.wait_until(lambda: schema.count("t") == 0, what="the others leave")
    daemon.stop().expect(0)
    assert sorted((m.partition, *ids([m])) for m in topics.consume(topic, 3)) == [
        (0, 1), (2, 4), (3, 2)]
    assert dead(schema) == ["3"]


@every_flush
@pytest.mark.skipif(is_sanitized(), reason="a sanitizer stands before the same calls")
def test_a_wrong_clock_rejects_nothing(signalbus, schema, folder, make_topic, consume, configure,
                                       flush):
    """This host's clock is two hours ahead, which the broker does not take."""
    topic, clock = make_topic(), folder / "clock"
    clock.write_bytes(struct.pack("q", 2 * 3600))
    configure(model("A", make_rows(schema, 20), topic, burst_count=10, order_by=["id"]),
              kafka={}, timeout=1)
    run = signalbus(*flush, environment={"LD_PRELOAD": str(injector("stepped_clock.so")),
                                         "CLOCK_STEP_FILE": str(clock)}).expect(1)
    assert "is a clock wrong?" in run.stderr.splitlines()[-1], run
    assert schema.count("t") == 20 and schema.count("dead") == 0
    signalbus(*flush).expect(0)
    assert sorted(ids(consume(topic, 20))) == list(range(1, 21))


def test_all_are_too_large(signalbus, schema, make_topic, configure):
    """A row's size is its own, also where no other row can be compared with it."""
    configure(model("A", make_rows(schema, 3, [1, 2, 3]), make_topic(), burst_count=3))
    signalbus("flushmany").expect(0)
    assert dead(schema) == ["1", "2", "3"] and schema.count("t") == 0


def test_what_is_rejected_alike_is_not_the_rows_fault(signalbus, schema, make_topic, consume,
                                                      configure):
    """The topic compacts, and the model has no key.  With a key in some rows the others die."""
    topic = make_topic(config={"cleanup.policy": "compact"})
    schema.execute("CREATE TABLE t (id bigint PRIMARY KEY, key text)")
    schema.execute("INSERT INTO t SELECT n FROM generate_series(1, 20) n")
    configure(model("A", schema.table("t"), topic, key="key", burst_count=20), kafka={}, timeout=5)
    reason = signalbus("flushmany").expect_failure()
    assert "rejected for the same reason" in reason
    assert f"record: the key is NULL, and topic {topic} is compacted (cleanup.policy)" in reason
    assert schema.count("t") == 20 and schema.count("dead") == 0
    schema.execute("UPDATE t SET key = id WHERE id <= 10")
    signalbus("flushmany").expect(0)
    assert sorted(ids(consume(topic, 10))) == list(range(1, 11))
    assert sorted(map(int, dead(schema))) == list(range(11, 21))


@pytest.mark.parametrize("flush, burst_count", [
    ("flush", 1), ("flushmany", 1), ("flushordered", 1), ("flushordered", 20)])
def test_one_after_another_that_is_rejected_alike(signalbus, schema, make_topic, consume,
                                                  configure, flush, burst_count):
    """Of single rows nobody can tell, but of several: two die, and the others stay."""
    topic = make_topic(config={"cleanup.policy": "compact"})
    schema.execute("CREATE TABLE t (id bigint PRIMARY KEY, key text)")
    schema.execute("INSERT INTO t SELECT n FROM generate_series(1, 6) n")
    configure(model("A", schema.table("t"), topic, key="key", burst_count=burst_count,
                    order_by=["id"]), kafka={}, timeout=5)
    command = (flush, "-w", "0") if flush == "flush" else (flush,)
    reason = signalbus(*command).expect_failure()
    assert "several messages in succession were rejected for the same reason" in reason
    assert schema.count("t") == 4 and dead(schema) == ["1", "2"]
    schema.execute("UPDATE t SET key = id WHERE id > 3")
    signalbus(*command).expect(0)
    assert sorted(ids(consume(topic, 3))) == [4, 5, 6]
    assert dead(schema) == ["1", "2", "3"]


@every_flush
@pytest.mark.parametrize("burst_count", [1, 20])
def test_a_model_without_a_key_and_a_topic_that_compacts(signalbus, schema, make_topic, consume,
                                                         configure, flush, burst_count):
    """Each row is refused, for what is no row's fault."""
    topic = make_topic(config={"cleanup.policy": "compact"})
    configure(model("A", make_rows(schema, 20, [7]), topic, burst_count=burst_count), timeout=1)
    reason = signalbus(*flush).expect_failure()
    assert "the broker does not accept messages without a key and the model has none" in reason
    assert schema.count("t") >= 19 and not set(dead(schema)) - {"7"}


def test_what_a_dead_letter_holds(signalbus, schema, make_topic, configure):
    schema.execute("""CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY, tenant text,
                      signal jsonb, at timestamptz, bytes bytea, topic text, n numeric,
                      twice numeric GENERATED ALWAYS AS (n * 2) STORED,
                      PRIMARY KEY (tenant, id))""")
    schema.execute("INSERT INTO t (tenant, signal, at, bytes, topic, n) VALUES ('it''s', "
                   "'{\"a\": [1, null]}', '2026-11-23 18:00+01', '\\x00ff', 'no/topic', 1.50)")
    make_topic(name=f"{schema}.x")
    configure(model("A", schema.table("t"), "{topic}"))
    signalbus("flushmany").expect(0)
    (name, signal, error, age), = schema.execute(
        "SELECT model, signal, error, now() - failed_at FROM dead")
    assert name == "A" and 0 <= age.total_seconds() < 60
    assert signal == {"id": 1, "tenant": "it's", "signal": {"a": [1, None]},
                      "at": "2026-11-23T17:00:00+00:00", "bytes": "\\x00ff",
                      "topic": "no/topic", "n": 1.5, "twice": 3.0}
    assert schema.value("SELECT signal ->> 'n' FROM dead") == "1.50"
    assert "no/topic" in error or "topic" in error.lower()


def test_they_come_back_as_they_were(signalbus, schema, make_topic, consume, configure):
    topic = make_topic()
    schema.execute("""CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
                      payload text, bytes bytea, many int[], at timestamptz, pair int4range,
                      n numeric, twice numeric GENERATED ALWAYS AS (n * 2) STORED,
                      "Odd ""name" jsonb)""")
    schema.execute("""INSERT INTO t (payload, bytes, many, at, pair, n, "Odd ""name")
                      SELECT repeat('\u00e9"\\', 10000), '\\x00ff5c', '{{1,2},{3,NULL}}',
                      '2026-11-23 18:00:00.123456+01', '[1,5)', 'NaN', '{"a": "\\u00e9"}'
                      FROM generate_series(1, 3)""")
    before = schema.execute("SELECT t::text FROM t ORDER BY id")
    configure(model("A", schema.table("t"), topic, order_by=["id"]))
    signalbus("flushordered").expect(0)
    assert len(dead(schema)) == 3 and schema.count("t") == 0
    run = signalbus("dead-letters", "--requeue", "-v").expect(0)
    assert run.stdout == "" and run.logged(f'3 signals are back in table {schema}.t'), run
    assert schema.execute("SELECT t::text FROM t ORDER BY id") == before
    assert schema.count("dead") == 0
    configure(model("A", schema.table("t"), topic, order_by=["id"]), kafka={})
    signalbus("flushordered").expect_silence()
    assert ids(consume(topic, 3)) == [1, 2, 3]


def test_the_list(signalbus, schema, make_topic, configure):
    topic = make_topic()
    make_rows(schema, 5, [2, 4])
    schema.execute('CREATE TABLE u ("A key" text, nr int, payload text, '
                   'PRIMARY KEY ("A key", nr))')
    schema.execute("INSERT INTO u VALUES ('tab\there', 7, repeat('x', 20000))")
    configure(model("A", schema.table("t"), topic), model("B", schema.table("u"), topic))
    assert signalbus("dead-letters").expect(0).stdout == ""
    signalbus("flushmany").expect(0)
    lines = [line.split("\t") for line in signalbus("dead-letters").expect(0).stdout.splitlines()]
    assert [line[1] for line in lines] == ["A", "A", "B"]
    assert [json.loads(line[3]) for line in lines] == [
        {"id": 2}, {"id": 4}, {"A key": "tab\there", "nr": 7}]
    size = len('{"id":2,"payload":""}')
    assert lines[0][4] == TOO_LARGE.format(20_000 + size)
    assert [int(line[0]) for line in lines] == dead(schema, "id")
    found = json.loads(signalbus("dead-letters", "--json").expect(0).stdout)["dead_letters"]
    assert [[str(letter["id"]), letter["model"], letter["failed_at"], letter["key"],
             letter["error"]] for letter in found] == [
                 [*line[:3], json.loads(line[3]), line[4]] for line in lines]
    assert all(letter["key"].items() <= letter["signal"].items() for letter in found)
    only = signalbus("dead-letters", "B").expect(0)
    assert [line.split("\t")[1] for line in only.stdout.splitlines()] == ["B"]
    but = signalbus("dead-letters", "-e", "A").expect(0)
    assert but.stdout == only.stdout


def test_many_are_listed_page_by_page(signalbus, schema, make_topic, configure):
    make_rows(schema, 0)
    configure(model("A", schema.table("t"), make_topic()))
    schema.execute("INSERT INTO dead (model, signal, error) SELECT 'A', "
                   "jsonb_build_object('id', n), 'why' FROM generate_series(1, 2500) n")
    lines = signalbus("dead-letters").expect(0).stdout.splitlines()
    assert [json.loads(line.split("\t")[3])["id"] for line in lines] == list(range(1, 2501))


@pytest.fixture
def one_of_each(signalbus, schema, make_topic, configure):
    """A dead letter of each of two models."""
    topic = make_topic()
    make_rows(schema, 3, [2])
    schema.execute("CREATE TABLE u AS TABLE t")
    schema.execute("ALTER TABLE u ADD PRIMARY KEY (id)")
    configure(model("A", schema.table("t"), topic), model("B", schema.table("u"), topic))
    signalbus("flushmany").expect(0)


def test_some_are_discarded(signalbus, schema, one_of_each):
    for arguments in ([], ["--all", "B"]):
        assert "--all" in signalbus("dead-letters", "--discard", *arguments).expect(2).stderr
    assert dead(schema, "model") == ["A", "B"]
    run = signalbus("dead-letters", "--discard", "B").expect(0)
    assert run.logged('info: model "B": 1 dead letter was deleted') and run.stdout == ""
    assert dead(schema, "model") == ["A"]
    signalbus("dead-letters", "--discard", "--all", "-q").expect_silence()
    assert schema.count("dead") == 0
    assert signalbus("dead-letters", "--discard", "--all").expect(0).logged("info: no dead letter was deleted")


def test_some_are_chosen_by_number(signalbus, schema, make_topic, configure):
    """A word that is the name of a model is not a number."""
    make_rows(schema, 0)
    schema.execute("CREATE TABLE u (LIKE t INCLUDING ALL)")
    configure(model("A", schema.table("t"), make_topic()), model("5", schema.table("u"), make_topic()))
    schema.execute("INSERT INTO dead (model, signal, error) SELECT CASE WHEN n < 5 THEN 'A' ELSE '5' "
                   "END, jsonb_build_object('id', n, 'payload', 'p'), 'why' "
                   "FROM generate_series(1, 6) n")

    def listed(*arguments):
        return [int(line.split("\t")[0])
                for line in signalbus("dead-letters", *arguments).stdout.splitlines()]
    assert listed("2", "6") == [2, 6] and listed("5") == [5, 6] and listed("A", "2", "6") == [2]
    assert '{"id": 2, "payload": "p"}' in signalbus("dead-letters", "-v", "2").expect(0).stdout
    run = signalbus("dead-letters", "--requeue", "1", "6", "99").expect(1)
    assert run.stderr.count("\n") == 1 and "error: there is no dead letter 99" in run.stderr
    assert schema.execute("SELECT id FROM t UNION ALL SELECT id FROM u") == [(1,), (6,)]
    schema.execute("INSERT INTO dead (id, model, signal, error) OVERRIDING SYSTEM VALUE "
                   "VALUES (%s, 'Gone', '{}', 'why')", 2 ** 63 - 1)
    run = signalbus("dead-letters", "A", "5", "2", "9223372036854775807").expect(1)
    assert run.stderr.count("\n") == 1 and run.stderr.endswith(
        'dead letter 9223372036854775807 is of model "Gone", which is not configured\n')
    schema.execute("DELETE FROM dead WHERE model = 'Gone'")
    run = signalbus("dead-letters", "A", "4", "1000000000000000000").expect(1)
    assert run.stderr.endswith("there is no dead letter 1000000000000000000\n"), run
    run = signalbus("dead-letters", "-e", "A", "4").expect(1)
    assert run.stderr.endswith('dead letter 4 is of model "A", which is not chosen\n'), run
    assert signalbus("dead-letters", "--discard", "3").expect(0).logged("1 dead letter was deleted")
    assert signalbus("dead-letters", "--requeue", "-v", "2").expect(0).logged(
        f'model "A": 1 signal is back in table {schema}.t')
    assert dead(schema, "id") == [4, 5]


def test_only_models_with_dead_letters_need_anything(signalbus, schema, one_of_each, postgres):
    """Neither the tables of the others, nor privileges on them; a missing one is named."""
    schema.execute("DELETE FROM dead WHERE model = 'B'")
    schema.execute("DROP TABLE u")
    signalbus("dead-letters", "--requeue").expect_silence()
    assert schema.execute("SELECT id FROM t") == [(2,)]
    signalbus("flushmany", "A").expect(0)
    role = f"{schema}_sender"
    schema.execute(f"CREATE ROLE {role} LOGIN")
    try:
        schema.execute(f"GRANT USAGE ON SCHEMA {schema} TO {role}")
        schema.execute(f"GRANT SELECT, DELETE, UPDATE (id) ON t TO {role}")
        schema.execute(f"GRANT INSERT ON dead TO {role}")
        signalbus.database = postgres.conninfo(user=role)
        signalbus.configure(model("A", schema.table("t"), on_reject="dead-letter"),
                            dead_letter_table=schema.table("dead"), notify_channel="")
        check = signalbus("check").stdout
        wanted = (f'warning: model "A": table dead: user {role} lacks SELECT, DELETE, which '
                  f'"signalbus dead-letters" needs; GRANT SELECT, DELETE ON dead TO {role}')
        assert wanted.replace(" dead:", f" {schema}.dead:").replace("ON dead", f"ON {schema}.dead") \
            in check, check
        for options in (), ("--requeue",), ("--discard", "--all"):
            line = signalbus("dead-letters", *options).expect(1).stderr.splitlines()[-1]
            assert line.endswith(f"permission denied for table dead SQLSTATE 42501; user {role} lacks SELECT, DELETE; "
                                 f"GRANT SELECT, DELETE ON {schema}.dead TO {role}"), line
        schema.execute(f"GRANT SELECT ON dead TO {role}")
        line, _ = signalbus("dead-letters", "--requeue").expect(1).stderr.splitlines()[-2:]
        assert line.endswith(f"user {role} lacks DELETE on table {schema}.dead; "
                             f"GRANT DELETE ON {schema}.dead TO {role}"), line
        line = signalbus("dead-letters", "--discard", "--all").expect(1).stderr.splitlines()[-1]
        assert line.endswith(f"user {role} lacks DELETE; GRANT DELETE ON {schema}.dead TO {role}"), line
        grant = f"GRANT SELECT, INSERT, DELETE ON TABLE {schema}.dead TO {role};"
        assert grant in signalbus("triggers").expect(0).stdout
        schema.execute(grant)
        assert "dead letters" not in signalbus("check").stdout
        lines = signalbus("dead-letters", "--requeue").expect(1).stderr.splitlines()
        assert len(lines) == 2 and lines[0].endswith(
            f'error: model "A": user {role} lacks INSERT on table {schema}.t; '
            f'GRANT INSERT ON {schema}.t TO {role}'), lines
        schema.execute(f"GRANT INSERT ON t TO {role}")
        signalbus("dead-letters", "--requeue").expect_silence()
        assert schema.count("dead") == 0
    finally:
        schema.execute(f"DROP OWNED BY {role}")
        schema.execute(f"DROP ROLE {role}")


def test_a_terminal_has_a_heading(signalbus, schema, one_of_each):
    main, terminal = pty.openpty()
    try:
        run = subprocess.run(signalbus.command(["dead-letters", "A"]), stdout=terminal, timeout=30)
        assert run.returncode == 0
        heading, line = os.read(main, 100_000).decode().splitlines()
        assert heading == "number\tmodel\ttime\tkey\treason" and line.split("\t")[1] == "A"
    finally:
        os.close(main)
        os.close(terminal)


def test_what_cannot_come_back_stays_alone(signalbus, schema, one_of_each):
    """The second model's row is there again already."""
    schema.execute("INSERT INTO u VALUES (2, 'new')")
    run = signalbus("dead-letters", "--requeue").expect(1)
    [number] = dead(schema, "id")
    first, last = run.stderr.splitlines()
    assert f'error: model "B": dead letter {number} stays in table {schema}.dead: ' in first
    assert "duplicate key" in first
    assert last.endswith(f" error: 1 dead letter stays in table {schema}.dead")
    assert dead(schema, "model") == ["B"] and schema.execute("SELECT id FROM t") == [(2,)]
    schema.execute("DELETE FROM u")
    signalbus("dead-letters", "--requeue").expect_silence()
    assert dead(schema) == [] and schema.execute("SELECT id FROM u") == [(2,)]


def test_many_of_which_some_cannot_come_back(signalbus, schema, make_topic, configure):
    """Each of these is named, up to a number; the constraints may be deferred."""
    schema.execute("CREATE TABLE t (id int PRIMARY KEY, n int, "
                   "UNIQUE (n) DEFERRABLE INITIALLY DEFERRED)")
    configure(model("A", schema.table("t"), make_topic()))
    bad = [3, 4, 500, 501, 777, *range(1001, 1041)]
    schema.execute("INSERT INTO t SELECT -n, n FROM unnest(%s) n", bad)
    schema.execute("INSERT INTO dead (model, signal, error) SELECT 'A', "
                   "jsonb_build_object('id', n, 'n', n), 'why' FROM generate_series(1, 1200) n")
    run = signalbus("dead-letters", "--requeue", "-v").expect(1)
    assert run.logged(f"{1200 - len(bad)} signals are back in table {schema}.t")
    assert list(map(int, dead(schema))) == bad
    named = [line for line in run.stderr.splitlines() if " stays in table " in line]
    assert len(named) == 20 and all(f"dead letter {n} stays" in line
                                    for n, line in zip(bad, named)), run
    assert run.logged(f"{len(bad)} dead letters stay in table {schema}.dead")
    numbers = [row[0] for row in schema.execute("SELECT id FROM t WHERE id > 0 ORDER BY ctid")]
    assert numbers == [n for n in range(1, 1201) if n not in bad]


# Columns, and values of them, of which at least one does not come back from JSON unless noted.
ODD_COLUMNS = {
    "json NOT NULL": ["null", '{"a" : 1,  "a": 2}', '"text"', "[1,2]", "1.0"],
    "jsonb NOT NULL": ["null", '{"a": 1}', '"null"', '"{}"', "7", '""'],
    "json": ["null", None], "jsonb": ["null", None],
    "not_null_json": ["null", '{"b":1}'],
    "json[]": ["{[1]}", '{"null",NULL}', "{}"], "jsonb[]": ['{"null",NULL,"{}"}', "{[1]}"],
    "int[]": ["[0:2]={1,2,3}", "{}", "{{1,2},{3,NULL}}", "[2:2][-1:0]={{1,2}}", None],
    "text[]": ['{NULL,"null","NULL","",","}', "[5:5]={x}"],
    "bytea[]": [r'{"\\x00ff",NULL}'], "float8[]": ["{-0,NaN,Infinity}"],
    "float8": ["-0", "NaN", "-Infinity", "1e-300", "0.1", "5e-324"],
    "float4": ["-0", "Infinity", "3.4028235e+38", "1e-45"],
    "numeric": ["NaN", "1.500", "1e40", "-0.00"],
    "hstore": ['"a"=>"1", "b"=>NULL', ""],
    "pair": ["(1,)", "(,)", '(2," x ""y"" {}")', None], "pair[]": ['{"(1,a)",NULL,"(,)"}'],
    "nested": ['("(1,a)","{""a"":  1}")', '(,null)'],
    "int4range": ["[1,5)", "empty", "(,)"], "tstzrange": ["[2026-01-01 00:00:00+00,)"],
    "int4multirange": ["{[1,3),[5,7)}"],
    "money": ["-$1,234.56"], "mood": ["it's ok"], "xml": ['<a b="c">\u00e9</a>', "text"],
    "timestamp": ["infinity", "4713-01-01 00:00:00 BC", "294276-12-31 23:59:59.999999"],
    "timestamptz": ["-infinity", "2026-11-23 18:00:00.1+01"], "date": ["0044-03-15 BC"],
    "time": ["24:00:00"], "timetz": ["12:00:00.5-07:30"], "interval": ["-1 mons +2 days 00:00:01"],
    "char(5)": ["ab "], '"char"': ["x"], "name": ["n"], "varchar(3)": ["\t\u00e9"],
    "boolean": ["t"], "bytea": [r"\x00ff5c"], "uuid": ["6f1c6a4e-6a0b-4d3c-8e57-0d6b1f0f5a11"],
    "inet": ["1.2.3.4", "::1/64"], "cidr": ["10.0.0.0/8"], "macaddr": ["08:00:2b:01:02:03"],
    "bit(3)": ["101"], "varbit": [""], "tsvector": ["'a':1 'b'"], "tsquery": ["'a' & 'b'"],
    "point": ["(0.1,-0)"], "box": ["(2,2),(1,1)"], "oid": ["4294967295"],
    "regclass": ["pg_class"], "pg_lsn": ["16/B374D848"], "int8": ["-9223372036854775808"],
    "int2vector": ["1 2"], "jsonpath": ['$."a"'],
}


def test_rows_of_all_types_come_back_as_they_were(signalbus, schema, make_topic, configure):
    schema.execute("CREATE EXTENSION IF NOT EXISTS hstore SCHEMA public; "
                   "CREATE TYPE mood AS ENUM ('sad', 'it''s ok'); "
                   "CREATE TYPE pair AS (x int, y text); "
                   "CREATE TYPE nested AS (p pair, j json); "
                   "CREATE DOMAIN not_null_json AS json NOT NULL")
    types = {kind: values for kind, values in ODD_COLUMNS.items()  # PostgreSQL 14 has multiranges
             if "multirange" not in kind or schema.connection().server_version >= 140000}
    columns = ", ".join(f'"c{n} \'é\\" {kind}' for n, kind in enumerate(types))
    schema.execute("CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, topic text, "
                   f"twice int GENERATED ALWAYS AS (id * 2) STORED, {columns})")
    for n in range(max(map(len, types.values()))):
        values = [kind[n % len(kind)] for kind in types.values()]
        schema.execute("INSERT INTO t VALUES (DEFAULT, 'no/topic', DEFAULT, "
                       + ", ".join(["%s"] * len(values)) + ")", *values)
    before = schema.execute("SELECT t::text FROM t ORDER BY id")
    make_topic(name=f"{schema}.x")
    configure(model("A", schema.table("t"), "{topic}", fields=["id"], burst_count=10))
    signalbus("flushmany").expect(0)
    assert len(dead(schema)) == len(before) and schema.count("t") == 0
    signalbus("dead-letters", "--requeue").expect_silence()
    assert schema.execute("SELECT t::text FROM t ORDER BY id") == before
    assert schema.count("dead") == 0


DECLARED = '<?xml version="1.0" encoding="UTF-8"?>\n<a/>'


def test_the_declaration_of_xml_comes_back(signalbus, schema, make_topic, configure):
    """Its text has none, except the cast's; if there is no cast the row stays."""
    schema.execute("CREATE DOMAIN own AS xml; CREATE DOMAIN list AS xml[]; "
                   "CREATE TYPE pair AS (x int, y own); CREATE DOMAIN pairs AS pair[]")
    schema.execute("CREATE TABLE t (id int PRIMARY KEY, topic text DEFAULT 'no/topic', x xml, "
                   "o own, l list, many xml[], p pairs)")
    schema.execute("INSERT INTO t SELECT n, 'no/topic', x, x, ARRAY[x], '[3:4]={<b/>,NULL}'::xml[] "
                   "|| x, ARRAY[(1, '<a/>')::pair] FROM (VALUES (1, %s::xml), (2, '<a/>')) v (n, x)",
                   DECLARED)
    schema.execute("INSERT INTO t (id, p) VALUES (3, ARRAY[(1, %s)::pair])", DECLARED)
    texts = ("SELECT id, x::text, o::text, l::text[]::text, many::text[]::text, p::text FROM t "
             "ORDER BY id")
    before = schema.execute(texts)
    make_topic(name=f"{schema}.x")
    configure(model("A", schema.table("t"), "{topic}", fields=["id"]))
    reason = signalbus("flushmany").expect_failure()
    assert (f'cannot be moved to table {schema}.dead: does XML within column "p" have a '
            "declaration, which would be lost, or ") in reason
    assert sorted(dead(schema)) == ["1", "2"]
    signalbus("dead-letters", "--requeue").expect_silence()
    assert schema.execute(texts) == before and schema.count("dead") == 0


def test_dead_letters_of_before(signalbus, schema, make_topic, configure):
    """Those without the texts come back as far as JSON has them."""
    schema.execute("CREATE EXTENSION IF NOT EXISTS hstore SCHEMA public")
    schema.execute("CREATE TABLE t (id int PRIMARY KEY, many int[], h hstore, j json NOT NULL)")
    configure(model("A", schema.table("t"), make_topic()))
    schema.execute("""INSERT INTO dead (model, signal, error) SELECT 'A', s::jsonb, 'why' FROM
                      (VALUES ('{"id": 1, "many": [1, null], "h": null, "j": {"a": 1}}'),
                      ('{"id": 2, "many": null, "h": {"a": "1"}, "j": 5}'),
                      ('{"id": 3, "many": null, "h": null, "j": null}')) v (s)""")
    run = signalbus("dead-letters", "--requeue").expect(1)
    assert schema.execute("SELECT t::text FROM t") == [('(1,"{1,NULL}",,"{""a"": 1}")',)]
    assert dead(schema) == ["2", "3"] and len(run.stderr.splitlines()) == 3
    assert "dead letter 3 stays" in run.stderr and 'null value in column "j"' in run.stderr


def test_what_the_table_would_change_stays(signalbus, schema, make_topic, configure):
    schema.execute("CREATE TABLE t (id int PRIMARY KEY, old text, payload text, j json)")
    configure(model("A", schema.table("t"), make_topic()))
    schema.execute("""INSERT INTO dead (model, signal, error) SELECT 'A', s::jsonb, 'why' FROM
                      (VALUES ('{"id": 1, "old": null, "payload": "x"}'),
                      ('{"id": 2, "old": "lost", "payload": "x"}'),
                      ('{"id": 3, "payload": "y"}'),
                      ('{"id": 4, "j": {"b": 1}, "": {"j": "{\\"b\\" :2}"}}')) v (s)""")
    schema.execute("ALTER TABLE t DROP old, ADD later int DEFAULT 5")
    schema.execute("CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS "
                   "$$BEGIN IF NEW.payload = 'y' THEN NEW.payload = 'z'; END IF; "
                   "RETURN NEW; END$$")
    schema.execute("CREATE TRIGGER touch BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION touch()")
    run = signalbus("dead-letters", "--requeue").expect(1)
    assert schema.execute("SELECT id, payload FROM t") == [(1, "x")]
    assert dead(schema) == ["2", "3", "4"]
    for number, column in ((2, "old"), (3, "payload"), (4, "j")):
        assert (f"dead letter {number} stays in table {schema}.dead: "
                f'column "{column}" of table {schema}.t would have a different value; ') in run.stderr


def test_what_cannot_be_moved_stays(signalbus, schema, make_topic, consume, configure):
    """A NUL, which jsonb has no place for: the neighbours are sent, once."""
    topic = make_topic()
    schema.execute("CREATE TABLE t (id int PRIMARY KEY, payload json)")
    schema.execute("INSERT INTO t SELECT n, to_json(repeat('x', CASE n WHEN 3 THEN 20000 ELSE 1 "
                   "END)) FROM generate_series(1, 5) n")
    schema.execute("""UPDATE t SET payload = replace(payload::text, 'xx', 'x\\u0000')::json
                      WHERE id = 3""")
    configure(model("A", schema.table("t"), topic, burst_count=10))
    for _ in range(2):
        reason = signalbus("flushmany").expect_failure()
        assert 'model "A": signal (id)=(3) cannot be moved to table' in reason
    assert ids(consume(topic, 4)) == [1, 2, 4, 5]
    assert schema.execute("SELECT id FROM t") == [(3,)] and schema.count("dead") == 0


def test_a_trigger_that_prevents_dead_letters(signalbus, schema, make_topic, consume, configure):
    topic = make_topic()
    configure(model("A", make_rows(schema, 3, [2]), topic, burst_count=10))
    schema.execute("CREATE FUNCTION away() RETURNS trigger LANGUAGE plpgsql "
                   "AS $$ BEGIN RETURN NULL; END $$")
    schema.execute("CREATE TRIGGER away BEFORE INSERT ON dead FOR EACH ROW "
                   "EXECUTE FUNCTION away()")
    assert "does a trigger or a rule prevent the INSERT?" in signalbus("flushmany").expect_failure()
    assert schema.execute("SELECT id FROM t") == [(2,)]
    assert ids(consume(topic, 2)) == [1, 3]


def test_a_trigger_that_keeps_them_from_coming_back(signalbus, schema, make_topic, configure):
    configure(model("A", make_rows(schema, 2, [2]), make_topic()))
    signalbus("flushmany").expect(0)
    schema.execute("CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS "
                   "$$BEGIN RETURN NULL; END$$")
    schema.execute("CREATE TRIGGER away BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION nothing()")
    run = signalbus("dead-letters", "--requeue").expect(1)
    assert f"table {schema.table('t')} did not accept it; " in run.stderr
    assert dead(schema) == ["2"]


@pytest.mark.parametrize("option", ["--requeue", "--discard", "--json"])
def test_there_is_no_table(signalbus, schema, make_topic, configure, option):
    """Nothing is printed, such as half a JSON document."""
    configure(model("A", make_rows(schema, 1), make_topic()))
    schema.execute("DROP TABLE dead")
    run = signalbus("dead-letters", option, *(["A"] if option == "--discard" else [])).expect(78)
    assert run.stdout == ""
    assert f"table {schema.table('dead')} does not exist" in run.stderr


def test_the_daemon_continues(signalbus, schema, make_topic, consume, configure):
    topic, other = make_topic(), make_topic()
    make_rows(schema, 50, [10, 20])
    schema.execute("CREATE TABLE u AS TABLE t")
    schema.execute("ALTER TABLE u ADD PRIMARY KEY (id)")
    configure(model("A", schema.table("t"), topic, burst_count=20),
              model("O", schema.table("u"), other, burst_count=20, order_by=["id"]))
    daemon = signalbus.start("run")
    schema.wait_until(lambda: schema.count("t") + schema.count("u") == 0, 20, "empty tables")
    daemon.stop().expect(0)
    good = [n for n in range(1, 51) if n not in (10, 20)]
    assert sorted(ids(consume(topic, 48))) == good and ids(consume(other, 48)) == good
    assert sorted(dead(schema, "model")) == ["A", "A", "O", "O"]


def test_a_daemon_without_their_table(signalbus, schema, make_topic, consume):
    """After a reload, for example: only rejected signals need it, and move when it is there."""
    good, topic = make_topic(), make_topic()
    make_rows(schema, 0)
    models = (model("A", schema.table("t"), topic, burst_count=10),
              model("Good", schema.make_signals("good"), good))
    signalbus.configure(*models, poll_interval=0.2)
    daemon = signalbus.start("-v", "run")
    daemon.wait_log("database: connected")
    signalbus.configure(*models, poll_interval=0.2, defaults={"on_reject": "dead-letter"},
                        dead_letter_table=schema.table("dead"), kafka=LIMIT)
    daemon.send(signal.SIGHUP)
    daemon.wait_log("configuration reloaded")
    schema.insert_signals("good", 3)
    schema.execute("INSERT INTO t SELECT n, repeat('x', CASE n WHEN 4 THEN 20000 ELSE 10 END) "
                   "FROM generate_series(1, 9) n")
    schema.wait_until(lambda: schema.count("t") == 1 and schema.count("good") == 0, what="all others")
    lack = (f'signalbus.conf:5: table {schema}.dead does not exist; '
            '"signalbus triggers" prints its definition')
    daemon.wait_log(f"it stays in table {schema}.t: {signalbus.folder}/{lack}")
    daemon.wait_log(f"warning: rejected signals stay in their tables: {signalbus.folder}/{lack}")
    schema.execute(signalbus("triggers").expect(0).stdout)
    schema.wait_until(lambda: schema.count("t") == 0, 30, "it moved")
    daemon.wait_log(f"warning: rejected signals move to table {schema}.dead now")
    log = daemon.stop().expect(0).stderr
    assert log.count("rejected signals stay") == 1 and log.count("was rejected") == 2
    assert dead(schema) == ["4"] and len(consume(topic, 8)) == 8 and len(consume(good, 3)) == 3


def test_partitioned_tables(signalbus, schema, make_topic, consume, configure):
    topic = make_topic()
    schema.execute("CREATE TABLE t (id int PRIMARY KEY, payload text) PARTITION BY RANGE (id)")
    schema.execute("CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (100)")
    schema.execute("CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (100) TO (200)")
    schema.execute("INSERT INTO t SELECT n, repeat('x', CASE WHEN n % 50 = 0 THEN 20000 ELSE 1 "
                   "END) FROM generate_series(1, 199) n")
    configure(model("A", schema.table("t"), topic, burst_count=30))
    signalbus("flushmany").expect(0)
    assert len(consume(topic, 196)) == 196 and dead(schema) == ["50", "100", "150"]
    signalbus("dead-letters", "--requeue").expect_silence()
    assert schema.execute("SELECT id FROM t1") == [(50,)]
    assert schema.execute("SELECT id FROM t2 ORDER BY id") == [(100,), (150,)]


class TestConfiguration:
    def test_the_table_has_to_be_there(self, signalbus, schema, make_topic):
        table = make_rows(schema, 1)
        config = signalbus.configure(model("A", table, make_topic(), on_reject="dead-letter"),
                                     dead_letter_table=f'{schema}."Dead; x"')
        for command in (["flushmany"], ["dead-letters"], ["pending"]):
            run = signalbus(*command).expect(78)
            assert run.stderr.startswith(f"{config}:"), run
            assert 'table ' in run.stderr and '"signalbus triggers" prints' in run.stderr
        schema.execute(signalbus("triggers").expect(0).stdout)
        schema.execute(signalbus("triggers").expect(0).stdout)  # it may run twice
        schema.execute('ALTER TABLE "Dead; x" ALTER signal TYPE text')
        assert "is not a dead letter table" in signalbus("check").expect(1).stdout
        schema.execute('ALTER TABLE "Dead; x" ALTER signal TYPE jsonb USING signal::jsonb')
        assert schema.value('SELECT count(*) FROM "Dead; x"') == 0
        signalbus("flushmany").expect_silence()
        schema.execute(signalbus("triggers", "--drop").expect(0).stdout)
        assert schema.value('SELECT count(*) FROM "Dead; x"') == 0

    def test_another_table_will_not_do(self, signalbus, schema, make_topic):
        table = make_rows(schema, 1)
        signalbus.configure(model("A", table, make_topic(), on_reject="dead-letter"),
                            dead_letter_table=table)
        for command in ("flushmany", "dead-letters", "triggers"):
            assert "is not a dead letter table" in signalbus(command).expect(78).stderr

    def test_without_a_table_there_are_none(self, signalbus, schema, make_topic):
        config = signalbus.configure(model("A", make_rows(schema, 1), make_topic()))
        run = signalbus("dead-letters").expect(78)
        assert run.stdout == "" and run.stderr == (
            f"{config}:1: dead_letter_table is not set; set it to the table that has the dead letters\n")

    def test_without_a_channel_only_the_table_is_printed(self, signalbus, schema, make_topic):
        signalbus.configure(model("A", make_rows(schema, 1), make_topic()), notify_channel="",
                            dead_letter_table=schema.table("dead"))
        printed = signalbus("triggers").expect(0).stdout
        assert "CREATE TABLE IF NOT EXISTS" in printed and "EXECUTE FUNCTION" not in printed

    def test_listing_and_ending_exclude_each_other(self, signalbus):
        run = signalbus.bare("dead-letters", "--requeue", "--discard").expect(2)
        assert "--requeue and --discard exclude each other" in run.stderr


def test_few_privileges_suffice(signalbus, schema, make_topic, consume, configure, postgres):
    topic = make_topic()
    configure(model("A", make_rows(schema, 3, [2]), topic))
    role = f"{schema}_sender"
    schema.execute(f"CREATE ROLE {role} LOGIN")
    try:
        schema.execute(f"GRANT USAGE ON SCHEMA {schema} TO {role}")
        schema.execute(f"GRANT SELECT, DELETE, UPDATE (id) ON t TO {role}")
        signalbus.database = postgres.conninfo(user=role)
        configure_as = model("A", schema.table("t"), topic, on_reject="dead-letter")
        signalbus.configure(configure_as, dead_letter_table=schema.table("dead"), kafka=LIMIT)
        refused = signalbus("flushmany").expect_failure()
        grant = f"GRANT INSERT ON {schema}.dead TO {role}"
        assert f"table dead SQLSTATE 42501; user {role} lacks INSERT; {grant}" in refused, refused
        assert schema.execute("SELECT id FROM t") == [(2,)]
        schema.execute(grant)
        signalbus("flushmany").expect(0)
        assert ids(consume(topic, 2)) == [1, 3] and dead(schema) == ["2"]
    finally:
        schema.execute(f"DROP OWNED BY {role}")
        schema.execute(f"DROP ROLE {role}")


def test_a_good_signal_is_not_taken_for_its_neighbour(signalbus, schema, make_topic, topics):
    """Several bursts at once, each with rows that are too large: only these become dead letters."""
    schema.execute("CREATE TABLE t (id int PRIMARY KEY, payload text)")
    schema.execute("INSERT INTO t SELECT n, repeat('x', CASE n % 10 WHEN 0 THEN 20000 ELSE 10 END) "
                   "FROM generate_series(1, 1000) n")
    topic = make_topic(config={"max.message.bytes": "10000"})
    signalbus.configure(model("A", schema.table("t"), topic, burst_count=25,
                              on_reject="dead-letter"), dead_letter_table=schema.table("dead"))
    schema.execute(signalbus("triggers").expect(0).stdout)
    signalbus("flushmany", "-j", "8").expect(0)
    dead = [row[0] for row in schema.execute("SELECT (signal ->> 'id')::int FROM dead")]
    assert sorted(dead) == list(range(10, 1001, 10))
    assert set(ids(topics.read(topic, 900))) == set(range(1, 1001)) - set(dead)
