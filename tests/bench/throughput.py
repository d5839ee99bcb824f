"""How fast a backlog is sent, and how fast the database and the broker alone are."""

import functools

import measure
from report import Part
from world import MESSAGE_BYTES

TITLE = "Throughput of a backlog"

# Rows of a backlog, by size of the bursts: a few seconds each.
ROWS = {1: 4000, 10: 40000, 100: 150000, 1000: 500000, 5000: 500000}


def ceiling(world, options, method, burst, connections):
    """The database alone."""
    rows = options.rows(ROWS[burst])
    with world.backlog(rows, with_topic=False) as backlog:
        command = world.tool("ceiling", world.owner_conninfo, backlog.table, method, burst, connections)
        timing = measure.run(world, command, rows)
        count, _, seconds = timing.output.split()
        backlog.check_empty()
    timing.rows, timing.seconds = int(count), float(seconds)
    return timing


def producer(world, options):
    """The broker and librdkafka alone."""
    rows = options.rows(1000000)
    with world.backlog(1) as backlog:
        command = world.tool("producer", world.kafka.bootstrap, backlog.topic, rows, MESSAGE_BYTES)
        timing = measure.run(world, command, rows)
    timing.seconds = float(timing.output.split()[1])
    return timing


def flush(world, options, words, burst, *, count=None, partitions=1, payload=None, **model):
    """A flush from its start to its exit.  Settings of the bus may be among the model's."""
    rows = options.rows(count or ROWS[burst])
    is_once = model.get("settings", {}).get("delivery") == "exactly-once"
    with world.backlog(rows, partitions=partitions, payload=payload) as backlog:
        timing = measure.run(world, backlog.flush(*words, burst=burst, **model), rows)
        backlog.check_sent(is_transactional=is_once)
    return timing


def flushmany(world, options, burst, jobs):
    return flush(world, options, ("flushmany", "-j", jobs), burst)


def flushordered(world, options):
    return flush(world, options, ("flushordered",), 1000, order_by=["id"])


CEILING = "database alone, bursts of 1,000, one connection"
CEILING_2 = "database alone, bursts of 1,000, two connections"
CEILING_ROW = "database alone, one row a transaction"
PRODUCER = "producer alone"
ORDERED = "flushordered, bursts of 1,000"


def many(burst, jobs):
    return f"flushmany -j {jobs}, bursts of {burst:,}"


def all_cases(world, options):
    case = functools.partial
    cases = {
        CEILING: case(ceiling, world, options, "range", 1000, 1),
        many(1000, 2): case(flushmany, world, options, 1000, 2),
        many(1000, 1): case(flushmany, world, options, 1000, 1),
        ORDERED: case(flushordered, world, options),
        many(100, 4): case(flushmany, world, options, 100, 4),
        CEILING_ROW: case(ceiling, world, options, "limit", 1, 1),
        many(1, 16): case(flushmany, world, options, 1, 16),
    }
    if options.quick:
        return cases
    cases[CEILING_2] = case(ceiling, world, options, "range", 1000, 2)
    cases[PRODUCER] = case(producer, world, options)
    for burst in ROWS:
        for jobs in (1, 2, 4):
            cases.setdefault(many(burst, jobs), case(flushmany, world, options, burst, jobs))
    return cases


def measure_part(world, options):
    part = Part("throughput", TITLE)
    timings = measure.alternate(all_cases(world, options), options)
    rates = {name: part.add(name, "rows/s", [t.rate for t in timings[name]])
             for name in sorted(timings, key=order_of)}
    part.add(*measure.others(timings))
    for name, below, share in (
            (many(1000, 2), CEILING, 0.70), (many(1000, 1), CEILING, 0.55),
            (ORDERED, CEILING, 0.50), (many(100, 4), CEILING, 0.40),
            (many(1, 16), CEILING_ROW, 0.90)):
        part.target(f"{name}: share of {below}", rates[name] / rates[below], at_least=share)
    return part


def order_of(name):
    """The order of the table: ceilings, then by command, connections and burst."""
    numbers = [int(word.replace(",", "")) for word in name.split() if word[0].isdigit()]
    return (name.startswith("flush"), name.split()[0], *numbers)
