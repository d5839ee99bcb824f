"""How long it takes from a commit until a consumer has the message, with the daemon in between."""

import contextlib
import dataclasses
import functools
import subprocess
import time

import measure
from report import Part
from world import Daemon

TITLE = "From commit to consumer"

DEAD_ROWS = 300000
BURST = 100
ID_STEP = 10**6
# Commits a second, and the connections that make them: at 2,000 several wait for the disk at once.
WRITERS = {10: 1, 200: 4, 2000: 16}


@dataclasses.dataclass
class Latencies(measure.Timing):
    """A timing with the commits a second that were reached, and latencies, in ms and sorted."""

    reached: float = 0
    latencies: list = dataclasses.field(default_factory=list)

    def percentile(self, part):
        return self.latencies[min(len(self.latencies) - 1, int(part * len(self.latencies)))]


@contextlib.contextmanager
def held_snapshot(world, backlog):
    """
    A transaction sees the table as it was, so that vacuum may remove none of the rows that were
    sent: inserted and flushed while it is open.
    """
    holder = world.postgres.connect(autocommit=False)
    holder.set_session(isolation_level="REPEATABLE READ")
    cursor = holder.cursor()
    cursor.execute(f"SELECT count(*) FROM {backlog.table}")
    yield
    holder.rollback()
    holder.close()


def make_dead_rows(world, backlog):
    world.template(DEAD_ROWS)
    world.execute(f"INSERT INTO {backlog.table} SELECT * FROM template WHERE id <= %s", DEAD_ROWS)
    measure.run(world, backlog.flush("flushmany", burst=5000))
    backlog.next_id = DEAD_ROWS + 1
    world.execute("CHECKPOINT")


def write_and_consume(world, backlog, rate, seconds):
    """Commits of new rows; their ids follow on those of dead rows and of earlier commits."""
    command = world.tool("latency", world.owner_conninfo, backlog.table, world.kafka.bootstrap,
                         backlog.topic, rate, seconds, WRITERS[rate], backlog.next_id)
    timing = measure.run(world, command)
    backlog.next_id += ID_STEP
    reached, *microseconds = (float(line) for line in timing.output.split())
    return Latencies(**{**vars(timing), "output": ""}, reached=reached,
                     latencies=[us / 1000 for us in microseconds])


def commits(world, options, rate, triggers=True, dead=False, **settings):
    seconds = options.seconds(4 if rate == 2000 else 10)
    with contextlib.ExitStack() as stack:
        backlog = stack.enter_context(world.backlog(0))
        if dead:
            stack.enter_context(held_snapshot(world, backlog))
            make_dead_rows(world, backlog)
        if triggers:
            backlog.install_triggers()
        stack.enter_context(Daemon(world, [backlog.model(key="id", burst_count=BURST)],
                                   **settings))
        return write_and_consume(world, backlog, rate, seconds)


def name_of(rate, triggers=True, dead=False):
    return (f"{rate:,} commits/s, {'with' if triggers else 'without'} triggers"
            f"{', 300,000 dead rows' if dead else ''}")


def all_cases(world, options):
    shapes = [(200, True, False), (200, True, True)]
    if not options.quick:
        shapes += [(rate, triggers, False) for rate in (10, 2000) for triggers in (True, False)]
        shapes.append((200, False, False))
    return {name_of(*shape): functools.partial(commits, world, options, *shape)
            for shape in sorted(shapes)}


def wake_ups(seconds):
    """
    How long the machine itself takes, in ms and sorted, to wake another process and be woken by it:
    a virtual one may take much longer now and then, and a message on its way is woken for a dozen
    times.
    """
    results, end = [], time.monotonic() + seconds
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as cat:
        while time.monotonic() < end:
            start = time.perf_counter()
            cat.stdin.write(b"x")
            cat.stdout.read(1)
            results.append((time.perf_counter() - start) * 1000)
            time.sleep(0.001)
        cat.stdin.close()
    return sorted(results)


def measure_part(world, options):
    part = Part("latency", TITLE)
    waits = wake_ups(options.seconds(10))
    for what, fraction in (("p50", 0.5), ("p99", 0.99), ("max", 1)):
        part.add(f"the machine alone, one wake-up and one back: {what}", "ms",
                 [waits[min(len(waits) - 1, int(fraction * len(waits)))]], 3)
    world.until_compiled(functools.partial(commits, world, options, 2000))
    timings = measure.alternate(all_cases(world, options), options)
    for name, runs in timings.items():
        for what, fraction in (("p50", 0.5), ("p99", 0.99), ("max", 1)):
            part.add(f"{name}: {what}", "ms", [run.percentile(fraction) for run in runs], 2)
        part.add(f"{name}: reached", "commits/s", [run.reached for run in runs])
        part.series[name] = sorted(latency for run in runs for latency in run.latencies)[::10]
    part.add(*measure.others(timings))
    medians = {figure.name: figure.value for figure in part.figures}
    plain, dead = name_of(200), name_of(200, dead=True)
    for what, limits in ((plain, (1.2, 4)), (dead, (1.5, 5))):
        for percentile, limit in zip(("p50", "p99"), limits):
            name = f"{what}: {percentile}"
            part.target(name, medians[name], at_most=limit, unit="ms")
    return part
