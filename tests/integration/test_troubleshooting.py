"""docs/troubleshooting.md has what PostgreSQL and Kafka say, as the program shows it."""

import re
import shutil

import pytest

from runner import model
from servers import ROOT, Ports, Postgres

SECTION = "## What PostgreSQL and Kafka say\n"


def texts():
    """The first column of the tables, whose … is any text."""
    page = (ROOT / "docs" / "troubleshooting.md").read_text().split(SECTION)[1]
    cells = re.findall(r"^\| (`.*?`) \| ", page, re.MULTILINE)
    return [text for cell in cells for text in re.findall("`(.+?)`", cell)]


def fits(text, line):
    return re.search(".*".join(re.escape(part) for part in text.strip("… ").split("…")), line)


def said_by(line, text):
    """The page has this text, and it is in the line."""
    assert text in texts() and fits(text, line), f"{text}: {line}"


@pytest.fixture
def role(schema):
    """Makes a role with a setting that is wrong."""
    names = []

    def make(sql):
        names.append(f"{schema} {len(names)}")
        schema.execute(f'CREATE ROLE "{names[-1]}" LOGIN; ALTER ROLE "{names[-1]}" {sql}')
        return names[-1]
    yield make
    for name in names:
        schema.execute(f'DROP ROLE "{name}"')


@pytest.fixture
def start(signalbus, schema, make_topic):
    """Starts check, or a flush, which has a table to read, with a configuration of its own."""
    number = iter(range(100))
    table = schema.make_signals("t", 4)  # a burst of one for each run

    def run(*words, database=None, kafka=None, topic=None):
        path = signalbus.folder / f"own-{next(number)}.conf"
        kept, signalbus.database = signalbus.database, database or signalbus.database
        signalbus.configure(model("A", table, topic or make_topic()), kafka=kafka or {}, timeout=1.0,
                            notify_channel="")
        shutil.copy(signalbus.config, path)
        signalbus.database = kept
        return signalbus.start(command=[*signalbus.command([])[:1], "-c", path, *words])
    return run


def test_what_postgres_says(schema, postgres, role, start):
    schema.execute(f"GRANT USAGE ON SCHEMA {schema} TO PUBLIC")
    running = {
        "Connection refused": postgres.conninfo(port=Ports.take()),
        "No such file or directory": "host=/nowhere dbname=shop",
        "role \"…\" does not exist": postgres.conninfo(user="nobody at all"),
        "database \"…\" does not exist": postgres.conninfo("nowhere"),
        "server does not support SSL, but SSL was required": postgres.conninfo(sslmode="require"),
        "too many connections for role \"…\"": postgres.conninfo(user=role("CONNECTION LIMIT 0")),
        "role \"…\" is not permitted to log in": postgres.conninfo(user=role("NOLOGIN")),
        "session is read-only": postgres.conninfo(
            user=role("SET default_transaction_read_only = on")),
        "permission denied for …": postgres.conninfo(user=role("RESET ALL")),
    }
    for text, run in [(text, start("flushmany", database=database))
                      for text, database in running.items()]:
        said_by(run.finish().expect_failure(), text)
    with schema.connect() as other:
        other.cursor().execute("LOCK TABLE t")
        said_by(start("flushmany").finish().expect_failure(),
                "canceling statement due to lock timeout")


def test_what_a_guarded_postgres_says(start):
    with Postgres({"max_connections": 4, "superuser_reserved_connections": 3,
                   "max_wal_senders": 0}) as server:
        server.create_database()
        other = server.connect()
        other.cursor().execute("CREATE ROLE relay LOGIN")
        said_by(start("flushmany", database=server.conninfo(user="relay")).finish().expect_failure(),
                "remaining connection slots are reserved …")
        hba = server.data / "pg_hba.conf"
        rest = hba.read_text()
        for lines, text in (
                ("host all relay all scram-sha-256\n" + rest, "no password supplied"),
                ("host all postgres all trust\n",
                 "no pg_hba.conf entry for host \"…\", user \"…\", database \"…\", …")):
            hba.write_text(lines)
            other.cursor().execute("SELECT pg_reload_conf()")
            reason = ""
            while not fits(text, reason):
                reason = start("flushmany", database=server.conninfo(user="relay")) \
                    .finish().expect_failure()
            said_by(reason, text)


def test_what_kafka_says(schema, start):
    running = {
        "Connect to … failed: Connection refused":
            {"kafka": {"bootstrap_servers": f"127.0.0.1:{Ports.take()}"}},
        "Failed to resolve '…': …": {"kafka": {"bootstrap_servers": "nowhere.invalid:9092"}},
        "… routines::…": {"kafka": {"security_protocol": "ssl"}},
        "Broker: Unknown topic or partition": {"topic": "there.is.none"},
    }
    for text, run in [(text, start("flushmany", **settings)) for text, settings in running.items()]:
        said_by(run.finish().expect_failure(), text)
    schema.execute("UPDATE t SET payload = repeat('x', 2000000)")
    said_by(start("flushmany", kafka={"message_max_bytes": 5000000}).finish().expect_failure(),
            "Broker: Message size too large")
