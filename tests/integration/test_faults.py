"""What is committed arrives, whatever happens to the process and to the broker."""

import random
import signal
from collections import Counter

import pytest

from runner import FLUSHES, every_flush, ids, model, repeats
from schemas import Gate
from servers import Ports

@every_flush
def test_killed_before_the_delete(signalbus, schema, make_topic, topics, flush):
    """All of a burst is acknowledged, nothing deleted: exactly that burst is repeated."""
    topic = make_topic()
    schema.make_signals("t", 60)
    schema.roll_back_signals("t", 20, first=1000)
    signalbus.configure(model("A", schema.table("t"), topic, burst_count=20, order_by=["id"]))
    gate = Gate(schema, "t")
    running = signalbus.start(*flush)
    gate.wait_for()
    running.kill()
    schema.end_backends()
    gate.open()
    assert schema.count("t") == 60
    signalbus(*flush).expect_silence()
    numbers = ids(topics.read(topic, 80))
    assert set(numbers) == set(range(1, 61)) and len(numbers) == 80
    assert schema.count("t") == 0


@every_flush
def test_killed_with_messages_in_flight(signalbus, schema, kafka, make_topic, topics, flush):
    """The broker stands still: messages are sent and not acknowledged, so all rows stay."""
    topic = make_topic()
    signalbus.configure(model("A", schema.make_signals("t", 60), topic, burst_count=20))
    kafka.freeze()
    try:
        running = signalbus.start(*flush)
        schema.wait_until(lambda: any(state == "idle in transaction"
                                      for _, state, _, _ in schema.backends()), what="a claim")
        running.kill()
        assert schema.count("t") == 60
    finally:
        kafka.thaw()
    signalbus(*flush).expect_silence()
    numbers = ids(topics.read(topic, 60))
    assert set(numbers) == set(range(1, 61)) and repeats(numbers) <= 20


def test_killed_during_the_commit(signalbus, schema, make_topic, topics):
    """No answer to COMMIT: the burst is there once or twice, never less."""
    topic = make_topic()
    signalbus.configure(model("A", schema.make_signals("t", 60), topic, burst_count=20))
    gate = Gate(schema, "t", at_commit=True)
    running = signalbus.start("flushmany")
    gate.wait_for()
    running.kill()
    gate.open()
    schema.wait_until(lambda: not schema.backends(), what="the end of the commit")
    signalbus("flushmany").expect_silence()
    numbers = ids(topics.read(topic, 60))
    assert set(numbers) == set(range(1, 61)) and repeats(numbers) in (0, 20)


@every_flush
def test_killed_at_any_time(signalbus, schema, make_topic, topics, flush):
    """
    SIGKILL at times that a seed decides, while writers commit and roll back.  At each death: what
    is gone from the table is in the log.  In the end: nothing lost, no ghost, few repeats.
    """
    burst, kills, chance = 10, 6, random.Random(f"seed {flush}")
    topic = make_topic(partitions=2)
    schema.make_signals("t")
    signalbus.configure(model("A", schema.table("t"), topic, burst_count=burst))
    schema.on_delete("t", "PERFORM pg_sleep(0.005)")
    committed = 0
    for _ in range(kills):
        schema.insert_signals("t", 300, first=committed + 1)  # more than a round can send
        committed += 300
        left = schema.count("t")
        running = signalbus.start(*flush)
        schema.wait_until(lambda: schema.count("t") < left, what="a burst")
        schema.insert_signals("t", 50, first=committed + 1)
        schema.roll_back_signals("t", 50, first=1_000_000)
        committed += 50
        schema.value("SELECT 1 FROM pg_sleep(%s)", chance.uniform(0, 0.1))
        running.kill()
        gone = set(range(1, committed + 1)) - {row for row, in schema.execute("SELECT id FROM t")}
        assert gone <= set(ids(topics.read(topic))), "deleted before it was stored"
    signalbus(*flush).expect_silence()
    numbers = ids(topics.read(topic, committed))
    assert set(numbers) == set(range(1, committed + 1)) and schema.count("t") == 0
    assert repeats(numbers) <= burst * kills
    assert max(Counter(numbers).values()) <= 1 + kills


def test_stopped_and_continued(signalbus, schema, make_topic, consume):
    """SIGSTOP for less than the time-out: no harm at all."""
    topic = make_topic()
    signalbus.configure(model("A", schema.make_signals("t", 40), topic, burst_count=20))
    gate = Gate(schema, "t")
    running = signalbus.start("flushmany")
    gate.wait_for()
    running.send(signal.SIGSTOP)
    gate.open()
    schema.wait_until(lambda: gate.waiting() == 0, what="an answer that nobody reads")
    running.send(signal.SIGCONT)
    running.finish().expect(0)
    assert sorted(ids(consume(topic, 40))) == list(range(1, 41))


@every_flush
def test_broker_unavailable(signalbus, schema, make_topic, flush):
    signalbus.bootstrap = f"127.0.0.1:{Ports.take()}"
    signalbus.configure(model("A", schema.make_signals("t", 5), "any", burst_count=5), timeout=1.5)
    run = signalbus(*flush)
    run.expect_failure()
    assert 1 <= run.seconds < 20 and run.stdout == ""
    assert schema.count("t") == 5


def test_broker_that_does_not_answer(signalbus, schema, kafka, make_topic, topics):
    """Half open: connections are accepted and nothing comes back."""
    topic = make_topic()
    signalbus.configure(model("A", schema.make_signals("t", 5), topic, burst_count=5), timeout=2)
    kafka.freeze()
    try:
        run = signalbus("flushmany")
    finally:
        kafka.thaw()
    run.expect_failure()
    assert run.seconds < 20 and schema.count("t") == 5
    signalbus("flushmany").expect(0)
    assert set(ids(topics.read(topic, 5))) == {1, 2, 3, 4, 5}


def test_broker_frozen_and_thawed_in_time(signalbus, schema, kafka, make_topic, consume):
    topic = make_topic()
    signalbus.configure(model("A", schema.make_signals("t", 2000), topic, burst_count=10))
    running = signalbus.start("flushmany")
    schema.wait_until(lambda: schema.count("t") < 2000, what="a burst")
    kafka.freeze()
    try:
        schema.wait_until(lambda: any(state == "idle in transaction" and idle.total_seconds() > 1
                                      for _, state, _, idle in schema.backends()),
                          what="a wait for the broker")
    finally:
        kafka.thaw()
    running.finish().expect(0)
    assert sorted(ids(consume(topic, 2000))) == list(range(1, 2001))


@pytest.mark.early
def test_broker_killed_during_the_backlog(signalbus, schema, kafka, make_topic, topics):
    """Killed with messages in flight and back before the time-out: nothing lost, no repeats."""
    count, topic = 30_000, make_topic(partitions=2)
    signalbus.configure(model("A", schema.make_signals("t", count), topic, burst_count=100),
                        timeout=180)
    running = signalbus.start("flushmany")
    schema.wait_until(lambda: schema.count("t") < count - 1000, what="some bursts")
    kafka.restart("kill")
    run = running.finish(200).expect(0)
    assert run.stderr == "" or "warning" in run.stderr
    numbers = ids(topics.read(topic, count))
    assert set(numbers) == set(range(1, count + 1)) and schema.count("t") == 0
    assert repeats(numbers) == 0


@pytest.mark.early
def test_broker_gone_during_the_backlog(signalbus, schema, kafka, make_topic, topics):
    """Away for longer than the time-out: exit status 1, and at most a burst is repeated later."""
    count, topic = 20_000, make_topic()
    signalbus.configure(model("A", schema.make_signals("t", count), topic, burst_count=100),
                        timeout=2)
    running = signalbus.start("flushmany")
    schema.wait_until(lambda: schema.count("t") < count - 1000, what="some bursts")
    kafka.kill()
    try:
        running.finish(20).expect_failure()
        left = schema.count("t")
        assert left > 0
        assert not any(state == "idle in transaction" for _, state, _, _ in schema.backends())
    finally:
        kafka.start()
    signalbus("flushmany").expect(0)
    numbers = ids(topics.read(topic, count))
    assert set(numbers) == set(range(1, count + 1)) and repeats(numbers) <= 100


@every_flush
def test_missing_topic(signalbus, schema, make_topic, count_in_log, flush):
    """Its rows stay, and other models continue."""
    good = make_topic()
    signalbus.configure(model("Bad", schema.make_signals("bad", 3), "no-such-topic"),
                        model("Good", schema.make_signals("good", 3), good), timeout=2)
    run = signalbus(*flush)
    assert "no-such-topic" in run.expect_failure()
    assert run.seconds < 20
    assert schema.count("bad") == 3 and schema.count("good") == 0 and count_in_log(good) == 3


def test_topic_that_is_made_in_time(signalbus, schema, topics, make_topic, consume):
    name = topics.unique_name()
    signalbus.configure(model("A", schema.make_signals("t", 3), name, burst_count=3))
    running = signalbus.start("flushmany")
    schema.wait_until(lambda: running.log() != "" or running.seconds() > 2, what="a complaint")
    make_topic(name=name)
    running.finish().expect(0)
    assert sorted(ids(consume(name, 3))) == [1, 2, 3]


@pytest.mark.parametrize("kafka_settings, topic_settings", [
    ({"message_max_bytes": 2000}, {}),
    ({}, {"max.message.bytes": "2000"}),
], ids=["refused by the producer", "refused by the broker"])
@every_flush
def test_message_too_large_during_a_burst(signalbus, schema, make_topic, consume, flush,
                                        kafka_settings, topic_settings):
    """Its neighbours are delivered; exactly that row stays."""
    topic = make_topic(config=topic_settings)
    schema.make_signals("t", 30)
    schema.execute("UPDATE t SET payload = (SELECT string_agg(md5(n::text), '') "
                   "FROM generate_series(1, 200) n) WHERE id = 15")
    signalbus.configure(model("A", schema.table("t"), topic, burst_count=30, order_by=["id"]),
                        kafka=kafka_settings, timeout=5)
    signalbus(*flush).expect_failure()
    if flush == FLUSHES["flushordered"]:  # nothing after the first failure
        assert ids(consume(topic, 14)) == list(range(1, 15))
        assert schema.execute("SELECT min(id), count(*) FROM t") == [(15, 16)]
    else:
        assert schema.execute("SELECT id FROM t") == [(15,)]
        assert sorted(ids(consume(topic, 29))) == [n for n in range(1, 31) if n != 15]


@pytest.mark.parametrize("flush", [FLUSHES["flushmany"], FLUSHES["flush"]],
                         ids=["flushmany", "flush"])
def test_a_rejected_signal_does_not_hold_up_the_backlog(signalbus, schema, make_topic, consume,
                                                        flush):
    """flushed in no order: bursts after the one with the bad row are sent as well, or stay."""
    topic = make_topic(config={"max.message.bytes": "2000"})
    schema.make_signals("t", 100)
    schema.execute("UPDATE t SET payload = (SELECT string_agg(md5(n::text), '') "
                   "FROM generate_series(1, 200) n) WHERE id = 15")
    signalbus.configure(model("A", schema.table("t"), topic, burst_count=10), timeout=5)
    signalbus(*flush).expect_failure()
    left = schema.count("t")
    sent = ids(consume(topic, 100 - left))
    assert len(set(sent)) == len(sent) and 15 not in sent
    schema.execute("UPDATE t SET payload = 'short' WHERE id = 15")
    signalbus(*flush).expect_silence()
    assert sorted(ids(consume(topic, 100))) == list(range(1, 101))


def test_closed_standard_error(signalbus, schema, make_topic, count_in_log):
    topic = make_topic()
    path = signalbus.configure(model("A", schema.make_signals("t", 3), topic))
    signalbus.start(command=["sh", "-c", 'exec "$0" -v -c "$1" flushmany 2>&-',
                             signalbus.command(())[0], path]).finish().expect(0)
    assert count_in_log(topic) == 3 and schema.count("t") == 0


def test_full_standard_output(signalbus, schema):
    path = signalbus.configure(model("A", schema.make_signals("t", 3)))
    run = signalbus.start(command=["sh", "-c", 'exec "$0" -c "$1" pending >/dev/full',
                                   signalbus.command(())[0], path]).finish()
    assert run.returncode == 1 and run.stderr != ""


def test_log_lines_are_lines(signalbus, schema, make_topic):
    """Text of the database in a log line cannot forge another line."""
    signalbus.configure(model("A", schema.make_signals("t", 1), make_topic()), timeout=3)
    schema.on_delete("t", "RAISE EXCEPTION E'first\\nsecond'")
    run = signalbus("flushmany").expect(1)
    assert not any(line.startswith("second") for line in run.stderr.splitlines()), run
