"""Many daemons that share the models of one database: when idle, after one is killed, under load."""

import contextlib
import re
import signal
import statistics
import time
import urllib.request

import measure
from report import Part
from servers import Ports, wait_until
from world import Daemon

TITLE = "Ten daemons, 30 models of one database"

DAEMONS = 10
MODELS = 30
ORDERED = 15
SETTLE_S = 3
IDLE_S = 10
ROUNDS_OF_ROWS = 300  # a row for each model, in one transaction
PAUSE_S = 0.01
FAIL_OVER = "a daemon is killed: its ordered model's next row is sent after"
FAIL_OVER_S = 3  # poll_interval and two seconds, as documented


class Host(Daemon):
    """A daemon, and what its metrics say."""

    def __init__(self, world, number, models):
        self.address = f"127.0.0.1:{Ports.take()}"
        super().__init__(world, models, name=f"host-{number}", metrics_listen=self.address)

    def samples(self, metric):
        """The values of a metric, by model."""
        with urllib.request.urlopen(f"http://{self.address}/metrics", timeout=20) as answer:
            text = answer.read().decode()
        found = re.findall(rf'^{metric}\{{model="(\w+)"\}} (\S+)$', text, re.M)
        return {model: float(value) for model, value in found}

    def sent(self):
        return sum(self.samples("signalbus_sent_total").values())

    def leads(self):
        return {model for model, leads in self.samples("signalbus_ordered_leader").items() if leads}

    def kill(self):
        self.process.end(signal.SIGKILL, 10)


class Site:
    """The daemons and the tables."""

    def __init__(self, world, stack):
        self.world = world
        self.tables = [stack.enter_context(world.backlog(0)) for _ in range(MODELS)]
        for table in self.tables:
            table.install_triggers()
        self.models = [{**table.model(key="id", **({"order_by": ["id"]} if i < ORDERED else {})),
                        "name": f"M{i}"} for i, table in enumerate(self.tables)]
        self.stack = stack
        self.hosts = [self.start(number) for number in range(DAEMONS)]
        self.next_id = 1
        self.await_leaders()

    def start(self, number):
        return self.stack.enter_context(Host(self.world, number, self.models))

    def await_leaders(self):
        wait_until(lambda: sum(self.leads()) == ORDERED, 60, "each ordered model has a leader")

    def leads(self):
        return [len(host.leads()) for host in self.hosts]

    def insert(self, indexes=range(MODELS)):
        self.world.execute("; ".join(
            f"INSERT INTO {self.tables[i].table} VALUES ({self.next_id}, 'order', '1', "
            f"'OrderCreated', now(), repeat('x', 180))" for i in indexes))
        self.next_id += 1

    def await_empty(self, indexes=range(MODELS), pause=0.02):
        query = " AND ".join(f"NOT EXISTS (SELECT 1 FROM {self.tables[i].table})" for i in indexes)
        wait_until(lambda: self.world.value(f"SELECT {query}"), 300, "all is sent", pause=pause)


def idle(site, options):
    """Nothing is written: what the daemons ask for by themselves."""
    def transactions():
        return site.world.value("SELECT xact_commit + xact_rollback FROM pg_stat_database "
                                "WHERE datname = current_database()")

    def daemons():
        return sum(measure.cpu_of(host.process.pid) for host in site.hosts)
    time.sleep(SETTLE_S)
    meter, cpu, before, start = measure.Meter(site.world), daemons(), transactions(), time.monotonic()
    time.sleep(options.seconds(IDLE_S))
    seconds = time.monotonic() - start
    timing = measure.Timing(0, seconds, daemons() - cpu, *meter.taken())
    timing.transactions = (transactions() - before) / seconds
    return timing


def fail_over(site, number):
    """Seconds from the end of the daemon that sends an ordered model to that of a row's wait."""
    victim = next(i for i, host in enumerate(site.hosts) if f"M{number}" in host.leads())
    site.hosts[victim].kill()
    start = time.monotonic()
    site.insert([number])
    site.await_empty([number], pause=0.005)
    seconds = time.monotonic() - start
    site.hosts[victim] = site.start(victim)
    return seconds


def share(site):
    """Rows of all models at once, a few thousand a second: how many each daemon sends."""
    before = [host.sent() for host in site.hosts]
    meter, start = measure.Meter(site.world), time.monotonic()
    for _ in range(ROUNDS_OF_ROWS):
        site.insert()
        time.sleep(PAUSE_S)
    site.await_empty()
    seconds = time.monotonic() - start
    timing = measure.Timing(ROUNDS_OF_ROWS * MODELS, seconds, 0, *meter.taken())
    timing.sent = [host.sent() - then for host, then in zip(site.hosts, before)]
    timing.leads = site.leads()
    if sum(timing.sent) != timing.rows:
        raise AssertionError(f"{timing.rows} rows: {timing.sent} were sent")
    return timing


def measure_part(world, options):
    part = Part("hosts", TITLE)
    with contextlib.ExitStack() as stack:
        site = Site(world, stack)
        timings = measure.alternate({
            "idle": lambda: idle(site, options), "load": lambda: share(site)}, options)
        fails = []
        for number in range(2 * options.rounds):
            fails.append(fail_over(site, number % ORDERED))
            options.say("a daemon is killed", fails[-1])
        site.await_leaders()
        leads = site.leads()
    report_idle(part, timings["idle"])
    report_shares(part, timings["load"])
    part.add(FAIL_OVER, "s", fails, 2)
    add_spread(part, "afterwards: ordered models of a daemon", [leads])
    part.target(f"{FAIL_OVER}, at most", max(fails), at_most=FAIL_OVER_S, unit="s")
    part.add(*measure.others(timings))
    return part


def report_idle(part, idles):
    part.add("idle: transactions a second, of all daemons", "", [run.transactions for run in idles], 1)
    part.add("idle: CPU of all daemons", "ms a second",
             [1000 * run.relay_cpu / run.seconds for run in idles], 1)
    part.add("idle: CPU of postgres", "ms a second",
             [1000 * run.postgres_cpu / run.seconds for run in idles], 1)


def report_shares(part, loads):
    part.add("load", "rows/s", [run.rate for run in loads])
    add_spread(part, "load: rows sent by a daemon", [run.sent for run in loads])
    add_spread(part, "load: ordered models of a daemon", [run.leads for run in loads])


def add_spread(part, name, runs):
    for what, choose in (("fewest", min), ("median", statistics.median), ("most", max)):
        part.add(f"{name}, {what}", "", [choose(run) for run in runs], 1)
