"""flushordered: the order of order_by, by one process at a time."""

import json
import signal

import pytest

from runner import ids, model
from schemas import Gate


@pytest.fixture
def ordered(signalbus, schema, make_topic):
    """Configures one model with order_by id; returns its topic."""
    def configure(count, burst_count=7, order_by=("id",), **settings):
        topic = make_topic()
        schema.execute("CREATE TABLE t (id int PRIMARY KEY, payload text)")
        schema.execute("INSERT INTO t SELECT n, 'signal ' || n FROM generate_series(1, %s) n "
                       "ORDER BY hashint4(n)", count)
        signalbus.configure(model("A", schema.table("t"), topic, burst_count=burst_count,
                                  order_by=order_by), **settings)
        return topic
    return configure


@pytest.mark.parametrize("burst_count", [1, 7, 1000])
def test_ascending(signalbus, ordered, consume, burst_count):
    topic = ordered(100, burst_count)
    signalbus("flushordered").expect_silence()
    assert ids(consume(topic, 100)) == list(range(1, 101))


def test_descending(signalbus, ordered, consume):
    topic = ordered(100, order_by=["id DESC"])
    signalbus("flushordered").expect_silence()
    assert ids(consume(topic, 100)) == list(range(100, 0, -1))


def test_numbers_are_ordered_as_numbers_and_text_as_text(signalbus, schema, make_topic, consume):
    for column, kind in (("number", "numeric"), ("word", 'text COLLATE "C"')):
        topic = make_topic()
        schema.execute(f"CREATE TABLE {column}s (id int PRIMARY KEY, {column} {kind})")
        schema.execute(f"INSERT INTO {column}s SELECT n, n FROM generate_series(1, 120) n "
                       "ORDER BY hashint4(n)")
        signalbus.configure(model("A", schema.table(f"{column}s"), topic, burst_count=11,
                                  order_by=[column]))
        signalbus("flushordered").expect_silence()
        expected = list(range(1, 121))
        assert ids(consume(topic, 120)) == (
            expected if column == "number" else sorted(expected, key=str))


@pytest.mark.parametrize("order_by", [
    ["shop", "day DESC", "id"],
    ["day DESC", "shop DESC", "id DESC"],
    ["Quoted Column desc", "id ASC"],
])
def test_several_columns(signalbus, schema, make_topic, consume, order_by):
    schema.execute('CREATE TABLE t (id int PRIMARY KEY, shop text COLLATE "C", day date, '
                   '"Quoted Column" int)')
    schema.execute("INSERT INTO t SELECT n, 'shop ' || n % 7, date '2026-01-01' + n % 11, n % 5 "
                   "FROM generate_series(1, 300) n ORDER BY hashint4(n)")
    wanted = schema.execute("SELECT id FROM t ORDER BY " + ", ".join(quoted(order_by)))
    topic = make_topic()
    signalbus.configure(model("A", schema.table("t"), topic, burst_count=13, order_by=order_by))
    signalbus("flushordered").expect_silence()
    assert [(number,) for number in ids(consume(topic, 300))] == wanted


def quoted(order_by):
    """The columns as SQL: "Quoted Column desc" becomes "Quoted Column" desc in SQL's quotes."""
    for entry in order_by:
        column, _, direction = entry.rpartition(" ")
        if direction.upper() in ("ASC", "DESC"):
            yield f'"{column}" {direction}'
        else:
            yield f'"{entry}"'


def test_nulls_are_where_postgresql_puts_them(signalbus, schema, make_topic, consume):
    schema.execute("CREATE TABLE t (id int PRIMARY KEY, rank int)")
    schema.execute("INSERT INTO t SELECT n, CASE WHEN n % 3 > 0 THEN n END "
                   "FROM generate_series(1, 60) n ORDER BY hashint4(n)")
    wanted = schema.execute("SELECT id FROM t ORDER BY rank, id")
    topic = make_topic()
    signalbus.configure(model("A", schema.table("t"), topic, burst_count=7,
                              order_by=["rank", "id"]))
    signalbus("flushordered").expect_silence()
    assert [(number,) for number in ids(consume(topic, 60))] == wanted


def test_order_over_partitions_of_the_table(signalbus, schema, make_topic, consume):
    schema.execute("""CREATE TABLE t (id int PRIMARY KEY) PARTITION BY HASH (id);
        CREATE TABLE t_0 PARTITION OF t FOR VALUES WITH (MODULUS 2, REMAINDER 0);
        CREATE TABLE t_1 PARTITION OF t FOR VALUES WITH (MODULUS 2, REMAINDER 1)""")
    schema.execute("INSERT INTO t SELECT n FROM generate_series(1, 100) n ORDER BY hashint4(n)")
    topic = make_topic()
    signalbus.configure(model("A", schema.table("t"), topic, burst_count=9, order_by=["id DESC"]))
    signalbus("flushordered").expect_silence()
    assert ids(consume(topic, 100)) == list(range(100, 0, -1))


def test_each_key_in_order_over_partitions_of_the_topic(signalbus, schema, make_topic, consume):
    schema.execute("CREATE TABLE t (id int PRIMARY KEY, customer text)")
    schema.execute("INSERT INTO t SELECT n, 'c' || n % 20 FROM generate_series(1, 500) n "
                   "ORDER BY hashint4(n)")
    topic = make_topic(partitions=4)
    signalbus.configure(model("A", schema.table("t"), topic, burst_count=33, key="customer",
                              order_by=["id"]))
    signalbus("flushordered").expect_silence()
    by_key = {}
    for message in consume(topic, 500):
        by_key.setdefault(message.key, []).append(json.loads(message.value)["id"])
    assert len(by_key) == 20
    assert all(numbers == sorted(numbers) for numbers in by_key.values())


def test_without_order_by_everything_is_sent(signalbus, schema, make_topic, consume):
    topic = make_topic()
    signalbus.configure(model("A", schema.make_signals("t", 50), topic, burst_count=7))
    signalbus("flushordered").expect_silence()
    assert sorted(ids(consume(topic, 50))) == list(range(1, 51))


def test_a_second_process_leaves_with_75(signalbus, schema, ordered, consume):
    topic = ordered(30)
    gate = Gate(schema, "t")
    first = signalbus.start("flushordered")
    gate.wait_for()
    second = signalbus("flushordered").expect(75)
    assert second.stdout == "" and second.stderr != ""
    gate.open()
    first.finish().expect_silence()
    assert ids(consume(topic, 30)) == list(range(1, 31))
    signalbus("flushordered").expect_silence()


def test_the_lock_is_of_a_model(signalbus, schema, ordered, make_topic, consume):
    """If one model is busy, the others are flushed nevertheless."""
    busy = ordered(30)
    other = make_topic()
    gate = Gate(schema, "t")
    first = signalbus.start("flushordered")
    gate.wait_for()
    signalbus.configure(
        model("A", schema.table("t"), busy, burst_count=7, order_by=["id"]),
        model("B", schema.make_signals("b", 3), other, order_by=["id"]))
    signalbus("flushordered").expect(75)
    assert ids(consume(other, 3)) == [1, 2, 3]
    gate.open()
    first.finish().expect_silence()


def test_the_lock_goes_with_its_holder(signalbus, schema, ordered, topics):
    """After SIGKILL the next process takes over, from the unfinished burst on."""
    topic = ordered(30)
    gate = Gate(schema, "t")
    first = signalbus.start("flushordered")
    gate.wait_for()
    first.kill()
    schema.end_backends()
    gate.open()
    signalbus("flushordered").expect_silence()
    assert ids(topics.read(topic, 37)) == [*range(1, 8), *range(1, 31)]


def test_killed_again_and_again_first_appearances_are_in_order(signalbus, schema, ordered, topics):
    topic = ordered(400, burst_count=10)
    schema.on_delete("t", "PERFORM pg_sleep(0.01)")
    for _ in range(5):
        before = schema.count("t")
        running = signalbus.start("flushordered")
        schema.wait_until(lambda: schema.count("t") <= before - 30, what="three bursts")
        running.kill()
        schema.end_backends()
    signalbus("flushordered").expect_silence()
    numbers = ids(topics.read(topic, 400))
    assert list(dict.fromkeys(numbers)) == list(range(1, 401))
    assert len(numbers) <= 400 + 5 * 10
    for earlier, later in zip(numbers, numbers[1:]):
        assert later == earlier + 1 or later % 10 == 1, "a rewind starts at a burst"


def test_nothing_overtakes_an_open_transaction(signalbus, schema, make_topic, consume,
                                               count_in_log):
    """What an earlier writer may yet commit sorts before: it must not be overtaken."""
    topic = make_topic()
    schema.make_signals("t")
    signalbus.configure(model("A", schema.table("t"), topic, burst_count=10, order_by=["id"]))
    early = schema.connect()
    schema.insert_signals("t", 5, first=1, connection=early)
    schema.insert_signals("t", 5, first=6)
    running = signalbus.start("flushordered")
    # It may wait for the writer or leave; what it must not do is to send, given time enough.
    schema.wait_until(lambda: not running.is_alive() or count_in_log(topic) > 0
                      or running.seconds() > 1.5)
    assert count_in_log(topic) == 0
    early.commit()
    running.finish().expect(0)
    signalbus("flushordered").expect_silence()
    assert ids(consume(topic, 10)) == list(range(1, 11))


def test_an_open_transaction_elsewhere_delays_nothing(signalbus, schema, ordered, consume):
    topic = ordered(20)
    schema.execute("CREATE TABLE elsewhere (id int)")
    elsewhere = schema.connect()
    elsewhere.cursor().execute("INSERT INTO elsewhere VALUES (1)")
    run = signalbus("flushordered").expect_silence()
    assert run.seconds < 10
    assert ids(consume(topic, 20)) == list(range(1, 21))


def test_stopped_during_the_order_and_resumed(signalbus, schema, ordered, consume):
    topic = ordered(30)
    gate = Gate(schema, "t")
    running = signalbus.start("flushordered", "-r", "3600")
    gate.wait_for()
    running.send(signal.SIGINT)
    gate.open()
    running.finish().expect(0)
    signalbus("flushordered").expect_silence()
    assert ids(consume(topic, 30)) == list(range(1, 31))


def test_nothing_is_sent_after_a_rejected_signal(signalbus, schema, ordered, make_topic, consume):
    """Too large for the topic: the order stops before it, and continues when the topic allows it."""
    topic = make_topic(config={"max.message.bytes": "1000"})
    ordered(30, burst_count=10)
    signalbus.configure(model("A", schema.table("t"), topic, burst_count=10, order_by=["id"]),
                        timeout=5)
    schema.execute("UPDATE t SET payload = (SELECT string_agg(md5(n::text), '') "
                   "FROM generate_series(1, 100) n) WHERE id = 15")
    signalbus("flushordered").expect_failure()
    assert ids(consume(topic, 14)) == list(range(1, 15))
    assert schema.execute("SELECT min(id), count(*) FROM t") == [(15, 16)]
    schema.execute("UPDATE t SET payload = 'short' WHERE id = 15")
    signalbus("flushordered").expect_silence()
    assert ids(consume(topic, 30)) == list(range(1, 31))


def test_only_what_is_before_a_rejected_signal_is_deleted(signalbus, schema, make_topic, topics):
    """Messages for other partitions may be stored already, but their rows come later: they stay."""
    topic = make_topic(partitions=3, config={"max.message.bytes": "1000"})
    schema.make_signals("t", 30)
    schema.execute("UPDATE t SET payload = (SELECT string_agg(md5(n::text), '') "
                   "FROM generate_series(1, 100) n) WHERE id = 15")
    signalbus.configure(model("A", schema.table("t"), topic, key="id", burst_count=30,
                              order_by=["id"]), timeout=5)
    signalbus("flushordered").expect_failure()
    assert schema.execute("SELECT min(id), count(*) FROM t") == [(15, 16)]
    assert set(range(1, 15)) <= set(ids(topics.read(topic, 14)))
    schema.execute("UPDATE t SET payload = 'short' WHERE id = 15")
    signalbus("flushordered").expect_silence()
    assert set(ids(topics.read(topic, 30))) == set(range(1, 31))
