"""Section 2 of the interface: the command line, streams, texts and exit statuses."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import termios
import time

import pytest

from runner import FLUSHES, every_flush, ids, model
from schemas import Gate
from servers import Ports

HYPHENS = "-" * 25


@pytest.fixture
def three(schema, signalbus):
    """Three models, A, B and C, with two signals each; their topics have their names."""
    def make(make_topic, **settings):
        names = [make_topic() for _ in range(3)]
        models = [model(name, schema.make_signals(f"t{number}", 2), burst_count=10)
                  for number, name in enumerate(names)]
        signalbus.configure(*models, **settings)
        return names
    return make


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_goes_to_standard_output(signalbus, option):
    run = signalbus.bare(option).expect(0)
    assert run.stderr == ""
    for word in (*FLUSHES, "signals", "pending", "--config", "--verbose", "--quiet", "--help",
                 "--version", "--wait", "--repeat", "--exclude", "--jobs"):
        assert word in run.stdout


@pytest.mark.parametrize("option", ["-V", "--version"])
def test_version(signalbus, option):
    run = signalbus.bare(option).expect(0)
    first, *libraries = run.stdout.splitlines()
    assert re.fullmatch(r"signalbus \d+\.\d+\.\d+", first) and run.stderr == ""
    assert [line.split()[0] for line in libraries] == [
        "libpq", "librdkafka", "libconfig", "cJSON", "libmicrohttpd", "libsystemd"]
    assert all(re.match(r"\w+ (\d+(\.\d+)*|none)( |$)", line) for line in libraries), libraries
    assert re.search(r"\(.*\bsasl_scram\b.*\)", libraries[1])


@pytest.mark.parametrize("command, has, lacks", [
    ("check", "--deny-warnings", "--jobs"), ("flushmany", "--jobs", "--wait"),
    ("run", "SIGHUP", "--exclude"), ("pending", "[--watch [SECONDS]|--json] [NAME]...", "--drop"),
])
def test_help_of_a_command(signalbus, command, has, lacks):
    """Of that command only."""
    run = signalbus.bare(command, "--help").expect(0)
    assert run.stdout.startswith(f"usage: signalbus [-c FILE] [-v|-q] {command}")
    assert has in run.stdout and "--config FILE" in run.stdout and lacks not in run.stdout


def test_help_fits_a_terminal(signalbus):
    """Of signalbus and of each command."""
    texts = [signalbus.bare("--help").expect(0).stdout]
    commands = re.findall(r"^  ([a-z][a-z-]*)", texts[0], re.MULTILINE)
    assert len(commands) > 10
    texts += [signalbus.bare(command, "--help").expect(0).stdout for command in commands]
    lines = [line for text in texts for line in text.splitlines()]
    assert [line for line in lines if len(line) > 80 or line != line.rstrip()] == []
    assert ("check [--config-only] [--deny-warnings] [--json] [-e NAME]... [NAME]..."
            in " ".join(texts[1 + commands.index("check")].split()))


@pytest.mark.parametrize("arguments", [
    [], ["nonsense"], ["--nonsense", "signals"], ["flush", "--nonsense"], ["-c"],
    ["flush", "-w"], ["flush", "-w", "soon"], ["flush", "-w", "-1"], ["flush", "-w", "1x"],
    ["flush", "-w", "nan"], ["flushmany", "-j", "0"], ["flushmany", "-j", "1.5"],
    ["flushmany", "-j", "many"], ["flushmany", "-r", "-1"], ["flushmany", "-r", "x"],
    ["flushmany", "-w", "1"], ["flush", "-j", "2"], ["signals", "-r", "1"], ["signals", "A"],
    ["pending", "B"], ["flush", "-e"],
])
def test_wrong_command_line(signalbus, schema, arguments):
    signalbus.configure(model("A", schema.make_signals("t")))
    run = signalbus.bare(*arguments, environment={"SIGNALBUS_CONFIG": str(signalbus.config)})
    run.expect(2)
    assert run.stdout == "" and run.stderr != ""


@pytest.mark.parametrize("arguments, said", [
    ("signals -zv", "unknown option -z"), ("signals -vz", "unknown option -z"),
    ("-D triggers", "unknown option -D"), ("signals -qé", r"unknown option -\xc3"),
    ("--nonsense=3", "unknown option --nonsense=3"), ("--=3", "unknown option --=3"),
    ("--help=3", "--help takes no argument"), ("triggers --drop=3", "--drop takes no argument"),
    ("--v", "--v may mean --verbose or --version"),
    ("--re=3", "--re may mean --repeat or --requeue"),
    ("signals -qc", "--config needs an argument"), ("--config=", "--config is empty"),
    ("flush --exclu", "--exclude needs an argument"),
    ("flushmany -j 65", '--jobs must be 1 to 64, not "65"'),
    ("flushmany --jobs=0x2", '--jobs must be 1 to 64, not "0x2"'),
    ("flushmany -j 1e0", '--jobs must be 1 to 64, not "1e0"'),
    ("flushmany -j 2.0", '--jobs must be 1 to 64, not "2.0"'),
    ("flushmany -r -1", '--repeat must be 0 to 1000000 seconds, not "-1"'),
    ("flush -w 1e1", '--wait must be 0 to 1000000 seconds, not "1e1"'),
    ("flush -w 1.2.3", '--wait must be 0 to 1000000 seconds, not "1.2.3"'),
    ("flush -w 1000000.5", '--wait must be 0 to 1000000 seconds, not "1000000.5"'),
    ("flush -w .", '--wait must be 0 to 1000000 seconds, not "."'),
    ("pending --watch=0", '--watch must be 0.1 to 1000000 seconds, not "0"'),
    ("pending --watch 0.0", '--watch must be 0.1 to 1000000 seconds, not "0.0"'),
    ("pending --watch --json", "--json and --watch exclude each other"),
    ("flush --json", "flush has no option --json"),
    ("--verson", 'unknown option --verson, did you mean "--version"?'),
    ("start", 'unknown command "start", did you mean "run"?'),
    ("help", 'unknown command "help", did you mean "--help"?'),
    ("version", 'unknown command "version", did you mean "--version"?'),
    ("flushmnay", 'unknown command "flushmnay", did you mean "flushmany"?'),
])
def test_what_is_wrong_with_the_command_line(signalbus, arguments, said):
    run = signalbus.bare(*arguments.split()).expect(2)
    assert run.stderr == f"signalbus: {said}; see 'signalbus --help'\n" and run.stdout == ""


@pytest.mark.parametrize("number", ["", " 3", "3 ", "+3"])
def test_numbers_are_digits(signalbus, number):
    for arguments in (["flushmany", "-j", number], ["flush", "-w", number]):
        assert f'not "{number}"' in signalbus.bare(*arguments).expect(2).stderr


def test_signals_in_configuration_order_without_servers(signalbus):
    address = f"127.0.0.1:{Ports.take()}"
    signalbus.bootstrap, signalbus.database = address, "host=127.0.0.1 port=1"
    signalbus.configure(model("Zeta", "z"), model("Alpha beta", "a", "t"), model("Mu", "m"))
    run = signalbus("signals").expect(0)
    assert run.stdout == "Zeta\nAlpha beta\nMu\n" and run.stderr == ""


def test_configuration_from_the_environment_and_option_first(signalbus):
    other = signalbus.write('models = ({ name = "Other"; table = "o"; });'
                            'kafka = { bootstrap_servers = "b"; };', name="other.conf")
    signalbus.configure(model("A", "a"))
    environment = {"SIGNALBUS_CONFIG": str(other)}
    assert signalbus.bare("signals", environment=environment).expect(0).stdout == "Other\n"
    assert signalbus("signals", environment=environment).expect(0).stdout == "A\n"


@pytest.mark.parametrize("place", ["before", "after", "joined"])
def test_global_options_stand_anywhere(signalbus, place):
    path = signalbus.configure(model("A", "a"))
    arguments = {"before": ["--config", path, "-q", "signals"],
                 "after": ["signals", "-q", "-c", path],
                 "joined": ["signals", f"--config={path}", "--quiet"]}[place]
    for environment in ({}, {"POSIXLY_CORRECT": "1"}):
        run = signalbus.bare(*arguments, environment=environment).expect(0)
        assert run.stdout == "A\n"


def test_pending(signalbus, schema):
    counts = {"Many": 1000, "None": 0, "One": 1, "Some": 20}
    models = [model(name, schema.make_signals(f'"{name}"', count))
              for name, count in counts.items()]
    schema.roll_back_signals('"None"', 5, first=1)
    signalbus.configure(*models)
    run = signalbus("pending").expect(0)
    assert run.stdout == (f'   1 of type "One"\n  20 of type "Some"\n1000 of type "Many"\n'
                          f"{HYPHENS}\nTotal pending: 1021\n")
    assert run.stderr == ""


def test_pending_with_tables_that_cannot_be_counted(signalbus, schema):
    """The others are; each of those is named, with who has it locked."""
    holder = schema.connect()
    schema.make_signals("b", 1)
    holder.cursor().execute("LOCK TABLE b")
    signalbus.configure(model("A", schema.make_signals("a", 2)), model("B", schema.table("b")),
                        timeout=1.0)
    run = signalbus("pending").expect(1)
    assert run.stdout == f'2 of type "A"\n{HYPHENS}\nTotal pending: 2\n'
    [line] = run.stderr.splitlines()
    assert f'Cannot count pending signals: model "B": table {schema}.b: locked by server ' in line
    signalbus.configure(model("A", schema.table("a")), model("C", schema.table("gone")))
    run = signalbus("pending").expect(78)
    assert "Total pending: 2" in run.stdout and "does not exist" in run.stderr


def test_pending_of_nothing(signalbus, schema):
    signalbus.configure(model("A", schema.make_signals("t")))
    run = signalbus("pending").expect(0)
    assert run.stdout == f"{HYPHENS}\nTotal pending: 0\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_pending_watched(signalbus, schema, number):
    table = schema.make_signals("t", 3)
    signalbus.configure(model("A", table))
    running = signalbus.start("pending", "--watch", "0.1")
    schema.wait_until(lambda: running.output().count("Total pending: 3") >= 2, what="two looks")
    schema.insert_signals("t", 1, first=4)
    schema.wait_until(lambda: "Total pending: 4" in running.output(), what="a new count")
    running.stop(number).expect(0)


def test_pending_watched_on_a_terminal(signalbus, schema):
    """As much as fits, redrawn in place; none of it on a terminal that is dumb."""
    signalbus.configure(*(model(name, schema.make_signals(name.lower(), count))
                          for name, count in (("A", 3), ("B", 12), ("C", 0))))
    with Terminal() as terminal:
        fcntl.ioctl(terminal.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 6, 60, 0, 0))
        running = signalbus.start("pending", "--watch=0.1", terminal=terminal.slave,
                                  environment={"TERM": "xterm"})
        terminal.read_until("Total pending: 15\x1b[K\x1b[J", 20)
        schema.execute("DELETE FROM b WHERE id > 4")
        shown = terminal.read_until("Total pending: 7\x1b[K\x1b[J", 20)
        schema.execute("ALTER TABLE b RENAME TO gone")
        terminal.read_until("?                                   B\x1b[K", 20)
        terminal.read_until("Total pending: 3\x1b[K\x1b[J", 20)
        schema.execute("ALTER TABLE gone RENAME TO b")
        terminal.read_until("Total pending: 7\x1b[K\x1b[J", 20)
        running.stop(signal.SIGINT).expect(0)
    screen = shown[shown.rindex("\x1b[H"):].split("\r\n")
    assert re.match(r"\x1b\[Hsignalbus pending  \d\d:\d\d:\d\d  [-|/\\]\x1b\[K$", screen[0]), screen
    assert re.match(r" +4 +-\d+\.\d +0:00:0\d +0:00:0\d  B\x1b", screen[2]), screen
    assert re.match(r" +3 +\+0\.0 +0:00:0\d +A\x1b", screen[3]), screen
    assert screen[4].startswith("         0 in 1 more models"), screen
    with Terminal() as terminal:
        running = signalbus.start("pending", "--watch=0.1", terminal=terminal.slave,
                                  environment={"TERM": "dumb"})
        shown = terminal.read_until("Total pending: 7", 20) + terminal.read_until("pending: 7", 20)
        running.stop(signal.SIGINT).expect(0)
    assert "\x1b" not in shown


@every_flush
def test_silent_when_all_is_well(signalbus, make_topic, three, flush):
    three(make_topic)
    signalbus(*flush).expect_silence()
    signalbus(*flush).expect_silence()


@every_flush
def test_verbose_texts(signalbus, make_topic, three, schema, flush):
    names = three(make_topic)
    run = signalbus("-v", *flush).expect(0)
    assert run.stdout == ""
    assert run.logged(f"Started flushing {', '.join(names)}.")
    assert run.logged("6 signals have been successfully processed.")
    schema.insert_signals("t1", 1, first=3)
    run = signalbus(*flush, "-v", names[1]).expect(0)
    assert run.logged(f"Started flushing {names[1]}.")
    assert run.logged("1 signal has been successfully processed.")
    run = signalbus(*flush, "--verbose").expect(0)
    assert run.logged(f"Started flushing {', '.join(names)}.")
    assert "processed" not in run.stderr


def test_log_level_setting_and_options_over_it(signalbus, schema, make_topic):
    table, topic = schema.make_signals("t"), make_topic()
    signalbus.configure(model("A", table, topic), log_level="info")
    assert "Started flushing" in signalbus("flushmany").expect(0).stderr
    assert signalbus("flushmany", "-q", "Nobody").expect(2).stderr == ""
    signalbus.configure(model("A", table, topic), log_level="error")
    assert signalbus("flushmany", "Nobody").expect(2).stderr == ""
    assert "Started flushing" in signalbus("flushmany", "-v", "-v").expect(0).stderr


def test_names_choose_models(signalbus, make_topic, three, schema, count_in_log):
    names = three(make_topic)
    signalbus("flushmany", names[2], names[0]).expect_silence()
    assert [count_in_log(name) for name in names] == [2, 0, 2]
    assert schema.count("t1") == 2


@every_flush
def test_exclude(signalbus, make_topic, three, count_in_log, flush):
    names = three(make_topic)
    signalbus(*flush, "-e", names[0], f"--exclude={names[2]}").expect_silence()
    assert [count_in_log(name) for name in names] == [0, 2, 0]


@every_flush
def test_unknown_names_warn_and_others_are_flushed(signalbus, make_topic, three, count_in_log,
                                                   flush):
    names = three(make_topic)
    run = signalbus(*flush, "X", names[0]).expect(0)
    assert run.logged('A signal with name "X" does not exist.') and run.stdout == ""
    assert [count_in_log(name) for name in names] == [2, 0, 0]
    run = signalbus(*flush, "-e", "Y z", "-e", names[1]).expect(0)
    assert run.logged('A signal with name "Y z" does not exist.')
    assert [count_in_log(name) for name in names] == [2, 0, 2]


def test_only_unknown_names_flush_nothing(signalbus, make_topic, three, count_in_log):
    names = three(make_topic)
    run = signalbus("flushmany", "X").expect(2)
    assert run.logged('A signal with name "X" does not exist.')
    assert [count_in_log(name) for name in names] == [0, 0, 0]


@pytest.mark.parametrize("arguments", [
    "check mail", "check Mail mail", "check -e mail", "pending mail Mail", "pending --watch 1 mail",
    "dead-letters mail", "triggers mail Mail", "schema mail", "flush mail", "flushordered mail",
])
def test_a_wrong_name_is_an_error(signalbus, arguments):
    """Also if others exist, except for flushes; nothing is done, and no server is needed."""
    signalbus.database = "host=127.0.0.1 port=1"
    signalbus.configure(model("Order", "o"), model("Mail", "m"), dead_letter_table="d")
    run = signalbus(*arguments.split()).expect(2)
    assert run.stdout == ""
    [line] = run.stderr.splitlines()
    assert line.endswith(': A signal with name "mail" does not exist. Did you mean "Mail"?'), line


def test_json_of_signals_and_pending(signalbus, schema):
    odd = 'odd "n\ame" \u00e4'
    signalbus.configure(model(odd, schema.make_signals("a", 2), "t", order_by=["id"]),
                        model("B", schema.make_signals("b", 1), "u", autoflush=False),
                        model("C", schema.make_signals("c"), "v"))
    tables = [schema.table(name) for name in "abc"]
    assert json.loads(signalbus("signals", "--json").expect(0).stdout) == {"models": [
        {"name": name, "table": table, "topic": topic, "ordered": name == odd,
         "autoflush": name != "B", "paused": name == "B"} for name, table, topic in zip((odd, "B", "C"), tables, "tuv")]}
    assert json.loads(signalbus("pending", "--json").expect(0).stdout) == {"models": [
        {"name": "C", "pending": 0, "paused": False}, {"name": "B", "pending": 1, "paused": True},
        {"name": odd, "pending": 2, "paused": False}], "total": 3}
    assert json.loads(signalbus("pending", "--json", "B").expect(0).stdout)["total"] == 1
    schema.execute("DROP TABLE b")
    assert signalbus("pending", "--json").expect(78).stdout == ""


def test_pending_of_some_models(signalbus, schema):
    signalbus.configure(*[model(name, schema.make_signals(name, 1)) for name in "abc"])
    assert signalbus("pending", "c", "a").expect(0).stdout == (
        f'1 of type "a"\n1 of type "c"\n{HYPHENS}\nTotal pending: 2\n')


def test_names_and_exclude_warn_and_both_apply(signalbus, make_topic, three, count_in_log):
    names = three(make_topic)
    run = signalbus("flushmany", names[0], names[1], "-e", names[1]).expect(0)
    assert "warning" in run.stderr and "exclude" in run.stderr
    assert [count_in_log(name) for name in names] == [2, 0, 0]


def test_autoflush_is_no_matter_to_one_shot_commands(signalbus, schema, make_topic, count_in_log):
    topic = make_topic()
    signalbus.configure(model("A", schema.make_signals("t", 2), topic, autoflush=False))
    signalbus("flushmany").expect_silence()
    assert count_in_log(topic) == 2


@every_flush
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_repeat_until_stopped(signalbus, schema, make_topic, consume, count_in_log, flush,
                              number):
    topic = make_topic()
    signalbus.configure(model("A", schema.make_signals("t", 5), topic, burst_count=10))
    running = signalbus.start(*flush, "-r", "0.1")
    for first in (6, 11):
        schema.wait_until(lambda: schema.count("t") == 0, what="an empty table")
        schema.insert_signals("t", 5, first=first)
    schema.wait_until(lambda: count_in_log(topic) == 15, what="15 messages")
    run = running.stop(number).expect(0)
    assert run.stdout == "" and run.stderr == ""
    assert ids(consume(topic, 15)) == list(range(1, 16)) or flush != FLUSHES["flushordered"]


def test_repeating_waits_and_is_woken_by_the_signal(signalbus, schema, make_topic):
    signalbus.configure(model("A", schema.make_signals("t", 1), make_topic()))
    running = signalbus.start("flushmany", "-r", "3600")
    schema.wait_until(lambda: schema.count("t") == 0, what="an empty table")
    start = time.monotonic()
    running.stop().expect(0)
    assert time.monotonic() - start < 15


@every_flush
def test_stop_settles_the_burst(signalbus, schema, make_topic, consume, flush):
    """A clean stop within the backlog: whole bursts are gone, and nothing is sent twice."""
    topic = make_topic()
    signalbus.configure(model("A", schema.make_signals("t", 40), topic, burst_count=10))
    gate = Gate(schema, "t")
    running = signalbus.start(*flush, "-r", "3600")
    gate.wait_for()
    running.send(signal.SIGTERM)
    gate.open()
    running.finish(20).expect(0)
    assert schema.count("t") == 30
    signalbus(*flush).expect_silence()
    assert sorted(ids(consume(topic, 40))) == list(range(1, 41))


def test_progress_on_a_terminal(signalbus, schema, make_topic):
    """How far a long flush is (each DELETE sleeps), and at its end, also by ^C, how many were sent."""
    signalbus.configure(model("Ä", schema.make_signals("t", 40), make_topic(), burst_count=2))
    schema.on_delete("t", "PERFORM pg_sleep(0.2)")
    with Terminal() as terminal:
        running = signalbus.start("flushmany", terminal=terminal.slave)
        shown = terminal.read_until("left", 20)
        assert re.search(r"\r\d+ of 40 signals \(\d+%\), \d+/s, Ä: 0:00:0\d left", shown), shown
        fcntl.ioctl(terminal.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 20, 0, 0))
        shown = terminal.read_until(" of 40 signals (", 20) + terminal.read_until("signals (", 20)
        running.send(signal.SIGINT)
        running.finish().expect(-signal.SIGINT)
        left = schema.count("t")
        end = terminal.read_until(" s\r\n", 20)
    assert re.search(rf"\r{40 - left} signals sent in \d\.\d s\r\n$", end), (left, end)
    assert "left" not in shown.rsplit("\r", 2)[-1] and "\x1b" not in shown + end


class Terminal:
    def __enter__(self):
        self.master, self.slave = pty.openpty()
        return self

    def __exit__(self, *_):
        os.close(self.master)
        os.close(self.slave)

    def read_until(self, wanted, timeout):
        shown, deadline = "", time.monotonic() + timeout
        while wanted not in shown:
            assert select.select([self.master], [], [], deadline - time.monotonic())[0], shown
            shown += os.read(self.master, 4096).decode()
        return shown
