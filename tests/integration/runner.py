"""Runs the program under test: always with a deadline, and ends it."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from libconfig import render
from servers import ROOT, Process, clean_environment, wait_until

FAILED = "Caught error while sending pending signals: "

# The commands that flush, without flush's wait; for tests that all of them have to pass.
FLUSHES = {"flush": ("flush", "-w", "0"), "flushmany": ("flushmany",),
           "flushordered": ("flushordered",)}
every_flush = pytest.mark.parametrize("flush", FLUSHES.values(), ids=FLUSHES.keys())

# Of another librdkafka (tests/versions/run); the tests' own clients use the usual one.
LIBRARIES = os.environ.get("SIGNALBUS_LIBRARIES")

BINARY = Path(os.environ.get("SIGNALBUS", ROOT / "build" / "signalbus")).absolute()


def is_sanitized():
    """Whether the binary was built with a sanitizer: slower, and its memory is not its own."""
    return any(mark in BINARY.read_bytes() for mark in (b"__asan_init", b"__tsan_init"))


def counts_lines():
    """Whether the binary was built for coverage."""
    return b"libgcov profiling error" in BINARY.read_bytes()


# What flush and flushmany say of a model with order_by.
UNORDERED = 'has order_by, and is flushed in no particular order; flushordered keeps the order'


@dataclasses.dataclass
class Completed:
    """What a run of signalbus came to."""

    command: str
    returncode: int
    stdout: str
    stderr: str
    seconds: float
    peak_kb: int = 0

    def expect(self, status):
        """Fails, showing everything, unless the run ended with this status."""
        assert self.returncode == status, f"expected status {status} of\n{self}"
        return self

    def expect_silence(self):
        """As cron likes it: status 0 and not a word, except that an order was not kept."""
        self.expect(0)
        said = [line for line in self.stderr.splitlines() if UNORDERED not in line]
        assert self.stdout == "" and not said, f"expected silence of\n{self}"
        return self

    def expect_failure(self):
        """Status 1, and one line that says why; returns the reason."""
        self.expect(1)
        reasons = [line.split(FAILED)[1] for line in self.stderr.splitlines() if FAILED in line]
        assert len(reasons) == 1 and reasons[0], f"expected one reason in\n{self}"
        return reasons[0]

    def findings(self, about=""):
        """
        The lines of check that contain a text, except the one about superusers, as tests are, and the
        one about old versions of PostgreSQL (tests/versions/run).
        """
        return [line for line in self.stdout.splitlines() if " is a superuser, " not in line
                and " reads past all signals " not in line and about in line]

    def logged(self, text):
        """Whether one log line ends with text: time stamp and level may stand before it."""
        return any(line.endswith(text) for line in self.stderr.splitlines())

    def __str__(self):
        return (f"{self.command}\nstatus {self.returncode} after {self.seconds:.1f} s"
                f"\n--- stdout\n{self.stdout}\n--- stderr\n{self.stderr}\n---")


class Running:
    """A run of signalbus in the background."""

    def __init__(self, command, environment, folder, number, terminal=None):
        self.command = [str(word) for word in command]
        self.stdout = folder / f"run-{number}.out"
        self.stderr = folder / f"run-{number}.err"
        self.started = time.monotonic()
        with open(self.stdout, "wb") as out, open(self.stderr, "wb") as err:
            self.popen = subprocess.Popen(
                Process.setpriv(None, "KILL") + self.command, stdin=subprocess.DEVNULL,
                stdout=out if terminal is None else terminal,
                stderr=err if terminal is None else terminal, env=environment,
                cwd=folder, start_new_session=True)

    @property
    def pid(self):
        return self.popen.pid

    def is_alive(self):
        return self.popen.poll() is None

    def seconds(self):
        return time.monotonic() - self.started

    def output(self):
        return self.stdout.read_text()

    def log(self):
        return self.stderr.read_text()

    def send(self, number):
        self.popen.send_signal(number)

    def finish(self, timeout=60):
        """Waits for its end; a run that takes longer than timeout is killed and fails the test."""
        try:
            self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            self.discard()
            raise AssertionError(f"hung for {timeout} s\n{self.completed()}") from None
        return self.completed()

    def stop(self, number=signal.SIGTERM, timeout=20):
        self.send(number)
        return self.finish(timeout)

    def kill(self):
        return self.stop(signal.SIGKILL)

    def discard(self):
        """Ends the run and whatever it started: it leads a process group of its own."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.popen.wait()

    def wait_log(self, text, timeout=20):
        try:
            wait_until(lambda: text in self.log() or not self.is_alive(), timeout, "a line")
        except AssertionError as error:
            raise AssertionError(f"{text!r}: {error}\n{self.completed()}") from None
        assert text in self.log(), self.completed()

    def completed(self):
        return Completed(" ".join(self.command), self.popen.returncode, self.output(), self.log(),
                         self.seconds())


# A process inherits the peak memory of the one that forked it, so the run to be measured must be
# forked by something smaller than the tests: this script, in a Python that loads nothing (10 MB).
MEASURE = """
import os, sys
report, command = sys.argv[1], sys.argv[2:]
pid = os.posix_spawn(command[0], command, os.environ)
_, status, usage = os.wait4(pid, 0)
with open(report, "w") as file:
    file.write(str(usage.ru_maxrss))
sys.exit(os.waitstatus_to_exitcode(status) & 255)
"""


class Signalbus:
    """
    The program under test with a configuration file of the test's own.

        signalbus.configure(model("A", table, topic))
        signalbus("flushmany", "-v").expect(0)
        running = signalbus.start("flush", "-r", 1)
    """

    def __init__(self, folder, database, bootstrap):
        self.folder = folder
        self.database = database
        self.bootstrap = bootstrap
        self.config = folder / "signalbus.conf"
        self.runs = []

    def settings(self, *models, **settings):
        """Complete settings: those of this test's servers, the models, and what is given."""
        kafka = {"bootstrap_servers": self.bootstrap, **settings.pop("kafka", {})}
        return {"database": self.database, "kafka": kafka, **settings, "models": list(models)}

    def configure(self, *models, **settings):
        return self.write(render(self.settings(*models, **settings)))

    def write(self, text, name="signalbus.conf", mode=0o600):
        """Writes a configuration file; later runs use the last one called signalbus.conf."""
        path = self.folder / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        path.chmod(mode)
        return path

    def command(self, arguments):
        return [BINARY, "-c", self.config, *arguments]

    def start(self, *arguments, environment=None, command=None, terminal=None):
        """
        Starts it in the background; it is killed at the end of the test at the latest.
        terminal is a descriptor for its standard output and error, instead of files.
        """
        if not BINARY.exists():
            raise AssertionError(f"{BINARY}: not there; run make first")
        libraries = {"LD_LIBRARY_PATH": LIBRARIES} if LIBRARIES else {}
        running = Running(command or self.command(arguments),
                          clean_environment(**libraries, **(environment or {})), self.folder,
                          len(self.runs), terminal)
        self.runs.append(running)
        return running

    def __call__(self, *arguments, timeout=60, environment=None):
        return self.start(*arguments, environment=environment).finish(timeout)

    def bare(self, *arguments, timeout=60, environment=None):
        """A run without -c FILE."""
        return self.start(command=[BINARY, *arguments], environment=environment).finish(timeout)

    def measured(self, *arguments, timeout=60):
        """A run whose peak resident memory is reported as peak_kb (10 MB at least)."""
        report = self.folder / "peak"
        wrapper = [sys.executable, "-S", "-E", "-c", MEASURE, report]
        completed = self.start(command=wrapper + self.command(arguments)).finish(timeout)
        completed.peak_kb = int(report.read_text())
        return completed

    def discard(self):
        for running in self.runs:
            running.discard()


def model(name, table, topic=None, **settings):
    """A model's group; without a topic it is the name, as in the program."""
    return {"name": name, "table": table, **({"topic": topic} if topic else {}), **settings}


def repeats(numbers):
    """How many of them have been there before."""
    return len(numbers) - len(set(numbers))


def ids(messages, member="id"):
    """The id of each message, in the order of the log."""
    return [json.loads(message.value)[member] for message in messages]
