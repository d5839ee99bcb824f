"""The scenarios: what runs, for how long, and what is verified."""

import time

import resources
import schedule
import verdict
from books import now
from faults import BROKER_KILL
from resources import Sampler, usage
from runner import is_sanitized
from servers import wait_until
from signals import Table
from world import Looker, Reader, World
from writers import Writers

EMPTY_LIMIT = 30  # seconds after the last fault, until the tables are empty
WARM_SECONDS = 3


class Load:
    """Writers, daemons and checks around what a scenario does: with Load(world, seed) as load."""

    def __init__(self, world, seed, **writing):
        self.world = world
        self.begin = now()
        self.reader = Reader(world)
        self.looker = Looker(world)
        world.start_daemons()
        self.sampler = Sampler(world, lambda: [each.pid for each in world.daemons])
        self.writers = Writers(world, seed, **writing)
        self.warm = {}

    def warm_up(self, seconds=WARM_SECONDS):
        """Until each table has been emptied once; then processes are as large as they get."""
        marks = self.world.latest()
        time.sleep(seconds)
        wait_until(lambda: self.world.backlog_gone(marks), 30, "the first signals are sent")
        self.warm = resources.highest([usage(each.pid) for each in self.world.daemons])

    def end(self):
        """Calm: all is sent, nothing is held, processes are as they were.  Then the accounts."""
        world = self.world
        self.writers.stop()
        try:
            wait_until(world.is_empty, EMPTY_LIMIT, "all tables are empty")
        except AssertionError as failure:
            world.books.breach("liveness", str(failure))
        try:
            wait_until(lambda: not world.prepared(), 15, "nothing is left prepared")
        except AssertionError as failure:
            world.books.breach("prepared", f"{failure}: {world.prepared()}")
        self.judge_resources()
        world.stop_daemons()
        for watch in (self.looker, self.sampler):
            watch.stop()
        self.reader.wait_for_end()
        self.reader.stop()
        world.books.close(world.dead_letters)

    def judge_resources(self):
        world = self.world
        try:
            wait_until(lambda: not world.idle_in_transaction(), 5, "no transaction is left open")
        except AssertionError as failure:
            world.books.breach("resources", f"{failure}: {world.idle_in_transaction()}")
        growth = float("inf") if is_sanitized() else resources.RSS_GROWTH_KB
        for daemon in world.daemons:
            for excess in resources.exceeds(self.warm, usage(daemon.pid), growth):
                world.books.breach("resources", f"of a daemon, {excess}")

    def facts(self):
        """For the report."""
        used = [used for _, _, used in self.sampler.samples]
        return {"looks": self.looker.looks, "warm": self.warm, "highest": resources.highest(used)}


def chaos(folder, seed, seconds, names=None, delivery="at-least-once"):
    """A schedule of faults that the seed determines, under load."""
    plan = schedule.draw(seed, seconds, names)
    print(f"seed {seed}:", *plan, sep="\n", flush=True)
    with World(folder, by_proxy=True, delivery=delivery) as world:
        load, player = Load(world, seed), schedule.Player(world)
        load.warm_up()
        player.play_all(plan)
        load.end()
        return verdict.report(world, player.played, load.begin,
                              {"scenario": "chaos", "seed": seed, "seconds": seconds,
                               **load.facts()})


# Rows a second for three brokers on one machine, so that a backlog is due to a fault.
BROKERS_RATE = {"exactly-once": 150}


def brokers(folder, rounds, delivery="at-least-once"):
    """Three brokers, each killed in turn and brought back, round after round."""
    with World(folder, brokers=3, timeout=10.0, delivery=delivery) as world:
        load = Load(world, "brokers", rate=BROKERS_RATE.get(delivery))
        player = schedule.Player(world)
        load.warm_up()
        for _ in range(rounds):
            for node in (1, 2, 3):
                at = round(now() - load.begin, 2)
                player.play_all([schedule.Planned(at, False, 0, BROKER_KILL, {"node": node})])
                last = player.played[-1]
                print(f"{last.planned}: {last.seconds_to_recover():.2f} s", flush=True)
        load.end()
        return verdict.report(world, player.played, load.begin,
                              {"scenario": "brokers", "rounds": rounds, **load.facts()})


LEVEL = 0.05       # memory stays within this much of what it was
WARM_SHARE = 0.1   # of a long run, and a minute at most: then processes are as large as they get
WARM_MOST = 60


def levels(samples, seconds):
    """The highest use after the first minutes, and in the last fifth: (early, late)."""
    warm = min(WARM_MOST, seconds * WARM_SHARE)
    early = [used for at, used in samples if warm <= at <= warm + (seconds - warm) / 5]
    late = [used for at, used in samples if at >= seconds - (seconds - warm) / 5]
    return resources.highest(early), resources.highest(late)


def judge_level(world, samples, seconds):
    """Memory is level within 5 %; descriptors and threads are as they were."""
    early, late = levels(samples, seconds)
    if late["rss_kb"] > early["rss_kb"] * (1 + LEVEL) and not is_sanitized():
        world.books.breach("resources", f"memory grew from {early['rss_kb']} to "
                           f"{late['rss_kb']} KB")
    for name in ("threads", "descriptors"):
        if late[name] > early[name]:
            world.books.breach("resources", f"{name}: {late[name]} after {early[name]}")
    return {"early": early, "late": late}


def soak(folder, seconds, rate):
    """A steady load on three tables for long, without faults."""
    with World(folder) as world:
        load = Load(world, "soak", rate=rate)
        load.warm_up()
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            time.sleep(min(60, max(0, ends - time.monotonic())))
            print(f"{now() - load.begin:8.0f} s  {world.books.totals()}", flush=True)
        found = {pid: judge_level(world, [(at, used) for at, of, used in load.sampler.samples
                                          if of == pid], seconds)
                 for pid in [each.pid for each in world.daemons]}
        load.end()
        return verdict.report(world, [], load.begin, {
            "scenario": "soak", "seconds": seconds, "rate": rate,
            "levels": list(found.values()), **load.facts()})


DRAIN = Table("backlog", 1000)
FILL_AT_ONCE = 250_000


def fill(world, rows):
    for first in range(0, rows, FILL_AT_ONCE):
        world.execute(DRAIN.insert, min(FILL_AT_ONCE, rows - first))
        print(f"{min(rows, first + FILL_AT_ONCE)} rows", flush=True)
    world.execute(f"VACUUM ANALYZE {DRAIN.name}")


def drain(folder, rows):
    """One flushmany of a huge backlog; afterwards each message is checked."""
    with World(folder, timeout=30.0, tables=(DRAIN,)) as world:
        fill(world, rows)
        run = world.signalbus.start("-v", "flushmany")
        sampler = Sampler(world, lambda: [run.pid])
        completed = run.finish(3600)
        sampler.stop()
        samples = [(at, used) for at, _, used in sampler.samples]
        found = judge_level(world, samples, completed.seconds)
        world.books.committed_up_to(DRAIN.name, rows)
        reader = Reader(world)
        reader.wait_for_end(3600)
        reader.stop()
        world.books.close(world.dead_letters)
        if completed.returncode != 0 or not world.is_empty():
            world.books.breach("status", str(completed))
        print(f"{completed.seconds:.1f} s, {rows / completed.seconds:.0f} rows/s", flush=True)
        return verdict.report(world, [], world.books.begin, {
            "scenario": "drain", "rows": rows, "seconds": completed.seconds, **found})
