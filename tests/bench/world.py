"""What the measurements run on: the real servers, a backlog of signals, a topic for each."""

import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "integration"))
for variable in [name for name in os.environ if name.startswith("PG")]:
    del os.environ[variable]  # they would lead the measurements to somebody else's server

from libconfig import render  # noqa: E402
from measure import cpu_of_threads  # noqa: E402
from servers import Broker, Kafka, Postgres, Process, TempFolder, wait_until  # noqa: E402
from topics import Topics  # noqa: E402

BUILD = ROOT / os.environ.get("BUILD", "build")
BINARY = Path(os.environ.get("SIGNALBUS", BUILD / "signalbus")).absolute()
TOOLS = BUILD / "bench"

# PostgreSQL's and Kafka's own defaults, except what would disturb a timing now and then:
# a checkpoint (each timing is preceded by one) and vacuum (each table is fresh).
POSTGRES_SETTINGS = {"max_wal_size": "8GB", "checkpoint_timeout": "1h", "autovacuum": "off",
                     "wal_level": "logical", "log_min_messages": "error"}
KAFKA_SETTINGS = {"log.segment.delete.delay.ms": 100, "num.network.threads": 3,
                  "num.io.threads": 8}
# As Kafka's own start script has it; the tests' broker is tuned to start quickly.
JAVA_OPTIONS = ["-Xms1g", "-Xmx1g", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20",
                "-XX:InitiatingHeapOccupancyPercent=35", "-Djava.awt.headless=true"]

# Sizes of batches, and how many messages of each, until the broker's compiler takes no more
# than that part of the time, at most so often.
WARM_UP = [(1000, 1000000), (100, 200000), (10, 40000), (1, 10000)]
WARM_PART = 0.1
WARM_UP_TURNS = 15
MESSAGE_BYTES = 300

COLUMNS = """id bigint, aggregatetype text NOT NULL, aggregateid text NOT NULL, type text NOT NULL,
    created_at timestamptz NOT NULL, payload text NOT NULL"""
# About 270 bytes a row, its header included.
VALUES = """n, 'order', (n %% 10000)::text, 'OrderCreated',
    timestamptz '2026-01-01 00:00:00.123456+00' + n * interval '1 ms',
    repeat(md5(n::text), 5) || 'payload of signal ' || n"""
# The items of an order, as JSON of a given number of bytes: compressible as such messages are.
PAYLOAD = """left((SELECT '[' || string_agg(format('{{"position":%%s,"sku":"%%s","quantity":%%s,"price":"%%s.%%s"}}',
    i, left(md5((n + i)::text), 12), (n * i) %% 9 + 1, (n * 7 + i * 13) %% 400, (n + i) %% 100), ',') || ']'
    FROM generate_series(1, {0} / 65) i) || repeat(' ', {0}), {0})"""


class World:
    """
    The servers, and what is made and removed on them for each measurement.

        with World() as world, world.backlog(100000) as backlog:
            run(world, backlog.flush("flushmany", burst=1000))
    """

    numbers = itertools.count(1)

    def __init__(self, brokers=1):
        Broker.JAVA_OPTIONS = JAVA_OPTIONS
        self.folder = TempFolder("bench")
        self.postgres = Postgres(POSTGRES_SETTINGS)
        self.kafka = Kafka(brokers, settings=KAFKA_SETTINGS)
        self.topics = Topics(self.kafka)
        self.connection = None

    def __enter__(self):
        self.postgres.start()
        self.kafka.start()
        self.postgres.create_database()
        self.connection = self.postgres.connect()
        self.execute("SET statement_timeout = 0")
        self.warm_up()
        return self

    def warm_up(self):
        """
        Until its code is compiled a broker takes four times as long, and a processor for its
        compiler.  It compiles what it meets often: batches of all sizes.
        """
        def produce_all_sizes():
            for batch, count in WARM_UP:
                self.produce(backlog.topic, count, batch)
        with self.backlog(1, partitions=len(self.kafka.brokers)) as backlog:
            self.until_compiled(produce_all_sizes)

    def until_compiled(self, work):
        """Does the work again and again, until the broker's compiler is idle meanwhile."""
        def compiler():
            return sum(cpu_of_threads(broker.process.pid, "CompilerThre")
                       for broker in self.kafka.brokers)
        for _ in range(WARM_UP_TURNS):
            compiled, start = compiler(), time.monotonic()
            work()
            compiled = compiler() - compiled
            if compiled < WARM_PART * (time.monotonic() - start):
                return

    def produce(self, topic, count, batch):
        subprocess.run(
            self.tool("producer", self.kafka.bootstrap, topic, str(count), str(MESSAGE_BYTES),
                      f"batch.num.messages={batch}"),
            check=True, stdout=subprocess.DEVNULL, timeout=300)

    def __exit__(self, *_):
        self.postgres.remove()
        self.kafka.remove()
        self.folder.remove()

    def execute(self, sql, *arguments):
        cursor = self.connection.cursor()
        cursor.execute(sql, arguments or None)
        return cursor.fetchall() if cursor.description else None

    def value(self, sql, *arguments):
        return self.execute(sql, *arguments)[0][0]

    @property
    def conninfo(self):
        """Over the socket in the file system: what a service on the same host would use."""
        return self.postgres.conninfo(host=self.postgres.sockets)

    @property
    def owner_conninfo(self):
        """For tools that do what signalbus may not: write signals, change their tables."""
        return self.postgres.conninfo(host=self.postgres.sockets, user="postgres")

    def template(self, rows, payload=None):
        """
        A table with at least this number of rows to copy from; it is made once.  Their payloads
        have this number of bytes, if one is given.
        """
        name = "template" if payload is None else f"template_{payload}"
        values = VALUES
        if payload is not None:
            values = VALUES.rpartition("repeat(")[0] + PAYLOAD.format(payload)
        have = self.value("SELECT coalesce(max(reltuples), 0)::bigint FROM pg_class "
                          "WHERE relname = %s", name)
        if have < rows:
            self.execute(f"DROP TABLE IF EXISTS {name}")
            self.execute(f"CREATE UNLOGGED TABLE {name} ({COLUMNS})")
            self.execute(f"INSERT INTO {name} SELECT {values} FROM generate_series(1, %s) n", rows)
            self.execute(f"VACUUM ANALYZE {name}")
        return name

    def backlog(self, rows, with_topic=True, **kind):
        return Backlog(self, rows, with_topic, **kind)

    def number(self):
        return next(self.numbers)

    def tool(self, name, *arguments):
        return [TOOLS / name, *arguments]

    def signalbus(self, models, *arguments, name="bench", **settings):
        """The command that runs signalbus with a configuration of its own."""
        config = self.folder.path / f"{name}.conf"
        kafka = {"bootstrap_servers": self.kafka.bootstrap, **settings.pop("kafka", {})}
        config.write_text(render({"database": self.conninfo, "kafka": kafka, **settings,
                                  "models": models}))
        config.chmod(0o600)
        return [BINARY, "-c", config, *arguments]


class Daemon:
    """
    A daemon that serves models, from when its sessions are there until the end of the block.

        with Daemon(world, [backlog.model()]) as daemon:
            daemon.process.pid
    """

    def __init__(self, world, models, name="daemon", **settings):
        self.world = world
        self.name = name
        self.command = world.signalbus(models, "run", name=name, **settings)
        self.process = None

    def __enter__(self):
        log = self.world.folder.path / f"{self.name}.log"
        log.unlink(missing_ok=True)
        self.process = Process(self.command, log)
        wait_until(lambda: self.is_ready(log), 30, "the daemon serves", pause=0.05)
        return self

    def is_ready(self, log):
        self.process.require_alive("the daemon")
        text = log.read_text()
        return "database: connected" in text and "the broker answers" in text

    def __exit__(self, *_):
        self.process.end(signal.SIGTERM, 60)


class Backlog:
    """
    A signal table with this number of rows, as vacuum leaves them, and a topic for them.

        with world.backlog(1000) as backlog:
            backlog.table, backlog.topic
    """

    def __init__(self, world, rows, with_topic=True, partitions=1, payload=None):
        self.world = world
        self.rows = rows
        number = world.number()
        self.table = f"signal_{number}"
        self.topic = f"bench-{number}"
        self.with_topic = with_topic
        self.partitions = partitions
        self.payload = payload
        self.next_id = rows + 1

    def __enter__(self):
        template = self.world.template(self.rows, self.payload)
        self.world.execute(f"CREATE TABLE {self.table} AS SELECT * FROM {template} "
                           f"WHERE id <= %s", self.rows)
        self.world.execute(f"ALTER TABLE {self.table} ADD PRIMARY KEY (id)")
        self.world.execute(f"VACUUM ANALYZE {self.table}")
        if self.with_topic:
            self.world.topics.make(self.partitions, name=self.topic)
        self.world.execute("CHECKPOINT")
        return self

    def __exit__(self, *_):
        self.world.execute(f"DROP TABLE {self.table}")
        if self.with_topic:
            admin = self.world.kafka.admin()  # it has to live until the answer is there
            admin.delete_topics([self.topic], operation_timeout=20)[self.topic].result(timeout=30)

    def model(self, **settings):
        return {"name": "Bench", "table": f"public.{self.table}", "topic": self.topic, **settings}

    def install_triggers(self):
        """Those that wake a daemon, made as users make them."""
        command = self.world.signalbus([self.model()], "triggers", name="triggers")
        self.world.execute(subprocess.run(command, check=True, capture_output=True,
                                          text=True).stdout)

    def flush(self, *arguments, burst, settings=None, **model):
        return self.world.signalbus([self.model(burst_count=burst, **model)], *arguments,
                                    **(settings or {}))

    def check_sent(self, rows=None, left=0, is_transactional=False):
        """
        Each row has become one message, and none is left, or this number if rows stay.  Messages
        in transactions have to be read, because the log also holds the transactions' markers.
        """
        rows = self.rows if rows is None else rows
        found = self.world.value(f"SELECT count(*) FROM {self.table}")
        topics = self.world.topics
        sent = (len(topics.read(self.topic, rows)) if is_transactional
                else topics.count_in_log(self.topic))
        if found != left or sent != rows:
            raise AssertionError(f"{rows} rows: {found} are left and {sent} were sent")

    def check_empty(self):
        if self.world.value(f"SELECT count(*) FROM {self.table}") != 0:
            raise AssertionError(f"{self.table} is not empty")
