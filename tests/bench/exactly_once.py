"""What delivery = "exactly-once" costs: shares of at-least-once in the same run, and latency."""

import functools

import latency
import measure
import throughput
from report import Part

TITLE = "Exactly-once delivery"

ONCE = {"delivery": "exactly-once"}
DELIVERIES = {"at-least-once": {}, "exactly-once": ONCE}
RATE = 200
# Connections and bursts, and the share to reach.
CASES = {(8, 1000): 0.6, (8, 5000): None, (2, 1000): None}
OTHERS = ((1, 1000), (8, 100), (8, 1))
P50_MS = 8


def name_of(case, delivery):
    return f"{throughput.many(case[1], case[0])}, {delivery}"


def latency_of(delivery):
    return f"{RATE} commits/s, {delivery}"


def all_cases(world, options):
    """The deliveries of a case follow each other, so that both have the same weather."""
    cases = {}
    for jobs, burst in (*CASES, *(() if options.quick else OTHERS)):
        for delivery, settings in DELIVERIES.items():
            cases[name_of((jobs, burst), delivery)] = functools.partial(
                throughput.flush, world, options, ("flushmany", "-j", jobs), burst,
                settings=settings)
    for delivery, settings in DELIVERIES.items():
        cases[latency_of(delivery)] = functools.partial(
            latency.commits, world, options, RATE, **settings)
    return cases


def report_shares(part, timings):
    for case in (*CASES, *OTHERS):
        if name_of(case, "exactly-once") not in timings:
            continue
        usual, once = ([timing.rate for timing in timings[name_of(case, delivery)]]
                       for delivery in DELIVERIES)
        for delivery, rates in zip(DELIVERIES, (usual, once)):
            part.add(name_of(case, delivery), "rows/s", rates)
        name = f"{name_of(case, 'exactly-once')}: share of at-least-once"
        share = part.add(name, "", [b / a for a, b in zip(usual, once)], 2)
        if CASES.get(case) is not None:
            part.target(name, share, at_least=CASES[case])


def report_latencies(part, timings):
    for delivery in DELIVERIES:
        runs = timings[latency_of(delivery)]
        p50, _ = (part.add(f"{latency_of(delivery)}: {what}", "ms",
                           [run.percentile(fraction) for run in runs], 2)
                  for what, fraction in (("p50", 0.5), ("p99", 0.99)))
    part.target(f"{latency_of('exactly-once')}: p50", p50, at_most=P50_MS, unit="ms")


def measure_part(world, options):
    part = Part("exactly_once", TITLE)
    world.until_compiled(functools.partial(latency.commits, world, options, RATE, **ONCE))
    timings = measure.alternate(all_cases(world, options), options)
    report_shares(part, timings)
    report_latencies(part, timings)
    part.add(*measure.others(timings))
    return part
