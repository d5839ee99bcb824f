"""
If the previous burst went well, rows are deleted while their messages are on the way.  That is
committed when all are stored, and else rolled back for those that stay.
"""

import threading

import pytest

from runner import ids, model, repeats
from topics import first_appearances

BURST, COUNT = 100, 400
BAD = 250  # in the third burst
LIMIT = {"message_max_bytes": 10_000}

one_by_one = pytest.mark.parametrize("flush", ["flushmany", "flushordered"])


@pytest.fixture
def table(schema):
    """Rows of which one is larger than LIMIT allows."""
    schema.execute("CREATE TABLE t (id bigint PRIMARY KEY, payload text)")
    schema.execute("INSERT INTO t SELECT n, repeat('x', CASE WHEN n = %s THEN 20000 ELSE 10 END) "
                   "FROM generate_series(1, %s) n", BAD, COUNT)
    return schema.table("t")


def left(schema):
    return [number for number, in schema.execute("SELECT id FROM t ORDER BY id")]


def deletions(schema):
    """How many rows were deleted, whether or not that was committed."""
    return schema.value("SELECT n_tup_del FROM pg_stat_user_tables WHERE relid = %s::regclass",
                        schema.table("t"))


def await_deletion(schema):
    """Until a burst that awaits its messages' reports has been deleted."""
    def is_deleted():
        return any(state == "idle in transaction" and query.startswith("DELETE") and
                   age.total_seconds() > 0.1 for _, state, query, age in schema.backends())
    schema.wait_until(is_deleted, 30, "an early deletion")


@one_by_one
def test_a_rejected_row_stays_and_its_neighbours_are_sent_once(signalbus, schema, table, make_topic,
                                                               topics, flush):
    topic = make_topic()
    signalbus.configure(model("A", table, topic, burst_count=BURST, order_by=["id"]), kafka=LIMIT)
    assert f"signal (id)=({BAD}) was rejected" in signalbus(flush).expect_failure()
    numbers = ids(topics.read(topic))
    if flush == "flushordered":
        assert numbers == list(range(1, BAD)) and left(schema) == list(range(BAD, COUNT + 1))
    else:
        assert sorted(numbers + [BAD]) == list(range(1, COUNT + 1)) and left(schema) == [BAD]
    schema.wait_until(lambda: deletions(schema) == len(numbers) + BURST, 20, "a rolled back one")


@one_by_one
def test_a_rejected_row_becomes_a_dead_letter(signalbus, schema, table, make_topic, topics, flush):
    topic = make_topic()
    signalbus.configure(model("A", table, topic, burst_count=BURST, order_by=["id"]), kafka=LIMIT,
                        dead_letter_table=schema.table("dead"),
                        defaults={"on_reject": "dead-letter"})
    schema.execute(signalbus("triggers").expect(0).stdout)
    signalbus(flush).expect(0)
    assert sorted(ids(topics.read(topic)) + [BAD]) == list(range(1, COUNT + 1))
    assert schema.value("SELECT signal ->> 'id' FROM dead") == str(BAD) and left(schema) == []


@one_by_one
def test_a_crash_brings_the_rows_back(signalbus, schema, table, make_topic, topics, way_to_broker,
                                      flush):
    topic = make_topic()
    signalbus.configure(model("A", table, topic, burst_count=BURST, order_by=["id"]))
    way_to_broker.slow(delay=0.5)
    run = signalbus.start(flush)
    await_deletion(schema)
    assert left(schema)[0] > 1, "the first burst is gone"
    before = left(schema)
    run.kill()
    schema.end_backends()
    assert left(schema) == before
    way_to_broker.restore()
    signalbus(flush).expect(0)
    numbers = ids(topics.read(topic, COUNT))
    assert set(numbers) == set(range(1, COUNT + 1)) and repeats(numbers) <= BURST
    assert flush == "flushmany" or list(first_appearances(numbers)) == list(range(1, COUNT + 1))


@one_by_one
def test_a_broker_that_does_not_answer_in_time(signalbus, schema, table, make_topic, topics,
                                               way_to_broker, flush):
    topic = make_topic()
    signalbus.configure(model("A", table, topic, burst_count=BURST, order_by=["id"]), timeout=3.0)
    way_to_broker.slow(delay=0.3)
    run = signalbus.start(flush)
    await_deletion(schema)
    way_to_broker.swallow()
    before = left(schema)
    assert "were not stored" in run.finish().expect_failure()
    assert left(schema) == before and not schema.backends()
    way_to_broker.restore()
    signalbus(flush).expect(0)
    numbers = ids(topics.read(topic, COUNT))
    assert set(numbers) == set(range(1, COUNT + 1)) and repeats(numbers) <= BURST


@one_by_one
def test_somebody_waits_for_a_row_that_is_to_stay(signalbus, schema, table, make_topic, topics,
                                                  way_to_broker, flush):
    """It may get the row in between, whether as it was or changed."""
    topic, other = make_topic(), schema.connect()
    signalbus.configure(model("A", table, topic, burst_count=BURST, order_by=["id"]), kafka=LIMIT)
    way_to_broker.slow(delay=0.3)

    def take():
        cursor = other.cursor()
        cursor.execute("UPDATE t SET payload = 'changed' WHERE id = %s", (BAD,))
        cursor.execute("UPDATE t SET payload = 'changed' WHERE id = %s", (BAD + 10,))
        other.commit()

    run = signalbus.start(flush)
    schema.wait_until(lambda: left(schema)[0] == 2 * BURST + 1, 30, "two bursts")
    await_deletion(schema)
    thread = threading.Thread(target=take)
    thread.start()
    run.finish()
    thread.join()
    way_to_broker.restore()
    signalbus(flush).expect(0)
    numbers = ids(topics.read(topic, COUNT))
    assert set(numbers) == set(range(1, COUNT + 1)) and repeats(numbers) <= 2 * BURST
    assert left(schema) == []
