"""Larger rows, as they are and compressed with lz4."""

import functools

import measure
from report import Part
from throughput import flush

TITLE = "Rows of 1 kB and of 10 kB, flushmany -j 1, bursts of 1,000"

# Bytes of a payload, and rows of a backlog.
SIZES = {1000: 150000, 10000: 30000}
KAFKA = {"none": {}, "lz4": {"kafka": {"compression_type": "lz4"}}}


def name_of(size, compression):
    return f"{size // 1000} kB, " + (compression if compression != "none" else "not compressed")


def measure_part(world, options):
    part = Part("sizes", TITLE)
    timings = measure.alternate({
        name_of(size, compression): functools.partial(
            flush, world, options, ("flushmany", "-j", 1), 1000, count=count, payload=size,
            settings=settings)
        for size, count in SIZES.items() for compression, settings in KAFKA.items()}, options)
    for size in SIZES:
        for compression in KAFKA:
            name = name_of(size, compression)
            part.add(name, "rows/s", [run.rate for run in timings[name]])
            part.add(name, "MB/s", [run.rate * size / 1e6 for run in timings[name]])
            for who in ("relay", "postgres", "broker"):
                part.add(f"{name}: CPU of {who}", "us a row",
                         [1e6 * getattr(run, f"{who}_cpu") / run.rows for run in timings[name]], 1)
    part.add(*measure.others(timings))
    return part
