"""delivery = "exactly-once": consumers that read committed get each signal once."""

import signal
import uuid

import pytest

from proxy import END_TXN, OFFSET_FETCH, PRODUCE, REQUEST, RESET
from runner import every_flush, ids, model
from schemas import Schema
from servers import Postgres
from test_metrics import Site


@pytest.fixture
def once(signalbus, schema):
    """Configures it, as an instance of its own; nothing may be left prepared at the end."""
    instance = f"once-{uuid.uuid4().hex[:8]}"
    signalbus.instance = instance

    def configure(*models, **settings):
        signalbus.configure(*models, delivery="exactly-once", instance=instance,
                            **{"timeout": 10, **settings})
    yield configure
    signalbus.discard()
    assert prepared(schema, instance) == []


def prepared(schema, instance):
    return [name for name, in schema.execute(
        "SELECT gid FROM pg_prepared_xacts WHERE gid LIKE %s", f"signalbus:{instance}:%")]


@every_flush
def test_each_signal_is_sent_once(once, signalbus, schema, make_topic, consume, flush):
    topic = make_topic(partitions=2)
    once(model("A", schema.make_signals("t", 1000), topic, burst_count=100, order_by=["id"]))
    signalbus(*flush).expect(0)
    assert sorted(ids(consume(topic, 1000))) == list(range(1, 1001))
    assert schema.count("t") == 0


def test_several_connections_have_slots_of_their_own(once, signalbus, schema, make_topic, consume):
    topic = make_topic(partitions=2)
    once(model("A", schema.make_signals("t", 5000), topic, burst_count=100))
    signalbus("flushmany", "-j", "4").expect_silence()
    assert sorted(ids(consume(topic, 5000))) == list(range(1, 5001))
    assert schema.count("t") == 0


def test_the_daemon_sends_in_order(once, signalbus, schema, make_topic, consume):
    topic = make_topic()
    once(model("A", schema.make_signals("t", 300), topic, burst_count=20, order_by=["id"]))
    daemon = signalbus.start("run")
    schema.insert_signals("t", 50, first=301)
    schema.wait_until(lambda: schema.count("t") == 0, 20, "an empty table")
    assert daemon.stop().returncode == 0
    assert ids(consume(topic, 350)) == list(range(1, 351))


@every_flush
def test_rejected_messages_become_dead_letters(once, signalbus, schema, make_topic, consume, flush):
    topic, bad = make_topic(config={"max.message.bytes": "5000"}), (3, 40, 41)
    table = schema.make_signals("t", 100)
    schema.execute("UPDATE t SET payload = repeat(md5(id::text), 400) WHERE id = ANY(%s)",
                   list(bad))
    once(model("A", table, topic, burst_count=50, order_by=["id"]),
         dead_letter_table=schema.table("dead"), defaults={"on_reject": "dead-letter"})
    schema.execute(signalbus("triggers").expect(0).stdout)
    signalbus(*flush).expect(0)
    good = [number for number in range(1, 101) if number not in bad]
    assert sorted(ids(consume(topic, 97))) == good
    assert schema.count("t") == 0
    assert [int(number) for number, in schema.execute(
        "SELECT signal ->> 'id' FROM dead ORDER BY id")] == list(bad)


def test_a_rejected_message_that_stays_delays_no_others(
        once, signalbus, schema, make_topic, consume):
    topic = make_topic(config={"max.message.bytes": "5000"})
    table = schema.make_signals("t", 30)
    schema.execute("UPDATE t SET payload = repeat(md5(id::text), 400) WHERE id = 7")
    once(model("A", table, topic, burst_count=10))
    assert "signal (id)=(7)" in signalbus("flushmany").expect_failure()
    assert len(set(ids(consume(topic, 29)))) == 29
    assert schema.count("t") == 1


REFUSED = (47, 90)  # Kafka's codes for an epoch that is not the newest


def refusal(answer):
    """The code in the answer to EndTxn: after the length, the number, and the throttle time."""
    return int.from_bytes(answer[12:14], "big")


@pytest.mark.parametrize("what", [RESET, REQUEST], ids=["connection-breaks", "no-answer"])
def test_a_late_commit_ends_no_later_transaction(
        once, signalbus, schema, make_topic, consume, way_to_broker, what):
    """
    The request is held up, librdkafka repeats it by itself, and reports success.  The first one
    arrives amidst the messages of the next burst.
    """
    topic = make_topic()
    once(model("A", schema.make_signals("t", 10), topic, burst_count=10),
         kafka={"socket_timeout_ms": 1000, "batch_num_messages": 1})
    way_to_broker.hold(END_TXN, what)
    run = signalbus.start("run", "-vv")
    schema.wait_until(lambda: schema.count("t") == 0, 20, "the first burst to be gone")
    assert way_to_broker.sprung.is_set()
    way_to_broker.release_before(PRODUCE, 5)
    schema.insert_signals("t", 10, first=11)
    schema.wait_until(lambda: schema.count("t") == 0, 20, "the second burst to be gone")
    run.stop()
    assert sorted(ids(consume(topic, 20))) == list(range(1, 21))
    assert refusal(way_to_broker.answer) in REFUSED


def test_a_commit_that_is_given_up_comes_too_late(
        once, signalbus, schema, make_topic, consume, way_to_broker):
    """It arrives when its burst has been rolled back, and is being sent again."""
    topic = make_topic()
    once(model("A", schema.make_signals("t", 10), topic, burst_count=10), timeout=2,
         kafka={"socket_timeout_ms": 20000})
    way_to_broker.hold(END_TXN, REQUEST)
    run = signalbus.start("run", "-vv")
    assert way_to_broker.sprung.wait(20), run.log()
    way_to_broker.release_before(PRODUCE, 1)
    schema.wait_until(lambda: schema.count("t") == 0, 20, "the burst to be gone")
    run.stop()
    assert sorted(ids(consume(topic, 10))) == list(range(1, 11))
    assert refusal(way_to_broker.answer) in REFUSED


@pytest.mark.parametrize("code", [14, 15, 16],
                         ids=["loading", "not-available", "not-coordinator"])
def test_the_coordinator_of_the_group_moves(
        once, signalbus, schema, make_topic, consume, way_to_broker, code):
    """Answers that crash librdkafka's producers; the number is read again."""
    topic = make_topic()
    once(model("A", schema.make_signals("t", 10), topic, burst_count=10))
    way_to_broker.refuse(OFFSET_FETCH, code)
    signalbus("flushmany").expect_silence()
    assert way_to_broker.sprung.is_set()
    assert sorted(ids(consume(topic, 10))) == list(range(1, 11))


def test_another_daemon_finishes_what_a_killed_one_left(
        once, signalbus, schema, make_topic, topics, consume):
    """Killed at any time under load, and not started again."""
    topic, count = make_topic(), 3000
    once(model("A", schema.make_signals("t", count), topic, burst_count=10, order_by=["id"]))
    first = signalbus.start("run")
    schema.wait_until(lambda: schema.count("t") < count - 100, 20, "a backlog under way")
    second = signalbus.start("run")
    first.kill()
    schema.wait_until(lambda: schema.count("t") == 0, 30, "an empty table")
    second.stop()
    assert ids(consume(topic, count)) == list(range(1, count + 1))


def test_nothing_to_recover_is_no_news(once, signalbus, schema, make_topic):
    once(model("A", schema.make_signals("t", 1), make_topic()))
    signalbus("recover").expect_silence()


@pytest.mark.parametrize("is_stored", [True, False], ids=["stored", "not-stored"])
def test_recover_commits_or_rolls_back(once, signalbus, schema, make_topic, consume,
                                       way_to_broker, is_stored):
    """The answer to the commit is lost, or the request; then the sender is killed."""
    topic = make_topic()
    once(model("A", schema.make_signals("t", 10), topic, burst_count=10))
    way_to_broker.hold(END_TXN, REQUEST)
    run = signalbus.start("run")
    assert way_to_broker.sprung.wait(20), run.log()
    schema.wait_until(lambda: prepared(schema, signalbus.instance), 20, "a prepared burst")
    run.kill()
    if is_stored:
        assert refusal(way_to_broker.release()) == 0
    schema.wait_until(lambda: schema.value(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 0, 20, "a free slot")
    completed = signalbus("recover").expect(0)
    assert completed.stdout == (f'1 prepared transactions of instance "{signalbus.instance}": '
                                "1 resolved, 0 left\n")
    said = "its messages are stored" if is_stored else "its messages are not stored"
    assert said in completed.stderr
    assert schema.count("t") == (0 if is_stored else 10)
    signalbus("flushmany").expect_silence()
    assert sorted(ids(consume(topic, 10))) == list(range(1, 11))


def test_check_wants_prepared_transactions(signalbus, make_topic, check):
    """Some, and one for each worker."""
    with Postgres(settings={"max_prepared_transactions": 0}) as server:
        server.create_database()
        schema = Schema(server)
        signalbus.database = server.conninfo()

        def configure(workers):
            signalbus.configure(model("A", table, topic), delivery="exactly-once", workers=workers,
                                notify_channel="")
            return check(about="max_prepared")
        table, topic = schema.make_signals("t", 1), make_topic()
        [line] = configure(2)
        assert ("max_prepared_transactions is 0; ALTER SYSTEM SET max_prepared_transactions = 10, "
                in line)
        server.settings["max_prepared_transactions"] = 10
        server.restart()
        assert configure(10) == []
        [line] = configure(11)
        assert line.startswith("warning: database: max_prepared_transactions is 10, and each of "
                               "the daemon's 11 workers prepares one; ")


def test_check_finds_nothing(once, signalbus, schema, make_topic):
    once(model("A", schema.make_signals("t", 1), make_topic()))
    assert signalbus("check").expect(0).returncode == 0


def test_metrics_count_transactions(once, signalbus, schema, make_topic):
    site = Site()
    once(model("A", schema.make_signals("t", 30), make_topic(), burst_count=10),
         metrics_listen=str(site))
    run = signalbus.start("run")
    schema.wait_until(lambda: schema.count("t") == 0, 20, "an empty table")
    schema.wait_until(lambda: 'signalbus_transactions_total{model="A",outcome="committed"} 3\n'
                      in site.ask("/metrics").text, 20, "three transactions")
    assert "\nsignalbus_prepared_oldest_seconds 0\n" in site.ask("/metrics").text
    run.stop()


def test_from_one_delivery_to_the_other_and_back(once, signalbus, schema, make_topic, consume):
    topic = make_topic()
    models = [model("A", schema.make_signals("t", 100), topic, burst_count=10)]
    once(*models)
    run = signalbus.start("run", "-v")
    run.wait_log("started")
    for first, deliver in ((101, "at-least-once"), (201, "exactly-once"), (301, "at-least-once")):
        signalbus.configure(*models, delivery=deliver, instance=signalbus.instance)
        run.send(signal.SIGHUP)
        schema.insert_signals("t", 100, first=first)
        schema.wait_until(lambda: schema.count("t") < 50, 20, "a smaller table")
    schema.wait_until(lambda: schema.count("t") == 0, 20, "an empty table")
    run.stop()
    assert sorted(ids(consume(topic, 400))) == list(range(1, 401))
