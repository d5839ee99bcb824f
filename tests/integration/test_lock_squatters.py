"""Any user of the database can take the advisory locks of signalbus: then signalbus names the user."""

import contextlib
import threading

import psycopg2
import pytest

from runner import ids, model
from test_exactly_once import once, prepared  # noqa: F401 (a fixture)
from test_metrics import COUNTED_S, Site, start, wait_value

KEY = "hashtextextended(%s, 0)"


@pytest.fixture
def intruder(schema):
    """A role that may do nothing but connect."""
    name = f"{schema} intruder"
    schema.execute(f'CREATE ROLE "{name}" LOGIN')
    yield name
    schema.execute("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
                   "WHERE usename = %s", name)
    schema.execute(f'DROP OWNED BY "{name}"; DROP ROLE "{name}"')


@pytest.fixture
def ordered(signalbus, schema, make_topic):
    """A model with three signals that is sent in order; returns the topic."""
    def configure(**settings):
        topic = make_topic()
        signalbus.configure(model("A", schema.make_signals("t", 3), topic, order_by=["id"],
                                  burst_count=10), notify_channel="", poll_interval=0.2, **settings)
        return topic
    return configure


def take(session, name):
    """Takes a lock; returns the holder as it is reported, and how to end it."""
    session.cursor().execute(f"SELECT pg_advisory_lock({KEY})", (name,))
    info = session.info
    return (f'held by server process {info.backend_pid} (user "{info.user}", "signalbus")',
            f"SELECT pg_terminate_backend({info.backend_pid})")


def prepare(session, name):
    cursor = session.cursor()
    for statement in ("BEGIN", f"SELECT pg_advisory_xact_lock({KEY})", "PREPARE TRANSACTION 'it''s'"):
        cursor.execute(statement, (name,) if "%s" in statement else None)
    return (f"held by the prepared transaction 'it''s' of user \"{session.info.user}\"",
            "ROLLBACK PREPARED 'it''s'")


def wait_for(session, name):
    """Waits for it, so that nobody else can share it."""
    def wait():
        with contextlib.suppress(psycopg2.Error):
            session.cursor().execute(f"SELECT pg_advisory_lock({KEY})", (name,))
    threading.Thread(target=wait, daemon=True).start()
    info = session.info
    return (f'waited for by server process {info.backend_pid} (user "{info.user}", "signalbus")',
            f"SELECT pg_terminate_backend({info.backend_pid})")


def reported(what, holder, remedy):
    return (f"{what}: an advisory lock of signalbus is {holder}, which is not a signalbus of this "
            f"instance: those connect as user bus; {remedy} ends it")


@pytest.mark.parametrize("squat", [take, prepare])
def test_an_ordered_model_whose_lock_somebody_else_has(signalbus, schema, intruder, log_in, ordered,
                                                       consume, squat):
    site = Site()
    topic = ordered(metrics_listen=str(site))
    table = schema.table("t")
    holder, remedy = squat(log_in(intruder), f"signalbus ordered signalbus {table}")
    line = reported(f"table {table}", holder, remedy)
    failed = f'Caught error while sending pending signals: model "A": {line}'
    assert signalbus("check").expect(1).findings("advisory") == [f'model "A": {line}']
    for flush in ("flushordered",), ("flushmany",), ("flush", "-w", "0"):
        assert signalbus(*flush).expect(75).logged(failed), flush
    daemon = start(signalbus, site)
    daemon.wait_log(failed)
    wait_value(site, 1, "signalbus_stopped", model="A")
    wait_value(site, lambda count: count > 1, "signalbus_errors_total", model="A", kind="database")
    schema.execute(remedy)
    schema.wait_until(lambda: schema.count("t") == 0, what="that it is sent")
    daemon.wait_log('model "A": resumed after ')
    wait_value(site, 0, "signalbus_stopped", model="A")
    log = daemon.stop().expect(0).stderr
    assert log.count("advisory lock") == 1 and "stands by" not in log
    assert ids(consume(topic, 3)) == [1, 2, 3]
    assert signalbus("check").findings("advisory") == []


def test_a_lock_that_somebody_waits_for(signalbus, schema, intruder, log_in, ordered):
    """Flushes in no order share the lock, unless somebody waits to have it alone."""
    ordered()
    table = schema.table("t")
    name = f"signalbus ordered signalbus {table}"
    log_in("bus").cursor().execute(f"SELECT pg_advisory_lock_shared({KEY})", (name,))
    holder, remedy = wait_for(log_in(intruder), name)
    schema.wait_until(lambda: schema.value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' "
                                           "AND NOT granted"), what="the wait")
    assert signalbus("flushmany").expect(75).logged(reported(f"table {table}", holder, remedy))
    schema.execute(remedy)
    schema.wait_until(lambda: signalbus("flushmany").returncode == 0, what="an end")


@pytest.mark.parametrize("application, may_delete, is_one", [
    ("signalbus", True, True), ("psql", True, False), ("signalbus", False, False)])
def test_which_other_user_is_taken_for_a_signalbus(signalbus, schema, intruder, log_in, ordered,
                                                   application, may_delete, is_one):
    """Who may delete the signals needs no lock to stop a model."""
    ordered()
    if may_delete:
        schema.execute(f'GRANT DELETE ON t TO "{intruder}"')
    session = log_in(intruder)
    session.cursor().execute("SET application_name = %s", (application,))
    take(session, f"signalbus ordered signalbus {schema}.t")
    said = signalbus("flushordered").expect(75).stderr
    assert ("by another process: server process " in said) == is_one, said
    assert ("; try later" in said) == is_one
    assert ("advisory lock" in said) == (not is_one)


def test_somebody_keeps_all_slots(once, signalbus, schema, intruder, log_in, make_topic):
    once(model("A", schema.make_signals("t", 3), make_topic(), burst_count=10), notify_channel="")
    session = log_in(intruder)
    name = f"signalbus slot {signalbus.instance} "
    session.cursor().execute(
        f"SELECT pg_advisory_lock(hashtextextended('{name}' || n, 0)) FROM generate_series(0, 998) n")
    holder, remedy = take(session, f"{name}999")
    line = reported(f'slot 999 of instance "{signalbus.instance}"', holder, remedy)
    assert f"all slots are in use: {line}\n" in signalbus("flushmany").expect(75).stderr
    schema.execute(remedy)
    schema.wait_until(lambda: signalbus("flushmany").returncode == 0, what="an end")


def test_what_is_prepared_for_a_slot_that_somebody_keeps(once, signalbus, schema, intruder, log_in,
                                                         make_topic, consume):
    """Others are sent meanwhile; transactions of other roles with such names do not matter."""
    once(model("A", schema.make_signals("t", 3), make_topic(), burst_count=10), notify_channel="")
    theirs = log_in(intruder).cursor()
    ours = log_in("bus").cursor()
    ours.execute(f"SET search_path = {schema}")
    for cursor, number in (theirs, 8), (ours, 9):
        cursor.execute("BEGIN")
        if cursor is ours:
            cursor.execute("DELETE FROM t WHERE id = 1")
        cursor.execute(f"PREPARE TRANSACTION 'signalbus:{signalbus.instance}:77:{number}'")
    holder, remedy = take(log_in(intruder), f"signalbus slot {signalbus.instance} 77")
    line = reported(f'slot 77 of instance "{signalbus.instance}"', holder, remedy)
    assert f"database: {line}" in signalbus("check").expect(1).findings("advisory")
    run = signalbus("recover").expect(1)
    assert run.stderr.count(f"exactly-once: what is prepared stays so: {line}\n") == 1
    assert run.stdout.endswith("0 resolved, 1 left\n")
    schema.execute("INSERT INTO t VALUES (4, 'd')")
    signalbus("flushmany")
    assert schema.execute("SELECT id FROM t") == [(1,)]
    schema.execute(remedy)
    assert signalbus("recover").expect(0).stdout.endswith("1 resolved, 0 left\n")
    assert prepared(schema, signalbus.instance) == [f"signalbus:{signalbus.instance}:77:8"]
    theirs.execute(f"ROLLBACK PREPARED 'signalbus:{signalbus.instance}:77:8'")
    signalbus("flushmany").expect(0)
    assert schema.count("t") == 0
