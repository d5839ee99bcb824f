"""Faults that last until somebody fixes them: the daemon recovers, without a restart."""

import shutil
import socket
import struct
import time

import pytest

from proxy import Proxy
from runner import Signalbus, ids, is_sanitized, model, repeats
from schemas import Schema
from servers import Kafka, Postgres, run_quietly, wait_until
from test_check import SASL, GuardedKafka
from topics import Topics

SLOWER = 5 if is_sanitized() else 1
BURST = 10


def start(signalbus):
    daemon = signalbus.start("-v", "run")
    daemon.wait_log("database: connected")
    return daemon


def wait_empty(schema, table, seconds):
    wait_until(lambda: schema.count(table) == 0, seconds * SLOWER, f"{table} is empty")


class Standby(Postgres):
    """
    A copy of a server that follows it, and can be promoted.  Made without pg_basebackup, which must be
    of the version of the server.
    """

    def __init__(self, primary):
        self.primary = primary
        super().__init__()

    def initialize(self):
        for folder in (self.data, self.sockets):
            folder.mkdir(mode=0o700)
            if self.user:
                shutil.chown(folder, self.user, self.user)
        connection = self.primary.connect("postgres")
        cursor = connection.cursor()
        start, stop = (("pg_backup_start('standby', true)", "pg_backup_stop(false)")
                       if connection.server_version >= 150000 else
                       ("pg_start_backup('standby', true, false)", "pg_stop_backup(false, false)"))
        cursor.execute(f"SELECT {start}")
        run_quietly(["cp", "-a", f"{self.primary.data}/.", self.data])
        cursor.execute(f"SELECT labelfile FROM {stop}")
        (self.data / "backup_label").write_text(cursor.fetchone()[0])
        connection.close()
        if self.user:
            shutil.chown(self.data / "backup_label", self.user, self.user)
        (self.data / "postmaster.pid").unlink()
        (self.data / "standby.signal").touch()
        source = self.primary.conninfo("postgres", user="postgres").replace("'", "")
        (self.data / "postgresql.auto.conf").write_text(f"primary_conninfo = '{source}'\n")

    def promote(self):
        connection = self.connect("postgres")
        connection.cursor().execute("SELECT pg_promote(true, 30)")
        connection.close()


@pytest.mark.early
def test_fail_over_to_a_standby(folder, kafka, make_topic, topics):
    """The primary dies, the standby is promoted: sent are all, from the new one."""
    with Postgres({"synchronous_standby_names": "*", "synchronous_commit": "local"}) as primary:
        primary.create_database()
        schema, topic = Schema(primary), make_topic()
        table = schema.make_signals("t", 500)
        with Standby(primary) as standby:
            hosts = primary.conninfo(host="127.0.0.1,127.0.0.1",
                                     port=f"{primary.port},{standby.port}")
            signalbus = Signalbus(folder, hosts, kafka.bootstrap)
            signalbus.configure(model("A", table, topic, burst_count=BURST), timeout=5.0,
                                poll_interval=0.2)
            try:
                fail_over(signalbus, schema, primary, standby)
            finally:
                signalbus.discard()
    numbers = ids(topics.read(topic, 2000))
    assert set(numbers) == set(range(1, 2001)) and repeats(numbers) <= 1500


def fail_over(signalbus, schema, primary, standby):
    daemon = start(signalbus)
    wait_empty(schema, "t", 10)
    # From here on, what is committed is on the standby, too.
    cursor = schema.connect(autocommit=True).cursor()
    cursor.execute("SET synchronous_commit = on")
    cursor.execute("INSERT INTO t SELECT n, 'signal ' || n FROM generate_series(501, 1500) n")
    primary.kill()
    standby.promote()
    schema.postgres = standby
    schema.insert_signals("t", 500, first=1501)
    wait_empty(schema, "t", 20)
    daemon.stop().expect(0)


def test_a_topic_that_is_deleted_and_created_again(signalbus, schema, kafka, make_topic, topics):
    """Its model waits, others continue; it recovers by itself."""
    topic, good = make_topic(), make_topic()
    signalbus.configure(model("A", schema.make_signals("t", 5), topic, burst_count=BURST),
                        model("Good", schema.make_signals("good", 5), good, burst_count=BURST),
                        timeout=2.0, poll_interval=0.2)
    daemon = start(signalbus)
    wait_empty(schema, "t", 10)
    admin = kafka.admin()  # it has to live until the answer is there
    admin.delete_topics([topic], operation_timeout=20)[topic].result(30)
    schema.insert_signals("t", 20, first=6)
    daemon.wait_log(f'topic "{topic}"', 30 * SLOWER)
    schema.insert_signals("good", 20, first=6)
    wait_empty(schema, "good", 10)
    assert schema.count("t") == 20
    make_topic(name=topic)
    wait_empty(schema, "t", 60)
    daemon.stop().expect(0)
    assert set(ids(topics.read(topic, 20))) == set(range(6, 26))


def allow_writing(address, topic, principal="User:relay"):
    """CreateAcls, version 1 (KIP-290): the client library for the tests does not have it yet."""
    def text(words):
        return struct.pack(">h", len(words)) + words.encode()
    of_topics, literal, write, allow = 2, 3, 4, 3
    entry = (struct.pack(">ib", 1, of_topics) + text(topic) + struct.pack(">b", literal)
             + text(principal) + text("*") + struct.pack(">bb", write, allow))
    request = struct.pack(">hhi", 30, 1, 1) + text("tests") + entry
    host, port = address.split(":")
    with socket.create_connection((host, int(port)), timeout=20) as link:
        link.sendall(struct.pack(">i", len(request)) + request)
        answer = b""
        while len(answer) < 18:
            answer += link.recv(100)
    error, = struct.unpack_from(">h", answer, 16)
    assert error == 0, f"CreateAcls: error {error}"


@pytest.mark.long
def test_no_permission_on_a_topic_until_it_is_granted(signalbus, schema):
    """Of one model; it waits with back-off and then continues, others do not wait."""
    with GuardedKafka() as guarded:
        good, bad = Topics(guarded).make(), Topics(guarded).make()
        allow_writing(guarded.bootstrap, good)
        signalbus.configure(
            model("Bad", schema.make_signals("bad", 20), bad, burst_count=BURST),
            model("Good", schema.make_signals("good", 20), good, burst_count=BURST),
            kafka={"bootstrap_servers": guarded.guarded, **SASL}, timeout=2.0, poll_interval=0.2)
        daemon = start(signalbus)
        wait_empty(schema, "good", 20)
        daemon.wait_log(f'topic "{bad}"', 20)
        schema.insert_signals("good", 20, first=21)
        wait_empty(schema, "good", 20)
        assert schema.count("bad") == 20
        allow_writing(guarded.bootstrap, bad)
        wait_empty(schema, "bad", 60)
        daemon.stop().expect(0)
        assert sorted(ids(Topics(guarded).read(bad, 20))) == list(range(1, 21))
        signalbus.discard()


def test_a_disk_that_is_full_at_the_commit(signalbus, schema, make_topic, topics):
    """
    What the relay sees of it, by a trigger that says so: filling a disk needs root.  It asks ever
    less often, so that the topic is not flooded with repeats, and continues when there is room.
    """
    topic = make_topic()
    signalbus.configure(model("A", schema.make_signals("t", BURST), topic, burst_count=BURST),
                        timeout=2.0, poll_interval=0.1)
    schema.execute("CREATE TABLE full_disk ()")
    schema.on_delete("t", f"""IF to_regclass('{schema}.full_disk') IS NOT NULL THEN
        RAISE EXCEPTION 'no space left on device' USING ERRCODE = '53100'; END IF""", True)
    daemon = start(signalbus)
    schema.wait_until(lambda: topics.count_in_log(topic) >= BURST, 20, "the first try")
    time.sleep(6)  # long enough for dozens of tries, were there no back-off
    tries = topics.count_in_log(topic) // BURST
    assert 1 <= tries <= 12, f"{tries} tries in 6 seconds"
    assert schema.count("t") == BURST
    schema.execute("DROP TABLE full_disk")
    wait_empty(schema, "t", 12)
    daemon.stop().expect(0)
    assert set(ids(topics.read(topic))) == set(range(1, BURST + 1))


@pytest.mark.long
def test_producers_that_have_been_without_a_broker_for_a_minute(signalbus, schema):
    """They are replaced, those of ordered models too."""
    with Kafka() as kafka:
        names = {"plain": {}, "ordered": {"order_by": ["id"]}}
        topics = {name: Topics(kafka).make() for name in names}
        signalbus.configure(*(model(name, schema.make_signals(name, 5), topics[name], **order)
                              for name, order in names.items()),
                            kafka={"bootstrap_servers": kafka.bootstrap}, poll_interval=0.2)
        daemon = signalbus.start("-vv", "run")
        for name in names:
            wait_empty(schema, name, 20)
        kafka.kill()
        daemon.wait_log("the broker does not answer", 20)
        assert "a producer is replaced" not in daemon.log()
        wait_until(lambda: daemon.log().count("a producer is replaced") == 2, 80, "new producers")
        for name in names:
            schema.insert_signals(name, 5, 6)
        kafka.start()
        for name in names:
            wait_empty(schema, name, 10)
            assert sorted(ids(Topics(kafka).read(topics[name], 10))) == list(range(1, 11))
        daemon.stop().expect(0)


@pytest.mark.long
def test_two_seconds_a_round_trip_to_the_broker(signalbus, schema, kafka, make_topic, consume):
    """Slower, and nothing else."""
    [broker] = kafka.brokers
    topic = make_topic()
    with Proxy(broker.byway_port, broker.proxy_port) as proxy:
        signalbus.bootstrap = kafka.bootstrap_by_proxy
        signalbus.configure(model("A", schema.make_signals("t", 30), topic, burst_count=BURST))
        proxy.slow(delay=1.0)
        run = signalbus("flushmany").expect_silence()
        signalbus.discard()
    assert run.seconds > 4
    assert sorted(ids(consume(topic, 30))) == list(range(1, 31))


@pytest.mark.long
def test_not_enough_replicas_for_a_while(signalbus, schema):
    """Waits while too few brokers are there to store a message safely; continues when they are."""
    with Kafka(brokers=3) as kafka:
        names = {"plain": {}, "ordered": {"order_by": ["id"]}}
        topics = {name: Topics(kafka).make(config={"min.insync.replicas": "3"}, replicas=3)
                  for name in names}
        signalbus.bootstrap = kafka.bootstrap
        signalbus.configure(*(model(name, schema.make_signals(name, 20), topics[name],
                                    burst_count=BURST, **order) for name, order in names.items()),
                            timeout=3.0, poll_interval=0.2)
        daemon = start(signalbus)
        for name in names:
            wait_empty(schema, name, 20)
        kafka.kill(3)
        for name in names:
            schema.insert_signals(name, 200, first=21)
        time.sleep(8)  # more than twice the time-out
        assert [schema.count(name) for name in names] == [200, 200]
        kafka.start(3)
        for name in names:
            wait_empty(schema, name, 15)
        daemon.stop().expect(0)
        first = {name: list(dict.fromkeys(ids(Topics(kafka).read(topics[name], 220))))
                 for name in names}
        assert first["ordered"] == sorted(first["plain"]) == list(range(1, 221))
        signalbus.discard()
