"""Words that texts for people do not use, and what PostgreSQL's manual would say instead."""
import io
import re
import tokenize

from csource import COMMENT_OR_STRING
from documentation import help_text
from tree import files, line_of, matching, text_of

TEXTS = re.compile(r"[A-Z]+\.md|man/.*|docs/.*\.md|conf/(?!completions/).*|signalbus\.conf\.example")
COMMENTED = r"Makefile|(src|tests)/(?!lint/words).*|\.ci/.*|conf/completions/.*"

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


def findings_in(name, text, first_line=1):
    for match in WORD.finditer(text):
        better = WORDS[int(match.lastgroup[1:])][1]
        yield f'{name}:{first_line - 1 + line_of(text, match.start())}: "{match[0]}": say {better}'


def comments_of_c(text):
    """Comments with their first lines."""
    return ((m[0], line_of(text, m.start())) for m in COMMENT_OR_STRING.finditer(text)
            if m[0].startswith("/"))


def comments_of_python(text):
    """Comments and docstrings with their first lines."""
    before = tokenize.NEWLINE
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        begins = before in (tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
        if token.type == tokenize.COMMENT or (token.type == tokenize.STRING and begins):
            yield token.string, token.start[0]
        if token.type not in (tokenize.NL, tokenize.COMMENT):
            before = token.type


def comments_of(name):
    text = text_of(name)
    if re.search(r"\.[ch]$", name):
        return comments_of_c(text)
    if re.search(r"\.py$", name) or re.match(r"#!.*\bpython", text):
        return comments_of_python(text)
    return ((line, number) for number, line in enumerate(text.splitlines(), 1)
            if line.lstrip().startswith("#"))


def check_words():
    """texts and comments are in plain English: none of the words of tests/lint/words.py"""
    for name in files():
        if TEXTS.fullmatch(name):
            yield from findings_in(name, text_of(name))
    for name in matching(COMMENTED):
        for comment, line in comments_of(name):
            yield from findings_in(name, comment, line)
    yield from findings_in("--help", help_text())
