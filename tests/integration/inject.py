"""What the tests share that make a burst fail at a point of their choice."""

import json
import time
from collections import Counter

from runner import BINARY
from topics import open_consumer

from confluent_kafka import OFFSET_BEGINNING, KafkaError, TopicPartition


def injector(name):
    """The path of what makes a run fail; see tests/inject."""
    path = BINARY.parent / "inject" / name
    assert path.exists(), f"{path}: not there; run make inject first"
    return path


class Follower:
    """Reads a topic of one partition as it grows."""

    def __init__(self, kafka, topic):
        self.consumer = open_consumer(kafka)
        self.place = TopicPartition(topic, 0, OFFSET_BEGINNING)
        self.consumer.assign([self.place])
        self.next_offset = 0

    def read(self, timeout=20):
        """
        The values that have come since the last call, up to the end that the log has now, which
        may be a marker of a transaction.
        """
        end = self.consumer.get_watermark_offsets(self.place, timeout=timeout)[1]
        values, deadline = [], time.monotonic() + timeout
        while self.next_offset < end:
            assert time.monotonic() < deadline, f"the log ends at {end}, not {self.next_offset}"
            for record in self.consumer.consume(num_messages=1000, timeout=0.05):
                if not record.error():
                    values.append(record.value())
                    self.next_offset = record.offset() + 1
                elif record.error().code() == KafkaError._PARTITION_EOF:
                    self.next_offset = record.offset()
        return values

    def close(self):
        self.consumer.close()


class Rounds:
    """
    Rounds of a few signals each in the table t, all of one topic.  Between begin() and end() they
    are flushed and something happens; end() sees to it that all of them have arrived as they were
    meant, and that nothing else has.
    """

    def __init__(self, schema, kafka, topic, count):
        self.schema = schema
        self.topic = topic
        self.follower = Follower(kafka, topic)
        self.count = count
        self.first = 1
        self.seen = Counter()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.follower.close()

    def numbers(self):
        return range(self.first, self.first + self.count)

    def expected(self):
        return {json.dumps({"id": n, "payload": f"signal {n}"}, separators=(",", ":")).encode()
                for n in self.numbers()}

    def begin(self):
        self.seen.clear()
        self.schema.insert_signals("t", self.count, first=self.first)

    def read(self):
        self.seen.update(self.follower.read())
        assert set(self.seen) <= self.expected(), f"wrong messages: {self.seen}"

    def look(self):
        """What signals are gone from the table; those are in the log, or a signal is lost."""
        self.schema.end_backends()
        left = {number for number, in self.schema.execute("SELECT id FROM t")}
        self.read()
        gone = set(self.numbers()) - left
        sent = {json.loads(value)["id"] for value in self.seen}
        assert gone <= sent, f"deleted and not in the log: {sorted(gone - sent)}"
        return gone

    def end(self):
        """How many messages are repeats."""
        self.read()
        assert set(self.seen) == self.expected(), f"missing in the log: {self.seen}"
        assert self.schema.count("t") == 0
        self.first += self.count
        return sum(self.seen.values()) - self.count
