"""The books: what was committed, what is in the log, and each breach of what was promised."""

import threading
import time
from collections import Counter

import signals

MAY_COMMIT, COMMITTED = 1, 2
CLOCK_MS = 2  # the broker's time stamps are whole milliseconds
BREACHES_SHOWN = 20


class Page:
    """The books of one table.  Ids are numbers from 1, so plain arrays hold them."""

    def __init__(self, table):
        self.table = table
        self.status = bytearray(1)
        self.copies = bytearray(1)  # in the log
        self.outstanding = set()    # committed, and there at the last look
        self.gone = {}              # id: when it was not in its table any more, nor in the log yet
        self.repeats = []           # when the log got them
        self.last = 0               # of the first appearances
        self.sent = 0
        self.dead_letters = 0

    def grow(self, number):
        more = number + 1 - len(self.status)
        if more > 0:
            self.status.extend(bytes(more + 4096))
            self.copies.extend(bytes(more + 4096))


class Books:
    """Any thread may write in them."""

    def __init__(self, tables=signals.TABLES):
        self.pages = {table.name: Page(table) for table in tables}
        self.lock = threading.Lock()
        self.begin = now()
        self.breaches = []
        self.counts = Counter()

    def breach(self, promise, text):
        """Something that must not happen: loss, early, ghost, bytes, repeats, order …"""
        self.counts[promise] += 1
        if self.counts[promise] <= BREACHES_SHOWN:
            self.breaches.append(f"{promise}: {text}")

    def may_commit(self, name, numbers):
        """Before COMMIT: from now on these may come to be seen."""
        with self.lock:
            page = self.pages[name]
            page.grow(max(numbers))
            for number in numbers:
                page.status[number] = MAY_COMMIT

    def committed(self, name, numbers, has_been=True):
        with self.lock:
            page = self.pages[name]
            for number in numbers:
                page.status[number] = COMMITTED if has_been else 0
                if not has_been and page.copies[number]:
                    self.breach("ghost", f"{name} {number} was rolled back, and sent")
            if has_been:
                page.outstanding.update(numbers)

    def committed_up_to(self, name, number):
        """All of a backlog."""
        page = self.pages[name]
        page.grow(number)
        page.status[1:number + 1] = bytes([COMMITTED]) * number

    def outstanding(self, name):
        with self.lock:
            return frozenset(self.pages[name].outstanding)

    def looked(self, name, before, present, now):
        """
        The rows present in a snapshot that was taken after the rows before were outstanding, and
        before the time now.  What is gone from the table has to be in the log since earlier.
        """
        with self.lock:
            page = self.pages[name]
            gone = before - present
            page.outstanding -= gone
            for number in gone:
                if not page.copies[number] and not page.table.is_rejected(number):
                    page.gone[number] = now

    def in_log(self, name, number, stored):
        """A message is in the log, since the time stored (the broker's clock, which is ours)."""
        with self.lock:
            page = self.pages[name]
            page.grow(number)
            page.sent += 1
            if not page.status[number]:
                self.breach("ghost", f"{name} {number} was never committed, and sent")
            if page.table.is_rejected(number):
                self.breach("ghost", f"{name} {number} is too large, and in the log")
            if page.copies[number]:
                page.repeats.append(stored)
            else:
                self.first_appearance(page, number, stored)
            page.copies[number] = min(255, page.copies[number] + 1)

    def first_appearance(self, page, number, stored):
        gone = page.gone.pop(number, None)
        if gone is not None and stored > gone + CLOCK_MS / 1000:
            self.breach("early", f"{page.table.name} {number} was deleted {stored - gone:.3f} s "
                        "or more before it was stored")
        if page.table.ordered and number < page.last:
            self.breach("order", f"{page.table.name} {number} appears first after {page.last}, "
                        f"{stored - self.begin:.1f} s after the begin")
        page.last = max(page.last, number)

    def close(self, dead_letters):
        """
        At the end, when all is calm: what is missing is lost, what is in excess is a ghost.
        dead_letters says of a table's name the ids that were moved.
        """
        for name, page in self.pages.items():
            self.close_dead_letters(name, page, dead_letters(name))
            lost = [number for number, status in enumerate(page.status)
                    if status == COMMITTED and not page.copies[number]
                    and not page.table.is_rejected(number)]
            for number in lost:
                self.breach("loss", f"{name} {number} was committed and is not in the log")
            for number, status in enumerate(page.status):
                if status == MAY_COMMIT:
                    self.breach("books", f"{name} {number}: nobody found out whether it committed")

    def close_dead_letters(self, name, page, moved):
        """What is rejected is moved, once, and nothing else is."""
        page.dead_letters = len(moved)
        expected = Counter(number for number, status in enumerate(page.status)
                           if status == COMMITTED and page.table.is_rejected(number))
        for number in expected - Counter(moved):
            self.breach("loss", f"{name} {number} is too large, and no dead letter")
        for number in Counter(moved) - expected:
            self.breach("dead letters", f"{name} {number} is there too often, or was not rejected")

    def totals(self):
        return {name: {"committed": page.status.count(COMMITTED), "messages": page.sent,
                       "repeats": len(page.repeats), "dead_letters": page.dead_letters} for name, page in self.pages.items()}


def now():
    return time.time()
