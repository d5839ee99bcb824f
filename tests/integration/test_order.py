"""An order that holds: flushordered while others write, fail, freeze and take over."""

import io
import json
import random
import signal
import threading
import time

import pytest

from runner import ids, model
from schemas import Gate
from topics import first_appearances

WITHIN = 0.5  # seconds from a commit to the sending of what it let go


@pytest.fixture
def ordered(signalbus, schema, make_topic):
    """Configures a model with order_by id; returns its topic."""
    def configure(count=0, burst_count=100, **settings):
        topic = make_topic()
        signalbus.configure(model("A", schema.make_signals("t", count), topic,
                                  burst_count=burst_count, order_by=["id"]), **settings)
        return topic
    return configure


def open_writer(schema, sql, *arguments):
    """A transaction that has executed a statement and stays open."""
    connection = schema.connect()
    connection.cursor().execute(sql, arguments or None)
    return connection


def wait_held(schema):
    """Until a sender has looked for awaited writers, three times."""
    seen = set()

    def looked():
        seen.update(schema.execute(
            "SELECT query_start FROM pg_stat_activity WHERE application_name = 'signalbus' "
            "AND query LIKE '%pg_locks%ANY ($2%'"))
        return len(seen) >= 3
    schema.wait_until(looked, what="a sender waits for a writer")


def sent_at(messages):
    """When each was handed to the producer, in seconds since the epoch."""
    return [message.timestamp / 1000 for message in messages]


# How id 1 is written, and how its transaction ends.
def insert(connection):
    connection.cursor().execute("INSERT INTO t VALUES (1, 'first')")


def insert_in_savepoint(connection):
    connection.cursor().execute("SAVEPOINT s; INSERT INTO t VALUES (1, 'first'); "
                                "RELEASE SAVEPOINT s")


def copy(connection):
    connection.cursor().copy_from(io.StringIO("1\tfirst\n"), "t")


def commit(connection):
    yield
    connection.commit()


def roll_back(connection):
    yield
    connection.rollback()


def prepare_and_commit(connection):
    name = f"prepared-{time.monotonic_ns()}"
    yield
    connection.cursor().execute(f"PREPARE TRANSACTION '{name}'")
    connection.rollback()
    connection.autocommit = True
    yield
    connection.cursor().execute(f"COMMIT PREPARED '{name}'")


@pytest.mark.parametrize("write,end", [
    (insert, commit), (insert, roll_back), (insert_in_savepoint, commit), (copy, commit),
    (insert, prepare_and_commit)], ids=lambda function: function.__name__)
def test_what_is_open_holds_back_what_comes_later(signalbus, schema, ordered, consume,
                                                  count_in_log, write, end):
    topic = ordered()
    first = schema.connect()
    write(first)
    schema.insert_signals("t", 1, first=2)
    running = signalbus.start("flushordered", "-r", 0.1)
    for _ in end(first):
        wait_held(schema)
        assert count_in_log(topic) == 0
        before = time.time()
    messages = consume(topic, 1 if end is roll_back else 2)
    assert ids(messages) == ([2] if end is roll_back else [1, 2])
    assert sent_at(messages)[-1] < before + WITHIN
    running.stop().expect_silence()


def test_two_partitions(signalbus, schema, make_topic, consume, count_in_log):
    """The lock of a writer who names the partition is on the partition only."""
    schema.execute("""CREATE TABLE t (id int, region int, PRIMARY KEY (id, region))
                          PARTITION BY LIST (region);
                      CREATE TABLE t_1 PARTITION OF t FOR VALUES IN (1);
                      CREATE TABLE t_2 PARTITION OF t FOR VALUES IN (2)""")
    topic = make_topic()
    signalbus.configure(model("A", schema.table("t"), topic, order_by=["id"]))
    for partition, number in (("t_1", 1), ("t", 3)):
        first = open_writer(schema, f"INSERT INTO {partition} VALUES (%s, 1)", number)
        schema.execute("INSERT INTO t_2 VALUES (%s, 2)", number + 1)
        running = signalbus.start("flushordered", "-r", 0.1)
        wait_held(schema)
        assert count_in_log(topic) == number - 1
        before = time.time()
        first.commit()
        messages = consume(topic, number + 1)
        assert ids(messages) == list(range(1, number + 2))
        assert sent_at(messages)[-1] < before + WITHIN
        running.stop().expect_silence()


def test_later_writers_are_not_waited_for(signalbus, schema, ordered, consume):
    """In a serial order, what came after the list was made cannot sort before it."""
    topic = ordered()
    first = open_writer(schema, "INSERT INTO t VALUES (1, '')")
    schema.insert_signals("t", 1, first=2)
    running = signalbus.start("flushordered", "-r", 0.1)
    wait_held(schema)
    third = open_writer(schema, "INSERT INTO t VALUES (3, '')")
    first.commit()
    assert ids(consume(topic, 2)) == [1, 2]
    third.commit()
    assert ids(consume(topic, 3)) == [1, 2, 3]
    running.stop().expect_silence()


def test_an_elder_of_what_came_in_between(signalbus, schema, make_topic, consume, count_in_log):
    """
    If the order is not the order of insertion, a signal that was committed during the wait may
    have an elder that is open still: it is neither sent itself, nor overtaken.
    """
    topic = make_topic()
    schema.execute("CREATE TABLE t (id int PRIMARY KEY, customer int)")
    signalbus.configure(model("A", schema.table("t"), topic, burst_count=10,
                              order_by=["customer", "id"]))
    schema.execute("INSERT INTO t VALUES (1, 2)")
    awaited = open_writer(schema, "INSERT INTO t VALUES (2, 3)")
    running = signalbus.start("flushordered", "-r", 0.1)
    wait_held(schema)
    elder = open_writer(schema, "INSERT INTO t VALUES (3, 1)")
    schema.execute("INSERT INTO t VALUES (4, 1)")
    awaited.commit()
    wait_held(schema)
    assert count_in_log(topic) == 0
    elder.commit()
    assert ids(consume(topic, 4)) == [3, 4, 1, 2]
    running.stop().expect_silence()


def test_what_comes_to_the_beginning_is_sent_before_the_end(signalbus, schema, ordered, consume):
    """A run searches after what it sent last; against the rules, a row is inserted before that."""
    topic = ordered(30, burst_count=10)
    gate = Gate(schema, "t")
    running = signalbus.start("flushordered")
    gate.wait_for()
    schema.execute("INSERT INTO t VALUES (-1, 'late')")
    gate.open()
    running.finish().expect_silence()
    numbers = ids(consume(topic, 31))
    assert sorted(numbers) == [-1, *range(1, 31)] and numbers[:10] == list(range(1, 11))


def test_dead_rows_are_not_walked_over(signalbus, schema, make_topic, topics):
    """A snapshot keeps the deleted rows in the index; that costs a walk now and then only."""
    topic = make_topic()
    signalbus.configure(model("A", make_table(schema), topic, burst_count=10, order_by=["id"]))

    def seconds(expected):
        schema.execute("INSERT INTO t (customer) SELECT 1 FROM generate_series(1, 3000)")
        signalbus("flushordered").expect_silence()
        at = sent_at(topics.read(topic, expected)[-3000:])
        return at[-1] - at[0]
    without = seconds(3000)
    open_writer(schema, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM t")
    schema.execute("INSERT INTO t (customer) SELECT 1 FROM generate_series(1, 200000)")
    schema.execute("DELETE FROM t")
    with_them = seconds(6000)
    assert with_them < 2 * without + 2, f"{without:.2f} s without, {with_them:.2f} s with them"


def test_what_does_not_write_to_the_table_delays_nothing(signalbus, schema, ordered, consume):
    topic = ordered(500)
    schema.execute("CREATE TABLE other (id int)")
    open_writer(schema, "INSERT INTO other VALUES (1)")
    open_writer(schema, "SELECT count(*) FROM t")
    open_writer(schema, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT txid_current()")
    signalbus("flushordered", timeout=20).expect_silence()
    assert ids(consume(topic, 500)) == list(range(1, 501))


def test_a_model_that_is_held_back_delays_no_other(signalbus, schema, make_topic, consume):
    topics = {"a": make_topic(), "b": make_topic()}
    signalbus.configure(*(model(name, schema.make_signals(name, 50), topic, burst_count=10,
                                order_by=["id"]) for name, topic in topics.items()))
    writer = open_writer(schema, "INSERT INTO a VALUES (0, '')")
    running = signalbus.start("flushordered")
    assert ids(consume(topics["b"], 50)) == list(range(1, 51))
    wait_held(schema)
    writer.commit()
    running.finish().expect_silence()
    assert ids(consume(topics["a"], 51)) == list(range(51))


def test_a_writer_that_never_ends(signalbus, schema, ordered, count_in_log):
    """One-shot: given up after timeout, and who is to blame is named."""
    topic = ordered(5, timeout=1.0)
    writer = open_writer(schema, "INSERT INTO t VALUES (0, '')")
    run = signalbus("flushordered", timeout=20).expect(1)
    assert f"server process {writer.info.backend_pid} " in run.stderr
    assert run.stderr.count("\n") == 1 and run.seconds >= 1
    writer.cursor().execute("PREPARE TRANSACTION 'never ends'")
    writer.rollback()
    try:
        run = signalbus("flushordered", timeout=20).expect(1)
        assert 'prepared transaction "never ends"' in run.stderr
    finally:
        schema.execute("ROLLBACK PREPARED 'never ends'")
    assert count_in_log(topic) == 0 and schema.count("t") == 5


@pytest.mark.early
def test_a_writer_that_takes_long_is_logged_once(signalbus, schema, ordered, consume):
    topic = ordered(5)
    writer = open_writer(schema, "INSERT INTO t VALUES (0, '')")
    running = signalbus.start("flushordered", "-r", 0.1)
    running.wait_log(f"server process {writer.info.backend_pid} ")
    assert time.monotonic() - running.started >= 10
    wait_held(schema)
    writer.commit()
    assert ids(consume(topic, 6)) == list(range(6))
    assert running.stop().expect(0).stderr.count("\n") == 1


class Writers:
    """Sessions that write to t (id serial, customer) until they are stopped."""

    def __init__(self, schema, count=6, pause=0.03):
        self.schema = schema
        self.pause = pause
        self.committed = []
        self.failures = []
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self.work, args=(seed,), daemon=True)
                        for seed in range(count)]
        self.connections = [schema.connect() for _ in self.threads]
        for thread in self.threads:
            thread.start()

    def work(self, seed):
        try:
            while not self.stopping.is_set():
                self.transaction(seed, random.Random(f"{seed} {time.monotonic_ns()}"))
        except Exception as failure:  # the test's thread reports it
            self.failures.append(failure)

    def transaction(self, seed, chance):
        connection = self.connections[seed]
        cursor = connection.cursor()
        numbers = []
        for _ in range(chance.choice((1, 1, 2, 4))):
            savepoint = chance.random() < 0.3
            if savepoint:
                cursor.execute("SAVEPOINT s")
            cursor.execute("INSERT INTO t (customer) SELECT n %% 3 FROM generate_series(1, %s) n "
                           "RETURNING id", (chance.choice((1, 2, 5, 40)),))
            if savepoint and chance.random() < 0.3:
                cursor.fetchall()
                cursor.execute("ROLLBACK TO s")
            else:
                numbers += [number for (number,) in cursor.fetchall()]
            self.stopping.wait(chance.expovariate(1 / self.pause))
        self.end(connection, cursor, chance.random(), f"{self.schema} {seed}", numbers)

    def end(self, connection, cursor, chance, name, numbers):
        if chance < 0.2:
            connection.rollback()
            return
        if chance < 0.3:
            cursor.execute(f"PREPARE TRANSACTION '{name}'")
            connection.rollback()
            connection.autocommit = True
            self.stopping.wait(self.pause)
            cursor.execute(f"COMMIT PREPARED '{name}'")
            connection.autocommit = False
        connection.commit()
        self.committed += numbers

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(30)
        assert not self.failures, self.failures
        return sorted(self.committed)


@pytest.fixture
def writers(schema):
    """Starts writers to t; they are stopped at the end of the test at the latest."""
    started = []

    def start(**settings):
        started.append(Writers(schema, **settings))
        return started[-1]
    yield start
    for each in started:
        each.stopping.set()
        for thread in each.threads:
            thread.join(30)


def make_table(schema):
    schema.execute("CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "
                   "customer int)")
    return schema.table("t")


@pytest.mark.early
@pytest.mark.parametrize("seconds,settings", [
    (20, {"order_by": ["id"]}),
    (4, {"order_by": ["id"], "where": "customer >= 0"}),
    (3, {"order_by": ["customer", "id"]})], ids=["numbers", "numbers and where", "customers"])
def test_writers_of_random_size_and_delay(signalbus, schema, make_topic, consume, writers,
                                          seconds, settings):
    """Serial order: no inversion at all.  Other orders: none among those of a customer."""
    topic = make_topic()
    is_serial = settings["order_by"] == ["id"]
    signalbus.configure(model("A", make_table(schema), topic, burst_count=50, **settings))
    running = signalbus.start("flushordered", "-r", 0.01)
    writing = writers()
    time.sleep(seconds)
    committed = writing.stop()
    schema.wait_until(lambda: schema.count("t") == 0, what="the table is empty")
    running.stop().expect_silence()
    found = [json.loads(message.value) for message in consume(topic, len(committed))]
    assert sorted(each["id"] for each in found) == committed
    assert len(committed) >= (500 * seconds if is_serial else 500)
    groups = {0: found} if is_serial else {
        customer: [each for each in found if each["customer"] == customer]
        for customer in range(3)}
    for group in groups.values():
        assert inversions([each["id"] for each in group]) == []


def inversions(numbers):
    return [(earlier, later) for earlier, later in zip(numbers, numbers[1:]) if earlier > later]


# What happens to a sender, while others write.
def killed(running, schema, signalbus, kafka):
    running.kill()
    return [signalbus.start("flushordered", "-r", 0.01)]


def session_terminated(running, schema, signalbus, kafka):
    schema.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                   "WHERE application_name = 'signalbus'")
    return [running]


def session_terminated_with_a_successor(running, schema, signalbus, kafka):
    return [*session_terminated(running, schema, signalbus, kafka),
            signalbus.start("flushordered", "-r", 0.01)]


def frozen_longer_than_timeout(running, schema, signalbus, kafka):
    """Amid a burst."""
    def is_frozen_amid_a_burst():
        running.send(signal.SIGSTOP)
        states = schema.execute("SELECT state FROM pg_stat_activity "
                                "WHERE application_name = 'signalbus'")
        if ("idle in transaction",) not in states:
            running.send(signal.SIGCONT)
        return ("idle in transaction",) in states
    schema.wait_until(is_frozen_amid_a_burst, what="frozen amid a burst")
    before = schema.value("SELECT coalesce(min(id), 0) FROM t")
    successor = signalbus.start("flushordered", "-r", 0.01)
    schema.wait_until(lambda: schema.value("SELECT coalesce(min(id), 1e9) FROM t") > before,
                      what="the successor sends")
    running.send(signal.SIGCONT)
    return [running, successor]


def holder_of_lock(schema, daemon_name):
    """The server process that has an ordered lock, of the sessions with this application name."""
    return schema.execute("SELECT l.pid FROM pg_locks l JOIN pg_stat_activity a USING (pid) "
                          "WHERE l.locktype = 'advisory' AND l.granted "
                          "AND a.application_name = %s", daemon_name)


def start_named(signalbus, name):
    return signalbus.start("-v", "run", environment={"PGAPPNAME": name})


def freeze_between_bursts(schema, running, name):
    """Stopped while none of its sessions does anything, nor has a transaction open."""
    def is_frozen_at_rest():
        running.send(signal.SIGSTOP)
        states = {state for state, in schema.execute(
            "SELECT state FROM pg_stat_activity WHERE application_name = %s", name)}
        if states != {"idle"}:
            running.send(signal.SIGCONT)
        return states == {"idle"}
    schema.wait_until(is_frozen_at_rest, what="frozen between bursts")


def configure_idle(signalbus, schema, make_topic):
    """Models that are polled rarely."""
    schema.make_signals("idle")
    schema.make_signals("seldom", 1)
    signalbus.configure(
        model("Idle", schema.table("idle"), make_topic(), order_by=["id"]),
        model("Seldom", schema.table("seldom"), make_topic(), order_by=["id"], autoflush=False),
        timeout=1.0, poll_interval=60.0, workers=1)


@pytest.mark.early
def test_a_holder_that_is_frozen_between_bursts(signalbus, schema, make_topic, topics):
    """
    The server ends its session, the one that stands by takes over, and the one that went on stands
    by.  Who is merely idle, for as long, keeps its lock and its session; a command that repeats
    keeps its session.
    """
    configure_idle(signalbus, schema, make_topic)
    idle = start_named(signalbus, "idle")
    [its_session] = schema.wait_until(lambda: holder_of_lock(schema, "idle"), what="idle's lock")
    seldom = signalbus.start("flushordered", "-r", 15.5, "Seldom")
    schema.wait_until(lambda: schema.count("seldom") == 0, what="the first round")
    schema.insert_signals("seldom", 1, first=2)
    topic = make_topic()
    signalbus.configure(model("A", schema.make_signals("t", 100), topic, burst_count=10,
                              order_by=["id"]), timeout=1.0, poll_interval=0.2)
    frozen = start_named(signalbus, "frozen")
    schema.wait_until(lambda: schema.count("t") == 0, what="the first are sent")
    other = start_named(signalbus, "other")
    other.wait_log("stands by")
    freeze_between_bursts(schema, frozen, "frozen")
    begin = time.monotonic()
    schema.insert_signals("t", 500, first=101)
    other.wait_log("took over the ordered lock", 15 + 5)
    assert time.monotonic() - begin > 10, "it was given little time"
    frozen.send(signal.SIGCONT)
    for first in range(601, 1601, 50):
        schema.insert_signals("t", 50, first=first)
    frozen.wait_log("stands by")
    schema.wait_until(lambda: schema.count("t") == 0, what="all are sent")
    assert holder_of_lock(schema, "idle") == [its_session]
    for each in (frozen, other, idle):
        log = each.stop().expect(0).stderr.replace(" warning: database: the user is a superuser", "")
        assert "warning" not in log and "error" not in log, log
    schema.wait_until(lambda: schema.count("seldom") == 0, what="the next round")
    seldom.stop().expect_silence()
    assert ids(topics.read(topic, 1600)) == list(range(1, 1601))


def broker_restarted(running, schema, signalbus, kafka):
    kafka.restart("kill")
    return [running]


SLOW = (frozen_longer_than_timeout, broker_restarted)


@pytest.mark.early
@pytest.mark.parametrize("happening", [
    killed, session_terminated, session_terminated_with_a_successor, frozen_longer_than_timeout,
    broker_restarted], ids=lambda function: function.__name__)
def test_order_of_first_appearances(signalbus, schema, kafka, make_topic, topics, writers,
                                    happening):
    topic = make_topic()
    signalbus.configure(model("A", make_table(schema), topic, burst_count=100, order_by=["id"]),
                        timeout=20.0 if happening is broker_restarted else 1.0)
    schema.execute("INSERT INTO t (customer) SELECT 1 FROM generate_series(1, 20000)")
    writing = writers(pause=0.01)
    running = [signalbus.start("flushordered", "-r", 0.01)]
    for goal in (19000,) if happening in SLOW else (19000, 14000):
        schema.wait_until(lambda: schema.count("t") < goal, what="some are sent")
        running = happening(running[-1], schema, signalbus, kafka)
    committed = writing.stop()
    schema.wait_until(lambda: schema.count("t") == 0, 60, "the table is empty")
    for each in running:
        each.stop().expect(0)
    numbers = ids(topics.read(topic, 20000 + len(committed)))
    first = first_appearances(numbers)
    assert inversions(first) == []
    assert first == list(range(1, 20001)) + committed
    assert len(numbers) - len(first) <= 100 * 6


@pytest.mark.parametrize("burst_count", [7, 1000])
@pytest.mark.parametrize("limit", ["producer", "topic"])
def test_a_message_too_large_stops_the_order(signalbus, schema, make_topic, consume, limit,
                                             burst_count):
    schema.execute("CREATE TABLE t (id int PRIMARY KEY, payload text)")
    schema.execute("INSERT INTO t SELECT n, repeat(md5(n::text), CASE n WHEN 120 THEN 6250 "
                   "ELSE 10 END) FROM generate_series(1, 200) n")
    on_topic = limit == "topic"
    topic = make_topic(config={"max.message.bytes": "100000"} if on_topic else {})
    signalbus.configure(
        model("A", schema.table("t"), topic, burst_count=burst_count, order_by=["id"]),
        kafka={} if on_topic else {"message_max_bytes": 100000}, timeout=10.0)
    run = signalbus("flushordered").expect(1)
    assert "(id)=(120)" in run.stderr
    assert ids(consume(topic, 119)) == list(range(1, 120))
    assert [row[0] for row in schema.execute("SELECT id FROM t ORDER BY id")] == list(
        range(120, 201))


@pytest.mark.parametrize("large", [3, 500, 985])
def test_batches_after_a_rejected_one_are_not_stored(signalbus, schema, make_topic, consume,
                                                      large):
    """One burst in many batches, of which several are on the way when the broker rejects one."""
    schema.execute("CREATE TABLE t (id int PRIMARY KEY, payload text)")
    schema.execute("INSERT INTO t SELECT n, repeat('x', CASE n WHEN %s THEN 20000 ELSE 100 END) "
                   "FROM generate_series(1, 1000) n", large)
    topic = make_topic(config={"max.message.bytes": "10000"})
    signalbus.configure(
        model("A", schema.table("t"), topic, burst_count=1000, order_by=["id"]),
        kafka={"batch_num_messages": 5, "max_in_flight_requests_per_connection": 5}, timeout=10.0)
    run = signalbus("flushordered").expect(1)
    assert f"(id)=({large})" in run.stderr
    assert list(dict.fromkeys(ids(consume.__self__.read(topic, large - 1)))) == list(
        range(1, large))
    assert schema.execute("SELECT min(id), count(*) FROM t") == [(large, 1001 - large)]


def test_what_fails_of_one_model_has_no_other_one_s_sent_again(signalbus, schema, make_topic,
                                                               topics):
    """One's message is too large, some's topics are missing; another continues in one daemon."""
    topic, orphans = make_topic(config={"max.message.bytes": "10000"}), ["o1", "o2", "o3", "o4"]
    schema.make_signals("good", 30000)
    schema.execute("CREATE TABLE bad (id int PRIMARY KEY, payload text)")
    schema.execute("INSERT INTO bad VALUES (100001, 'small'), (100002, repeat('x', 20000))")
    for table in orphans:
        schema.make_signals(table, 10)
    signalbus.configure(
        *[model(table, schema.table(table), topics.unique_name() if table in orphans else topic,
                order_by=["id"], burst_count=20) for table in ("good", "bad", *orphans)],
        kafka={"batch_num_messages": 5}, timeout=2.0, workers=6, poll_interval=0.1)
    daemon = signalbus.start("-v", "run")
    for trouble in ("(id)=(100002)", *orphans):
        daemon.wait_log(f'"{trouble}"' if trouble in orphans else trouble)
        assert schema.count("good") > 0, "these troubles come amid the good ones"
    rest = schema.execute("DELETE FROM good WHERE id > 6000 + (SELECT min(id) FROM good) RETURNING id")
    schema.wait_until(lambda: schema.count("good") == 0, 60, "the good ones are sent")
    daemon.stop().expect(0)
    sent, wanted = ids(topics.read(topic)), list(range(1, 30001 - len(rest)))
    assert [number for number in sent if number <= 30000] == wanted
    assert set(sent) - set(wanted) == {100001}
    assert [schema.count(table) for table in ("bad", *orphans)] == [1, 10, 10, 10, 10]


def test_who_has_the_lock_is_named(signalbus, schema, ordered):
    ordered(5)
    writer = open_writer(schema, "INSERT INTO t VALUES (0, '')")
    first = signalbus.start("flushordered")
    wait_held(schema)
    (pid,), = schema.execute("SELECT pid FROM pg_stat_activity "
                             "WHERE application_name = 'signalbus'")
    second = signalbus("flushordered").expect(75)
    assert f'server process {pid}, "signalbus"' in second.stderr
    writer.commit()
    first.finish().expect_silence()
