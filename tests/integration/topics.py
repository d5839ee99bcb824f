"""What is in Kafka: topics made for a test, and everything that a topic's log holds."""

import itertools
import time
import uuid
from typing import NamedTuple, Optional

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition
from confluent_kafka.admin import NewPartitions, NewTopic

from servers import wait_until


class Message(NamedTuple):
    key: Optional[bytes]
    value: Optional[bytes]
    headers: list
    partition: int
    offset: int
    timestamp: int


def open_consumer(kafka, more=None):
    return Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": uuid.uuid4().hex,
                     "enable.auto.commit": False, "enable.partition.eof": True,
                     "isolation.level": "read_committed", "reconnect.backoff.ms": 50,
                     "reconnect.backoff.max.ms": 500, "fetch.wait.max.ms": 10, "log_level": 0,
                     **(more or {})})


def partitions_of(consumer, topic):
    found = consumer.list_topics(topic, timeout=20).topics[topic]
    assert found.error is None, f"topic {topic}: {found.error}"
    return sorted(found.partitions)


class Topics:
    """Topics of one Kafka, with names that no other test has."""

    numbers = itertools.count()

    def __init__(self, kafka):
        self.kafka = kafka

    @classmethod
    def unique_name(cls):
        return f"test-{next(cls.numbers)}-{uuid.uuid4().hex[:8]}"

    def make(self, partitions=1, config=None, name=None, replicas=1):
        """Creates a topic and waits until all of its partitions have a leader."""
        name = name or self.unique_name()
        admin = self.kafka.admin()
        new = NewTopic(name, partitions, replicas, config=config or {})
        admin.create_topics([new], operation_timeout=20)[name].result(timeout=30)
        wait_until(lambda: self.has_leaders(admin, name, partitions), 20, f"leaders of {name}")
        return name

    def extend(self, name, partitions):
        """Adds partitions to a topic, up to this many."""
        admin = self.kafka.admin()
        admin.create_partitions([NewPartitions(name, partitions)])[name].result(timeout=30)
        wait_until(lambda: self.has_leaders(admin, name, partitions), 20, f"leaders of {name}")

    @staticmethod
    def has_leaders(admin, name, partitions):
        found = admin.list_topics(timeout=5).topics.get(name)
        return (found is not None and len(found.partitions) == partitions
                and all(partition.leader >= 0 for partition in found.partitions.values()))

    def consume(self, topic, expected, timeout=30):
        """
        All messages of a topic, from its beginning to its end, in the order of the log of each
        partition.  Waits until there are as many as expected; one more than that fails, too.
        """
        messages = self.read(topic, expected, timeout)
        assert len(messages) == expected, f"{len(messages)} messages instead of {expected}"
        return messages

    def read(self, topic, at_least=0, timeout=30):
        """As consume(), but there may be more: repeats, where a crash allows them."""
        consumer = open_consumer(self.kafka)
        try:
            return self.read_with(consumer, topic, at_least, time.monotonic() + timeout)
        finally:
            consumer.close()

    def read_with(self, consumer, topic, at_least, deadline):
        consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING)
                         for partition in partitions_of(consumer, topic)])
        at_end, messages = set(), []
        while len(at_end) < len(consumer.assignment()) or len(messages) < at_least:
            if time.monotonic() > deadline:
                raise AssertionError(f"only {len(messages)} of {at_least} messages in {topic}")
            for record in consumer.consume(num_messages=10000, timeout=0.05):
                self.note(record, at_end, messages)
        return messages

    @staticmethod
    def note(record, at_end, messages):
        if record.error():
            assert record.error().code() == KafkaError._PARTITION_EOF, record.error()
            at_end.add(record.partition())
            return
        at_end.discard(record.partition())
        messages.append(Message(record.key(), record.value(), record.headers() or [],
                                record.partition(), record.offset(), record.timestamp()[1]))

    def count_batches(self, topic, partition=0):
        """How many batches a partition's log holds, by the files of the first broker."""
        count = 0
        for path in (self.kafka.brokers[0].folder / "data" / f"{topic}-{partition}").glob("*.log"):
            content, at = path.read_bytes(), 0
            while at < len(content):  # the base offset, the length of what follows, and that
                at += 12 + int.from_bytes(content[at + 8:at + 12], "big")
                count += 1
        return count

    def count_in_log(self, topic):
        """How many messages a topic holds, without reading them."""
        consumer = open_consumer(self.kafka)
        try:
            marks = [consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=20)
                     for partition in partitions_of(consumer, topic)]
            return sum(high - low for low, high in marks)
        finally:
            consumer.close()


def first_appearances(items):
    """The items without repeats, each where it was first."""
    return list(dict.fromkeys(items))
