"""What a drain of a large backlog takes, from its first row to its last: memory, CPU, evenness."""

import functools
import threading
import time
from typing import NamedTuple

from confluent_kafka import TopicPartition

import measure
from report import Part
from topics import open_consumer

TITLE = "The drain of a backlog: CPU, memory, and whether its end is as fast as its beginning"

ROWS = 2000000
BURST = 1000
SAMPLE_S = 0.02


class Sample(NamedTuple):
    """When this number of messages was reached, and PostgreSQL's CPU time until then; seconds."""

    when: float
    count: int
    cpu: float


class Sampler(threading.Thread):
    """Takes a sample again and again while the block runs."""

    def __init__(self, world, topic, pause=SAMPLE_S):
        super().__init__(daemon=True)
        self.postgres = world.postgres
        self.consumer = open_consumer(world.kafka)
        self.partition = TopicPartition(topic, 0)
        self.pause = pause
        self.leaving = threading.Event()
        self.samples = []

    def run(self):
        while not self.leaving.wait(self.pause):
            _, high = self.consumer.get_watermark_offsets(self.partition, timeout=20)
            self.samples.append(Sample(time.monotonic(), high,
                                       measure.cpu_of_postgres(self.postgres)))

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.leaving.set()
        self.join()
        self.consumer.close()

    def at(self, messages):
        """The sample at a number of messages, by linear interpolation between its neighbours."""
        before = None
        for now in self.samples:
            if now.count >= messages:
                if before is None or now.count == before.count:
                    return now
                share = (messages - before.count) / (now.count - before.count)
                return Sample(before.when + share * (now.when - before.when), messages,
                              before.cpu + share * (now.cpu - before.cpu))
            before = now
        return self.samples[-1]

    def fifths(self, rows):
        """What the first fifth of the rows took, the second …: seconds, and those of CPU."""
        first = next(sample for sample in self.samples if sample.count > 0)
        ends = [first] + [self.at(rows * i // 5) for i in range(1, 6)]
        return [(end.when - start.when, end.cpu - start.cpu)
                for start, end in zip(ends, ends[1:])]


def drain(world, options, jobs):
    rows = options.rows(ROWS)
    with world.backlog(rows) as backlog:
        command = backlog.flush("flushmany", "-j", jobs, burst=BURST)
        with Sampler(world, backlog.topic) as sampler:
            timing = measure.run(world, command, rows)
        backlog.check_sent()
    timing.fifths = sampler.fifths(rows)
    return timing


def measure_part(world, options):
    part = Part("drain", TITLE)
    cases = {f"flushmany -j {jobs}": functools.partial(drain, world, options, jobs)
             for jobs in (1, 2)}
    timings = measure.alternate(cases, options)
    for name, runs in timings.items():
        report_drain(part, name, runs)
    part.conditions["rows"] = options.rows(ROWS)
    part.add(*measure.others(timings))
    return part


def report_drain(part, name, runs):
    part.add(f"{name}: rows/s", "rows/s", [run.rate for run in runs])
    for who in ("relay", "postgres", "broker"):
        part.add(f"{name}: CPU of {who}", "s per million rows",
                 [getattr(run, f"{who}_cpu") / run.rows * 1e6 for run in runs], 2)
    part.add(f"{name}: peak memory", "MB", [run.peak_kb / 1024 for run in runs], 1)
    for i in (0, 4):
        part.add(f"{name}: fifth number {i + 1}", "s", [run.fifths[i][0] for run in runs], 2)
        part.add(f"{name}: fifth number {i + 1}: CPU of postgres", "s",
                 [run.fifths[i][1] for run in runs], 2)
    medians = {figure.name: figure.value for figure in part.figures}
    part.target(f"{name}: relay's CPU per million rows", medians[f"{name}: CPU of relay"],
                at_most=2.5, unit="s")
    part.target(f"{name}: peak memory", medians[f"{name}: peak memory"], at_most=25, unit="MB",
                digits=1)
    # The time also depends on the memory that receives the broker's log; on a virtual
    # machine the first touch of it may take longer than all else that the broker does.
    for what, figure in (("time", ""), ("CPU of postgres", ": CPU of postgres")):
        part.target(f"{name}: the last fifth's {what} to the first's",
                    medians[f"{name}: fifth number 5{figure}"] /
                    medians[f"{name}: fifth number 1{figure}"], at_most=1.15)
