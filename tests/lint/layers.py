"""Who may include what, call what, and keep state."""
import re
import tempfile

from csource import code_of, without_comments
from tools import compile_flags
from tree import C_FILES, Failure, line_of, matching, output, run_each, text_of

# The only includers of headers, whose names behind the last slash are regular expressions: each
# library has one, and its private header, if there is one, the files that share the library.
INCLUDERS = [
    (r"libpq.*\.h|postgres_ext\.h|pg_config.*\.h", ["src/db_own.h"]),
    (r"db_own\.h", ["src/db.c", "src/db_cancel.c", "src/db_connect.c", "src/db_run.c", "src/db_session.c"]),
    (r"rdkafka.*\.h", ["src/bus_producer.h"]),
    (r"bus_producer\.h", ["src/bus.c", "src/bus_ask.h", "src/bus_judge.c", "src/bus_own.h",
                           "src/bus_producer.c", "src/bus_property.c", "src/bus_refused.c",
                           "src/bus_report.c", "src/bus_topics.c", "src/bus_trouble.c",
                           "src/bus_verdict.h", "src/bus_watch.c"]),
    (r"bus_own\.h", ["src/bus.c", "src/bus_judge.c", "src/bus_refused.c", "src/bus_report.c",
                      "src/bus_start.c", "src/bus_trouble.c", "src/bus_watch.c"]),
    (r"store_own\.h", ["src/store.c", "src/store_ahead.c", "src/store_blame.c", "src/store_claim.c",
                        "src/store_dead.c", "src/store_delete.c", "src/store_first.c", "src/store_lock.c",
                        "src/store_order.c", "src/store_read.c", "src/store_settle.c", "src/store_sight.c", "src/store_take.c"]),
    (r"burst_own\.h", ["src/burst.c", "src/burst_isolate.c"]),
    # log_json.c beside what makes messages: it is below them, and a log line that was JSON only
    # nearly always would fail who reads it just where something odd has happened.
    (r"cJSON.*\.h", ["src/encode.c", "src/log_json.c", "src/schema.c"]),
    (r"log_json\.h", ["src/log.c", "src/log_json.c"]),
    (r"libconfig\.h.*", ["src/config_value.h"]),
    (r"config_value\.h", ["src/config.c", "src/config_item.c", "src/config_value.c"]),
    (r"getopt\.h", ["src/options.c"]),
    (r"microhttpd\.h", ["src/http.c"]),
    (r"metrics_own\.h", ["src/metrics.c", "src/metrics_print.c"]),
    (r"sd-.*\.h", ["src/service.c"]),
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
    "system": "nothing: this program starts no others",
    "vsprintf": "vsnprintf() or text_addf()",
}

# The only variables that outlive a call: the log's sink and the signal flags.
STATE = {
    "src/log.c": {"sink"},
    "src/stop.c": {"first_signal", "wake_fd", "reload", "reload_fd"},
}


def check_includers():
    """each library has one includer"""
    for name in matching(r"src/[^/]*\.[ch]"):
        text = without_comments(text_of(name))
        for include in re.finditer(r"^[ \t]*#[ \t]*include[ \t]*[<\"]([^>\"]*)", text, re.M):
            header = include[1].rpartition("/")[2]
            for pattern, includers in INCLUDERS:
                if re.fullmatch(pattern, header) and name not in includers:
                    line = line_of(text, include.start())
                    yield f"{name}:{line}: {header} is for {' and '.join(includers)} only"


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


def check_state():
    """only the log's sink and the signal flags are variables outside of functions"""
    sources = matching(r"src/[^/]*\.c")
    compiler = ["gcc", *compile_flags(), "-w", "-O0", "-g", "-fno-pie", "-c"]
    with tempfile.TemporaryDirectory() as folder:
        objects = [f"{folder}/{source.replace('/', '-')}.o" for source in sources]
        results = run_each([*compiler, s, "-o", o] for s, o in zip(sources, objects))
        for source, object_file, result in zip(sources, objects, results):
            if result.returncode != 0:
                raise Failure(f"{source} does not compile")
            yield from variables(source, output("nm", "--line-numbers", object_file))


def variables(source, symbols):
    """The variables among symbols that source may not have: what nm finds in writable sections."""
    for symbol in re.finditer(r"^[0-9a-f]+ [bBcCdD] ([^\s.]+)\S*(?:\t.*:(\d+))?$", symbols, re.M):
        if symbol[1] not in STATE.get(source, ()):
            yield f"{source}:{symbol[2] or 1}: {symbol[1]} is not const and outlives its function"


def check_headers():
    """headers say first what their file is for, and have guards"""
    for name in matching(r"src/[^/]*\.h"):
        text = text_of(name)
        noun = name[len("src/"):-len(".h")]
        guard = f"SIGNALBUS_{noun.upper()}_H"
        if not text.startswith(f"/*\n * {noun} - "):
            yield f'{name}:1: does not begin with a comment "{noun} - what it is for"'
        code = without_comments(text).strip()
        if not code.startswith(f"#ifndef {guard}\n#define {guard}\n"):
            yield f"{name}:1: has no guard {guard} around all of it"
        elif not code.endswith("\n#endif"):
            yield f"{name}:{text.count(chr(10))}: does not end with #endif of the guard {guard}"
