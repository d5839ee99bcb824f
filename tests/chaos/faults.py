"""The faults: each with what is drawn for it from the seed, and what it does to the world."""

import signal
import time
from typing import Callable, NamedTuple

from servers import wait_until
from world import TIMEOUT


class Fault(NamedTuple):
    """A kind of fault."""

    name: str
    target: str      # of two faults of a target, the second waits for the first
    repeats: bool    # whether signals may be sent twice for it
    draw: Callable   # random generator -> parameters
    act: Callable    # world, parameters -> None when the fault is over
    after: Callable = None  # what is still to be done when the world has recovered


FAULTS = {}


def fault(name, target, repeats, **ranges):
    """Registers a function as a fault; ranges are (low, high) of a parameter, or its choices."""
    def draw(chance):
        return {parameter: round(chance.uniform(*values), 2)
                if isinstance(values, tuple) else chance.choice(values)
                for parameter, values in ranges.items()}

    def register(function):
        FAULTS[name] = Fault(name, target, repeats, draw, function)
        return function
    return register


LONGER = (1.2 * TIMEOUT, 2.5 * TIMEOUT)  # than the time-out
SHORTER = (0.2, 0.5 * TIMEOUT)
DAEMON = [0, 1]


# The process

@fault("daemon-kill", "daemon", True, daemon=DAEMON, away=(0, 1.5))
def kill_daemon(world, daemon, away):
    world.daemons[daemon].kill()
    time.sleep(away)
    world.start_daemon(daemon)


@fault("daemon-stop", "daemon", False, daemon=DAEMON, away=(0, 0.5))
def stop_daemon(world, daemon, away):
    world.expect_clean_stop(world.daemons[daemon], 2 + 2 * world.timeout)
    time.sleep(away)
    world.start_daemon(daemon)


@fault("daemon-freeze", "daemon", True, daemon=DAEMON, seconds=(2.2 * TIMEOUT, 3 * TIMEOUT))
def freeze_daemon(world, daemon, seconds):
    world.daemons[daemon].send(signal.SIGSTOP)
    time.sleep(seconds)
    world.daemons[daemon].send(signal.SIGCONT)


@fault("daemon-reload", "daemon", False, daemon=DAEMON)
def reload_daemon(world, daemon):
    world.daemons[daemon].send(signal.SIGHUP)


def run_beside(*words):
    def act(world):
        """75: another process holds the ordered lock; 1: other faults are in the way."""
        run = world.signalbus(*words)
        if run.returncode not in (0, 1, 75):
            world.books.breach("status", str(run))
    return act


IN_NO_ORDER = ("--exclude", "ordered")
# In order, what comes after a message that the broker rejects is sent again (docs/reliability.md).
for command, repeats in ((("flush", "-w", "0.2", *IN_NO_ORDER), False),
                         (("flushmany", "-j", "2", *IN_NO_ORDER), False),
                         (("flushordered",), True)):
    fault(f"beside-{command[0]}", f"one-shot {command[0]}", repeats)(run_beside(*command))


# PostgreSQL

def end_sessions(world, condition):
    world.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                  f"WHERE application_name = 'signalbus' AND {condition}")


@fault("sessions-end", "postgres", True)
def end_all_sessions(world):
    end_sessions(world, "true")


@fault("listener-end", "postgres", False)
def end_listener(world):
    end_sessions(world, "state = 'idle' AND query LIKE 'LISTEN%%'")


def restart_postgres(mode):
    def act(world, away):
        if mode == "kill":
            world.postgres.kill()
        else:
            world.postgres.stop(mode)
        time.sleep(away)
        world.postgres.start()
    return act


for way in ("fast", "immediate", "kill"):
    fault(f"postgres-{way}", "postgres", True, away=(0, 2))(restart_postgres(way))


@fault("old-snapshot", "snapshot", False, seconds=(1, 4))
def hold_snapshot(world, seconds):
    connection = world.connect(autocommit=False)
    try:
        connection.set_session(isolation_level="REPEATABLE READ")
        connection.cursor().execute("SELECT pg_current_xact_id(), count(*) FROM marks")
        time.sleep(seconds)
    finally:
        connection.close()


@fault("table-lock", "table", False, table=["plain", "ordered", "parted"], seconds=SHORTER)
def lock_table(world, table, seconds):
    connection = world.connect(autocommit=False)
    try:
        connection.cursor().execute(f"LOCK TABLE {table}")
        time.sleep(seconds)
    finally:
        connection.close()


@fault("add-column", "table", False, table=["plain", "ordered", "parted"])
def add_column(world, table):
    columns = world.execute("SELECT count(*) FROM pg_attribute WHERE attnum > 0 "
                            "AND attrelid = %s::regclass", table)[0][0]
    world.execute(f"ALTER TABLE {table} ADD COLUMN extra_{columns} text")


@fault("vacuum-full", "table", False, table=["plain", "ordered", "parted"])
def vacuum_full(world, table):
    world.execute(f"VACUUM FULL {table}")


# Kafka

@fault("kafka-kill", "kafka", True, away=(0, 2 * TIMEOUT))
def kill_kafka(world, away):
    world.kafka.kill()
    time.sleep(away)
    world.kafka.start()


@fault("kafka-freeze", "kafka", True, seconds=LONGER)
def freeze_kafka(world, seconds):
    world.kafka.freeze()
    time.sleep(seconds)
    world.kafka.thaw()


@fault("kafka-pause", "kafka", False, seconds=SHORTER)
def pause_kafka(world, seconds):
    freeze_kafka(world, seconds)


# The network on either way

def disturb(server, begin):
    def act(world, seconds, **drawn):
        getattr(world.proxies[server], begin)(**drawn)
        time.sleep(seconds)
        world.proxies[server].restore()
    return act


def reset(server):
    def act(world):
        world.proxies[server].reset()
    return act


for way in ("postgres", "kafka"):
    fault(f"{way}-swallow", way, True, seconds=LONGER)(disturb(way, "swallow"))
    fault(f"{way}-vanish", way, True, seconds=LONGER)(disturb(way, "vanish"))
    fault(f"{way}-delay", way, False, seconds=(1, 3), delay=(0.005, 0.05))(disturb(way, "slow"))
    fault(f"{way}-throttle", way, False, seconds=(1, 3), rate=[200_000, 500_000])(
        disturb(way, "slow"))
    fault(f"{way}-reset", way, True)(reset(way))


# Three brokers

def wait_in_sync(world, timeout=60):
    """Until every replica has caught up: only then may the next broker go."""
    admin = world.kafka.admin()

    def in_sync():
        topics = admin.list_topics(timeout=5).topics
        return all(len(partition.isrs) == len(partition.replicas)
                   for topic in topics.values() for partition in topic.partitions.values())
    wait_until(in_sync, timeout, "all replicas are in sync", pause=0.1)


def kill_broker(world, node):
    world.kafka.kill(node)


def bring_broker_back(world, node):
    world.kafka.start(node)
    wait_in_sync(world)


BROKER_KILL = Fault("broker-kill", "kafka", True, None, kill_broker, bring_broker_back)

