"""What it costs that the messages of a burst go to many partitions, of several brokers."""

import functools

import measure
import world as worlds
from report import Part
from throughput import flush

TITLE = "Three brokers, with keys: a topic with 100 partitions, and with one"

BROKERS = 3
PARTITIONS = (1, 100)
ORDER = {"order_by": ["id"]}
# Commands, bursts and settings, and the share of one partition to reach.
CASES = (("flushmany -j 1", 1000, {}, 0.8), ("flushmany -j 2", 1000, {}, 0.8),
         ("flushordered", 1000, ORDER, 0.8), ("flushmany -j 2", 5000, {}, None))


def name_of(words, burst, partitions):
    return f"{words}, bursts of {burst:,}, {partitions} partition{'s' if partitions > 1 else ''}"


def measure_part(_, options):
    part = Part("partitions", TITLE)
    with worlds.World(BROKERS) as world:
        timings = measure.alternate({
            name_of(words, burst, partitions): functools.partial(
                flush, world, options, words.split(), burst, partitions=partitions,
                key="aggregateid", **model)
            for words, burst, model, _ in CASES for partitions in PARTITIONS}, options)
    rates = {name: part.add(name, "rows/s", [t.rate for t in timings[name]]) for name in timings}
    for who in ("relay", "broker"):
        for name, runs in timings.items():
            part.add(f"{name}: CPU of {who}", "us a row",
                     [1e6 * getattr(run, f"{who}_cpu") / run.rows for run in runs], 2)
    part.add(*measure.others(timings))
    for words, burst, _, least in CASES:
        one, many = (rates[name_of(words, burst, partitions)] for partitions in PARTITIONS)
        name = f"{words}, bursts of {burst:,}: share of one partition"
        if least is None:
            part.add(name, "", [many / one], 2)
        else:
            part.target(name, many / one, at_least=least)
    return part
