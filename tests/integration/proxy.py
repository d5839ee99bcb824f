"""A TCP proxy whose links become slow, silent or broken at a test's word, while they live."""

import asyncio
import contextlib
import ctypes
import socket
import struct
import threading

from servers import Ports

CHUNK = 65536
SO_ATTACH_FILTER, SO_DETACH_FILTER = 26, 27
REQUEST, ANSWER = "request", "answer"  # the two directions of a link
RESET = "reset"
# How requests of Kafka's begin, after their length: key, version, half of a small number.
PRODUCE, END_TXN = b"\x00\x00\x00\x07\x00\x00", b"\x00\x1a\x00\x01\x00\x00"
OFFSET_FETCH, INIT_PRODUCER_ID = b"\x00\x09\x00\x07\x00\x00", b"\x00\x16\x00\x04\x00\x00"


class Blindness:
    """A packet filter for a socket: while it is on, whatever its peer sends vanishes."""

    # One instruction of classic BPF: return 0, so that the kernel drops each packet before TCP
    # sees it.  Neither data nor keepalives are acknowledged, as when a cable is cut.
    INSTRUCTION = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0))
    PROGRAM = struct.pack("HxxxxxxQ", 1, ctypes.addressof(INSTRUCTION))

    @classmethod
    def on(cls, sock):
        if sock.fileno() >= 0:  # not closed meanwhile
            sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, cls.PROGRAM)

    @staticmethod
    def off(sock):
        with contextlib.suppress(OSError):  # it had none
            sock.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)


class Link:
    """A connection of a client and the one to the server that belongs to it."""

    def __init__(self, proxy, client, server):
        self.proxy = proxy
        self.ends = {REQUEST: client, ANSWER: server}  # by what is read from them
        self.passed = {REQUEST: 0, ANSWER: 0}
        self.cuts = dict(proxy.cuts)
        proxy.cuts.clear()  # they are for one link
        self.silent = proxy.swallowing
        self.is_marked = False
        self.refused = b""  # the number of a request whose answer becomes an error
        self.tasks = []
        self.edit = proxy.edit_answers() if proxy.edit_answers else None

    @property
    def sockets(self):
        return [writer.get_extra_info("socket") for _, writer in self.ends.values()]

    async def pump(self, direction):
        """Passes on what comes from one end, until it ends or the link is cut."""
        queue = asyncio.Queue(64)
        reader = asyncio.create_task(self.read(direction, queue))
        self.tasks.append(reader)
        try:
            await self.write(direction, queue)
        finally:
            reader.cancel()

    async def read(self, direction, queue):
        data = b"any"
        while data:
            with contextlib.suppress(OSError):
                data = b""
                data = await self.ends[direction][0].read(CHUNK)
            await queue.put((asyncio.get_running_loop().time() + self.proxy.delay, data))

    async def write(self, direction, queue):
        loop = asyncio.get_running_loop()
        to = self.ends[ANSWER if direction == REQUEST else REQUEST][1]
        while True:
            due, data = await queue.get()
            if due > loop.time():
                await asyncio.sleep(due - loop.time())
            await self.proxy.seeing.wait()
            if not data and not self.silent:
                return
            if self.edit and direction == ANSWER:
                data = self.edit(data)
            for piece in self.pieces(data):
                if not self.deliver(direction, piece, to):
                    return
                await to.drain()
                if self.proxy.rate:
                    await asyncio.sleep(len(piece) / self.proxy.rate)

    def pieces(self, data):
        size = max(1, int(self.proxy.rate / 50)) if self.proxy.rate else CHUNK
        return [data[start:start + size] for start in range(0, len(data), size)]

    def deliver(self, direction, data, to):
        """False where the link has to be closed: its bytes are used up."""
        if self.silent:
            return True  # lost
        data = self.proxy.watch(self, direction, data)
        room = self.cuts.get(direction, float("inf")) - self.passed[direction]
        data = data[:room] if room < len(data) else data
        self.passed[direction] += len(data)
        to.write(data)
        return room > len(data) or direction not in self.cuts

    def close(self, reset=False):
        for _, writer in self.ends.values():
            if reset:
                with contextlib.suppress(OSError):
                    writer.get_extra_info("socket").setsockopt(
                        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
            else:
                writer.close()


class Proxy:
    """
    Passes connections on to a port of 127.0.0.1.  A thread of its own does the work.

        with Proxy(postgres.port) as proxy:
            proxy.slow(delay=0.1)        each way, in seconds; rate= in bytes a second
            proxy.swallow()              bytes are accepted and lost; such links never recover
            proxy.vanish()               nothing is even accepted, as when a cable is cut
            proxy.restore()              all is well again; links that swallowed end with RST
            proxy.reset()                all links break, with RST
            proxy.turn_away()            … and so do new ones, as if the server was gone
            proxy.cut_after(ANSWER, 99)  closes the next link after this number of bytes
            proxy.vanish_at(b"COMMIT")   of one link, all vanishes from these bytes on
            proxy.hold(END_TXN)          the next such request of Kafka's is late: release() it
            proxy.refuse(OFFSET_FETCH, 16)  the next such request is answered with this error
    """

    def __init__(self, target, port=None, edit_answers=None):
        self.target = target
        self.edit_answers = edit_answers  # makes, for each link, a function of bytes to bytes
        self.links = set()
        self.delay, self.rate = 0, None
        self.swallowing = False
        self.turning_away = False
        self.trap = None
        self.late, self.held = None, b""
        self.due, self.answer = None, b""
        self.refusal = None
        self.mark = None  # links whose requests hold these bytes are marked
        self.sprung = threading.Event()
        self.cuts = {}
        self.refused = 0  # connections that ended at once, as the server was not running
        self.closed = []  # what had passed on links that have ended
        self.listener = socket.create_server(("127.0.0.1", port or Ports.take()), backlog=100)
        self.port = self.listener.getsockname()[1]
        self.loop = asyncio.new_event_loop()
        self.seeing = asyncio.Event()
        self.seeing.set()
        self.ready = threading.Event()
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()
        self.ready.wait(10)

    def work(self):
        asyncio.set_event_loop(self.loop)
        self.server = self.loop.run_until_complete(
            asyncio.start_server(self.serve, sock=self.listener))
        self.ready.set()
        self.loop.run_forever()
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        if tasks:
            self.loop.run_until_complete(asyncio.wait(tasks))
        self.loop.close()

    async def serve(self, *client):
        try:
            if self.turning_away:
                raise ConnectionRefusedError
            server = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            self.refused += 1
            client[1].transport.abort()
            return
        link = Link(self, client, server)
        self.links.add(link)
        pumps = [asyncio.create_task(link.pump(direction)) for direction in (REQUEST, ANSWER)]
        link.tasks = [asyncio.current_task(), *pumps]  # the loop itself holds them weakly only
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            self.links.discard(link)
            self.closed.append(link.passed)
            link.close()

    def watch(self, link, direction, data):
        """The part of data that passes the trap, which springs where its bytes come by."""
        if direction == REQUEST and self.is_late(link, data):
            return b""
        if self.refusal or link.refused:
            data = self.refuse_once(link, direction, data)
        link.is_marked |= bool(self.mark) and direction == REQUEST and self.mark in data
        if not self.trap or direction != REQUEST or self.trap[0] not in data:
            return data
        (pattern, what), self.trap = self.trap, None
        link.silent = True
        if what == RESET:
            link.close(reset=True)
        for sock in link.sockets:
            Blindness.on(sock)
        self.sprung.set()
        return data if what == ANSWER else data[:data.index(pattern)]

    def is_late(self, link, data):
        """Whether a request of Kafka's is held; and releases the one before where it is time."""
        begins = [data[at + 4:at + 10] for at in frames(data)]
        if self.late and self.late[0] in begins:
            (_, what), self.late = self.late, None
            link.silent, self.held = True, data
            if what == RESET:
                link.close(reset=True)
            self.sprung.set()
            return True
        if self.due:
            self.due[1] -= begins.count(self.due[0])
            if self.due[1] <= 0:
                self.due, self.answer = None, self.release()
        return False

    def refuse_once(self, link, direction, data):
        """The answer, with the error.  This is where it is in one without partitions."""
        if direction == ANSWER:
            if link.refused != data[4:8]:
                return data
            link.refused, code = b"", self.refusal_code
            self.sprung.set()
            return data[:-3] + code.to_bytes(2, "big") + data[-1:]
        for at in frames(data):
            if self.refusal and data[at + 4:at + 10] == self.refusal[0]:
                (_, self.refusal_code), self.refusal = self.refusal, None
                link.refused = data[at + 8:at + 12]
        return data

    def do(self, function, *arguments):
        """Calls it in the proxy's thread and waits until that is done."""
        async def call():
            return function(*arguments)
        return asyncio.run_coroutine_threadsafe(call(), self.loop).result(10)

    def slow(self, delay=0, rate=None):
        self.delay, self.rate = delay, rate

    def swallow(self):
        def begin():
            self.swallowing = True
            for link in self.links:
                link.silent = True
        self.do(begin)

    def vanish_at(self, pattern, what=REQUEST):
        """
        Of the next link whose request holds these bytes, everything vanishes from them on; or,
        with ANSWER, from the answer to them on; or, with RESET, it breaks there.  Other links
        pass, and this one never recovers.
        """
        self.sprung.clear()
        self.trap = (pattern, what)

    def hold(self, request, what=RESET):
        """
        The next request of Kafka's that begins so does not arrive until it is released.  Its link
        breaks; or, with REQUEST, it becomes silent.
        """
        self.sprung.clear()
        self.late = (request, what)

    def refuse(self, request, code):
        """The next request of Kafka's that begins so fails, with Kafka's code of the error."""
        self.sprung.clear()
        self.refusal = (request, code)

    def release_before(self, request, count):
        """It arrives before the request that, counted from now, is this one of its kind."""
        self.due = [request, count]

    def release(self):
        """The request that was held arrives; returns the answer."""
        with socket.create_connection(("127.0.0.1", self.target), timeout=20) as server:
            server.sendall(self.held)
            return server.recv(CHUNK)

    def swallow_marked(self):
        """Of the marked links, and no others."""
        def begin():
            for link in self.links:
                link.silent |= link.is_marked
        self.do(begin)

    def vanish(self):
        def begin():
            self.seeing.clear()
            for sock in self.all_sockets():
                Blindness.on(sock)
        self.do(begin)

    def all_sockets(self):
        return [self.listener, *(sock for link in self.links for sock in link.sockets)]

    def restore(self):
        def end():
            self.swallowing = self.turning_away = False
            self.slow()
            for link in self.links:
                if link.silent:
                    link.close(reset=True)
            for sock in self.all_sockets():
                Blindness.off(sock)
            self.seeing.set()
        self.do(end)

    def reset(self):
        def abort():
            for link in self.links:
                link.close(reset=True)
        self.do(abort)

    def turn_away(self):
        self.turning_away = True
        self.reset()

    def cut_after(self, direction, count):
        self.cuts[direction] = count

    def close(self):
        def end():
            self.server.close()
            for link in self.links:
                link.close(reset=True)
            self.loop.stop()
        self.loop.call_soon_threadsafe(end)
        self.thread.join(10)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def frames(data):
    """The places at which requests of Kafka's begin; data begins with one."""
    at = 0
    while at < len(data):
        yield at
        at += 4 + int.from_bytes(data[at:at + 4], "big")


def without_notifications():
    """For PostgreSQL's answers: drops notifications, as a proxy does that pools transactions."""
    rest = b""

    def edit(data):
        """Message by message: a letter, the length with itself, the rest."""
        nonlocal rest
        rest += data
        kept = b""
        while len(rest) >= 5 and len(rest) > (size := int.from_bytes(rest[1:5], "big")):
            message, rest = rest[:size + 1], rest[size + 1:]
            kept += message if message[:1] != b"A" else b""
        return kept
    return edit
