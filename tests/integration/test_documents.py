"""README.md and docs/: their command blocks do what they say, in order, on real servers."""

import time

import pytest

from documents import Reader
from servers import wait_until

TOPICS = ("orders.created", "shop.order-created")


@pytest.fixture
def reader(folder, postgres, kafka):
    delete_topics(kafka)
    reader = Reader(folder, postgres, kafka)
    yield reader
    reader.leave()
    connection = postgres.connect("postgres")
    cursor = connection.cursor()
    cursor.execute("DROP DATABASE IF EXISTS shop WITH (FORCE)")
    cursor.execute("DROP ROLE IF EXISTS signalbus")
    connection.close()
    delete_topics(kafka)


def delete_topics(kafka):
    """Those that documents create: others of the same names may have been in this broker."""
    admin = kafka.admin()

    def found():
        return [topic for topic in TOPICS if topic in admin.list_topics(timeout=10).topics]
    if found():
        for deleted in admin.delete_topics(found(), operation_timeout=20).values():
            deleted.result(30)
        wait_until(lambda: not found(), 20, "the topics are gone")


def test_tutorial(reader, kafka, killed_servers):
    reader.follow("docs/tutorial.md", {"stop the broker": kafka.kill, "start the broker": kafka.start})


def test_readme(reader, postgres):
    postgres.create_database("shop")
    reader.follow("README.md")
