"""schema NAME: a JSON Schema by which all messages of the model are valid, and others are not."""

import copy
import json

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import ValidationError

from mixed_rows import make_rows
from runner import model

ROWS = 300


@pytest.fixture
def schema_of(signalbus):
    def read(name="A"):
        run = signalbus("schema", name).expect(0)
        assert run.stderr == ""
        document = json.loads(run.stdout)
        Draft202012Validator.check_schema(document)
        assert document["$schema"] == "https://json-schema.org/draft/2020-12/schema"
        assert document["title"] == name
        return document
    return read


def validate(document, value):
    Draft202012Validator(document).validate(value)


def test_messages_of_all_types_are_valid(signalbus, schema, make_topic, consume, schema_of):
    make_rows(schema.connection().cursor(), ROWS)
    topic = make_topic()
    signalbus.configure(model("A", schema.table("t"), topic, burst_count=100))
    document = schema_of()
    signalbus("flushmany").expect_silence()
    for message in consume(topic, ROWS):
        value = json.loads(message.value)
        validate(document, value)
        assert list(document["properties"]) == document["required"] == list(value)
    for name, part in document["properties"].items():
        # Each restricts the value, except those of json and the like.
        anything = name.endswith(("json", "jsonb", "hstore"))
        assert anything == all(Draft202012Validator(part).is_valid(value)
                               for value in (True, 1.5, "?", {}, [], None)), f"{name}: {part}"


PARTS = {
    "a boolean": {"type": ["boolean", "null"]},
    "id bigint": {"type": ["integer"], "minimum": -2**63, "maximum": 2**63 - 1},
    "a smallint NOT NULL": {"type": ["integer"], "minimum": -32768, "maximum": 32767},
    "a int": {"type": ["integer", "null"], "minimum": -2**31, "maximum": 2**31 - 1},
    "a numeric(5,2)": {"type": ["number", "string", "null"], "pattern": "^(NaN|-?Infinity)$"},
    "a varchar(10)": {"type": ["string", "null"], "maxLength": 10},
    "a char(3) NOT NULL": {"type": ["string"], "maxLength": 3},
    "a text": {"type": ["string", "null"]},
    "a timestamptz": {"type": ["string", "null"], "format": "date-time"},
    "a timestamp": {"type": ["string", "null"]},
    "a date": {"type": ["string", "null"], "format": "date"},
    "a uuid": {"type": ["string", "null"], "format": "uuid"},
    "a bytea": {"type": ["string", "null"], "contentEncoding": "base64"},
    "a bytea[]": {"type": ["array", "null"], "items": {
        "type": ["string", "null", "array"], "pattern": r"^\\x([0-9a-f]{2})*$"}},
    "a jsonb": {},
    "a mood": {"enum": ["sad", 'very "happy"', None]},
    "a mood NOT NULL": {"enum": ["sad", 'very "happy"']},
    "a mood[]": {"type": ["array", "null"], "items": {"anyOf": [
        {"enum": ["sad", 'very "happy"', None]}, {"type": ["array"]}]}},
    "a short": {"type": ["string"], "maxLength": 7},
    "a pair": {"type": ["object", "null"], "properties": {
        "x": {"type": ["integer", "null"], "minimum": -2**31, "maximum": 2**31 - 1},
        "the m": {"enum": ["sad", 'very "happy"', None]}}, "required": ["x", "the m"]},
}


@pytest.mark.parametrize("column", PARTS)
def test_parts(signalbus, schema, topics, schema_of, column):
    schema.execute("CREATE TYPE mood AS ENUM ('sad', 'very \"happy\"')")
    schema.execute("CREATE TYPE pair AS (x int, \"the m\" mood)")
    schema.execute("CREATE DOMAIN shorter AS varchar(7)")
    schema.execute("CREATE DOMAIN short AS shorter NOT NULL")
    own_id = column.startswith("id")
    name = "id" if own_id else "a"
    schema.execute(f"CREATE TABLE t ({column} {'PRIMARY KEY' if own_id else ''}"
                   f"{'' if own_id else ', id int PRIMARY KEY'})")
    schema.execute("COMMENT ON TABLE t IS 'Orders that\ncame in'")
    schema.execute(f"COMMENT ON COLUMN t.{name} IS 'What \"a\" is'")
    signalbus.configure(model("A", schema.table("t"), topics.unique_name()))
    document = schema_of()
    assert document["description"] == "Orders that\ncame in"
    part = document["properties"][name]
    assert part.pop("description") == 'What "a" is'
    assert part == PARTS[column]


def test_wrong_messages_are_not_valid(signalbus, schema, topics, schema_of):
    schema.execute("CREATE TABLE t (id bigint PRIMARY KEY, name varchar(3) NOT NULL, n int[])")
    signalbus.configure(model("A", schema.table("t"), topics.unique_name()))
    document = schema_of()
    good = {"id": 2**63 - 1, "name": "abc", "n": [1, None, [2]]}
    validate(document, good)
    for change in ({"id": None}, {"id": "1"}, {"id": 1.5}, {"name": None}, {"name": "abcd"},
                   {"n": [1.5]}, {"n": 1}, {"n": ["1"]}):
        with pytest.raises(ValidationError):
            validate(document, {**good, **change})
    for name in good:
        lacking = copy.copy(good)
        del lacking[name]
        with pytest.raises(ValidationError):
            validate(document, lacking)


def test_fields_are_what_the_schema_is_of(signalbus, schema, make_topic, consume, schema_of):
    topic = make_topic()
    schema.execute("CREATE TABLE t (id int PRIMARY KEY, a text NOT NULL, raw bytea)")
    schema.execute("COMMENT ON COLUMN t.a IS 'the a'")
    schema.execute(r"INSERT INTO t VALUES (1, 'x', '\x00'), (2, 'y', NULL)")
    signalbus.configure(model("A", schema.table("t"), topic, fields=[
        {"name": "renamed", "column": "a"}, {"name": "n", "sql": "length(a)"},
        {"name": "bytes", "sql": "raw || raw"}, {"name": "list", "sql": "ARRAY[id]"},
        {"name": "row", "sql": "signal"}, {"name": "text", "sql": "'x'"}]))
    document = schema_of()
    parts = document["properties"]
    assert list(parts) == ["renamed", "n", "bytes", "list", "row", "text"]
    assert parts["renamed"] == {"type": ["string"], "description": "the a"}
    assert parts["n"] == {"type": ["integer", "null"], "minimum": -2**31, "maximum": 2**31 - 1}
    assert parts["bytes"] == {"type": ["string", "null"], "contentEncoding": "base64"}
    assert list(parts["row"]["properties"]) == ["id", "a", "raw"]
    signalbus("flushmany").expect_silence()
    for message in consume(topic, 2):
        validate(document, json.loads(message.value))


def test_formats_hold(signalbus, schema, make_topic, consume, schema_of):
    """For validators that assert formats: ordinary values have them."""
    topic = make_topic()
    schema.execute("CREATE TABLE t (id uuid PRIMARY KEY, d date, at timestamptz)")
    schema.execute("INSERT INTO t VALUES (gen_random_uuid(), now(), now())")
    signalbus.configure(model("A", schema.table("t"), topic))
    document = schema_of()
    signalbus("flushmany").expect_silence()
    [message] = consume(topic, 1)
    checker = FormatChecker(formats=["uuid", "date"])
    Draft202012Validator(document, format_checker=checker).validate(json.loads(message.value))


def test_a_json_column_as_it_is(signalbus, schema, topics, schema_of):
    schema.execute("CREATE TABLE t (id int PRIMARY KEY, content jsonb, plain text)")
    schema.execute("COMMENT ON COLUMN t.content IS 'any'")
    table, topic = schema.table("t"), topics.unique_name()
    signalbus.configure(model("A", table, topic, value="content"),
                        model("B", table, topic, value="plain"))
    assert schema_of() == {"$schema": "https://json-schema.org/draft/2020-12/schema",
                           "title": "A", "description": "any"}
    run = signalbus("schema", "B").expect(78)
    assert run.stdout == "" and 'column "plain" as it is, of type text: that is not JSON' in run.stderr


def test_wrong_names(signalbus, schema, topics):
    signalbus.configure(model("A", schema.make_signals("t"), topics.unique_name()))
    run = signalbus("schema", "B").expect(2)
    assert 'A signal with name "B" does not exist.' in run.stderr and run.stdout == ""
    for words in (["schema"], ["schema", "A", "A"]):
        run = signalbus(*words).expect(2)
        assert "schema needs one NAME" in run.stderr and run.stdout == ""
