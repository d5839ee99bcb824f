"""Between signalbus and the server is a pooler: it gives sessions, or is refused."""

import urllib.error
import urllib.request

import pytest

from poolers import PgBouncer
from runner import Signalbus, ids, model, every_flush
from servers import Ports, wait_until

REFUSAL = ("database: a connection pooler uses transaction pooling, but signalbus needs session pooling; connect to the server directly, or set the pooler to session pooling (PgBouncer: pool_mode = session)")


@pytest.fixture(params=[3, 1], ids=["pool-of-3", "pool-of-1"])
def transactions(request, postgres):
    with PgBouncer(postgres, "transaction", default_pool_size=request.param) as pooler:
        yield pooler


@pytest.fixture
def sessions(postgres):
    with PgBouncer(postgres, "session") as pooler:
        yield pooler


def test_two_daemons_through_a_pooler_of_transactions(folder, schema, kafka, make_topic,
                                                     count_in_log, transactions):
    """Nothing is sent, to no topic: they refuse, and say so where people look."""
    topics = {name: make_topic() for name in ("a", "b")}
    buses, daemons, ports = [], [], []
    try:
        for name, topic in topics.items():
            (folder / name).mkdir()
            bus = Signalbus(folder / name, transactions.conninfo(), kafka.bootstrap)
            ports.append(Ports.take())
            bus.configure(model(name, schema.make_signals(name, 50), topic), poll_interval=0.1,
                          metrics_listen=f"127.0.0.1:{ports[-1]}", timeout=5.0)
            buses.append(bus)
        daemons = [bus.start("run") for bus in buses]
        for daemon, port in zip(daemons, ports):
            daemon.wait_log(REFUSAL)
            wait_until(lambda: REFUSAL in readiness(port), 20, "the reason is on /readyz")
        for name in topics:
            schema.insert_signals(name, 50, first=51)
        logs = [daemon.stop().expect(0).stderr for daemon in daemons]
        assert all(log.count("uses transaction pooling") == 1 for log in logs), "\n".join(logs)
    finally:
        for bus in buses:
            bus.discard()
    assert [schema.count(name) for name in topics] == [100, 100]
    assert [count_in_log(topic) for topic in topics.values()] == [0, 0]


def readiness(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as error:
        assert error.code == 503
        return error.read().decode()


def test_commands_through_a_pooler_of_transactions(signalbus, schema, make_topic, transactions):
    signalbus.database = transactions.conninfo()
    signalbus.configure(*(model(name, schema.make_signals(name, 5), make_topic())
                          for name in ("a", "b")))
    for flush in (("flush", "-w", "0"), ("flushmany", "-j", "2"), ("flushordered",)):
        assert signalbus(*flush).expect_failure() == REFUSAL
    assert signalbus("check").expect(1).stdout.splitlines() == [REFUSAL]
    assert schema.count("a") == schema.count("b") == 5
    leftovers = schema.execute("SELECT name FROM pg_settings WHERE name LIKE 'signalbus%%'")
    assert leftovers == []


@every_flush
def test_a_pooler_of_sessions_works(signalbus, schema, make_topic, consume, sessions, flush):
    topics = {name: make_topic() for name in ("plain", "ordered")}
    signalbus.database = sessions.conninfo()
    signalbus.configure(
        model("Plain", schema.make_signals("plain", 100), topics["plain"], burst_count=7),
        model("Ordered", schema.make_signals("ordered", 100), topics["ordered"], burst_count=7,
              **({"order_by": ["id"]} if flush[0] == "flushordered" else {})))
    signalbus("check").expect(0)
    signalbus(*flush).expect_silence()
    for topic in topics.values():
        assert sorted(ids(consume(topic, 100))) == list(range(1, 101))


def test_a_daemon_with_a_pooler_of_sessions(signalbus, schema, make_topic, consume, sessions):
    topic = make_topic()
    signalbus.database = sessions.conninfo()
    signalbus.configure(model("A", schema.make_signals("t", 5), topic, order_by=["id"]))
    schema.execute(signalbus("triggers").expect(0).stdout)
    daemon = signalbus.start("-v", "run")
    schema.wait_until(lambda: schema.count("t") == 0, what="all sent")
    schema.insert_signals("t", 5, first=6)
    schema.wait_until(lambda: schema.count("t") == 0, what="all sent")
    assert "pool" not in daemon.stop().expect(0).stderr
    assert ids(consume(topic, 10)) == list(range(1, 11))
