"""Exactly once, and a service with another database and the same broker has the same instance."""

import pytest

from runner import Signalbus, ids, model


class Service:
    """A signalbus with a database and a topic of its own."""

    def __init__(self, signalbus, cursor, topic, instance):
        self.signalbus, self.cursor, self.topic = signalbus, cursor, topic
        cursor.execute("CREATE TABLE t (id bigint PRIMARY KEY, payload text)")
        self.configure(instance)

    def configure(self, instance):
        self.signalbus.configure(model("A", "t", self.topic), delivery="exactly-once",
                                 instance=instance, timeout=10, workers=1, notify_channel="")

    def insert(self, number):
        self.cursor.execute("INSERT INTO t VALUES (%s, 'x')", [number])

    def count(self):
        self.cursor.execute("SELECT count(*) FROM t")
        return self.cursor.fetchone()[0]


@pytest.fixture
def services(folder, postgres, kafka, schema, make_topic):
    """Two of them, in databases of one server."""
    services = []
    for letter in "ab":
        own = folder / letter
        own.mkdir(mode=0o700)
        name = f"{schema}_{letter}"
        postgres.create_database(name)
        signalbus = Signalbus(own, postgres.conninfo(name), kafka.bootstrap)
        services.append(Service(signalbus, postgres.connect(name).cursor(), make_topic(), str(schema)))
    yield services
    for service in services:
        service.signalbus.discard()
        name = service.cursor.connection.info.dbname
        service.cursor.connection.close()
        schema.execute(f"DROP DATABASE {name} WITH (FORCE)")


def refusal(schema, services, by):
    """What the service number by says of the other one."""
    names = [f'"{service.cursor.connection.info.dbname}"' for service in services]
    return (f'kafka: slot 0 of instance "{schema}" has numbers of another database, '
            f"{names[1 - by]} (oid "), f'and this one is {names[by]} (oid ', (
            '; set "instance" to a name that no other database uses')


@pytest.mark.parametrize("is_known", [True, False], ids=["system-known", "system-unknown"])
def test_the_second_one_disturbs_nobody(services, schema, consume, is_known):
    """It does not even fence the other: what that has begun is not aborted."""
    first, second = services
    daemon = first.signalbus.start("-vv", "run")
    first.insert(1)
    schema.wait_until(lambda: first.count() == 0, what="sent")
    if not is_known:
        second.cursor.execute("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
    second.insert(1)
    for command in (["flushmany"], ["flushmany", "-j", "2"], ["check"]):
        completed = second.signalbus(*command).expect(1)
        for part in refusal(schema, services, by=1):
            assert (completed.stdout + completed.stderr).count(part) == 1, completed
    assert second.count() == 1
    if not is_known:
        [line] = completed.findings("the system identifier of the server may not be read")
        second.cursor.execute(line.rpartition("; ")[2])
    assert second.signalbus("check").findings("system identifier of the server may") == []
    first.insert(2)
    schema.wait_until(lambda: first.count() == 0, what="sent")
    assert "fenced" not in daemon.stop().expect(0).stderr
    second.configure(f"{schema}-b")
    second.signalbus("flushmany").expect_silence()
    for service, numbers in ((first, [1, 2]), (second, [1])):
        assert ids(consume(service.topic, len(numbers))) == numbers


def test_both_begin_at_the_same_time(services, schema, consume):
    """Neither has stored a number when the other takes the slot; who is first with it stays."""
    first, second = services
    daemon = first.signalbus.start("run")
    schema.wait_until(lambda: schema.value(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND query = 'ROLLBACK'",
        first.cursor.connection.info.dbname), what="a claim that finds nothing")
    second.insert(1)
    second.signalbus("flushmany").expect_silence()
    first.insert(1)
    daemon.wait_log(refusal(schema, services, by=0)[0])
    assert first.count() == 1
    second.insert(2)
    second.signalbus("flushmany").expect_silence()
    assert ids(consume(second.topic, 2)) == [1, 2]
