"""Grants Kafka's privileges by its protocol, since Debian's confluent_kafka has no call for that."""

import socket
import struct

TOPIC, GROUP, TRANSACTIONAL_ID = 2, 3, 5  # types of resources
READ, WRITE, DESCRIBE = 3, 4, 8  # operations
CREATE_ACLS, VERSION, PREFIXED, ALLOW = 30, 1, 4, 3


def string(text):
    return struct.pack(">h", len(text)) + text.encode()


def exchange(address, request):
    host, port = address.split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(struct.pack(">i", len(request)) + request)
        answer = connection.makefile("rb")
        return answer.read(struct.unpack(">i", answer.read(4))[0])


def allow(address, user, resource, prefix, *operations):
    """Lets the user do this with all resources whose names begin with the prefix."""
    bindings = b"".join(
        struct.pack(">b", resource) + string(prefix) + struct.pack(">b", PREFIXED)
        + string(f"User:{user}") + string("*") + struct.pack(">bb", operation, ALLOW)
        for operation in operations)
    answer = exchange(address, struct.pack(">hhi", CREATE_ACLS, VERSION, 1) + string("tests")
                      + struct.pack(">i", len(operations)) + bindings)
    # The number of the request, the throttle time, the count; then a code and an empty reason each.
    assert answer == struct.pack(">iii", 1, 0, len(operations)) + len(operations) * bytes(4), answer
