"""Applications that write signals: transactions of all sizes, some of which roll back."""

import random
import threading
import time

import psycopg2


BACKLOG_MOST = 2000  # rows, beyond which writers wait: a slow machine gets no endless backlog
CATCH_UP = 1.0       # seconds' rows, that writers make up for at most


class Writers:
    """
    Threads that write to all tables until they are stopped; they reconnect when the server was
    stopped.  rate limits the rows a second of all of them together.
    """

    def __init__(self, world, seed, count=4, pause=0.05, rate=None):
        self.world = world
        self.pause = pause
        self.rate = rate and rate / count
        self.own = threading.local()  # when a thread's next transaction is due
        self.stopping = threading.Event()
        self.failures = []
        self.threads = [threading.Thread(target=self.work, daemon=True,
                                         args=(number, random.Random(f"{seed} writer {number}")))
                        for number in range(count)]
        for thread in self.threads:
            thread.start()

    def work(self, number, chance):
        connection, doubts, serial = None, [], 0
        try:
            while (doubts or not self.stopping.is_set()) and not self.world.closed.is_set():
                try:
                    if connection is None:
                        connection = self.world.connect(autocommit=False)
                    doubts = self.settle(connection, doubts)
                    if not self.stopping.is_set():
                        serial += 1
                        self.transaction(connection, f"{number} {serial}", chance, doubts)
                except psycopg2.Error:  # the server is gone, or a fault was in the way
                    connection = self.give_up(connection)
        except Exception as failure:  # the main thread reports it
            self.failures.append(failure)
        finally:
            self.give_up(connection)

    def give_up(self, connection):
        if connection is not None:
            connection.close()
        self.stopping.wait(0.1)

    def settle(self, connection, doubts):
        """COMMIT without an answer: the mark that went along with it tells."""
        for mark, name, numbers in doubts:
            cursor = connection.cursor()
            cursor.execute("SELECT 1 FROM marks WHERE mark = %s", (mark,))
            self.world.books.committed(name, numbers, cursor.fetchone() is not None)
        connection.rollback()
        return []

    def transaction(self, connection, mark, chance, doubts):
        table = chance.choice(self.world.tables)
        if len(self.world.books.pages[table.name].outstanding) > BACKLOG_MOST:
            self.stopping.wait(0.05)
            return
        cursor = connection.cursor()
        numbers = []
        for _ in range(chance.choice((1, 1, 1, 2, 4))):
            numbers += self.insert(cursor, table, chance)
            self.rest(chance, 0)
        if chance.random() < 0.15 or not numbers:
            connection.rollback()
            return
        cursor.execute("INSERT INTO marks VALUES (%s)", (mark,))
        self.world.books.may_commit(table.name, numbers)
        doubts.append((mark, table.name, numbers))
        connection.commit()
        self.world.books.committed(table.name, numbers)
        doubts.clear()
        self.rest(chance, len(numbers))

    def insert(self, cursor, table, chance):
        """Some rows, perhaps in a savepoint that is rolled back: then none."""
        in_savepoint = chance.random() < 0.2
        if in_savepoint:
            cursor.execute("SAVEPOINT s")
        cursor.execute(table.insert, (chance.choice((1, 1, 3, 10, 40)),))
        numbers = [number for number, in cursor.fetchall()]
        if in_savepoint and chance.random() < 0.5:
            cursor.execute("ROLLBACK TO s")
            return []
        return numbers

    def rest(self, chance, rows):
        """For a while; with a rate, until it is time for more rows than these."""
        if not self.rate:
            self.stopping.wait(chance.expovariate(1 / self.pause))
            return
        now = time.monotonic()
        self.own.due = max(getattr(self.own, "due", now) + rows / self.rate, now - CATCH_UP)
        self.stopping.wait(max(0, self.own.due - now))

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(60)
        if self.failures:
            raise self.failures[0]
