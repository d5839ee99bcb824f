"""
What the chaos run writes: signals whose key, value and headers follow from their id alone, so that
each message can be checked to the byte without remembering what was written.
"""

import base64
import hashlib
import json
import re
from typing import NamedTuple

EVERY_BYTE = bytes(range(256))
MESSAGE_LIMIT, TOO_LARGE = 30_000, 40_000  # bytes: of a batch, and of a signal that is rejected
ADDED = re.compile(r'(,"extra_\d+":null)*}')  # columns that a fault adds


class Table(NamedTuple):
    """A signal table and the model that reads it."""

    name: str
    burst_count: int
    ordered: bool = False
    partitions: int = 3  # of its topic; an order is one of a single partition
    partitioned: bool = False
    rejected_each: int = 0  # one in this many signals is larger than its topic allows; 0: none

    def create(self):
        """Its statements; ids are drawn within the INSERT, so that order by id is order."""
        head = (f"CREATE SEQUENCE {self.name}_ids; CREATE TABLE {self.name} "
                "(id bigint PRIMARY KEY, key bytea, payload text NOT NULL, mark text)")
        if not self.partitioned:
            return head
        parts = "".join(f"; CREATE TABLE {self.name}_{part} PARTITION OF {self.name} "
                        f"FOR VALUES WITH (MODULUS 3, REMAINDER {part})" for part in range(3))
        return f"{head} PARTITION BY HASH (id){parts}"

    @property
    def insert(self):
        """Takes the number of rows; what it writes for an id is what the functions below say."""
        return f"""
            INSERT INTO {self.name} (id, key, payload, mark)
            SELECT n, CASE WHEN n % 5 = 0 THEN NULL WHEN n % 7 = 0 THEN '\\x{EVERY_BYTE.hex()}'
                           ELSE decode(md5('key ' || n), 'hex') END,
                   CASE WHEN {self.rejected_each} > 0 AND n % {max(1, self.rejected_each)} = 0
                        THEN repeat('x', {TOO_LARGE}) ELSE '' END
                       || 'signal ' || n || repeat(E'é "\\n', (n % 40)::int),
                   CASE WHEN n % 3 > 0 THEN md5('mark ' || n) END
            FROM (SELECT nextval('{self.name}_ids') n FROM generate_series(1, $1)) ids
            RETURNING id""".replace("%", "%%").replace("$1", "%s")

    def is_rejected(self, number):
        return self.rejected_each > 0 and number % self.rejected_each == 0

    def model(self, topic):
        order = {"order_by": ["id"]} if self.ordered else {}
        return {"name": self.name, "table": self.name, "topic": topic, "key": "key",
                "burst_count": self.burst_count, **order,
                **({"on_reject": "dead-letter"} if self.rejected_each else {}),
                "headers": ["mark", {"name": "kind", "value": self.name}]}


# Bursts of several sizes; tables of all kinds.
TABLES = (Table("plain", 50, rejected_each=97), Table("ordered", 100, ordered=True, partitions=1),
          Table("parted", 10, partitioned=True))


def tables_for(delivery):
    """With transactions, each rejected message takes a second: they are fewer then."""
    if delivery != "exactly-once":
        return TABLES
    return tuple(table._replace(rejected_each=20 * table.rejected_each) for table in TABLES)


def md5(text):
    return hashlib.md5(text.encode())


def key_of(number):
    if number % 5 == 0:
        return None
    return EVERY_BYTE if number % 7 == 0 else md5(f"key {number}").digest()


def mark_of(number):
    return md5(f"mark {number}").hexdigest() if number % 3 else None


def headers_of(table, number):
    mark = mark_of(number)
    return ([("mark", mark.encode())] if mark else []) + [("kind", table.name.encode())]


def value_of(number):
    """Without the brace at its end: there the columns follow that have been added."""
    key = key_of(number)
    members = {"id": number, "key": key and base64.b64encode(key).decode(),
               "payload": f"signal {number}" + 'é "\n' * (number % 40), "mark": mark_of(number)}
    return json.dumps(members, ensure_ascii=False, separators=(",", ":"))[:-1]


ID = re.compile(rb'\{"id":(\d+),')


def id_of(value):
    """The id that a message says it has; None where it says none."""
    found = ID.match(value or b"")
    return found and int(found[1])


def is_exact(table, number, key, value, headers):
    """Whether a message is what its row has to become."""
    text, expected = value.decode(), value_of(number)
    return (key == key_of(number) and headers == headers_of(table, number)
            and text.startswith(expected) and ADDED.fullmatch(text, len(expected)) is not None)
