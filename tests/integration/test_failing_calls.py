"""
Each call that can fail fails, in turn, while a flush runs: allocations, descriptors, connections,
sending, receiving, waiting, threads; the program's own and its libraries'.  And descriptors run
out.  What comes of it is a clean error or a crash: never a loss, a hang or a wrong message.

SIGNALBUS_FAILING_CALLS is how many calls of a kind are tried, a sample by a seed that is printed;
"make failing-calls" takes them all.
"""

import os
import random
import re
import signal
from collections import Counter

import pytest

from conftest import TEST_SECONDS
from inject import Rounds, injector
from runner import FLUSHES, counts_lines, is_sanitized, model

SAMPLE = int(os.environ.get("SIGNALBUS_FAILING_CALLS", "3"))
SEED = os.environ.get("SIGNALBUS_FAILING_SEED", "1")
BURST = 10
TIMEOUT = 2
KINDS = ("descriptor", "connect", "send", "receive", "wait", "thread")

MEMORY = pytest.param("memory", marks=pytest.mark.skipif(
    counts_lines(), reason="gcov's code that runs at the exit does not survive it"))
pytestmark = pytest.mark.skipif(is_sanitized(), reason="a sanitizer stands before the same calls")


class Failures:
    """Has calls of one kind fail in a flush, and looks what became of its signals."""

    def __init__(self, signalbus, rounds, flush, **settings):
        self.signalbus = signalbus
        self.rounds = rounds
        self.flush = flush
        self.settings = {f"FAILING_{name.upper()}": value for name, value in settings.items()}
        self.report = signalbus.folder / "report"

    def run(self, number):
        self.report.unlink(missing_ok=True)
        settings = {"LD_PRELOAD": injector("failing_calls.so"), **self.settings,
                    "FAILING_AT": number, "FAILING_REPORT": self.report}
        command = ["env", *(f"{name}={value}" for name, value in settings.items()),
                   *self.signalbus.command(self.flush)]
        return self.signalbus.start(command=command).finish(10 * TIMEOUT)

    def count(self):
        """How many calls of the kind a run makes in which none fails."""
        self.rounds.begin()
        self.run(0).expect_silence()
        assert self.rounds.end() == 0
        return int(re.fullmatch(r"counted (\d+)\n", self.report.read_text())[1])

    def fail_at(self, number):
        """Returns the report and how the run ended: that may be well, since much is tried again."""
        self.rounds.begin()
        run = self.run(number)
        said = self.report.read_text() if self.report.exists() else ""
        check_end(run, said)
        gone = self.rounds.look()
        if run.returncode != 0 or len(gone) < BURST:
            self.signalbus(*self.flush).expect_silence()
        repeats = self.rounds.end()
        assert repeats <= BURST, f"{repeats} repeats\n{said}{run}"
        assert run.returncode != 0 or len(gone) == BURST, f"done, and rows are left\n{said}{run}"
        return said.splitlines()[0] if said.startswith("failed") else "", run.returncode


def check_end(run, said):
    """
    Done, or an error with its reason; or a crash.  A library's may be of any kind; the program
    itself aborts, and only where memory is missing.
    """
    assert re.match(r"failed \d+: |counted \d+\n", said), f"nothing happened: {said}\n{run}"
    if run.returncode in (1, 78):
        assert run.stderr.strip(), f"no word about it: {said}\n{run}"
    elif run.returncode == -signal.SIGSEGV:
        assert " of signalbus\n" not in said, f"{said}\n{run}"
    elif run.returncode == -signal.SIGABRT:
        assert not re.match(r"failed \d+: (eventfd|pthread_create) of signalbus", said), run
    elif run.returncode == 2:  # the scanner of libconfig ends the process itself
        assert "out of dynamic memory in libconfig" in run.stderr, f"{said}\n{run}"
    else:
        run.expect(0)


def sample(count):
    """Some of the numbers from 1 to count, in order."""
    chance = random.Random(SEED)
    return sorted(chance.sample(range(1, count + 1), min(SAMPLE, count)))


@pytest.fixture
def rounds(schema, make_topic, kafka, signalbus):
    topic = make_topic()
    schema.make_signals("t")
    signalbus.configure(model("A", schema.table("t"), topic, burst_count=BURST, order_by=["id"]),
                        timeout=TIMEOUT)
    with Rounds(schema, kafka, topic, BURST) as own:
        yield own


def fail_each(failures, what, first=0):
    """Has the first calls fail and a sample of all, one after another; tells what came of it."""
    count = failures.count()
    assert count > 0
    numbers = sorted({*range(1, first + 1), *sample(count)})
    signal.alarm(TEST_SECONDS + len(numbers))
    outcomes = [failures.fail_at(number) for number in numbers]
    print(f"{what}: {len(outcomes)} of {count} calls, seed {SEED}, "
          f"exit statuses {dict(Counter(status for _, status in outcomes))}")
    for said in sorted(said for said, status in outcomes if status < 0):
        print(f"  crashed: {said}")
    assert any(said for said, _ in outcomes), "no call failed"


@pytest.mark.parametrize("kind", [MEMORY, *KINDS])
@pytest.mark.parametrize("flush", ["flushmany", "flushordered"])
def test_a_call_fails(signalbus, rounds, flush, kind):
    fail_each(Failures(signalbus, rounds, FLUSHES[flush], kind=kind), f"{flush}, {kind}")


@pytest.mark.parametrize("flush", ["flushmany", "flushordered"])
@pytest.mark.parametrize("kind", [MEMORY])
def test_no_memory_for_what_the_database_says_to_the_delete(signalbus, rounds, flush, kind):
    """A session is not used any more where libpq has failed: what it has got is not known."""
    fail_each(Failures(signalbus, rounds, FLUSHES[flush], kind=kind, **{"from": "DELETE FROM"}),
              f"{flush}, memory for the delete", first=2)


@pytest.mark.parametrize("kind", ["send", "receive"])
def test_a_session_is_lost_when_nothing_is_left(signalbus, rounds, kind):
    """Why is said: the look at the rest of the table, in a new session, does not hide it."""
    failures = Failures(signalbus, rounds, FLUSHES["flushmany"], kind=kind, **{"from": "ROLLBACK"})
    rounds.begin()
    run = failures.run(1).expect(0)
    assert failures.report.read_text().startswith("failed 1: ")
    assert ": database at " in run.stderr and "not connected" not in run.stderr, run
    assert rounds.end() == 0


def test_there_is_no_descriptor_to_wait_for_signals_with(signalbus, rounds):
    failures = Failures(signalbus, rounds, FLUSHES["flushmany"], kind="descriptor")
    rounds.begin()
    run = failures.run(1).expect(1)
    assert failures.report.read_text().startswith("failed 1: eventfd of signalbus")
    assert run.stderr == "signalbus: cannot wait for signals: Too many open files\n"
    assert len(rounds.look()) == 0
    signalbus("flushmany").expect_silence()
    assert rounds.end() == 0


def test_descriptors_run_out(signalbus, schema, rounds):
    """From too few on: an error with its reason, until there are enough."""
    signalbus.configure(model("A", schema.table("t"), rounds.topic, burst_count=BURST), timeout=1)
    statuses = {}
    for limit in range(4, 64):  # the dynamic linker needs the fourth
        rounds.begin()
        command = ["prlimit", f"--nofile={limit}", *signalbus.command(("flushmany",))]
        run = signalbus.start(command=command).finish(10)
        assert run.returncode in (0, 1, 78), run
        assert run.returncode == 0 or run.stderr != "", run  # a retry that succeeded is logged, too
        assert (len(rounds.look()) == BURST) == (run.returncode == 0), run
        if run.returncode != 0:
            signalbus("flushmany").expect_silence()
        assert rounds.end() == 0
        statuses[limit] = run.returncode
        if list(statuses.values())[-3:] == [0, 0, 0] and run.stderr == "":
            break
    print(f"exit status by limit: {statuses}")
    assert list(statuses.values())[:2] == [78, 1] and statuses[limit] == 0


@pytest.mark.parametrize("limit", ["64", "64:4096"])
def test_too_few_descriptors_for_all_producers(signalbus, schema, make_topic, consume, limit):
    """Workers without a connection use the producers of others.  A soft limit is no limit."""
    schema.make_signals("t", 2000)
    topic = make_topic()
    signalbus.configure(model("A", schema.table("t"), topic, burst_count=BURST), timeout=TIMEOUT)
    command = ["prlimit", f"--nofile={limit}", *signalbus.command(("flushmany", "-j", "16"))]
    run = signalbus.start(command=command).finish(30).expect(0)
    warned = "the producers of some workers cannot reach the broker: " in run.stderr
    assert warned == (limit == "64"), run
    assert schema.count("t") == 0
    consume(topic, 2000)
