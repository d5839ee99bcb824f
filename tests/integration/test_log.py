"""How log lines look: text, text for the journal, and JSON."""

import json
import os
import re
import signal

from runner import model
from topics import Topics

STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


def entries(log):
    """The lines of a log, each of which has to be a JSON object with these members."""
    found = [json.loads(line) for line in log.splitlines()]
    assert log.endswith("\n") and found
    for entry in found:
        assert list(entry) == ["time", "level", "message"]
        assert re.fullmatch(STAMP, entry["time"])
        assert entry["level"] in ("error", "warning", "info", "debug")
    return [(entry["level"], entry["message"]) for entry in found]


def test_json_of_a_flush_with_failures(signalbus, schema, make_topic):
    """All there is: debugging, a name with odd characters, a model that fails, one that does not."""
    name = 'odd "n\\ame" \u00e4'
    schema.execute('CREATE TABLE t (id int PRIMARY KEY, payload text)')
    schema.insert_signals("t", 2)
    schema.on_delete("t", "RAISE NOTICE 'a\nb'")
    schema.make_signals("fails", 1)
    schema.on_delete("fails", "RAISE EXCEPTION 'no \"deleting\"\n\there \u20ac'")
    signalbus.configure(model(name, schema.table("t"), make_topic()),
                        model("B", schema.table("fails"), make_topic()), log_format="json")
    run = signalbus("-vv", "flushmany", name, "B", "Nobody").expect(1)
    found = entries(run.stderr)
    assert ("info", f"Started flushing {name}, B.") in found
    assert ("warning", 'A signal with name "Nobody" does not exist.') in found
    assert ("info", "2 signals have been successfully processed.") in found
    assert ("debug", "database: NOTICE:  a\nb") in found
    [failure] = [message for level, message in found if level == "error"]
    assert 'no "deleting"  here \u20ac' in failure


def test_json_of_what_does_not_fit(signalbus, schema):
    path = signalbus.configure(model("A", schema.table("gone")), log_format="json")
    for command in (["flushmany"], ["pending"], ["schema", "A"], ["triggers"]):
        [(level, message)] = entries(signalbus(*command).expect(78).stderr)
        assert level == "error" and message.startswith(f"{path}:")


def test_mistakes_come_before_the_format_is_known(signalbus):
    path = signalbus.configure(model("A", "a", burst_count=0), log_format="json")
    run = signalbus("signals").expect(78)
    assert re.fullmatch(rf"{path}:\d+: burst_count must be .*\n", run.stderr)


def test_json_of_the_daemon_and_reload(signalbus, schema, make_topic):
    table, topic = schema.make_signals("t", 1), make_topic()
    signalbus.configure(model("A", table, topic), log_format="json")
    running = signalbus.start("run", "-vv")
    running.wait_log("the broker answers")
    signalbus.configure(model("A", table, topic, burst_count=0), log_format="text")
    running.send(signal.SIGHUP)  # a wrong file changes nothing, and is reported as before
    running.wait_log("burst_count must be")
    signalbus.configure(model("A", table, topic), log_format="json", timeout=29)
    running.send(signal.SIGHUP)
    running.wait_log("configuration reloaded")
    found = entries(running.log())
    assert [level for level, message in found if "burst_count must be" in message] == ["error"]
    signalbus.configure(model("A", table, topic), log_format="text")
    running.send(signal.SIGHUP)
    running.wait_log("Z info: configuration reloaded")
    path = signalbus.configure(model("A", table, topic, burst_count=-7))
    running.send(signal.SIGHUP)
    running.wait_log("not -7")
    [line] = [line for line in running.log().splitlines() if "not -7" in line]
    assert re.fullmatch(rf"{STAMP} error: {path}:\d+: burst_count must be 1 to 100000, not -7", line)
    run = running.stop().expect(0)
    assert re.fullmatch(rf"{STAMP} info: stopped", run.stderr.splitlines()[-1])


def test_the_journal(signalbus, schema, make_topic):
    """Standard error is what JOURNAL_STREAM names, or it is something else."""
    signalbus.configure(model("A", schema.make_signals("t", 1), make_topic()))
    for number, is_journal in enumerate((True, False)):
        error = signalbus.folder / f"run-{number}.err"  # of the next run
        error.touch()
        place = error.stat()
        stream = f"{place.st_dev}:{place.st_ino + (0 if is_journal else 1)}"
        run = signalbus("flushmany", "-v", "Nobody", "A", environment={"JOURNAL_STREAM": stream})
        starts = ("<4>", "<6>") if is_journal else (f"{STAMP} warning: ", f"{STAMP} info: ")
        lines = run.expect(0).stderr.splitlines()
        assert re.fullmatch(starts[0] + 'A signal with name "Nobody" does not exist.', lines[0])
        assert re.fullmatch(starts[1] + "Started flushing A.", lines[1])


def test_mistakes_have_a_priority_in_the_journal(signalbus):
    path = signalbus.configure(model("A", "a", burst_count=0))
    error = signalbus.folder / "run-0.err"
    error.touch()
    place = error.stat()
    run = signalbus("signals", environment={"JOURNAL_STREAM": f"{place.st_dev}:{place.st_ino}"})
    assert re.fullmatch(rf"<3>{path}:\d+: burst_count must be .*\n", run.expect(78).stderr)


def test_json_in_the_journal_has_no_priority(signalbus, schema, make_topic):
    signalbus.configure(model("A", schema.make_signals("t"), make_topic()), log_format="json")
    error = signalbus.folder / "run-0.err"
    error.touch()
    place = error.stat()
    run = signalbus("flushmany", "-v",
                    environment={"JOURNAL_STREAM": f"{place.st_dev}:{place.st_ino}"})
    assert entries(run.stderr) == [("info", "Started flushing A.")]


def test_rows_forge_no_lines(signalbus, schema, make_topic):
    """A key and a reason of a rejected row, in the log and in the list of dead letters."""
    schema.execute("CREATE TABLE t (key text PRIMARY KEY, payload text)")
    key = "k\n<0>forged\r\x1b[2J\x7f\u009b\t"
    schema.execute("INSERT INTO t VALUES (%s, repeat('x', 20000))", key)
    signalbus.configure(model("A", schema.table("t"), make_topic(), on_reject="dead-letter"),
                        dead_letter_table=schema.table("dead"), kafka={"message_max_bytes": 10000})
    schema.execute(signalbus("triggers").expect(0).stdout)
    run = signalbus("flushmany").expect(0)
    assert r"(key)=(k\n<0>forged\r\x1b[2J\u007f\u009b\t) was rejected" in run.stderr
    assert run.stderr.count("\n") == 1 and run.stderr.isascii()
    schema.execute("UPDATE dead SET error = %s", "e\n99\tA\x1b[2J\u009b")
    [line] = signalbus("dead-letters").expect(0).stdout.splitlines()
    columns = line.split("\t")
    assert len(columns) == 5 and json.loads(columns[3]) == {"key": key}
    assert columns[4] == r"e\n99\tA\x1b[2J\u009b" and line.isascii()
    document = signalbus("dead-letters", "--json").expect(0).stdout
    [letter] = json.loads(document)["dead_letters"]
    assert letter["signal"]["key"] == key and letter["key"] == {"key": key}
    assert letter["error"] == "e\n99\tA\x1b[2J\u009b" and document.isascii()


def test_a_reader_that_stalls_from_the_start(signalbus, schema, make_topic):
    """The daemon sends; when somebody reads again, lines are back, with the number of those lost."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    filled = 0
    try:
        while True:
            filled += os.write(writer, b" " * 4096)
    except BlockingIOError:
        os.set_blocking(writer, True)
    signalbus.configure(model("A", schema.make_signals("t", 20), make_topic()), poll_interval=0.1)
    daemon = signalbus.start("-vv", "run", terminal=writer)
    os.close(writer)
    schema.wait_until(lambda: schema.count("t") == 0, what="an empty table")
    assert not os.read(reader, filled).strip()
    schema.insert_signals("t", 5)
    schema.wait_until(lambda: schema.count("t") == 0, what="an empty table")
    with open(reader, encoding="utf-8") as log:
        daemon.stop().expect(0)
        lines = log.read().strip().splitlines()
    assert re.fullmatch(STAMP + r" warning: lost \d+ log lines: standard error was not read",
                        lines[0]), lines[0]
    assert re.fullmatch(STAMP + " info: stopped", lines[-1])


def test_standard_descriptors_that_are_closed(signalbus, schema, make_topic):
    """None of them becomes something else's, to which log lines or data would be written."""
    signalbus.configure(model("A", schema.make_signals("t", 1), make_topic()), poll_interval=0.1,
                        core_dumps=True)  # else only root may look at descriptors
    daemon = signalbus.start(command=["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh",
                                      *signalbus.command(["-vv", "run"])])
    schema.wait_until(lambda: schema.count("t") == 0, what="an empty table")
    assert {os.readlink(f"/proc/{daemon.pid}/fd/{number}") for number in range(3)} == {"/dev/null"}
    daemon.stop().expect(0)
    run = signalbus.start(command=["sh", "-c", 'exec "$@" >&-', "sh",
                                   *signalbus.command(["signals"])]).finish()
    assert "cannot write to standard output" in run.expect(1).stderr


def test_check_logs_json_and_prints_text(signalbus, schema):
    missing = Topics.unique_name()
    signalbus.configure(model("A", schema.make_signals("t"), missing), log_format="json",
                        notify_channel="")
    run = signalbus("-v", "check").expect(1)
    assert run.findings() == [f'model "A": topic {missing}: does not exist; create it']
    assert entries(run.stderr) == [("info", "checked 1 model: 1 problem, 0 warnings")]
