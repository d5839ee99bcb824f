"""A Kafka to which passwords and tokens are shown that change while the daemon runs."""

import base64
import json
import subprocess

import pytest

from runner import ids, model, repeats
from proxy import Proxy
from servers import Kafka, Meanwhile, Ports, wait_until
from test_credentials import WORD, script, secret, warnings  # noqa: F401

MODULE = "org.apache.kafka.common.security.{} required{};"
OAUTH = "org.apache.kafka.common.security.oauthbearer."
pytestmark = pytest.mark.xdist_group("tokens")


def base64url(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


class Guarded(Kafka):
    """
    Takes, at PASSWORD, the password of relay and, at TOKEN and SIGNED, tokens without and with a
    signature.  No connection stays for more than some seconds: librdkafka 2.0.2 does not log in
    again on the same one, so the broker closes it.
    """

    LISTENERS = ("PASSWORD", "TOKEN", "SIGNED")

    def __init__(self):
        self.ports = {name: Ports.take() for name in self.LISTENERS}
        self.password = WORD
        super().__init__()

    def default_settings(self, auto_create_topics):
        [broker] = self.brokers
        self.key = broker.folder / "key.pem"
        keys = broker.folder / "keys.json"
        keys.write_text(json.dumps({"keys": [self.make_key()]}))
        broker.JAVA_OPTIONS = [
            *broker.JAVA_OPTIONS, f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls=file://{keys}",
            f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.files={keys}"]
        own = ",".join(f"{name}://127.0.0.1:{port}" for name, port in self.ports.items())
        protocols = ",".join(f"{name}:SASL_PLAINTEXT" for name in self.ports)
        module = MODULE.format("oauthbearer.OAuthBearerLoginModule", "")
        return {
            **super().default_settings(auto_create_topics),
            "listeners": f"PLAINTEXT://{broker.address},{own},"
                         f"CONTROLLER://127.0.0.1:{broker.controller_port}",
            "advertised.listeners": f"PLAINTEXT://{broker.address},{own}",
            "listener.security.protocol.map":
                f"PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,{protocols}",
            "listener.name.password.sasl.enabled.mechanisms": "PLAIN",
            "listener.name.password.plain.sasl.jaas.config": self.users(self.password),
            "listener.name.password.plain.connections.max.reauth.ms": 2000,
            "listener.name.token.sasl.enabled.mechanisms": "OAUTHBEARER",
            "listener.name.token.oauthbearer.sasl.jaas.config": module,
            "listener.name.token.oauthbearer.connections.max.reauth.ms": 60000,
            "listener.name.signed.sasl.enabled.mechanisms": "OAUTHBEARER",
            "listener.name.signed.oauthbearer.sasl.jaas.config": module,
            "listener.name.signed.oauthbearer.connections.max.reauth.ms": 60000,
            "listener.name.signed.oauthbearer.sasl.server.callback.handler.class":
                f"{OAUTH}OAuthBearerValidatorCallbackHandler",
            "listener.name.signed.oauthbearer.sasl.oauthbearer.jwks.endpoint.url": f"file://{keys}",
            "sasl.oauthbearer.jwks.endpoint.url": f"file://{keys}",
            "num.network.threads": 1,
        }

    def make_key(self):
        """The public half of the key by which tokens are signed."""
        subprocess.run(["openssl", "genrsa", "-out", self.key, "2048"], check=True,
                       capture_output=True)
        modulus = subprocess.run(["openssl", "rsa", "-in", self.key, "-modulus", "-noout"],
                                 check=True, capture_output=True, text=True).stdout
        number = bytes.fromhex(modulus.strip().partition("=")[2])
        return {"kty": "RSA", "kid": "one", "alg": "RS256", "use": "sig", "n": base64url(number),
                "e": "AQAB"}

    @staticmethod
    def users(password):
        return MODULE.format("plain.PlainLoginModule", f' user_relay="{password}"')

    def change(self, password):
        """Kafka reads the passwords when it starts."""
        self.brokers[0].configure({**self.settings, "listener.name.password.plain.sasl.jaas.config":
                                   self.users(password)})
        self.password = password
        self.restart()

    def way(self, listener):
        """The properties that lead signalbus to a listener."""
        return {"bootstrap_servers": f"127.0.0.1:{self.ports[listener]}",
                "security_protocol": "sasl_plaintext",
                **({"sasl_mechanism": "PLAIN", "sasl_username": "relay"}
                   if listener == "PASSWORD" else {"sasl_mechanism": "OAUTHBEARER"})}


@pytest.fixture(scope="module")
def kafka():
    with Guarded() as server:
        yield server


@pytest.fixture
def token(script, kafka):  # noqa: F811
    """Makes a program that prints a token, and counts its runs in a file."""
    def make(listener="TOKEN", life=4, before=""):
        sign = (f'| openssl dgst -sha256 -sign "{kafka.key}" -binary' if listener == "SIGNED"
                else "> /dev/null")
        return script(f"""
            {before}
            echo >>"$0.runs"
            encode() {{ base64 -w0 | tr +/ -_ | tr -d =; }}
            now=$(date +%s)
            head=$(printf '{{"alg":"{"RS256" if listener == "SIGNED" else "none"}","kid":"one"}}' | encode)
            body=$(printf '{{"sub":"relay","iat":%s,"exp":%s}}' $now $((now + {life})) | encode)
            echo "$head.$body.$(printf %s "$head.$body" {sign} | encode)"
        """, "token")
    return make


@pytest.fixture
def runs(folder):
    return lambda: len((folder / "token.runs").read_text())


class Writer(Meanwhile):
    """Inserts signals all the time."""

    def __init__(self, schema):
        super().__init__(pause=0.1)
        self.schema, self.count = schema, 0

    def step(self):
        self.schema.insert_signals("t", 1, self.count + 1)
        self.count += 1


@pytest.fixture
def run(signalbus, schema, make_topic, kafka):
    """Starts a daemon that comes by a listener."""
    def start(listener, **properties):
        start.topic = make_topic()
        signalbus.configure(model("A", schema.make_signals("t"), start.topic, burst_count=10),
                            kafka={**kafka.way(listener), **properties}, timeout=5.0)
        return signalbus.start("run", "-vv")
    return start


def expect_all(schema, consume, topic, count):
    """Nothing is lost, and nothing is there twice."""
    wait_until(lambda: schema.count("t") == 0, 15, "the signals gone")
    found = ids(consume(topic, count))
    assert len(set(found)) == count and repeats(found) == 0


@pytest.mark.parametrize("listener", ["TOKEN", "SIGNED"])
def test_tokens_are_renewed(schema, consume, run, token, runs, listener):
    """While there is work and while there is none, without a line."""
    daemon = run(listener, oauthbearer_token=token(listener))
    with Writer(schema) as writer:
        wait_until(lambda: writer.count > 60, 30, "a writer that writes")
    wait_until(lambda: schema.count("t") == 0, 15, "the signals gone")
    before = runs()
    wait_until(lambda: runs() >= before + 6, 30, "tokens that are renewed")
    schema.insert_signals("t", 5, writer.count + 1)
    expect_all(schema, consume, run.topic, writer.count + 5)
    log = daemon.stop().expect(0).stderr
    assert warnings(log) == [] and "eyJ" not in log


def test_extensions_reach_the_broker(signalbus, schema, make_topic, kafka, token, script):  # noqa: F811
    """The bytes of the first login, which the broker accepts."""
    program, _ = token("SIGNED")["command"]
    extensions = json.dumps({"logicalCluster": "lkc-1", "identityPoolId": "pool-1"})
    both = script(f"""printf '{{"token": "%s", "extensions": {extensions}}}' $({program})""", "both")
    with Proxy(kafka.ports["SIGNED"]) as proxy:
        proxy.mark = b"\x01identityPoolId=pool-1\x01"
        signalbus.configure(model("A", schema.make_signals("t", 1), make_topic()), timeout=5.0, kafka={
            **kafka.way("SIGNED"), "bootstrap_servers": f"127.0.0.1:{proxy.port}",
            "oauthbearer_token": both})
        signalbus.start("run")
        wait_until(lambda: any(link.is_marked for link in set(proxy.links)), 15, "the extensions")
        schema.wait_until(lambda: schema.count("t") == 0, 15, "the signal gone")


def test_a_program_for_tokens_that_fails_for_a_while(schema, consume, run, token):
    """At first, and later, when the last token may still be good: a line when that begins and ends."""
    daemon = run("TOKEN", oauthbearer_token=token(before=f"echo {WORD}; exit 3"))
    daemon.wait_log("/token ended with status 3; waiting for it")
    schema.insert_signals("t", 3)
    token()
    wait_until(lambda: schema.count("t") == 0, 15, "the signals gone")
    token(before="exit 4")
    daemon.wait_log("the token cannot be renewed: ")
    token()
    daemon.wait_log("kafka: tokens are renewed again, after ")
    expect_all(schema, consume, run.topic, 3)
    log = daemon.stop().expect(0).stderr
    assert ".conf:2: kafka.oauthbearer_token: " in warnings(log)[0] and WORD not in log
    for line in ("token cannot be renewed", "tokens are renewed again", "status 3; waiting for it"):
        assert log.count(line) == 1


def test_check_says_that_there_is_no_token(signalbus, schema, make_topic, kafka, token):
    path = signalbus.configure(
        model("A", schema.make_signals("t"), make_topic()),
        kafka={**kafka.way("TOKEN"), "oauthbearer_token": token(before="exit 3")})
    problem, = signalbus("check").expect(1).findings("token")
    assert f"{path}:2: kafka.oauthbearer_token: " in problem and "ended with status 3" in problem
    token()
    assert signalbus("check").expect(0).findings("token") == []
    token(life=-1)
    problem, = signalbus("check").expect(1).findings("token")
    assert "kafka.oauthbearer_token: the token has expired, " in problem


@pytest.mark.parametrize("is_first", [
    pytest.param(True, marks=pytest.mark.long), False], ids=["first", "later"])
def test_a_password_that_changes(schema, consume, run, kafka, secret, is_first):  # noqa: F811
    """The file changes before the broker, or after that."""
    old, new = kafka.password, f"{kafka.password}-more"
    daemon = run("PASSWORD", sasl_password=secret(old))
    with Writer(schema) as writer:
        wait_until(lambda: schema.count("t") < writer.count, 20, "some signals gone")
        if is_first:
            secret(new)
        kafka.change(new)
        if not is_first:
            daemon.wait_log("SASL authentication error: ")
            secret(new)
        daemon.wait_log("the broker answers again")
    expect_all(schema, consume, run.topic, writer.count)
    log = daemon.stop().expect(0).stderr
    assert WORD not in log and log.count("the broker answers again") == 1
    refused = any("SASL authentication error: " in line for line in warnings(log))
    assert not (refused and is_first)
