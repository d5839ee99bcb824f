"""The daemon: `signalbus run` on the real servers."""

import os
import random
import signal
import socket
import statistics
import threading
import time

import pytest

from proxy import Proxy, without_notifications
from runner import ids, is_sanitized, model
from servers import wait_until
from topics import first_appearances

SLOWER = 5 if is_sanitized() else 1


def install_triggers(signalbus, schema, *words):
    sql = signalbus("triggers", *words).expect(0).stdout
    schema.execute(sql)


def start(signalbus, *words):
    daemon = signalbus.start("-v", "run", *words)
    daemon.wait_log("database: connected")
    daemon.wait_log("kafka: the broker answers")
    return daemon


def wait_empty(schema, table, timeout=30):
    wait_until(lambda: schema.count(table) == 0, timeout, f"{table} empty")


def seconds_until_gone(schema, table, number):
    """Commits one row and says after how long it is gone."""
    schema.insert_signals(table, 1, number)
    begin = time.monotonic()
    wait_until(lambda: schema.count(table) == 0, 20, "row gone", pause=0.001)
    return time.monotonic() - begin


def test_single_rows_are_gone_at_once_with_a_trigger(signalbus, schema, make_topic):
    table = schema.make_signals("t")
    signalbus.configure(model("A", table, make_topic()), poll_interval=60.0)
    install_triggers(signalbus, schema)
    daemon = start(signalbus)
    seconds_until_gone(schema, "t", 0)  # the first one opens the topic
    seconds = [seconds_until_gone(schema, "t", n) for n in range(1, 31)]
    assert statistics.median(seconds) < 0.1 * SLOWER, seconds
    daemon.stop().expect(0)


def test_notifications_are_heard_after_a_restart(signalbus, schema, make_topic, postgres,
                                                 killed_servers):
    """Workers that lose their sessions one after another wake the listener while it tests its own."""
    signalbus.configure(model("A", schema.make_signals("t"), make_topic()))
    install_triggers(signalbus, schema)
    daemon = start(signalbus)
    for _ in range(2):
        postgres.restart()
        schema.wait_until(lambda: len(schema.backends()) >= 3, 20, "all sessions")
        time.sleep(2.5)  # the listener's test takes two seconds if nothing arrives
    assert "notifications do not arrive" not in daemon.stop().expect(0).stderr


def test_single_rows_are_gone_with_the_next_poll_without_a_trigger(signalbus, schema, make_topic):
    table = schema.make_signals("t")
    signalbus.configure(model("A", table, make_topic()), poll_interval=0.5)
    daemon = start(signalbus)
    seconds_until_gone(schema, "t", 0)
    seconds = [seconds_until_gone(schema, "t", n) for n in range(1, 8)]
    assert statistics.median(seconds) < 0.5 + 0.5 * SLOWER, seconds
    daemon.wait_log("no wake-up trigger on the tables of A")
    daemon.stop().expect(0)
    install_triggers(signalbus, schema)
    signalbus.configure(model("A", table, make_topic()), notify_channel="another")
    daemon = signalbus.start("-v", "run")
    daemon.wait_log("no wake-up trigger on the tables of A")
    daemon.stop().expect(0)


class DeadRows:
    """
    A table that begins with a row of a transaction which is still open, followed by this number of dead rows
    that vacuum may not remove, since another transaction sees them.
    """

    COUNT = 150000
    PAGES = COUNT // 200

    def __init__(self, signalbus, schema, topic):
        self.schema, self.name, self.last = schema, "t", self.COUNT
        name = self.name
        signalbus.configure(model("A", schema.make_signals(name), topic), poll_interval=60.0)
        install_triggers(signalbus, schema)
        schema.execute(f"ALTER TABLE {name} ALTER payload SET STORAGE PLAIN")
        self.late = schema.connect()
        schema.insert_signals(name, 1, 0, self.late)
        schema.insert_signals(name, self.COUNT)
        self.holder = schema.connect()
        self.holder.set_session(isolation_level="REPEATABLE READ")
        self.holder.cursor().execute(f"SELECT 1 FROM {name} LIMIT 1")
        schema.execute(f"DELETE FROM {name}")
        schema.execute("SELECT pg_stat_force_next_flush()")  # what these statements have read

    def wake_in_vain(self, times, pause=0.002):
        """Notifications that announce nothing, apart so that they are not merged."""
        for _ in range(times):
            self.schema.execute("SELECT pg_notify('signalbus', '')")
            time.sleep(pause)

    def pages_read(self):
        return self.schema.value("SELECT heap_blks_read + heap_blks_hit FROM pg_statio_user_tables "
                                 "WHERE relid = %s::regclass", self.name)


    def send_one_more(self, session=None, size=10):
        """Commits a row after all others; to see that it is gone reads hardly any pages."""
        self.last += 1
        (session or self.schema.connection()).cursor().execute(
            f"INSERT INTO {self.name} VALUES (%s, repeat('x', %s))", (self.last, size))
        wait_until(lambda: self.schema.value(
            f"SELECT NOT EXISTS (SELECT FROM {self.name} WHERE id = %s)", self.last), 20, "sent",
            pause=0.002)

    def teach(self):
        """The first sweeps find out what they cost."""
        for _ in range(2):
            self.send_one_more()
            self.wake_in_vain(5, 0.1)


def test_dead_rows_are_not_walked_over_by_each_wake_up(signalbus, schema, make_topic):
    dead = DeadRows(signalbus, schema, make_topic())
    before = dead.pages_read()
    daemon = start(signalbus)
    dead.teach()
    for _ in range(30):
        dead.send_one_more()
        dead.wake_in_vain(2)
    daemon.stop().expect(0)
    # Sessions tell the statistics what they read at their end.
    wait_until(lambda: dead.pages_read() - before > dead.PAGES, 10, "statistics")
    assert dead.pages_read() - before < 40 * dead.PAGES


def test_a_session_with_a_page_of_its_own_is_served(signalbus, schema, make_topic):
    """What it inserts comes before the last row of another one; no expensive scan has to find it."""
    dead = DeadRows(signalbus, schema, make_topic())
    sessions = [schema.connect(autocommit=True) for _ in range(2)]
    daemon = start(signalbus)
    dead.teach()
    seconds = []
    for _ in range(9):
        for session in sessions:  # two such rows do not fit in a page
            dead.send_one_more(session, 5000)
        dead.wake_in_vain(2)
        begin = time.monotonic()
        dead.send_one_more(sessions[0])
        seconds.append(time.monotonic() - begin)
    daemon.stop().expect(0)
    assert statistics.median(seconds) < 0.06 * SLOWER, seconds


def test_a_row_before_dead_rows_that_is_committed_late_is_sent(signalbus, schema, make_topic):
    dead = DeadRows(signalbus, schema, make_topic())
    daemon = start(signalbus)
    dead.teach()
    dead.wake_in_vain(2)  # now the next sweep has to wait
    dead.late.commit()
    wait_empty(schema, dead.name, 20 * SLOWER)
    daemon.stop().expect(0)


def test_rows_of_a_partitioned_table_are_announced(signalbus, schema, make_topic):
    schema.execute("CREATE TABLE t (id bigint, payload text, PRIMARY KEY (id)) "
                   "PARTITION BY RANGE (id)")
    schema.execute("CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (100)")
    signalbus.configure(model("A", schema.table("t"), make_topic()), poll_interval=60.0)
    install_triggers(signalbus, schema)
    daemon = start(signalbus)
    seconds_until_gone(schema, "t", 0)
    seconds_until_gone(schema, "t", 1)  # no poll will come so soon
    daemon.stop().expect(0)


def test_triggers_can_be_installed_twice_and_dropped(signalbus, schema, make_topic):
    for name in ("a", "b"):
        schema.make_signals(name)
    signalbus.configure(model("A", schema.table("a"), make_topic()),
                        model("B", schema.table("b"), make_topic()))
    count = "SELECT count(*) FROM pg_trigger WHERE tgrelid IN ('a'::regclass, 'b'::regclass)"
    install_triggers(signalbus, schema)
    install_triggers(signalbus, schema)
    assert schema.value(count) == 2
    install_triggers(signalbus, schema, "--drop", "A")
    assert schema.value(count) == 1
    install_triggers(signalbus, schema, "--drop")
    assert schema.value(count) == 0
    assert schema.value("SELECT to_regproc('signalbus_notify') IS NULL")


@pytest.mark.early
def test_a_huge_backlog_does_not_starve_others(signalbus, schema, make_topic, consume):
    big, small = schema.make_signals("big"), schema.make_signals("small")
    topic = make_topic()
    schema.insert_signals("big", 400_000)
    signalbus.configure(model("Big", big, make_topic(), burst_count=500),
                        model("Small", small, topic), poll_interval=60.0)
    install_triggers(signalbus, schema)
    daemon = start(signalbus)
    seconds_until_gone(schema, "small", 0)
    seconds = []
    while schema.execute("SELECT 1 FROM big LIMIT 1"):
        seconds.append(seconds_until_gone(schema, "small", len(seconds) + 1))
    assert len(seconds) > 10, "the backlog was gone too soon"
    assert statistics.median(seconds) < 0.5 * SLOWER, seconds
    wait_empty(schema, "big", 120)
    daemon.stop().expect(0)


def test_two_daemons_send_each_row_once(signalbus, schema, make_topic, consume):
    table, topic = schema.make_signals("t"), make_topic()
    signalbus.configure(model("A", table, topic, burst_count=20), poll_interval=0.2)
    daemons = [start(signalbus), start(signalbus)]
    for first in range(1, 10_001, 500):
        schema.insert_signals("t", 500, first)
    wait_empty(schema, "t", 60)
    for daemon in daemons:
        daemon.stop().expect(0)
    assert sorted(ids(consume(topic, 10_000))) == list(range(1, 10_001))


def insert_slowly(schema, table, count, stop_after):
    """Commits rows one by one, in the order of their ids, from another connection."""
    connection = schema.connect(autocommit=True)
    for number in range(1, count + 1):
        schema.insert_signals(table, 1, number, connection)
        stop_after(number)
    connection.close()


def test_order_holds_when_the_holder_is_killed(signalbus, schema, make_topic, topics):
    table, topic = schema.make_signals("t"), make_topic()
    signalbus.configure(model("A", table, topic, burst_count=50, order_by=["id"]),
                        poll_interval=0.2)
    holder = start(signalbus)
    schema.insert_signals("t", 1, 0)
    wait_empty(schema, "t")
    follower = start(signalbus)
    follower.wait_log("stands by")
    insert_slowly(schema, "t", 3000, lambda n: n == 1500 and holder.kill())
    wait_empty(schema, "t", 60)
    follower.stop().expect(0)
    assert "took over the ordered lock" in follower.log()
    sent = ids(topics.read(topic, 3001))
    assert first_appearances(sent) == list(range(0, 3001))
    assert len(sent) - 3001 <= 50


def test_a_follower_takes_over_from_a_holder_that_stops(signalbus, schema, make_topic):
    table = schema.make_signals("t")
    signalbus.configure(model("A", table, make_topic(), order_by=["id"]), poll_interval=0.5)
    holder = start(signalbus)
    schema.insert_signals("t", 1, 0)
    wait_empty(schema, "t")
    follower = start(signalbus)
    follower.wait_log("stands by")
    holder.stop().expect(0)
    schema.insert_signals("t", 1, 1)
    wait_empty(schema, "t")
    follower.stop().expect(0)


def test_a_session_that_is_terminated_is_replaced(signalbus, schema, make_topic, topics):
    table, topic = schema.make_signals("t"), make_topic()
    signalbus.configure(model("A", table, topic, burst_count=10, order_by=["id"]),
                        model("B", schema.make_signals("u"), make_topic(), burst_count=10),
                        poll_interval=0.2)
    daemon = start(signalbus)
    for first in range(1, 2001, 100):
        schema.insert_signals("t", 100, first)
        schema.insert_signals("u", 100, first)
        schema.end_backends()
    wait_empty(schema, "t")
    wait_empty(schema, "u")
    daemon.stop().expect(0)
    assert first_appearances(ids(topics.read(topic, 2000))) == list(range(1, 2001))


@pytest.mark.early
def test_clean_stops_repeat_nothing(signalbus, schema, make_topic, consume):
    table, topic = schema.make_signals("t"), make_topic()
    schema.insert_signals("t", 60_000)
    signalbus.configure(model("A", table, topic, burst_count=10))
    pause = random.Random(1)
    for _ in range(20):
        before = schema.count("t")
        daemon = start(signalbus)
        schema.wait_until(lambda: schema.count("t") < before, what="some are sent")
        time.sleep(pause.uniform(0, 0.1))  # the moment of the stop is what varies
        daemon.stop(pause.choice([signal.SIGTERM, signal.SIGINT])).expect(0)
    assert 0 < schema.count("t") < 60_000
    signalbus.configure(model("A", table, topic, burst_count=1000))
    signalbus("flushmany", "-j", "2", timeout=120).expect(0)
    assert sorted(ids(consume(topic, 60_000))) == list(range(1, 60_001))


def test_a_paused_model_is_left_alone(signalbus, schema, make_topic):
    for name in ("a", "b"):
        schema.make_signals(name, 3)
    signalbus.configure(model("A", schema.table("a"), make_topic(), autoflush=False),
                        model("B", schema.table("b"), make_topic()), poll_interval=0.1)
    daemon = start(signalbus)
    wait_empty(schema, "b")
    daemon.wait_log("no wake-up trigger on the tables of B: polling")
    daemon.stop().expect(0)
    assert schema.count("a") == 3
    signalbus.configure(model("A", schema.table("a"), make_topic()), autoflush=False)
    daemon = start(signalbus)
    time.sleep(0.5)  # long enough for many polls
    daemon.stop().expect(0)
    assert schema.count("a") == 3


def test_a_model_that_cannot_continue_holds_up_no_other(signalbus, schema, make_topic, consume):
    good, topic = schema.make_signals("good"), make_topic()
    bad = schema.make_signals("bad", 1)
    missing = make_topic.__self__.unique_name()
    signalbus.configure(model("Gone", schema.table("gone"), make_topic()),
                        model("Bad", bad, missing), model("Good", good, topic),
                        poll_interval=0.1, timeout=2.0)
    daemon = start(signalbus)
    for number in range(20):
        seconds_until_gone(schema, "good", number)
    daemon.wait_log("does not exist")
    daemon.wait_log(f'topic "{missing}"')
    schema.make_signals("gone", 3)
    wait_empty(schema, "gone")
    make_topic(name=missing)
    wait_empty(schema, "bad", 60)
    daemon.wait_log('model "Gone": resumed after')
    daemon.wait_log('model "Bad": resumed after')
    daemon.stop().expect(0)
    assert daemon.log().count("does not exist") == 1


def test_a_rejected_message_stops_its_model_only(signalbus, schema, make_topic, consume):
    table, topic = schema.make_signals("t", 4), make_topic()
    schema.execute("INSERT INTO t SELECT 5, repeat('x', 2000000)")
    good = schema.make_signals("good")
    signalbus.configure(model("A", table, topic, burst_count=10), model("Good", good, make_topic()),
                        poll_interval=0.1)
    daemon = start(signalbus)
    daemon.wait_log("(id)=(5) was rejected")
    seconds_until_gone(schema, "good", 1)
    wait_until(lambda: schema.count("t") == 1, 10, "the neighbours gone")
    daemon.stop().expect(0)
    assert sorted(ids(consume(topic, 4))) == [1, 2, 3, 4]


def test_a_reload_adds_changes_and_removes_models(signalbus, schema, make_topic, consume):
    tables = {name: schema.make_signals(name) for name in "abc"}
    topics = {name: make_topic() for name in "abcd"}
    signalbus.configure(model("A", tables["a"], topics["a"]), model("B", tables["b"], topics["b"]),
                        poll_interval=0.1)
    daemon = start(signalbus)
    for name in "ab":
        seconds_until_gone(schema, name, 1)
    signalbus.write("database = 3;")
    daemon.send(signal.SIGHUP)
    daemon.wait_log(f"{signalbus.config}:1: database must be")
    seconds_until_gone(schema, "a", 2)  # the old one stays in force
    signalbus.configure(model("B", tables["b"], topics["d"]), model("C", tables["c"], topics["c"]),
                        poll_interval=0.1)
    daemon.send(signal.SIGHUP)
    daemon.wait_log("configuration reloaded")
    schema.insert_signals("a", 1, 3)
    for name in "bc":
        seconds_until_gone(schema, name, 4)
    assert schema.count("a") == 1
    daemon.stop().expect(0)
    assert ids(consume(topics["d"], 1)) == [4]


def test_a_second_signal_leaves_at_once(signalbus, schema, make_topic, kafka):
    table = schema.make_signals("t")
    signalbus.configure(model("A", table, make_topic()), poll_interval=0.1, timeout=60.0)
    daemon = start(signalbus)
    seconds_until_gone(schema, "t", 1)
    kafka.freeze()
    try:
        schema.insert_signals("t", 1, 2)
        wait_until(lambda: any(state == "idle in transaction" for _, state, *_ in schema.backends()),
                   10, "a burst under way")
        daemon.send(signal.SIGTERM)
        time.sleep(0.3)
        assert daemon.is_alive(), "it did not settle the burst under way"
        assert daemon.stop(timeout=20).returncode == -signal.SIGTERM
    finally:
        kafka.thaw()
    assert schema.count("t") == 1


def test_closed_standard_error_does_not_matter(signalbus, schema, make_topic):
    table = schema.make_signals("t")
    config = signalbus.configure(model("A", table, make_topic()), poll_interval=0.1)
    reader, writer = os.pipe()
    daemon = signalbus.start("-vv", "run", terminal=writer)
    os.close(writer)
    os.close(reader)
    for number in range(3):
        seconds_until_gone(schema, "t", number)
    daemon.stop().expect(0)
    assert config.exists()


@pytest.mark.early
def test_an_idle_daemon_is_quiet(signalbus, schema, make_topic, postgres):
    """It polls its twenty tables every two seconds, with one statement, and counts them every ten."""
    models = [model(f"M{n}", schema.make_signals(f"t{n}"), make_topic()) for n in range(20)]
    signalbus.database = postgres.conninfo(user="postgres", options="-c log_statement=all")
    signalbus.configure(*models, poll_interval=2.0)
    install_triggers(signalbus, schema)
    log = postgres.process.log
    begin = log.stat().st_size

    def asked(what):
        return log.read_bytes()[begin:].count(what)
    daemon = start(signalbus)
    wait_until(lambda: asked(b"execute claim_") >= len(models), 20, "a first look at all")
    begin, since, cpu = log.stat().st_size, time.monotonic(), cpu_seconds(daemon.pid)
    wait_until(lambda: asked(b"SELECT EXISTS (SELECT FROM ") >= 4, 60, "four more looks at all")
    seconds = time.monotonic() - since
    assert (asked(b": BEGIN") + asked(b"count(*)")) / seconds <= 16
    assert asked(b"LOG:  ") / seconds <= 130
    assert (cpu_seconds(daemon.pid) - cpu) / seconds <= 0.020 * SLOWER
    daemon.stop().expect(0)


def cpu_seconds(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_without_a_channel_it_does_not_listen(signalbus, schema, make_topic):
    table = schema.make_signals("t")
    signalbus.configure(model("A", table, make_topic()), poll_interval=0.2, notify_channel="")
    daemon = start(signalbus)
    seconds_until_gone(schema, "t", 1)
    assert not any("LISTEN" in query for _, _, query, _ in schema.backends())
    daemon.stop().expect(0)


def test_notifications_that_do_not_arrive_are_reported(signalbus, schema, make_topic, postgres):
    with Proxy(postgres.port, edit_answers=without_notifications) as proxy:
        signalbus.database = postgres.conninfo(port=proxy.port, sslmode="disable",
                                               gssencmode="disable")
        signalbus.configure(model("A", schema.make_signals("t"), make_topic()), poll_interval=0.5)
        install_triggers(signalbus, schema)
        daemon = start(signalbus)
        daemon.wait_log("notifications do not arrive")
        seconds_until_gone(schema, "t", 1)
        daemon.stop().expect(0)


class Systemd:
    """What systemd is to a service: a socket that takes datagrams."""

    def __init__(self, folder):
        self.path = str(folder / "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.messages = []
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        while True:
            self.messages += self.socket.recv(4096).decode().split("\n")

    def wait_for(self, message, timeout=10):
        wait_until(lambda: any(m.startswith(message) for m in self.messages), timeout, message)


def test_systemd_is_notified(signalbus, schema, make_topic, folder):
    systemd = Systemd(folder)
    signalbus.configure(model("A", schema.make_signals("t", 2), make_topic()), poll_interval=0.2)
    daemon = signalbus.start("run", environment={"NOTIFY_SOCKET": systemd.path,
                                                 "WATCHDOG_USEC": "600000"})
    systemd.wait_for("READY=1")
    systemd.wait_for("STATUS=")
    wait_until(lambda: systemd.messages.count("WATCHDOG=1") >= 3, 10, "three signs of life")
    daemon.send(signal.SIGHUP)
    systemd.wait_for("RELOADING=1")
    daemon.stop().expect(0)
    systemd.wait_for("STOPPING=1")
    assert any("sent" in m and "pending" in m for m in systemd.messages if m.startswith("STATUS=")), \
        systemd.messages


def test_unavailable_servers_are_waited_for(signalbus, schema, postgres, kafka, make_topic, topics,
                                              way_to_broker, way_to_database, killed_servers):
    topic = make_topic()
    signalbus.configure(model("A", schema.make_signals("t", 10), topic), poll_interval=0.2)
    postgres.stop()
    kafka.stop()
    daemon = signalbus.start("-v", "run")
    wait_until(lambda: min(way_to_broker.refused, way_to_database.refused) > 5, 30, "attempts")
    assert daemon.is_alive()
    assert len(daemon.log().splitlines()) < 10, daemon.log()  # not one for each attempt
    kafka.start()
    postgres.start()
    wait_empty(schema, "t")
    kafka.kill()
    schema.insert_signals("t", 10, 11)
    daemon.wait_log("the broker does not answer")
    wait_until(lambda: not any(state == "idle in transaction" for _, state, *_ in schema.backends()),
               40, "no open transaction")
    kafka.start()
    wait_empty(schema, "t")
    postgres.stop("immediate")
    postgres.start()
    schema.insert_signals("t", 10, 21)
    wait_empty(schema, "t")
    daemon.stop().expect(0)
    assert set(ids(topics.read(topic, 30))) == set(range(1, 31))


def test_nothing_begins_while_the_broker_is_known_to_be_unavailable(signalbus, schema, make_topic,
                                                                    way_to_broker):
    """Not by a worker either that began to wait for rows before that: theirs would be locked for
    as long as `timeout`."""
    signalbus.configure(model("A", schema.make_signals("t"), make_topic()), poll_interval=60)
    install_triggers(signalbus, schema)
    daemon = start(signalbus)
    seconds_until_gone(schema, "t", 1)
    way_to_broker.turn_away()
    daemon.wait_log("the broker does not answer")
    schema.insert_signals("t", 1, 2)
    for _ in range(20):
        time.sleep(0.05)
        assert not any(state == "idle in transaction" for _, state, *_ in schema.backends())
    way_to_broker.restore()
    wait_empty(schema, "t")
    daemon.stop().expect(0)


@pytest.mark.parametrize("order", [{}, {"order_by": ["id"]}], ids=["any", "ordered"])
def test_a_table_that_changes_is_followed(signalbus, schema, make_topic, consume, order):
    table, topic = schema.make_signals("t"), make_topic()
    signalbus.configure(model("A", table, topic, **order), poll_interval=0.1)
    daemon = start(signalbus)
    seconds_until_gone(schema, "t", 1)
    schema.execute("ALTER TABLE t ADD COLUMN extra int DEFAULT 7")
    schema.wait_polls()  # that is when it looks for new columns
    seconds_until_gone(schema, "t", 2)
    schema.execute("ALTER TABLE t DROP COLUMN payload")
    schema.execute("INSERT INTO t VALUES (3)")
    wait_empty(schema, "t")
    schema.execute("ALTER TABLE t ALTER COLUMN extra TYPE text")
    schema.execute("INSERT INTO t VALUES (4)")
    wait_empty(schema, "t")
    schema.execute("ALTER TABLE t RENAME TO u")
    daemon.wait_log("does not exist")
    schema.execute("ALTER TABLE u RENAME TO t")
    daemon.wait_log('model "A": resumed after')
    daemon.stop().expect(0)
    assert [message.value.decode() for message in consume(topic, 4)] == [
        '{"id":1,"payload":"signal 1"}', '{"id":2,"payload":"signal 2","extra":7}',
        '{"id":3,"extra":7}', '{"id":4,"extra":"7"}']


def test_a_table_that_gets_partitions_is_followed(signalbus, schema, make_topic, consume,
                                                  count_in_log):
    """Its statements stay as they were, but who writes to a partition has to be waited for."""
    table, topic = schema.make_signals("t"), make_topic()
    signalbus.configure(model("A", table, topic, order_by=["id"]), poll_interval=0.1)
    daemon = start(signalbus)
    seconds_until_gone(schema, "t", 1)
    schema.execute("""ALTER TABLE t RENAME TO before;
                      CREATE TABLE t (id bigint PRIMARY KEY, payload text) PARTITION BY RANGE (id);
                      CREATE TABLE part PARTITION OF t FOR VALUES FROM (0) TO (100)""")
    schema.wait_polls()  # then it reads the catalog again
    writer = schema.connect()
    writer.cursor().execute("INSERT INTO part VALUES (2, 'earlier')")
    schema.execute("INSERT INTO t VALUES (3, 'later')")
    time.sleep(0.5)
    assert count_in_log(topic) == 1
    writer.commit()
    wait_empty(schema, "t")
    daemon.stop().expect(0)
    assert ids(consume(topic, 3)) == [1, 2, 3]


def test_triggers_need_a_channel_that_works(signalbus, schema, make_topic):
    table = schema.make_signals("t")
    path = signalbus.configure(model("A", table, make_topic()), notify_channel="")
    line = 1 + path.read_text()[:path.read_text().index("notify_channel")].count("\n")
    said = signalbus("triggers").expect(78).stderr
    assert said == (f'{path}:{line}: notify_channel is ""; set it to the channel that the triggers '
                    'notify, such as "signalbus"\n')
    signalbus.configure(model("A", table, make_topic()), notify_channel="x" * 64)
    assert "notify_channel must have 63 bytes at most" in signalbus("triggers").expect(78).stderr
    signalbus.configure(model("A", table, make_topic()), notify_channel="it's \"odd\"")
    install_triggers(signalbus, schema)
    daemon = start(signalbus)
    assert seconds_until_gone(schema, "t", 1) < 5
    daemon.stop().expect(0)


def test_a_stop_does_not_wait_for_the_next_claim(signalbus, schema, make_topic, topics):
    """It has been sent by then, after the last commit."""
    table, topic = schema.make_signals("t", 30), make_topic()
    schema.execute("CREATE FUNCTION slow(id bigint) RETURNS bool LANGUAGE plpgsql AS "
                   "$$ BEGIN IF id > 20 THEN PERFORM pg_sleep(20); END IF; RETURN true; END $$")
    schema.on_delete("t", f"IF (SELECT min(id) FROM {table}) > 10 THEN PERFORM pg_sleep(1); END IF")
    signalbus.configure(model("A", table, topic, burst_count=10, where=f"{schema}.slow(id)"))
    run = signalbus.start("flushmany")
    schema.wait_until(lambda: schema.value("SELECT count(*) FROM pg_stat_activity "
                                           "WHERE wait_event = 'PgSleep'"), 20, "a second deletion")
    start = time.monotonic()
    run.stop(signal.SIGTERM).expect(-signal.SIGTERM)
    assert time.monotonic() - start < 15
    assert schema.count("t") == 10 and len(topics.read(topic, 20)) == 20


@pytest.mark.parametrize("order_by", [[], ["id"]], ids=["any", "ordered"])
@pytest.mark.parametrize("command", ["run", "flushmany", "flushordered"])
def test_a_stop_does_not_wait_for_a_locked_table(signalbus, schema, make_topic, count_in_log,
                                                 command, order_by):
    """The timeout is half a minute."""
    topic = make_topic()
    order = {"order_by": order_by} if order_by else {}
    signalbus.configure(model("A", schema.make_signals("t", 3), topic, **order))
    holder = schema.connect()
    holder.cursor().execute("LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
    run = signalbus.start(command, "-v")
    schema.wait_until(lambda: schema.value(
        "SELECT count(*) FROM pg_locks WHERE relation = %s::regclass AND NOT granted", "t"), 20,
        "a claim that waits")
    start = time.monotonic()
    completed = run.stop(signal.SIGTERM)
    assert time.monotonic() - start < 15, completed
    assert completed.returncode == (0 if command == "run" else -signal.SIGTERM), completed
    assert "error" not in completed.stderr, completed
    holder.rollback()
    assert schema.count("t") == 3 and count_in_log(topic) == 0
