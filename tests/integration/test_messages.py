"""What shapes a message: topic, key, value, fields, headers, partition, timestamp and where."""

import json
import time

import pytest

from runner import ids, model


@pytest.fixture
def make_topics(topics):
    """Topics whose names are a prefix of the test's own and these words."""
    def make(*words):
        prefix = topics.unique_name() + "."
        for word in words:
            topics.make(name=prefix + word)
        return prefix
    return make


def flush(signalbus, command="flushmany"):
    return signalbus(command).expect_silence()


# --- topic


def test_one_model_several_topics(signalbus, schema, make_topics, consume):
    prefix = make_topics("order", "invoice.eu", "invoice.us")
    schema.execute("CREATE TABLE t (id int PRIMARY KEY, kind text, \"The {re}gion\" text)")
    schema.execute("INSERT INTO t SELECT n, (ARRAY['order', 'invoice.'])[n % 2 + 1], "
                   "CASE WHEN n % 2 = 0 THEN '' WHEN n % 4 = 1 THEN 'eu' ELSE 'us' END "
                   "FROM generate_series(1, 40) n")
    signalbus.configure(model("A", schema.table("t"), prefix + '{kind}{"The {re}gion"}',
                              burst_count=15))
    flush(signalbus)
    assert sorted(ids(consume(prefix + "order", 20))) == list(range(2, 41, 2))
    assert sorted(ids(consume(prefix + "invoice.eu", 10))) == list(range(1, 41, 4))
    assert sorted(ids(consume(prefix + "invoice.us", 10))) == list(range(3, 41, 4))
    assert schema.count("t") == 0


def test_several_models_share_a_topic(signalbus, schema, make_topic, consume):
    topic = make_topic()
    schema.make_signals("a", 3)
    schema.make_signals("b", 3, first=11)
    signalbus.configure(model("A", schema.table("a"), topic), model("B", schema.table("b"), topic))
    flush(signalbus)
    assert sorted(ids(consume(topic, 6))) == [1, 2, 3, 11, 12, 13]


BAD_TOPICS = [
    ("''", "the topic name is empty"),
    ("NULL", 'no topic: column "kind" is NULL'),
    ("'a b'", 'invalid topic name "a b": use ASCII letters'),
    ("'ümlaut'", 'invalid topic name "??mlaut": use ASCII letters'),
    ("E'a\\nb'", 'invalid topic name "a?b": use ASCII letters'),
    ("'.'", 'invalid topic name "."'),
    ("'..'", 'invalid topic name ".."'),
    ("repeat('x', 250)", "has 250 bytes; the limit is 249"),
]


@pytest.mark.parametrize("kind, reason", BAD_TOPICS, ids=[kind for kind, _ in BAD_TOPICS])
def test_a_row_without_a_valid_topic_fails_alone(signalbus, schema, make_topic, consume, kind,
                                                 reason):
    topic = make_topic()
    schema.execute("CREATE TABLE t (id int PRIMARY KEY, kind text)")
    schema.execute(f"INSERT INTO t SELECT n, CASE WHEN n = 5 THEN {kind} ELSE '{topic}' END "
                   "FROM generate_series(1, 9) n")
    signalbus.configure(model("A", schema.table("t"), "{kind}", burst_count=9,
                              order_by=["id"]))
    run = signalbus("flushordered").expect(1)
    assert reason in run.stderr and "signal (id)=(5) was rejected" in run.stderr
    assert run.stderr.count("\n") == 1
    assert ids(consume(topic, 4)) == [1, 2, 3, 4]  # in order nothing after it is sent
    signalbus("flushmany").expect(1)
    assert sorted(ids(consume(topic, 8))) == [1, 2, 3, 4, 6, 7, 8, 9]
    assert schema.execute("SELECT id FROM t") == [(5,)]


def test_topics_of_249_bytes_are_fine(signalbus, schema, topics, consume):
    topic = topics.make(name=topics.unique_name().ljust(249, "x"))
    schema.execute("CREATE TABLE t (id int PRIMARY KEY, kind text)")
    schema.execute("INSERT INTO t VALUES (1, %s)", topic)
    signalbus.configure(model("A", schema.table("t"), "{kind}"))
    flush(signalbus)
    consume(topic, 1)


def test_a_missing_topic_is_named_and_its_neighbours_are_sent(signalbus, schema, make_topic,
                                                              consume, topics):
    topic, missing = make_topic(), topics.unique_name()
    schema.execute("CREATE TABLE t (id int PRIMARY KEY, kind text)")
    schema.execute("INSERT INTO t VALUES (1, %s), (2, %s), (3, %s)", topic, missing, topic)
    signalbus.configure(model("A", schema.table("t"), "{kind}", burst_count=3), timeout=3.0)
    run = signalbus("flushmany").expect(1)
    assert f'model "A": topic "{missing}"' in run.stderr and "{kind}" not in run.stderr
    assert sorted(ids(consume(topic, 2))) == [1, 3]
    assert schema.execute("SELECT id FROM t") == [(2,)]


# --- key


def test_keys_are_bytes_empty_or_none(signalbus, schema, make_topic, consume):
    topic = make_topic()
    schema.execute("CREATE TABLE t (id int PRIMARY KEY, k bytea)")
    schema.execute(r"INSERT INTO t VALUES (1, '\x00ff7f0a'), (2, ''), (3, NULL)")
    signalbus.configure(model("A", schema.table("t"), topic, key="k", order_by=["id"]))
    flush(signalbus, "flushordered")
    assert [message.key for message in consume(topic, 3)] == [b"\x00\xff\x7f\n", b"", None]


# --- value


VALUES = [
    ("text", "'plain \"text\" é'", 'plain "text" é'.encode()),
    ("json", """'{"b" : 1,  "a":[1, 2.50]}'""", b'{"b" : 1,  "a":[1, 2.50]}'),
    ("jsonb", """'{"b" : 1,  "a":[1, 2.50]}'""", b'{"a": [1, 2.50], "b": 1}'),
    ("bytea", r"'\x00ff7f0a5c'", b"\x00\xff\x7f\n\\"),
    ("bytea", "''", b""),
    ("text", "''", b""),
    ("text", "NULL", None),
    ("bytea", "NULL", None),
    ("jsonb", "'null'", b"null"),
    ("int", "42", b"42"),
    ("timestamptz", "'2026-11-23 17:00+01'", b"2026-11-23 16:00:00+00"),
]


def test_values_as_they_are(signalbus, schema, make_topic, consume):
    topics = [make_topic() for _ in VALUES]
    for number, (kind, value, _) in enumerate(VALUES):
        schema.execute(f"CREATE TABLE t{number} (id int PRIMARY KEY, content {kind})")
        schema.execute(f"INSERT INTO t{number} VALUES (1, {value})")
    signalbus.configure(*(model(f"M{number}", schema.table(f"t{number}"), topic, value="content",
                                key="id") for number, topic in enumerate(topics)))
    flush(signalbus)
    for (kind, value, expected), topic in zip(VALUES, topics):
        [message] = consume(topic, 1)
        assert message.value == expected, f"{kind} {value}"
        assert message.key == b"1"


# --- fields


def test_fields_choose_order_and_rename(signalbus, schema, make_topic, consume):
    topic = make_topic()
    schema.execute("CREATE TABLE t (id int PRIMARY KEY, a numeric, raw bytea, at timestamptz, b text)")
    schema.execute(r"INSERT INTO t VALUES (1, 1.50, '\x00ff', '2026-11-23 17:00+01', 'x')")
    signalbus.configure(model("A", schema.table("t"), topic, fields=[
        "b", {"name": "when", "column": "at"}, {"name": "a \"2\"", "sql": "signal.a * 2"},
        {"name": "at", "sql": "at -- as it is"}, {"name": "raw", "sql": "raw || raw"},
        {"name": "bare", "sql": "'text'"}, {"name": "n", "sql": "NULL"}, "id"]))
    flush(signalbus)
    [message] = consume(topic, 1)
    assert message.value.decode() == (
        '{"b":"x","when":"2026-11-23T16:00:00+00:00","a \\"2\\"":3.00,'
        '"at":"2026-11-23T16:00:00+00:00","raw":"AP8A/w==","bare":"text","n":null,"id":1}')


def test_children_are_sent_and_deleted(signalbus, schema, make_topic, consume):
    topic = make_topic()
    schema.execute("CREATE TABLE orders (id int PRIMARY KEY)")
    schema.execute("CREATE TABLE line (order_id int REFERENCES orders ON DELETE CASCADE, "
                   "number int, sku text, PRIMARY KEY (order_id, number))")
    schema.execute("INSERT INTO orders SELECT generate_series(1, 20)")
    schema.execute("INSERT INTO line SELECT o, n, 'sku ' || n FROM generate_series(1, 20) o, "
                   "generate_series(1, 3) n WHERE o <> 7")
    lines = (f"(SELECT json_agg(json_build_object('number', l.number, 'sku', l.sku) "
             f"ORDER BY l.number) FROM {schema}.line l WHERE l.order_id = signal.id)")
    signalbus.configure(model("A", schema.table("orders"), topic, burst_count=8,
                              fields=["id", {"name": "lines", "sql": lines}]))
    flush(signalbus)
    for message in consume(topic, 20):
        value = json.loads(message.value)
        assert value["lines"] == (None if value["id"] == 7 else [
            {"number": n, "sku": f"sku {n}"} for n in (1, 2, 3)])
    assert schema.count("line") == schema.count("orders") == 0


# --- headers


def test_headers(signalbus, schema, make_topic, consume):
    topic = make_topic()
    schema.execute("CREATE TABLE t (id int PRIMARY KEY, a text, raw bytea, at timestamptz)")
    schema.execute(r"INSERT INTO t VALUES (1, 'é', '\x00ff', '2026-11-23 17:00+01'), "
                   "(2, NULL, NULL, NULL), (3, '', '', 'infinity')")
    signalbus.configure(model("A", schema.table("t"), topic, order_by=["id"], burst_count=3,
                              fields=["id"], headers=[
        "a", {"name": "raw bytes", "column": "raw"}, {"name": "source", "value": "/shop"},
        {"name": "nothing", "value": ""}, {"name": "a", "column": "id"},
        {"name": "time", "sql": "to_json(at) #>> '{}'"}]))
    flush(signalbus, "flushordered")
    constants = [("source", b"/shop"), ("nothing", b"")]
    assert [message.headers for message in consume(topic, 3)] == [
        [("a", "é".encode()), ("raw bytes", b"\x00\xff"), *constants, ("a", b"1"),
         ("time", b"2026-11-23T16:00:00+00:00")],
        [*constants, ("a", b"2")],
        [("a", b""), ("raw bytes", b""), *constants, ("a", b"3"), ("time", b"infinity")]]


# --- partition


@pytest.mark.parametrize("kind", ["smallint", "int", "bigint"])
def test_partitions(signalbus, schema, make_topic, consume, kind):
    topic = make_topic(partitions=4)
    schema.execute(f"CREATE TABLE t (id int PRIMARY KEY, p {kind}, k text)")
    schema.execute("INSERT INTO t SELECT n, n % 4, 'same' FROM generate_series(1, 40) n")
    schema.execute("INSERT INTO t SELECT n, NULL, 'same' FROM generate_series(41, 50) n")
    signalbus.configure(model("A", schema.table("t"), topic, partition="p", key="k",
                              burst_count=50))
    flush(signalbus)
    messages = consume(topic, 50)
    by_key = set()
    for message in messages:
        value = json.loads(message.value)
        if value["p"] is None:
            by_key.add(message.partition)
        else:
            assert message.partition == value["p"]
    assert by_key == {murmur2(b"same") % 4}


@pytest.mark.parametrize("number, reason", [
    (4, "partition"), (2147483647, "partition"), (-1, "partition -1 is out of range"),
    (2147483648, "partition 2147483648 is out of range"),
    (9223372036854775807, "partition 9223372036854775807 is out of range")])
def test_a_partition_out_of_range_fails_alone(signalbus, schema, make_topic, consume, number,
                                              reason):
    topic = make_topic(partitions=4)
    schema.execute("CREATE TABLE t (id int PRIMARY KEY, p bigint, h text)")
    schema.execute("INSERT INTO t SELECT n, CASE WHEN n = 5 THEN %s ELSE 2 END, 'x' "
                   "FROM generate_series(1, 9) n", number)
    signalbus.configure(model("A", schema.table("t"), topic, partition="p", burst_count=9,
                              headers=["h"]))
    run = signalbus("flushmany").expect(1)
    assert reason in run.stderr and "signal (id)=(5) was rejected" in run.stderr
    assert sorted(ids(consume(topic, 8))) == [1, 2, 3, 4, 6, 7, 8, 9]
    assert schema.execute("SELECT id FROM t") == [(5,)]


# --- timestamp


TIMESTAMPS = [
    ("timestamptz", "'2026-11-23 17:00:00.123999+01'", 1795449600123),
    ("timestamptz", "'1999-12-31 23:59:59.999999+00'", 946684799999),
    ("timestamptz", "'1970-01-01 00:00:00.001+00'", 1),
    ("timestamp", "'2026-11-23 16:00:00.123999'", 1795449600123),
    ("date", "'2026-11-23'", 1795392000000),
    ("timestamptz", "NULL", None),
    ("timestamptz", "'infinity'", None),
    ("timestamptz", "'-infinity'", None),
    ("date", "'infinity'", None),
    ("timestamptz", "'epoch'", None),
    ("timestamptz", "'1969-12-31 23:59:59+00'", None),
    ("timestamptz", "'0044-03-15 00:00+00 BC'", None),
]


def test_timestamps(signalbus, schema, make_topic, consume):
    topics = [make_topic() for _ in TIMESTAMPS]
    for number, (kind, value, _) in enumerate(TIMESTAMPS):
        schema.execute(f"CREATE TABLE t{number} (id int PRIMARY KEY, at {kind})")
        schema.execute(f"INSERT INTO t{number} VALUES (1, {value})")
    signalbus.configure(*(model(f"M{number}", schema.table(f"t{number}"), topic, timestamp="at")
                          for number, topic in enumerate(topics)))
    before = time.time() * 1000
    signalbus("flushmany", environment={"PGTZ": "Asia/Kolkata"}).expect_silence()
    for (kind, value, expected), topic in zip(TIMESTAMPS, topics):
        [message] = consume(topic, 1)
        if expected is None:
            assert before - 5 <= message.timestamp <= time.time() * 1000 + 5, f"{kind} {value}"
        else:
            assert message.timestamp == expected, f"{kind} {value}"


# --- where


def test_models_share_a_table_by_their_conditions(signalbus, schema, make_topic, consume):
    a, b = make_topic(), make_topic()
    schema.execute("CREATE TABLE t (id int PRIMARY KEY, kind text)")
    schema.execute("INSERT INTO t SELECT n, (ARRAY['a', 'b', 'c'])[n % 3 + 1] "
                   "FROM generate_series(1, 30) n")
    signalbus.configure(
        model("A", schema.table("t"), a, where="kind = 'a' -- the first", burst_count=4),
        model("B", schema.table("t"), b, where="signal.kind = 'b' OR false", burst_count=4))
    lines = signalbus("pending").expect(0).stdout.splitlines()
    assert lines[:2] == ['10 of type "A"', '10 of type "B"'] and lines[-1] == "Total pending: 20"
    signalbus("flush", "-w", "0", "A").expect_silence()
    assert sorted(ids(consume(a, 10))) == list(range(3, 31, 3))
    assert schema.execute("SELECT kind, count(*) FROM t GROUP BY 1 ORDER BY 1") == [
        ("b", 10), ("c", 10)]
    signalbus("flushmany").expect_silence()
    assert sorted(ids(consume(b, 10))) == list(range(1, 31, 3))
    assert schema.execute("SELECT DISTINCT kind FROM t") == [("c",)]


@pytest.mark.parametrize("command", ["flush", "flushmany", "flushordered"])
@pytest.mark.parametrize("partitioned", [False, True])
def test_every_command_honours_where(signalbus, schema, make_topic, consume, command,
                                     partitioned):
    topic = make_topic()
    schema.execute("CREATE TABLE t (id int PRIMARY KEY, kind int) "
                   + ("PARTITION BY RANGE (id)" if partitioned else ""))
    if partitioned:
        schema.execute("CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (10)")
        schema.execute("CREATE TABLE t2 PARTITION OF t DEFAULT")
    schema.execute("INSERT INTO t SELECT n, n % 2 FROM generate_series(1, 20) n")
    signalbus.configure(model("A", schema.table("t"), topic, where="kind = 1 OR id = 2",
                              burst_count=3, order_by=["id DESC"]))
    wait = ["-w", "0"] if command == "flush" else []
    signalbus(command, *wait).expect_silence()
    sent = ids(consume(topic, 11))
    assert sorted(sent) == sorted([*range(1, 20, 2), 2])
    if command == "flushordered":
        assert sent == sorted(sent, reverse=True)
    assert schema.count("t") == 9


def test_ordered_models_of_one_table_do_not_wait_for_each_other(signalbus, schema, make_topic,
                                                                consume, log_in):
    """The ordered lock is for the table and the condition: here, another process has A's."""
    topic = make_topic()
    schema.execute("CREATE TABLE t (id int PRIMARY KEY)")
    schema.execute("INSERT INTO t SELECT generate_series(1, 4)")
    signalbus.configure(
        model("A", schema.table("t"), topic, where="id % 2 = 0", burst_count=4),
        model("B", schema.table("t"), topic, where="id % 2 = 1", burst_count=4))
    holder = log_in("bus").cursor()
    holder.execute("SELECT pg_advisory_lock(hashtextextended("
                   "'signalbus ordered signalbus ' || %s, 0))", (f"{schema}.t WHERE id % 2 = 0",))
    run = signalbus("flushordered", "A").expect(75)
    assert f"table {schema}.t WHERE id % 2 = 0 is being flushed in order" in run.stderr
    signalbus("flushordered", "B").expect_silence()
    assert ids(consume(topic, 2)) == [1, 3]
    holder.execute("SELECT pg_advisory_unlock_all()")
    signalbus("flushordered").expect_silence()
    assert sorted(ids(consume(topic, 4))) == [1, 2, 3, 4]


# --- sizes


def test_large_texts_and_deep_json(signalbus, schema, make_topic, consume):
    topic = make_topic(config={"max.message.bytes": "20000000"})
    deep = "[" * 1000 + "]" * 1000
    schema.execute("CREATE TABLE t (id int PRIMARY KEY, a text, j json, b jsonb)")
    schema.execute("INSERT INTO t VALUES (1, repeat('é\"', 4194304 / 2), %s, %s)", deep, deep)
    signalbus.configure(model("A", schema.table("t"), topic),
                        kafka={"message_max_bytes": 20000000})
    flush(signalbus)
    [message] = consume(topic, 1)
    assert message.value.decode() == (
        '{"id":1,"a":"' + 'é\\"' * (4194304 // 2) + f'","j":{deep},"b":{deep}}}')


# --- mistakes in the configuration


MISTAKES = [
    ({"topic": "a b"}, 'topic: invalid topic name "a b"'),
    ({"topic": "x" * 250}, "topic: the topic name"),
    ({"topic": "a{"}, 'topic: "{" without its "}"'),
    ({"topic": "a{payload"}, 'topic: "{" without its "}"'),
    ({"topic": "a}"}, 'topic: "}" without its "{"'),
    ({"topic": "a{}"}, "topic: no column name"),
    ({"topic": "a.{payloat}"}, 'topic: table * has no column "payloat"; did you mean "payload"?'),
    ({"value": "payloat"}, 'value: table * has no column "payloat"; did you mean "payload"?'),
    ({"partition": "nowhere"}, 'partition: table * has no column "nowhere"'),
    ({"partition": "payload"}, 'partition: column "payload" is of type text, not an integer'),
    ({"timestamp": "nowhere"}, 'timestamp: table * has no column "nowhere"'),
    ({"timestamp": "id"}, 'timestamp: column "id" is of type bigint, not a timestamp'),
    ({"fields": ["payloat"]}, 'fields: table * has no column "payloat"; did you mean "payload"?'),
    ({"headers": ["payloat"]},
     'headers: table * has no column "payloat"; did you mean "payload"?'),
    ({"fields": []}, "fields must not be empty"),
    ({"headers": []}, "headers must not be empty"),
    ({"headers": "payload"}, "headers must be a list"),
    ({"fields": [1]}, "each element of fields must be a column's name or a group, not an integer"),
    ({"fields": ["payload", "payload"]}, 'fields: two are named "payload"'),
    ({"fields": [""]}, "fields: a column must not be empty"),
    ({"fields": [{"sql": "1"}]}, 'fields: the member "name" is missing'),
    ({"fields": [{"name": "a"}]}, 'fields: each needs a name and one of "column" and "sql"'),
    ({"fields": [{"name": "a", "sql": "1", "column": "id"}]}, "fields: each needs a name and one of"),
    ({"fields": [{"name": "a", "sq": "1"}]}, 'fields: unknown member "sq"; did you mean "sql"?'),
    ({"fields": [{"name": "a", "value": "1"}]}, 'fields: unknown member "value"'),
    ({"fields": [{"name": "a", "sql": 1}]}, "fields.sql must be a string, not an integer"),
    ({"fields": [{"name": "a", "sql": ""}]}, "fields: sql must not be empty"),
    ({"headers": [{"name": "a", "value": "1", "column": "id"}]},
     'headers: each needs a name and one of "column", "sql" and "value"'),
    ({"fields": ["id"], "value": "payload"}, "fields and value exclude each other"),
    ({"fields": [{"name": "a", "sql": "signal.nothing"}]}, "column signal.nothing does not exist"),
    ({"fields": [{"name": "a", "sql": "count(*)"}]}, "must appear in the GROUP BY clause"),
    ({"fields": [{"name": "a", "sql": "generate_series(1, 2)"}]}, "set-returning functions"),
    ({"fields": [{"name": "a", "sql": "1), (2"}]}, "syntax error"),
    ({"headers": [{"name": "a", "sql": "nothing"}]}, 'column "nothing" does not exist'),
    ({"where": "nothing = 1"}, 'column "nothing" does not exist'),
    ({"where": "id"}, "argument of WHERE must be type boolean"),
    ({"where": ""}, "where must not be empty"),
]


@pytest.mark.parametrize("settings, message", MISTAKES,
                         ids=[message[:40] for _, message in MISTAKES])
def test_mistakes_are_errors(signalbus, schema, topics, settings, message):
    table = schema.make_signals("t", 1)
    settings = {"topic": topics.unique_name(), **settings}
    path = signalbus.configure(model("A", table, **settings))
    run = signalbus("flushmany").expect(78)
    message = message.replace("*", f"{schema}.t")
    assert message in run.stderr
    line = path.read_text().splitlines().index(
        next(line for line in path.read_text().splitlines() if line.startswith("models"))) + 1
    assert all(text.startswith(f"{path}:{line}: ") for text in run.stderr.splitlines())
    assert schema.count("t") == 1


def test_a_models_own_value_wins_over_default_fields(signalbus, schema, make_topic, consume):
    a, b = make_topic(), make_topic()
    signalbus.configure(model("A", schema.make_signals("a", 1), a, value="payload"),
                        model("B", schema.make_signals("b", 1), b),
                        defaults={"fields": ["id"]})
    flush(signalbus)
    assert consume(a, 1)[0].value == b"signal 1"
    assert consume(b, 1)[0].value == b'{"id":1}'


def test_expressions_follow_the_table(signalbus, schema, make_topic):
    """A column that an expression needs has gone: the model stops with its line, rows stay."""
    table = schema.make_signals("t", 1)
    signalbus.configure(model("A", table, make_topic(), fields=[
        "id", {"name": "p", "sql": "upper(payload)"}]))
    schema.execute("ALTER TABLE t RENAME payload TO text")
    run = signalbus("flushmany").expect(78)
    assert 'column "payload" does not exist' in run.stderr and schema.count("t") == 1


# --- murmur2, as Kafka's Utils.java has it


def murmur2(data):
    """The partitioner's hash: Utils.toPositive(Utils.murmur2(key))."""
    mask, m = 0xFFFFFFFF, 0x5BD1E995
    h = (0x9747B28C ^ len(data)) & mask
    whole = len(data) // 4 * 4
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i:i + 4], "little") * m & mask
        k = (k ^ k >> 24) * m & mask
        h = (h * m & mask) ^ k
    for shift, byte in reversed(list(enumerate(data[whole:]))):
        h ^= byte << 8 * shift
    if len(data) > whole:
        h = h * m & mask
    h = (h ^ h >> 13) * m & mask
    return (h ^ h >> 15) & 0x7FFFFFFF


# Kafka's own, from org.apache.kafka.common.utils.UtilsTest.testMurmur2.
VECTORS = {
    b"21": -973932308, b"foobar": -790332482, b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971, b"abc": 479470107,
}


def test_keys_land_where_the_java_client_puts_them(signalbus, schema, make_topic, consume):
    for key, expected in VECTORS.items():
        assert murmur2(key) == expected & 0x7FFFFFFF
    topic = make_topic(partitions=7)
    schema.execute("CREATE TABLE t (id int PRIMARY KEY, k bytea)")
    schema.execute("INSERT INTO t SELECT n, substr(sha512(n::text::bytea), 1, n % 61) "
                   "FROM generate_series(0, 300) n")
    signalbus.configure(model("A", schema.table("t"), topic, key="k", burst_count=500))
    flush(signalbus)
    messages = consume(topic, 301)
    assert [message.partition for message in messages] == [
        murmur2(message.key) % 7 for message in messages]
    assert len({message.partition for message in messages}) == 7
