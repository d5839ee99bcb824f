"""What a daemon survives on its own machine: a clock that is set, noise on its channel, and a server
that waits for it to leave."""

import os
import struct
import time
from datetime import datetime

import pytest

from inject import injector
from runner import ids, is_sanitized, model
from schemas import Schema
from servers import wait_until

SLOWER = 5 if is_sanitized() else 1
HOUR = 3600


class Clock:
    """The wall clock of a program, which can be set while it runs."""

    def __init__(self, folder):
        self.path = folder / "clock"
        self.set(0)

    def set(self, seconds):
        """That it is off by so much."""
        with open(self.path, "r+b" if self.path.exists() else "wb") as file:
            file.write(struct.pack("q", seconds))

    def environment(self):
        return {"LD_PRELOAD": str(injector("stepped_clock.so")), "CLOCK_STEP_FILE": str(self.path)}


def start(signalbus, environment=None):
    daemon = signalbus.start("-v", "run", environment=environment)
    daemon.wait_log("database: connected")
    daemon.wait_log("kafka: the broker answers")
    return daemon


def wait_gone(schema, table="t"):
    wait_until(lambda: schema.count(table) == 0, 20 * SLOWER, f"{table} empty", pause=0.005)


def cpu_seconds(daemon):
    fields = open(f"/proc/{daemon.pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def check_quiet(daemon, seconds=1):
    before = cpu_seconds(daemon)
    time.sleep(seconds)
    assert cpu_seconds(daemon) - before < 0.2 * seconds * SLOWER


class Load:
    """Rows for a table t, in any order, and for a table o, in its own."""

    def __init__(self, schema, topics):
        self.schema, self.topics = schema, topics
        self.topic = {table: self.topics.make() for table in "to"}
        self.models = [model("T", self.schema.make_signals("t"), self.topic["t"]),
                       model("O", self.schema.make_signals("o"), self.topic["o"],
                             order_by=["id"])]
        self.count = 0

    def insert(self):
        for table in "to":
            self.schema.insert_signals(table, 3, self.count + 1)
        self.count += 3

    def wait_sent(self):
        for table in "to":
            wait_gone(self.schema, table)

    def check(self):
        found = {table: ids(self.topics.read(self.topic[table], self.count)) for table in "to"}
        assert sorted(found["t"]) == found["o"] == list(range(1, self.count + 1))


@pytest.mark.skipif(is_sanitized(), reason="a sanitizer stands before the same calls")
@pytest.mark.early
def test_the_clock_is_set(signalbus, schema, topics, folder, way_to_broker):
    """An hour either way, while rows come, and while the broker is unavailable."""
    load, clock = Load(schema, topics), Clock(folder)
    signalbus.configure(*load.models, poll_interval=0.2)
    daemon = start(signalbus, clock.environment())
    for off in (0, HOUR, -HOUR, 0):
        clock.set(off)
        for _ in range(3):
            load.insert()
            load.wait_sent()
        check_quiet(daemon)
    for times, off in enumerate((-HOUR, HOUR), 1):
        way_to_broker.turn_away()
        wait_until(lambda: daemon.log().count("does not answer") == times, 20, "that it is noticed")
        load.insert()
        time.sleep(1)  # so that each thread waits for something, librdkafka's, too
        clock.set(off)
        check_quiet(daemon)
        way_to_broker.restore()
        load.wait_sent()
    daemon.stop().expect(0)
    times = [datetime.fromisoformat(line.split()[0]) for line in daemon.log().splitlines()]
    assert len(times) < 40, daemon.log()
    assert (max(times) - min(times)).total_seconds() > HOUR, "the clock was not set"
    load.check()


def test_a_flooded_channel_delays_nothing(signalbus, schema, make_topic, topics):
    """By notifications for this table and for what is none of its business."""
    table, topic = schema.make_signals("t"), make_topic()
    signalbus.configure(model("A", table, topic), poll_interval=60)
    schema.execute(signalbus("triggers").expect(0).stdout)
    daemon = start(signalbus)
    channel = "signalbus"
    for number in range(1, 11):
        schema.execute("SELECT pg_notify(%s, n::text || repeat('x', 1000)) FROM generate_series(1, 5000) n",
                       channel)
        schema.execute("SELECT pg_notify(%s, %s || repeat(' ', n)) FROM generate_series(1, 2000) n",
                       channel, table)
        schema.insert_signals("t", 1, number)
        wait_gone(schema)
    check_quiet(daemon)
    assert len(daemon.log().splitlines()) < 20, daemon.log()
    daemon.stop().expect(0)
    assert sorted(ids(topics.read(topic, 10))) == list(range(1, 11))


def test_a_privilege_is_revoked_and_granted_again(signalbus, schema, postgres, make_topic):
    role = f"weak_{schema}"
    tables = {name: schema.make_signals(name) for name in ("t", "good")}
    schema.execute(f"CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA {schema} TO {role}; "
                   f"GRANT ALL ON t, good TO {role}")
    signalbus.database = postgres.conninfo(user=role)
    signalbus.configure(*(model(name, table, make_topic()) for name, table in tables.items()),
                        poll_interval=0.2)
    daemon = start(signalbus)
    schema.execute(f"REVOKE DELETE ON t FROM {role}")
    schema.insert_signals("t", 1, 1)
    daemon.wait_log("permission denied for table t")
    for number in range(5):
        schema.insert_signals("good", 1, number)
        wait_gone(schema, "good")
    assert schema.count("t") == 1
    schema.execute(f"GRANT DELETE ON t TO {role}")
    wait_gone(schema)
    daemon.wait_log('model "t": resumed after')
    daemon.stop().expect(0)
    assert daemon.log().count("permission denied") == 1
    schema.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_a_server_that_waits_for_its_clients_to_leave(signalbus, schema, postgres, make_topic, topics,
                                                      killed_servers):
    """A smart shutdown: existing sessions continue, and the server ends when the last one has
    left."""
    topic = make_topic()
    signalbus.configure(model("A", schema.make_signals("t"), topic), poll_interval=0.2)
    daemon = start(signalbus)
    connection = schema.connection()
    postgres.process.send(postgres.STOP_SIGNALS["smart"])
    wait_until(lambda: not postgres.is_ready(), 20, "that nobody else is let in", pause=0.1)
    schema.insert_signals("t", 10, 1, connection)
    wait_gone(schema)
    assert "away" not in daemon.log()
    connection.close()
    time.sleep(1)  # it could end now, were it not for the daemon
    assert postgres.process.is_alive() and daemon.is_alive()
    daemon.stop().expect(0)
    wait_until(lambda: not postgres.process.is_alive(), 20, "the server's end")
    postgres.start()
    assert Schema(postgres).value("SELECT 1") == 1
    assert sorted(ids(topics.read(topic, 10))) == list(range(1, 11))
