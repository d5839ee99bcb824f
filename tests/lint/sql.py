"""What SQL in the sources names: all of it with its schema (src/postgres/db.h says why)."""
import re

from csource import without_comments
from tree import line_of, matching, text_of

STRING = r'"(?:\\.|[^"\\\n])*"'
BETWEEN = r"(?:\s|\\\n)*"  # the strings that make up one, in a macro also
STRINGS = re.compile(f"{STRING}(?:{BETWEEN}{STRING})*")
STATEMENT = re.compile(r'"(?:SELECT|WITH|DELETE|INSERT) ')
# Not what follows a point, and not a text that is searched for in others.
CALL = re.compile(r"(?<![\w.%'])([a-z_][a-z0-9_]*)\(")
CAST = re.compile(r"::(?!pg_catalog\.)[a-z]\w*")
# What the program itself prints the definition of, and what it tells people to call.
OWN = {"signalbus_notify", "pg_terminate_backend"}


def check_sql():
    """functions and types in SQL are named with their schema"""
    for name in matching(r"src/[^/]*/[^/]*\.[ch]"):
        text = without_comments(text_of(name))
        if not STATEMENT.search(text):
            continue
        for strings in STRINGS.finditer(text):
            sql = re.sub(f'"{BETWEEN}"', "", strings[0])
            line = line_of(text, strings.start())
            for call in CALL.finditer(sql):
                if call[1] not in OWN:
                    yield f"{name}:{line}: write pg_catalog.{call[1]}()"
            for cast in CAST.finditer(sql):
                yield f"{name}:{line}: write ::pg_catalog.{cast[0][2:]}"
