"""Between signalbus and the server is a pooler: of sessions, or of transactions, with database_listen."""

import contextlib
import itertools
import json
import threading
import urllib.error
import urllib.request

import psycopg2
import pytest

from poolers import PgBouncer
from proxy import Proxy
from runner import Signalbus, ids, model, every_flush
from schemas import Gate
from servers import Ports, wait_until

REFUSAL = ("database: a connection pooler uses transaction pooling, but signalbus needs session pooling; connect to the server directly, or set the pooler to session pooling (PgBouncer: pool_mode = session), or database_listen to a direct connection")


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


def test_a_pooler_that_refuses_another_connection(signalbus, schema, postgres, make_topic):
    """Then it does not show what it pools."""
    with PgBouncer(postgres, "transaction", default_pool_size=1, max_client_conn=1) as pooler:
        signalbus.database = pooler.conninfo()
        signalbus.configure(model("A", schema.make_signals("t", 5), make_topic()), timeout=1.0)
        assert signalbus("flushmany").expect_failure().startswith(
            "database: without another connection, a connection pooler does not show what it "
            "pools: ")
    assert schema.count("t") == 5


class Balancer(Proxy):
    """Each connection leads to another pooler than the one before."""

    @property
    def target(self):
        return next(self.ports)

    @target.setter
    def target(self, poolers):
        self.ports = itertools.cycle([pooler.port for pooler in poolers])


@every_flush
def test_several_poolers_at_one_address(signalbus, schema, postgres, make_topic, flush):
    """Which have one session each: what another connection gets says nothing of this one."""
    with contextlib.ExitStack() as stack:
        poolers = [stack.enter_context(PgBouncer(postgres, "transaction", default_pool_size=1))
                   for _ in range(2)]
        balancer = stack.enter_context(Balancer(poolers))
        signalbus.database = postgres.conninfo(port=balancer.port, user="postgres")
        signalbus.configure(model("A", schema.make_signals("t", 5), make_topic()))
        assert signalbus(*flush).expect_failure() == REFUSAL
    assert schema.count("t") == 5


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


@pytest.fixture
def pooled(signalbus, postgres, transactions):
    """signalbus connects by the pooler; returns the setting by which it is allowed."""
    signalbus.database = transactions.conninfo()
    return {"database_listen": postgres.conninfo()}


class Others:
    """
    Another client of the pooler, which changes settings for others, and notes what signalbus leaves
    in the sessions that it gets.
    """

    LEAVES = ("RESET ROLE; SET bytea_output = 'escape'; SET default_transaction_isolation = "
              "'serializable'; SET default_transaction_read_only = on; SET search_path = pg_temp; "
              "SET extra_float_digits = 0; SET row_security = on; SET transform_null_equals = on; "
              "SET session_replication_role = replica; SET ROLE pg_monitor")
    SEEN = {"role": "CURRENT_USER", "replication": "current_setting('session_replication_role')",
            "null": "(1 = NULL) IS NULL"}
    LEFT = ("SELECT name || ' = ' || setting FROM pg_settings WHERE source = 'session' AND name IN "
            "('TimeZone', 'jit', 'lock_timeout', 'plan_cache_mode', 'statement_timeout', "
            "'idle_in_transaction_session_timeout') OR name LIKE 'signalbus%' "
            "UNION ALL SELECT name FROM pg_prepared_statements UNION ALL SELECT name FROM pg_cursors "
            "UNION ALL SELECT 'lock ' || objid FROM pg_locks WHERE locktype = 'advisory' "
            "AND pid = pg_backend_pid()")

    def __init__(self, pooler):
        self.pooler = pooler
        self.left, self.looks = set(), 0
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.work)

    def work(self):
        with contextlib.closing(psycopg2.connect(self.pooler.conninfo())) as connection:
            connection.autocommit = True
            cursor = connection.cursor()
            while not self.stopping.is_set():
                cursor.execute("BEGIN; " + self.LEFT)
                self.left.update(row[0] for row in cursor.fetchall())
                cursor.execute("COMMIT")
                cursor.execute(self.LEAVES)
                self.looks += 1

    def __enter__(self):
        self.thread.start()
        wait_until(lambda: self.looks > 0 or not self.thread.is_alive(), 20, "the first look")
        return self

    def __exit__(self, *_):
        looks = self.looks
        wait_until(lambda: self.looks > looks + 3 or not self.thread.is_alive(), 20, "more looks")
        self.stopping.set()
        self.thread.join()
        assert self.looks > looks and self.left == set()


def lock_sessions(schema):
    """The sessions that have ordered locks."""
    return [pid for pid, in schema.execute(
        "SELECT DISTINCT pid FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE locktype = "
        "'advisory' AND application_name = 'signalbus' AND state = 'idle'")]


@every_flush
def test_transactions_and_a_session_for_locks(signalbus, schema, make_topic, consume,
                                              transactions, pooled, flush):
    """Each message once and complete, in order where that is asked for; nothing is left there."""
    topics = {name: make_topic() for name in ("plain", "ordered")}
    for name in topics:
        schema.make_signals(name, 300, columns=", bytes bytea DEFAULT '\\x00ff', "
                            "moment timestamptz DEFAULT '2026-01-01 00:00+00'")
    fields = ["id", "bytes", "moment",
              *({"name": name, "sql": sql} for name, sql in Others.SEEN.items())]
    signalbus.configure(
        model("Plain", schema.table("plain"), topics["plain"], burst_count=60,
              where="id > 0", fields=fields),
        model("Ordered", schema.table("ordered"), topics["ordered"], burst_count=60, fields=fields,
              **({"order_by": ["id"]} if flush[0] == "flushordered" else {})), **pooled)
    with Others(transactions):
        signalbus("check").expect(0)
        signalbus(*flush).expect_silence()
    for name, topic in topics.items():
        values = [json.loads(message.value) for message in consume(topic, 300)]
        expected = [{"id": number, "bytes": "AP8=", "moment": "2026-01-01T00:00:00+00:00",
                     "role": "postgres", "replication": "origin", "null": True}
                    for number in range(1, 301)]
        if (name, flush[0]) != ("ordered", "flushordered"):
            values.sort(key=lambda value: value["id"])
        assert values == expected


@pytest.mark.parametrize("transactions", [1], ids=["pool-of-1"], indirect=True)
def test_commands_between_other_clients(signalbus, schema, make_topic, transactions, pooled):
    """What others leave in the sessions changes nothing for commands that write, either."""
    schema.execute("CREATE TABLE t (id int PRIMARY KEY, bytes bytea, x text); INSERT INTO t "
                   "SELECT n, '\\x00ff5c', repeat('x', 20000) FROM generate_series(1, 2) n")
    signalbus.configure(model("A", schema.table("t"), make_topic()), kafka={"message_max_bytes": 10000},
                        dead_letter_table=schema.table("dead"),
                        defaults={"on_reject": "dead-letter"}, **pooled)
    schema.execute(signalbus("triggers").expect(0).stdout)
    before = schema.execute("SELECT t::text FROM t ORDER BY id")
    with Others(transactions):
        signalbus("flushmany").expect(0)
        assert schema.count("dead") == 2 and schema.count("t") == 0
        assert signalbus("-v", "pause").expect(0).logged('model "A": paused')
        assert signalbus("-v", "resume").expect(0).logged('model "A": resumed')
        assert len(signalbus("dead-letters").expect(0).stdout.splitlines()) == 2
        assert signalbus("-v", "dead-letters", "--requeue").expect(0).logged(
            f"2 signals are back in table {schema}.t")
        assert schema.execute("SELECT t::text FROM t ORDER BY id") == before
        signalbus("flushmany").expect(0)
        assert signalbus("dead-letters", "--discard", "--all").expect(0).logged(
            "2 dead letters were deleted")
        signalbus("recover").expect(0)


@pytest.mark.parametrize("transactions", [1], ids=["pool-of-1"], indirect=True)
def test_temporary_tables_of_others_are_not_used(signalbus, schema, make_topic, consume,
                                                 transactions, pooled):
    """The names are found by the search_path of the role, in public."""
    topic = make_topic()
    table, names = f"{schema}_t", f"{schema}_names"
    content = ("CREATE {0} TABLE {1} AS SELECT {3} AS id; ALTER TABLE {1} ADD PRIMARY KEY (id); "
               "CREATE {0} TABLE {2} AS SELECT '{4}' AS name")
    signalbus.configure(model("A", table, topic, fields=[
        "id", {"name": "name", "sql": f"(SELECT name FROM {names})"}]), **pooled)
    schema.execute("SET search_path = public; " + content.format("", table, names, 1, "ours"))
    try:
        with contextlib.closing(psycopg2.connect(transactions.conninfo())) as other:
            other.autocommit = True
            other.cursor().execute(content.format("TEMP", table, names, 2, "of others"))
            signalbus("flushmany").expect_silence()
    finally:
        schema.execute(f"DROP TABLE {table}, {names}; RESET search_path")
    assert [json.loads(message.value) for message in consume(topic, 1)] == [
        {"id": 1, "name": "ours"}]


def test_daemons_through_a_pooler_of_transactions(folder, signalbus, schema, postgres, kafka,
                                                  make_topic, consume, transactions, pooled):
    """Two daemons and others share sessions; the one for locks is lost now and then."""
    topics = {name: make_topic() for name in ("a", "b")}
    (folder / "b").mkdir()
    other = Signalbus(folder / "b", transactions.conninfo(), kafka.bootstrap)
    signalbus.configure(model("A", schema.make_signals("a", 0), topics["a"], burst_count=20),
                        poll_interval=5.0, **pooled)
    other.configure(model("B", schema.make_signals("b", 0), topics["b"], burst_count=20,
                          order_by=["id"]), poll_interval=5.0, **pooled)
    try:
        for bus in (signalbus, other):
            schema.execute(bus("triggers").expect(0).stdout)
        with Others(transactions):
            daemons = [bus.start("-v", "run") for bus in (signalbus, other)]
            for part in range(5):
                for name in topics:
                    schema.insert_signals(name, 100, first=1 + 100 * part)
                schema.wait_until(lambda: schema.count("b") < 50, what="half are sent")
                for pid in lock_sessions(schema):
                    schema.execute("SELECT pg_terminate_backend(%s, 10000)", pid)
            schema.wait_until(lambda: schema.count("a") + schema.count("b") == 0, what="all sent")
            for daemon in daemons:
                log = daemon.stop().expect(0).stderr
                assert "notifications do not arrive" not in log and "pooler" not in log, log
    finally:
        other.discard()
    assert sorted(ids(consume(topics["a"], 500))) == list(range(1, 501))
    assert ids(consume(topics["b"], 500)) == list(range(1, 501))


@pytest.mark.parametrize("transactions", [3], ids=["pool-of-3"], indirect=True)
def test_a_lock_that_is_lost_in_a_burst(signalbus, schema, make_topic, topics, pooled):
    """What is open is completed, and nobody else begins before."""
    topic = make_topic()
    signalbus.configure(model("A", schema.make_signals("t", 30), topic, burst_count=7,
                              order_by=["id"]), **pooled)
    gate = Gate(schema, "t")
    first = signalbus.start("flushordered")
    gate.wait_for()
    for pid in lock_sessions(schema):
        schema.execute("SELECT pg_terminate_backend(%s, 10000)", pid)
    late = signalbus("flushordered").expect(75)
    assert late.logged(f"table {schema.table('t')}: a process has lost the ordered lock, and its "
                       "last transaction is still open; try later"), late
    gate.open()
    log = first.finish().expect(0).stderr
    assert f"the session that had the ordered lock of table {schema.table('t')} has ended" in log
    assert ids(topics.read(topic, 30)) == list(range(1, 31))


def test_a_pooler_of_statements(signalbus, schema, postgres, make_topic):
    reason = "transaction blocks not allowed in statement pooling mode SQLSTATE 08P01"
    with PgBouncer(postgres, "statement") as pooler:
        signalbus.database = pooler.conninfo()
        signalbus.configure(model("A", schema.make_signals("t", 5), make_topic()),
                            database_listen=postgres.conninfo(), timeout=1.0)
        assert reason in signalbus("check").expect(1).stdout
        assert reason in signalbus("flushmany").expect_failure()
    assert schema.count("t") == 5


@pytest.mark.parametrize("wrong", ["transactions", "another"])
def test_a_session_for_locks_that_is_none(signalbus, schema, postgres, make_topic, transactions,
                                          pooled, wrong):
    listen, reason = {
        "transactions": (transactions.conninfo(), REFUSAL),
        "another": (postgres.conninfo(dbname="postgres"),
                    'it leads to another database than "database"')}[wrong]
    signalbus.configure(model("A", schema.make_signals("t", 5), make_topic(), order_by=["id"]),
                        database_listen=listen)
    expected = f"database_listen: {reason}"
    assert signalbus("check").expect(1).findings("database_listen") == [expected]
    assert signalbus("flushordered").expect_failure().endswith(expected)
    assert schema.count("t") == 5


@pytest.mark.parametrize("transactions", [3], ids=["pool-of-3"], indirect=True)
def test_a_server_for_locks_that_is_away(signalbus, schema, postgres, make_topic, pooled):
    """Only what needs locks waits for it; that is said, and so is its end."""
    port = Ports.take()
    signalbus.configure(
        model("Plain", schema.make_signals("plain", 5), make_topic()),
        model("Ordered", schema.make_signals("ordered", 5), make_topic(), order_by=["id"]),
        poll_interval=0.1, timeout=1.0, database_listen=postgres.conninfo(port=port))
    assert "database_listen: database: " in signalbus("check").expect(1).stdout
    daemon = signalbus.start("run")
    schema.wait_until(lambda: schema.count("plain") == 0, what="the others are sent")
    daemon.wait_log('model "Ordered": database_listen: database: connection to server at')
    assert schema.count("ordered") == 5
    with Proxy(postgres.port, port):
        schema.wait_until(lambda: schema.count("ordered") == 0, what="all are sent")
        daemon.wait_log('model "Ordered": resumed after')
        log = daemon.stop().expect(0).stderr
    assert log.count("database_listen: database: connection to server at") < 4, log
