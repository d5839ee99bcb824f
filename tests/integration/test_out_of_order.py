"""flush and flushmany, which keep no order, and models that have one."""

import signal

import pytest

from runner import ids, model
from schemas import Gate

FLUSHES = [["flushmany"], ["flush", "-w", "0"]]


@pytest.fixture
def ordered(signalbus, schema, make_topic):
    """Configures A with order_by and B without it; returns their topics."""
    def configure(count, **settings):
        topics = make_topic(), make_topic()
        signalbus.configure(
            model("A", schema.make_signals("a", count), topics[0], burst_count=5, order_by=["id"]),
            model("B", schema.make_signals("b"), topics[1]), poll_interval=0.2, **settings)
        return topics
    return configure


def test_what_is_sent_in_order_is_left_out(signalbus, schema, ordered, consume):
    """The daemon holds back id 2, which an open transaction may precede: nobody else sends it."""
    topic, other = ordered(0)
    daemon = signalbus.start("run")
    schema.insert_signals("a", 1)
    schema.wait_until(lambda: schema.count("a") == 0, what="the daemon has the lock")
    early = schema.connect()
    schema.insert_signals("a", 1, first=2, connection=early)
    schema.insert_signals("a", 1, first=3)
    holder = schema.value("SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1")
    for flush in FLUSHES:
        run = signalbus(*flush).expect(0)
        named = signalbus(*flush, "A").expect(75)
        for stderr in run.stderr, named.stderr:
            assert stderr.count("\n") == 1 and "warning: model \"A\" is left out: " in stderr, stderr
            assert f"table {schema}.a " in stderr and "flushordered" in stderr, stderr
            assert f"server process {holder}," in stderr, stderr
        assert schema.count("a") == 1
    schema.insert_signals("b", 3)
    signalbus("flushmany", "B").expect_silence()
    early.commit()
    schema.wait_until(lambda: schema.count("a") == 0, what="sent in order")
    daemon.stop().expect(0)
    assert ids(consume(topic, 3)) == [1, 2, 3]
    assert sorted(ids(consume(other, 3))) == [1, 2, 3]


@pytest.mark.parametrize("flush", FLUSHES, ids=["flushmany", "flush"])
def test_what_nobody_sends_in_order_is_flushed(signalbus, schema, ordered, consume, flush):
    topic, _ = ordered(12)
    gate = Gate(schema, "a")
    first = signalbus.start("-v", *flush)
    gate.wait_for()
    # Meanwhile nobody sends it in order, and others may flush it, too.
    busy = signalbus("flushordered", "A").expect(75)
    assert "is being flushed in any order by another process: server process " in busy.stderr
    daemon = signalbus.start("-v", "run")
    daemon.wait_log('model "A": stands by: ')
    second = signalbus.start("flushmany", "A")
    gate.wait_for(2)
    assert schema.count("a") == 12
    gate.open()
    for run in first, second:
        warning = run.finish().expect(0).stderr
        assert 'warning: model "A" has order_by, and is flushed in no particular order' in warning
    daemon.wait_log('model "A": took over the ordered lock')
    daemon.stop(signal.SIGTERM).expect(0)
    assert sorted(ids(consume(topic, 12))) == list(range(1, 13))
