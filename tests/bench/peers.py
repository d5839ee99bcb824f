"""Compares signalbus with Flask-SignalBus and Debezium Server, on the same rows and servers."""

import functools

import measure
from debezium import PYTHON, TUNED, Debezium
from report import Part
from throughput import many
from world import ROOT

TITLE = "signalbus, Flask-SignalBus and Debezium Server, one topic with one partition"

PROGRAM = ROOT / "tests" / "bench" / "flask_peer.py"

# Rows, by size of the bursts.  The slower ones have a smaller backlog, so that all take seconds; this
# favours Flask-SignalBus, which goes past all rows that it has deleted to find the next.
ROWS = {1: 4000, 1000: 500000}
FLASK_ROWS = {1: 2000, 1000: 40000}
DEBEZIUM_ROWS = 300000

# What is slower than signalbus, and how many times it has to be.
FLASK, FLASK_BATCH = "Flask-SignalBus", "Flask-SignalBus, batch option"
FLASK_LEAST = "Flask-SignalBus, batch option, payload only"
DEBEZIUM, DEBEZIUM_TUNED = "Debezium Server, defaults", "Debezium Server, tuned"
HALF = "second half"  # Java has compiled what it runs by then
TIMES = {f"{FLASK}, bursts of 1,000": 25, f"{FLASK_BATCH}, bursts of 1,000": 12,
         f"{FLASK}, bursts of 1": 6, DEBEZIUM_TUNED: 8, f"{DEBEZIUM_TUNED}, {HALF}": 8}


def signalbus(world, options, burst, jobs):
    rows = options.rows(ROWS[burst])
    with world.backlog(rows) as backlog:
        command = backlog.flush("flushmany", "-j", jobs, burst=burst)
        timing = measure.run(world, command, rows)
        backlog.check_sent()
    return timing


def flask(world, options, burst, *words):
    """Flask-SignalBus's flushmany, without Python's start; signalbus's own start counts."""
    rows = options.rows(FLASK_ROWS[burst])
    url = (f"postgresql+psycopg2://postgres@/signalbus?host={world.postgres.sockets}"
           f"&port={world.postgres.port}")
    with world.backlog(rows) as backlog:
        command = [PYTHON / "bin" / "python", "-B", PROGRAM, url, backlog.table,
                   world.kafka.bootstrap, backlog.topic, burst, *words]
        timing = measure.run(world, command, rows)
        backlog.check_sent()
    timing.seconds = float(timing.output.split()[1])
    return timing


def debezium(world, options, tuning):
    rows = options.rows(DEBEZIUM_ROWS)
    with world.backlog(0) as backlog:
        timing = Debezium(world, backlog, tuning).drain(rows)
        backlog.check_sent(rows, left=rows)
    return timing


def all_cases(world, options):
    """By turns: each peer comes after a run of signalbus with the same bursts."""
    case = functools.partial
    return {
        many(1000, 1): case(signalbus, world, options, 1000, 1),
        f"{FLASK}, bursts of 1,000": case(flask, world, options, 1000, "json", "plain"),
        many(1000, 2): case(signalbus, world, options, 1000, 2),
        f"{FLASK_BATCH}, bursts of 1,000": case(flask, world, options, 1000, "json", "batch"),
        f"{FLASK_LEAST}, bursts of 1,000": case(flask, world, options, 1000, "payload", "batch"),
        many(1, 1): case(signalbus, world, options, 1, 1),
        f"{FLASK}, bursts of 1": case(flask, world, options, 1, "json", "plain"),
        many(1, 2): case(signalbus, world, options, 1, 2),
        DEBEZIUM: case(debezium, world, options, {}),
        DEBEZIUM_TUNED: case(debezium, world, options, TUNED),
    }


def measure_part(world, options):
    part = Part("peers", TITLE)
    timings = measure.alternate(all_cases(world, options), options)
    part.conditions.update(
        rows={name: runs[0].rows for name, runs in timings.items()},
        messages="JSON of all columns; of Debezium Server, key and payload")
    rates = {name: part.add(name, "rows/s", [t.rate for t in runs])
             for name, runs in timings.items()}
    for name in (DEBEZIUM, DEBEZIUM_TUNED):
        rates[f"{name}, {HALF}"] = part.add(f"{name}, {HALF}", "rows/s",
                                            [t.warm_rate for t in timings[name]])
    for name, runs in timings.items():
        for who in ("relay", "postgres"):
            part.add(f"{name}: CPU of {who}", "s per million rows",
                     [getattr(t, f"{who}_cpu") / t.rows * 1e6 for t in runs], 2)
        part.add(f"{name}: peak memory", "MB", [t.peak_kb / 1024 for t in runs], 1)
    part.add(*measure.others(timings))
    for peer in rates:
        for own in own_of(peer):
            compare(part, f"{own}, times {peer}", rates[own] / rates[peer], TIMES.get(peer))
    return part


def compare(part, name, ratio, wanted):
    if wanted is None:
        part.add(name, "times", [ratio], 2)
    else:
        part.target(name, ratio, at_least=wanted)


def own_of(peer):
    """The cases of signalbus that a peer is compared with; none for signalbus's own."""
    if peer.startswith("flushmany"):
        return ()
    burst = 1 if peer.endswith("bursts of 1") else 1000
    return many(burst, 1), many(burst, 2)
