#!/usr/bin/python3 -B
"""Prints which lines of src the tests reached: tests/coverage/report.py BUILD [MINIMUM]

BUILD is the folder of a build with --coverage whose programs have run.  Fails where less than
MINIMUM (95) percent of all lines were reached, and where a line of the core was not that has no
excuse: a comment "uncovered: why" on it, on the line above, or so for the first of some that follow
one another; or that it aborts, which is for broken invariants.
"""
import collections
import gzip
import json
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
CORE = re.compile(r"src/(relay/burst|model/ledger|store/.*|kafka/.*)\.c")
EXCUSE = re.compile(r"/\*.*\buncovered: \w")


def counts_of(build):
    """How often each line was reached, by source: the most of all the programs that hold it."""
    counts = collections.defaultdict(dict)
    data = sorted(path.resolve() for path in build.rglob("*.gcda"))
    if not data:
        sys.exit(f"{build}: no program of a build with --coverage has run there")
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["gcov", "--json-format", "--hash-filenames", *data], cwd=folder, check=True,
                       stdout=subprocess.DEVNULL)
        for path in pathlib.Path(folder).glob("*.gcov.json.gz"):
            with gzip.open(path) as file:
                add_counts(json.load(file), counts)
    return counts


def add_counts(report, counts):
    for source in report["files"]:
        if not re.fullmatch(r"src/[^/]*/[^/]*\.[ch]", source["file"]):
            continue
        lines = counts[source["file"]]
        for line in source["lines"]:
            number = line["line_number"]
            lines[number] = lines.get(number, 0) + line["count"]


def is_excused(text, number):
    return text[number - 1].strip().startswith("abort();") or any(
        EXCUSE.search(line) for line in text[max(0, number - 2):number])


def unexcused(text, lines):
    """The lines that were not reached and have no excuse."""
    excused = False
    for number, count in sorted(lines.items()):
        excused = count == 0 and (excused or is_excused(text, number))
        if count == 0 and not excused:
            yield number


def print_source(source, lines):
    """Prints the line of a source, and of the core what was not reached; how much has no excuse."""
    reached = sum(count > 0 for count in lines.values())
    print(f"{100 * reached / len(lines):6.1f} %  {reached:4} of {len(lines):4}  {source}")
    if not CORE.fullmatch(source):
        return 0
    text = (ROOT / source).read_text().splitlines()
    missed = list(unexcused(text, lines))
    for number in missed:
        print(f"  {source}:{number}: not reached: {text[number - 1].strip()}")
    return len(missed)


def main(build, minimum="95"):
    counts = counts_of(pathlib.Path(build))
    missed = sum(print_source(source, lines) for source, lines in sorted(counts.items()))
    total = sum(len(lines) for lines in counts.values())
    reached = sum(count > 0 for lines in counts.values() for count in lines.values())
    percent = 100 * reached / total
    print(f"{percent:6.1f} %  {reached} of {total} lines of src")
    if missed:
        print(f"{missed} lines of the core were not reached and have no excuse")
    if percent < float(minimum):
        print(f"less than {minimum} % of the lines were reached")
    sys.exit(1 if missed or percent < float(minimum) else 0)


main(*sys.argv[1:])
