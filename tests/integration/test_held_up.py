"""What holds up one model holds up no others, and is logged with model, table and reason: locks of
others, statements that fail while the session lives, triggers that take long."""

import contextlib
import os
import re
import signal
import time

import pytest

from runner import FAILED, ids, model
from schemas import Gate
from servers import wait_until
from test_daemon import Systemd
from test_metrics import Site, wait_value

NAMES = ("A", "B", "C")


@pytest.fixture
def three(signalbus, schema, make_topic):
    """Configures three models with some rows each."""
    topics = {name: make_topic() for name in NAMES}

    def configure(rows=3, order_by=(), **settings):
        order = {"order_by": list(order_by)} if order_by else {}
        models = [model(name, schema.make_signals(name.lower(), rows), topics[name], **order)
                  for name in NAMES]
        signalbus.configure(*models, **settings)
        return topics
    return configure


@contextlib.contextmanager
def locked(schema, table):
    """Keeps a table locked; yields the server process that does so."""
    connection = schema.connect()
    connection.cursor().execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
    yield connection.info.backend_pid
    connection.rollback()


def lines(log, text):
    return [line for line in log.splitlines() if text in line]


def wait_gone(schema, table, limit):
    wait_until(lambda: schema.count(table) == 0, limit, f"{table} empty")


@pytest.mark.parametrize("command", [("flush", "-w", "0"), ("flushmany", "-j", "2"),
                                     ("flushordered",)], ids=lambda command: command[0])
def test_a_locked_table_fails_alone(signalbus, schema, three, command):
    """Also to be described; the others go first, and the holder of the lock is logged."""
    three(timeout=1.5, order_by=["id"])
    with locked(schema, "a") as pid:
        running = signalbus.start(*command)
        wait_gone(schema, "b", 20)
        wait_gone(schema, "c", 20)
        assert running.is_alive() and FAILED not in running.log()
        reason = running.finish().expect_failure()
    assert reason.startswith(f'model "A": table {schema}.a: locked by server process {pid} (user ')
    assert "AccessExclusiveLock" in reason and reason.endswith("SQLSTATE 55P03")
    assert schema.count("a") == 3


def test_a_table_that_is_unlocked_in_time(signalbus, schema, three, topics):
    made = three(timeout=20.0)
    with locked(schema, "a"):
        running = signalbus.start("flushmany")
        wait_gone(schema, "c", 20)
    run = running.finish().expect(0)
    assert schema.count("a") == 0 and len(lines(run.stderr, "")) <= 1
    assert set(ids(topics.read(made["A"], 3))) == {1, 2, 3}


def test_a_locked_table_keeps_no_worker(signalbus, schema, three):
    """Of the daemon, though it has but one; a line when it has lasted, and one when it is over."""
    site = Site()
    three(timeout=2.0, workers=1, poll_interval=0.1, metrics_listen=str(site))
    with locked(schema, "a") as pid:
        daemon = signalbus.start("run")
        wait_gone(schema, "b", 20)
        daemon.wait_log(f"table {schema}.a: locked by server process {pid}")
        wait_value(site, 1, "signalbus_stopped", model="A")
        assert site.value("signalbus_stopped", model="B") == 0
        for number in range(10, 15):
            schema.insert_signals("c", 1, number)
            wait_gone(schema, "c", 10)
    wait_gone(schema, "a", 20)
    daemon.wait_log('model "A": resumed after')
    wait_value(site, 0, "signalbus_stopped", model="A")
    log = daemon.stop().expect(0).stderr
    assert len(lines(log, 'model "A"')) == 2 and not lines(log, 'model "B"')


def test_locked_rows_are_reported(signalbus, schema, three):
    """That claims pass over them looks like an empty table; others' transactions may end late."""
    site = Site()
    three(timeout=1.5, poll_interval=0.2, metrics_listen=str(site))
    schema.execute("CREATE TABLE child (a bigint REFERENCES b)")
    connections = [schema.connect() for _ in range(2)]
    connections[0].cursor().execute("SELECT FROM a FOR UPDATE")
    connections[1].cursor().execute("INSERT INTO child VALUES (2)")
    daemon = signalbus.start("run")
    for name, table, connection in zip(NAMES, ("a", "b"), connections):
        daemon.wait_log(f'model "{name}": table {schema}.{table}: signals have been locked for')
        assert f" by server process {connection.info.backend_pid} (user " in daemon.log()
        assert re.search(r"for \d+ s by", daemon.log())
        wait_value(site, 1, "signalbus_stopped", model=name)
        assert site.value("signalbus_oldest_pending_seconds", model=name) >= 1.5
    schema.insert_signals("a", 2, 10)  # the others continue
    wait_until(lambda: schema.count("a") == 3, 20, "new signals sent")
    assert site.value("signalbus_oldest_pending_seconds", model="A") >= 1.5
    for name, table, connection in zip(NAMES, ("a", "b"), connections):
        connection.rollback()
        wait_gone(schema, table, 20)
        daemon.wait_log(f'model "{name}": resumed after')
        wait_value(site, 0, "signalbus_stopped", model=name)
        wait_value(site, 0, "signalbus_oldest_pending_seconds", model=name)
    log = daemon.stop().expect(0).stderr
    assert len(lines(log, 'model "')) == 4, log


def test_other_commands_name_the_locked_table(signalbus, schema, three):
    three(timeout=0.5)
    with locked(schema, "b"):
        for command in ("pending", "check"):
            run = signalbus(command).expect(1)
            assert 'model "B"' in run.stdout + run.stderr, run
            assert "lock timeout" in run.stdout + run.stderr, run


def test_a_lock_that_a_deletion_meets(signalbus, schema, make_topic, count_in_log):
    """On a table that refers to the signals, whose rows are to go with them."""
    topic = make_topic()
    schema.execute("CREATE TABLE child (id bigint)")
    signalbus.configure(model("A", schema.make_signals("a", 30), topic, burst_count=10),
                        model("B", schema.make_signals("b"), make_topic()),
                        timeout=60.0, poll_interval=0.1, workers=2)
    schema.execute("ALTER TABLE child ADD FOREIGN KEY (id) REFERENCES a (id) ON DELETE CASCADE")
    with locked(schema, "child"):
        daemon = signalbus.start("run")
        for number in range(1, 5):
            schema.insert_signals("b", 1, number)
            wait_gone(schema, "b", 20)
        assert schema.count("a") == 30 and count_in_log(topic) == 0
    wait_gone(schema, "a", 20)
    daemon.stop().expect(0)
    assert count_in_log(topic) == 30 and "signal (id)" not in daemon.log()


# Those that usually mean that the server is unavailable, raised by a trigger.
STATES = ("08006", "25006", "53100", "53300", "55P03", "57014", "57P01", "57P03", "58030")


def test_statements_that_fail_are_their_models_failures(signalbus, schema, make_topic):
    models = []
    for state in STATES:
        table = f"t_{state.lower()}"
        models.append(model(f"Bad{state}", schema.make_signals(table, 1), make_topic()))
        schema.on_delete(table, f"RAISE EXCEPTION 'no' USING ERRCODE = '{state}'")
    signalbus.configure(*models, model("Good", schema.make_signals("good", 3), make_topic()),
                        timeout=1.0)
    running = signalbus.start("flushmany")
    wait_gone(schema, "good", 20)
    assert running.is_alive()
    run = running.finish().expect(1)
    for state in STATES:
        [line] = lines(run.stderr, f'{FAILED}model "Bad{state}"')
        assert f"table {schema}.t_{state.lower()}" in line, line
        assert "database: no (PL/pgSQL function" in line, line
        assert line.endswith(f"SQLSTATE {state}"), line
    assert schema.count("good") == 0


def test_an_error_names_model_table_and_column(signalbus, schema, make_topic):
    tables = {name: schema.make_signals(f"t{number}", 1) for number, name in enumerate(NAMES)}
    fields = ["id", {"name": "f", "sql": "1 / (id - id)"}]
    signalbus.configure(*(model(name, table, make_topic(), fields=fields)
                          for name, table in tables.items()))
    run = signalbus("flushmany").expect(1)
    for name, table in tables.items():
        assert len(lines(run.stderr, f'model "{name}": signal (id)=(1) cannot be read from table '
                                     f"{table}, so it is not sent: f: database: division by zero "
                                     "SQLSTATE 22012")) == 1, run
    schema.execute("CREATE TABLE line (n int NOT NULL REFERENCES t0 (id) ON DELETE SET NULL, "
                   "CHECK (n > 0))")
    schema.execute("ALTER TABLE t0 ALTER id TYPE int; INSERT INTO line VALUES (1)")
    signalbus.configure(model("A", tables["A"], make_topic()))
    assert re.search(r'null value in column "n" of relation "line"', signalbus(
        "flushmany").expect_failure())


def test_what_takes_longer_than_the_timeout_is_reported(signalbus, schema, three, folder):
    """A trigger that sleeps, and is cancelled each time; others continue, and the status names it."""
    site, systemd = Site(), Systemd(folder)
    three(timeout=1.0, rows=1, poll_interval=0.1, metrics_listen=str(site))
    schema.on_delete("a", f"""IF to_regclass('{schema}.awake') IS NULL THEN
        PERFORM pg_sleep(60); END IF""")
    daemon = signalbus.start("run", environment={"NOTIFY_SOCKET": systemd.path})
    daemon.wait_log(f'{FAILED}model "A": table {schema}.a: database: canceling statement due to '
                    "statement timeout (")
    assert "pg_sleep" in daemon.log()
    wait_value(site, 1, "signalbus_stopped", model="A")
    wait_value(site, lambda seconds: seconds > 2, "signalbus_oldest_pending_seconds", model="A")
    wait_gone(schema, "b", 10)
    wait_until(lambda: any("; stopped: A (database, " in message for message in systemd.messages),
               20, "that the status names it")
    schema.execute("CREATE TABLE awake ()")
    wait_gone(schema, "a", 15)
    daemon.wait_log('model "A": resumed after')
    log = daemon.stop().expect(0).stderr
    assert len(lines(log, 'model "A"')) == 2


@pytest.fixture
def hanging(postgres, schema):
    """Makes commits hang, except those of the tests, as if the synchronous standby were down."""
    schema.execute("SET synchronous_commit = local")

    def switch(name):
        schema.execute(f"ALTER SYSTEM SET synchronous_standby_names = {name}")
        schema.execute("SELECT pg_reload_conf()")
    yield switch
    switch("''")


def sessions(schema, condition="true"):
    return [pid for pid, in schema.execute(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
        f"AND application_name = 'signalbus' AND {condition}")]


@pytest.mark.early
def test_commits_that_hang_are_done_and_counted(signalbus, schema, make_topic, topics, hanging):
    """They are cancelled, which commits what is sent; no sessions pile up; two lines tell."""
    topic, site = make_topic(), Site()
    signalbus.configure(model("A", schema.make_signals("t"), topic), timeout=0.5, workers=2,
                        poll_interval=0.1, metrics_listen=str(site))
    daemon = signalbus.start("run")
    daemon.wait_log("kafka: the broker answers")
    hanging("'nobody'")
    most = 0
    for number in range(3):  # one by one, with nothing pending in between
        schema.insert_signals("t", 2, 2 * number)

        def is_gone():
            nonlocal most
            most = max(most, len(sessions(schema, "wait_event = 'SyncRep'")))
            assert most <= 2 and len(sessions(schema)) <= 2 + 2 + 2  # listener, counting; cancelling
            return schema.count("t") == 0
        wait_until(is_gone, 30, "the signals gone")
        wait_value(site, lambda sent: sent == 2 * number + 2, "signalbus_sent_total", model="A")
    assert most >= 1  # two, if the second worker joins while the first one waits
    daemon.wait_log(f'{FAILED}model "A": table {schema}.t: database at 127.0.0.1 port')
    assert "resumed after" not in daemon.log()
    hanging("''")
    schema.insert_signals("t", 1, 6)
    wait_gone(schema, "t", 15)
    daemon.wait_log('model "A": resumed after')
    log = daemon.stop().expect(0).stderr
    assert len(lines(log, 'model "A"')) == 2 and len(lines(log, "no answer within ")) == 1
    assert "canceling wait for synchronous replication" in log
    assert sorted(ids(topics.read(topic, 7))) == list(range(7))


def test_a_backlog_whose_commits_hang(signalbus, schema, make_topic, topics, hanging):
    """It is sent once, with one warning; check knows beforehand."""
    topic = make_topic()
    signalbus.configure(model("A", schema.make_signals("t", 4), topic, burst_count=2), timeout=0.5,
                        notify_channel="")
    hanging("'nobody'")
    wait_until(lambda: schema.value("SHOW synchronous_standby_names") == "nobody", 10, "the setting")
    checked = signalbus("check").expect(0).stdout
    assert "synchronous_standby_names = 'nobody', so each commit waits" in checked
    run = signalbus("flushmany").expect(0)
    assert schema.count("t") == 0 and run.stderr.count("\n") == 1
    assert "warning: model" in run.stderr and "canceling wait for synchronous" in run.stderr
    hanging("'ANY 1 (nobody)'")
    wait_until(lambda: schema.value("SHOW synchronous_standby_names") != "nobody", 10, "the setting")
    assert "synchronous_standby_names" in signalbus("check").expect(0).stdout
    hanging("''")
    wait_until(lambda: schema.value("SHOW synchronous_standby_names") == "", 10, "the setting")
    assert signalbus("check").expect(0).findings() == []
    assert sorted(ids(topics.read(topic, 4))) == [1, 2, 3, 4]


def test_a_preparation_that_others_cancel_is_rolled_back(
        signalbus, schema, make_topic, topics, hanging):
    """PREPARE TRANSACTION succeeds, but a standby that takes over may not have it."""
    topic, instance = make_topic(), str(schema)
    signalbus.configure(model("A", schema.make_signals("t"), topic), timeout=10, workers=1,
                        delivery="exactly-once", instance=instance, notify_channel="")
    daemon = signalbus.start("-vv", "run")
    schema.insert_signals("t", 1)
    wait_gone(schema, "t", 10)
    hanging("'nobody'")
    schema.insert_signals("t", 1, 2)
    wait_until(lambda: sessions(schema, "query LIKE 'PREPARE%' AND wait_event = 'SyncRep'"), 20,
               "a preparation that waits")
    [pid] = sessions(schema, "query LIKE 'PREPARE%'")
    schema.execute("SELECT pg_cancel_backend(%s)", pid)
    wait_until(lambda: not sessions(schema, "query LIKE 'PREPARE%'"), 20, "its end")
    hanging("''")
    daemon.wait_log("not committed: database: cancelled by others: ")
    wait_gone(schema, "t", 15)
    daemon.stop().expect(0)
    assert ids(topics.consume(topic, 2)) == [1, 2]


def test_a_process_that_does_not_end_is_ended(signalbus, schema, make_topic):
    """One of the server's that is frozen: no other session takes its place until it has gone."""
    signalbus.configure(model("A", schema.make_signals("t", 3), make_topic(), burst_count=3),
                        timeout=0.5, workers=1, poll_interval=0.1, notify_channel="")
    gate = Gate(schema, "t")
    daemon = signalbus.start("run")
    gate.wait_for()
    [frozen] = schema.execute("SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    os.kill(frozen[0], signal.SIGSTOP)
    try:
        daemon.wait_log(f"server process {frozen[0]}, which did not answer", 10)
        gate.open()
        for _ in range(20):
            assert len(sessions(schema)) <= 1 + 1 + 1  # counting; and one that finds this out
            time.sleep(0.1)
        assert schema.count("t") == 3
    finally:
        os.kill(frozen[0], signal.SIGCONT)
    wait_gone(schema, "t", 15)
    assert frozen[0] not in sessions(schema)
    daemon.stop().expect(0)
