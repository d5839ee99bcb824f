"""Words that texts for people do not use, and what PostgreSQL's manual would say instead."""
import re

from documentation import help_text
from tree import files, line_of, text_of

TEXTS = re.compile(r"[A-Z]+\.md|man/.*|docs/.*\.md|conf/.*|signalbus\.conf\.example")

WORDS = [
    (r"amid", "during, or within"),
    (r"anew", "again, or a new one"),
    (r"but for", "except"),
    (r"go(?:es)? on", "continue, or recover"),
    (r"told|tells? (?:of|so)", "report, or log"),
    (r"away", "unavailable"),
    (r"behind", "after"),
    (r"beside", "with, or next to"),
    (r"dear", "expensive"),
    (r"for ever", "forever"),
    (r"(?:is|are|was|were|what|than) wanted", "required, or configured"),
    (r"passed over", "skipped"),
    (r"looked? (?:at|into)", "examine, or poll"),
    (r"looks (?:at|into)", "examines, or polls"),
    (r"mend(?:s|ed)?", "fix, or recover"),
    (r"under way", "in flight"),
    (r"so many", "this many"),
    (r"Where", "if, or while"),
    (r"who leads", "which process sends"),
]

WORD = re.compile("|".join(rf"(?P<w{i}>(?<![\w=-]){pattern.replace(' ', chr(92) + 's+')}(?![\w-]))"
                           for i, (pattern, _) in enumerate(WORDS)))


def findings_in(name, text):
    for match in WORD.finditer(text):
        better = WORDS[int(match.lastgroup[1:])][1]
        yield f'{name}:{line_of(text, match.start())}: "{match[0]}": say {better}'


def check_words():
    """texts for people are in plain English: none of the words of tests/lint/words.py"""
    for name in files():
        if TEXTS.fullmatch(name):
            yield from findings_in(name, text_of(name))
    yield from findings_in("--help", help_text())
