"""Operators pause and resume models, in the database, for all daemons of an instance."""

import json

import pytest

from runner import model
from servers import wait_until
from test_metrics import Site, start, wait_value


@pytest.fixture(autouse=True)
def may_create(schema):
    """The first pause creates the table."""
    schema.execute(f"GRANT CREATE ON SCHEMA {schema} TO bus")


@pytest.fixture
def site():
    return Site()


@pytest.fixture
def models(schema, make_topic):
    """Two models; A is the one that is paused."""
    return [model(name, schema.make_signals(name.lower()), make_topic(), burst_count=100)
            for name in "AB"]


def send_by_daemon(schema, table, count=3):
    """Inserts rows that the daemon sends."""
    schema.insert_signals(table, count)
    schema.wait_until(lambda: schema.count(table) == 0, what=f"an empty {table}")


def test_a_paused_model_waits_until_it_is_resumed(signalbus, schema, models, install, site,
                                                  consume):
    """All daemons notice at once, though the table is not there when they start, nor polled."""
    signalbus.configure(*models, metrics_listen=str(site), poll_interval=30.0)
    install()
    daemon = start(signalbus, site)
    send_by_daemon(schema, "a")
    assert signalbus("-v", "pause", "A").expect(0).logged('model "A": paused')
    wait_value(site, 1, "signalbus_paused", timeout=2, model="A")
    assert site.value("signalbus_paused", model="B") == 0
    schema.insert_signals("a", 5, first=10)
    send_by_daemon(schema, "b")
    assert signalbus("-v", "pause", "A").expect(0).logged('model "A": paused already')
    daemon.wait_log('warning: model "A": paused by bus\n')

    daemon.stop().expect(0)
    daemon = start(signalbus, site)
    send_by_daemon(schema, "b")
    assert schema.count("a") == 5
    assert site.value("signalbus_paused", model="A") == 1

    run = signalbus("-v", "resume", "A").expect(0)
    assert run.logged('model "A": resumed') and run.stdout == ""
    schema.wait_until(lambda: schema.count("a") == 0, 5, "that A is sent")
    wait_value(site, 0, "signalbus_paused", timeout=2, model="A")
    daemon.wait_log('warning: model "A": resumed by bus\n')
    assert signalbus("-v", "resume", "A").expect(0).logged('model "A": was not paused')
    assert len(consume(models[0]["topic"], 8)) == 8
    assert signalbus("pause").expect(0).stderr == ""  # all
    for name in "AB":
        wait_value(site, 1, "signalbus_paused", timeout=2, model=name)
    daemon.stop().expect(0)
    assert daemon.log().count('model "A": paused by') == 2


@pytest.mark.parametrize("instance, is_paused", [("signalbus", True), ("other", False)])
def test_a_daemon_that_only_polls_notices_too(signalbus, schema, models, site, instance, is_paused):
    """Another instance has pauses of its own."""
    signalbus.configure(*models, instance=instance)
    signalbus("pause", "A").expect(0)
    signalbus("pause", "B").expect(0)
    signalbus("resume", "B").expect(0)
    signalbus.configure(*models, metrics_listen=str(site), notify_channel="", poll_interval=0.1)
    start(signalbus, site)
    schema.insert_signals("a", 1)
    send_by_daemon(schema, "b")
    if is_paused:
        assert schema.count("a") == 1
        signalbus("resume").expect(0)
    schema.wait_until(lambda: schema.count("a") == 0, 5, "that A is sent")


def test_flushes_leave_paused_models_out(signalbus, schema, models):
    """Unless they are named."""
    signalbus.configure(*models)
    signalbus("pause", "A").expect(0)
    for command in (["flush", "-w", "0"], ["flushmany"], ["flushordered", "-e", "X"]):
        schema.insert_signals("a", 1)
        schema.insert_signals("b", 1)
        run = signalbus(*command).expect(0)
        assert run.logged('model "A" is left out: it is paused by bus; name it to '
                          'flush it, or resume it with "signalbus resume"'), run
        assert (schema.count("a"), schema.count("b")) == (1, 0)
        signalbus(*command[:3 if command[0] == "flush" else 1], "A").expect_silence()
        assert schema.count("a") == 0
    running = signalbus.start("flushmany", "-r", "0.1")
    running.wait_log("is left out")
    schema.insert_signals("a", 1)
    signalbus("resume", "A").expect(0)
    schema.wait_until(lambda: schema.count("a") == 0, what="a flush of A")
    assert running.stop().expect(0).stderr.count("is left out") == 1


def test_the_ordered_lock_is_released(signalbus, schema, make_topic, install, site):
    signalbus.configure(model("O", schema.make_signals("o"), make_topic(), order_by=["id"]),
                        metrics_listen=str(site))
    install()
    daemon = start(signalbus, site)
    wait_value(site, 1, "signalbus_ordered_leader", model="O")
    signalbus("pause", "O").expect(0)
    wait_value(site, 0, "signalbus_ordered_leader", model="O")
    schema.insert_signals("o", 3)
    signalbus("flushordered", "O").expect_silence()
    assert schema.count("o") == 0
    signalbus("resume", "O").expect(0)
    wait_value(site, 1, "signalbus_ordered_leader", model="O")
    send_by_daemon(schema, "o")
    daemon.stop().expect(0)


def test_pauses_are_shown(signalbus, schema, models):
    signalbus.configure(*models, model("Off", schema.make_signals("off"), "t", autoflush=False))
    signalbus("pause", "A").expect(0)
    schema.insert_signals("a", 2)
    run = signalbus("pending").expect(0)
    assert run.stdout.startswith('2 of type "A"\n')
    assert run.logged('model "A" is paused by bus')
    assert run.stderr.count("\n") == 1
    for command in ("signals", "pending"):
        shown = json.loads(signalbus(command, "--json").expect(0).stdout)["models"]
        assert {m["name"]: m["paused"] for m in shown} == {"A": True, "B": False, "Off": True}
    run = signalbus("-v", "signals").expect(0)
    assert run.stdout == "A\nB\nOff\n"
    assert run.logged('model "A": paused by bus') and run.logged('model "B": active')
    assert run.logged('model "Off": paused by autoflush = false')
    assert signalbus("resume", "Off").expect(0).logged(
        'model "Off" has autoflush = false, so the daemon does not send it')
    schema.insert_signals("off", 1)
    assert signalbus("pending").expect(0).stderr.splitlines()[0].endswith(
        'model "Off" has autoflush = false, so the daemon does not send it')
    signalbus.configure(*models, database="host=/nowhere")
    run = signalbus("signals", "--json").expect(0)
    assert [m["paused"] for m in json.loads(run.stdout)["models"]] == [None, None]
    assert "cannot read which models are paused: " in run.stderr


def test_names_of_pause_and_resume(signalbus, schema, models):
    signalbus.configure(*models)
    for command in ("pause", "resume"):
        run = signalbus(command, "C").expect(2)
        assert 'A signal with name "C" does not exist.' in run.stderr
        run = signalbus(command, "C", "A").expect(0)
        assert 'A signal with name "C" does not exist.' in run.stderr
    schema.execute("DROP TABLE a")
    run = signalbus("pause").expect(1)
    assert run.logged(f'model "A": table {schema}.a does not exist')
    assert schema.execute("SELECT model, paused FROM signalbus_paused ORDER BY 1") == [
        ("A", False), ("B", True)]


@pytest.fixture
def schema_owner(schema):
    """A role that owns the schema of the signal tables, but not them."""
    name = f'"{schema} owner"'
    schema.execute(f"CREATE ROLE {name}; ALTER SCHEMA {schema} OWNER TO {name}")
    yield name
    schema.execute(f"ALTER SCHEMA {schema} OWNER TO postgres; DROP OWNED BY {name}; DROP ROLE {name}")


def test_the_table_without_the_privilege_to_create_it(signalbus, schema, models, role, check,
                                                      schema_owner):
    """One line has the statements for somebody who may; then everybody may read it."""
    for name in "ab":
        schema.execute(f"GRANT SELECT, UPDATE, DELETE ON {name} TO {role}")
    signalbus.configure(*models)
    signalbus("resume", "A").expect(0)
    line, = signalbus("pause", "A").expect(1).stderr.splitlines()
    reason, statements = line.split("; execute as the owner of its schema: ")
    assert reason.endswith(f'model "A": user {role} may not create table {schema}.signalbus_paused')
    schema.execute(f"SET ROLE {schema_owner}; {statements}; RESET ROLE")
    signalbus("pause", "A").expect(0)
    assert check(about="paused") == []
    schema.execute(f"REVOKE UPDATE ON signalbus_paused FROM {role}")
    schema.insert_signals("a", 1)
    assert "is left out" in signalbus("flushmany").expect(0).stderr
    line, = signalbus("resume", "A").expect(1).stderr.splitlines()
    schema.execute(line.rsplit("; ")[-1])
    assert "GRANT" in line
    signalbus("resume", "A").expect(0)
    signalbus("flushmany").expect_silence()


def test_everybody_sees_what_another_user_has_paused(signalbus, schema, models, role, postgres):
    relay = signalbus.database
    for name in "ab":
        schema.execute(f"GRANT SELECT, UPDATE, DELETE ON {name} TO {role}")
    schema.execute(f"ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} REVOKE ALL ON TABLES FROM {role}")
    signalbus.database = postgres.conninfo(user="postgres")
    signalbus.configure(*models)
    signalbus("pause", "A").expect(0)
    signalbus.database = relay
    signalbus.configure(*models)
    run = signalbus("flushmany").expect(0)
    assert 'model "A" is left out: it is paused by postgres; ' in run.stderr


def test_a_table_of_somebody_else_is_not_used(signalbus, schema, models, role, site, check):
    """Its policies and triggers would execute code as the user; nothing is paused by it."""
    for name in "ab":
        schema.execute(f"GRANT SELECT, UPDATE, DELETE ON {name} TO {role}")
    forger = f'"{schema} forger"'
    schema.execute(f"CREATE ROLE {forger}")
    schema.execute("CREATE TABLE signalbus_paused (instance text, model text, paused bool, "
                   "changed_by text, changed_at timestamptz)")
    schema.execute("INSERT INTO signalbus_paused VALUES ('signalbus', 'A', true, 'him', now())")
    schema.execute("GRANT ALL ON signalbus_paused TO PUBLIC")
    schema.execute(f"ALTER TABLE signalbus_paused OWNER TO {forger}")
    problem = (f'table {schema}.signalbus_paused belongs to user {forger}, who may not create '
               'triggers on the signal tables; DROP it')
    try:
        signalbus.configure(*models, metrics_listen=str(site), poll_interval=0.1)
        for command in ("pause", "resume"):
            line, = signalbus(command, "A").expect(1).stderr.splitlines()
            assert line.endswith(f'model "A": {problem}')
        assert check(about="paused") == [problem]
        daemon = start(signalbus, site)
        send_by_daemon(schema, "a")
        daemon.wait_log(f"warning: cannot read which models are paused: {problem}\n")
        schema.execute("DROP TABLE signalbus_paused")
        daemon.wait_log("warning: it can be read again which models are paused\n")
        assert daemon.stop().expect(0).stderr.count("cannot read which") == 1
        assert check(about="paused") == []
        schema.execute("CREATE VIEW signalbus_paused AS SELECT 1; "
                       f"ALTER VIEW signalbus_paused OWNER TO {forger}")
        assert check(about="paused") == [problem]
    finally:
        schema.execute(f"DROP OWNED BY {forger}")
        schema.execute(f"DROP ROLE {forger}")


def test_a_model_whose_table_cannot_be_looked_up_does_not_matter(signalbus, schema, models, site):
    signalbus.configure(models[0], models[1] | {"table": "a.b.c.d"}, metrics_listen=str(site))
    signalbus("pause", "A").expect(0)
    daemon = start(signalbus, site)
    wait_value(site, 1, "signalbus_paused", model="A")
    signalbus("resume", "A").expect(0)
    wait_value(site, 0, "signalbus_paused", model="A")
    daemon.stop().expect(0)


def test_a_pause_begins_no_burst(signalbus, schema, make_topic, install, site):
    """The burst in flight is settled; with one signal in a burst, all others stay."""
    signalbus.configure(model("A", schema.make_signals("a"), make_topic()),
                        metrics_listen=str(site))
    install()
    start(signalbus, site)
    schema.insert_signals("a", 100000)
    wait_until(lambda: site.value("signalbus_sent_total", model="A") > 0, 20, "a first one")
    signalbus("pause", "A").expect(0)
    wait_value(site, 1, "signalbus_paused", timeout=2, model="A")
    left = schema.count("a")
    assert left > 0
    wait_until(lambda: not schema.execute(
        "SELECT FROM pg_stat_activity WHERE state LIKE 'idle in%' "
        "AND application_name = 'signalbus'"), 10, "the bursts in flight")
    assert schema.count("a") >= left - 2  # workers
