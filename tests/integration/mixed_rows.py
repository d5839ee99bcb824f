"""Rows of mixed types with random values, for comparisons with what PostgreSQL says of them."""

NULLS = 0.08  # of a column's rows

# Any character but NUL: controls and ASCII, then letters, then all planes but the surrogates.
TEXT = """(SELECT coalesce(string_agg(chr(CASE (random() * 5)::int
    WHEN 0 THEN 1 + (random() * 126)::int WHEN 1 THEN 1 + (random() * 2000)::int
    WHEN 2 THEN 57344 + (random() * 1000000)::int
    ELSE (ARRAY[34, 92, 47, 10, 13, 9, 127, 8232, 97, 32])[1 + (random() * 9)::int] END), ''), '')
    FROM generate_series(1, (random() * 14)::int + 0 * n))"""
FLOAT = "((random() - 0.5) * 10 ^ (random() * {0} - {0} / 2))"
TIME = "('2000-01-01'::timestamp + (random() - 0.5) * interval '6000 years')"

# Name and type of a column, and a random value as an SQL expression of the row's number n.
COLUMNS = {
    "a bool": "random() < 0.5",
    "an int2": "(random() * 65535 - 32768)::int",
    "an int4": "(random() * 4294967295 - 2147483648)::int8",
    "an int8": "('x' || md5(n::text))::bit(64)::int8",
    "a numeric": f"CASE WHEN random() < 0.02 THEN 'NaN' ELSE round({FLOAT.format(30)}::numeric, "
                 "(random() * 20)::int) END",
    "a numeric(30,6)": f"{FLOAT.format(40)}::numeric",
    "a float4": f"CASE WHEN random() < 0.02 THEN '-Infinity' ELSE {FLOAT.format(70)} END",
    "a float8": f"CASE WHEN random() < 0.02 THEN 'NaN' ELSE {FLOAT.format(600)} END",
    "a text": TEXT,
    "a varchar": "md5(n::text)",
    "a char(9)": "left(md5(n::text), (random() * 9)::int)",
    "a bytea": "substr(sha512(n::text::bytea), 1, (random() * 40)::int)",
    "a uuid": "md5(n::text)::uuid",
    "a date": f"CASE WHEN random() < 0.02 THEN 'infinity' ELSE {TIME}::date END",
    "a time": f"{TIME}::time",
    "a timestamp": f"CASE WHEN random() < 0.02 THEN '-infinity' ELSE {TIME} END",
    "a timestamptz": f"{TIME} AT TIME ZONE 'Asia/Kolkata'",
    "an interval": "random() * interval '30 years 7 mons' - random() * interval '900 days'",
    "a json": f"json_build_object('n', n, 'text', {TEXT}, 'list', json_build_array(1.50, NULL))",
    "a jsonb": f"jsonb_build_object('n', n, {TEXT}, {FLOAT.format(30)})",
    "an inet": "'10.0.0.0'::inet + (random() * 16777215)::int",
    "a money": "(random() * 1000000)::numeric::money",
    "an int4[]": "CASE (random() * 2)::int WHEN 0 THEN ARRAY[]::int[] WHEN 1 THEN ARRAY[n, NULL] "
                 "ELSE ARRAY[[n, 1], [2, 3]] END",
    "a text[]": f"ARRAY[{TEXT}, NULL, {TEXT}]",
    "a timestamptz[]": f"ARRAY[{TIME} AT TIME ZONE 'UTC']",
    "a mood": "(ARRAY['sad', 'ok', 'very \"happy\"'])[1 + (random() * 2)::int]::mood",
    "a pair": f"ROW({FLOAT.format(30)}::numeric, {TEXT}, {TIME} AT TIME ZONE 'UTC')::pair",
    "an int8range": "int8range(n, n + (random() * 10)::int)",
    "a positive": "1 + (random() * 9e18)::int8",
    "a public.hstore": f"public.hstore('n', n::text) || public.hstore({TEXT}, NULL)",
}


def name_of(column):
    return f'"{column.split()[1]} \\ {column}"'


def make_rows(cursor, count):
    """A table t with these columns, an id counted from 1, and as many rows; always the same."""
    cursor.execute("SELECT setseed(0.5)")
    cursor.execute("CREATE EXTENSION IF NOT EXISTS hstore SCHEMA public")
    cursor.execute("CREATE DOMAIN positive AS bigint CHECK (VALUE > 0)")
    cursor.execute("CREATE TYPE mood AS ENUM ('sad', 'ok', 'very \"happy\"')")
    cursor.execute("CREATE TYPE pair AS (x numeric, \"the y\" text, at timestamptz)")
    columns = [f"{name_of(column)} {column.split(None, 1)[1]}" for column in COLUMNS]
    cursor.execute(f"CREATE TABLE t (id int PRIMARY KEY, {', '.join(columns)})")
    values = [f"CASE WHEN random() > {NULLS} THEN {value} END" for value in COLUMNS.values()]
    cursor.execute(f"INSERT INTO t SELECT n, {', '.join(values)} "
                   f"FROM generate_series(1, {count}) n")
