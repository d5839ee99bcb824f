"""
If only one burst is in flight, rows are sent while others of the same claim still come: from the
second burst on, when the first one went well.
"""

import contextlib

import pytest

from proxy import ANSWER
from runner import every_flush, ids, model, repeats
from servers import Meanwhile, wait_until
from topics import first_appearances

BURST = 1000

# flush claims by keys, in no order either; flushmany -j 2 has two bursts in flight.
one_by_one = pytest.mark.parametrize("flush", [("flushmany",), ("flushordered",)], ids=lambda f: f[0])


class Watch(Meanwhile):
    """Notes the different sizes that a log has had."""

    def __init__(self, topics, topic):
        super().__init__(pause=0.02)
        self.topics, self.topic = topics, topic
        self.sizes = set()

    def step(self):
        self.sizes.add(self.topics.count_in_log(self.topic))


def sizes(signalbus, topics, topic, way_to_database, flush, rate=70_000):
    """While the database's answers come slowly: 1,000 rows take about a second."""
    way_to_database.slow(rate=rate)
    with Watch(topics, topic) as watch:
        signalbus(*flush).expect_silence()
    return watch.sizes


@one_by_one
def test_rows_are_sent_while_others_come(signalbus, schema, make_topic, topics,
                                         way_to_database, flush):
    """As soon as they fill a batch, of a megabyte."""
    table, topic = schema.make_signals("t", 2 * BURST), make_topic()
    schema.execute("UPDATE t SET payload = repeat('x', 5000)")
    signalbus.configure(model("A", table, topic, burst_count=BURST, order_by=["id"],
                              burst_bytes=100_000_000))
    seen = sizes(signalbus, topics, topic, way_to_database, flush, rate=5_000_000)
    assert len([size for size in seen if BURST < size < 2 * BURST]) >= 3, seen
    assert ids(topics.read(topic, 2 * BURST)) == list(range(1, 2 * BURST + 1))


def test_two_connections_send_bursts_at_once(signalbus, schema, make_topic, topics,
                                             way_to_database):
    """One that is awaited is not hurried while rows of the other are being handed over."""
    table, topic = schema.make_signals("t", 6 * BURST), make_topic()
    signalbus.configure(model("A", table, topic, burst_count=BURST))
    seen = sizes(signalbus, topics, topic, way_to_database, ("flushmany", "-j", "2"))
    assert len([size for size in seen if size % BURST]) < 10, seen


@pytest.mark.parametrize("flush, cut", [("flushmany", 75_000), ("flushordered", 150_000)])
def test_a_connection_that_is_cut_during_the_rows(signalbus, schema, make_topic, topics,
                                                  way_to_database, flush, cut):
    """In the second burst; an order is listed before the first."""
    table, topic = schema.make_signals("t", 3 * BURST), make_topic()
    signalbus.configure(model("A", table, topic, burst_count=BURST, order_by=["id"]))
    way_to_database.slow(rate=500_000)
    way_to_database.cut_after(ANSWER, cut)
    signalbus(flush).expect(0)
    assert way_to_database.closed[0][ANSWER] == cut
    numbers = ids(topics.read(topic, 3 * BURST))
    assert list(first_appearances(numbers)) == list(range(1, 3 * BURST + 1))
    assert 0 < repeats(numbers) < BURST, "some were sent before the connection was cut"
    assert schema.count("t") == 0


@every_flush
def test_rows_that_turn_out_large_are_not_repeated(signalbus, schema, make_topic, topics, flush):
    """After small ones, a burst that is many times too large."""
    sizes = [100] * 100 + [100_000] * 100 + [100] * 100
    schema.execute("CREATE TABLE t (id bigint PRIMARY KEY, payload text)")
    for number, size in enumerate(sizes, 1):
        schema.execute("INSERT INTO t VALUES (%s, repeat('x', %s))", number, size)
    topic = make_topic()
    signalbus.configure(model("A", schema.table("t"), topic, burst_count=100,
                              burst_bytes=200_000, order_by=["id"]))
    signalbus(*flush).expect_silence()
    assert sorted(ids(topics.read(topic, len(sizes)))) == list(range(1, len(sizes) + 1))
    assert schema.count("t") == 0


def test_a_row_that_stays_locked_within_an_order(signalbus, schema, make_topic, topics):
    """What is before it is sent already, and repeated when the claim has failed."""
    table, topic = schema.make_signals("t", 3 * BURST), make_topic()
    signalbus.configure(model("A", table, topic, burst_count=BURST, order_by=["id"]), timeout=0.5)
    with contextlib.closing(schema.connect()) as holder:
        holder.cursor().execute("SELECT FROM t WHERE id = 1900 FOR UPDATE")
        assert "lock timeout (while locking tuple" in signalbus("flushordered").expect_failure()
    sent = topics.count_in_log(topic)
    assert BURST < sent < 1900
    signalbus("flushordered").expect_silence()
    numbers = ids(topics.read(topic, 3 * BURST + sent - BURST))
    assert list(first_appearances(numbers)) == list(range(1, 3 * BURST + 1))
    assert repeats(numbers) == sent - BURST


FAILING = "1 / (id - 150)"


@pytest.mark.parametrize("flush, sent, settings", [
    ("flushmany", 299, {"fields": ["id", {"name": "part", "sql": FAILING}]}),
    ("flushordered", 149, {"fields": ["id", {"name": "part", "sql": FAILING}]}),
    # in order, the list of what is there fails first
    ("flushmany", 100, {"where": FAILING + " < 2"}),
])
def test_an_expression_that_fails_has_nothing_repeated(signalbus, schema, make_topic, topics, flush,
                                                       sent, settings):
    """It fails for a row within the second burst."""
    table, topic = schema.make_signals("t", 300), make_topic()
    signalbus.configure(model("A", table, topic, burst_count=100, order_by=["id"], **settings))
    assert "division by zero" in signalbus(flush).expect_failure()
    assert topics.count_in_log(topic) == sent
    assert schema.count("t") == 300 - sent


@pytest.mark.early
@one_by_one
def test_a_stop_during_the_rows_repeats_nothing(signalbus, schema, make_topic, topics,
                                                way_to_database, flush):
    """Bursts of 36 MB, so that the server is not done with a claim when its first rows are sent."""
    burst, topic = 600, make_topic()
    schema.execute("CREATE TABLE t AS SELECT id, repeat('x', 60000) AS payload"
                   f" FROM generate_series(1, {3 * burst}) AS id")
    schema.execute("ALTER TABLE t ADD PRIMARY KEY (id)")
    signalbus.configure(model("A", schema.table("t"), topic, burst_count=burst,
                              burst_bytes=400_000_000, order_by=["id"]))
    run = signalbus.start(*flush)
    wait_until(lambda: schema.count("t") < 3 * burst, 20, "the first burst")
    way_to_database.slow(rate=12_000_000)
    wait_until(lambda: burst < topics.count_in_log(topic) < 2 * burst, 20, "rows", pause=0.01)
    run.stop()
    way_to_database.restore()
    assert schema.count("t") == burst, "the burst was settled, and no other one begun"
    signalbus(*flush).expect_silence()
    assert ids(topics.read(topic, 3 * burst)) == list(range(1, 3 * burst + 1))
