"""The schedule that a seed draws, and playing it."""

import random
import threading
import time
from typing import NamedTuple

import psycopg2

from books import now
from faults import FAULTS
from servers import wait_until

STARTING = {"kafka-kill": 5, "postgres-fast": 1, "postgres-immediate": 1, "postgres-kill": 1}
RECOVERING = 1        # seconds that a recovery may take in a schedule; if longer, all comes later
OVERLAP = 0.25        # the share of faults that begin during the previous one
RECOVERY_LIMIT = 45   # seconds after the end of a fault that came alone
RECOVERY_PATIENCE = 90


class Planned(NamedTuple):
    """A fault, when it is due and its parameters."""

    at: float      # seconds after the begin, if what comes before takes no longer than planned
    overlaps: bool
    pause: float   # seconds since the fault before it began, if it overlaps, or since that was over
    fault: object
    parameters: dict

    def __str__(self):
        words = [f"{name}={value}" for name, value in self.parameters.items()]
        during = ["during the previous one"] if self.overlaps else []
        return " ".join([f"{self.at:6.2f} s  {self.fault.name}", *words, *during])


def draw(seed, seconds, names=None):
    """The faults of a run; the same for the same seed.  Each kind comes before one comes again."""
    unknown = set(names or ()) - set(FAULTS)
    if unknown:
        raise SystemExit(f"no fault {', '.join(sorted(unknown))}; there are {', '.join(FAULTS)}")
    chance = random.Random(f"schedule {seed}")
    planned, at, over, deck = [], 0, 0, []
    while True:
        deck = deck or shuffled(chance, names or FAULTS)
        fault = FAULTS[deck.pop()]
        parameters = fault.draw(chance)
        overlaps = bool(planned) and chance.random() < OVERLAP
        pause = round(chance.uniform(0.1, 0.5) if overlaps else chance.uniform(0.4, 1.5), 2)
        at = (at if overlaps else over) + pause
        over = max(over, at + parameters.get("seconds", parameters.get("away", 0))
                   + STARTING.get(fault.name, 0) + RECOVERING)
        if at > seconds:
            return planned
        planned.append(Planned(round(at, 2), overlaps, pause, fault, parameters))


def shuffled(chance, names):
    names = list(names)
    chance.shuffle(names)
    return names


class Played:
    """What came of a planned fault, by the wall clock; None where it did not come so far."""

    def __init__(self, planned):
        self.planned = planned
        self.begun = self.ended = self.recovered = None
        self.failure = None
        self.done = threading.Event()

    @property
    def fault(self):
        return self.planned.fault

    def seconds_to_recover(self):
        return self.recovered - self.ended

    def as_json(self, begin):
        return {"fault": self.fault.name, "parameters": self.planned.parameters,
                "begun": round(self.begun - begin, 3), "ended": round(self.ended - begin, 3),
                "recovered": round(self.recovered - begin, 3),
                "recovery": round(self.seconds_to_recover(), 3)}


class Player:
    """
    Plays faults, each in a thread of its own since they may overlap.  These threads stay until the
    world is closed: the processes that they start would die with them (see servers.Process).
    """

    def __init__(self, world):
        self.world = world
        self.played = []
        self.targets = {}

    def play_all(self, plan):
        for planned in plan:
            if not planned.overlaps:
                self.wait_done()
            time.sleep(planned.pause)
            self.start(planned)
        self.wait_done()

    def start(self, planned):
        lock = self.targets.setdefault(planned.fault.target, threading.Lock())
        played = Played(planned)
        self.played.append(played)
        threading.Thread(target=self.work, args=(played, lock), daemon=True).start()

    def wait_done(self):
        """Until all faults so far are over."""
        for played in self.played:
            played.done.wait()
            if played.failure:
                raise played.failure

    def work(self, played, lock):
        try:
            self.play(played, lock)
        except BaseException as failure:  # the main thread reports it
            played.failure = failure
        played.done.set()
        self.world.closed.wait()

    def play(self, played, lock):
        with lock:
            played.begun = now()
            while not self.act(played):
                time.sleep(0.1)
            played.ended = now()
        self.wait_recovered(played)
        if played.fault.after:
            played.fault.after(self.world, **played.planned.parameters)

    def act(self, played):
        """False if PostgreSQL is unavailable because of another fault: then it is tried again."""
        try:
            played.fault.act(self.world, **played.planned.parameters)
        except psycopg2.Error:
            return False
        return True

    def wait_recovered(self, played):
        """Until all that was pending when the fault ended is gone."""
        marks = wait_until(self.latest, RECOVERY_PATIENCE, "PostgreSQL answers")
        while not self.world.backlog_gone(marks):
            if self.calm_for() > RECOVERY_PATIENCE:
                self.world.books.breach("liveness", f"{played.planned}: no recovery "
                                        f"{RECOVERY_PATIENCE} s later")
                break
            time.sleep(0.03)
        played.recovered = now()

    def calm_for(self):
        """For how many seconds there has been no fault."""
        ended = [played.ended for played in self.played if played.begun]
        return now() - max(ended) if all(ended) else 0

    def latest(self):
        try:
            return self.world.latest()
        except psycopg2.Error:
            return None
