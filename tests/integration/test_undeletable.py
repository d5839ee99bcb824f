"""Rows that the database will not delete: they are not sent, and the others are."""

import pytest

from runner import FLUSHES, every_flush, ids, model, repeats


def refer(schema, row=3, clause=""):
    """A row of another table that refers to a signal, as SQLAlchemy makes it by default."""
    schema.execute(f"CREATE TABLE line (signal_id bigint REFERENCES t {clause})")
    schema.execute("INSERT INTO line VALUES (%s)", row)


ORDERS = pytest.mark.parametrize("order", [{}, {"order_by": ["id"]}], ids=["in no order", "ordered"])


def check_sent(consume, topic, count, order, bad=3):
    """All but the bad row are in the topic once; in order, those before it."""
    good = [n for n in range(1, count + 1) if n < bad or (n > bad and not order)]
    assert sorted(ids(consume(topic, len(good)))) == good


@ORDERS
@pytest.mark.parametrize("burst_count", [1, 100])
@pytest.mark.parametrize("clause", ["", "DEFERRABLE INITIALLY DEFERRED"], ids=["at once", "deferred"])
def test_a_foreign_key(signalbus, schema, make_topic, consume, order, burst_count, clause):
    topic = make_topic()
    signalbus.configure(model("A", schema.make_signals("t", 100), topic, burst_count=burst_count,
                              **order))
    refer(schema, clause=clause)
    for _ in range(2):
        reason = signalbus("flushordered" if order else "flushmany").expect_failure()
        assert reason.startswith(f'model "A": signal (id)=(3) cannot be deleted from table {schema}.t, '
                                 "so it is not sent: database: update or delete on table"), reason
    check_sent(consume, topic, 100, order)
    schema.execute("DELETE FROM line")
    signalbus("flushordered" if order else "flushmany").expect_silence()
    assert schema.count("t") == 0 and len(consume(topic, 100)) == 100


@ORDERS
@pytest.mark.parametrize("raises", [
    "RAISE EXCEPTION 'not this one'", "RAISE EXCEPTION 'no' USING ERRCODE = '57014'",
    "RAISE EXCEPTION 'no' USING ERRCODE = '53100'", "RETURN NULL"])
def test_a_trigger(signalbus, schema, make_topic, consume, order, raises):
    topic = make_topic()
    signalbus.configure(model("A", schema.make_signals("t", 100), topic, burst_count=40, **order),
                        timeout=5.0)
    schema.execute(f"CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                   f"IF OLD.id = 3 THEN {raises}; END IF; RETURN OLD; END $$")
    schema.execute("CREATE TRIGGER no BEFORE DELETE ON t FOR EACH ROW EXECUTE FUNCTION no()")
    reason = signalbus("flushordered" if order else "flushmany").expect_failure()
    assert "signal (id)=(3) cannot be deleted" in reason
    check_sent(consume, topic, 100, order)
    left = [row for row, in schema.execute("SELECT id FROM t ORDER BY id")]
    assert left == (list(range(3, 101)) if order else [3])


@ORDERS
def test_a_slow_trigger_is_not_the_rows_fault(signalbus, schema, make_topic, count_in_log, order):
    """It ends by statement_timeout, before anything is sent."""
    topic = make_topic()
    signalbus.configure(model("A", schema.make_signals("t", 10), topic, burst_count=10, **order),
                        timeout=0.5)
    schema.on_delete("t", "PERFORM pg_sleep(60)", by_trigger=True)
    run = signalbus("flushordered" if order else "flushmany").expect(1)
    assert run.seconds < 30 and "statement timeout" in run.stderr
    assert count_in_log(topic) == 0 and schema.count("t") == 10


def test_a_broker_that_refuses_some_of_them(signalbus, schema, make_topic, consume):
    """What is deleted already comes back, with its lock."""
    topic = make_topic()
    schema.make_signals("t", 50)
    schema.execute("UPDATE t SET payload = repeat('x', 20000) WHERE id = 20")
    schema.execute("CREATE TABLE p (id bigint PRIMARY KEY, payload text) PARTITION BY RANGE (id)")
    schema.execute("CREATE TABLE p_1 PARTITION OF p FOR VALUES FROM (1) TO (25)")
    schema.execute("CREATE TABLE p_2 PARTITION OF p DEFAULT")
    schema.execute("INSERT INTO p SELECT id + 100, payload FROM t")
    for table in "tp":
        schema.execute(f"CREATE TABLE line_{table} (n bigint REFERENCES {table})")
        schema.execute(f"INSERT INTO line_{table} SELECT max(id) - 10 FROM {table}")
    signalbus.configure(*(model(table, schema.table(table), topic, burst_count=30)
                          for table in "tp"), kafka={"message_max_bytes": 10_000})
    signalbus("flushmany").expect(1)
    assert schema.execute("SELECT id FROM t ORDER BY id") == [(20,), (40,)]
    assert schema.execute("SELECT id FROM p ORDER BY id") == [(120,), (140,)]
    numbers = ids(consume(topic, 96))
    assert len(numbers) == 96 and repeats(numbers) == 0


@pytest.fixture
def dependent(signalbus, schema, make_topic):
    """Configures a model of 10 rows, of which the broker rejects the 7th, which refers to the 4th."""
    def configure(**settings):
        topic = make_topic()
        schema.make_signals("t", 10)
        schema.execute("ALTER TABLE t ADD parent bigint REFERENCES t")
        schema.execute("UPDATE t SET parent = 4, payload = repeat('x', 20000) WHERE id = 7")
        signalbus.configure(model("A", schema.table("t"), topic, burst_count=100, order_by=["id"],
                                  fields=["id", "payload"], **settings),
                            dead_letter_table=schema.table("dead"),
                            kafka={"message_max_bytes": 10_000})
        schema.execute(signalbus("triggers").expect(0).stdout)
        return topic
    return configure


@every_flush
def test_a_row_that_a_rejected_one_refers_to(signalbus, schema, consume, dependent, flush):
    """It stays with that one, and is sent again with it; the others are sent once."""
    topic, is_ordered = dependent(), flush[0] == "flushordered"
    for _ in range(2):
        run = signalbus(*flush).expect(1)
        assert "signal (id)=(7) was rejected" in run.stderr
        kept = (f"signal (id)=(4) cannot be deleted from table {schema}.t, so it is sent again: "
                "database: update or delete on table")
        assert (kept in run.stderr) != is_ordered
    left = list(range(4, 11)) if is_ordered else [4, 7]
    assert [n for n, in schema.execute("SELECT id FROM t ORDER BY id")] == left
    again = [4, 5, 6] if is_ordered else [4]
    once = [n for n in range(1, 7 if is_ordered else 11) if n != 7]
    assert sorted(ids(consume(topic, len(once + again)))) == sorted(once + again)


@every_flush
def test_a_dead_letter_that_refers_to_a_row(signalbus, schema, count_in_log, dependent, flush):
    topic = dependent(on_reject="dead-letter")
    signalbus(*flush).expect(0)
    assert schema.execute("SELECT signal ->> 'id' FROM dead") == [("7",)]
    assert schema.count("t") == 0
    assert count_in_log(topic) == 9


@pytest.fixture
def limited(signalbus, schema, make_topic):
    """
    Configures a model of 30 rows, of which the broker will not take the 17th.  The server deletes
    five at once, at most.
    """
    def configure(**settings):
        topic = make_topic()
        schema.make_signals("t", 30)
        schema.execute("UPDATE t SET payload = repeat('x', 20000) WHERE id = 17")
        schema.execute("CREATE FUNCTION five() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                       "IF (SELECT count(*) FROM o) > 5 THEN RAISE 'at most five'; END IF; "
                       "RETURN NULL; END $$")
        schema.execute("CREATE TRIGGER five AFTER DELETE ON t REFERENCING OLD TABLE AS o "
                       "FOR EACH STATEMENT EXECUTE FUNCTION five()")
        signalbus.configure(model("A", schema.table("t"), topic, burst_count=1000, **settings),
                            dead_letter_table=schema.table("dead"), poll_interval=0.05,
                            workers=1, kafka={"message_max_bytes": 10_000})
        schema.execute(signalbus("triggers").expect(0).stdout)
        return topic
    return configure


@pytest.mark.parametrize("flush", FLUSHES.values(), ids=FLUSHES.keys())
def test_a_limit_of_rows_and_a_broker_that_refuses_one(signalbus, schema, count_in_log, limited,
                                                       flush):
    """Those that were sent are deleted as they could be before: not all at once."""
    is_ordered = flush[0] == "flushordered"
    topic = limited(**{"order_by": ["id"]} if is_ordered else {})
    for _ in range(2):
        assert "signal (id)=(17) was rejected" in signalbus(*flush).expect_failure()
    assert schema.count("t") == (14 if is_ordered else 1)
    assert count_in_log(topic) == (16 if is_ordered else 29)


@pytest.mark.parametrize("flush", FLUSHES.values(), ids=FLUSHES.keys())
def test_a_limit_of_rows_and_a_dead_letter(signalbus, schema, count_in_log, limited, flush):
    topic = limited(on_reject="dead-letter",
                    **{"order_by": ["id"]} if flush[0] == "flushordered" else {})
    signalbus(*flush).expect(0)
    assert schema.value("SELECT array_agg(signal ->> 'id') FROM dead") == ["17"]
    assert schema.count("t") == 0 and count_in_log(topic) == 29


def test_a_limit_of_rows_and_a_daemon(signalbus, schema, count_in_log, limited):
    topic = limited()
    daemon = signalbus.start("run")
    schema.wait_until(lambda: schema.count("t") == 1)
    schema.insert_signals("t", 20, first=31)
    schema.wait_until(lambda: schema.count("t") == 1)
    assert "signal (id)=(17) was rejected" in daemon.stop().expect(0).stderr
    assert count_in_log(topic) == 49


def test_a_rule_that_fails_after_the_send(signalbus, schema, make_topic, topics):
    """Nothing predicts it: one burst is repeated, for each worker."""
    topic = make_topic()
    signalbus.configure(model("A", schema.make_signals("t", 100), topic, burst_count=100),
                        poll_interval=0.05, workers=1)
    schema.execute("CREATE TABLE audit (n bigint CHECK (n <> 3))")
    schema.execute("CREATE RULE note AS ON DELETE TO t DO ALSO INSERT INTO audit VALUES (OLD.id)")
    daemon = signalbus.start("run")
    daemon.wait_log("(id)=(3) cannot be deleted")
    schema.wait_until(lambda: schema.count("t") == 1)
    schema.insert_signals("t", 1, first=101)
    schema.wait_until(lambda: schema.count("t") == 1)
    assert topics.count_in_log(topic) <= 201
    schema.execute("ALTER TABLE audit DROP CONSTRAINT audit_n_check")
    schema.wait_until(lambda: schema.count("t") == 0)
    daemon.stop().expect(0)
    numbers = ids(topics.read(topic, 101))
    assert set(numbers) == set(range(1, 102)) and repeats(numbers) <= 101


@pytest.fixture
def weak(signalbus, schema, postgres):
    """The user that signalbus runs as, who may do all but delete from t."""
    role = f"weak_{schema}"
    schema.execute(f"CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA {schema} TO {role}")
    schema.make_signals("t", 100)
    schema.execute(f"GRANT SELECT, UPDATE ON t TO {role}")
    signalbus.database = postgres.conninfo(user=role)
    yield role
    signalbus.discard()
    schema.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


@pytest.mark.parametrize("flush", FLUSHES.values(), ids=FLUSHES.keys())
def test_no_privilege(signalbus, schema, make_topic, count_in_log, weak, flush):
    topic = make_topic()
    signalbus.configure(model("A", schema.table("t"), topic, burst_count=100))
    reason = signalbus(*flush).expect_failure()
    assert 'model "A": ' in reason and "permission denied for table t" in reason
    assert count_in_log(topic) == 0


def test_a_replica_identity(signalbus, schema, make_topic, count_in_log):
    topic = make_topic()
    signalbus.configure(model("A", schema.make_signals("t", 100), topic, burst_count=100))
    schema.execute("ALTER TABLE t REPLICA IDENTITY NOTHING")
    schema.execute(f"CREATE PUBLICATION {schema} FOR TABLE t")
    try:
        reason = signalbus("flushmany").expect_failure()
    finally:
        schema.execute(f"DROP PUBLICATION {schema}")
    assert 'model "A": ' in reason and "replica identity" in reason
    assert count_in_log(topic) == 0


@ORDERS
def test_a_privilege_that_goes(signalbus, schema, make_topic, count_in_log, weak, order):
    """One burst is sent and stays; it is not sent again before it can go."""
    topic = make_topic()
    schema.execute(f"GRANT DELETE ON t TO {weak}")
    signalbus.configure(model("A", schema.table("t"), topic, burst_count=100, **order),
                        poll_interval=0.05, workers=1)
    daemon = signalbus.start("run", "-vv")
    schema.wait_until(lambda: schema.count("t") == 0)
    schema.execute(f"REVOKE DELETE ON t FROM {weak}")
    schema.insert_signals("t", 50, first=101)
    daemon.wait_log("permission denied for table t")
    schema.insert_signals("t", 50, first=151)
    schema.wait_until(lambda: daemon.log().count("permission denied for table t") > 3, what="tries")
    assert count_in_log(topic) <= 150
    schema.execute(f"GRANT DELETE ON t TO {weak}")
    schema.wait_until(lambda: schema.count("t") == 0)
    daemon.stop().expect(0)
    assert count_in_log(topic) <= 250
