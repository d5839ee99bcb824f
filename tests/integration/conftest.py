"""
Fixtures of the integration tests: real servers for the session, and for each test a schema,
topics and a configuration of its own.  A tool that is missing fails the tests, with its name.
"""

import os
import signal
import sys
import tempfile
from pathlib import Path

import psycopg2
import pytest

sys.dont_write_bytecode = True
for variable in [name for name in os.environ if name.startswith("PG")]:
    del os.environ[variable]  # they would lead the tests to somebody else's server

from documents import reader_of  # noqa: E402
from proxy import Proxy  # noqa: E402
from runner import Signalbus  # noqa: E402
from schemas import Schema  # noqa: E402
from servers import Kafka, Postgres, TempFolder  # noqa: E402
from topics import Topics  # noqa: E402

TEST_SECONDS = 400


def pytest_configure(config):
    config.addinivalue_line("markers", "long: too long for make check; make check-faults has it")
    config.addinivalue_line("markers", "watching: needs Prometheus; make check-watching has it")
    config.addinivalue_line("markers", "kubernetes: make check-kubernetes has it")
    config.addinivalue_line("markers", "debezium: needs Debezium Server; make check-debezium has it")
    config.addinivalue_line("markers", "packages: make check-packages has it")
    config.addinivalue_line("markers", "early: takes long, so that no other should be before it")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """
    Tests that take long come first: else processes would wait for the last of them at the end.
    Those with brokers that only they have share them.
    """
    for item in items:
        for servers in {"guarded", "trio"} & set(item.fixturenames):
            item.add_marker(pytest.mark.xdist_group(servers))
    items.sort(key=lambda item: not (item.get_closest_marker("early")
                                     or "killed_servers" in item.fixturenames))


@pytest.fixture(scope="session")
def postgres():
    with Postgres() as server:
        server.create_database()
        yield server


@pytest.fixture(scope="session")
def kafka():
    with Kafka() as server:
        yield server


@pytest.fixture(autouse=True)
def deadline(request):
    """Nothing hangs forever: a test that takes too long fails.  Making an image takes long."""
    seconds = TEST_SECONDS * (4 if request.node.get_closest_marker("packages") else 1)

    def give_up(*_):
        raise AssertionError(f"the test took more than {seconds} s")
    previous = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, previous)


@pytest.fixture
def schema(postgres):
    own = Schema(postgres)
    yield own
    own.drop()


@pytest.fixture
def killed_servers(schema, postgres, kafka):
    """For tests that stop servers: however they end, the next one has both, and the schema goes."""
    yield
    if not postgres.process.is_alive():
        postgres.start()
    for broker in kafka.brokers:
        if not broker.is_running():
            kafka.start(broker.node)


@pytest.fixture
def topics(kafka):
    return Topics(kafka)


@pytest.fixture
def make_topic(topics):
    return topics.make


@pytest.fixture
def consume(topics):
    return topics.consume


@pytest.fixture
def count_in_log(topics):
    return topics.count_in_log


@pytest.fixture(scope="session")
def workspace():
    """A folder that disappears with the session (pytest's own tmp_path stays)."""
    folder = TempFolder("tests")
    yield folder.path
    folder.remove()


@pytest.fixture
def folder(workspace):
    return Path(tempfile.mkdtemp(dir=workspace))


@pytest.fixture
def signalbus(folder, postgres, kafka, schema):  # the schema is dropped after the runs are gone
    runner = Signalbus(folder, postgres.conninfo(), kafka.bootstrap)
    yield runner
    runner.discard()


@pytest.fixture
def reader(folder, postgres, kafka):
    with reader_of(folder, postgres, kafka) as reader:
        yield reader


@pytest.fixture
def way_to_broker(signalbus, kafka):
    """The proxy by which signalbus comes to the broker."""
    [broker] = kafka.brokers
    with Proxy(broker.byway_port, broker.proxy_port) as proxy:
        signalbus.bootstrap = kafka.bootstrap_by_proxy
        yield proxy
        signalbus.discard()


@pytest.fixture
def way_to_database(signalbus, postgres):
    """The proxy through which signalbus connects to the database."""
    with Proxy(postgres.port) as proxy:
        signalbus.database = postgres.conninfo(port=proxy.port, sslmode="disable",
                                               gssencmode="disable")
        yield proxy
        signalbus.discard()


@pytest.fixture
def role(signalbus, schema, postgres):
    """A role that signalbus uses, with the privileges that a signal table needs, except those that
    are revoked."""
    name = f"{schema} relay"
    schema.execute(f'CREATE ROLE "{name}" LOGIN')
    schema.execute(f'GRANT USAGE ON SCHEMA {schema} TO "{name}"')
    schema.execute(f'ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} '
                   f'GRANT SELECT, DELETE, UPDATE ON TABLES TO "{name}"')
    signalbus.database = postgres.conninfo(user=name)
    yield f'"{name}"'
    cleaner = postgres.connect()
    cleaner.cursor().execute(f'DROP OWNED BY "{name}" CASCADE')
    cleaner.cursor().execute(f'DROP ROLE "{name}"')
    cleaner.close()


@pytest.fixture
def log_in(postgres):
    """Opens sessions of a user that pretend to be those of a signalbus."""
    sessions = []

    def connect(user):
        sessions.append(psycopg2.connect(postgres.conninfo(user=user), connect_timeout=10,
                                         application_name="signalbus"))
        sessions[-1].autocommit = True
        return sessions[-1]
    yield connect
    for session in sessions:
        session.close()


@pytest.fixture
def install(signalbus, schema):
    """Installs the triggers of the configuration, so that nothing is warned of."""
    return lambda: schema.execute(signalbus("triggers").expect(0).stdout)


@pytest.fixture
def check(signalbus):
    """Runs it; returns its lines about something, with a status that goes with all of them."""
    def run(*arguments, about="", **options):
        completed = signalbus("check", *arguments, **options)
        assert completed.stderr == "", completed
        problems = [line for line in completed.findings() if not line.startswith("warning: ")]
        completed.expect(1 if problems else 0)
        return completed.findings(about)
    return run
