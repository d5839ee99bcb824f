"""What a broker, or the way to it, does to messages is logged once, with the true reason."""

import itertools
import json
import time

import pytest
from confluent_kafka.admin import NewTopic

from proxy import Proxy
from runner import every_flush, ids, is_sanitized, model
from servers import Kafka, Ports, wait_until
from test_metrics import Site, start, wait_value
from topics import Topics

TIMEOUT = 2.0
SLOWER = 5 if is_sanitized() else 1


@pytest.fixture
def site():
    return Site()


def wait_unready(site, *reasons):
    """Not ready, for reasons that hold all these words."""
    def is_unready():
        answer = site.ask("/readyz")
        return answer.status == 503 and all(word in answer.text for word in reasons)
    try:
        wait_until(is_unready, 3 * (TIMEOUT + 5) * SLOWER, f"not ready: {reasons}")
    except AssertionError as error:
        raise AssertionError(f"{error}; {site.ask('/readyz').text}") from None
    assert site.value("signalbus_broker_up") == 0


def warnings(daemon, text=": "):
    """That an outage begins."""
    return [line for line in daemon.log().splitlines()
            if " warning: kafka: " in line and text in line and " again, after " not in line]


def ends(daemon):
    return [line for line in daemon.log().splitlines()
            if " warning: kafka: " in line and " again, after " in line]


def test_an_advertised_address_that_refuses(signalbus, schema, kafka, make_topic, consume, site):
    """The bootstrap server answers, and says that the leader is where nobody is."""
    [broker] = kafka.brokers
    topic, nobody = make_topic(), broker.proxy_address
    signalbus.bootstrap = f"127.0.0.1:{broker.byway_port}"
    others = [model(name, schema.table("t"), make_topic(), where="id < 0")
              for name in "BCDEFGHIJ"]
    signalbus.configure(*others, model("A", schema.make_signals("t"), topic), timeout=TIMEOUT,
                        metrics_listen=str(site), poll_interval=0.1)
    start_of_check = time.monotonic()
    [line] = signalbus("check").expect(1).stdout.splitlines()[-1:]
    assert time.monotonic() - start_of_check < len(others) * TIMEOUT * SLOWER  # each leader is asked once
    assert line.startswith(f'model "A": topic {topic}: the leader of partition 0, broker 1 at '
                           f"{nobody} (advertised.listeners), cannot be reached: ")
    assert "Connection refused" in line
    daemon = start(signalbus, site)
    schema.insert_signals("t", 1)
    wait_unready(site, f"the broker answers, but stores nothing: topic {topic}: the leader of "
                       f"partition 0, broker 1 at {nobody} (advertised.listeners), cannot be "
                       "reached: ", "Connection refused")
    [line] = warnings(daemon)
    assert nobody in line and "Connection refused" in line and "(after" not in line
    with Proxy(broker.byway_port, broker.proxy_port):
        wait_until(site.is_ready, 20 * SLOWER, "readiness")
        daemon.wait_log("kafka: the broker stores messages again")
        wait_until(lambda: schema.count("t") == 0, 20, "t empty")
        daemon.stop().expect(0)
        assert len(warnings(daemon)) == len(ends(daemon)) == 1
    assert set(ids(consume(topic, 1))) == {1}


@pytest.fixture(scope="module")
def trio():
    """A cluster of three brokers; each test leaves all of them as they were."""
    with Kafka(brokers=3) as kafka:
        yield kafka


@pytest.mark.early
def test_too_few_replicas_in_sync(signalbus, schema, trio, site):
    """check, a flush and the daemon report it; sending continues when they are back."""
    topic = Topics(trio).make(config={"min.insync.replicas": "3"}, replicas=3)
    signalbus.bootstrap = trio.bootstrap
    signalbus.configure(model("A", schema.make_signals("t", 1), topic), timeout=TIMEOUT,
                        metrics_listen=str(site), poll_interval=0.1, notify_channel="")
    trio.kill(3)
    reason = ("partition 0 has 2 of 3 replicas in sync, fewer than min.insync.replicas (3); "
              "start the brokers that have the other replicas")
    wait_until(lambda: signalbus("check").findings()
               == [f'model "A": topic {topic}: {reason}'], 30, "what check says")
    assert f"topic {topic}: {reason}" in signalbus("flushmany").expect_failure()
    daemon = start(signalbus, site)
    wait_unready(site, f"the broker answers, but stores nothing: topic {topic}: {reason}")
    trio.start(3)
    wait_until(site.is_ready, 30 * SLOWER, "readiness")
    wait_until(lambda: schema.count("t") == 0, 20, "t empty")
    daemon.stop().expect(0)
    assert len(warnings(daemon, reason)) == 1
    assert daemon.log().count("kafka: the broker stores messages again") == 1
    signalbus.discard()


def gone(schema, table, limit=20):
    wait_until(lambda: schema.count(table) == 0, limit * SLOWER, f"{table} empty")


def stored_by(kafka, schema, name, broker):
    """A model whose topic one of the brokers stores alone; in order if it is named so."""
    topic = Topics.unique_name()
    new = NewTopic(topic, 1, replica_assignment=[[broker]])
    admin = kafka.admin()  # it has to live until the answer is there
    admin.create_topics([new], operation_timeout=20)[topic].result(timeout=30)
    return model(name, schema.make_signals(name.lower()), topic,
                 **({"order_by": ["id"]} if name.startswith("Order") else {}))


@pytest.mark.early
def test_an_unavailable_leader_holds_up_its_own_topics_only(signalbus, schema, trio, site):
    """With one worker, too; each model's failure is logged once, with the true reason."""
    names = ("A", "C", "Order1", "Order2")
    signalbus.bootstrap = trio.bootstrap
    signalbus.configure(*(stored_by(trio, schema, name, 3) for name in names),
                        stored_by(trio, schema, "Z", 1), timeout=5, poll_interval=0.1, workers=1,
                        metrics_listen=str(site), notify_channel="")
    daemon = start(signalbus, site)
    for name in names:
        schema.insert_signals(name.lower(), 1)
    for name in names:
        gone(schema, name.lower())
    trio.kill(3)
    for name in names:
        schema.insert_signals(name.lower(), 3, 2)
    for number in itertools.count(1):
        schema.insert_signals("z", 1, number)
        gone(schema, "z", 4)
        if all(f'model "{name}": topic' in daemon.log() for name in names):
            break
    run = signalbus("flushmany", "A", "Z").expect(1)
    assert ": partition 0 has no leader; start a broker that has a replica of it" in run.expect_failure()
    trio.start(3)
    for name in names:
        gone(schema, name.lower(), 30)
        daemon.wait_log(f'model "{name}": resumed after')
    log = daemon.stop().expect(0).stderr
    for name in names:
        lines = [line for line in log.splitlines() if f'model "{name}"' in line]
        assert len(lines) <= 3, lines  # at first it cannot be reached, then there is none
        assert all("partition 0" in line and "broker" in line for line in lines[:-1]), lines
    assert 'model "Z"' not in log
    signalbus.discard()


def test_a_frozen_broker_is_noticed_without_signals(signalbus, schema, kafka, make_topic, site):
    signalbus.configure(model("A", schema.make_signals("t"), make_topic()), timeout=TIMEOUT,
                        metrics_listen=str(site))
    daemon = start(signalbus, site)
    kafka.freeze()
    try:
        wait_unready(site, "kafka: the broker does not answer: it accepts connections, but has "
                           f"not answered for {TIMEOUT:.0f} s")
    finally:
        kafka.thaw()
    wait_until(site.is_ready, 20 * SLOWER, "readiness")
    daemon.stop().expect(0)
    assert len(warnings(daemon)) == len(ends(daemon)) == 1
    assert daemon.log().count("kafka: the broker answers") == 2


@pytest.mark.early
def test_idle_connections_that_the_broker_closes(signalbus, schema, site):
    """No outage, and nothing waits for it."""
    with Kafka(settings={"connections.max.idle.ms": 1000}) as kafka:
        signalbus.bootstrap = kafka.bootstrap
        signalbus.configure(model("A", schema.make_signals("t"), Topics(kafka).make()),
                            poll_interval=0.05, metrics_listen=str(site))
        daemon = start(signalbus, site)
        for number in range(1, 4):
            schema.insert_signals("t", 1, number)
            wait_until(lambda: schema.count("t") == 0, 10, "a signal is gone", pause=0.005)
            idle = time.monotonic() + 2
            while time.monotonic() < idle:
                assert site.is_ready()
                time.sleep(0.02)
        daemon.stop().expect(0)
        assert warnings(daemon) == [] and daemon.log().count("the broker answers") == 1
        signalbus.discard()


@pytest.mark.parametrize("bootstrap, kafka_settings, reason", [
    ("no-such-host.invalid:9092", {}, "Failed to resolve 'no-such-host.invalid:9092'"),
    ("{kafka}", {"security_protocol": "ssl"}, "does the broker speak TLS on this port?"),
    ("127.0.0.1:{postgres}", {}, "is it a Kafka broker?"),
    ("127.0.0.1:{nobody}", {}, "Connection refused"),
], ids=["name", "TLS", "PostgreSQL", "nobody"])
def test_the_reason_is_the_roots(signalbus, schema, postgres, kafka, bootstrap, kafka_settings,
                                 reason):
    signalbus.bootstrap = bootstrap.format(kafka=kafka.bootstrap, postgres=postgres.port,
                                           nobody=Ports.take())
    signalbus.configure(model("A", schema.make_signals("t", 1)), timeout=TIMEOUT,
                        kafka=kafka_settings)
    daemon = signalbus.start("run")
    daemon.wait_log("the broker does not answer: ")
    time.sleep(0.5)
    daemon.stop().expect(0)
    [line] = warnings(daemon, "the broker does not answer")
    assert reason in line and "(after" not in line


def test_flush_and_check_know_the_reason_as_well(signalbus, schema, postgres):
    signalbus.bootstrap = f"127.0.0.1:{postgres.port}"
    signalbus.configure(model("A", schema.make_signals("t", 1)), timeout=TIMEOUT)
    assert "is it a Kafka broker?" in signalbus("flushmany").expect_failure()
    assert "is it a Kafka broker?" in signalbus("check").expect(1).stdout


def rows(schema, count, size):
    schema.execute("CREATE TABLE t (id bigint PRIMARY KEY, payload text)")
    schema.execute("INSERT INTO t SELECT n, repeat('x', %s) FROM generate_series(1, %s) n",
                   size, count)
    return schema.table("t")


def test_in_order_a_topic_takes_less_than_a_batch(signalbus, schema, make_topic, consume):
    """Its limit is learned once, so that this takes no longer than without order."""
    topic = make_topic(config={"max.message.bytes": "20000"})
    signalbus.configure(model("A", rows(schema, 3000, 1000), topic, burst_count=1000,
                              order_by=["id"]), timeout=10)
    run = signalbus("flushordered").expect_silence()
    assert run.seconds < 30 * SLOWER  # it was 90
    assert ids(consume(topic, 3000)) == list(range(1, 3001))


def test_in_order_a_message_that_is_too_large_is_found_at_once(signalbus, schema, make_topic, consume):
    """With few new producers, which cost more than all else, not by halves."""
    topic = make_topic(config={"max.message.bytes": "20000"})
    table = rows(schema, 1000, 100)
    schema.execute("UPDATE t SET payload = repeat('x', 30000) WHERE id = 437")
    signalbus.configure(model("A", table, topic, burst_count=1000, order_by=["id"],
                              on_reject="dead-letter"), timeout=10, log_level="debug",
                        dead_letter_table=schema.table("dead"))
    schema.execute(signalbus("triggers").expect(0).stdout)
    run = signalbus("flushordered").expect(0)
    assert run.stderr.count("the producer for ordered bursts is replaced") <= 3
    assert ids(consume(topic, 999)) == [n for n in range(1, 1001) if n != 437]


@every_flush
def test_the_topics_limit_is_named(signalbus, schema, make_topic, flush):
    topic = make_topic(config={"max.message.bytes": "20000"})
    signalbus.configure(model("A", rows(schema, 1, 30_000), topic), timeout=5)
    size = len(json.dumps({"id": 1, "payload": "x" * 30_000}, separators=(",", ":")))
    assert (f"Broker: Message size too large: it has {size} bytes, and max.message.bytes of topic "
            f"{topic} is 20000; ") in signalbus(*flush).expect_failure()


def test_a_queue_that_is_too_small_is_named(signalbus, schema, make_topic):
    signalbus.configure(model("A", rows(schema, 1, 30_000), make_topic()), timeout=60,
                        kafka={"queue_buffering_max_kbytes": 10})
    run = signalbus("flushmany")
    size = len(json.dumps({"id": 1, "payload": "x" * 30_000}, separators=(",", ":")))
    assert (f"a message of {size} bytes does not fit into kafka.queue_buffering_max_kbytes (10)"
            in run.expect_failure())
    assert run.seconds < 30


def test_check_compares_limits(signalbus, schema, make_topic):
    """The limit of the producer is that of the topic that accepts most; others may accept less."""
    small = make_topic(config={"max.message.bytes": "20000"})
    medium = make_topic(config={"max.message.bytes": "50000"})
    large = make_topic(config={"max.message.bytes": "5000000"})
    table = schema.make_signals("t")

    def check(topics, *names, **kafka):
        signalbus.configure(*[model(name, table, topic, where=f"signal.id = {i}")
                              for i, (name, topic) in enumerate(topics.items())],
                            notify_channel="", kafka=kafka)
        return [line for line in signalbus("check", *names).expect(0).findings() if "max" in line]

    def too_small(name, topic, size, remedy):
        return (f'warning: model "{name}": topic {topic}: max.message.bytes is {size}, so larger messages '
                f"are rejected, though kafka.message_max_bytes allows 1000000; raise it{remedy}")

    topics = {"Small": small, "Medium": medium}
    remedy = ", or set kafka.message_max_bytes = 50000"
    assert check(topics) == [too_small("Small", small, 20000, remedy),
                             too_small("Medium", medium, 50000, remedy)]
    assert check(topics, "Small") == [too_small("Small", small, 20000, "")]
    assert check(topics, message_max_bytes=50000) == []
    topics["Large"] = large
    assert check(topics) == [
        f'warning: model "Large": topic {large}: max.message.bytes is 5000000, but messages of more '
        "than kafka.message_max_bytes (1000000) are rejected; set kafka.message_max_bytes = 5000000"]
    assert check(topics, message_max_bytes=5000000) == []


def test_check_wants_keys_for_compacted_topics(signalbus, schema, make_topic):
    compacts = make_topic(config={"cleanup.policy": "compact,delete"})
    models = [("NoKey", compacts, None), ("NullKey", compacts, "payload"), ("Key", compacts, "id")]
    signalbus.configure(
        *[model(name, schema.make_signals(name), topic, **({"key": key} if key else {}))
          for name, topic, key in models], notify_channel="")
    assert signalbus("check").expect(1).findings() == [
        f'model "NoKey": topic {compacts}: it is compacted (cleanup.policy), so it does not accept '
        "messages without a key and the model has none; set key",
        f'warning: model "NullKey": topic {compacts}: it is compacted (cleanup.policy), so it does not '
        f"accept messages without a key, and column payload of table {schema}.nullkey may be NULL; "
        f"ALTER TABLE {schema}.nullkey ALTER payload SET NOT NULL"]
