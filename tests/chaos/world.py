"""The servers, the proxies before them, the tables and the daemons of a run."""

import signal
import threading
from pathlib import Path

import psycopg2
from confluent_kafka import KafkaError, TopicPartition

import signals
from books import Books, now
from proxy import Proxy
from runner import Signalbus
from servers import Kafka, Postgres, wait_until
from topics import Topics, open_consumer, partitions_of

TIMEOUT = 2.0  # signalbus's; short, so that a minute has room for many faults


class World:
    """
    Everything that runs.  The program comes to the servers by proxies, if wanted; the writers, the
    checks and the faults come directly.
    """

    DAEMONS = 2

    def __init__(self, folder, brokers=1, timeout=TIMEOUT, tables=None, by_proxy=False,
                 delivery="at-least-once"):
        self.folder = Path(folder)
        self.delivery = delivery
        self.by_proxy = by_proxy
        self.tables = tables or signals.tables_for(delivery)
        self.timeout = timeout
        self.books = Books(self.tables)
        self.postgres = Postgres()
        self.kafka = Kafka(brokers=brokers)
        self.proxies = {}
        self.signalbus = None
        self.daemons = [None] * self.DAEMONS
        self.topics = {}
        self.closed = threading.Event()

    def open(self):
        self.kafka.start(timeout=0)  # both at once
        self.postgres.start()
        self.postgres.create_database()
        if self.by_proxy:
            [broker] = self.kafka.brokers
            self.proxies = {"postgres": Proxy(self.postgres.port),
                            "kafka": Proxy(broker.byway_port, broker.proxy_port)}
        self.kafka.wait_ready()
        self.make_tables()
        self.make_topics()
        self.configure()
        return self

    def make_tables(self):
        cursor = self.connect().cursor()
        cursor.execute("CREATE TABLE marks (mark text PRIMARY KEY)")
        for table in self.tables:
            cursor.execute(table.create())

    def make_topics(self):
        replicas = min(3, len(self.kafka.brokers))
        # The broker stamps: so it is known when it stored a message, whenever that is read.
        config = {"message.timestamp.type": "LogAppendTime",
                  "min.insync.replicas": str(max(1, replicas - 1)),
                  "max.message.bytes": str(signals.MESSAGE_LIMIT)}
        for table in self.tables:
            self.topics[table.name] = Topics(self.kafka).make(
                table.partitions, config, f"chaos.{table.name}", replicas)

    def configure(self):
        database, brokers = self.postgres.conninfo(), self.kafka.bootstrap
        if self.by_proxy:
            database = self.postgres.conninfo(port=self.proxies["postgres"].port)
            brokers = self.kafka.bootstrap_by_proxy
        self.signalbus = Signalbus(self.folder, database, brokers)
        self.signalbus.configure(
            *[table.model(self.topics[table.name]) for table in self.tables],
            # Small batches: a burst is several, and a fault may come between them.
            kafka={"batch_num_messages": 10}, dead_letter_table="dead_letters",
            timeout=self.timeout, poll_interval=0.5, workers=2, delivery=self.delivery,
            core_dumps=True)  # so that their descriptors can be counted
        cursor = self.connect().cursor()
        cursor.execute(self.signalbus("triggers").expect(0).stdout)

    def connect(self, autocommit=True):
        """A session of the run's own, not by the proxy."""
        return self.postgres.connect(autocommit=autocommit)

    def execute(self, sql, *arguments):
        connection = self.connect()
        try:
            cursor = connection.cursor()
            cursor.execute(sql, arguments or None)
            return cursor.fetchall() if cursor.description else None
        finally:
            connection.close()

    def start_daemon(self, number):
        self.daemons[number] = self.signalbus.start("-v", "run")

    def start_daemons(self):
        for number in range(self.DAEMONS):
            self.start_daemon(number)

    def stop_daemons(self):
        """A clean stop of all; what is not clean about it is a breach."""
        for daemon in self.daemons:
            self.expect_clean_stop(daemon, 5)

    def expect_clean_stop(self, daemon, seconds):
        daemon.wait_log("started")  # before, a signal ends it as any process
        begin = now()
        daemon.send(signal.SIGTERM)
        status = daemon.finish(60).returncode
        if status != 0:
            self.books.breach("stop", f"status {status} after SIGTERM: {daemon.stderr}")
        if now() - begin > seconds:
            self.books.breach("stop", f"took {now() - begin:.1f} s: {daemon.stderr}")

    def backlog_gone(self, marks):
        """Whether no row is left that was there up to these ids."""
        try:
            return not any(self.execute(f"SELECT 1 FROM {name} WHERE id <= {mark} LIMIT 1")
                           for name, mark in marks.items())
        except psycopg2.Error:
            return False

    def latest(self):
        """For each table the highest id that has been drawn."""
        return {table.name: self.execute(f"SELECT last_value FROM {table.name}_ids")[0][0]
                for table in self.tables}

    def is_empty(self):
        try:
            return not any(self.execute(f"SELECT 1 FROM {table.name} LIMIT 1")
                           for table in self.tables)
        except psycopg2.Error:
            return False

    def dead_letters(self, name):
        """The ids of the signals of a table that were moved."""
        return [number for number, in self.execute(
            "SELECT (signal ->> 'id')::bigint FROM dead_letters WHERE model = %s", name)]

    def idle_in_transaction(self):
        return self.execute("SELECT pid, query FROM pg_stat_activity WHERE application_name = "
                            "'signalbus' AND state LIKE 'idle in transaction%%'")

    def prepared(self):
        """The names of prepared transactions: none may be left."""
        return [name for name, in self.execute("SELECT gid FROM pg_prepared_xacts")]

    def close(self):
        try:
            if self.signalbus:
                self.signalbus.discard()
        finally:
            for proxy in self.proxies.values():
                proxy.close()
            for server in (self.postgres, self.kafka):
                server.remove()
            self.closed.set()

    def __enter__(self):
        try:
            return self.open()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_):
        self.close()


class Watch:
    """
    A thread that looks again and again; what stops it comes out of stop().  A look that fails
    while a server is unavailable is tried again.
    """

    def __init__(self, world, pause):
        self.world = world
        self.pause = pause
        self.failure = None
        self.looks = 0
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()

    def work(self):
        try:
            while not self.stopping.is_set() and not self.world.closed.is_set():
                self.look()
                self.looks += 1
                self.stopping.wait(self.pause)
        except BaseException as failure:  # the main thread reports it
            self.failure = failure
        finally:
            self.end()

    def end(self):
        pass

    def stop(self):
        self.stopping.set()
        self.thread.join(60)
        if self.failure:
            raise self.failure


class Looker(Watch):
    """Takes snapshots of the tables, to see which rows are gone."""

    def __init__(self, world, pause=0.1):
        self.connection = None
        super().__init__(world, pause)

    def look(self):
        try:
            if self.connection is None:
                self.connection = self.world.connect()
            for table in self.world.tables:
                self.look_at(table.name)
        except psycopg2.Error:
            self.end()

    def look_at(self, name):
        before = self.world.books.outstanding(name)
        cursor = self.connection.cursor()
        cursor.execute(f"SELECT id FROM {name}")
        present = {number for number, in cursor.fetchall()}
        self.world.books.looked(name, before, present, now())

    def end(self):
        if self.connection is not None:
            self.connection.close()
        self.connection = None


class Reader(Watch):
    """Reads all topics as they grow, and enters each message in the books."""

    def __init__(self, world):
        # A broker that was killed may not know the latest offsets at first: never skip any.
        self.consumer = open_consumer(world.kafka, {"auto.offset.reset": "error"})
        self.tables = {topic: table for table in world.tables
                       for topic in [world.topics[table.name]]}
        self.read = {(topic, partition): 0 for topic in self.tables
                     for partition in partitions_of(self.consumer, topic)}
        self.go_on()
        super().__init__(world, 0)

    def go_on(self):
        self.consumer.assign([TopicPartition(*place, offset)
                              for place, offset in self.read.items()])

    def look(self):
        for record in self.consumer.consume(num_messages=5000, timeout=0.1):
            place = record.topic(), record.partition()
            if not record.error() and self.is_next(record.offset(), place):
                self.read[place] = record.offset() + 1
                self.enter(record)
            elif record.error() and record.error().code() == KafkaError._PARTITION_EOF:
                if self.is_next(record.offset(), place):
                    self.read[place] = record.offset()
            elif not record.error() or record.error().code() == KafkaError._AUTO_OFFSET_RESET:
                self.go_on()
                return

    def is_next(self, offset, place):
        """Whether nothing was skipped, except markers of transactions and what is aborted."""
        if self.world.delivery == "exactly-once":
            return offset >= self.read[place]
        return offset == self.read[place]

    def enter(self, record):
        table, books = self.tables[record.topic()], self.world.books
        number = signals.id_of(record.value())
        if number is None:
            books.breach("bytes", f"{table.name}: no id in {record.value()!r}")
            return
        if not signals.is_exact(table, number, record.key(), record.value(),
                                record.headers() or []):
            books.breach("bytes", f"{table.name} {number}: key {record.key()!r}, headers "
                         f"{record.headers()}, value {record.value()!r}")
        books.in_log(table.name, number, record.timestamp()[1] / 1000)

    def wait_for_end(self, timeout=60):
        """Until all that is in the log now has been read."""
        other = open_consumer(self.world.kafka)
        try:
            ends = {place: other.get_watermark_offsets(TopicPartition(*place), timeout=20)[1]
                    for place in self.read}
        finally:
            other.close()
        wait_until(lambda: self.failure or all(self.read[place] >= end
                                               for place, end in ends.items()),
                   timeout, "the log is read")

    def end(self):
        self.consumer.close()
