"""The way to the database: hosts and addresses that say nothing, refuse, or are not the right one."""

import contextlib
import re
import socket

import pytest

from inject import injector
from proxy import Proxy
from runner import Signalbus, every_flush, ids, is_sanitized, model
from schemas import Schema
from secured import Authority, SecuredPostgres
from servers import Ports, wait_until
from test_metrics import Site


@contextlib.contextmanager
def silent(address="127.0.0.9", port=None, family=socket.AF_INET):
    """A server that accepts and says nothing; yields its port."""
    with socket.create_server((address, port or 0), family=family, backlog=100) as server:
        yield server.getsockname()[1]


@pytest.fixture
def table(signalbus, schema, make_topic):
    """Configures a model with three rows, and a database that several hosts may have."""
    def configure(database, **settings):
        signalbus.database = database
        signalbus.configure(model("A", schema.make_signals("t", 3), make_topic(), burst_count=10),
                            **settings)
    return configure


def by_hosts(postgres, *others, **more):
    """A connection string that has others in front of the real one: pairs of host and port."""
    hosts = [*others, ("127.0.0.1", postgres.port)]
    return postgres.conninfo(host=",".join(host for host, _ in hosts),
                             port=",".join(str(port) for _, port in hosts), **more)


@every_flush
def test_a_silent_host_is_got_past(signalbus, schema, postgres, table, flush):
    with silent() as port:
        table(by_hosts(postgres, ("127.0.0.9", port)), timeout=6.0)
        signalbus(*flush).expect(0)
    assert schema.count("t") == 0


def test_a_daemon_gets_past_silent_hosts(signalbus, schema, postgres, table):
    """With the limit that the connection string has, and begins with the one that answered."""
    with socket.create_server(("127.0.0.9", 0), backlog=100) as server:
        server.setblocking(False)
        port, visitors = server.getsockname()[1], []

        def visits():
            with contextlib.suppress(BlockingIOError):
                while True:
                    visitors.append(server.accept())
            return len(visitors)
        table(by_hosts(postgres, ("127.0.0.9", port), ("127.0.0.10", Ports.take()),
                       connect_timeout=1), workers=1, notify_channel="")
        daemon = signalbus.start("run")
        wait_until(lambda: schema.count("t") == 0, 20, "the signals gone")
        for number in range(4):
            schema.end_backends()
            schema.insert_signals("t", 1, number)
            wait_until(lambda: schema.count("t") == 0, 20, "the signal gone")
        assert 1 <= visits() <= 2  # of the worker, and of what counts
        log = daemon.stop().expect(0).stderr
    assert "waiting for it" not in log


def test_the_next_try_begins_with_another_host(signalbus, schema, postgres, table):
    """If one takes all the time of an attempt."""
    with silent() as port, silent("127.0.0.10") as other:
        table(by_hosts(postgres, ("127.0.0.9", port), ("127.0.0.10", other),
                       connect_timeout=60), timeout=1.5)
        signalbus("pending").expect(0)


def test_each_host_is_reported_with_its_reason(signalbus, table, postgres):
    away = Ports.take()
    with silent() as port:
        table(f"host=127.0.0.9,127.0.0.10,no-such-host.invalid port={port},{away},1 dbname=x",
              timeout=1.0)
        reason = signalbus("flushmany").expect_failure()
    assert re.search(rf'server at "127.0.0.9", port {port} failed: timed out after \d\.\d s waiting '
                     "for the server's answer", reason), reason
    assert f'server at "127.0.0.10", port {away} failed: Connection refused' in reason
    assert 'host name "no-such-host.invalid" has no address: ' in reason


@pytest.mark.skipif(is_sanitized(), reason="a sanitizer stands before the same calls")
def test_the_addresses_of_a_name(signalbus, schema, postgres, table):
    """The first one of them is silent, by the same port; the next try begins with another one."""
    addresses = {"LD_PRELOAD": str(injector("addresses.so")),
                 "ADDRESSES": "127.0.0.9,127.0.0.10,127.0.0.1"}
    with silent("127.0.0.9", postgres.port), silent("127.0.0.10", postgres.port):
        table(postgres.conninfo(host="many.test"), timeout=7.0)
        run = signalbus("flushmany", environment=addresses).expect(0)
        assert schema.count("t") == 0 and run.seconds > 3.5
        signalbus.configure(model("A", schema.table("t")), timeout=1.0)
        reason = signalbus("flushmany", environment={**addresses, "ADDRESSES": "127.0.0.9"}
                           ).expect_failure()
    assert f'server at "many.test" (127.0.0.9), port {postgres.port} failed: timed out' in reason


@pytest.mark.skipif(is_sanitized(), reason="a sanitizer stands before the same calls")
def test_a_resolver_that_does_not_answer(signalbus, schema, postgres, table):
    """It takes its share of the time only, and holds up no shutdown."""
    environment = {"LD_PRELOAD": str(injector("addresses.so"))}
    table(postgres.conninfo(host="stuck.test,127.0.0.1", connect_timeout=1), timeout=4.0)
    run = signalbus("flushmany", environment=environment).expect(0)
    assert schema.count("t") == 0 and 1 <= run.seconds < 3
    signalbus.database = postgres.conninfo(host="stuck.test")
    signalbus.configure(model("A", schema.table("t")), timeout=1.0)
    assert ('host name "stuck.test": no answer from the resolver for 1.0 s'
            in signalbus("flushmany", environment=environment).expect_failure())
    signalbus.configure(model("A", schema.table("t")), timeout=60.0)
    daemon = signalbus.start("run", environment=environment)
    daemon.wait_log("started")
    daemon.stop(timeout=3).expect(0)


@pytest.mark.skipif(is_sanitized(), reason="a sanitizer stands before the same calls")
def test_hosts_in_random_order(signalbus, table):
    """If load_balance_hosts says so; else the first one is tried first."""
    ports = [Ports.take() for _ in range(3)]
    table("host=127.0.0.1,127.0.0.1,127.0.0.1 port=" + ",".join(map(str, ports)) + " dbname=x")

    def first_port(**environment):
        running = signalbus.start("pending", environment=environment)
        running.wait_log("trying again")
        running.discard()
        return int(re.search(r"port (\d+) failed", running.log())[1])
    assert {first_port() for _ in range(3)} == {ports[0]}
    environment = {"LD_PRELOAD": str(injector("addresses.so")), "PGLOADBALANCEHOSTS": "random"}
    seen = set()
    wait_until(lambda: seen.add(first_port(**environment)) or len(seen) == 3, 20, "each of them")


@pytest.mark.parametrize("way", ["setting", "environment"])
def test_a_standby_is_not_preferred(signalbus, schema, table, way):
    """Nothing could be sent from one."""
    attributes = "target_session_attrs=prefer-standby"
    path, environment = signalbus.config, {}
    if way == "setting":
        table(f"{signalbus.database} {attributes}")
    else:
        table(signalbus.database)
        environment["PGTARGETSESSIONATTRS"] = "prefer-standby"
    run = signalbus("check", environment=environment).expect(78)
    assert re.search(rf"{path}:1: database: {attributes}: a standby takes no writes", run.stderr), run


@pytest.mark.parametrize("way", ["service", "environment", "URI", "socket"])
def test_however_the_hosts_are_named(signalbus, schema, postgres, table, folder, way):
    environment = {}
    with silent() as port:
        names, ports = "127.0.0.9,127.0.0.1", f"{port},{postgres.port}"
        if way == "service":
            (folder / "services").write_text(f"[s]\nhost={names}\nport={ports}\nuser=postgres\n"
                                             "dbname=signalbus\n")
            environment, database = {"PGSERVICEFILE": str(folder / "services")}, "service=s"
        elif way == "environment":
            environment = {"PGHOST": names, "PGPORT": ports, "PGUSER": "postgres"}
            database = "dbname=signalbus"
        elif way == "URI":
            database = (f"postgresql://postgres@127.0.0.9:{port},127.0.0.1:{postgres.port}/"
                        "signalbus")
        else:
            database = postgres.conninfo(host=f"127.0.0.9,{postgres.sockets}", port=ports)
        table(database, timeout=3.0)
        signalbus("flushmany", environment=environment).expect(0)
    assert schema.count("t") == 0


def test_names_are_verified_and_passwords_found_by_them(folder, kafka):
    """Though addresses are what is connected to."""
    authority = Authority(folder, "ours")
    server = SecuredPostgres(authority, {"ssl": "on"}, "hostssl all relay all scram-sha-256\n")
    try:
        server.start()
        server.create_database()
        schema = Schema(server)
        schema.execute("CREATE ROLE relay LOGIN SUPERUSER PASSWORD 'secret'")
        passwords = folder / "passwords"
        passwords.write_text(f"localhost:{server.port}:*:relay:secret\n*:*:*:*:wrong\n")
        passwords.chmod(0o600)
        environment = {"PGPASSFILE": str(passwords)}
        runner = Signalbus(folder, "", kafka.bootstrap)
        reasons = {}
        with silent() as port:
            for table, name in enumerate(("localhost", "127.0.0.1")):
                runner.database = server.conninfo(
                    host=f"127.0.0.9,{name}", port=f"{port},{server.port}", user="relay",
                    sslmode="verify-full", sslrootcert=authority.certificate, connect_timeout=1)
                runner.configure(model("A", schema.make_signals(f"t{table}"), "any"),
                                 timeout=2.0)
                reasons[name] = runner("pending", environment=environment)
        assert "Total pending: 0" in reasons["localhost"].expect(0).stdout
        assert "does not match host name" in reasons["127.0.0.1"].expect(1).stderr
    finally:
        server.remove()


@pytest.fixture
def limited(signalbus, schema, postgres):
    """A role with this limit of connections; None: any number."""
    role = f"limited_{schema}"
    schema.execute(f"CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA {schema} TO {role}")

    def limit(count):
        schema.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA {schema} TO {role}")
        schema.execute(f"ALTER ROLE {role} CONNECTION LIMIT {-1 if count is None else count}")
        signalbus.database = postgres.conninfo(user=role)
    yield limit
    signalbus.discard()
    schema.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


REFUSED = "too many connections for role"


@pytest.mark.parametrize("limit, jobs", [(3, 8), (1, 2)])
def test_fewer_connections_flush_all(signalbus, schema, make_topic, topics, limited, limit, jobs):
    topic = make_topic()
    table = schema.make_signals("t", 300)
    limited(limit)
    signalbus.configure(model("A", table, topic, burst_count=10), timeout=20.0)
    run = signalbus("flushmany", "-j", jobs).expect(0)
    assert schema.count("t") == 0
    [line] = run.stderr.splitlines()
    assert f" warning: only {limit} of {jobs} connections to the database: " in line
    assert REFUSED in line
    assert set(ids(topics.read(topic, 300))) == set(range(1, 301))


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_a_daemon_with_fewer_connections(signalbus, schema, make_topic, limited, limit):
    """It works with those, is ready, hears notifications where it has two, and takes more later."""
    site = Site()
    table = schema.make_signals("t")
    limited(limit)
    signalbus.configure(model("A", table, make_topic()), workers=4, timeout=5.0,
                        poll_interval=60.0 if limit > 1 else 0.2, metrics_listen=str(site))
    schema.execute(signalbus("triggers").expect(0).stdout)
    assert (f"warning: database: role limited_{schema} has CONNECTION LIMIT {limit}, and the daemon "
            "opens 6 connections" in signalbus("check").stdout)
    daemon = signalbus.start("run")
    daemon.wait_log(REFUSED)
    for number in range(5):
        schema.insert_signals("t", 1, number)
        wait_until(lambda: schema.count("t") == 0, 20, "the signal gone")
        assert site.is_ready() and site.value("signalbus_database_up") == 1
    limited(None)
    daemon.wait_log("all 4 connections to the database are established", 90)
    log = daemon.stop().expect(0).stderr
    assert log.count(" of 4 connections to the database: ") == 1 == log.count(REFUSED), log
    assert "waiting for it" not in log


def test_a_listener_that_hears_nothing_is_replaced(signalbus, schema, postgres, make_topic):
    """Its connection is half open: the server's side has gone without a word."""
    table = schema.make_signals("t")
    signalbus.configure(model("A", table, make_topic()))
    schema.execute(signalbus("triggers").expect(0).stdout)
    with Proxy(postgres.port) as proxy:
        signalbus.database = postgres.conninfo(port=proxy.port)
        signalbus.configure(model("A", table, make_topic()), poll_interval=60.0, timeout=1.0)
        proxy.mark = b"LISTEN "
        daemon = signalbus.start("run")
        for number in range(3):  # the last ones by notifications
            schema.insert_signals("t", 1, number)
            wait_until(lambda: schema.count("t") == 0, 20, "the signal gone")
        proxy.swallow_marked()
        daemon.wait_log("cannot receive notifications: database at 127.0.0.1 port")
        daemon.wait_log("notifications are received again, after")
        for number in range(3, 6):
            schema.insert_signals("t", 1, number)
            wait_until(lambda: schema.count("t") == 0, 20, "the signal gone")
        log = daemon.stop().expect(0).stderr
        assert log.count("cannot receive notifications") in (1, 2)  # the reason may change once
        assert log.count("notifications are received again") == 1
        signalbus.discard()
