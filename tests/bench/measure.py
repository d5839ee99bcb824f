"""Timings: what a program took, and its servers meanwhile; cases by turns; medians."""

import dataclasses
import os
import statistics
import subprocess
import time
from pathlib import Path

from servers import children_of, clean_environment

TICKS = os.sysconf("SC_CLK_TCK")


@dataclasses.dataclass
class Timing:
    """One run.  CPU is in seconds; others is what everybody else on the machine took meanwhile."""

    rows: int
    seconds: float
    relay_cpu: float = 0
    postgres_cpu: float = 0
    broker_cpu: float = 0
    others_cpu: float = 0
    peak_kb: int = 0
    output: str = ""

    @property
    def rate(self):
        return self.rows / self.seconds


class Failed(Exception):
    """A measured program did not do its work."""


def stat_of(pid):
    """The fields of /proc/PID/stat after the name, which may contain anything."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def cpu_of(pid, with_children=False):
    """CPU seconds of a process; with those of children that it has waited for."""
    fields = stat_of(pid)
    return sum(int(ticks) for ticks in fields[11:15 if with_children else 13]) / TICKS


def cpu_of_threads(pid, name):
    """CPU seconds of a process's threads whose name contains this."""
    total = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        try:
            if name in (thread / "comm").read_text():
                total += cpu_of(f"{pid}/task/{thread.name}")
        except (FileNotFoundError, ProcessLookupError):
            pass  # ended meanwhile
    return total


def peak_of(pid):
    """The most resident memory that a process has had, in kilobytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


def cpu_of_postgres(postgres):
    total = cpu_of(postgres.process.pid, with_children=True)
    for child in children_of(postgres.process.pid):
        try:
            total += cpu_of(child)
        except (FileNotFoundError, ProcessLookupError):
            pass  # ended meanwhile: the next reading has it with its parent
    return total


def cpu_of_machine():
    """All processors' busy seconds."""
    words = Path("/proc/stat").read_text().split("\n", 1)[0].split()
    user, nice, system, _, _, irq, softirq, steal = (int(word) for word in words[1:9])
    return (user + nice + system + irq + softirq + steal) / TICKS


class Meter:
    """What the servers and the machine have taken since it was made."""

    def __init__(self, world):
        self.world = world
        self.start = self.read()

    def read(self):
        own = os.times()
        return (cpu_of_postgres(self.world.postgres),
                sum(cpu_of(broker.process.pid) for broker in self.world.kafka.brokers),
                cpu_of_machine(), own.user + own.system)

    def taken(self):
        """CPU seconds of PostgreSQL, of the broker, and of all others than those and this one."""
        postgres, broker, machine, own = (
            now - then for now, then in zip(self.read(), self.start))
        return postgres, broker, machine - postgres - broker - own


def run(world, command, rows=0, timeout=900, environment=None, cwd=None):
    """Runs a program to its end, which has to be a good one."""
    report = world.folder.path / "report"
    meter = Meter(world)
    completed = subprocess.run(
        [str(word) for word in world.tool("timed", report, *command)], capture_output=True,
        text=True, timeout=timeout, stdin=subprocess.DEVNULL, cwd=cwd or world.folder.path,
        env=clean_environment(**(environment or {})))
    postgres_cpu, broker_cpu, rest = meter.taken()
    words = report.read_text().split()
    if completed.returncode != 0 or int(words[4]) != 0:
        raise Failed(f"{' '.join(map(str, command))}: status {words[4]}\n{completed.stderr}")
    seconds, user, system = (float(word) for word in words[:3])
    return Timing(rows, seconds, user + system, postgres_cpu, broker_cpu,
                  max(0, rest - user - system), int(words[3]), completed.stdout)


class Weather:
    """
    Whether the machine is ours.  A timing during which others took more than LOAD_MAX processors
    is not used but done again, within the number of seconds that is left for all of them.
    """

    LOAD_MAX = 0.25
    LOOK_S = 0.3

    def __init__(self, patience):
        self.patience = patience
        self.repeated = 0

    def await_calm(self):
        while self.patience > 0:
            busy, start = cpu_of_machine(), time.monotonic()
            time.sleep(self.LOOK_S)
            seconds = time.monotonic() - start
            if (cpu_of_machine() - busy) / seconds <= self.LOAD_MAX:
                return
            self.patience -= seconds

    def run(self, case):
        """A timing of the case, in calm weather if that can be had."""
        while True:
            self.await_calm()
            start = time.monotonic()
            timing = case()
            if timing.others_cpu / timing.seconds <= self.LOAD_MAX or self.patience <= 0:
                return timing
            self.patience -= time.monotonic() - start
            self.repeated += 1


def alternate(cases, options):
    """
    Runs each of the cases, name to function, once in each round, and returns the timings of each.
    What is compared is measured under the same weather that way.
    """
    timings = {name: [] for name in cases}
    for number in range(options.rounds):
        for name, case in cases.items():
            start = time.monotonic()
            timings[name].append(options.weather.run(case))
            options.say(f"round {number + 1} of {options.rounds}: {name}",
                        time.monotonic() - start)
    return timings


def others(timings):
    """The figure that says how far the others are to be trusted."""
    return ("everybody else on the machine", "% of a processor",
            [100 * t.others_cpu / t.seconds for each in timings.values() for t in each])
