"""Passwords and tokens that are read again at each login, from files and from programs."""

import os
import re

import psycopg2
import pytest

from runner import model
from servers import wait_until

WORD = "ZQXJ-word"  # part of all secrets here


@pytest.fixture
def script(folder):
    """Makes a program of the shell, and returns the setting that runs it."""
    def make(text, name="program"):
        path = folder / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o700)
        return {"command": [str(path), "an argument"]}
    return make


@pytest.fixture
def secret(folder):
    """Writes a file as Kubernetes does: by the exchange of a symbolic link to its folder."""
    def put(value, name="password"):
        version = folder / f"version-{len(list(folder.glob('version-*')))}"
        version.mkdir()
        (version / name).write_text(value + "\n")
        (version / name).chmod(0o600)
        (folder / "next").symlink_to(version)
        os.replace(folder / "next", folder / "current")
        return {"file": str(folder / "current" / name)}
    return put


class Login:
    """A role that needs a password."""

    def __init__(self, schema, postgres):
        self.name = f"{schema} with password"
        self.schema, self.postgres = schema, postgres
        schema.execute(f'CREATE ROLE "{self.name}" LOGIN SUPERUSER')
        self.hba = postgres.data / "pg_hba.conf"
        self.trusting = self.hba.read_text()
        self.hba.write_text(f'host all "{self.name}" all scram-sha-256\n{self.trusting}')
        schema.execute("SELECT pg_reload_conf()")
        wait_until(self.needs_password, 20, "a password wanted")

    def needs_password(self):
        try:
            psycopg2.connect(self.postgres.conninfo(user=self.name)).close()
        except psycopg2.OperationalError:
            return True
        return False

    def change(self, password):
        self.schema.execute(f"ALTER ROLE \"{self.name}\" PASSWORD '{password}'")

    def end_sessions(self):
        self.schema.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                            f" WHERE usename = '{self.name}'")

    def refusals(self):
        log = self.postgres.process.log.read_text(errors="replace")
        return log.count(f'password authentication failed for user "{self.name}"')

    def drop(self):
        self.hba.write_text(self.trusting)
        self.schema.execute("SELECT pg_reload_conf()")
        self.end_sessions()
        self.schema.execute(f'DROP ROLE "{self.name}"')


@pytest.fixture
def login(signalbus, schema, postgres):
    own = Login(schema, postgres)
    signalbus.database = postgres.conninfo(user=own.name)
    own.change(f"{WORD}-1")
    yield own
    signalbus.discard()
    own.drop()


@pytest.fixture
def table(schema, make_topic):
    """A model with three rows."""
    return model("A", schema.make_signals("t", 3), make_topic(), burst_count=10)


def warnings(log):
    return [line for line in log.splitlines() if " warning: " in line and "superuser" not in line]


def test_a_database_password_that_changes_first(signalbus, schema, login, secret, table):
    """Sessions that are lost connect with the new one, without a line."""
    signalbus.configure(table, database_password=secret(f"{WORD}-1"))
    daemon = signalbus.start("run", "-vv")
    wait_until(lambda: schema.count("t") == 0, 20, "the signals gone")
    login.change(f"{WORD}-2")
    secret(f"{WORD}-2")
    login.end_sessions()
    schema.insert_signals("t", 3)
    wait_until(lambda: schema.count("t") == 0, 20, "the signals gone")
    log = daemon.stop().expect(0).stderr
    assert login.refusals() == 0 and warnings(log) == [] and WORD not in log


def test_a_database_password_that_changes_later(signalbus, schema, login, secret, table):
    """Until then there are few logins; one line when it begins, and one when it ends."""
    signalbus.configure(table, database_password=secret(f"{WORD}-1"))
    daemon = signalbus.start("run", "-vv")
    wait_until(lambda: schema.count("t") == 0, 20, "the signals gone")
    login.change(f"{WORD}-2")
    login.end_sessions()
    daemon.wait_log("waiting for it")
    schema.insert_signals("t", 3)
    wait_until(lambda: login.refusals() > 2, 20, "some more logins")  # the first may be of both
    refusals = login.refusals()
    secret(f"{WORD}-2")
    wait_until(lambda: schema.count("t") == 0, 8, "the signals gone")
    log = daemon.stop().expect(0).stderr
    assert login.refusals() <= refusals + 1
    *begin, end = warnings(log)  # two if the first reason was that the session was ended
    assert f'failed: FATAL:  password authentication failed for user "{login.name}"' in begin[-1]
    assert len(begin) <= 2 and all(line.endswith("; waiting for it") for line in begin)
    assert not any("LOCATION" in line or "28P01" in line for line in begin)
    assert "database: connected, after " in end
    assert WORD not in log


def test_a_program_prints_the_database_and_its_password(signalbus, schema, login, script, table):
    """Each connection runs them; the password in the connection string is not used then."""
    signalbus.database = script(f"printf '%s\\n\\n' \"{signalbus.database} password=x\"", "database")
    signalbus.configure(table, database_password=script(
        f'[ "$1" = "an argument" ] && echo {WORD}-1; echo {WORD} >&2; echo >>"$0.runs"'))
    run = signalbus("flushmany", "-vv").expect(0)
    assert schema.count("t") == 0 and WORD not in run.stdout + run.stderr
    assert (signalbus.folder / "program.runs").read_text() == "\n"
    signalbus("check").expect(0)


FAILURES = {
    "fails": (f"echo {WORD}; echo {WORD} >&2; exit 3", "ended with status 3"),
    "hangs": (f"echo {WORD}; sleep 1000", "had not ended after 1.0 s, and was killed"),
    "is silent": ("", "printed nothing"),
    "prints empty lines": ("echo; echo", "printed nothing"),
    "prints too much": (f"yes {WORD} | head -c 10000000", "printed 65536 bytes or more"),
    "dies": ("kill -9 $$", "was ended by signal 9 (Killed)"),
}


@pytest.mark.parametrize("text, reason", FAILURES.values(), ids=FAILURES)
def test_a_program_that_fails(signalbus, schema, script, table, text, reason):
    setting = script(text)
    path = signalbus.configure(table, database_password=setting, timeout=1.0)
    line = path.read_text().splitlines().index(next(
        line for line in path.read_text().splitlines() if line.startswith("database_password"))) + 1
    run = signalbus("flushmany", "-vv")
    expected = f"{path}:{line}: database_password: {setting['command'][0]} {reason}"
    assert run.expect_failure() == expected
    assert schema.count("t") == 3 and WORD not in run.stderr and run.seconds < 10
    problem, = signalbus("check").expect(1).findings("database_password")
    assert problem == expected


def test_a_program_that_is_not_there(signalbus, table):
    path = signalbus.configure(table, database_password={"command": ["/nowhere/program"]})
    run = signalbus("flushmany").expect(78)
    assert re.search(f"{path}:[0-9]+: database_password: cannot run /nowhere/program: ", run.stderr)
    signalbus("check", "--config-only").expect(0)


def test_a_program_that_fails_for_a_while(signalbus, schema, script, table):
    setting = script("exit 1")
    signalbus.configure(table, database_password=setting)
    daemon = signalbus.start("run")
    daemon.wait_log("program ended with status 1; waiting for it")
    script(f"echo {WORD}")
    wait_until(lambda: schema.count("t") == 0, 8, "the signals gone")
    begin, end = warnings(daemon.stop().expect(0).stderr)
    assert "database: connected, after " in end


@pytest.mark.parametrize("answer, problem", [
    (f"host=x password=a {WORD}", "the connection string is wrong"),
    (f"{WORD}==", "the connection string is wrong"),
    ("usr=bus", 'invalid connection option "usr", did you mean "user"?')])
def test_a_malformed_answer_is_not_shown(signalbus, script, table, answer, problem):
    signalbus.database = script(f"echo '{answer}'")
    path = signalbus.configure(table)
    run = signalbus("flushmany", "-vv").expect(78)
    assert f"{path}:1: database: {problem}" in run.stderr
    assert WORD not in run.stderr
