"""Rows that cannot be read: they are found, named, and hold up no other."""

import json

import pytest

from runner import FLUSHES, every_flush, ids, model

FAILING = [{"name": "id", "column": "id"}, {"name": "half", "sql": "100 / (id - 7)"}]


def set_up(signalbus, schema, topic, **settings):
    """A model whose expression fails for row 7 of 20."""
    schema.make_signals("t", 20)
    signalbus.configure(model("A", schema.table("t"), topic, fields=FAILING, order_by=["id"],
                              **settings), dead_letter_table=schema.table("dead"))
    schema.execute(signalbus("triggers").expect(0).stdout)


@every_flush
@pytest.mark.parametrize("burst_count", [1, 3, 100])
def test_it_stays(signalbus, schema, make_topic, consume, flush, burst_count):
    topic = make_topic()
    set_up(signalbus, schema, topic, burst_count=burst_count)
    for _ in range(2):
        reason = signalbus(*flush).expect_failure()
        assert reason.startswith(f'model "A": signal (id)=(7) cannot be read from table {schema}.t, '
                                 "so it is not sent: half: database: division by zero"), reason
    good = [n for n in range(1, 21) if n < 7 or (n > 7 and flush[0] != "flushordered")]
    assert sorted(ids(consume(topic, len(good)))) == good
    schema.execute("UPDATE t SET id = 21 WHERE id = 7")
    signalbus(*flush).expect_silence()
    assert schema.count("t") == 0


@every_flush
@pytest.mark.parametrize("burst_count", [1, 100])
def test_it_becomes_a_dead_letter(signalbus, schema, make_topic, consume, flush, burst_count):
    topic = make_topic()
    set_up(signalbus, schema, topic, burst_count=burst_count, on_reject="dead-letter")
    run = signalbus(*flush).expect(0)
    assert run.logged("it was moved to table " + schema.table("dead")), run
    assert "signal (id)=(7) cannot be read: half: database: division by zero" in run.stderr
    numbers = ids(consume(topic, 19))
    good = [n for n in range(1, 21) if n != 7]
    assert numbers == good if flush[0] == "flushordered" else sorted(numbers) == good
    assert schema.count("t") == 0
    assert schema.execute("SELECT signal ->> 'id' FROM dead") == [("7",)]


def test_what_cannot_be_deleted_becomes_no_dead_letter(signalbus, schema, make_topic, consume):
    topic = make_topic()
    set_up(signalbus, schema, topic, burst_count=100, on_reject="dead-letter")
    schema.execute("CREATE TABLE line (n bigint REFERENCES t); INSERT INTO line VALUES (3), (7)")
    for _ in range(2):
        signalbus("flushmany").expect_failure()
    assert sorted(ids(consume(topic, 18))) == [n for n in range(1, 21) if n not in (3, 7)]
    assert schema.execute("SELECT id FROM t ORDER BY id") == [(3,), (7,)]
    assert schema.count("dead") == 0


def test_the_daemon_continues(signalbus, schema, make_topic, consume):
    topic = make_topic()
    schema.make_signals("t", 20)
    signalbus.configure(model("A", schema.table("t"), topic, fields=FAILING, burst_count=10),
                        poll_interval=0.05)
    daemon = signalbus.start("run")
    daemon.wait_log("signal (id)=(7) cannot be read")
    for n in range(21, 31):
        schema.insert_signals("t", 1, first=n)
        schema.wait_until(lambda: schema.count("t") == 1, 5)
    schema.execute("DELETE FROM t")
    daemon.wait_log("resumed")
    daemon.stop().expect(0)
    assert daemon.log().count("cannot be read") == 1
    assert sorted(ids(consume(topic, 29))) == [n for n in range(1, 31) if n != 7]


@pytest.mark.parametrize("flush", FLUSHES.values(), ids=FLUSHES.keys())
def test_what_fails_for_all_is_the_models(signalbus, schema, make_topic, count_in_log, flush):
    """A function that lost its privilege, and one that fails for each row: none becomes a dead letter."""
    topic = make_topic()
    set_up(signalbus, schema, topic, burst_count=100, on_reject="dead-letter")
    schema.execute("CREATE FUNCTION bad(bigint) RETURNS int LANGUAGE plpgsql AS "
                   "$$ BEGIN RAISE EXCEPTION 'it is down' USING ERRCODE = '42501'; END $$")
    signalbus.configure(model("A", schema.table("t"), topic, burst_count=100, order_by=["id"],
                              on_reject="dead-letter",
                              fields=[{"name": "f", "sql": f"{schema}.bad(id)"}]),
                        dead_letter_table=schema.table("dead"))
    assert "it is down" in signalbus(*flush).expect_failure()
    signalbus.configure(model("A", schema.table("t"), topic, burst_count=100, order_by=["id"],
                              on_reject="dead-letter",
                              fields=[{"name": "f", "sql": "id / (id - id)"}]),
                        dead_letter_table=schema.table("dead"))
    if flush[0] != "flushordered":
        assert "division by zero" in signalbus(*flush).expect(1).stderr
        assert schema.count("dead") == 0 and schema.count("t") == 20
    assert count_in_log(topic) == 0


CASTS = {"54001": ("n::json", "repeat('[', 200000)"), "42P01": ("n::regclass::text", "'nonesuch'"),
         "54000": ("CASE n WHEN '1' THEN n ELSE repeat(n, 1200000000) END", "'b'"),
         "ZZ042": ("@.f(n, 'ZZ042')", "'b'"), "0A000": ("@.f(n, '0A000')", "'b'"),
         "53400": ("@.f(n, '53400')", "'b'"), "57014": ("@.f(n, '57014')", "'b'")}
OF_THE_ROW = [state for state in CASTS if state not in ("53400", "57014")]


def set_up_cast(signalbus, schema, topic, state, **settings):
    """A model whose expression fails with this SQLSTATE for the first of 10 rows."""
    expression, bad = CASTS[state]
    schema.execute(f"CREATE FUNCTION {schema}.f(text, state text) RETURNS text LANGUAGE plpgsql AS "
                   "$$ BEGIN IF $1 = 'b' THEN RAISE 'no such customer' USING ERRCODE = state; "
                   "END IF; RETURN $1; END $$")
    schema.execute("CREATE TABLE t (id bigint PRIMARY KEY, n text); "
                   f"INSERT INTO t SELECT 0, {bad}; "
                   "INSERT INTO t SELECT n, '1' FROM generate_series(1, 9) n")
    if "regclass" in expression:
        expression = f"CASE n WHEN '1' THEN n ELSE {expression} END"
    signalbus.configure(model("A", schema.table("t"), topic, fields=[
        "id", {"name": "q", "sql": expression.replace("@", str(schema))}],
        **{"burst_count": 100, **settings}),
        dead_letter_table=schema.table("dead"), timeout=2, poll_interval=0.05)
    schema.execute(signalbus("triggers").expect(0).stdout)


@every_flush
@pytest.mark.parametrize("state", OF_THE_ROW)
def test_any_state_of_one_row(signalbus, schema, make_topic, consume, flush, state):
    """What fails for a row while others can be read is that row's fault, whatever it is."""
    topic = make_topic()
    set_up_cast(signalbus, schema, topic, state, on_reject="dead-letter", order_by=["id"])
    log = signalbus(*flush).expect(0).stderr
    assert "signal (id)=(0) cannot be read: q: database: " in log and f"SQLSTATE {state}" in log
    numbers = ids(consume(topic, 9))
    assert (numbers if flush[0] == "flushordered" else sorted(numbers)) == list(range(1, 10))
    assert schema.count("t") == 0 and schema.count("dead") == 1


@every_flush
@pytest.mark.parametrize("burst_count", [1, 100])
@pytest.mark.parametrize("state", ["ZZ042", "42P01"])
def test_it_stays_whatever_its_state(
        signalbus, schema, make_topic, consume, flush, burst_count, state):
    topic = make_topic()
    set_up_cast(signalbus, schema, topic, state, burst_count=burst_count)
    assert "signal (id)=(0) cannot be read" in signalbus(*flush).expect_failure()
    left = 10 if flush[0] == "flushordered" else 1
    assert len(consume(topic, 10 - left)) == 10 - left and schema.count("t") == left


@pytest.mark.parametrize("state", ["ZZ042", "42P01", "53400", "57014"])
def test_any_state_of_all_rows(signalbus, schema, make_topic, count_in_log, state):
    """That is the model's failure, and so is what may pass, also of one row."""
    topic = make_topic()
    set_up_cast(signalbus, schema, topic, state, on_reject="dead-letter")
    if state in OF_THE_ROW:
        schema.execute("UPDATE t SET n = (SELECT n FROM t WHERE id = 0)")
    reason = signalbus("flushmany").expect_failure()
    assert f"SQLSTATE {state}" in reason and "cannot be read" not in reason, reason
    assert schema.count("t") == 10 and schema.count("dead") == 0 and count_in_log(topic) == 0


@pytest.mark.parametrize("state", ["ZZ042", "42P01"])
def test_it_holds_up_nobody_later(signalbus, schema, make_topic, consume, state):
    """The daemon tries it again, also when no other shows that it could be read."""
    topic = make_topic()
    set_up_cast(signalbus, schema, topic, state)
    daemon = signalbus.start("run")
    daemon.wait_log("signal (id)=(0) cannot be read")
    for n in range(10, 15):
        schema.wait_until(lambda: schema.count("t") == 1, 5)
        schema.execute(f"INSERT INTO t VALUES ({n}, '1')")
    schema.wait_until(lambda: schema.count("t") == 1, 5)
    daemon.stop().expect(0)
    assert daemon.log().count("SQLSTATE") == 1, daemon.log()
    assert sorted(ids(consume(topic, 14))) == list(range(1, 15))


@every_flush
@pytest.mark.parametrize("key", ["id int PRIMARY KEY, n int", "id text PRIMARY KEY, n int",
                                 "id int, n int, PRIMARY KEY (id, n)"])
def test_without_order_by(signalbus, schema, make_topic, consume, flush, key):
    topic = make_topic()
    schema.execute(f"CREATE TABLE t ({key}); INSERT INTO t SELECT n, n - 5 "
                   "FROM generate_series(1, 9) n")
    signalbus.configure(model("A", schema.table("t"), topic, burst_count=4, on_reject="dead-letter",
                              fields=["id", {"name": "q", "sql": "1 / n"}]),
                        dead_letter_table=schema.table("dead"))
    schema.execute(signalbus("triggers").expect(0).stdout)
    assert "cannot be read: q: database: division by zero" in signalbus(*flush).expect(0).stderr
    numbers = [int(n) for n in ids(consume(topic, 8))]
    assert (numbers if flush[0] == "flushordered" else sorted(numbers)) == [1, 2, 3, 4, 6, 7, 8, 9]
    assert schema.count("t") == 0 and schema.count("dead") == 1


def test_large_rows_are_read_in_parts(signalbus, schema, make_topic, consume):
    topic = make_topic()
    set_up(signalbus, schema, topic, burst_count=100, burst_bytes=10_000)
    schema.execute("UPDATE t SET payload = repeat('x', 4000)")
    signalbus.configure(model("A", schema.table("t"), topic, burst_count=100, burst_bytes=10_000,
                              fields=[*FAILING, "payload"]))
    signalbus("flushmany").expect_failure()
    assert len(consume(topic, 19)) == 19 and schema.count("t") == 1


def test_partitions(signalbus, schema, make_topic, consume):
    topic = make_topic()
    schema.execute("CREATE TABLE t (id bigint PRIMARY KEY, payload text) PARTITION BY RANGE (id)")
    schema.execute("CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM (1) TO (6)")
    schema.execute("CREATE TABLE t_2 PARTITION OF t DEFAULT")
    schema.execute("INSERT INTO t SELECT n, 'x' FROM generate_series(1, 20) n")
    signalbus.configure(model("A", schema.table("t"), topic, fields=FAILING, burst_count=9))
    assert "(id)=(7) cannot be read" in signalbus("flushmany").expect_failure()
    assert sorted(ids(consume(topic, 19))) == [n for n in range(1, 21) if n != 7]


@pytest.fixture
def ascii_database(signalbus, postgres, schema):
    """A cursor on a database whose text may be anything."""
    name = f"ascii_{schema}"
    postgres.create_database(name, "ENCODING 'SQL_ASCII' TEMPLATE template0 LOCALE 'C'")
    signalbus.database = postgres.conninfo(dbname=name)
    connection = postgres.connect(name)
    yield connection.cursor()
    connection.close()
    signalbus.discard()
    schema.execute(f"DROP DATABASE {name} WITH (FORCE)")


def set_up_ascii(signalbus, cursor, topic, column, **settings):
    """A model of 60 rows with a text key, one of which has bytes that are not UTF-8."""
    cursor.execute("CREATE TABLE t (id text PRIMARY KEY, payload text)")
    cursor.execute("INSERT INTO t SELECT n::text, 'x' FROM generate_series(1, 60) n")
    cursor.execute(f"UPDATE t SET {column} = E'\\xe9t\\xe9' WHERE id = '33'")
    signalbus.configure(model("A", "t", topic, burst_count=20, order_by=["id"], **settings),
                        dead_letter_table="dead")
    cursor.execute(signalbus("triggers").expect(0).stdout)
    cursor.execute("GRANT INSERT ON t TO bus")  # for --requeue


def check_sent_but_33(consume, topic, is_sorted=False, rest=range(1, 61)):
    values = [json.loads(message.value)["id"] for message in consume(topic, len(rest) - 1)]
    good = sorted(str(n) for n in rest if n != 33)
    assert (values if is_sorted else sorted(values)) == good


@every_flush
@pytest.mark.parametrize("column", ["payload", "id"])
def test_bytes_that_are_no_text(signalbus, ascii_database, make_topic, consume, column, flush):
    topic, cursor = make_topic(), ascii_database
    set_up_ascii(signalbus, cursor, topic, column)
    reason = signalbus(*flush).expect_failure()
    row = "(33)" if column == "payload" else r"(\xe9t\xe9)"
    assert reason == (f'model "A": signal (id)={row} cannot be read from table public.t, so it is '
                      rf"not sent: {column}: not UTF-8: \xe9t\xe9")
    if flush[0] == "flushordered" and column == "payload":
        rest = [n for n in range(1, 61) if str(n) <= "33"]
    else:
        rest = range(1, 61)
    check_sent_but_33(consume, topic, flush[0] == "flushordered", rest)
    cursor.execute("SELECT count(*) FROM t")
    assert cursor.fetchall() == [(61 - len(rest),)]


@every_flush
@pytest.mark.parametrize("column", ["payload", "id"])
def test_bytes_that_are_no_text_become_dead_letters(signalbus, ascii_database, make_topic, consume, column, flush):
    topic, cursor = make_topic(), ascii_database
    set_up_ascii(signalbus, cursor, topic, column, on_reject="dead-letter")
    signalbus(*flush).expect(0)
    check_sent_but_33(consume, topic, flush[0] == "flushordered")
    cursor.execute("SELECT count(*) FROM t")
    assert cursor.fetchall() == [(0,)]
    listed = signalbus("dead-letters").expect(0).stdout
    assert rf"{column}: not UTF-8: \xe9t\xe9" in listed and listed.count("\n") == 1
    if column == "id":
        assert r'{ "id" : "\xe9t\xe9" }' in listed
    signalbus("dead-letters", "--requeue").expect(0)
    cursor.execute(f"SELECT {column}::bytea FROM t")
    assert [bytes(value) for value, in cursor.fetchall()] == [b"\xe9t\xe9"]
