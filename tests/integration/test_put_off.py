"""Rows that cannot be sent for a reason of their own: they wait, and hold up no other."""

import time

import pytest

from runner import FAILED, ids, model
from test_metrics import Site, wait_value

LIMIT = {"message_max_bytes": 10_000}


def make_rows(schema, topic, count, every):
    """Rows for a topic; every n-th one is for another, which is missing."""
    schema.execute("CREATE TABLE t (id bigint PRIMARY KEY, ty text)")
    schema.execute("INSERT INTO t SELECT n, CASE WHEN n %% %s = 0 THEN %s ELSE %s END "
                   "FROM generate_series(1, %s) n", every, topic + "-missing", topic, count)
    schema.execute("VACUUM ANALYZE t")
    return schema.table("t")


@pytest.mark.parametrize("flush", [("flush", "-w", "0"), ("flushmany",), ("flushmany", "-j", "2")],
                         ids=["flush", "flushmany", "two workers"])
def test_good_rows_do_not_wait_for_a_topic(signalbus, schema, make_topic, consume, flush):
    topic = make_topic()
    signalbus.configure(model("A", make_rows(schema, topic, 3050, 61), "{ty}", burst_count=100),
                        timeout=3.0)
    completed = signalbus(*flush)
    assert completed.seconds > 3 and schema.count("t") == 50
    assert f'model "A": topic "{topic}-missing": ' in completed.expect_failure()
    assert len(set(ids(consume(topic, 3000)))) == 3000


def test_the_topic_is_made_meanwhile(signalbus, schema, make_topic, consume):
    topic = make_topic()
    signalbus.configure(model("A", make_rows(schema, topic, 200, 20), "{ty}", burst_count=100),
                        timeout=30.0)
    run = signalbus.start("flushmany")
    schema.wait_until(lambda: schema.count("t") == 10)
    make_topic(name=topic + "-missing")
    run.finish(30).expect(0)
    assert len(consume(topic + "-missing", 10)) == 10 and schema.count("t") == 0


def test_the_daemon_sends_the_others_at_once(signalbus, schema, make_topic, consume):
    """Backlog, and what comes to a quiet table later; then the topic is made."""
    topic = make_topic()
    signalbus.configure(model("A", make_rows(schema, topic, 3050, 61), "{ty}", burst_count=100),
                        poll_interval=0.2)
    schema.execute(signalbus("triggers").expect(0).stdout)
    daemon = signalbus.start("run")
    schema.wait_until(lambda: schema.count("t") == 50, 30, "the good rows")
    waits = []
    for n in range(20):
        since = time.monotonic()
        schema.execute("INSERT INTO t VALUES (%s, %s)", 10_000 + n, topic)
        schema.wait_until(lambda: schema.count("t") == 50)
        waits.append(time.monotonic() - since)
    assert sorted(waits)[10] < 1, waits
    make_topic(name=topic + "-missing")
    schema.wait_until(lambda: schema.count("t") == 0, 30)
    daemon.wait_log('model "A": resumed')
    daemon.stop().expect(0)
    assert daemon.log().count(FAILED) == 1 and daemon.log().count("resumed") == 1, daemon.log()
    assert len(consume(topic, 3020)) == 3020 and len(consume(topic + "-missing", 50)) == 50


@pytest.mark.parametrize("burst_count", [1, 10])
def test_a_rejected_row(signalbus, schema, make_topic, consume, burst_count):
    """It is named, once, and rows that come later are sent at once."""
    topic = make_topic()
    schema.make_signals("t", 5)
    schema.execute("UPDATE t SET payload = repeat('x', 20000) WHERE id IN (2, 4)")
    signalbus.configure(model("A", schema.table("t"), topic, burst_count=burst_count), kafka=LIMIT,
                        poll_interval=0.05)
    daemon = signalbus.start("run")
    for row in (2, 4):
        daemon.wait_log(f"the message of signal (id)=({row}) was rejected")
    for n in range(6, 26):
        schema.insert_signals("t", 1, first=n)
        schema.wait_until(lambda: schema.count("t") == 2, 5)
    schema.execute("DELETE FROM t WHERE id = 2; UPDATE t SET payload = 'x' WHERE id = 4")
    schema.wait_until(lambda: schema.count("t") == 0)
    daemon.wait_log("resumed")
    daemon.stop().expect(0)
    assert daemon.log().count(FAILED) == 2, daemon.log()
    assert sorted(ids(consume(topic, 24))) == [n for n in range(1, 26) if n != 2]


def test_more_than_are_remembered(signalbus, schema, make_topic, consume):
    topic = make_topic()
    signalbus.configure(model("A", make_rows(schema, topic, 4500, 3), "{ty}", burst_count=50),
                        poll_interval=0.05, timeout=3.0)
    signalbus("flushmany").expect_failure()
    assert schema.count("t") == 1500
    daemon = signalbus.start("run")
    daemon.wait_log(f'topic "{topic}-missing"')
    schema.execute("INSERT INTO t SELECT n, %s FROM generate_series(5001, 5100) n", topic)
    schema.wait_until(lambda: schema.count("t") == 1500, 15)
    make_topic(name=topic + "-missing")
    schema.wait_until(lambda: schema.count("t") == 0, 30)
    daemon.stop().expect(0)
    assert len(consume(topic, 3100)) == 3100 and len(consume(topic + "-missing", 1500)) == 1500


def test_more_than_are_remembered_stay(signalbus, schema, make_topic):
    """They are tried now and then, and hold up no rows that come later."""
    site = Site()
    count = 1500
    signalbus.configure(model("A", schema.make_signals("t", count), make_topic(), burst_count=50),
                        poll_interval=0.2, metrics_listen=str(site))
    schema.execute("CREATE TABLE line (signal_id bigint REFERENCES t); CREATE INDEX ON line (signal_id)")
    schema.execute("INSERT INTO line SELECT id FROM t")
    schema.insert_signals("t", 50, first=count + 1)
    daemon = signalbus.start("run")
    schema.wait_until(lambda: schema.count("t") == count, 60, "the good rows")
    tries, since = site.value("signalbus_errors_total", model="A", kind="database"), time.monotonic()
    for n in range(12):
        schema.insert_signals("t", 1, first=2000 + n)
        schema.wait_until(lambda: schema.count("t") == count, 10, "a row that comes later")
    tries = site.value("signalbus_errors_total", model="A", kind="database") - tries
    rounds = 4 + time.monotonic() - since
    assert tries < rounds * count / 50, "now and then all of them, in bursts"
    assert site.value("signalbus_stopped", model="A") == 1
    schema.execute("DROP TABLE line")
    daemon.wait_log('model "A": resumed')
    wait_value(site, 0, "signalbus_stopped", model="A")
    daemon.stop().expect(0)
    assert daemon.log().count(FAILED) == 20
    assert daemon.log().count(f"more signals of table {schema}.t cannot be sent") == 1


def test_a_parent(signalbus, schema, make_topic, consume):
    """A ctid is not unique in it."""
    topic = make_topic()
    schema.execute("CREATE TABLE t (id bigint PRIMARY KEY, payload text) PARTITION BY RANGE (id)")
    schema.execute("CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM (1) TO (11)")
    schema.execute("CREATE TABLE t_2 PARTITION OF t DEFAULT")
    schema.execute("INSERT INTO t SELECT n, repeat('x', CASE n WHEN 12 THEN 20000 ELSE 1 END) "
                   "FROM generate_series(1, 20) n")
    signalbus.configure(model("A", schema.table("t"), topic, burst_count=3), kafka=LIMIT,
                        poll_interval=0.05)
    assert "(id)=(12) was rejected" in signalbus("flushmany").expect_failure()
    daemon = signalbus.start("run")
    daemon.wait_log("(id)=(12) was rejected")
    schema.execute("INSERT INTO t VALUES (0, 'x'), (2, 'x'), (21, 'x')")
    schema.wait_until(lambda: schema.count("t") == 1)
    daemon.stop().expect(0)
    assert len(consume(topic, 22)) == 22
