"""Who may include what, call what, and keep state."""
import functools
import graphlib
import re
import tempfile

from csource import code_of, without_comments
from tools import compile_flags
from tree import C_FILES, Failure, line_of, matching, output, run_each, text_of

# The folders of src from top to bottom: a file includes headers of its own and of lower ones.
LAYERS = re.search(r"^LAYERS +:= (.*)", text_of("Makefile"), re.M)[1].split()

# The only includers of headers, whose names after the last slash are regular expressions: each
# library has one folder, mostly one file, and private headers are for those that share them.
INCLUDERS = [
    (r"libpq.*\.h|postgres_ext\.h|pg_config.*\.h", ["src/postgres/db_internal.h"]),
    (r"db_internal\.h", ["src/postgres/"]),
    (r"rdkafka.*\.h", ["src/kafka/producer.h"]),
    (r"(broker_internal|lane_internal|login|producer|producer_internal|ask|verdict)\.h", ["src/kafka/"]),
    (r"store_internal\.h", ["src/store/"]),
    (r"burst_internal\.h", ["src/relay/burst"]),
    # log_json.c besides what makes messages: it is below them, and a log line that was JSON only
    # nearly always would fail who reads it just when something odd has happened.
    (r"cJSON.*\.h", ["src/model/encode.c", "src/kafka/oauth_token.c", "src/base/log_json.c", "src/catalog/json_schema.c",
                       "src/cli/"]),
    (r"log_json\.h", ["src/base/log.c", "src/base/log_json.c"]),
    (r"libconfig\.h.*", ["src/config/config_value.h"]),
    (r"config_value\.h", ["src/config/"]),
    (r"getopt\.h", ["src/cli/options.c"]),
    (r"microhttpd\.h", ["src/daemon/http.c"]),
    (r"metrics_internal\.h", ["src/daemon/metrics.c", "src/daemon/metrics_exposition.c"]),
    (r"sd-.*\.h", ["src/daemon/systemd.c"]),
]

# Calls that no file makes, and what to use in their place.  For those that threads may not make at
# once see "MT-Unsafe" in glibc's manual.
BANNED_CALLS = {
    "alloca": "memory_new()",
    "asctime": "strftime()",
    "atoi": "strtol() with its checks",
    "ctime": "strftime()",
    "drand48": "drand48_r()",
    "gets": "fgets()",
    "gmtime": "gmtime_r()",
    "localtime": "localtime_r()",
    "rand": "drand48_r()",
    "sprintf": "snprintf() or text_format()",
    "strcat": "text_addf()",
    "strcpy": "text_copy()",
    "strtok": "strchr() or strcspn()",
    "system": "program_run()",
    "vsprintf": "vsnprintf() or text_addf()",
}

# The only variables that outlive a call: the log's sink and the signal flags.
STATE = {
    "src/base/log.c": {"sink"},
    "src/base/stop.c": {"first_signal", "wake_fd", "reload", "reload_fd"},
}


def check_includers():
    """each library has one includer, and private headers stay in their folder"""
    headers = {name.rpartition("/")[2] for name in matching(r"src/.*\.h")}
    for pattern, includers in INCLUDERS:
        if "_" in pattern and not any(re.fullmatch(pattern, h) for h in headers) and \
                includers[0].endswith("/"):
            yield f"tests/lint/layers.py:1: no header matches {pattern}"
    for name in matching(r"src/[^/]*/[^/]*\.[ch]"):
        text = without_comments(text_of(name))
        for include in re.finditer(r"^[ \t]*#[ \t]*include[ \t]*[<\"]([^>\"]*)", text, re.M):
            header = include[1].rpartition("/")[2]
            for pattern, includers in INCLUDERS:
                if re.fullmatch(pattern, header) and not name.startswith(tuple(includers)):
                    line = line_of(text, include.start())
                    yield f"{name}:{line}: {header} is for {' and '.join(includers)} only"


def check_layers():
    """an include goes down, from a folder of src to itself or to a lower one"""
    for name in matching(r"src/[^/]*/[^/]*\.[ch]"):
        folder = name.split("/")[1]
        text = without_comments(text_of(name))
        for include in re.finditer(r'^[ \t]*#[ \t]*include[ \t]*"([^"]*)"', text, re.M):
            other = include[1].partition("/")[0]
            line = line_of(text, include.start())
            if folder not in LAYERS:
                yield f"{name}:1: {folder} is not among LAYERS of the Makefile"
            elif other not in LAYERS:
                yield f"{name}:{line}: {include[1]} is not named with its folder"
            elif LAYERS.index(other) < LAYERS.index(folder):
                yield f"{name}:{line}: {other} is above {folder}"


def check_banned():
    """no banned call, no typedef of a struct"""
    calls = re.compile(rf"\b({'|'.join(BANNED_CALLS)})\s*\(")
    typedefs = re.compile(r"\btypedef\s+(?:const\s+)?(?:struct|union)\b")
    for name in matching(C_FILES):
        code = code_of(text_of(name))
        for call in calls.finditer(code):
            line = line_of(code, call.start())
            yield f"{name}:{line}: {call[1]}() is banned, use {BANNED_CALLS[call[1]]}"
        for typedef in typedefs.finditer(code):
            yield f"{name}:{line_of(code, typedef.start())}: structs have no typedefs"


@functools.cache
def symbols():
    """What nm prints for each source of src/, compiled without optimization."""
    sources = matching(r"src/[^/]*/[^/]*\.c")
    compiler = ["gcc", *compile_flags(), "-w", "-O0", "-g", "-fno-pie", "-c"]
    with tempfile.TemporaryDirectory() as folder:
        objects = [f"{folder}/{source.replace('/', '-')}.o" for source in sources]
        results = run_each([*compiler, s, "-o", o] for s, o in zip(sources, objects))
        for source, result in zip(sources, results):
            if result.returncode != 0:
                raise Failure(f"{source} does not compile")
        return {s: output("nm", "--line-numbers", o) for s, o in zip(sources, objects)}


def check_state():
    """only the log's sink and the signal flags are variables outside of functions"""
    for source, found in symbols().items():
        yield from variables(source, found)


def check_circles():
    """files of src do not call each other in circles"""
    homes = {name: source for source, found in symbols().items()
             for name in re.findall(r"^[0-9a-f]+ [TDBR] (\S+)", found, re.M)}
    calls = {source: {homes[name]: name for name in re.findall(r"^ +U (\S+)", found, re.M)
                      if homes.get(name, source) != source}
             for source, found in symbols().items()}
    sorter = graphlib.TopologicalSorter(calls)
    try:
        sorter.prepare()
    except graphlib.CycleError as error:
        circle = error.args[1][::-1]
        way = ", ".join(f"{a} calls {calls[a][b]}() of {b}" for a, b in zip(circle, circle[1:]))
        yield f"{circle[0]}:1: is in a circle: {way}"


def variables(source, symbols):
    """The variables among symbols that source may not have: what nm finds in writable sections."""
    for symbol in re.finditer(r"^[0-9a-f]+ [bBcCdD] ([^\s.]+)\S*(?:\t.*:(\d+))?$", symbols, re.M):
        if symbol[1] not in STATE.get(source, ()):
            yield f"{source}:{symbol[2] or 1}: {symbol[1]} is not const and outlives its function"


def check_headers():
    """headers say first what their file is for, and have guards"""
    for name in matching(r"src/[^/]*/[^/]*\.h"):
        text = text_of(name)
        noun = name.rpartition("/")[2][:-len(".h")]
        guard = f"SIGNALBUS_{noun.upper()}_H"
        if not text.startswith(f"/*\n * {noun} - "):
            yield f'{name}:1: does not begin with a comment "{noun} - what it is for"'
        code = without_comments(text).strip()
        if not code.startswith(f"#ifndef {guard}\n#define {guard}\n"):
            yield f"{name}:1: has no guard {guard} around all of it"
        elif not code.endswith("\n#endif"):
            yield f"{name}:{text.count(chr(10))}: does not end with #endif of the guard {guard}"
