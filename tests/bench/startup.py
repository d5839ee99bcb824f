"""How long commands take from start to exit, and what an idle daemon takes."""

import functools
import re
import time
from pathlib import Path

import measure
from report import Part
from world import Daemon

TITLE = "Start-up and idling"

RUNS_A_ROUND = 10
IDLE_MODELS = 20
IDLE_S = 5


def repeated(world, prepare, command):
    """The runs of a command, each after what prepares it, summed up."""
    total = measure.Timing(0, 0)
    total.each = []
    for _ in range(RUNS_A_ROUND):
        prepare()
        timing = measure.run(world, command)
        total.seconds += timing.seconds
        total.others_cpu += timing.others_cpu
        total.each.append(timing.seconds * 1000)
    return total


def insert_row(world, backlog):
    world.execute(f"INSERT INTO {backlog.table} SELECT coalesce(max(id), 0) + 1, 'order', '1', "
                  f"'OrderCreated', now(), repeat('x', 180) FROM {backlog.table}")


def resident_mb(pid, what):
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(rf"^{what}:\s+(\d+) kB", status, re.MULTILINE)[1]) / 1024


def idle(world):
    """A daemon with many models whose tables are empty."""
    models = []
    for _ in range(IDLE_MODELS):
        table = f"idle_{world.number()}"
        world.execute(f"CREATE TABLE {table} (LIKE template INCLUDING ALL, PRIMARY KEY (id))")
        models.append({"name": table, "table": table, "topic": "idle"})
    with Daemon(world, models) as daemon:
        time.sleep(1)  # each table has been polled
        meter, start = measure.Meter(world), time.monotonic()
        cpu = measure.cpu_of(daemon.process.pid)
        time.sleep(IDLE_S)
        seconds = time.monotonic() - start
        timing = measure.Timing(0, seconds, measure.cpu_of(daemon.process.pid) - cpu,
                                *meter.taken())
        timing.memory = resident_mb(daemon.process.pid, "VmHWM")
    for model in models:
        world.execute(f"DROP TABLE {model['table']}")
    return timing


def measure_part(world, options):
    part = Part("startup", TITLE)
    world.template(1)
    with world.backlog(0) as backlog:
        case = functools.partial
        cases = {
            "true": case(repeated, world, lambda: None, ["true"]),
            "signals": case(repeated, world, lambda: None, backlog.flush("signals", burst=1)),
            "flushmany of one row": case(repeated, world, case(insert_row, world, backlog),
                                         backlog.flush("flushmany", burst=1)),
            "idle": case(idle, world),
        }
        timings = measure.alternate(cases, options)
    idles = timings.pop("idle")
    for name, runs in timings.items():
        part.add(name, "ms", [ms for run in runs for ms in run.each], 1)
    medians = {figure.name: figure.value for figure in part.figures}
    part.target("signals, start to exit", medians["signals"], at_most=10, unit="ms", digits=1)
    part.target("flushmany of one row, start to exit", medians["flushmany of one row"],
                at_most=80, unit="ms", digits=1)
    report_idle(part, idles)
    part.add(*measure.others({**timings, "idle": idles}))
    return part


def report_idle(part, idles):
    name = f"idle daemon with {IDLE_MODELS} models"
    memory = part.add(f"{name}: peak memory", "MB", [run.memory for run in idles], 1)
    for who in ("relay", "postgres", "broker"):
        part.add(f"{name}: CPU of {who}", "ms a second",
                 [1000 * getattr(run, f"{who}_cpu") / run.seconds for run in idles], 1)
    part.target(f"{name}: peak memory", memory, at_most=15, unit="MB", digits=1)
