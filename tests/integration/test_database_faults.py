"""What is committed arrives, whatever happens to the database; retries are on schedule."""

import re
import signal
import socket
from datetime import datetime

import pytest

from runner import FLUSHES, every_flush, ids, model, repeats
from schemas import Gate
from servers import Ports, wait_until


@every_flush
def test_database_unavailable(signalbus, schema, flush):
    signalbus.database = f"host=127.0.0.1 port={Ports.take()} dbname=x"
    signalbus.configure(model("A", "t", "any"), timeout=1.5)
    run = signalbus(*flush)
    run.expect_failure()
    assert 1 <= run.seconds < 20 and run.stdout == ""


@every_flush
def test_a_database_that_refuses_says_why_to_the_end(signalbus, postgres, flush):
    signalbus.database = postgres.conninfo(dbname="nothing_of_this_name")
    signalbus.configure(model("A", "t", "any"), timeout=1)
    assert '"nothing_of_this_name" does not exist' in signalbus(*flush).expect_failure()


# The others that need the database, with what each says when it gives up.
OTHERS = {"pending": "Cannot count pending signals: database: ",
          "schema A": "Cannot make the schema: database: ", "triggers": "error: database: ",
          "dead-letters": "error: database: ", "pause": "error: database: "}
AGAIN = "; trying again"


@pytest.fixture
def nobody(signalbus):
    """A configuration whose database is nowhere."""
    def configure(timeout):
        signalbus.database = f"host=127.0.0.1 port={Ports.take()} dbname=x"
        signalbus.configure(model("A", "t", "any"), dead_letter_table="d", timeout=timeout)
    return configure


@pytest.mark.parametrize("command", OTHERS)
def test_other_commands_try_until_the_time_is_up(signalbus, nobody, command):
    nobody(1.5)
    run = signalbus(*command.split()).expect(1)
    assert 1.4 <= run.seconds < 20 and run.stdout == ""
    first, last = run.stderr.splitlines()
    assert " warning: database: " in first and first.endswith(AGAIN)
    assert OTHERS[command] in last and not last.endswith(AGAIN)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("command", OTHERS)
def test_a_stop_ends_the_waiting(signalbus, nobody, command, number):
    nobody(600)
    running = signalbus.start(*command.split())
    running.wait_log(AGAIN)
    run = running.stop(number, timeout=5).expect(-number)
    assert run.stdout == "" and run.stderr.count("\n") == 1


def test_pending_watched_without_a_database(signalbus, nobody):
    """It continues, with one warning and one error each time."""
    nobody(0.3)
    running = signalbus.start("pending", "--watch", "0.1")
    wait_until(lambda: running.log().count(OTHERS["pending"]) >= 2, 20, "two looks")
    run = running.stop().expect(0)
    assert run.stdout == "" and run.stderr.splitlines()[2].endswith(AGAIN)


def test_database_that_does_not_answer(signalbus, schema):
    """The port accepts and nobody speaks: the time-out holds all the same."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        signalbus.database = f"host=127.0.0.1 port={silent.getsockname()[1]} dbname=x"
        signalbus.configure(model("A", "t", "any"), timeout=1.5)
        run = signalbus("flushmany")
    run.expect_failure()
    assert run.seconds < 20


def test_database_that_starts_in_time(signalbus, schema, postgres, make_topic, consume):
    topic = make_topic()
    signalbus.configure(model("A", schema.make_signals("t", 5), topic, burst_count=5))
    postgres.stop()
    try:
        running = signalbus.start("flushmany")
        schema.wait_until(lambda: running.log() != "" or running.seconds() > 1, what="a try")
    finally:
        postgres.start()
    running.finish().expect(0)
    assert sorted(ids(consume(topic, 5))) == [1, 2, 3, 4, 5]


def test_other_commands_wait_for_the_server(signalbus, schema, postgres, make_topic):
    topic = make_topic()
    signalbus.configure(model("A", schema.make_signals("t"), topic),
                        dead_letter_table=schema.table("dead"))
    schema.execute(signalbus("triggers").expect(0).stdout)
    schema.execute(f"GRANT CREATE ON SCHEMA {schema} TO bus")
    postgres.stop()
    try:
        started = [signalbus.start(*command.split()) for command in OTHERS]
        for running in started:
            running.wait_log(AGAIN)
    finally:
        postgres.start()
    for running in started:
        running.finish().expect(0)


@pytest.mark.parametrize("mode", ["fast", "immediate", "kill"])
def test_database_restarted_during_the_backlog(signalbus, schema, postgres, make_topic, topics,
                                             mode):
    """Either the run comes through or it fails with 1; in both cases nothing is lost."""
    count, burst, topic = 5000, 10, make_topic()
    signalbus.configure(model("A", schema.make_signals("t", count), topic, burst_count=burst))
    running = signalbus.start("flushmany")
    schema.wait_until(lambda: schema.count("t") < count - 100, what="some bursts")
    postgres.restart(mode)
    assert running.finish().returncode in (0, 1), running.completed()
    signalbus("flushmany").expect(0)
    numbers = ids(topics.read(topic, count))
    assert set(numbers) == set(range(1, count + 1)) and schema.count("t") == 0
    assert repeats(numbers) <= 2 * burst


@every_flush
def test_session_terminated_before_the_delete(signalbus, schema, make_topic, topics, flush):
    """The acknowledged burst is rolled back with its session, and sent again."""
    topic = make_topic()
    signalbus.configure(model("A", schema.make_signals("t", 30), topic, burst_count=10,
                              order_by=["id"]))
    gate = Gate(schema, "t")
    running = signalbus.start(*flush)
    gate.wait_for()
    schema.end_backends()
    gate.open()
    running.finish()
    signalbus(*flush).expect(0)
    numbers = ids(topics.read(topic, 30))
    assert set(numbers) == set(range(1, 31)) and repeats(numbers) <= 10
    assert schema.count("t") == 0


def fail_deletes(schema, times, code="40001", at_commit=False):
    """The first DELETEs fail with a serialization failure (a sequence survives them)."""
    schema.execute("CREATE SEQUENCE tries")
    schema.on_delete("t", f"""IF nextval('{schema}.tries') <= {times} THEN
        RAISE EXCEPTION 'scripted failure of {schema}' USING ERRCODE = '{code}'; END IF""",
                     at_commit)


def failure_times(schema):
    """When the server logged each scripted failure, in seconds."""
    log = (schema.postgres.folder.path / "log").read_text(errors="replace")
    found = re.findall(rf"^(\S+ \S+) \S+ .*ERROR:  scripted failure of {schema}$", log, re.M)
    return [datetime.fromisoformat(stamp).timestamp() for stamp in found]


@pytest.mark.parametrize("code", ["40001", "40P01"])
@pytest.mark.parametrize("at_commit", [False, True], ids=["at the delete", "at the commit"])
def test_serialization_failures_are_retried(signalbus, schema, make_topic, topics, code,
                                            at_commit):
    topic = make_topic()
    signalbus.configure(model("A", schema.make_signals("t", 10), topic, burst_count=10))
    fail_deletes(schema, 3, code, at_commit)
    run = signalbus("flushmany").expect(0)
    assert run.seconds >= 0.3  # at once, 0.1, 0.2
    assert set(ids(topics.read(topic, 10))) == set(range(1, 11)) and schema.count("t") == 0


@pytest.mark.parametrize("at_commit", [False, True], ids=["at the delete", "at the commit"])
def test_a_failure_during_a_backlog_keeps_the_session(signalbus, schema, make_topic, topics,
                                                    at_commit):
    """The next claim has been sent after the statement that fails."""
    count, topic = 200, make_topic()
    signalbus.configure(model("A", schema.make_signals("t", count), topic, burst_count=10))
    schema.execute("CREATE SEQUENCE tries")
    schema.on_delete("t", f"""IF nextval('{schema}.tries') IN (5, 15)
        THEN RAISE EXCEPTION 'scripted failure of {schema}' USING ERRCODE = '40001'; END IF""",
                     at_commit)
    signalbus("flushmany").expect_silence()
    numbers = ids(topics.read(topic, count))
    assert set(numbers) == set(range(1, count + 1)) and 0 < repeats(numbers) <= 20
    assert schema.count("t") == 0
    failing = re.findall(rf"\[(\d+)\].*ERROR:  scripted failure of {schema}$",
                         (schema.postgres.folder.path / "log").read_text(errors="replace"), re.M)
    assert len(failing) == 2 and failing[0] == failing[1]


@every_flush
def test_serialization_failures_of_every_flush(signalbus, schema, make_topic, topics, flush):
    topic = make_topic()
    signalbus.configure(model("A", schema.make_signals("t", 30), topic, burst_count=10,
                              order_by=["id"]))
    fail_deletes(schema, 2)
    signalbus(*flush).expect(0)
    numbers = ids(topics.read(topic, 30))
    assert set(numbers) == set(range(1, 31)) and schema.count("t") == 0
    assert repeats(numbers) <= 20


def test_schedule_of_retries(signalbus, schema, make_topic):
    """Eleven retries: at once, then after 0.1, 0.2, 0.4, 0.8, 1.0 … seconds; then it counts."""
    signalbus.configure(model("A", schema.make_signals("t", 10), make_topic(), burst_count=10))
    fail_deletes(schema, 1000)
    assert "scripted failure" in signalbus("flushmany").expect_failure()
    times = failure_times(schema)
    waits = [later - earlier for earlier, later in zip(times, times[1:])]
    assert len(waits) == 11
    for wait, planned in zip(waits, [0, 0.1, 0.2, 0.4, 0.8] + [1.0] * 6):
        assert planned - 0.01 <= wait < planned + 3, waits
    assert schema.count("t") == 10


def test_other_errors_of_the_database_are_not_retried(signalbus, schema, make_topic):
    signalbus.configure(model("A", schema.make_signals("t", 3), make_topic(), burst_count=3),
                        model("B", schema.make_signals("b", 3), make_topic(), burst_count=3))
    fail_deletes(schema, 1000, code="P0001")
    assert "scripted failure" in signalbus("flushmany").expect_failure()
    assert schema.count("t") == 3 and schema.count("b") == 0


def test_missing_privilege(signalbus, schema, postgres, make_topic, count_in_log):
    role, topic = f"weak_{schema}", make_topic()
    table = schema.make_signals("t", 3)
    schema.execute(f"CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA {schema} TO {role}; "
                   f"GRANT SELECT ON {table} TO {role}")
    signalbus.database = postgres.conninfo(user=role)
    signalbus.configure(model("A", table, topic), timeout=60)
    run = signalbus("flushmany")
    assert run.returncode in (1, 78) and "permission denied" in run.stderr, run
    assert run.seconds < 15 and schema.count("t") == 3 and count_in_log(topic) == 0
    schema.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_a_trigger_that_keeps_rows_is_an_error(signalbus, schema, make_topic):
    """A row that was sent and cannot be deleted must not be sent forever."""
    signalbus.configure(model("A", schema.make_signals("t", 3), make_topic(), burst_count=3))
    schema.execute("CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql "
                   "AS 'BEGIN RETURN NULL; END'")
    schema.execute("CREATE TRIGGER keep BEFORE DELETE ON t FOR EACH ROW EXECUTE FUNCTION keep()")
    signalbus("flushmany").expect_failure()
    assert schema.count("t") == 3


def test_default_isolation_serializable(signalbus, schema, make_topic, consume):
    topic = make_topic()
    signalbus.database += " options='-c default_transaction_isolation=serializable'"
    signalbus.configure(model("A", schema.make_signals("t", 2000), topic, burst_count=20))
    runs = [signalbus.start("flushmany") for _ in range(3)]
    for run in runs:
        run.finish().expect(0)
    assert schema.count("t") == 0
    assert set(ids(consume(topic, 2000))) == set(range(1, 2001))
