"""How fast a backlog is sent through a pooler that pools transactions, with database_listen."""

import functools

import measure
from poolers import PgBouncer
from report import Part
from throughput import flush

TITLE = "Through PgBouncer, pool_mode = transaction, bursts of 1,000"

COMMANDS = {"flushmany -j 1": {}, "flushmany -j 2": {}, "flushordered": {"order_by": ["id"]}}


def measure_part(world, options):
    part = Part("pooler", TITLE)
    with PgBouncer(world.postgres, "transaction") as pooler:
        settings = {"direct": {}, "pooled": {"database": pooler.conninfo(),
                                             "database_listen": world.conninfo}}
        timings = measure.alternate({
            f"{words}, {way}": functools.partial(flush, world, options, words.split(), 1000,
                                                 settings=settings[way], **model)
            for words, model in COMMANDS.items() for way in settings}, options)
    rates = {name: part.add(name, "rows/s", [t.rate for t in timings[name]]) for name in timings}
    part.add(*measure.others(timings))
    for words in COMMANDS:
        part.target(f"{words}: share of direct", rates[f"{words}, pooled"] / rates[f"{words}, direct"],
                    at_least=0.5)
    return part
