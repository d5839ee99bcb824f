"""Sizes, nesting and jumps."""
import re

from csource import Nesting, code_of, functions
from tree import C_FILES, line_of, matching, text_of

FUNCTION_LINES_MAX = 40
PARAMETERS_MAX = 5
NESTING_MAX = 4  # the body of a function itself does not count
FILE_LINES_MAX = 700
COLUMNS_MAX = 100
TAB = 8

# Functions whose parameters a library has decided.
GIVEN = {
    "src/kafka/producer.c": {"on_certificate"},  # librdkafka's verification of certificates
    "src/daemon/http.c": {"answer"},  # libmicrohttpd's MHD_AccessHandlerCallback
    "src/kafka/producer_transaction.c": {"on_request"},  # librdkafka's interceptors
    "tests/unit/libpq_script.h": {"PQsendQueryPrepared", "PQsendQueryParams"},
}


def check_functions():
    """functions have 40 lines, 5 parameters and 4 levels of nesting at most"""
    for name in matching(C_FILES):
        for f in functions(text_of(name)):
            lines = f.last_line - f.line + 1
            if lines > FUNCTION_LINES_MAX:
                yield f"{name}:{f.line}: {f.name}() has {lines} lines"
            if f.parameter_count > PARAMETERS_MAX and f.name not in GIVEN.get(name, ()):
                yield f"{name}:{f.line}: {f.name}() has {f.parameter_count} parameters"
            depth, line = Nesting(f).deepest
            if depth > NESTING_MAX:
                yield f"{name}:{line}: {f.name}() nests {depth} levels deep"


def check_files():
    """files in src have 700 lines at most"""
    for name in matching(r"src/.*"):
        lines = text_of(name).count("\n")
        if lines > FILE_LINES_MAX:
            yield f"{name}:{lines}: the file has {lines} lines"


def check_columns():
    """lines of C have 100 columns at most"""
    for name in matching(C_FILES):
        for number, line in enumerate(text_of(name).splitlines(), 1):
            columns = len(line.expandtabs(TAB))
            if columns > COLUMNS_MAX:
                yield f"{name}:{number}: {columns} columns"


def check_goto():
    """goto goes forward to the label out and nowhere else"""
    for name in matching(C_FILES):
        code = code_of(text_of(name))
        for jump in re.finditer(r"\bgoto\s+(?!out\b)\w+", code):
            yield f"{name}:{line_of(code, jump.start())}: {jump[0]}: the only label is out"
        for f in functions(text_of(name)):
            for jump in re.finditer(r"\bgoto\s+out\b", f.code):
                if not re.search(r"\bout\s*:", f.code[jump.end():]):
                    line = f.code_line + line_of(f.code, jump.start()) - 1
                    yield f"{name}:{line}: goto out jumps back"
