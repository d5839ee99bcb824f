"""
Exactly-once delivery, and a broker that has lost the controller, and nothing else: it answers as the
coordinator of a group that another broker coordinates meanwhile.
"""

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from proxy import Proxy
from runner import Signalbus, ids, model
from servers import Kafka, wait_until
from test_exactly_once import prepared
from topics import Topics

OFFSETS, TRANSACTIONS = 6, 5  # the partitions of __consumer_offsets, __transaction_state


class Cluster(Kafka):
    """Node 1 is only a broker, and finds the controller, node 2, by a proxy."""

    def __init__(self):
        super().__init__(2, settings={
            "offsets.topic.num.partitions": OFFSETS,
            "transaction.state.log.num.partitions": TRANSACTIONS,
            "auto.leader.rebalance.enable": "false"})

    def initialize(self):
        broker, controller = self.brokers
        self.proxy = Proxy(controller.controller_port)
        own = {
            "process.roles": "broker",
            "listeners": f"PLAINTEXT://{broker.address},BYWAY://127.0.0.1:{broker.byway_port}",
            "controller.quorum.voters": f"{controller.node}@127.0.0.1:{self.proxy.port}"}
        advertised = (f"PLAINTEXT://{controller.address},BYWAY://{controller.proxy_address},"
                      f"CONTROLLER://127.0.0.1:{self.proxy.port}")
        self.settings["controller.quorum.voters"] = controller.voter
        for node, more in [(broker, own), (controller, {"advertised.listeners": advertised})]:
            node.configure = lambda settings, to=node.configure, more=more: to({**settings, **more})
        super().initialize()

    def leaders(self, topic):
        admin = AdminClient({"bootstrap.servers": self.brokers[1].address})
        partitions = admin.list_topics(topic, timeout=10).topics[topic].partitions
        return {number: partition.leader for number, partition in partitions.items()}


@pytest.fixture(name="cluster")
def make_cluster():
    with Cluster() as cluster:
        yield cluster
        cluster.proxy.close()


def partition_of(text, count):
    """As Kafka chooses one for a group or a transactional id."""
    number = 0
    for character in text:
        number = (31 * number + ord(character)) & 0xffffffff
    return abs(number - (1 << 32) if number >= 1 << 31 else number) % count


def make_internal_topics(cluster):
    producer = Producer({"bootstrap.servers": cluster.bootstrap, "transactional.id": "first"})
    group = Consumer({"bootstrap.servers": cluster.bootstrap, "group.id": "first"})
    producer.init_transactions(60)
    producer.begin_transaction()
    producer.send_offsets_to_transaction(
        [TopicPartition("readiness", 0, 5)], group.consumer_group_metadata(), 60)
    producer.commit_transaction(60)
    group.close()


def instance_at(cluster):
    """Its group is coordinated by node 1, its transactions by node 2; and the group's partition."""
    groups, transactions = map(cluster.leaders, ["__consumer_offsets", "__transaction_state"])
    for number in range(1000):
        name = f"instance{number}"
        group = partition_of(f"{name}-0", OFFSETS)
        if (groups[group], transactions[partition_of(f"{name}-0", TRANSACTIONS)]) == (1, 2):
            return name, group
    return pytest.skip(f"node 1 leads too little: {groups}, {transactions}")


@pytest.mark.long
def test_a_coordinator_that_is_none_any_more(schema, folder, postgres, cluster):
    """Its number is too old, and another sender's burst, which is stored, would be rolled back."""
    topics = Topics(cluster)
    topic = next(t for t in iter(topics.make, None) if cluster.leaders(t)[0] == 2)
    make_internal_topics(cluster)
    instance, group = instance_at(cluster)
    tables = [schema.make_signals("t", 10), schema.make_signals("u")]
    way = Proxy(postgres.port)

    def signalbus(place, names, poll_interval, **connection):
        (folder / place).mkdir()
        made = Signalbus(folder / place, postgres.conninfo(**connection),
                         cluster.brokers[1].address)
        made.configure(*[model(name, table, topic, burst_count=10)
                         for name, table in zip(names, tables)],
                       delivery="exactly-once", instance=instance, timeout=8, workers=1,
                       poll_interval=poll_interval)
        return made
    killed = signalbus("killed", "A", 0.2, port=way.port, sslmode="disable", gssencmode="disable")
    other = signalbus("other", "AB", 600.0)
    schema.execute(other("triggers", "B").expect(0).stdout)
    try:
        first = killed.start("run")
        schema.wait_until(lambda: schema.count("t") == 0, 60, "the first burst sent")
        other.start("run")
        schema.insert_signals("u", 1, first=100)
        schema.wait_until(lambda: schema.count("u") == 0, 60, "that it knows the coordinator")
        first.stop()
        cluster.proxy.swallow()
        wait_until(lambda: cluster.leaders("__consumer_offsets")[group] == 2, 60, "a new leader")
        way.vanish_at(b"COMMIT PREPARED")
        schema.insert_signals("t", 10, first=11)
        second = killed.start("run")
        assert way.sprung.wait(60)
        second.kill()
        way.reset()
        wait_until(lambda: prepared(schema, instance) == [], 60, "the burst decided")
        cluster.proxy.restore()
        other("flushmany").expect(0)
        assert sorted(ids(topics.read(topic, 21))) == [*range(1, 21), 100]
    finally:
        killed.discard()
        other.discard()
        for name in prepared(schema, instance):
            schema.execute(f"ROLLBACK PREPARED '{name}'")
        way.close()
