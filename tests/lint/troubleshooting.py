"""docs/troubleshooting.md has each text by which the program says that something is wrong."""
import functools
import re

from csource import without_comments
from tree import line_of, matching, text_of

PAGE = "docs/troubleshooting.md"
ENTRY = re.compile(r"^- `(.+)`$", re.MULTILINE)

STRING = r'"(?:\\.|[^"\\\n])*"'
MACRO = r"[A-Z]\w*(?:\((?:[^()\"]|\"(?:\\.|[^\"\\\n])*\")*\))?"  # between two constants
STRINGS = re.compile(rf"{STRING}(?:\s*(?:{MACRO}\s*)?{STRING})*")
INCLUDE = re.compile(r"^#include .*$", re.MULTILINE)
SQL = re.compile(r"pg_catalog\.|\b(SELECT|FROM|WHERE|JOIN|UNION|THEN|VALUES|SAVEPOINT|ISOLATION)\b|"
                 r"^(\(\d, )?'|'\)*,?$|'.*\)\)$")
STATEMENT = re.compile(r"\W*[A-Z]{2,} |.*pg_catalog\.", re.DOTALL)
LITERAL = re.compile(r"'((?:[^']|'')*)'")

# What is no message: help, descriptions, metrics, progress, and SQL for people.
OTHER = re.compile(r"src/(cli/(options|main|version|pending_view)|config/settings|catalog/json_schema|"
                   r"daemon/(metrics_exposition|systemd)|store/pauses)\.c")
# Their texts follow a place in the configuration, and say what to write there.
PLACED = re.compile(r"src/config/config_(item|secret|syntax|value)\.c")
# What is called with texts that nobody reads, unless it is to find out more.
QUIET = {"log_debug", "strcmp", "strstr", "printf"}
# What is called with whole messages, however short.
WHOLE = re.compile(r"log_(error|warning|info|problem)|error_set|problems_add|command_failed")
# What is never printed: what libpq shall refuse, what ends silently, and what libraries say.
NONE = {"no mode at all", "asked to stop", "Failed to acquire SASL OAUTHBEARER token:",
        "Failed to acquire idempotence PID", "Transactional Id authorization failed",
        "(Broker: Topic authorization failed)"}
WORDS_OF_A_MESSAGE = 2  # at least; what has fewer only names an object
WORDS_OF_OTHERS = 4  # shorter ones are parts of messages
LETTERS_LEAST = 6  # of an entry, so that it does not match everything


def constant(source):
    """What adjacent C string constants hold; "…" stands for what is filled in."""
    text = "".join(part[1:-1] if part[0] == '"' else "d" if part.startswith("PRI") else "…"
                   for part in re.findall(rf"{STRING}|{MACRO}", source))
    for _ in range(2):  # SQL may have a format of its own, as %%s
        text = re.sub(r"%[-+0#*.\d$]*(?:l|ll|z|h)?[a-zA-Z]", "…", text.replace("%%", "\0"))
        text = text.replace("\0", "%")
    return re.sub(r"\\(.)", r"\1", text.replace(r"\n", " ")).strip()


def word_count(text):
    return len(re.findall(r"(?<![\w./=])[A-Z]?[a-z]{2,}(?![\w(./=])", text))


def caller(code, at):
    """The function whose arguments include what begins at an offset, if no other is between."""
    found = re.search(r"(\w+)\([^()\"]*$", code[max(0, at - 300):at])
    return found[1] if found else ""


def texts_of(name):
    """The texts in a file's constants, also those within SQL, with their lines, and whether
    each is to have an entry."""
    code = INCLUDE.sub("", without_comments(text_of(name)).replace("\\\n", " \n"))
    for match in STRINGS.finditer(code):
        user = caller(code, match.start())
        if user in QUIET:
            continue
        least = WORDS_OF_A_MESSAGE if WHOLE.fullmatch(user) else WORDS_OF_OTHERS
        for part in set(parts_of(constant(match[0]))) - NONE:
            yield part.strip(), line_of(code, match.start()), word_count(part) >= least


def parts_of(text):
    """The literals of SQL, of which a macro may have a part; else the text, even with a remedy."""
    if "'" in text and SQL.search(text):
        return LITERAL.findall(text) or [max(text.split("'"), key=len)]
    return [] if STATEMENT.match(text) else [text]


@functools.cache
def pattern_of(entry):
    return re.compile(".*".join(re.escape(part) for part in entry.split("…")), re.DOTALL)


def check_troubleshooting():
    """docs/troubleshooting.md has each error and warning, and no text that there is not"""
    page, used = text_of(PAGE), set()
    entries = ENTRY.findall(page)
    for name in matching(r"src/[^/]*/[^/]*\.[ch]"):
        if OTHER.fullmatch(name):
            continue
        for text, line, is_message in texts_of(name):
            shown = f"FILE:LINE: {text}" if PLACED.fullmatch(name) else text
            fitting = {entry for entry in entries if pattern_of(entry).fullmatch(shown)
                       or pattern_of(entry).fullmatch(f"{shown} …")}  # with the reason
            used |= fitting
            if is_message and not fitting:
                yield f"{name}:{line}: {PAGE} has no entry for \"{text}\""
    for entry in ENTRY.finditer(page):
        line = f"{PAGE}:{line_of(page, entry.start())}"
        if entry[1] not in used:
            yield f"{line}: there is no such message: {entry[1]}"
        elif len(re.findall(r"[A-Za-z]", entry[1])) < LETTERS_LEAST:
            yield f"{line}: it would match too much: {entry[1]}"
