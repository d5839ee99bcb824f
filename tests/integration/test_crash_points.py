"""
SIGKILL at every system call of a burst, in turn: of all threads, from before the claim to the end.

SIGNALBUS_CRASH_STRIDE is how many calls it is from one kill to the next; "make crash-points" takes
them all.  A burst makes 100 to 200 calls.  Kills at the same number do not always hit the same
call, since threads go about their work as they like.
"""

import os
import re
import uuid
from collections import Counter

import pytest

from inject import Rounds, injector
from runner import FLUSHES, model

STRIDE = int(os.environ.get("SIGNALBUS_CRASH_STRIDE", "6"))
BURST = 10
CLAIM = "claim_"  # in what is sent first of a burst: its statement is prepared
DELETE = "delete_0_"  # and of its end, when all is acknowledged: likewise

# What a crash may come to: (whether the rows were gone, how many messages were repeated later).
NOTHING_SENT, NOT_COMMITTED, COMMITTED = (False, 0), (False, BURST), (True, 0)


class Crashes:
    """Kills a flush of one burst at a call, and looks what became of the burst."""

    def __init__(self, signalbus, rounds, flush):
        self.signalbus = signalbus
        self.rounds = rounds
        self.flush = flush
        self.report = signalbus.folder / "report"
        self.is_silent = True  # what a killed one left prepared is logged

    def run(self, number, mark):
        """Runs until the number-th call from the one that sends the mark on; what came of it."""
        self.report.unlink(missing_ok=True)
        command = [injector("crash_at"), self.report, number, mark,
                   *self.signalbus.command(self.flush)]
        options = os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"  # it cannot be traced
        run = self.signalbus.start(command=command, environment={"ASAN_OPTIONS": options}).finish()
        assert self.report.exists(), f"nothing was traced: is ptrace allowed?\n{run}"
        report = self.report.read_text()
        assert run.returncode == (137 if report.startswith("killed at") else 0), run
        return report

    def count_calls(self):
        """How many calls a run makes that nobody kills."""
        self.rounds.begin()
        report = self.run(0, CLAIM)
        assert self.rounds.end() == 0
        return int(re.fullmatch(r"ended after (\d+)\n", report)[1])

    def crash_at(self, number, mark=CLAIM):
        self.rounds.begin()
        report = self.run(number, mark)
        gone = self.rounds.look()
        run = self.signalbus(*self.flush).expect(0)
        assert not self.is_silent or run.stderr == "", run
        repeats = self.rounds.end()
        assert len(gone) in (0, BURST), f"{len(gone)} of {BURST} rows were gone; {report}"
        assert repeats <= (0 if gone else BURST), f"{repeats} repeats, {len(gone)} gone; {report}"
        assert gone or report.startswith("killed at"), report
        return bool(gone), repeats


@pytest.fixture(params=["flushmany", "flushordered"])
def crashes(request, signalbus, schema, make_topic, kafka):
    yield from crashes_of(request.param, signalbus, schema, make_topic(), kafka)


@pytest.fixture
def exact_crashes(signalbus, schema, make_topic, kafka):
    yield from crashes_of("flushordered", signalbus, schema, make_topic(), kafka,
                          delivery="exactly-once", instance=f"crash-{uuid.uuid4().hex[:8]}")


def crashes_of(flush, signalbus, schema, topic, kafka, **settings):
    schema.make_signals("t")
    order = {"order_by": ["id"]} if flush == "flushordered" else {}
    signalbus.configure(model("A", schema.table("t"), topic, burst_count=BURST, **order),
                        **settings)
    with Rounds(schema, kafka, topic, BURST) as rounds:
        yield Crashes(signalbus, rounds, FLUSHES[flush])


@pytest.mark.early
def test_killed_at_every_call(crashes):
    calls = crashes.count_calls()
    assert calls > 30, "these are too few for a burst"
    outcomes = Counter(crashes.crash_at(number) for number in range(1, calls + STRIDE, STRIDE))
    print(f"{crashes.flush[0]}: {calls} calls, outcomes {dict(outcomes)}")
    assert outcomes[NOTHING_SENT] > 0 and outcomes[COMMITTED] > 0, outcomes


@pytest.mark.early
def test_exactly_once_killed_at_every_call(exact_crashes):
    """Rows that are gone are stored, and whatever happened, nothing is repeated."""
    stride = STRIDE * 4 if STRIDE > 1 else 1
    exact_crashes.is_silent = False
    calls = exact_crashes.count_calls()
    outcomes = Counter(exact_crashes.crash_at(n) for n in range(1, calls + stride, stride))
    print(f"{calls} calls, outcomes {dict(outcomes)}")
    assert set(outcomes) <= {NOTHING_SENT, COMMITTED}, outcomes
    assert len(outcomes) == 2, outcomes


def test_killed_with_the_claim(crashes):
    """Before the transaction, and during the claim."""
    assert [crashes.crash_at(number) for number in (1, 2, 3)] == [NOTHING_SENT] * 3


def test_killed_before_the_commit(crashes):
    """
    All is acknowledged.  The first four calls from there on come before the one that sends the
    DELETE and the COMMIT: all of the burst is repeated, so these kills do bite.
    """
    assert [crashes.crash_at(n, DELETE) for n in range(1, 5)] == [NOT_COMMITTED] * 4


def test_killed_around_the_commit(crashes):
    """The COMMIT may have been sent, and may have been answered."""
    for number in range(5, 11):
        assert crashes.crash_at(number, DELETE) in (NOT_COMMITTED, COMMITTED)
