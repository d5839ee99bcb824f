"""Hundreds of models, within the limits of the unit that is installed."""

from pathlib import Path

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
    daemon.stop().expect(0)
