"""What is committed arrives, whatever the network does on the way to either server."""

import re
import time
from pathlib import Path



import pytest

from proxy import ANSWER, REQUEST, RESET, Proxy
from runner import ids, is_sanitized, model, repeats
from servers import wait_until

TIMEOUT = 1.0
BURST = 20
IN_FLIGHT = 2 * BURST  # the daemon has two workers
ESTABLISHED, CLOSING = "01", "04"  # of /proc/net/tcp; FIN_WAIT1: it is closed on this side
SLOWER = 5 if is_sanitized() else 1
NOTICED = {"database": "warning: database: ", "broker": "the broker does not answer"}


@pytest.fixture
def ways(signalbus, postgres, kafka):
    """The proxies by which signalbus comes to the servers."""
    [broker] = kafka.brokers
    with Proxy(postgres.port) as database, Proxy(broker.byway_port, broker.proxy_port) as kafkas:
        signalbus.database = postgres.conninfo(port=database.port, sslmode="disable",
                                               gssencmode="disable")
        signalbus.bootstrap = kafka.bootstrap_by_proxy
        yield {"database": database, "broker": kafkas}
        signalbus.discard()


either_way = pytest.mark.parametrize("way", ["database", "broker"])


class Load:
    """A table t whose rows arrive, some of them while others are sent."""

    def __init__(self, schema, signalbus, topic, topics):
        self.schema, self.signalbus, self.topics, self.topic = schema, signalbus, topics, topic
        self.committed = 0
        self.table = schema.make_signals("t")
        self.configure()

    def configure(self, **settings):
        self.signalbus.configure(
            model("A", self.table, self.topic, burst_count=BURST, **settings),
            timeout=TIMEOUT, poll_interval=0.2)

    def commit(self, count):
        self.schema.insert_signals("t", count, first=self.committed + 1)
        self.schema.roll_back_signals("t", count, first=1_000_000)
        self.committed += count

    def wait_for_some(self):
        left = self.schema.count("t")
        self.schema.wait_until(lambda: self.schema.count("t") < left, 20, "a burst")

    def wait_empty(self, timeout):
        self.schema.wait_until(lambda: self.schema.count("t") == 0, timeout * SLOWER, "empty")

    def check_deleted(self):
        """What is gone from the table is in the log."""
        gone = set(range(1, self.committed + 1)) - {
            number for number, in self.schema.execute("SELECT id FROM t")}
        assert gone <= set(ids(self.topics.read(self.topic))), "deleted before it was stored"

    def check(self, allowed_repeats):
        messages = self.topics.read(self.topic, self.committed)
        numbers = ids(messages)
        assert set(numbers) == set(range(1, self.committed + 1))
        assert [message.value.decode() for message in messages] == [
            f'{{"id":{number},"payload":"signal {number}"}}' for number in numbers]
        assert repeats(numbers) <= allowed_repeats
        assert self.schema.count("t") == 0
        return numbers


@pytest.fixture
def load(schema, signalbus, make_topic, topics, ways):
    return Load(schema, signalbus, make_topic(), topics)


def is_held(schema):
    return any(state.startswith("idle in transaction") for _, state, *_ in schema.backends())


@pytest.mark.parametrize("silence", ["swallow", "vanish"])
@either_way
def test_silence_is_noticed(signalbus, schema, load, ways, way, silence):
    """Noticed within the time-out and five seconds; then nothing is held; it recovers by itself."""
    load.commit(2000)
    daemon = signalbus.start("-v", "run")
    load.wait_for_some()
    getattr(ways[way], silence)()
    daemon.wait_log(NOTICED[way], (TIMEOUT + 5) * SLOWER)
    wait_until(lambda: not is_held(schema), (2 * TIMEOUT + 5) * SLOWER, "nothing is held")
    load.commit(100)
    load.check_deleted()
    ways[way].restore()
    load.wait_empty(5)
    daemon.stop().expect(0)
    load.check(IN_FLIGHT)


def connections(port, state):
    """Of each connection to a port in this state: how many bytes are not acknowledged."""
    fields = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return [int(f[4].partition(":")[0], 16) for f in fields
            if f[3] == state and int(f[2].partition(":")[2], 16) == port]


def test_what_was_given_up_does_not_arrive_later(signalbus, load, ways):
    """A broker that is back gets nothing from a producer that was replaced meanwhile."""
    port = ways["broker"].port
    load.configure(order_by=["id"])
    load.commit(1)
    daemon = signalbus.start("-v", "run")
    load.wait_empty(10)
    ways["broker"].vanish()
    count = len(connections(port, ESTABLISHED))
    load.commit(BURST)
    daemon.wait_log(NOTICED["broker"], (TIMEOUT + 5) * SLOWER)
    wait_until(lambda: len(connections(port, ESTABLISHED)) < count, 20 * SLOWER, "one is closed")
    ways["broker"].restore()
    load.wait_empty(10)
    wait_until(lambda: not any(connections(port, CLOSING)), 20, "the kernel has nothing left")
    daemon.stop().expect(0)
    load.check(0)


@pytest.mark.parametrize("what", [REQUEST, ANSWER])
def test_silence_just_at_commit(signalbus, schema, load, ways, what):
    """COMMIT does not arrive: the burst is repeated.  Its answer does not: nothing is."""
    load.commit(3 * BURST)
    ways["database"].vanish_at(b"COMMIT\0", what)
    reason = signalbus("flushmany").expect_failure()
    assert re.fullmatch(rf'model "A": table {schema}.t: database at 127.0.0.1 port '
                        rf"{ways['database'].port}: timed out after \d+\.\d s waiting for an answer",
                        reason), reason
    assert ways["database"].sprung.is_set()
    load.check_deleted()
    wait_until(lambda: not schema.backends(), (TIMEOUT + 10) * SLOWER, "the server notices")
    signalbus("flushmany").expect_silence()
    assert repeats(load.check(BURST)) == (BURST if what == REQUEST else 0)


def test_a_connection_that_breaks_just_when_a_note_is_closed(signalbus, load, ways):
    """All noted signals are sent by then; the next session notes what has come meanwhile."""
    load.commit(3 * BURST)
    ways["database"].vanish_at(b"CLOSE noted_0_", RESET)
    signalbus("flush", "-v").expect(0)
    assert ways["database"].sprung.is_set()
    load.check(0)


def test_a_connection_that_breaks_between_two_rounds(signalbus, load, ways):
    """Each round begins with no statements of the one before, in a new session if need be."""
    load.commit(3 * BURST)
    repeating = signalbus.start("flushmany", "-r", "0.1")
    load.wait_empty(10)
    ways["database"].vanish_at(b"DEALLOCATE ALL\0", RESET)
    assert ways["database"].sprung.wait(10)
    load.commit(BURST)
    load.wait_empty(10)
    repeating.stop().expect(0)
    load.check(0)


def test_an_ordered_lock_of_a_session_that_vanished(signalbus, schema, postgres, load, ways):
    """The server notices that the client is gone, and another process continues."""
    load.commit(10)
    load.configure(order_by=["id"])
    holder = signalbus.start("-v", "run")
    load.wait_empty(10)
    signalbus.database = postgres.conninfo()
    load.configure(order_by=["id"])
    follower = signalbus.start("-v", "run")
    follower.wait_log("stands by")
    ways["database"].vanish()
    load.commit(100)
    follower.wait_log("took over the ordered lock", (TIMEOUT + 10) * SLOWER)
    load.wait_empty(5)
    ways["database"].restore()
    for daemon in (holder, follower):
        daemon.stop().expect(0)
    assert list(dict.fromkeys(load.check(BURST))) == list(range(1, 111))


@either_way
def test_connections_break_again_and_again(signalbus, load, ways, way):
    breaks = 8
    load.commit(4000)
    daemon = signalbus.start("-v", "run")
    for _ in range(breaks):
        load.wait_for_some()
        ways[way].reset()
        load.commit(50)
    load.wait_empty(20)
    daemon.stop().expect(0)
    load.check(IN_FLIGHT * breaks)


def conversation(signalbus, load, ways):
    """How many bytes pass each way when a burst is sent."""
    load.commit(BURST)
    signalbus("flushmany").expect_silence()
    wait_until(lambda: ways["database"].closed, 20, "the proxy has seen its end")
    [passed] = ways["database"].closed
    return passed


@pytest.mark.parametrize("direction", [REQUEST, ANSWER])
def test_cut_after_each_number_of_bytes(signalbus, load, ways, direction):
    """The conversation about a burst is cut at each of these places: all arrives all the same."""
    total, places = conversation(signalbus, load, ways)[direction], 20
    assert total > 1000
    for place in range(places):
        load.commit(BURST)
        ways["database"].cut_after(direction, total * place // places)
        signalbus("flushmany").expect(0)
        assert not ways["database"].cuts, "nothing was cut"
        load.wait_empty(0)
    load.check(BURST * places)


@pytest.mark.parametrize("pace", [{"delay": 0.02}, {"rate": 100_000}], ids=["delay", "rate"])
@either_way
def test_slow_links_are_slower_and_nothing_else(signalbus, load, ways, way, pace):
    load.commit(10 * BURST)
    ways[way].slow(**pace)
    begin = time.monotonic()
    signalbus("flushmany").expect_silence()
    assert time.monotonic() - begin > (10 * 2 * pace["delay"] if "delay" in pace else 0.05)
    load.check(0)
