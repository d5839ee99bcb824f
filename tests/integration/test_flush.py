"""flush: what is pending when it starts, and is still there after a wait."""

import signal
import time

from runner import ids, is_sanitized, model


def wait_for_the_wait(schema):
    """Until signalbus has noted the pending signals: its session has been idle for a while."""
    schema.wait_until(
        lambda: any(state.startswith("idle") and idle.total_seconds() > 0.4
                    for _, state, _, idle in schema.backends() if state), what="the wait of flush")


def test_flush_sends_what_is_pending(signalbus, schema, make_topic, consume):
    topic = make_topic()
    schema.make_signals("t", 25)
    schema.roll_back_signals("t", 5, first=100)
    signalbus.configure(model("A", schema.table("t"), topic, burst_count=10))
    signalbus("flush", "-w", "0").expect_silence()
    assert sorted(ids(consume(topic, 25))) == list(range(1, 26))
    assert schema.count("t") == 0


def test_waits_three_seconds_by_default(signalbus, schema, make_topic):
    signalbus.configure(model("A", schema.make_signals("t", 1), make_topic()))
    assert 3.0 <= signalbus("flush").expect_silence().seconds < 10


def test_burst_count_is_one_by_default(signalbus, schema, make_topic, consume):
    topic = make_topic()
    signalbus.configure(model("A", schema.make_signals("t", 5), topic))
    schema.execute("CREATE TABLE deletes (rows int)")
    schema.execute("CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                   f"INSERT INTO {schema}.deletes SELECT count(*) FROM gone; RETURN NULL; END $$")
    schema.execute("CREATE TRIGGER note AFTER DELETE ON t REFERENCING OLD TABLE AS gone "
                   "FOR EACH STATEMENT EXECUTE FUNCTION note()")
    signalbus("flush", "-w", "0").expect_silence()
    assert schema.execute("SELECT rows FROM deletes WHERE rows > 0") == [(1,)] * 5
    assert sorted(ids(consume(topic, 5))) == [1, 2, 3, 4, 5]


def test_rows_inserted_during_the_wait_are_left_alone(signalbus, schema, make_topic, consume):
    topic = make_topic()
    signalbus.configure(model("A", schema.make_signals("t", 3), topic, burst_count=10))
    running = signalbus.start("flush", "-w", "2")
    wait_for_the_wait(schema)
    schema.insert_signals("t", 3, first=4)
    running.finish().expect(0)
    assert sorted(ids(consume(topic, 3))) == [1, 2, 3]
    assert schema.execute("SELECT id FROM t ORDER BY id") == [(4,), (5,), (6,)]


def test_rows_sent_by_others_during_the_wait_are_not_sent_again(signalbus, schema, make_topic,
                                                               consume):
    topic = make_topic()
    signalbus.configure(model("A", schema.make_signals("t", 6), topic, burst_count=10))
    running = signalbus.start("flush", "--wait=2", "-v")
    wait_for_the_wait(schema)
    schema.execute("DELETE FROM t WHERE id <= 4")
    assert running.finish().expect(0).logged("2 signals have been successfully processed.")
    assert sorted(ids(consume(topic, 2))) == [5, 6]


def test_uncommitted_rows_are_not_pending(signalbus, schema, make_topic, consume):
    topic = make_topic()
    signalbus.configure(model("A", schema.make_signals("t", 1), topic))
    writer = schema.connect()
    schema.insert_signals("t", 1, first=2, connection=writer)
    signalbus("flush", "-w", "0").expect_silence()
    writer.commit()
    assert ids(consume(topic, 1)) == [1]
    assert schema.count("t") == 1


def test_rows_updated_during_the_wait_are_sent_as_they_are(signalbus, schema, make_topic, consume):
    """A row is known by its primary key: an update must neither lose it nor repeat it."""
    topic = make_topic()
    signalbus.configure(model("A", schema.make_signals("t", 1), topic))
    running = signalbus.start("flush", "-w", "2")
    wait_for_the_wait(schema)
    schema.execute("UPDATE t SET payload = 'new'")
    running.finish().expect(0)
    assert consume(topic, 1)[0].value == b'{"id":1,"payload":"new"}'
    assert schema.count("t") == 0


def test_more_than_fifty_thousand(signalbus, schema, make_topic, topics):
    """flush notes any number, and its memory does not grow with them."""
    count, topic = 120_000, make_topic()
    signalbus.configure(model("A", schema.make_signals("t", count), topic, burst_count=1000))
    run = signalbus.measured("flush", "-w", "0").expect_silence()
    assert schema.count("t") == 0
    assert sorted(ids(topics.consume(topic, count))) == list(range(1, count + 1))
    assert run.peak_kb < 40 * 1024 or is_sanitized()


def test_several_models(signalbus, schema, make_topic, consume):
    first, second, empty = make_topic(), make_topic(), make_topic()
    signalbus.configure(model("A", schema.make_signals("a", 30), first, burst_count=7),
                        model("E", schema.make_signals("e"), empty),
                        model("B", schema.make_signals("b", 20), second, burst_count=100))
    signalbus("flush", "-w", "0").expect_silence()
    assert sorted(ids(consume(first, 30))) == list(range(1, 31))
    assert sorted(ids(consume(second, 20))) == list(range(1, 21))
    assert consume(empty, 0) == []


def test_a_signal_ends_the_wait(signalbus, schema, make_topic):
    signalbus.configure(model("A", schema.make_signals("t", 1), make_topic()))
    running = signalbus.start("flush", "-w", "3600", "-r", "3600")
    wait_for_the_wait(schema)
    start = time.monotonic()
    running.stop(signal.SIGTERM).expect(0)
    assert time.monotonic() - start < 15


def test_two_at_once_send_no_row_twice(signalbus, schema, make_topic, consume):
    count, topic = 2000, make_topic()
    signalbus.configure(model("A", schema.make_signals("t", count), topic, burst_count=50))
    runs = [signalbus.start("flush", "-w", "0") for _ in range(3)]
    for run in runs:
        run.finish().expect(0)
    assert sorted(ids(consume(topic, count))) == list(range(1, count + 1))
    assert schema.count("t") == 0
