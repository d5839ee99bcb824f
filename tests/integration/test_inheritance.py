"""Signal tables that others inherit from: neither the primary key nor its NOT NULL binds these."""

import pytest

from runner import FLUSHES, every_flush, ids, model


@pytest.fixture
def parent(signalbus, schema, make_topic):
    """A model of a table with a child that has a column of its own."""
    schema.make_signals("p", 3)
    schema.execute("CREATE TABLE c (extra int) INHERITS (p)")
    topic = make_topic()
    signalbus.configure(model("P", schema.table("p"), topic, burst_count=2, order_by=["id"]),
                        poll_interval=0.1, notify_channel="")
    return topic


@every_flush
def test_a_key_that_may_be_null_is_refused(signalbus, schema, parent, count_in_log, flush):
    schema.execute("ALTER TABLE c ALTER id DROP NOT NULL")
    schema.execute("INSERT INTO c VALUES (NULL, 'x')")
    run = signalbus(*flush).expect(78)
    problem = (f"a table that inherits from {schema}.p does not fit: column id of {schema}.c may be "
               f"NULL; ALTER TABLE {schema}.c ALTER id SET NOT NULL")
    assert run.logged(problem), run
    assert problem in signalbus("check").expect(1).stdout
    assert count_in_log(parent) == 0
    schema.execute("DELETE FROM c")
    schema.execute(problem.split("; ")[1])
    signalbus(*flush).expect(0)
    assert schema.count("p") == 0


@pytest.mark.parametrize("order", [{"order_by": ["id"]}, {}], ids=["ordered", "in no order"])
def test_a_null_that_comes_while_it_is_sent(signalbus, schema, make_topic, consume, order):
    """The daemon finds the child out, and sends other models."""
    schema.make_signals("p", 1)
    schema.execute("CREATE TABLE c () INHERITS (p)")
    schema.make_signals("other")
    topic = make_topic()
    signalbus.configure(model("P", schema.table("p"), topic, **order),
                        model("Other", schema.table("other"), make_topic()), poll_interval=0.1,
                        notify_channel="")
    daemon = signalbus.start("run")
    schema.wait_until(lambda: schema.count("p") == 0)
    schema.execute("ALTER TABLE c ALTER id DROP NOT NULL; INSERT INTO c VALUES (NULL, 'x')")
    daemon.wait_log(f"column id of {schema}.c may be NULL")
    schema.insert_signals("other", 1)
    schema.wait_until(lambda: schema.count("other") == 0)
    schema.execute("UPDATE c SET id = 2; ALTER TABLE c ALTER id SET NOT NULL")
    schema.wait_until(lambda: schema.count("p") == 0)
    assert ids(consume(topic, 2)) == [1, 2]
    daemon.stop().expect(0)


def test_a_foreign_table_is_refused(signalbus, schema, parent, postgres):
    schema.execute("CREATE EXTENSION IF NOT EXISTS postgres_fdw")
    schema.execute(f"CREATE SERVER {schema} FOREIGN DATA WRAPPER postgres_fdw")
    try:
        schema.execute(f"CREATE FOREIGN TABLE f () INHERITS (p) SERVER {schema}")
        problem = (f"{schema}.f is a foreign table, whose rows cannot be locked; "
                   f"ALTER FOREIGN TABLE {schema}.f NO INHERIT {schema}.p")
        assert problem in signalbus("check").expect(1).stdout
        assert signalbus("flushmany").expect(78).logged(problem)
    finally:
        schema.execute(f"DROP SERVER {schema} CASCADE")


@pytest.mark.parametrize("flush", FLUSHES.values(), ids=FLUSHES.keys())
def test_the_same_key_twice(signalbus, schema, parent, consume, flush):
    """Rows with one key, in parent, child and grandchild, are different signals."""
    schema.execute("CREATE TABLE g () INHERITS (c)")
    schema.execute("INSERT INTO c SELECT id, 'child' FROM ONLY p")
    schema.execute("INSERT INTO g SELECT id, 'grandchild' FROM ONLY p")
    signalbus(*flush).expect(0)
    assert sorted(ids(consume(parent, 9))) == [1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert schema.count("p") == 0


def test_children_come_and_go(signalbus, schema, parent, consume):
    """Under the daemon: attached with rows, detached, dropped, emptied."""
    daemon = signalbus.start("run")
    schema.wait_until(lambda: schema.count("p") == 0)
    schema.execute("CREATE TABLE late (other int, payload text, id bigint NOT NULL)")
    schema.execute("INSERT INTO late (id, payload) VALUES (4, 'x'), (5, 'y')")
    schema.execute("ALTER TABLE late INHERIT p")
    schema.wait_until(lambda: schema.count("p") == 0)
    schema.execute("ALTER TABLE late NO INHERIT p; INSERT INTO late (id) VALUES (100)")
    schema.execute("DROP TABLE c; TRUNCATE p; INSERT INTO p VALUES (6, 'z')")
    schema.wait_until(lambda: schema.count("p") == 0)
    daemon.stop().expect(0)
    assert ids(consume(parent, 6)) == [1, 2, 3, 4, 5, 6]
    assert schema.execute("SELECT id FROM late") == [(100,)]
