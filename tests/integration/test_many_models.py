"""Hundreds of models, within the limits of the unit that is installed."""

import time
from pathlib import Path

import pytest

from runner import is_sanitized, model
from servers import wait_until
from test_metrics import Site

MODELS = 300
DESCRIPTORS, TASKS = 1024, 512
SLOWER = 5 if is_sanitized() else 1


def status_of(process, name):
    """A number of /proc/PID/status."""
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise AssertionError(name)


def transactions_a_second(schema):
    count = "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
    begin, first = time.monotonic(), schema.value(count)
    time.sleep(2)
    return (schema.value(count) - first) / (time.monotonic() - begin)


def wait_together(schema):
    """Until a daemon polls several tables at once."""
    schema.wait_until(lambda: any(query.startswith("SELECT EXISTS (SELECT FROM ")
                                  for _, _, query, _ in schema.backends()), 30 * SLOWER,
                      "tables polled together")


def test_hundreds_of_ordered_models_need_few_threads(signalbus, schema, make_topic):
    topics = [make_topic() for _ in range(3)]
    tables = [f"t{n}" for n in range(MODELS)]
    schema.execute("".join(
        f"CREATE TABLE {table} (id bigint PRIMARY KEY, payload text);"
        f"INSERT INTO {table} VALUES (1, 'x');" for table in tables))
    site = Site()
    signalbus.configure(*(model(table, schema.table(table), topics[n % 3], order_by=["id"])
                          for n, table in enumerate(tables)), metrics_listen=str(site))
    limited = ["prlimit", f"--nofile={DESCRIPTORS}:{DESCRIPTORS}"]
    daemon = signalbus.start(command=limited + signalbus.command(["-v", "run"]))
    left = "SELECT " + " + ".join(f"(SELECT count(*) FROM {table})" for table in tables)
    wait_until(lambda: schema.value(left) == 0, 60 * SLOWER, "all signals sent", pause=0.5)
    assert site.ask("/readyz").status == 200
    threads, descriptors = status_of(daemon, "Threads"), Path(f"/proc/{daemon.pid}/fd")
    assert threads < 64 < TASKS
    assert len(list(descriptors.iterdir())) < 128 < DESCRIPTORS
    assert status_of(daemon, "VmHWM") < 60_000 or is_sanitized()
    assert "t9 and 290 other models: polling" in daemon.log()
    wait_until(lambda: transactions_a_second(schema) < MODELS / 4, 30 * SLOWER,
               "empty models polled together")
    schema.execute("INSERT INTO t7 VALUES (2, 'x'); INSERT INTO t288 VALUES (2, 'x')")
    wait_until(lambda: schema.value(left) == 0, 10, "sent when it is polled")
    daemon.stop().expect(0)


@pytest.mark.parametrize("order", ([], ["id"]), ids=("unordered", "ordered"))
def test_a_broken_table_among_many_empty_ones(signalbus, schema, make_topic, order):
    topic, tables = make_topic(), [f"t{n}" for n in range(20)]
    for table in tables:
        schema.make_signals(table)
    settings = {"order_by": order} if order else {}
    signalbus.configure(*(model(table, schema.table(table), topic, **settings)
                          for table in tables), poll_interval=0.2)
    daemon = signalbus.start("-v", "run")
    daemon.wait_log("database: connected")
    wait_together(schema)
    schema.execute("ALTER TABLE t3 RENAME TO gone; INSERT INTO t5 VALUES (1, 'x')")
    daemon.wait_log('model "t3": ')
    wait_until(lambda: schema.count("t5") == 0, 20, "others are sent")
    schema.execute("ALTER TABLE gone RENAME TO t3; INSERT INTO t3 VALUES (1, 'x')")
    daemon.wait_log('model "t3": resumed')
    wait_until(lambda: schema.count("t3") == 0, 20, "sent")
    assert "t4" not in daemon.stop().expect(0).stderr.partition("polling")[2]
