"""Requests of Kafka's protocol that Debian's confluent_kafka does not have: privileges, settings."""

import socket
import struct

CREATE_ACLS, DELETE_ACLS, INCREMENTAL_ALTER_CONFIGS = 30, 31, 44
BROKER = 4  # type of a resource whose settings are changed
TOPIC, GROUP, CLUSTER, TRANSACTIONAL_ID = 2, 3, 4, 5  # types of resources
LITERAL, PREFIXED = 3, 4  # what the name of a resource is
ALLOW = b"\x03"
OPERATIONS = ("UNKNOWN", "ANY", "ALL", "READ", "WRITE", "CREATE", "DELETE", "ALTER", "DESCRIBE",
              "CLUSTER_ACTION", "DESCRIBE_CONFIGS", "ALTER_CONFIGS", "IDEMPOTENT_WRITE")


def text(words):
    return struct.pack(">h", len(words)) + words.encode()


def tell(address, api, version, body):
    """A request about one thing, which has to succeed."""
    request = struct.pack(">hhi", api, version, 1) + text("tests") + body
    with socket.create_connection(address.split(":"), 20) as connection:
        connection.sendall(struct.pack(">i", len(request)) + request)
        with connection.makefile("rb") as answer:
            [size] = struct.unpack(">i", answer.read(4))
            # The number of the request, the throttle time, the count, and the code of the first.
            _, _, count, code = struct.unpack(">iiih", answer.read(size)[:14])
    assert (count, code) == (1, 0), (count, code)


def binding(user, operation, resource):
    kind, name, pattern = resource
    return (struct.pack(">ib", 1, kind) + text(name) + struct.pack(">b", pattern)
            + text(f"User:{user}") + text("*")
            + struct.pack(">b", OPERATIONS.index(operation)) + ALLOW)


def allow(address, user, resource, *operations):
    """Lets the user do this with a resource: its type, its name, and LITERAL or PREFIXED."""
    for operation in operations:
        tell(address, CREATE_ACLS, 1, binding(user, operation, resource))


def forbid(address, user, resource, operation):
    """Takes that back."""
    tell(address, DELETE_ACLS, 1, binding(user, operation, resource))


def change_broker(address, number, settings):
    """Changes settings of a broker while it runs."""
    entries = b"".join(text(name) + b"\x00" + text(str(value)) for name, value in settings.items())
    tell(address, INCREMENTAL_ALTER_CONFIGS, 0, struct.pack(">ib", 1, BROKER) + text(number)
         + struct.pack(">i", len(settings)) + entries + b"\x00")
