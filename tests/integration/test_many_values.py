"""
Many rows of mixed types, compared row by row with PostgreSQL's own to_json.

How many: SIGNALBUS_VALUE_ROWS (50,000; `make check-values` takes a million).  All are random, and
the same on every run.
"""

import hashlib
import json
import os
import signal

import pytest
from confluent_kafka import OFFSET_BEGINNING, TopicPartition

from conftest import TEST_SECONDS
from mixed_rows import COLUMNS, make_rows, name_of
from runner import model
from topics import open_consumer, partitions_of

ROWS = int(os.environ.get("SIGNALBUS_VALUE_ROWS", "50000"))

# Whatever the environment says, messages are as under these settings.
PLAIN_SETTINGS = {"TimeZone": "UTC", "DateStyle": "ISO, MDY", "IntervalStyle": "postgres",
                  "extra_float_digits": "1", "bytea_output": "hex"}
STRANGE_ENVIRONMENT = {
    "PGTZ": "Asia/Kolkata", "PGDATESTYLE": "German", "PGCLIENTENCODING": "LATIN1",
    "PGOPTIONS": "-c extra_float_digits=-5 -c bytea_output=escape -c intervalstyle=iso_8601",
}


def make_expected(cursor):
    """Each row's message by the server's own functions: to_json, but base64 for bytea."""
    members = ["'\"id\":' || id"]
    for column in COLUMNS:
        name, is_bytea = name_of(column), column.endswith("bytea")
        text = (f"'\"' || replace(encode({name}, 'base64'), E'\\n', '') || '\"'" if is_bytea
                else f"to_json({name})::text")
        member = json.dumps(name[1:-1])
        members.append(f"'{member}:' || coalesce({text}, 'null')")
    for name, value in PLAIN_SETTINGS.items():
        cursor.execute(f"SET {name} = '{value}'")
    cursor.execute("CREATE TABLE expected AS SELECT id, '{' || concat_ws(',', "
                   f"{', '.join(members)}) || '}}' AS value FROM t")


@pytest.fixture
def patience():
    """A million rows take their time."""
    signal.alarm(TEST_SECONDS + ROWS // 500)


def messages_of(kafka, topic):
    """All values of a topic, one after the other: they would not fit into memory."""
    consumer = open_consumer(kafka)
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING)
                     for partition in partitions_of(consumer, topic)])
    at_end = set()
    while len(at_end) < len(consumer.assignment()):
        for record in consumer.consume(num_messages=10000, timeout=0.1):
            if record.error():
                at_end.add(record.partition())
            else:
                yield record.value()
    consumer.close()


@pytest.mark.early
def test_rows_of_mixed_types_equal_to_json(signalbus, schema, kafka, make_topic, patience):
    topic = make_topic(partitions=2)
    cursor = schema.connection().cursor()
    make_rows(cursor, ROWS)
    make_expected(cursor)
    cursor.execute("SELECT id, decode(md5(value), 'hex') FROM expected")
    expected = {number: bytes(digest) for number, digest in cursor.fetchall()}
    assert len(expected) == ROWS
    signalbus.configure(model("A", schema.table("t"), topic, burst_count=1000))
    signalbus("flushmany", "-j", "2", environment=STRANGE_ENVIRONMENT,
              timeout=60 + ROWS // 1000).expect_silence()
    for value in messages_of(kafka, topic):
        number = int(value[len('{"id":'):value.index(b",")])
        if hashlib.md5(value).digest() != expected.pop(number):
            wanted = schema.value("SELECT value FROM expected WHERE id = %s", number)
            assert value.decode() == wanted
    assert expected == {} and schema.count("t") == 0
