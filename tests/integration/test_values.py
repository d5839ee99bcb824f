"""Section 4 of the interface: what the messages hold.  PostgreSQL's own to_json is the measure."""

import base64
import json

import pytest

from runner import ids, model

# Whatever the environment, the role and the database say, messages are in UTC and the defaults.
STRANGE_ENVIRONMENT = {
    "PGTZ": "Asia/Kolkata", "PGDATESTYLE": "German", "PGCLIENTENCODING": "LATIN1",
    "PGOPTIONS": "-c extra_float_digits=-5 -c bytea_output=escape -c intervalstyle=iso_8601",
    "TZ": "America/New_York", "LC_ALL": "C", "LANG": "C",
}
STRANGE_SETTINGS = {
    "TimeZone": "Australia/Eucla", "DateStyle": "SQL, DMY", "IntervalStyle": "sql_standard",
    "extra_float_digits": "0", "bytea_output": "escape", "xmlbinary": "hex",
    "standard_conforming_strings": "off", "default_transaction_isolation": "serializable",
    "lc_monetary": "C.UTF-8", "xmloption": "document", "array_nulls": "off",
    "search_path": "pg_catalog",
}
PLAIN_SETTINGS = {
    "TimeZone": "UTC", "DateStyle": "ISO, MDY", "IntervalStyle": "postgres",
    "extra_float_digits": "1", "bytea_output": "hex",
}

EXTENSIONS = ("citext", "hstore")
TYPES = """
    CREATE TYPE mood AS ENUM ('sad', 'ok', 'very "happy"');
    CREATE TYPE point3 AS (x int, "the y" numeric, at timestamptz);
    CREATE TYPE line3 AS (a point3, b point3[], raw jsonb);
    CREATE DOMAIN positive AS bigint CHECK (VALUE > 0);
    CREATE DOMAIN document AS jsonb;
    CREATE TYPE float_range AS RANGE (subtype = float8)
"""

# One line a type family: type | values as SQL expressions.
VALUES = r"""
bool            | true | false
int2            | -32768 | 32767
int4            | -2147483648 | 0
int8            | 9007199254740993 | -9223372036854775808 | 9223372036854775807
numeric         | 0.1000 | 123456789012345678901234567890.123456789 | 'NaN' | 'Infinity' | 1e-30 | -0.0
numeric(6,2)    | 1 | -9999.99
float4          | 0.1 | 1e38 | 'NaN' | '-Infinity' | 16777216
float8          | 0.1 | 1e300 | 5e-324 | 'NaN' | 'Infinity' | '-0' | 0.1::float8 + 0.2::float8
money           | 1234.5
oid             | 4294967295
text            | '' | 'plain' | E'quote " backslash \\ slash / tab \t newline \n return \r' | E'\x01\x1f\x7f' | 'é ß € 漢字 🐘' | E'\u2028\u0085' | '<b>&amp;' | repeat('long ', 1000)
varchar(10)     | 'abc' | 'trailing  '
char(5)         | 'ab'
"char"          | 'x'
name            | 'a_name'
bytea           | '' | '\x00' | '\x00ff10' | '\x616263' | decode(repeat('00ff7f80', 200), 'hex')
date            | '2026-11-23' | 'infinity' | '-infinity' | '0044-03-15 BC' | '12345-01-01'
time            | '17:00:00' | '23:59:59.999999' | '24:00'
timetz          | '17:00:00+05:30'
timestamp       | '2026-11-23 17:00:00.123456' | '2026-11-23' | 'infinity' | '0044-03-15 01:02:03 BC'
timestamptz     | '2026-11-23 17:00:00.123456+00' | '2026-07-01 12:00+02' | 'infinity' | '-infinity' | '0044-03-15 01:02:03+00 BC' | '12345-06-07 00:00+00'
interval        | '1 year 2 mons 3 days 04:05:06.789' | '-1 day +02:03' | '0'
uuid            | '11111111-2222-3333-4444-555555555555'
inet            | '192.168.1.5/24' | '::1'
cidr            | '10.0.0.0/8'
macaddr         | '08:00:2b:01:02:03'
macaddr8        | '08:00:2b:01:02:03:04:05'
bit(5)          | '10101'
varbit          | '101' | ''
json            | '{"b" : 1,  "a":[1, 2.50],"a":null}' | '"text"' | 'null' | ' [1,2] ' | '1e2' | E'{"new":\n "line"}'
jsonb           | '{"b" : 1,  "a":[1, 2.50]}' | '"é\u20ac"' | 'null' | '12345678901234567890.10'
jsonpath        | '$.a[*] ? (@ > 1)'
xml             | '<a b="c">&amp;</a>'
point           | '(1.5,-2)'
line            | '{1,2,3}'
lseg            | '[(1,2),(3,4)]'
box             | '(1,2),(3,4)'
path            | '[(1,2),(3,4)]'
polygon         | '((1,2),(3,4),(5,6))'
circle          | '<(1,2),3>'
tsvector        | 'a:1 fat:2A cat:3'
tsquery         | 'fat & !rat'
int4range       | '[1,5)' | 'empty' | '(,)'
int8range       | '[1,9007199254740993)'
numrange        | '(1.10,2.20]'
daterange       | '[2026-01-01,infinity)'
tsrange         | '[2026-01-01 00:00,2026-01-02 00:00)'
tstzrange       | '[2026-01-01 00:00+05,)'
int4multirange  | '{[1,3),[5,8)}'
tstzmultirange  | '{[2026-01-01 00:00+05,2026-01-01 01:00+05)}'
float_range     | '[0.1,0.3]'
pg_lsn          | '16/B374D848'
pg_snapshot     | '10:20:10,14,15'
xid8            | '18446744073709551615'
tid             | '(1,2)'
regclass        | 'pg_catalog.pg_class'
regtype         | 'timestamp with time zone'
regproc         | 'pg_catalog.now'
int2vector      | '1 2 3'
oidvector       | '1 2 3'
int4[]          | '{}' | '{1,NULL,3}' | '{{1,2},{3,4}}' | '[5:6]={7,8}'
int8[]          | '{9007199254740993}'
numeric[]       | '{1.10,NaN}'
float8[]        | '{0.1,Infinity}'
text[]          | '{"a b","c\"d",NULL,"NULL","\\",""}'
bool[]          | '{t,f}'
timestamptz[]   | '{2026-11-23 17:00:00+01,infinity}'
date[]          | '{2026-11-23}'
jsonb[]         | ARRAY['{"a": 1}', 'null']::jsonb[]
json[]          | ARRAY['{"a" :1}']::json[]
interval[]      | '{1 day}'
mood            | 'very "happy"'
mood[]          | '{sad,"very \"happy\""}'
point3          | ROW(1, 2.50, '2026-11-23 17:00+01') | ROW(NULL, NULL, NULL)
point3[]        | ARRAY[ROW(1, 2.50, '2026-11-23 17:00+01')::point3, NULL]
line3           | ROW(ROW(1, 2, NULL), ARRAY[ROW(3, 4, NULL)]::point3[], '{"a": [1]}')
positive        | 9007199254740993
positive[]      | '{1,2}'
document        | '{"k": [1, 2]}'
citext          | 'MiXed "q"'
hstore          | 'a=>1, "b c"=>NULL'
"""


def families():
    for line in VALUES.strip().splitlines():
        name, *values = (part.strip() for part in line.split(" | "))
        yield name, values


@pytest.fixture
def strange_role(postgres, schema, signalbus):
    """signalbus connects as a role, and with an environment, whose settings are all unusual."""
    role = f"strange_{schema}"
    schema.execute(f"CREATE ROLE {role} LOGIN SUPERUSER")
    for name, value in STRANGE_SETTINGS.items():
        schema.execute(f"ALTER ROLE {role} SET {name} = '{value}'")
    signalbus.database = postgres.conninfo(user=role)
    yield role
    schema.execute(f"DROP ROLE {role}")


@pytest.fixture
def as_plain(schema):
    """Executes under the settings that messages are defined by."""
    connection = schema.connect(autocommit=True)
    cursor = connection.cursor()
    for name, value in PLAIN_SETTINGS.items():
        cursor.execute(f"SET {name} = '{value}'")

    def execute(sql):
        cursor.execute(sql)
        return cursor.fetchall()
    return execute


def make_values_table(schema):
    """One table with a column for each type family, and as many rows as it has values at most."""
    for extension in EXTENSIONS:
        schema.execute(f"CREATE EXTENSION IF NOT EXISTS {extension} SCHEMA public")
    schema.execute(TYPES)
    # PostgreSQL 14 has multiranges, and infinite numerics.
    is_old = schema.connection().server_version < 140000
    there = [(name, [value for value in values if not (
        is_old and name == "numeric" and "Infinity" in value)])
             for name, values in families() if not (is_old and "multirange" in name)]
    columns = [f'"c{number} {name.strip(chr(34))}" {name}' for number, (name, _) in enumerate(there)]
    schema.execute(f"CREATE TABLE v (id int PRIMARY KEY, {', '.join(columns)})")
    for row in range(max(len(values) for _, values in there)):
        chosen = [f"({values[row]})::{name}" if row < len(values) else "NULL" for name, values in there]
        schema.execute(f"INSERT INTO v VALUES ({row}, {', '.join(chosen)})")
    schema.execute("INSERT INTO v (id) VALUES (1000)")  # all NULL


def expected_values(as_plain, table):
    """The messages by PostgreSQL's own functions: to_json, but base64 for bytea."""
    columns = as_plain(f"""SELECT attname, quote_ident(attname), atttypid = 'bytea'::regtype
        FROM pg_attribute WHERE attrelid = '{table}'::regclass
        AND attnum > 0 AND NOT attisdropped ORDER BY attnum""")
    members = ", ".join(
        f"replace(encode({column}, 'base64'), E'\\n', '')" if is_bytea
        else f"to_json({column})::text" for _, column, is_bytea in columns)
    for row in as_plain(f"SELECT id, {members} FROM {table} ORDER BY id"):
        parts = []
        for (name, _, is_bytea), text in zip(columns, row[1:]):
            text = "null" if text is None else f'"{text}"' if is_bytea else text
            parts.append(f"{json.dumps(name, ensure_ascii=False)}:{text}")
        yield row[0], "{" + ",".join(parts) + "}"


def test_every_type_is_what_to_json_says(signalbus, schema, make_topic, consume, strange_role,
                                         as_plain):
    make_values_table(schema)
    expected = dict(expected_values(as_plain, "v"))
    topic = make_topic()
    signalbus.configure(model("V", schema.table("v"), topic, burst_count=100))
    signalbus("flushmany", environment=STRANGE_ENVIRONMENT).expect_silence()
    messages = consume(topic, len(expected))
    for message in messages:
        number = json.loads(message.value)["id"]
        assert_same_members(message.value.decode(), expected[number])
    assert sorted(ids(messages)) == sorted(expected)


def test_settings_of_the_role_are_not_in_force(signalbus, schema, make_topic, consume,
                                               strange_role):
    """Nor do they lead check astray, whose statements have constants with a backslash."""
    wanted = {**PLAIN_SETTINGS, "lc_monetary": "C", "xmlbinary": "base64", "xmloption": "content",
              "standard_conforming_strings": "on", "array_nulls": "on"}
    topic = make_topic()
    signalbus.configure(
        model("A", schema.make_signals("t", 1), topic,
              fields=[{"name": name, "sql": f"pg_catalog.current_setting('{name}')"}
                      for name in wanted]))
    schema.execute(signalbus("triggers").expect(0).stdout)
    assert signalbus("check").expect(0).findings() == []
    signalbus("flushmany").expect_silence()
    [message] = consume(topic, 1)
    assert json.loads(message.value) == wanted


def assert_same_members(value, expected):
    """Byte for byte; where they differ, the first difference tells more than the whole."""
    if value != expected:
        at = next((n for n, (a, b) in enumerate(zip(value, expected)) if a != b),
                  min(len(value), len(expected)))
        start = max(0, at - 60)
        pytest.fail(f"...{value[start:at + 60]}\ninstead of\n...{expected[start:at + 60]}")


def test_bytea_is_base64_without_line_breaks(signalbus, schema, make_topic, consume):
    content = bytes(range(256)) * 3
    schema.execute("CREATE TABLE t (id int PRIMARY KEY, raw bytea)")
    schema.execute("INSERT INTO t VALUES (1, %s)", content)
    topic = make_topic()
    signalbus.configure(model("A", schema.table("t"), topic))
    signalbus("flushmany", environment=STRANGE_ENVIRONMENT).expect_silence()
    [message] = consume(topic, 1)
    assert message.value.decode() == f'{{"id":1,"raw":"{base64.b64encode(content).decode()}"}}'


def test_member_names_and_order(signalbus, schema, make_topic, consume):
    schema.execute('CREATE TABLE t (zeta int, gone int, "Quo""ted \\ näme" text, '
                   '"tab\there" int, id int PRIMARY KEY)')
    schema.execute("ALTER TABLE t DROP COLUMN gone")
    schema.execute("ALTER TABLE t ADD COLUMN alpha int GENERATED ALWAYS AS (id * 2) STORED")
    schema.execute('INSERT INTO t (zeta, "Quo""ted \\ näme", "tab\there", id) '
                   "VALUES (1, 'x', 2, 3)")
    topic = make_topic()
    signalbus.configure(model("A", schema.table("t"), topic))
    signalbus("flushmany").expect_silence()
    [message] = consume(topic, 1)
    assert message.value.decode() == (
        '{"zeta":1,"Quo\\"ted \\\\ näme":"x","tab\\there":2,"id":3,"alpha":6}')


@pytest.mark.parametrize("kind, value, key", [
    ("text", "'customer 7'", b"customer 7"),
    ("text", "'é \"x\"'", 'é "x"'.encode()),
    ("text", "''", b""),
    ("text", "NULL", None),
    ("bytea", r"'\x00ff0a'", b"\x00\xff\n"),
    ("bytea", "''", b""),
    ("int8", "-9223372036854775808", b"-9223372036854775808"),
    ("numeric", "1.50", b"1.50"),
    ("uuid", "'11111111-2222-3333-4444-555555555555'",
     b"11111111-2222-3333-4444-555555555555"),
    ("timestamptz", "'2026-11-23 17:00+01'", b"2026-11-23 16:00:00+00"),
    ("interval", "'1 year 2 days'", b"1 year 2 days"),
    ("float8", "0.1::float8 + 0.2::float8", b"0.30000000000000004"),
    ("jsonb", """'{"a":1}'""", b'{"a": 1}'),
])
def test_keys(signalbus, schema, make_topic, consume, strange_role, kind, value, key):
    schema.execute(f'CREATE TABLE t (id int PRIMARY KEY, "The Key" {kind})')
    schema.execute(f"INSERT INTO t VALUES (1, {value})")
    topic = make_topic()
    signalbus.configure(model("A", schema.table("t"), topic, key="The Key"))
    signalbus("flushmany", environment=STRANGE_ENVIRONMENT).expect_silence()
    [message] = consume(topic, 1)
    assert message.key == key and message.headers == []


def test_without_key_there_is_none(signalbus, schema, make_topic, consume):
    topic = make_topic()
    signalbus.configure(model("A", schema.make_signals("t", 1), topic))
    signalbus("flushmany").expect_silence()
    assert consume(topic, 1)[0].key is None


def test_large_values(signalbus, schema, make_topic, consume):
    """Several megabytes in one value, where topic and producer allow them."""
    topic = make_topic(config={"max.message.bytes": "20000000"})
    schema.make_signals("t", 3)
    schema.execute("UPDATE t SET payload = repeat('x', 5000000) WHERE id = 2")
    signalbus.configure(model("A", schema.table("t"), topic, burst_count=10),
                        kafka={"message_max_bytes": 20000000})
    signalbus("flushmany").expect_silence()
    messages = consume(topic, 3)
    assert sorted(len(json.loads(message.value)["payload"]) for message in messages) == [
        8, 8, 5000000]


def test_many_columns(signalbus, schema, make_topic, consume):
    columns = 900
    names = ", ".join(f"column_{number} int DEFAULT {number}" for number in range(columns))
    schema.execute(f"CREATE TABLE t (id int PRIMARY KEY, {names})")
    schema.execute("INSERT INTO t (id) VALUES (1), (2)")
    topic = make_topic()
    signalbus.configure(model("A", schema.table("t"), topic, burst_count=10))
    signalbus("flushmany").expect_silence()
    for message in consume(topic, 2):
        value = json.loads(message.value)
        assert [value[f"column_{number}"] for number in range(columns)] == list(range(columns))


def test_database_in_another_encoding(postgres, signalbus, schema, make_topic, consume):
    """Messages are UTF-8 whatever the database is in."""
    name = f"latin_{schema}"
    postgres.create_database(name, "ENCODING 'LATIN1' TEMPLATE template0")
    connection = postgres.connect(name)
    connection.cursor().execute("CREATE TABLE t (id int PRIMARY KEY, \"größe\" text)")
    connection.cursor().execute("INSERT INTO t VALUES (1, 'ä ÿ')")
    connection.close()
    topic = make_topic()
    signalbus.database = postgres.conninfo(name)
    signalbus.configure(model("A", "t", topic, key="größe"))
    signalbus("flushmany").expect_silence()
    [message] = consume(topic, 1)
    assert message.value.decode() == '{"id":1,"größe":"ä ÿ"}'
    assert message.key == "ä ÿ".encode()
    schema.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.parametrize("command", [
    ("flushmany", "-j", "1"), ("flushordered",), ("flush", "-w", "0")])
def test_settings_that_a_trigger_leaves_behind(signalbus, schema, make_topic, topics, command):
    """Code of users may change settings of its session: no later message differs, of no model."""
    schema.execute("CREATE FUNCTION change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                   "SET bytea_output = 'escape'; SET TimeZone = 'Asia/Kolkata'; "
                   "SET DateStyle = 'German'; SET IntervalStyle = 'sql_standard'; "
                   "SET client_encoding = 'LATIN1'; SET search_path = public; "
                   "RETURN OLD; END $$")
    columns = "k bytea, at timestamptz, day date, i interval, t text, PRIMARY KEY (at, k)"
    names = {}
    for table in ("a", "b"):
        schema.execute(f"CREATE TABLE {table} ({columns})")
        schema.execute(f"INSERT INTO {table} SELECT '\\x00ff41', '2026-01-02 03:04:05+00'::timestamptz"
                       " + n * interval '1 day', '2026-02-03', '26 hours', 'é'"
                       " FROM generate_series(0, 2) n")
        names[table] = make_topic()
    schema.execute("CREATE TRIGGER change BEFORE DELETE ON a FOR EACH ROW "
                   "EXECUTE FUNCTION change()")
    signalbus.configure(*(model(table, f"{schema}.{table}", topic, key="k", order_by=["at"])
                          for table, topic in names.items()))
    signalbus(*command).expect_silence()
    assert schema.count("a") == schema.count("b") == 0
    for topic in names.values():
        messages = sorted(topics.read(topic, 3), key=lambda message: message.value)
        assert [message.key for message in messages] == [b"\0\xffA"] * 3
        assert [message.value.decode() for message in messages] == [
            f'{{"k":"AP9B","at":"2026-01-0{day}T03:04:05+00:00","day":"2026-02-03",'
            '"i":"26:00:00","t":"é"}' for day in (2, 3, 4)]
