"""
A table that changes while its signals are sent: each message is what the row held before or after,
under the types and names of that time, and every row arrives.
"""

import base64
import json

import pytest

from runner import model
from servers import wait_until

CHANGES = {
    "plain": "",
    "type": "ALTER TABLE {t} ALTER extra TYPE text USING extra || ' sheep'",
    "to_bytes": "ALTER TABLE {t} ALTER f DROP DEFAULT, ALTER f TYPE bytea "
                "USING convert_to(f::text, 'UTF8')",
    "from_text": "ALTER TABLE {t} ALTER payload DROP DEFAULT, ALTER payload TYPE float8 USING 2.5",
    "rename": "ALTER TABLE {t} RENAME extra TO more",
    "swap": "ALTER TABLE {t} RENAME extra TO e; ALTER TABLE {t} RENAME payload TO extra; "
            "ALTER TABLE {t} RENAME e TO payload",
    "drop_add": "ALTER TABLE {t} DROP f; ALTER TABLE {t} ADD f text DEFAULT 'new'",
    "domain": "ALTER TABLE {t} ALTER extra DROP DEFAULT, ALTER extra TYPE short USING 'seven'",
    "label": "ALTER TYPE {mood} RENAME VALUE 'ok' TO 'fine'",
    "attribute": "ALTER TYPE {pair} ADD ATTRIBUTE z numeric CASCADE",
    "collation": "ALTER TABLE {t} ALTER payload TYPE text COLLATE \"C\"",
    "key": "ALTER TABLE {t} ALTER id TYPE text",
    "key_name": "ALTER TABLE {t} RENAME id TO number; ALTER TABLE {t} ADD id int DEFAULT 0",
    "child": "CREATE TABLE {t}_child (note text) INHERITS ({t}); "
             "ALTER TABLE {t}_child ALTER id SET NOT NULL",
}


class Tables:
    """A signal table for each change, and what its rows are as JSON, before it and after."""

    def __init__(self, schema, make_topic):
        self.schema = schema
        self.topics = {name: make_topic() for name in CHANGES}
        self.rows = {name: {} for name in CHANGES}  # the texts that a row may be, by its id
        self.changed_midway = 0
        for name in CHANGES:
            words = self.words(name)
            if name == "plain":
                schema.execute("CREATE DOMAIN short AS text CHECK (length(VALUE) < 100)")
            schema.execute("CREATE TYPE {mood} AS ENUM ('sad', 'ok'); "
                           "CREATE TYPE {pair} AS (x int, y text)".format(**words))
            schema.execute(("CREATE TABLE {t} (id bigint PRIMARY KEY, payload text DEFAULT 'one', "
                            "extra int DEFAULT 7, f float8 DEFAULT 1.5, mood {mood} DEFAULT 'ok', "
                            "pair {pair} DEFAULT ROW(1, 'a'), "
                            "at timestamptz DEFAULT '2026-11-23 18:00+01')").format(**words))

    @staticmethod
    def words(name):
        return {"t": f"t_{name}", "mood": f"mood_{name}", "pair": f"pair_{name}"}

    def models(self, **settings):
        return [model(name, self.schema.table(f"t_{name}"), topic, **settings)
                for name, topic in self.topics.items()]

    def fill(self, first, count):
        connection = self.schema.connect()  # a daemon would send them before they are noted
        cursor = connection.cursor()
        for name in CHANGES:
            cursor.execute(f"INSERT INTO t_{name} ({self.key(name)}) SELECT n FROM "
                           f"generate_series({first}, {first + count - 1}) n")
            self.note(cursor, name)
            connection.commit()
        connection.close()

    def key(self, name):
        """The key column as it is called now."""
        return self.schema.value("SELECT attname FROM pg_attribute a JOIN pg_index i ON "
                                 "i.indrelid = a.attrelid AND a.attnum = i.indkey[0] "
                                 "WHERE i.indisprimary AND a.attrelid = %s::regclass", f"t_{name}")

    def note(self, cursor, name):
        cursor.execute("SET TIME ZONE 'UTC'")
        cursor.execute(f"SELECT {self.key(name)}::text, to_json(t)::text FROM ONLY t_{name} t")
        rows = cursor.fetchall()
        for number, text in rows:
            self.rows[name].setdefault(int(number), []).append(self.value(text))
        return len(rows)

    @staticmethod
    def value(text):
        """Of a row as to_json() has it: bytea is base64 in a message."""
        value = json.loads(text)
        if str(value.get("f")).startswith("\\x"):
            value["f"] = base64.b64encode(bytes.fromhex(value["f"][2:])).decode()
        return value

    def change(self, name):
        """In one transaction, which sees what is there before it and after."""
        connection = self.schema.connect()
        cursor = connection.cursor()
        cursor.execute(f"LOCK TABLE t_{name} IN ACCESS EXCLUSIVE MODE")
        self.changed_midway += self.note(cursor, name) > 0
        if CHANGES[name]:
            cursor.execute(CHANGES[name].format(**self.words(name)))
        key = {"key_name": "number"}.get(name, "id")
        cursor.execute(f"SELECT {key}::text, to_json(t)::text FROM ONLY t_{name} t")
        for number, text in cursor.fetchall():
            self.rows[name][int(number)].append(self.value(text))
        connection.commit()
        connection.close()

    def is_empty(self):
        return all(self.schema.value(f"SELECT NOT EXISTS (SELECT FROM t_{name})")
                   for name in CHANGES)

    def check(self, topics, count):
        """Every row has arrived, once, as it was at some time."""
        for name, topic in self.topics.items():
            messages = topics.read(topic, count)
            assert len(messages) == count, name
            numbers = set()
            for message in messages:
                value = json.loads(message.value)
                key = value.get("number", value["id"])
                numbers.add(int(key))
                assert value in self.rows[name][int(key)], (name, message.value)
            assert numbers == set(range(1, count + 1)), name


@pytest.fixture
def tables(schema, make_topic):
    return Tables(schema, make_topic)


def test_while_flush_waits(signalbus, schema, tables, topics):
    """Its statements are prepared first after the change; what was noted are keys from before it."""
    signalbus.configure(*tables.models(burst_count=7))
    tables.fill(1, 10)
    run = signalbus.start("flush", "-w", "3")
    wait_until(lambda: any(query.startswith(f"DECLARE noted_{len(CHANGES) - 1}_")
                           for _, state, query, _ in schema.backends() if state == "idle"),
               20, "all is noted")
    for name in CHANGES:
        tables.change(name)
    run.finish().expect(0)
    assert tables.is_empty()
    tables.check(topics, 10)


@pytest.mark.parametrize("order_by", [[], ["payload", "id"]], ids=["any", "payload"])
def test_between_two_signals_of_a_daemon(signalbus, schema, tables, topics, order_by):
    order = {"order_by": order_by} if order_by else {}
    signalbus.configure(*tables.models(burst_count=7, **order), poll_interval=0.2)
    tables.fill(1, 10)
    daemon = signalbus.start("run", "-v")
    wait_until(tables.is_empty, 30, "the first are sent")
    for name in CHANGES:
        tables.change(name)
    tables.fill(11, 10)
    wait_until(tables.is_empty, 30, "the others are sent")
    daemon.stop().expect(0)
    tables.check(topics, 20)


@pytest.mark.parametrize("command", [["flushmany", "-j", "2"], ["flushmany"], ["flushordered"]],
                         ids=["two", "one", "ordered"])
def test_during_a_backlog(signalbus, schema, tables, topics, command):
    count = 1500
    order = {"order_by": ["id"]} if command == ["flushordered"] else {}
    signalbus.configure(*tables.models(burst_count=50, **order))
    tables.fill(1, count)
    run = signalbus.start(*command)
    for name in CHANGES:
        wait_until(lambda: schema.value(f"SELECT NOT EXISTS (SELECT FROM t_{name} WHERE "
                                        f"id::text = '1')"),
                   30, f"{name} is begun", pause=0.002)
        tables.change(name)
    run.finish().expect(0)
    assert tables.changed_midway > 0
    assert tables.is_empty()
    tables.check(topics, count)
