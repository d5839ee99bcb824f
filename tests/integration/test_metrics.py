"""Metrics and health over HTTP, of the daemon on the real servers."""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from runner import is_sanitized, model
from servers import Meanwhile, Ports, wait_until

SLOWER = 5 if is_sanitized() else 1

TYPES = {
    "signalbus_sent": "counter", "signalbus_pending": "gauge",
    "signalbus_oldest_pending_seconds": "gauge", "signalbus_errors": "counter",
    "signalbus_stopped": "gauge",
    "signalbus_burst_seconds": "histogram", "signalbus_ack_seconds": "histogram",
    "signalbus_ordered_leader": "gauge", "signalbus_ordered_wait_seconds": "gauge",
    "signalbus_database_up": "gauge", "signalbus_broker_up": "gauge",
    "signalbus_paused": "gauge", "signalbus_table_dead_rows": "gauge",
    "signalbus_table_last_vacuum_timestamp_seconds": "gauge",
    "signalbus_vacuum_held_seconds": "gauge",
    "process_cpu_seconds": "counter", "process_resident_memory_bytes": "gauge",
    "process_virtual_memory_bytes": "gauge", "process_open_fds": "gauge",
    "process_max_fds": "gauge", "process_threads": "gauge",
    "process_start_time_seconds": "gauge",
    "signalbus_config_last_reload_successful": "gauge",
    "signalbus_config_last_reload_success_timestamp_seconds": "gauge",
    "signalbus_build_info": "gauge", "signalbus_dead_letters": "counter",
}
KINDS = {"database", "broker", "rejected", "serialization"}
COUNTED_S = 15  # what is pending is counted so often


class Site:
    """What a daemon serves at an address."""

    def __init__(self, port=None, host="127.0.0.1"):
        self.host = host
        self.port = port or Ports.take()

    def __str__(self):
        return f"{self.host}:{self.port}"

    def ask(self, path, method="GET", body=None, timeout=20):
        connection = http.client.HTTPConnection(self.host, self.port, timeout=timeout)
        with contextlib.closing(connection):
            connection.request(method, path, body)
            answer = connection.getresponse()
            answer.text = answer.read().decode()
        return answer

    def families(self):
        answer = self.ask("/metrics")
        assert answer.status == 200
        return {family.name: family for family in text_string_to_metric_families(answer.text)}

    def value(self, name, **labels):
        """Of the one sample with this name and these labels."""
        values = [sample.value for family in self.families().values() for sample in family.samples
                  if sample.name == name and sample.labels == labels]
        assert len(values) == 1, (name, labels, values)
        return values[0]

    def is_answering(self):
        with contextlib.suppress(OSError):
            return self.ask("/healthz").status == 200
        return False

    def is_ready(self):
        return self.ask("/readyz").status == 200


@pytest.fixture
def site():
    return Site()


def start(signalbus, site):
    """A daemon that has reached the database and the broker."""
    daemon = signalbus.start("-v", "run")
    wait_until(lambda: site.is_answering() or not daemon.is_alive(), 20, "an answer")
    assert daemon.is_alive(), daemon.completed()
    wait_until(site.is_ready, 20, "readiness")
    return daemon


def wait_value(site, expected, name, timeout=10, **labels):
    """Waits for a value, or for one that a function likes."""
    likes = expected if callable(expected) else lambda value: value == expected
    return wait_until(lambda: likes(site.value(name, **labels)), timeout, f"{name} {labels}")


def test_a_lonely_signal_is_sent_at_once(signalbus, schema, make_topic, site):
    """It waits for no others, which would take 5 ms.  On a busy machine most take longer anyway."""
    signalbus.configure(model("A", schema.make_signals("t", 5000), make_topic()),
                        metrics_listen=str(site), metrics_buckets="all")
    daemon = start(signalbus, site)
    wait_value(site, lambda n: n >= 5, "signalbus_ack_seconds_bucket", 30, model="A", le="0.005")
    daemon.stop().expect(0)


def test_all_metrics_are_there_from_the_beginning(signalbus, schema, make_topic, site):
    odd = 'Odd "name" \\ é\n2'
    tables = {name: schema.make_signals(name) for name in "ab"}
    signalbus.configure(model(odd, tables["a"], make_topic()),
                        model("Ordered", tables["b"], make_topic(), order_by=["id"]),
                        metrics_listen=str(site))
    daemon = start(signalbus, site)
    version = signalbus.bare("--version").stdout.split()[1]
    assert (f"info: started: signalbus {version}, {signalbus.config}, 2 models, metrics at {site}\n"
            in daemon.log())
    answer = site.ask("/metrics")
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    families = site.families()
    assert {name: family.type for name, family in families.items()} == TYPES
    assert all(family.documentation for family in families.values())
    models = {odd, "Ordered"}
    for name, family in families.items():
        wanted = {"Ordered"} if "_ordered_" in name else models
        if (not name.endswith(("_up", "_info")) and "_reload_" not in name
                and not name.startswith("process_") and name != "signalbus_vacuum_held_seconds"):
            assert {sample.labels["model"] for sample in family.samples} == wanted, name
    assert {(s.labels["model"], s.labels["kind"]) for s in families["signalbus_errors"].samples} \
        == {(name, kind) for name in models for kind in KINDS}
    for name in ("signalbus_sent", "signalbus_pending", "signalbus_stopped", "signalbus_oldest_pending_seconds",
                 "signalbus_errors", "signalbus_burst_seconds", "signalbus_ack_seconds",
                 "signalbus_ordered_wait_seconds"):
        assert {sample.value for sample in families[name].samples} == {0}, name
    bounds = [float(sample.labels["le"]) for sample in families["signalbus_ack_seconds"].samples
              if sample.name.endswith("_bucket") and sample.labels["model"] == odd]
    assert bounds == [1, float("inf")]
    versions = dict(line.split()[:2] for line in signalbus.bare("--version").stdout.splitlines())
    assert site.value("signalbus_build_info", version=versions["signalbus"],
                      librdkafka=versions["librdkafka"], libpq=versions["libpq"]) == 1
    assert site.value("signalbus_database_up") == site.value("signalbus_broker_up") == 1
    daemon.stop().expect(0)
    assert not site.is_answering()


def test_what_is_sent_is_counted_and_measured(signalbus, schema, make_topic, site):
    table = schema.make_signals("t", 25)
    paused = schema.make_signals("paused", 3)
    signalbus.configure(model("A", table, make_topic(), burst_count=10),
                        model("Paused", paused, make_topic(), autoflush=False),
                        metrics_listen=str(site), poll_interval=0.1, workers=1)
    daemon = start(signalbus, site)
    wait_value(site, 25, "signalbus_sent_total", model="A")
    for name in ("signalbus_burst_seconds", "signalbus_ack_seconds"):
        assert site.value(f"{name}_count", model="A") == 3
        assert site.value(f"{name}_bucket", model="A", le="+Inf") == 3
        assert 0 < site.value(f"{name}_sum", model="A") < 3 * SLOWER
    assert (site.value("signalbus_ack_seconds_sum", model="A")
            < site.value("signalbus_burst_seconds_sum", model="A"))
    wait_value(site, 0, "signalbus_oldest_pending_seconds", model="A")
    wait_value(site, 3, "signalbus_pending", COUNTED_S, model="Paused")
    wait_value(site, lambda s: s > 0, "signalbus_oldest_pending_seconds", COUNTED_S, model="Paused")
    assert site.value("signalbus_sent_total", model="Paused") == 0
    assert site.value("signalbus_paused", model="Paused") == 1
    assert site.value("signalbus_paused", model="A") == 0
    daemon.stop().expect(0)


def test_what_waits_for_a_broker_is_counted(signalbus, schema, make_topic, site):
    """Also where the broker has never been reached."""
    signalbus.configure(model("A", schema.make_signals("t", 3), make_topic()),
                        kafka={"bootstrap_servers": f"127.0.0.1:{Ports.take()}"},
                        metrics_listen=str(site))
    daemon = signalbus.start("-v", "run")
    wait_until(site.is_answering, 20, "an answer")
    wait_value(site, 3, "signalbus_pending", COUNTED_S, model="A")
    assert site.value("signalbus_broker_up") == 0
    daemon.stop().expect(0)


def test_a_huge_backlog_is_estimated(signalbus, schema, make_topic, site):
    schema.execute("""CREATE TABLE plain AS SELECT n AS id FROM generate_series(1, 150000) n;
                      ALTER TABLE plain ADD PRIMARY KEY (id);
                      CREATE TABLE parts (id int PRIMARY KEY) PARTITION BY RANGE (id);
                      CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (100000);
                      CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (100000) TO (200000);
                      INSERT INTO parts SELECT id FROM plain""")
    signalbus.configure(
        *(model(name, schema.table(table), make_topic(), autoflush=False, **settings)
          for name, table, settings in (("Plain", "plain", {}), ("Parts", "parts", {}),
                                        ("Where", "plain", {"where": "id > 0"}))),
        metrics_listen=str(site))
    daemon = start(signalbus, site)
    for name, count in (("Plain", 150000), ("Parts", 150000), ("Where", 100000)):
        wait_value(site, count, "signalbus_pending", 2 * COUNTED_S, model=name)
    daemon.stop().expect(0)


def test_a_rejected_message_is_an_error_and_makes_the_table_old(signalbus, schema, make_topic,
                                                                site):
    table = schema.make_signals("t")
    schema.execute("INSERT INTO t SELECT 1, repeat('x', 2000000)")
    signalbus.configure(model("A", table, make_topic(), burst_count=10),
                        model("Gone", schema.table("gone"), make_topic()),
                        metrics_listen=str(site), poll_interval=0.1)
    daemon = start(signalbus, site)
    wait_value(site, lambda n: n >= 2, "signalbus_errors_total", model="A", kind="rejected")
    wait_value(site, lambda n: n >= 2, "signalbus_errors_total", model="Gone", kind="database")
    schema.insert_signals("t", 4, 2)
    wait_value(site, 4, "signalbus_sent_total", 15, model="A")
    wait_value(site, lambda s: s >= 2, "signalbus_oldest_pending_seconds", model="A")
    wait_value(site, 1, "signalbus_pending", COUNTED_S, model="A")
    assert site.value("signalbus_oldest_pending_seconds", model="A") >= 2
    assert site.value("signalbus_errors_total", model="A", kind="broker") == 0
    schema.execute("DELETE FROM t")
    wait_value(site, 0, "signalbus_oldest_pending_seconds", COUNTED_S, model="A")
    assert site.ask("/readyz").status == 200  # that is no matter of database and broker
    daemon.stop().expect(0)


def test_what_operators_of_queue_tables_and_processes_watch(request, signalbus, schema, postgres,
                                                            make_topic, site):
    """The table has dead rows, an old snapshot keeps them, and somebody else holds the order."""
    table = schema.make_signals("t", 500)
    request.addfinalizer(lambda: schema.execute("REVOKE pg_read_all_stats FROM bus"))
    schema.execute("GRANT pg_read_all_stats TO bus")
    schema.execute("VACUUM t")
    schema.execute("DELETE FROM t WHERE id > 100")
    schema.execute("SELECT pg_stat_force_next_flush()")
    begun = schema.value("SELECT extract(epoch FROM clock_timestamp())::float8")
    reader = schema.connect()
    reader.cursor().execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM t")
    squatter = schema.connect(autocommit=True)
    squatter.cursor().execute("SELECT pg_advisory_lock(hashtextextended('signalbus ordered signalbus '"
                              " || %s, 0))", (table,))
    signalbus.configure(model("A", table, make_topic(), order_by=["id"]), metrics_listen=str(site),
                        core_dumps=True)  # else only root may look at descriptors
    daemon = start(signalbus, site)
    wait_value(site, 400, "signalbus_table_dead_rows", COUNTED_S, model="A")
    assert abs(site.value("signalbus_table_last_vacuum_timestamp_seconds", model="A") - begun) < 30
    wait_value(site, lambda s: 0 < s < 60, "signalbus_vacuum_held_seconds")
    wait_value(site, lambda s: s > 0, "signalbus_oldest_pending_seconds", COUNTED_S, model="A")
    proc = Path(f"/proc/{daemon.pid}")
    fds = len(list((proc / "fd").iterdir()))
    assert abs(site.value("process_open_fds") - fds) <= 2
    assert site.value("process_threads") == len(list((proc / "task").iterdir()))
    assert abs(site.value("process_start_time_seconds") - proc.stat().st_ctime) < 5
    assert 2 ** 20 < site.value("process_resident_memory_bytes") < 2 ** 30 or is_sanitized()
    assert site.value("process_max_fds") >= fds
    wait_until(lambda: site.value("process_cpu_seconds_total") > 0, 20, "a hundredth of a second")
    reader.rollback()
    squatter.close()
    wait_value(site, 0, "signalbus_vacuum_held_seconds", COUNTED_S)
    wait_value(site, 100, "signalbus_sent_total", COUNTED_S, model="A")
    daemon.stop().expect(0)


def test_dead_letters_are_counted(signalbus, schema, make_topic, site):
    table = schema.make_signals("t", 4)
    schema.execute("INSERT INTO t SELECT 9, repeat('x', 2000000)")
    signalbus.configure(model("A", table, make_topic(), burst_count=10, on_reject="dead-letter"),
                        dead_letter_table=schema.table("dead"), metrics_listen=str(site))
    schema.execute(signalbus("triggers").expect(0).stdout)
    daemon = start(signalbus, site)
    wait_value(site, 1, "signalbus_dead_letters_total", model="A")
    assert site.value("signalbus_sent_total", model="A") == 4
    assert site.value("signalbus_errors_total", model="A", kind="rejected") == 0
    daemon.stop().expect(0)


def test_serialization_failures_are_counted(signalbus, schema, make_topic, site):
    table = schema.make_signals("t")
    schema.execute("CREATE SEQUENCE tries")
    schema.on_delete("t", f"IF nextval('{schema}.tries') <= 3 THEN RAISE SQLSTATE '40001'; END IF")
    signalbus.configure(model("A", table, make_topic()), metrics_listen=str(site),
                        poll_interval=0.1)
    daemon = start(signalbus, site)
    schema.insert_signals("t", 1)
    wait_value(site, 1, "signalbus_sent_total", model="A")
    assert site.value("signalbus_errors_total", model="A", kind="serialization") == 3
    wait_value(site, 0, "signalbus_oldest_pending_seconds", model="A")
    daemon.stop().expect(0)


def test_an_open_transaction_that_holds_an_order_back_is_measured(signalbus, schema, make_topic,
                                                                  site):
    table = schema.make_signals("t")
    signalbus.configure(model("A", table, make_topic(), order_by=["id"]),
                        metrics_listen=str(site), poll_interval=0.1)
    daemon = start(signalbus, site)
    wait_value(site, 1, "signalbus_ordered_leader", model="A")
    writer = schema.connect()
    schema.insert_signals("t", 1, 1, writer)
    schema.insert_signals("t", 1, 2)
    wait_value(site, lambda s: s > 1, "signalbus_ordered_wait_seconds", model="A")
    assert site.value("signalbus_oldest_pending_seconds", model="A") > 1
    assert site.value("signalbus_sent_total", model="A") == 0
    writer.commit()
    wait_value(site, 0, "signalbus_ordered_wait_seconds", model="A")
    wait_value(site, 0, "signalbus_oldest_pending_seconds", model="A")
    wait_value(site, 2, "signalbus_sent_total", model="A")
    daemon.stop().expect(0)


def test_one_of_two_daemons_leads(signalbus, schema, make_topic, site):
    table = schema.make_signals("t")
    models = [model("A", table, make_topic(), order_by=["id"])]
    signalbus.configure(*models, metrics_listen=str(site), poll_interval=0.1)
    holder = start(signalbus, site)
    wait_value(site, 1, "signalbus_ordered_leader", model="A")
    other = Site()
    signalbus.configure(*models, metrics_listen=str(other), poll_interval=0.1)
    follower = start(signalbus, other)
    follower.wait_log("stands by")
    assert other.value("signalbus_ordered_leader", model="A") == 0
    assert site.value("signalbus_ordered_leader", model="A") == 1
    schema.end_backends()  # whoever comes first takes over; the sessions of the other are gone
    wait_until(lambda: site.value("signalbus_ordered_leader", model="A")
               + other.value("signalbus_ordered_leader", model="A") == 1, 20, "one leader")
    holder.stop().expect(0)
    wait_value(other, 1, "signalbus_ordered_leader", model="A")
    schema.insert_signals("t", 1)
    wait_value(other, 1, "signalbus_sent_total", model="A")
    assert sum(other.value("signalbus_errors_total", model="A", kind=kind)
               for kind in KINDS - {"database"}) == 0  # to stand by is none
    follower.stop().expect(0)


def expect_unready(site, *reasons):
    """One line for each that is unavailable, and only for these."""
    def lines():
        answer = site.ask("/readyz")
        return answer.status == 503 and answer.text.splitlines()

    def matches():
        found = lines() or []
        return (len(found) == len(reasons)
                and all(line.startswith(reason) for line, reason in zip(found, reasons)))
    wait_until(matches, 20 * SLOWER, f"unready: {reasons}")
    assert site.ask("/healthz").status == 200
    assert site.value("signalbus_database_up") == (not any("database" in r for r in reasons))
    assert site.value("signalbus_broker_up") == (not any("kafka" in r for r in reasons))


def test_reasons_have_no_control_characters(signalbus, schema, site):
    """They are shown on the page as in the log, since people ask for it on a terminal."""
    signalbus.database += " dbname='no\x1bwhere'"
    signalbus.configure(model("A", schema.table("t"), "t"), metrics_listen=str(site))
    daemon = signalbus.start("run")
    wait_until(lambda: daemon.is_alive() and r"no\x1bwhere" in daemon.log(), 20, "the reason")
    wait_until(lambda: r"no\x1bwhere" in site.ask("/readyz").text, 20, "the reason")
    assert "\x1b" not in site.ask("/readyz").text + daemon.stop().expect(0).stderr


def test_readiness_is_that_of_database_and_broker(signalbus, schema, postgres, kafka, make_topic, site,
                                                  killed_servers):
    signalbus.configure(model("A", schema.make_signals("t"), make_topic(), order_by=["id"]),
                        metrics_listen=str(site), poll_interval=0.2)
    postgres.stop()
    daemon = signalbus.start("-v", "run")
    wait_until(site.is_answering, 20, "an answer while the database is away")
    expect_unready(site, "database: connection to server")
    postgres.start()
    wait_until(site.is_ready, 20, "readiness")
    schema.insert_signals("t", 1)
    wait_value(site, 1, "signalbus_sent_total", model="A")
    assert site.value("signalbus_ordered_leader", model="A") == 1
    kafka.kill()
    expect_unready(site, "kafka: the broker does not answer: ")
    schema.insert_signals("t", 5, 2)
    wait_value(site, lambda s: s > 3, "signalbus_oldest_pending_seconds", 20, model="A")
    wait_value(site, 5, "signalbus_pending", COUNTED_S, model="A")
    postgres.stop("immediate")
    expect_unready(site, "database: ", "kafka: ")
    wait_value(site, 0, "signalbus_ordered_leader", 20, model="A")  # it goes with the session
    postgres.start()
    expect_unready(site, "kafka: ")
    kafka.start()
    wait_until(site.is_ready, 20 * SLOWER, "readiness")
    wait_value(site, 6, "signalbus_sent_total", 20, model="A")
    wait_value(site, 0, "signalbus_oldest_pending_seconds", COUNTED_S, model="A")
    daemon.stop().expect(0)


class Watcher(Meanwhile):
    """Asks for the metrics all the time."""

    def __init__(self, site):
        super().__init__()
        self.site = site
        self.sent = []
        self.failures = []

    def step(self):
        try:
            self.sent.append(self.site.value("signalbus_sent_total", model="A"))
        except Exception as failure:  # any is one
            self.failures.append(failure)


def test_a_reload_leaves_no_gap(signalbus, schema, make_topic, site):
    models = [model("A", schema.make_signals("a", 5), make_topic())]
    more = [model("B", schema.make_signals("b"), make_topic())]
    signalbus.configure(*models, metrics_listen=str(site), poll_interval=0.1)
    daemon = start(signalbus, site)
    wait_value(site, 5, "signalbus_sent_total", model="A")
    with Watcher(site) as watcher:
        for count in range(1, 4):
            signalbus.configure(*more[:count % 2], *models, metrics_listen=str(site),
                                poll_interval=0.1)
            daemon.send(signal.SIGHUP)
            wait_until(lambda: daemon.log().count("configuration reloaded") == count, 20, "reload")
            schema.insert_signals("a", 1, 100 + count)
            wait_value(site, 5 + count, "signalbus_sent_total", model="A")
    assert watcher.failures == []
    assert len(watcher.sent) > 10 and watcher.sent == sorted(watcher.sent)
    assert watcher.sent[0] == 5 and watcher.sent[-1] == 8
    schema.insert_signals("b", 3)
    wait_value(site, 3, "signalbus_sent_total", model="B")
    wait_until(site.is_ready, 20, "readiness")
    daemon.stop().expect(0)


def test_a_reload_moves_to_another_address_and_back(signalbus, schema, make_topic, site):
    table, topic = schema.make_signals("t", 2), make_topic()
    other = Site()
    everywhere = Site(site.port)

    def reload(text, **address):
        before = daemon.log().count(text)
        signalbus.configure(model("A", table, topic), poll_interval=0.1, **address)
        daemon.send(signal.SIGHUP)
        wait_until(lambda: daemon.log().count(text) > before, 20, text)

    signalbus.configure(model("A", table, topic), metrics_listen=str(site), poll_interval=0.1)
    daemon = start(signalbus, site)
    wait_value(site, 2, "signalbus_sent_total", model="A")
    reload("configuration reloaded", metrics_listen=str(other))
    assert other.value("signalbus_sent_total", model="A") == 2
    assert not site.is_answering()
    reload("configuration reloaded", metrics_listen=str(site))
    reload("configuration reloaded", metrics_listen=f"*:{site.port}")  # of the same port
    assert everywhere.value("signalbus_sent_total", model="A") == 2
    with socket.create_server(("127.0.0.1", other.port)):
        reload("keeping the previous configuration", metrics_listen=str(other))
    assert f"cannot listen on 127.0.0.1 port {other.port}: Address already in use" in daemon.log()
    assert everywhere.value("signalbus_sent_total", model="A") == 2
    reload("keeping the previous one", metrics_listen="nonsense")
    assert everywhere.is_answering()
    reload("configuration reloaded")
    assert not site.is_answering()
    reload("configuration reloaded", metrics_listen=str(site))
    assert site.value("signalbus_sent_total", model="A") == 2
    daemon.stop().expect(0)


def test_an_address_that_is_in_use_ends_the_daemon(signalbus, schema, make_topic, site):
    table = schema.make_signals("t", 1)
    signalbus.configure(model("A", table, make_topic()), metrics_listen=str(site))
    with socket.create_server((site.host, site.port)):
        ended = signalbus("run").expect(1)
        assert signalbus("signals").expect(0).stdout == "A\n"  # others do not listen
        signalbus("flushmany").expect_silence()
    assert ended.logged(f"error: metrics_listen: cannot listen on 127.0.0.1 port {site.port}: "
                        "Address already in use")
    assert len(ended.stderr.splitlines()) == 1
    signalbus.configure(model("A", table), metrics_listen=f"no-such-host.invalid:{site.port}")
    ended = signalbus("run").expect(1)
    assert "metrics_listen: cannot listen on no-such-host.invalid port" in ended.stderr


@pytest.mark.parametrize("address", ["9464", "127.0.0.1", "127.0.0.1:0", "::1:9464", ""])
def test_an_address_that_is_none_is_a_wrong_configuration(signalbus, address):
    path = signalbus.configure(model("A", "t"), metrics_listen=address)
    ended = signalbus("run").expect(78)
    assert f'{path}:3: metrics_listen: invalid address "{address}": ' in ended.stderr


@pytest.mark.parametrize("host", ["[::1]", "*", "", "localhost"])
def test_hosts_in_other_forms(signalbus, schema, make_topic, host):
    client = Site(host="::1" if host == "[::1]" else "127.0.0.1")
    signalbus.configure(model("A", schema.make_signals("t"), make_topic()),
                        metrics_listen=f"{host}:{client.port}")
    daemon = signalbus.start("run")
    if host == "localhost":
        sites = [client, Site(client.port, "::1")]
        wait_until(lambda: any(site.is_answering() for site in sites), 20, "an answer")
    else:
        wait_until(client.is_answering, 20, "an answer")
    if host in ("*", ""):
        assert Site(client.port, "::1").is_answering()
    daemon.stop().expect(0)


def test_other_paths_and_methods_are_refused(signalbus, schema, make_topic, site):
    signalbus.configure(model("A", schema.make_signals("t"), make_topic()),
                        metrics_listen=str(site))
    daemon = start(signalbus, site)
    for path in ("/", "/metrics/", "/metric", "/healthz/..", "//metrics"):
        assert site.ask(path).status == 404, path
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "BREW"):
        answer = site.ask("/metrics", method)
        assert answer.status == 405 and answer.headers["Allow"] == "GET, HEAD", method
    head = site.ask("/metrics", "HEAD")
    assert head.status == 200 and head.text == "" and int(head.headers["Content-Length"]) > 1000
    assert site.ask("/metrics?format=x").status == 200
    assert site.ask("/healthz").text == site.ask("/readyz").text == "ok\n"
    connection = http.client.HTTPConnection(site.host, site.port, timeout=20)
    with contextlib.closing(connection):
        for _ in range(3):  # one connection serves many requests
            connection.request("GET", "/healthz")
            assert connection.getresponse().read() == b"ok\n"
    daemon.stop().expect(0)


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def resident_kb(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError(f"no VmRSS of {pid}")


def connect(stack, site, request):
    """A connection that has sent something; it may be closed at any time."""
    client = stack.enter_context(socket.socket())
    client.settimeout(5)
    client.connect((site.host, site.port))
    with contextlib.suppress(OSError):
        client.sendall(request)
    return client


def test_bad_clients_delay_nothing(signalbus, schema, make_topic, site):
    table = schema.make_signals("t")
    signalbus.configure(model("A", table, make_topic()), metrics_listen=str(site),
                        poll_interval=0.02, workers=1,  # another one may open connections any time
                        core_dumps=True)  # else only root may look at descriptors
    daemon = start(signalbus, site)
    schema.insert_signals("t", 1, 0)
    wait_value(site, 1, "signalbus_sent_total", model="A")
    open_before, memory_before = descriptors(daemon.pid), resident_kb(daemon.pid)
    requests = [b"", b"GET /met", b"GET /metrics HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 4000,
                b"GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n" + b"a" * 4000,
                b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 40, b"\0\xff" * 1000]
    with contextlib.ExitStack() as stack:
        for number in range(200):  # more wait in the kernel than are let in
            connect(stack, site, requests[number % len(requests)])
        begin = time.monotonic()
        for number in range(1, 21):
            schema.insert_signals("t", 1, number)
            wait_until(lambda: schema.count("t") == 0, 10, "row gone", pause=0.002)
        assert (time.monotonic() - begin) / 20 < 0.5 * SLOWER
        assert descriptors(daemon.pid) <= open_before + 128 + 4  # … and what it opens itself
        wait_value(site, 21, "signalbus_sent_total", 40, model="A")  # the silent ones are let go
    wait_until(lambda: descriptors(daemon.pid) <= open_before + 2, 20, "descriptors closed")
    if not is_sanitized():
        assert resident_kb(daemon.pid) < memory_before + 8192
    daemon.stop().expect(0)


def test_slow_clients_keep_nobody_out(signalbus, schema, make_topic, site):
    """They are not silent: each sends a line of its request now and then."""
    signalbus.configure(model("A", schema.make_signals("t"), make_topic()),
                        metrics_listen=str(site))
    daemon = start(signalbus, site)
    with contextlib.ExitStack() as stack:
        clients = [connect(stack, site, b"GET /metrics HTTP/1.1\r\nHost: x\r\n")
                   for _ in range(300)]
        for number in range(3):
            for client in clients:
                with contextlib.suppress(OSError):
                    client.sendall(b"A: b\r\n")
            for path in ("/metrics", "/healthz"):
                assert site.ask(path, timeout=2 * SLOWER).status == 200, number
    daemon.stop().expect(0)


def test_a_request_that_is_too_large_is_not_read(signalbus, schema, make_topic, site):
    signalbus.configure(model("A", schema.make_signals("t"), make_topic()),
                        metrics_listen=str(site))
    daemon = start(signalbus, site)
    memory = resident_kb(daemon.pid)
    for request in (b"GET /" + b"x" * 50_000_000, b"GET / HTTP/1.1\r\nA: " + b"x" * 50_000_000,
                    b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 50000000\r\n\r\n"
                    + b"x" * 50_000_000):
        with contextlib.ExitStack() as stack:
            client = connect(stack, site, request)
            with contextlib.suppress(OSError):
                assert client.recv(12) in (b"", b"HTTP/1.1 413", b"HTTP/1.1 414", b"HTTP/1.1 431",
                                           b"HTTP/1.1 405")
        assert site.is_answering()
    if not is_sanitized():
        assert resident_kb(daemon.pid) < memory + 4096
    daemon.stop().expect(0)


@contextlib.contextmanager
def delayed(threads):
    """Threads whose waits on descriptors and on each other take long."""
    command = ["strace", "-q", "-o", "/dev/null", "-e", "trace=futex,poll,ppoll",
               "-e", "inject=futex,poll,ppoll:delay_enter=30s"]
    for thread in threads:
        command += ["-p", str(thread)]
    tracer = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        yield
    finally:
        tracer.kill()
        tracer.wait()


def test_health_is_that_of_the_threads(signalbus, schema, make_topic, workspace):
    """timeout is 0.1: after 10.4 seconds without progress, a thread is taken for stuck."""
    table, topic = schema.make_signals("t"), make_topic()
    sites, daemons = [Site(), Site()], []
    for site in sites:
        signalbus.configure(model("A", table, topic), metrics_listen=str(site), timeout=0.1,
                            poll_interval=0.1, notify_channel="",
                            core_dumps=True)  # else only root may trace them
        daemons.append(start(signalbus, site))
    main, worker = sites
    others = [int(thread) for thread in os.listdir(f"/proc/{daemons[1].pid}/task")
              if int(thread) != daemons[1].pid]
    with delayed([daemons[0].pid]), delayed(others):
        for site, reason in ((main, "the main thread has made no progress for 1"),
                             (worker, "a worker has made no progress for 1")):
            wait_until(lambda: site.ask("/healthz").status == 503, 30, reason)
            assert site.ask("/healthz").text.startswith(reason)
    for site, daemon in zip(sites, daemons):
        wait_until(site.is_answering, 40, "health")
        daemon.stop().expect(0)
