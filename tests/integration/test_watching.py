"""
conf/prometheus and conf/grafana, with Debian's Prometheus (make check-watching): the rules pass
their unit tests, an alert fires while the broker is unavailable, and the queries of the dashboard
find what a daemon reports.
"""

import itertools
import json
import re
import shutil
import subprocess
import urllib.parse
import urllib.request

import pytest

from runner import model
from servers import ROOT, Ports, Process, wait_until

pytestmark = pytest.mark.watching

RULES = ROOT / "conf/prometheus/signalbus.rules.yml"
CONFIGURATION = ROOT / "conf/prometheus/prometheus.yml"
DASHBOARD = ROOT / "conf/grafana/signalbus.json"
# Queries whose result may be empty when all is well.
MAY_BE_EMPTY = ("signalbus_transactions_total", "signalbus_prepared_oldest_seconds",
                "signalbus_table_last_vacuum_timestamp_seconds",
                "changes(signalbus_config_last_reload_success_timestamp_seconds")


def promtool(*words):
    assert shutil.which("promtool"), "promtool: not found; install prometheus"
    done = subprocess.run(["promtool", *map(str, words)], text=True, cwd=ROOT, timeout=100,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout


def test_the_rules_pass_their_tests():
    promtool("check", "config", CONFIGURATION)
    promtool("check", "rules", "--lint=all", "--lint-fatal", RULES)
    promtool("test", "rules", ROOT / "tests/watching/rules.test.yml")


class Prometheus:
    """A Prometheus with the files of conf/prometheus, which does everything faster."""

    def __init__(self, folder, target):
        self.address = f"127.0.0.1:{Ports.take()}"
        configuration = CONFIGURATION.read_text().replace("127.0.0.1:9464", target)
        assert target in configuration
        (folder / "prometheus.yml").write_text(re.sub(r"_interval: 15s", "_interval: 200ms",
                                                      configuration))
        (folder / RULES.name).write_text(re.sub(r"for: \w+", "for: 1s", RULES.read_text()))
        self.process = Process(
            ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}",
             f"--web.listen-address={self.address}"], folder / "prometheus.log")

    def ask(self, path, **parameters):
        self.process.require_alive("prometheus")
        query = urllib.parse.urlencode(parameters)
        with urllib.request.urlopen(f"http://{self.address}/api/v1/{path}?{query}", timeout=20) as page:
            return json.load(page)["data"]

    def query(self, expression):
        return self.ask("query", query=expression)["result"]

    def is_ready(self):
        self.process.require_alive("prometheus")
        try:
            return self.query('up{job="signalbus"} == 1')
        except OSError:
            return False

    def firing(self):
        return {alert["labels"]["alertname"] for alert in self.ask("alerts")["alerts"]
                if alert["state"] == "firing"}


@pytest.fixture
def watched(signalbus, schema, make_topic, folder, killed_servers):
    """A daemon that sends, and a Prometheus that scrapes it."""
    schema.make_signals("t", 50)
    schema.make_signals("o", 50)
    address = f"127.0.0.1:{Ports.take()}"
    signalbus.configure(
        model("Plain", f"{schema}.t", make_topic(), burst_count=10),
        model("Ordered", f"{schema}.o", make_topic(), order_by=["id"]),
        metrics_listen=address, timeout=5.0)
    daemon = signalbus.start("run")
    daemon.wait_log("started")
    prometheus = Prometheus(folder, address)
    wait_until(prometheus.is_ready, 60, "Prometheus scrapes the daemon")
    yield prometheus
    prometheus.process.end(15, 30)
    daemon.stop().expect(0)


def test_an_alert_fires_while_the_broker_is_unavailable(watched, kafka):
    wait_until(lambda: watched.query("signalbus:sent:rate5m"), 60, "recorded rates")
    assert watched.firing() == set()
    kafka.kill()
    wait_until(lambda: "SignalbusBrokerIsUnavailable" in watched.firing(), 60, "an alert")
    assert watched.firing() <= {"SignalbusBrokerIsUnavailable", "SignalbusModelIsStopped"}
    kafka.start()
    wait_until(lambda: watched.firing() == set(), 60, "no alert")


def queries_of_the_dashboard():
    dashboard = json.loads(DASHBOARD.read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    return queries + [mark["expr"] for mark in dashboard["annotations"]["list"]]


def test_the_queries_of_the_dashboard_find_what_there_is(watched, schema):
    """Grafana replaces the variables in this way."""
    queries = queries_of_the_dashboard()
    assert len(queries) > 25
    numbers = itertools.count(1000, 3)
    pending = [query.replace("$job", ".*").replace("$model", ".*").replace("$__rate_interval", "5s")
               for query in queries]

    def all_found():
        schema.insert_signals("t", 3, first=next(numbers))
        pending[:] = [query for query in pending if not watched.query(query)
                      and not any(name in query for name in MAY_BE_EMPTY)]
        return not pending

    try:
        wait_until(all_found, 60, "results of all queries", pause=0.2)
    except AssertionError as error:
        raise AssertionError(f"{error}: {pending}") from None


def test_the_dashboard_is_complete():
    """Panels do not overlap, and use the data source that the user chooses."""
    dashboard = json.loads(DASHBOARD.read_text())
    cells = [(x, y) for panel in dashboard["panels"]
             for place in [panel["gridPos"]]
             for x in range(place["x"], place["x"] + place["w"])
             for y in range(place["y"], place["y"] + place["h"])]
    assert len(cells) == len(set(cells)) and max(x for x, _ in cells) < 24
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))
    assert '"uid": "${datasource}"' in DASHBOARD.read_text()
    assert not re.search(r'"uid": "(?!\$\{datasource\}|signalbus)', DASHBOARD.read_text())
