"""The files of the repository, and running tools on them.

A finding is a line of text, "file:line: message".  A check that cannot be done raises Failure.
"""
import concurrent.futures
import functools
import os
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]

# The program, its unit tests and what measures it, for matching().
C_SOURCES = r"(src/[^/]*|tests/unit|tests/inject|tests/bench)/[^/]*\.c"
C_FILES = r"(src/[^/]*|tests/unit|tests/inject|tests/bench)/[^/]*\.[ch]"


class Failure(Exception):
    """Why a check could not be done, such as a missing tool."""


def run(*command):
    """The outcome of a command at the root, its two outputs together in stdout."""
    try:
        return subprocess.run(
            command, cwd=ROOT, env={**os.environ, "LC_ALL": "C"}, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    except FileNotFoundError:
        raise Failure(f"{command[0]} is not installed (tests/install-deps lint)") from None


def output(*command):
    """What a command prints that has to succeed."""
    result = run(*command)
    if result.returncode != 0:
        raise failure_of(result)
    return result.stdout


def failure_of(result):
    """What a failed command says first."""
    said = result.stdout.strip().splitlines()[:10]
    return Failure("\n".join([f"{' '.join(result.args)}: exit status {result.returncode}", *said]))


def run_each(commands):
    """The outcomes of commands, as many at once as there are processors."""
    with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        return list(pool.map(lambda command: run(*command), commands))


PLACE = re.compile(r"(?:mandoc: )?([^\s:]+):(\d+):(?:\d+:)? *(.*)")


def findings_of(result, notes=False):
    """The findings in what a tool printed; all that it said where it failed and named no place.

    The notes of compilers explain the finding above them and are left out, unless notes.
    """
    places = [PLACE.fullmatch(line) for line in result.stdout.splitlines()]
    found = [f"{os.path.relpath(ROOT / place[1], ROOT)}:{place[2]}: {place[3]}"
             for place in places if place and (notes or not place[3].startswith("note:"))]
    if result.returncode != 0 and not found:
        raise failure_of(result)
    return found


@functools.cache
def files():
    """The files that git has or would add, as names relative to the root, sorted."""
    listed = output("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    names = {name for name in listed.split("\0") if name}
    return sorted(n for n in names if (ROOT / n).is_file() and not (ROOT / n).is_symlink())


def matching(pattern):
    """The files whose whole name a regular expression matches; at least one."""
    names = [name for name in files() if re.fullmatch(pattern, name)]
    if not names:
        raise Failure(f"no file matches {pattern}")
    return names


@functools.cache
def text_of(name):
    """A file's content; undecodable bytes do not matter."""
    try:
        return (ROOT / name).read_bytes().decode(errors="replace")
    except FileNotFoundError:
        raise Failure(f"{name} is missing") from None


def scripts(interpreter):
    """The files that begin with #! and an interpreter that a regular expression matches."""
    return [n for n in files() if re.match(rf"#!.*\b{interpreter}\b", text_of(n))]


def line_of(text, offset):
    """The number, from 1, of the line that holds an offset."""
    return text.count("\n", 0, offset) + 1
