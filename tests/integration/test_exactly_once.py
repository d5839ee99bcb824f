"""delivery = "exactly-once": consumers that read committed get each signal once."""

import re
import signal
import time
import uuid

import psycopg2
import pytest
from confluent_kafka import Consumer, TopicPartition

from proxy import END_TXN, INIT_PRODUCER_ID, OFFSET_FETCH, PRODUCE, REQUEST, RESET
from runner import every_flush, ids, model
from schemas import Schema
from servers import ROOT, Postgres
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


@pytest.mark.parametrize("before, answers", [(PRODUCE, REFUSED), (INIT_PRODUCER_ID, {0})],
                         ids=["too-late", "just-before-the-fence"])
def test_a_commit_that_is_given_up_comes(
        once, signalbus, schema, make_topic, consume, way_to_broker, before, answers):
    """
    When its burst has been rolled back, and is being sent again; or it is executed before the fence:
    who has decided earlier sends its burst again.
    """
    topic = make_topic()
    once(model("A", schema.make_signals("t", 10), topic, burst_count=10), timeout=2,
         kafka={"socket_timeout_ms": 20000})
    way_to_broker.hold(END_TXN, REQUEST)
    run = signalbus.start("run", "-vv")
    assert way_to_broker.sprung.wait(20), run.log()
    way_to_broker.release_before(before, 1)
    schema.wait_until(lambda: schema.count("t") == 0, 20, "the burst to be gone")
    run.stop()
    assert sorted(ids(consume(topic, 10))) == list(range(1, 11))
    assert refusal(way_to_broker.answer) in answers


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


@pytest.fixture
def leave_prepared(signalbus, schema, way_to_broker):
    """Leaves a burst that a killed sender has prepared: its commit is late, or was executed."""
    def leave(is_stored):
        way_to_broker.hold(END_TXN, REQUEST)
        run = signalbus.start("run")
        assert way_to_broker.sprung.wait(20), run.log()
        schema.wait_until(lambda: prepared(schema, signalbus.instance), 20, "a prepared burst")
        run.kill()
        if is_stored:
            assert refusal(way_to_broker.release()) == 0
        schema.wait_until(lambda: schema.value(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 0, 20, "a free slot")
    return leave


IS_STORED = pytest.mark.parametrize("is_stored", [True, False], ids=["stored", "not-stored"])
SAID = {True: "its messages are stored", False: "its messages are not stored"}


@pytest.mark.parametrize("is_stored, is_constant", [(True, True), (False, True), (False, False)],
                         ids=["stored", "not-stored", "not-stored-by-topics-of-columns"])
def test_recover_commits_or_rolls_back(
        once, signalbus, schema, make_topic, consume, leave_prepared, is_stored, is_constant):
    topic = make_topic()
    table = schema.make_signals("t", 10, columns=f", topic text DEFAULT '{topic}'")
    once(model("A", table, topic if is_constant else "{topic}", burst_count=10))
    leave_prepared(is_stored)
    completed = signalbus("recover").expect(0)
    assert completed.stdout == (f'1 prepared transaction of instance "{signalbus.instance}": '
                                "1 resolved, 0 left\n")
    assert SAID[is_stored] in completed.stderr
    assert schema.count("t") == (0 if is_stored else 10)
    signalbus("flushmany").expect_silence()
    assert sorted(ids(consume(topic, 10))) == list(range(1, 11))


BY_HAND = (ROOT / "docs" / "exactly-once.md").read_text().partition("## How to get out")[2]


@IS_STORED
def test_deciding_by_hand(
        once, signalbus, schema, make_topic, consume, kafka, leave_prepared, is_stored):
    """What the document says if the number of the group tells nothing: here, somebody changed it."""
    topic = make_topic()
    once(model("A", schema.make_signals("t", 10), topic, burst_count=10))
    leave_prepared(is_stored)
    [gid] = prepared(schema, signalbus.instance)
    group = Consumer({"bootstrap.servers": kafka.bootstrap,
                      "group.id": f"{signalbus.instance}-{gid.split(':')[2]}"})
    group.commit(offsets=[TopicPartition(topic, 0, 2**60)], asynchronous=False)
    group.close()
    assert "1 left" in signalbus("recover").expect(1).stdout
    [statement] = re.findall("```sql\n(.*?);\n```", BY_HAND, re.S)
    assert gid in [row[0] for row in schema.execute(statement)]
    are_there = len(consume(topic, 10 if is_stored else 0)) == 10
    [do, undo] = re.findall("`(COMMIT PREPARED|ROLLBACK PREPARED) 'gid'` if", BY_HAND)
    schema.execute(f"{do if are_there else undo} '{gid}'")
    assert schema.count("t") == (0 if is_stored else 10)
    signalbus("flushmany").expect_silence()
    assert sorted(ids(consume(topic, 10))) == list(range(1, 11))
    schema.insert_signals("t", 10, first=11)
    leave_prepared(is_stored)  # with a number of 19 digits
    assert "1 resolved, 0 left" in signalbus("recover").expect(0).stdout
    signalbus("flushmany").expect_silence()
    assert sorted(ids(consume(topic, 20))) == list(range(1, 21))


@IS_STORED
def test_at_least_once_after_exactly_once(
        once, signalbus, schema, make_topic, consume, leave_prepared, is_stored):
    """What is left prepared keeps its rows locked: it is resolved first."""
    topic = make_topic()
    models = [model("A", schema.make_signals("t", 10), topic, burst_count=10)]
    once(*models)
    leave_prepared(is_stored)
    signalbus.configure(*models, delivery="at-least-once", instance=signalbus.instance)
    assert SAID[is_stored] in signalbus("flushmany").expect(0).stderr
    assert schema.count("t") == 0
    assert sorted(ids(consume(topic, 10))) == list(range(1, 11))


@IS_STORED
def test_a_daemon_that_has_nothing_to_send_resolves_too(
        once, signalbus, schema, make_topic, leave_prepared, is_stored):
    topic = make_topic()
    once(model("A", schema.make_signals("t", 10), topic, burst_count=10))
    leave_prepared(is_stored)
    once(model("A", schema.table("t"), topic, autoflush=False))
    signalbus.start("run")
    schema.wait_until(lambda: not prepared(schema, signalbus.instance), what="resolved")
    assert schema.count("t") == (0 if is_stored else 10)


def test_who_has_lost_its_slot_fences_nobody(
        once, signalbus, schema, make_topic, consume, kafka, way_to_broker):
    """A process is frozen while it commits, and meanwhile another one gets its slot."""
    topic = make_topic()
    models = [model("A", schema.make_signals("t"), topic, burst_count=10)]
    once(*models, workers=1, timeout=2, notify_channel="")
    frozen = signalbus.start("run", "-v")
    frozen.wait_log("started")
    way_to_broker.hold(END_TXN, REQUEST)
    schema.insert_signals("t", 10)
    assert way_to_broker.sprung.wait(20)
    schema.wait_until(lambda: prepared(schema, signalbus.instance), 20, "a prepared burst")
    frozen.send(signal.SIGSTOP)
    schema.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                   "WHERE usename = 'bus'")
    signalbus.bootstrap = kafka.bootstrap
    once(*models, workers=1, notify_channel="")
    other = signalbus.start("run", "-v")
    schema.wait_until(lambda: schema.count("t") == 0, 20, "an empty table")
    frozen.send(signal.SIGCONT)
    frozen.wait_log("not known yet")
    schema.insert_signals("t", 10, first=11)
    schema.wait_until(lambda: schema.count("t") == 0, 20, "an empty table")
    assert "fenced" not in other.stop().stderr
    assert sorted(ids(consume(topic, 20))) == list(range(1, 21))


def test_a_burst_of_a_paused_model_is_decided_too(
        once, signalbus, schema, make_topic, way_to_broker):
    """The broker is unavailable while it is in doubt, and the worker has no other burst to run."""
    once(model("A", schema.make_signals("t"), make_topic(), burst_count=10), workers=1, timeout=2)
    schema.execute(f"GRANT CREATE ON SCHEMA {schema} TO bus")
    schema.execute(signalbus("triggers").expect(0).stdout)
    run = signalbus.start("run")
    run.wait_log("started")
    way_to_broker.hold(END_TXN, REQUEST)
    schema.insert_signals("t", 10)
    assert way_to_broker.sprung.wait(20)
    way_to_broker.swallow()
    run.wait_log("not known yet")
    signalbus("pause", "A").expect(0)
    run.wait_log('model "A": paused by')
    way_to_broker.restore()
    schema.wait_until(lambda: not prepared(schema, signalbus.instance), 20, "resolved")
    run.wait_log("this sender had prepared a transaction")
    assert schema.count("t") == 10


def test_what_another_role_has_prepared(
        once, signalbus, schema, make_topic, consume, leave_prepared, request):
    """It stays as it is, and so does its number, until that role resolves it."""
    topic = make_topic()
    models = [model("A", schema.make_signals("t", 10), topic, burst_count=10)]
    once(*models)
    leave_prepared(True)
    first = signalbus.database
    role = request.getfixturevalue("role")
    once(*models)
    schema.execute(f"GRANT SELECT, DELETE, UPDATE ON t TO {role}")
    schema.insert_signals("t", 10, first=11)
    assert ('run "signalbus recover" as the role that prepared it'
            in signalbus("flushmany").expect(0).stderr)
    assert schema.count("t") == 10
    assert "0 resolved, 1 left" in signalbus("recover").expect(1).stdout
    signalbus.database = first
    once(*models)
    assert "1 resolved, 0 left" in signalbus("recover").expect(0).stdout
    assert schema.count("t") == 0
    assert sorted(ids(consume(topic, 20))) == list(range(1, 21))


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


def test_from_one_delivery_to_the_other_and_back(
        once, signalbus, schema, make_topic, consume, way_to_broker):
    """Each reload comes while a burst is in flight; of exactly once, while it is prepared."""
    topic = make_topic()
    models = [model("A", schema.make_signals("t"), topic, burst_count=10)]
    once(*models, workers=1)
    run = signalbus.start("run", "-v")
    run.wait_log("started")
    locked = "SELECT count(*) FROM pg_locks WHERE relation = 't'::regclass AND pid %s"
    for first, deliver, is_in_flight in (
            (1, "at-least-once", lambda: prepared(schema, signalbus.instance)),
            (21, "exactly-once", lambda: schema.value(locked % "<> pg_backend_pid()")),
            (41, "at-least-once", lambda: prepared(schema, signalbus.instance))):
        way_to_broker.slow(delay=0.1)
        schema.insert_signals("t", 20, first=first)
        schema.wait_until(is_in_flight, 20, "a burst in flight")
        signalbus.configure(*models, delivery=deliver, instance=signalbus.instance, workers=1,
                            timeout=10)
        run.send(signal.SIGHUP)
        assert is_in_flight()
        way_to_broker.slow()
        schema.wait_until(lambda: schema.count("t") == 0, 20, "an empty table")
    assert prepared(schema, signalbus.instance) == []
    assert run.log().count("configuration reloaded") == 3
    run.stop()
    assert sorted(ids(consume(topic, 60))) == list(range(1, 61))


NOTIFIES = """
    CREATE FUNCTION notify_gone() RETURNS trigger LANGUAGE plpgsql AS
        $$BEGIN PERFORM pg_notify('gone', old.id::text); RETURN old; END$$;
    CREATE TRIGGER gone AFTER DELETE ON t FOR EACH ROW EXECUTE FUNCTION notify_gone()"""
TEMPORARY = """
    CREATE FUNCTION note_gone() RETURNS trigger LANGUAGE plpgsql AS
        $$BEGIN CREATE TEMPORARY TABLE IF NOT EXISTS gone (id int); RETURN old; END$$;
    CREATE TRIGGER gone AFTER DELETE ON t FOR EACH ROW EXECUTE FUNCTION note_gone()"""


@pytest.mark.parametrize("trigger", [NOTIFIES, TEMPORARY], ids=["notify", "temporary-table"])
def test_a_deletion_that_cannot_be_prepared(
        once, signalbus, schema, make_topic, consume, trigger):
    topic = make_topic()
    once(model("A", schema.make_signals("t", 3), topic, burst_count=3))
    schema.execute(trigger)
    reason = signalbus("flushmany").expect_failure()
    assert "cannot PREPARE a transaction that has " in reason
    assert "so no trigger of the table may do that" in reason
    schema.execute("DROP TRIGGER gone ON t")
    signalbus("flushmany").expect_silence()
    assert sorted(ids(consume(topic, 3))) == [1, 2, 3]


IN_ORDER = pytest.mark.parametrize("order", [{}, {"order_by": ["id"]}],
                                   ids=["unordered", "ordered"])


@IN_ORDER
def test_a_deletion_that_keeps_a_row_leaves_nothing_prepared(
        once, signalbus, schema, make_topic, consume, order):
    """The server prepares it without an error, and only then it is clear that a row stays."""
    topic = make_topic()
    once(model("A", schema.make_signals("t", 10), topic, burst_count=10, **order), workers=1)
    daemon = signalbus.start("-v", "run")
    schema.wait_until(lambda: schema.count("t") == 0, what="empty")
    schema.execute("CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                   "RETURN CASE WHEN old.id % 10 <> 5 THEN old END; END $$; CREATE TRIGGER keep "
                   "BEFORE DELETE ON t FOR EACH ROW EXECUTE FUNCTION keep()")
    schema.insert_signals("t", 10, first=11)
    daemon.wait_log('model "A": ')
    schema.wait_until(lambda: not prepared(schema, signalbus.instance), what="nothing prepared")
    schema.execute("DROP TRIGGER keep ON t")
    schema.wait_until(lambda: schema.count("t") == 0, what="empty")
    daemon.stop().expect(0)
    assert sorted(ids(consume(topic, 20))) == list(range(1, 21))


def test_consumers_do_not_wait_for_a_sender_that_is_gone(
        once, signalbus, schema, make_topic, consume, way_to_database, postgres):
    """One that was killed between sending and preparing leaves a transaction open in Kafka."""
    topic = make_topic()
    models = [model("A", schema.make_signals("t"), topic, burst_count=100, order_by=["id"]),
              model("B", schema.make_signals("u"), make_topic())]
    once(*models, timeout=10, workers=1)
    killed = signalbus.start("run")
    schema.insert_signals("t", 10)
    schema.wait_until(lambda: schema.count("t") == 0, what="empty")
    signalbus.database = postgres.conninfo()
    once(*models, timeout=10, workers=1)
    signalbus.start("-v", "run").wait_log("stands by")
    schema.wait_until(lambda: schema.value(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") >= 3, 20, "two slots")
    time.sleep(1.5)  # then it has looked who else has one
    way_to_database.vanish_at(b"PREPARE TRANSACTION")
    schema.insert_signals("t", 10, first=11)
    assert way_to_database.sprung.wait(20)
    killed.kill()
    way_to_database.reset()
    begin = time.monotonic()
    assert ids(consume(topic, 20)) == list(range(1, 21))
    assert time.monotonic() - begin < 30


@IN_ORDER
@pytest.mark.parametrize("bad", [0, 17], ids=["all-good", "some-too-large"])
def test_good_messages_are_no_dead_letters_because_of_their_batch(
        once, signalbus, schema, make_topic, consume, order, bad):
    """Each is accepted alone, and a batch of them is too large for the topic."""
    topic = make_topic(config={"max.message.bytes": "3000"})
    table = schema.make_signals("t")
    schema.execute("INSERT INTO t SELECT n, CASE WHEN n %% NULLIF(%s, 0) = 0 "
                   "THEN (SELECT string_agg(md5((n * i)::text), '') FROM generate_series(1, 200) i) "
                   "ELSE repeat('x', 1000) END FROM generate_series(1, 60) n", bad)
    once(model("A", table, topic, burst_count=9, on_reject="dead-letter", **order),
         dead_letter_table=schema.table("dead"))
    schema.execute(signalbus("triggers").expect(0).stdout)
    signalbus("flushordered" if order else "flushmany").expect(0)
    rejected = [n for n in range(1, 61) if bad and n % bad == 0]
    assert [n for n, in schema.execute("SELECT (signal->>'id')::int FROM dead ORDER BY 1")] == rejected
    assert sorted(ids(consume(topic, 60 - len(rejected)))) == [
        n for n in range(1, 61) if n not in rejected]


def test_no_transaction_is_left_to_prepare(once, signalbus, schema, make_topic, consume):
    topic = make_topic()
    once(model("A", schema.make_signals("t", 3), topic, burst_count=3), timeout=2)
    others = prepare_all(schema)
    try:
        reason = signalbus("flushmany").expect_failure()
    finally:
        for name in others:
            schema.execute(f"ROLLBACK PREPARED '{name}'")
    assert "maximum number of prepared transactions reached" in reason
    assert "raise max_prepared_transactions, or end what is in pg_prepared_xacts" in reason
    signalbus("flushmany").expect_silence()
    assert sorted(ids(consume(topic, 3))) == [1, 2, 3]


def prepare(schema, name):
    schema.execute(f"BEGIN; SELECT pg_current_xact_id(); PREPARE TRANSACTION '{name}'")


def prepare_all(schema):
    """As many as the server allows; their names."""
    names = []
    with pytest.raises(psycopg2.OperationalError):
        while len(names) < 1000:
            prepare(schema, f"other {len(names)}")
            names.append(f"other {len(names)}")
    schema.execute("ROLLBACK")
    return names


def test_names_that_are_no_bursts(once, signalbus, schema, make_topic):
    """Of no instance, or of one whose name begins like this one."""
    once(model("A", schema.make_signals("t", 1), make_topic()))
    names = [f"signalbus:{signalbus.instance}{rest}" for rest in (
        "", ":0", ":x:y", ":0:5:6", ":1:0:5", "-b:0:5", ":0:x", ":-1:5", ":0:9999999999999999999")]
    for name in names:
        prepare(schema, name)
    try:
        signalbus("recover").expect_silence()
        signalbus("flushmany").expect_silence()
    finally:
        for name in names:
            schema.execute(f"ROLLBACK PREPARED '{name}'")
