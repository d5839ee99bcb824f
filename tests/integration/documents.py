"""
Runs the command blocks of a document in order, as a reader would, against the servers of the tests.

A fenced block in one of these languages is run:

    sh        by bash; each command has to succeed
    sql       by psql, in the database "shop", as the superuser
    conf      checked by "check --config-only", after the least that is missing is added; a whole
              configuration is also written to /etc/signalbus/signalbus.conf
    console   the lines that begin with "$ " by bash, one by one; each has to print the lines that
              follow it, except for times; "..." stands for any lines, or for any text of a line

Comments, which readers do not see, change what happens with the next block or between two blocks:

    <!-- test: not run: REASON -->
    <!-- test: file PATH -->        the conf block is written to this file
    <!-- test: status N -->         the last command of the console block ends with this status
    <!-- test: eventually -->       the console block is repeated until it prints what it should
    <!-- test: terminal NAME -->    the console block runs in the background, or shows more of what
                                    does; its lines have to be printed, among others
    <!-- test: stop NAME -->        Ctrl-C in that terminal
    <!-- test: step WORDS -->       what the test passed as steps[WORDS] is done

The servers have other addresses than in the documents, so these are replaced in both directions.
kafka-topics.sh, which is not among the tests' jars, and sudo have stand-ins below.
"""

import contextlib
import os
import pathlib
import re
import signal
import subprocess
import sys
from typing import NamedTuple

from runner import BINARY, Running
from servers import ROOT, clean_environment, find_program, wait_until

ELEMENT = re.compile(r"^<!-- test: (?P<comment>.*?) -->$|"
                     r"^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
RUN = ("sh", "sql", "conf", "console")
CONFIGURATION = "/etc/signalbus/signalbus.conf"
TOPICS = ("orders.created", "shop.order-created", "shop.reminders", "transfers",
          "outbox.event.Order", "outbox.event.changeover")

# What stands for programs that a reader has, and the tests do not have.
STAND_INS = {
    "sudo": """#!/bin/sh
if [ "$1" = -u ]; then shift 2; fi
exec "$@"
""",
    "kafka-topics.sh": f"""#!{sys.executable}
import argparse
from confluent_kafka.admin import AdminClient, NewTopic
parser = argparse.ArgumentParser()
parser.add_argument("--bootstrap-server", required=True)
parser.add_argument("--create", action="store_true", required=True)
parser.add_argument("--topic", required=True)
parser.add_argument("--partitions", type=int, default=1)
given = parser.parse_args()
admin = AdminClient({{"bootstrap.servers": given.bootstrap_server}})
new = NewTopic(given.topic, given.partitions, 1)
admin.create_topics([new], operation_timeout=20)[given.topic].result(30)
print(f"Created topic {{given.topic}}.")
""",
}

# What differs between two runs; a document shows one of them.
VARYING = [(re.compile(pattern), replacement) for pattern, replacement in (
    (r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d(:\d\d)?)?", "TIME"),
    (r"\b\d+(\.\d+)? s\b", "N s"), (r"\b\d+(\.\d+)?/s\b", "N/s"),
    (r"\bsignalbus \d+\.\d+\.\d+[\w.~+-]*", "signalbus VERSION"), (r"server process \d+", "process N"))]


class Block(NamedTuple):
    """A fenced block, with the comments before it; or only comments, with no language."""

    line: int
    language: str
    text: str
    comments: dict

    @property
    def reason(self):
        """Why it is not run."""
        return self.comments.get("not run:")


def parse(text):
    """The blocks of a document."""
    blocks, comments = [], {}
    for element in ELEMENT.finditer(text):
        line = text.count("\n", 0, element.start()) + 1
        if element["comment"] is None:
            blocks.append(Block(line, element["language"], element["text"], comments))
            comments = {}
            continue
        word, _, rest = element["comment"].partition(" ")
        if word == "not":
            assert rest.startswith("run: ") and rest[5:].strip(), f"line {line}: no reason"
            comments["not run:"] = rest[5:]
        elif word in ("step", "stop"):
            blocks.append(Block(line, "", "", {word: rest}))
        else:
            assert word in ("file", "status", "eventually", "terminal"), f"line {line}: {word}"
            comments[word] = rest
    assert not comments, f"a comment without a block: {comments}"
    return blocks


def normalize(lines):
    for pattern, replacement in VARYING:
        lines = [pattern.sub(replacement, line) for line in lines]
    return lines


def agrees(shown, printed):
    """Whether a command printed what a document shows, in which "..." are any lines, or any text
    of a line."""
    pattern = "".join(r"(.*\n)*?" if line == "..." else pattern_of(line) + r"\n" for line in shown)
    return re.fullmatch(pattern, "".join(line + "\n" for line in printed)) is not None


def pattern_of(line):
    return re.escape(line).replace(re.escape("..."), ".*")


def commands_of(text):
    """The commands of a console block, each with the lines that it prints."""
    commands = []
    for line in text.splitlines():
        if line.startswith("$ "):
            commands.append((line[2:], []))
        else:
            assert commands, f"a console block begins with {line!r}"
            commands[-1][1].append(line)
    return commands


class Reader:
    """
    Somebody who types what a document shows.

        Reader(folder, postgres, kafka).follow("docs/tutorial.md", {"restart the broker": restart})
    """

    def __init__(self, folder, postgres, kafka):
        self.folder = folder
        self.replacements = {"localhost:9092": kafka.bootstrap,
                             "/run/postgresql": str(postgres.sockets),
                             "/etc/signalbus": str(folder / "etc")}
        self.environment = clean_environment(
            PATH=f"{folder / 'bin'}:{os.environ['PATH']}", SIGNALBUS_CONFIG=self.here(CONFIGURATION),
            PGHOST=str(postgres.sockets), PGPORT=str(postgres.port), PGUSER="postgres")
        self.terminals = {}
        self.make_programs()

    def make_programs(self):
        (self.folder / "bin").mkdir()
        (self.folder / "etc").mkdir()
        (self.folder / "bin" / "signalbus").symlink_to(BINARY)
        for name, text in STAND_INS.items():
            path = self.folder / "bin" / name
            path.write_text(text)
            path.chmod(0o755)

    def here(self, text):
        for shown, real in self.replacements.items():
            text = text.replace(shown, real)
        return text

    def shown(self, text):
        for shown, real in self.replacements.items():
            text = text.replace(real, shown)
        return text

    def follow(self, name, steps=None):
        """Runs a document; returns the blocks that were run, and the reasons of those not run."""
        ran, reasons = [], []
        for block in parse((ROOT / name).read_text()):
            place = f"{name}:{block.line}"
            if block.language in RUN and block.reason is None:
                getattr(self, f"run_{block.language}")(block, place)
                ran.append(block)
            elif block.language in RUN:
                reasons.append(f"{place}: not run: {block.reason}")
            elif "step" in block.comments:
                steps[block.comments["step"]]()
            elif "stop" in block.comments:
                self.terminals.pop(block.comments["stop"]).stop(signal.SIGINT).expect(0)
        print("\n".join(reasons))
        return ran

    def prepare(self, name):
        """Makes the tables and the configuration of a document, without running its commands."""
        for block in parse((ROOT / name).read_text()):
            if block.language in ("sql", "conf") and block.reason is None:
                getattr(self, f"run_{block.language}")(block, f"{name}:{block.line}")

    def bash(self, script):
        return subprocess.run(
            [find_program("bash", "bash"), "-euo", "pipefail", "-c", self.here(script)], text=True,
            cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)

    def run_sh(self, block, place):
        ended = self.bash(block.text)
        assert ended.returncode == 0, f"{place}: status {ended.returncode}\n{ended.stdout}"

    def run_sql(self, block, place):
        ended = subprocess.run(
            [find_program("psql", "postgresql-client"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "shop"],
            input=self.here(block.text), text=True, env=self.environment, cwd=self.folder,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
        assert ended.returncode == 0, f"{place}: status {ended.returncode}\n{ended.stdout}"

    def run_conf(self, block, place):
        whole = "models" in block.text and "kafka" in block.text
        least = {"kafka": 'kafka = { bootstrap_servers = "localhost:9092"; };\n',
                 "models": 'models = ( { name = "A"; table = "a"; } );\n'}
        text = self.here(block.text)
        tried = self.folder / "etc" / "tried.conf"
        tried.write_text(text + self.here("".join(
            setting for name, setting in least.items() if name not in block.text)))
        ended = self.bash(f"signalbus -c {tried} check --config-only")
        assert (ended.returncode, ended.stdout) == (0, ""), f"{place}: {ended.stdout}"
        if whole or "file" in block.comments:
            path = pathlib.Path(self.here(block.comments.get("file", CONFIGURATION)))
            path.write_text(text)
            path.chmod(0o644)

    def run_console(self, block, place):
        if "terminal" in block.comments:
            self.open_terminal(block, place)
        elif "eventually" in block.comments:
            wait_until(lambda: self.compare(block, place) is None, 20, f"{place}: its output")
        else:
            difference = self.compare(block, place)
            assert difference is None, difference

    def compare(self, block, place):
        """What is wrong with what the commands of a block print; None if it is as shown."""
        *others, (last, _) = commands = commands_of(block.text)
        for command, lines in commands:
            ended = self.bash(command)
            status = int(block.comments.get("status", 0)) if command == last else 0
            printed = self.shown(ended.stdout).splitlines()
            if not agrees(normalize(lines), normalize(printed)) or ended.returncode != status:
                return (f"{place}: {command}: status {ended.returncode}\n--- shown\n"
                        + "\n".join(lines) + "\n--- printed\n" + "\n".join(printed))
        return None

    def open_terminal(self, block, place):
        name, lines = block.comments["terminal"], block.text.splitlines()
        if name not in self.terminals:
            [(command, lines)] = commands_of(block.text)
            words = [find_program("bash", "bash"), "-c", self.here("exec " + command)]
            self.terminals[name] = Running(words, self.environment, self.folder, name)
        running = self.terminals[name]

        def lacking():
            printed = normalize(self.shown(running.output() + running.log()).splitlines())
            return [line for line in normalize(lines) if line != "..." and not any(
                re.fullmatch(pattern_of(line), there) for there in printed)]
        try:
            wait_until(lambda: not lacking() or not running.is_alive(), 30, "the lines are there")
        finally:
            assert not lacking(), f"{place}: {lacking()} in {running.completed()}"

    def leave(self):
        for running in self.terminals.values():
            running.discard()


@contextlib.contextmanager
def reader_of(folder, postgres, kafka):
    """Somebody who finds neither a database, nor a role, nor a topic of the documents."""
    delete_topics(kafka)
    reader = Reader(folder, postgres, kafka)
    try:
        yield reader
    finally:
        reader.leave()
        connection = postgres.connect("postgres")
        cursor = connection.cursor()
        cursor.execute("DROP DATABASE IF EXISTS shop WITH (FORCE)")
        cursor.execute("DROP ROLE IF EXISTS signalbus")
        connection.close()
        delete_topics(kafka)


def delete_topics(kafka):
    """Those that documents create: others of the same names may have been in this broker."""
    admin = kafka.admin()

    def found():
        return [topic for topic in TOPICS if topic in admin.list_topics(timeout=10).topics]
    if found():
        for deleted in admin.delete_topics(found(), operation_timeout=20).values():
            deleted.result(30)
        wait_until(lambda: not found(), 20, "the topics are gone")
