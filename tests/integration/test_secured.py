"""TLS, passwords and privileges at real servers: each refusal is reported once, with its reason."""

import re
import time

import pytest

from proxy import Proxy
from runner import FAILED, ids, is_sanitized, model
from schemas import Schema
from secured import PAST, Authority, SecuredKafka, SecuredPostgres
from servers import ROOT, TempFolder, wait_until
from test_broker_trouble import ends, warnings
from test_metrics import Site
from topics import Topics

pytestmark = pytest.mark.xdist_group("secured")
SLOWER = 5 if is_sanitized() else 1
TIMEOUT = 1.5
RELAY = "relay"


@pytest.fixture(scope="module")
def authorities():
    folder = TempFolder("authorities")
    yield [Authority(folder.path, name) for name in ("ours", "foreign")]
    folder.remove()


@pytest.fixture(scope="module")
def secured(authorities):
    with SecuredKafka(*authorities) as server:
        yield server


@pytest.fixture(scope="module")
def clients(authorities):
    ours, foreign = authorities
    return {"relay": ours.client(RELAY), "reader": ours.client("reader"),
            "stranger": ours.client("stranger"), "foreign": foreign.client(RELAY),
            "expired": ours.client("expired-client", PAST)}


@pytest.fixture
def topic(secured):
    """That relay may write to, whichever way it comes."""
    name = Topics(secured).make()
    for principal in (RELAY, f"CN={RELAY}"):
        secured.allow(principal, "WRITE", name)
    return name


OF_CLIENT = "does the broker want a certificate of this client"
REFUSALS = {
    "password": ("PASSWORD", {"sasl_password": "wrong"}, "Invalid username or password"),
    "password in clear": ("CLEAR", {"sasl_password": "wrong"}, "Invalid username or password"),
    "mechanism": ("PASSWORD", {"sasl_mechanism": "SCRAM-SHA-256"}, "Unsupported SASL mechanism: "
                  "broker's supported mechanisms: PLAIN,SCRAM-SHA-512"),
    "authority": ("FOREIGN", {}, "the certificate of the broker is from an authority that is not in "
                  "kafka.ssl_ca_location"),
    "expired": ("EXPIRED", {}, "the certificate of the broker has expired"),
    "host": ("OTHER", {}, "the certificate of the broker is for another host name than the one"),
    "TLS wanted": ("TLS", {"security_protocol": "plaintext"}, "Does it want TLS on this port"),
    "password wanted": ("PASSWORD", {"security_protocol": "ssl"}, "might require SASL"),
    "password wanted in clear": ("CLEAR", {"security_protocol": "plaintext"}, "might require SASL"),
    "no TLS": ("CLEAR", {"security_protocol": "sasl_ssl"}, "does the broker speak TLS on this port?"),
    "no password": ("EXPIRED", {"security_protocol": "sasl_ssl", "sasl_mechanism": "PLAIN",
                                "sasl_username": RELAY, "sasl_password": "secret",
                                "enable_ssl_certificate_verification": False},
                    "does this port take passwords (security_protocol)?"),
    "no client": ("TLS", {}, OF_CLIENT), "foreign client": ("TLS", "foreign", OF_CLIENT),
    "expired client": ("TLS", "expired", OF_CLIENT),
}


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_refusal_is_reported(signalbus, schema, secured, clients, topic, refusal):
    """By check at once; by a flush; by the daemon once, and by its pages."""
    listener, properties, reason = REFUSALS[refusal]
    properties = clients[properties] if isinstance(properties, str) else properties
    kafka, site = {**secured.way(listener), **properties}, Site()

    def start(name, *command, **settings):
        signalbus.config = signalbus.configure(
            model(name, schema.make_signals(name.lower(), 1), topic), kafka=kafka, **settings,
            notify_channel="").rename(signalbus.folder / f"{name}.conf")
        running = signalbus.start(*command)
        signalbus.config = signalbus.folder / "signalbus.conf"
        return running
    check = start("A", "check")
    flush = start("B", "flushmany", timeout=TIMEOUT)
    daemon = start("C", "run", timeout=TIMEOUT, metrics_listen=str(site))
    [line] = check.finish().expect(1).findings("kafka: refused: ")
    assert reason in line and check.completed().seconds < 6 * SLOWER
    assert reason in flush.finish().expect_failure()
    daemon.wait_log("the broker does not answer: ")
    [line] = warnings(daemon, "the broker does not answer")
    assert reason in line and "(after" not in line
    assert reason in site.ask("/readyz").text
    daemon.stop().expect(0)
    assert schema.value("SELECT (SELECT count(*) FROM b) + (SELECT count(*) FROM c)") == 2


WAYS = {"TLS": "relay", "PASSWORD": None, "CLEAR": None}


def way(secured, clients, listener):
    return {**secured.way(listener), **clients.get(WAYS[listener], {})}


@pytest.mark.parametrize("listener", WAYS)
def test_who_may_come_is_served(signalbus, schema, secured, clients, topic, check, listener):
    signalbus.configure(model("A", schema.make_signals("t", 2), topic, burst_count=10),
                        kafka=way(secured, clients, listener), notify_channel="")
    assert check(about="kafka: ") == check(about="topic ") == []
    signalbus("flushmany").expect_silence()
    daemon = signalbus.start("run")
    schema.insert_signals("t", 1, first=3)
    wait_until(lambda: schema.count("t") == 0, 10 * SLOWER, "t empty")
    daemon.stop().expect(0)
    assert warnings(daemon) == [] and ids(Topics(secured).consume(topic, 3)) == [1, 2, 3]


def test_scram(signalbus, schema, secured, topic):
    """An old librdkafka cannot use it with Kafka 4, and says so; a newer one can."""
    signalbus.configure(model("A", schema.make_signals("t", 1), topic), notify_channel="",
                        kafka={**secured.way("PASSWORD"), "sasl_mechanism": "SCRAM-SHA-512"})
    version = signalbus("--version").expect(0).stdout.split("librdkafka ")[1].split()[0]
    found = signalbus("check").findings("kafka: ")
    if tuple(int(part) for part in version.strip(",").split(".")[:3]) >= (2, 6, 1):
        assert found == []
        return
    [warning, refused] = found
    advice = ("with SCRAM, this librdkafka is refused by Kafka 4 even if the password is right: use "
              "librdkafka 2.6.1 or later, PLAIN with sasl_ssl, or a client certificate")
    assert warning == f"warning: kafka: {advice}" and refused.endswith(f"; {advice}")


class CountingProxy(Proxy):
    """Counts connections."""

    count = 0

    async def serve(self, *client):
        self.count += 1
        await super().serve(*client)


def test_a_password_is_changed_while_the_daemon_runs(signalbus, schema, secured, topic):
    """A login that is refused is tried again, but not too often; then signals are sent again."""
    with CountingProxy(secured.ports["OUTDATED"]) as proxy:
        signalbus.configure(
            model("A", schema.make_signals("t", 1), topic), notify_channel="", timeout=TIMEOUT,
            kafka={**secured.way("PASSWORD"), "bootstrap_servers": f"localhost:{proxy.port}"})
        daemon = signalbus.start("-vv", "run")
        daemon.wait_log("the broker does not answer: ")
        begin, count = time.monotonic(), proxy.count
        time.sleep(2)
        assert proxy.count - count < 6 * (time.monotonic() - begin), daemon.log()
        proxy.target = secured.ports["PASSWORD"]
        wait_until(lambda: schema.count("t") == 0, 10 * SLOWER, "t empty")
        daemon.wait_log("the broker answers again, after ")
    daemon.stop().expect(0)
    assert len(warnings(daemon)) == len(ends(daemon)) == 1, daemon.log()


def test_certificates_are_changed_while_the_daemon_runs(signalbus, schema, secured, clients, topic):
    """Connections that are made after that are refused, and made again when it is valid again."""
    reason = "the certificate of the broker has expired"
    signalbus.configure(model("A", schema.make_signals("t", 1), topic), notify_channel="", workers=1,
                        kafka={**way(secured, clients, "TLS"), "connections_max_idle_ms": 500})
    daemon = signalbus.start("run")
    wait_until(lambda: schema.count("t") == 0, 10 * SLOWER, "t empty")
    secured.change(secured.shown("TLS", *secured.certificates["EXPIRED"]))
    try:
        schema.insert_signals("t", 1, first=2)
        daemon.wait_log(reason)
    finally:
        secured.change(secured.shown("TLS", *secured.certificates["TLS"]))
    wait_until(lambda: schema.count("t") == 0, 10 * SLOWER, "t empty")
    # On a busy machine, TLS may take so long before that the broker is reported for its silence.
    wait_until(lambda: len(warnings(daemon)) == len(ends(daemon)), 20, "the end of each outage")
    daemon.stop().expect(0)
    others = [line for line in warnings(daemon) if "accept connections but do not answer" not in line]
    assert len(others) == 1 and reason in others[0], daemon.log()


PARTS = ("key", "certificate")


@pytest.mark.parametrize("kind", ["files", "secrets"])
def test_a_client_certificate_is_replaced(signalbus, schema, secured, authorities, topic, folder, kind):
    """New connections need one of another authority, which is there a while later."""
    foreign = authorities[1]

    def certify(authority):
        for name, source in zip(PARTS, authority.certify(RELAY)):
            (folder / "new").write_bytes(source.read_bytes())
            (folder / "new").chmod(0o600)
            (folder / "new").rename(folder / name)
    certify(authorities[0])
    own = {f"ssl_{name}_location": str(folder / name) if kind == "files" else
           {"file": str(folder / name)} for name in PARTS}
    if kind == "secrets":
        own = {name.replace("location", "pem"): value for name, value in own.items()}
    signalbus.configure(model("A", schema.make_signals("t", 1), topic), notify_channel="",
                        timeout=TIMEOUT, kafka={**secured.way("TLS"), **own,
                                                "connections_max_idle_ms": 500})
    daemon = signalbus.start("-v", "run")
    wait_until(lambda: schema.count("t") == 0, 10 * SLOWER, "t empty")
    if kind == "files":  # those that work stay in use
        (folder / "key").write_text("none")
        daemon.wait_log("certificates or keys were replaced, but do not work")
        schema.insert_signals("t", 3, first=3)
        wait_until(lambda: schema.count("t") == 0, 10 * SLOWER, "t empty")
        certify(authorities[0])
        daemon.wait_log("producers use the new ones")
    shown = secured.certificates["TLS"]
    secured.change(secured.shown("TLS", *shown, clients=foreign))
    try:
        schema.insert_signals("t", 1, first=2)
        daemon.wait_log(OF_CLIENT)
        certify(foreign)
        wait_until(lambda: schema.count("t") == 0, 20 * SLOWER, "t empty")
        daemon.wait_log("the broker answers again, after ")
        assert daemon.stop().expect(0).stderr.count("the broker does not answer") == 1
    finally:
        secured.change(secured.shown("TLS", *shown))


def test_a_topic_that_the_user_may_not_write_to(signalbus, schema, secured, clients, topic):
    """Its signals wait, others are sent; a grant is enough."""
    other = Topics(secured).make()
    secured.allow(f"CN={RELAY}", "DESCRIBE", other)
    settings = {"kafka": way(secured, clients, "TLS"), "notify_channel": "", "timeout": TIMEOUT,
                "poll_interval": 0.1}
    signalbus.configure(model("A", schema.make_signals("a", 1), topic),
                        model("B", schema.make_signals("b", 1), other), **settings)
    reason = "Broker: Topic authorization failed; allow the Kafka user WRITE and DESCRIBE"
    flush = signalbus("flushmany")
    assert (f'model "B": topic "{other}": {reason}' in flush.expect_failure()
            and schema.count("a") == 0)
    daemon = signalbus.start("run")
    daemon.wait_log(f'model "B": topic "{other}": {reason}')
    schema.insert_signals("a", 1, first=2)
    wait_until(lambda: schema.count("a") == 0, 10 * SLOWER, "a empty")
    secured.allow(f"CN={RELAY}", "WRITE", other)
    wait_until(lambda: schema.count("b") == 0, 15 * SLOWER, "b empty")
    daemon.wait_log('model "B": resumed after ')
    daemon.stop().expect(0)
    assert daemon.log().count(reason) == 1 and len(Topics(secured).consume(other, 1)) == 1


@pytest.mark.parametrize("may_describe", [False, True])
def test_a_user_who_may_not_write_at_all(signalbus, schema, secured, clients, topic, may_describe):
    """No producer gets a number; new ones are made less and less often."""
    if may_describe:
        secured.allow("CN=reader", "DESCRIBE", topic)
    who = "reader" if may_describe else "stranger"
    site = Site()
    signalbus.configure(
        model("A", schema.make_signals("a", 1), topic), notify_channel="", timeout=TIMEOUT,
        kafka={**secured.way("TLS"), **clients[who]}, metrics_listen=str(site), poll_interval=0.1)
    [line] = signalbus("check").expect(1).findings("Kafka user")
    assert ("may write to no topic" if may_describe else "may not see it") in line
    reason = "may the Kafka user write to a topic (WRITE), or IDEMPOTENT_WRITE?"
    assert ("Kafka user" in signalbus("flushmany").expect_failure())
    daemon = signalbus.start("-vv", "run")
    daemon.wait_log(reason)
    wait_until(lambda: daemon.seconds() > 3, 10, "some seconds")
    assert daemon.log().count(" debug: kafka: Fatal error: ") < 15 * SLOWER
    [line] = warnings(daemon, "the producer is replaced after a fatal error")
    assert reason in line
    for line in warnings(daemon, "stores nothing"):  # on a busy machine, the time may be up first
        assert "authorization failed" in line or "not acknowledged in time" in line
    secured.allow(f"CN={who}", "WRITE", topic)
    try:
        wait_until(lambda: schema.count("a") == 0, 15 * SLOWER, "a empty")
    finally:
        secured.forbid(f"CN={who}", "WRITE", topic)
    daemon.stop().expect(0)
    assert FAILED not in daemon.log().split("resumed after")[-1]


def documented(language, number=0):
    """A block of the documentation."""
    return re.findall(f"```{language}\n(.*?)```", (ROOT / "docs" / "security.md").read_text(),
                      re.DOTALL)[number]


@pytest.fixture(scope="module")
def database(authorities):
    with SecuredPostgres(authorities[0], dict(
            line.replace("'", "").split(" = ") for line in documented("ini").splitlines()),
            documented("text").replace("shop", "signalbus")) as server:
        server.create_database()
        yield server


@pytest.fixture
def verified(signalbus, database, secured, authorities, topic):
    """Configures what the documentation has, for these servers; returns the table's schema."""
    shop = Schema(database)
    shop.execute("DROP ROLE IF EXISTS signalbus; "
                 "CREATE ROLE signalbus SUPERUSER LOGIN PASSWORD 'secret'")
    ours = authorities[0]
    client = ours.client("signalbus")
    secured.allow("CN=signalbus", "WRITE", topic)
    password = signalbus.folder / "password"
    password.write_text("secret\n")
    password.chmod(0o600)
    places = {"/etc/signalbus/ca.crt": ours.certificate, "/etc/signalbus/database-password": password,
              "/etc/signalbus/signalbus.crt": client["ssl_certificate_location"],
              "/etc/signalbus/signalbus.key": client["ssl_key_location"],
              "kafka.example.com:9093": f"localhost:{secured.ports['TLS']}",
              "dbname=shop": "dbname=signalbus", "db.example.com": f"localhost port={database.port}"}

    def configure(more="", edit=lambda text: text):
        text = edit(documented("libconfig"))
        for place, own in places.items():
            text = text.replace(place, str(own))
        table = shop.make_signals("t", 1)
        signalbus.write(f'{text}\nnotify_channel = ""; {more}\nmodels = ({{ name = "A"; '
                        f'table = "{table}"; topic = "{topic}"; }});')
        return shop
    yield configure
    signalbus.discard()
    shop.drop()


def test_the_documented_configuration_works(signalbus, secured, verified, check, topic):
    """Of both sides."""
    broker = secured.brokers[0]
    settings = dict(line.split("=", 1) for line in broker.properties_file.read_text().splitlines())
    for line in documented("properties").splitlines():
        name, value = line.split("=", 1)
        if value.startswith("/etc/kafka/") or name == "inter.broker.listener.name":
            assert not value.startswith("/") or settings[name]  # the tests' broker has its own
            continue
        for part in re.split("[,;]", value):  # which also has listeners and users of the tests
            assert re.sub("//.*", "//", part) in settings[name]
    shop = verified()
    assert check() == []
    signalbus("flushmany").expect_silence()
    daemon = signalbus.start("run")
    shop.insert_signals("t", 1, first=2)
    wait_until(lambda: shop.count("t") == 0, 10 * SLOWER, "t empty")
    daemon.stop().expect(0)
    assert ids(Topics(secured).consume(topic, 2)) == [1, 2]


@pytest.mark.parametrize("case, reason", [
    ("authority", "certificate verify failed"), ("expired", "certificate verify failed"),
    ("host", 'server certificate for "other.invalid" does not match host name "localhost"'),
    ("password", "password authentication failed"), ("no TLS", "no pg_hba.conf entry"),
])
def test_a_database_that_is_refused_or_refuses(signalbus, database, authorities, verified, case, reason):
    """And the same of a rotated certificate, while the daemon runs."""
    ours, foreign = authorities
    shop = verified("timeout = 1.5;", lambda text: {
        "password": text.replace("{ file = \"/etc/signalbus/database-password\"; }", '"wrong"'),
        "no TLS": text.replace("verify-full", "disable").replace("channel_binding=require", ""),
    }.get(case, text))
    if case in ("authority", "expired", "host"):
        database.show(*{"authority": lambda: foreign.certify("database"),
                        "expired": lambda: ours.certify("database", valid=PAST),
                        "host": lambda: ours.certify("database", host="other.invalid")}[case]())
        database.reload()
    daemon = signalbus.start("run")
    try:
        daemon.wait_log("waiting for it")
        [line] = signalbus("check").expect(1).findings("database: connection to server")
        assert reason in line and reason in signalbus("flushmany").expect_failure()
        assert len([line for line in daemon.log().splitlines() if reason in line]) == 1
    finally:
        database.show(*ours.certify("database"))
        database.reload()
    if case in ("authority", "expired", "host"):
        wait_until(lambda: shop.count("t") == 0, 15 * SLOWER, "t empty")
    daemon.stop().expect(0)
