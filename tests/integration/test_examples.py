"""conf/examples/: each runs as it stands, and sends what it says."""

import contextlib
import json
import uuid

import pytest

from servers import ROOT

EXAMPLES = ROOT / "conf" / "examples"


class Example:
    """An example's tables in a database of their own, and the program run with its file."""

    def __init__(self, name, database, postgres, kafka, signalbus):
        self.path = EXAMPLES / f"{name}.conf"
        self.environment = {"PGHOST": "127.0.0.1", "PGPORT": str(postgres.port),
                            "PGUSER": "postgres", "PGDATABASE": database,
                            "KAFKA_BROKERS": kafka.bootstrap}
        self.signalbus = signalbus
        self.connection = postgres.connect(database)
        self.execute((EXAMPLES / f"{name}.sql").read_text())

    def execute(self, sql):
        cursor = self.connection.cursor()
        cursor.execute(sql)
        return cursor.fetchall() if cursor.description else None

    def run(self, *words):
        return self.signalbus.bare("-c", self.path, *words, environment=self.environment)

    def is_empty(self, table):
        return self.execute(f"SELECT count(*) FROM {table}") == [(0,)]


@pytest.fixture
def example(postgres, kafka, signalbus):
    with contextlib.ExitStack() as stack:
        def make(name):
            database = f"example_{name}_{uuid.uuid4().hex[:8]}"
            postgres.create_database(database)
            made = Example(name, database, postgres, kafka, signalbus)
            stack.callback(made.connection.close)
            return made
        yield make


def contents(messages):
    return [(message.key, message.value, dict(message.headers)) for message in messages]


def test_each_example_has_a_test():
    assert {path.name for path in EXAMPLES.iterdir()} == {
        f"{name}.{suffix}" for name in ("plain", "children", "cloudevents", "debezium", "flask")
        for suffix in ("conf", "sql") if f"test_{name}" in globals()}


def test_plain(example, topics, consume):
    topics.make(name="orders.created")
    plain = example("plain")
    plain.run("flushordered").expect_silence()
    assert contents(consume("orders.created", 2)) == [
        (b"7", b'{"id":1,"customer_id":7,"total":12.50,"created":"2026-11-23T16:00:00+00:00"}', {}),
        (b"8", b'{"id":2,"customer_id":8,"total":1999.90,"created":"2026-11-23T16:00:01+00:00"}',
         {})]
    assert plain.is_empty("shop.order_created")


def test_children(example, topics, consume):
    topics.make(name="orders.shipped")
    children = example("children")
    children.run("flushmany").expect_silence()
    assert contents(consume("orders.shipped", 1)) == [
        (b"4711", b'{"order_id":4711,"shippedAt":"2026-11-23T16:00:00+00:00",'
                  b'"lines":[{"sku" : "lamp", "quantity" : 2}, {"sku" : "bulb", "quantity" : 6}]}',
         {})]
    assert children.is_empty("shop.order_shipped") and children.is_empty("shop.shipped_line")


def test_cloudevents(example, topics, consume):
    topics.make(name="shop.events")
    cloudevents = example("cloudevents")
    cloudevents.run("flushmany").expect_silence()
    messages = sorted(consume("shop.events", 2), key=lambda message: message.timestamp)
    common = {"ce_specversion": b"1.0", "ce_source": b"/shop", "content-type": b"application/json"}
    assert contents(messages) == [
        (b"order/1", b'{"order": 1, "total": 12.50}',
         {**common, "ce_id": b"6b0cbb1e-7c5c-4c3d-9d0e-2d0f0a5b7a11",
          "ce_type": b"com.example.order.created", "ce_subject": b"order/1",
          "ce_time": b"2026-11-23T16:00:00.123456+00:00"}),
        (None, b'{"lamp": 3}',
         {**common, "ce_id": b"0d7a5c64-62de-4d3b-8a4f-5d6f4bb0a0a2",
          "ce_type": b"com.example.stock.counted", "ce_time": b"2026-11-23T16:00:01+00:00"})]
    assert [message.timestamp for message in messages] == [1795449600123, 1795449601000]
    assert cloudevents.is_empty("shop.event")


def test_debezium(example, topics, consume):
    """
    What Debezium's outbox event router makes of these rows with StringConverter: its defaults are
    table.field.event.id=id (the header), table.field.event.key=aggregateid,
    table.field.event.payload=payload, route.by.field=aggregatetype and
    route.topic.replacement=outbox.event.${routedByValue}; jsonb is PostgreSQL's text of it.
    """
    for name in ("Order", "Customer"):
        topics.make(name=f"outbox.event.{name}")
    debezium = example("debezium")
    debezium.run("flushordered").expect_silence()
    assert contents(consume("outbox.event.Order", 2)) == [
        (b"1", b'{"id": 1, "lineItems": [{"id": 1, "item": "Debezium in Action"}]}',
         {"id": b"406c07f3-26f0-4eea-a50c-109940064b8f"}),
        (b"1", None, {"id": b"b7a1d3f2-1a55-4f8c-bb0e-3e2c2f0f9c11"})]
    assert contents(consume("outbox.event.Customer", 1)) == [
        (b"123", b'{"id": 123, "city": "Brno"}',
         {"id": b"cb31eb09-23c0-4ae9-8a5d-8b9c9c2b1a5e"})]
    assert debezium.is_empty("outbox")


def test_flask(example, topics, consume):
    """
    What json.dumps(TransferSignal.__marshmallow_schema__.dump(signal), default=str) gave for these
    rows, with the model in flask.sql, Flask-SignalBus 0.5.20 and marshmallow 3.26.1.
    """
    topics.make(name="transfers")
    flask = example("flask")
    flask.run("flushordered").expect_silence()
    messages = consume("transfers", 2)
    assert [message.key for message in messages] == [b"42", b"42"]
    assert [json.loads(message.value) for message in messages] == [
        {"account": 42, "lines": [1, 2], "id": 1, "amount": "19.90", "hold": 93601,
         "details": {"a": [1, 2.5]}, "note": 'Gr\u00fc\u00dfe "x"',
         "made_at": "2026-11-23T16:00:00+00:00"},
        {"account": 42, "lines": [], "id": 2, "amount": "5.00", "hold": None, "details": None,
         "note": None, "made_at": "2026-11-23T16:00:00.120000+00:00"}]
    assert flask.is_empty("transfer_signal") and flask.is_empty("transfer_line")
