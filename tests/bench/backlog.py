"""The speed over the time that it takes to drain a backlog of ten million rows."""

import measure
from drain import BURST, Sampler
from report import Part

TITLE = "A backlog of ten million rows"

ROWS = 10000000
SAMPLE_S = 0.5


def measure_part(world, options):
    part = Part("backlog", TITLE)
    rows = options.rows(ROWS)
    with world.backlog(rows) as backlog:
        command = backlog.flush("flushmany", "-j", 2, burst=BURST)
        options.weather.await_calm()
        with Sampler(world, backlog.topic, SAMPLE_S) as sampler:
            timing = measure.run(world, command, rows, timeout=3600)
        backlog.check_sent()
    start = sampler.samples[0].when
    part.series["flushmany -j 2"] = [
        (round(now.when - start, 3), round((now.count - before.count) / (now.when - before.when)))
        for before, now in zip(sampler.samples, sampler.samples[1:])]
    part.conditions["rows"] = rows
    part.add("rows/s", "rows/s", [timing.rate])
    part.add("peak memory", "MB", [timing.peak_kb / 1024], 1)
    part.add(*measure.others({"backlog": [timing]}))
    return part
