"""Compares signalbus with an earlier revision: runs each case alternately with both."""

import contextlib
import functools
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import latency
import measure
import report
import throughput
import world as worlds
from exactly_once import ONCE

TITLE = "This revision against {}"


def flush(world, options, *, burst, words, **model):
    return throughput.flush(world, options, words, burst, **model)


def many(burst, jobs, **more):
    return functools.partial(flush, burst=burst, words=("flushmany", "-j", jobs), **more)


CASES = {
    "-j2/1000": many(1000, 2),
    "-j1/1000": many(1000, 1),
    "ordered": functools.partial(flush, burst=1000, words=("flushordered",), order_by=["id"]),
    "-j4/100": many(100, 4),
    "-j16/1": many(1, 16),
    "-j1/1": many(1, 1),
    "latency": functools.partial(latency.commits, rate=200),
    "once-j8/1000": many(1000, 8, settings=ONCE),
    "once-j2/1000": many(1000, 2, settings=ONCE),
    "once-j1/1000": many(1000, 1, settings=ONCE),
    "once-j8/1": many(1, 8, settings=ONCE),
    "once-j1/1": many(1, 1, settings=ONCE),
    "once-latency": functools.partial(latency.commits, rate=200, **ONCE),
}


@contextlib.contextmanager
def built(revision):
    """The program of another revision, built in a temporary tree."""
    with tempfile.TemporaryDirectory(prefix="signalbus-against-") as folder:
        archive = subprocess.run(["git", "archive", revision], cwd=worlds.ROOT, check=True,
                                 stdout=subprocess.PIPE)
        subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
        subprocess.run(["make", "-s", "-C", folder, "BUILD=build", "all"], check=True,
                       stdout=sys.stderr)
        yield Path(folder) / "build" / "signalbus"


def chosen(names):
    unknown = [name for name in names if name not in CASES]
    if unknown:
        sys.exit(f"bench: no case {unknown[0]}; the cases are {' '.join(CASES)}")
    return {name: CASES[name] for name in names or CASES}


def run(binary, case, world, options):
    worlds.BINARY = binary
    return case(world, options)


def figures(timing):
    """What is compared.  CPU time says more than speed where others use the machine."""
    if isinstance(timing, latency.Latencies):
        return {"p50, ms": timing.percentile(0.5), "p99, ms": timing.percentile(0.99)}
    cpu = timing.relay_cpu + timing.postgres_cpu
    return {"rows/s": timing.rate, "CPU of signalbus and PostgreSQL, us/row":
            1e6 * cpu / timing.rows}


def compare(world, options, case, binaries):
    """Rows of a table: old and new median, their ratio, and those of the single rounds."""
    rounds = []
    for number in range(options.rounds):  # each goes first as often as the other
        pair = {}
        for binary in binaries[::-1] if number % 2 else binaries:
            pair[binary] = figures(options.weather.run(
                functools.partial(run, binary, case, world, options)))
        rounds.append(pair)
    for name in rounds[0][binaries[0]]:
        old, new = ([pair[binary][name] for pair in rounds] for binary in binaries)
        ratios = sorted(b / a for a, b in zip(old, new))
        old, new = statistics.median(old), statistics.median(new)
        yield (name, f"{old:,.2f}", f"{new:,.2f}", f"{new / old:.3f}",
               f"{ratios[0]:.2f} - {ratios[-1]:.2f}")


def print_all(revision, names, options):
    cases = chosen(names)
    with built(revision) as old, worlds.World() as world:
        rows, binaries = [], (old, worlds.BINARY)
        for name, case in cases.items():
            for row in compare(world, options, case, binaries):
                rows.append((name, *row))
                print(*rows[-1], file=sys.stderr, flush=True)
    print(TITLE.format(revision), "",
          *report.table(("case", "median", revision, "this", "ratio", "single rounds"), rows,
                        "llrrrr"), sep="\n")
