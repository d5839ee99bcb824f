"""What a wake-up for one new row costs, also where vacuum may not remove rows that were sent."""

import contextlib
import functools
import time

import measure
from latency import BURST, DEAD_ROWS, held_snapshot, make_dead_rows, write_and_consume
from report import Part
from world import Daemon

TITLE = "Wake-ups, while an old snapshot is held"

RATE = 200
SECONDS = 6


def wake(world, options, backlog):
    return write_and_consume(world, backlog, RATE, options.seconds(SECONDS))


def rest(world, options):
    """The same daemon and servers while nothing is committed: looks by time, for example."""
    meter, start = measure.Meter(world), time.monotonic()
    time.sleep(options.seconds(SECONDS))
    postgres, broker, others = meter.taken()
    return measure.Timing(0, time.monotonic() - start, 0, postgres, broker, others)


def measure_part(world, options):
    part = Part("wakeups", TITLE)
    with contextlib.ExitStack() as stack:
        clean, dead = (stack.enter_context(world.backlog(0)) for _ in range(2))
        stack.enter_context(held_snapshot(world, dead))
        make_dead_rows(world, dead)
        for backlog in (clean, dead):
            backlog.install_triggers()
        models = [{**backlog.model(key="id", burst_count=BURST), "name": backlog.table}
                  for backlog in (clean, dead)]
        stack.enter_context(Daemon(world, models))
        timings = measure.alternate({
            "without dead rows": functools.partial(wake, world, options, clean),
            f"with {DEAD_ROWS:,} dead rows": functools.partial(wake, world, options, dead),
            "nothing committed": functools.partial(rest, world, options),
        }, options)
    report_wakeups(part, timings)
    return part


def report_wakeups(part, timings):
    """What the looks by time cost, which come each second whether rows do or not, is taken off."""
    part.add(*measure.others(timings))
    resting = timings.pop("nothing committed")
    part.add("nothing committed: CPU of postgres", "ms a second",
             [1000 * run.postgres_cpu / run.seconds for run in resting], 2)
    costs, halves = [], []
    for name, runs in timings.items():
        costs.append(part.add(
            f"{name}: CPU of postgres for a commit and its wake-up", "ms",
            [1000 * (run.postgres_cpu - base.postgres_cpu / base.seconds * run.seconds)
             / (RATE * run.seconds) for run, base in zip(runs, resting)], 3))
        halves.append(part.add(f"{name}: commit to consumer, p50", "ms",
                               [run.percentile(0.5) for run in runs], 2))
    part.target("CPU of postgres with dead rows, to that without", costs[1] / costs[0],
                at_most=1.15)
    part.target("commit to consumer with dead rows, to that without, p50", halves[1] / halves[0],
                at_most=1.15)
