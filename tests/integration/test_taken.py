"""
In a backlog that several connections share rows are read without a lock and deleted before they are
sent.  What locks are good for holds all the same: each row is sent once, as it was last, unless
somebody else has it.
"""

import contextlib
import json
import random
import threading
import time

import pytest

from runner import ids, model, repeats
from schemas import Gate

COUNT, BURST = 6000, 100
FLUSH = ("flushmany", "-j", "2")


@pytest.fixture
def backlog(schema):
    """A table whose pages hold few rows, and one that tells how they were deleted."""
    schema.execute("CREATE TABLE t (id bigint PRIMARY KEY, version int DEFAULT 0, payload text)")
    schema.execute("INSERT INTO t SELECT n, 0, repeat('x', 500) FROM generate_series(1, %s) n", COUNT)
    schema.execute("VACUUM ANALYZE t")
    schema.execute("CREATE TABLE levels (level text)")
    return schema.table("t")


def note_levels(schema, more=""):
    """Which isolation levels deletions have; that of those without locks is repeatable read."""
    schema.on_delete("t", f"INSERT INTO {schema.table('levels')} "
                          f"VALUES (current_setting('transaction_isolation')){more}")


def taken(schema):
    """How many bursts were deleted without having been locked, and how many others."""
    levels = [level for level, in schema.execute("SELECT level FROM levels")]
    return levels.count("repeatable read"), levels.count("read committed")


@contextlib.contextmanager
def meanwhile(function):
    """Calls it again and again, in a thread."""
    done = threading.Event()

    def work():
        while not done.is_set():
            function()
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def test_most_rows_of_a_backlog_are_never_locked(signalbus, schema, backlog, make_topic, topics):
    topic = make_topic()
    note_levels(schema)
    signalbus.configure(model("A", backlog, topic, burst_count=BURST))
    signalbus(*FLUSH).expect_silence()
    without, others = taken(schema)
    assert without > 0.8 * COUNT / BURST and others > 0, "the first ones are locked"
    assert sorted(ids(topics.read(topic, COUNT))) == list(range(1, COUNT + 1))


def test_rows_that_others_change_are_sent_as_they_are_in_the_end(signalbus, schema, backlog,
                                                                 make_topic, topics):
    """Changed between the moment they are read and their deletion, too, which takes its time."""
    topic, changer, last = make_topic(), schema.connect(autocommit=True).cursor(), {}
    note_levels(schema, "; PERFORM pg_sleep(0.05)")

    def change():
        changer.execute("UPDATE t SET version = 1 WHERE id IN (SELECT id FROM t WHERE id = "
                        "(SELECT min(id) + %s FROM t WHERE version = 0) FOR UPDATE SKIP LOCKED) "
                        "RETURNING id, version", (random.randrange(3 * BURST),))
        last.update(changer.fetchall())
        time.sleep(0.1)

    signalbus.configure(model("A", backlog, topic, burst_count=BURST))
    with meanwhile(change):
        signalbus(*FLUSH).expect_silence()
    sent = [json.loads(message.value) for message in topics.read(topic, COUNT)]
    assert sorted(row["id"] for row in sent) == list(range(1, COUNT + 1))
    assert {row["id"]: row["version"] for row in sent if row["id"] in last} == last
    without, others = taken(schema)
    assert without > 0 and others > 5 and len(last) > 5, "others were met"


@pytest.mark.parametrize("lock", ["FOR UPDATE", "FOR KEY SHARE"])
def test_rows_that_others_have_locked_are_passed_over(signalbus, schema, backlog, make_topic, topics,
                                                      lock):
    topic, holder, held = make_topic(), schema.connect(), [BURST * 20 + 7, BURST * 20 + 8, BURST * 40]
    note_levels(schema)
    holder.cursor().execute(f"SELECT FROM t WHERE id = ANY (%s) {lock}", (held,))
    signalbus.configure(model("A", backlog, topic, burst_count=BURST))
    completed = signalbus(*FLUSH).expect_silence()
    assert completed.seconds < 20 and taken(schema)[0] > 5
    assert [number for number, in schema.execute("SELECT id FROM t ORDER BY id")] == held
    holder.rollback()
    signalbus(*FLUSH).expect_silence()
    assert sorted(ids(topics.read(topic, COUNT))) == list(range(1, COUNT + 1))


def test_two_processes_send_each_row_once(signalbus, schema, backlog, make_topic, topics):
    """The second one comes during the first one's backlog."""
    topic = make_topic()
    note_levels(schema, "; PERFORM pg_sleep(0.02)")
    signalbus.configure(model("A", backlog, topic, burst_count=BURST))
    runs = [signalbus.start(*FLUSH)]
    schema.wait_until(lambda: schema.count("t") < 0.8 * COUNT, 20, "a backlog under way")
    runs.append(signalbus.start(*FLUSH))
    for run in runs:
        run.finish().expect_silence()
    assert taken(schema)[0] > 0 and schema.count("t") == 0
    assert sorted(ids(topics.read(topic, COUNT))) == list(range(1, COUNT + 1))


def test_a_rejected_row_stays_and_the_others_are_sent_once(signalbus, schema, backlog, make_topic,
                                                           topics):
    topic, bad = make_topic(), BURST * 30 + 5
    schema.execute("UPDATE t SET payload = repeat('x', 20000) WHERE id = %s", bad)
    schema.execute("VACUUM FULL ANALYZE t")
    signalbus.configure(model("A", backlog, topic, burst_count=BURST),
                        kafka={"message_max_bytes": 10_000}, dead_letter_table=schema.table("dead"),
                        defaults={"on_reject": "dead-letter"})
    schema.execute(signalbus("triggers").expect(0).stdout)
    note_levels(schema)
    signalbus(*FLUSH).expect(0)
    assert taken(schema)[0] > 0 and schema.count("t") == 0
    assert schema.value("SELECT signal ->> 'id' FROM dead") == str(bad)
    assert sorted([bad, *ids(topics.read(topic, COUNT - 1))]) == list(range(1, COUNT + 1))


def await_taken(schema):
    """Until two bursts are deleted, and on the way to a broker that is slow."""
    def are_deleted():
        return sum(state == "idle in transaction" and query.startswith("DELETE") and
                   age.total_seconds() > 0.05 for _, state, query, age in schema.backends()) == 2
    schema.wait_until(lambda: schema.count("t") < COUNT - 10 * BURST, 30, "a backlog under way")
    schema.wait_until(are_deleted, 30, "two bursts that are deleted")


def test_a_crash_brings_the_rows_back(signalbus, schema, backlog, make_topic, topics, way_to_broker):
    topic = make_topic()
    signalbus.configure(model("A", backlog, topic, burst_count=BURST))
    way_to_broker.slow(delay=0.1)
    run = signalbus.start(*FLUSH)
    await_taken(schema)
    run.kill()
    schema.end_backends()
    left = schema.count("t")
    way_to_broker.restore()
    signalbus(*FLUSH).expect_silence()
    numbers = ids(topics.read(topic, COUNT))
    assert left > 0 and schema.count("t") == 0
    assert set(numbers) == set(range(1, COUNT + 1)) and repeats(numbers) <= 2 * BURST


def test_a_broker_that_does_not_answer_in_time(signalbus, schema, backlog, make_topic, topics,
                                               way_to_broker):
    topic = make_topic()
    signalbus.configure(model("A", backlog, topic, burst_count=BURST), timeout=5.0)
    way_to_broker.slow(delay=0.1)
    run = signalbus.start(*FLUSH)
    await_taken(schema)
    way_to_broker.swallow()
    left = schema.count("t")
    assert "were not stored" in run.finish().expect_failure()
    assert schema.count("t") >= left - 2 * BURST
    schema.wait_until(lambda: not schema.backends())
    way_to_broker.restore()
    signalbus(*FLUSH).expect_silence()
    numbers = ids(topics.read(topic, COUNT))
    assert set(numbers) == set(range(1, COUNT + 1)) and repeats(numbers) <= 2 * BURST


def test_what_waits_for_the_commit_has_rows_locked(signalbus, schema, backlog, make_topic, topics):
    """It may meet others, and does so before anything is sent."""
    topic = make_topic()
    note_levels(schema)
    gate = Gate(schema, "t", at_commit=True, by_trigger=True)
    signalbus.configure(model("A", backlog, topic, burst_count=BURST))
    run = signalbus.start(*FLUSH)
    gate.wait_for(2)
    time.sleep(0.5)
    assert topics.count_in_log(topic) == 0
    gate.open()
    run.finish().expect_silence()
    without, others = taken(schema)
    assert without == 0 and others >= COUNT / BURST
    assert sorted(ids(topics.read(topic, COUNT))) == list(range(1, COUNT + 1))


def test_a_commit_may_wait_for_others(signalbus, schema, backlog, make_topic, topics):
    """What a trigger does elsewhere may wait for the commit, and for others there."""
    topic, other = make_topic(), schema.table("other")
    schema.execute("CREATE TABLE other (n int)")
    gate = Gate(schema, "other", at_commit=True)
    gate.open()
    note_levels(schema, f"; INSERT INTO {other} VALUES (1); DELETE FROM {other}; "
                        "PERFORM pg_sleep(0.02)")
    signalbus.configure(model("A", backlog, topic, burst_count=BURST))
    run = signalbus.start(*FLUSH)
    schema.wait_until(lambda: schema.count("t") < 0.8 * COUNT, 20, "a backlog under way")
    gate.close()
    gate.wait_for(2)
    time.sleep(0.5)
    gate.open()
    run.finish().expect_silence()
    without, _ = taken(schema)
    assert without > 0.8 * COUNT / BURST
    assert sorted(ids(topics.read(topic, COUNT))) == list(range(1, COUNT + 1))


def test_a_trigger_that_keeps_a_row_is_reported(signalbus, schema, backlog, make_topic):
    """It is found before the row is sent; the others go."""
    schema.execute("CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS "
                   "$$ BEGIN RETURN CASE WHEN OLD.id <> 3000 THEN OLD END; END $$")
    schema.execute("CREATE TRIGGER keep BEFORE DELETE ON t FOR EACH ROW EXECUTE FUNCTION keep()")
    signalbus.configure(model("A", backlog, make_topic(), burst_count=BURST))
    assert "signal (id)=(3000) cannot be deleted" in signalbus(*FLUSH).expect_failure()
    assert schema.value("SELECT count(*) FROM t WHERE id = 3000") == 1
