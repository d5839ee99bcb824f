"""What a drain of a large backlog takes, from its first row to its last: memory, CPU, evenness."""

import functools
import threading
import time

from confluent_kafka import TopicPartition

import measure
from report import Part
from topics import open_consumer

TITLE = "The drain of a backlog: CPU, memory, and whether its end is as fast as its beginning"

ROWS = 2000000
BURST = 1000
SAMPLE_S = 0.02


class Sampler(threading.Thread):
    """Notes how many messages the topic holds, again and again while the block runs."""

    def __init__(self, world, topic, pause=SAMPLE_S):
        super().__init__(daemon=True)
        self.consumer = open_consumer(world.kafka)
        self.partition = TopicPartition(topic, 0)
        self.pause = pause
        self.leaving = threading.Event()
        self.samples = []  # seconds and messages

    def run(self):
        while not self.leaving.wait(self.pause):
            _, high = self.consumer.get_watermark_offsets(self.partition, timeout=20)
            self.samples.append((time.monotonic(), high))

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.leaving.set()
        self.join()
        self.consumer.close()

    def time_of(self, messages):
        """When there were so many messages: between the samples around it, by the straight line."""
        before = None
        for when, count in self.samples:
            if count >= messages:
                if before is None or count == before[1]:
                    return when
                share = (messages - before[1]) / (count - before[1])
                return before[0] + share * (when - before[0])
            before = (when, count)
        return self.samples[-1][0]

    def fifths(self, rows):
        """The seconds for the first fifth of the rows, for the second …"""
        first = next(when for when, count in self.samples if count > 0)
        times = [first] + [self.time_of(rows * i // 5) for i in range(1, 6)]
        return [end - start for start, end in zip(times, times[1:])]


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
        part.add(f"{name}: fifth number {i + 1}", "s", [run.fifths[i] for run in runs], 2)
    medians = {figure.name: figure.value for figure in part.figures}
    part.target(f"{name}: relay's CPU per million rows", medians[f"{name}: CPU of relay"],
                at_most=2.5, unit="s")
    part.target(f"{name}: peak memory", medians[f"{name}: peak memory"], at_most=25, unit="MB",
                digits=1)
    part.target(f"{name}: the last fifth's time to the first's",
                medians[f"{name}: fifth number 5"] / medians[f"{name}: fifth number 1"],
                at_most=1.15)
