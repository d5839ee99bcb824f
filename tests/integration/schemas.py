"""A schema of the database for one test, and what tests often do in it."""

import itertools
import os

from servers import wait_until


class Schema:
    """
    A schema that is the search path of its connections; str() is its name.

        schema.execute("CREATE TABLE t (id int PRIMARY KEY)")
        schema.table("t")                the name as the configuration wants it: test_7.t
    """

    numbers = itertools.count()

    def __init__(self, postgres):
        self.postgres = postgres
        self.name = f"test_{os.getpid()}_{next(self.numbers)}"
        self.connections = []
        self.main = None
        self.connection().cursor().execute(f"CREATE SCHEMA {self.name}")

    def __str__(self):
        return self.name

    def connect(self, autocommit=False):
        """One more connection, in a transaction of its own; closed at the end of the test."""
        connection = self.postgres.connect(autocommit=True)
        connection.cursor().execute(f"SET search_path = {self.name}, public")
        connection.autocommit = autocommit
        self.connections.append(connection)
        return connection

    def connection(self):
        """The usual connection; opened again after the server was restarted."""
        if self.main is None or self.main.closed or not self.is_usable(self.main):
            self.main = self.connect(autocommit=True)
        return self.main

    @staticmethod
    def is_usable(connection):
        try:
            connection.cursor().execute("SELECT 1")
        except Exception:  # any error means: not this connection
            return False
        return True

    def execute(self, sql, *arguments):
        """Executes at once (autocommit) and returns the rows, if there are any."""
        cursor = self.connection().cursor()
        cursor.execute(sql, arguments or None)
        return cursor.fetchall() if cursor.description else None

    def value(self, sql, *arguments):
        return self.execute(sql, *arguments)[0][0]

    def table(self, name):
        return f"{self.name}.{name}"

    def count(self, table):
        return self.value(f"SELECT count(*) FROM {table}")

    def make_signals(self, table, count=0, first=1, columns=""):
        """A plain signal table (id, payload) with count rows, the ids counted from first."""
        self.execute(f"CREATE TABLE {table} (id bigint PRIMARY KEY, payload text {columns})")
        self.insert_signals(table, count, first)
        return self.table(table)

    def insert_signals(self, table, count, first=1, connection=None):
        cursor = (connection or self.connection()).cursor()
        cursor.execute(f"INSERT INTO {table} (id, payload) SELECT n, 'signal ' || n "
                       f"FROM generate_series(%s, %s) n", (first, first + count - 1))

    def roll_back_signals(self, table, count, first):
        """Inserts rows that never come to be: ghosts, should they reach a topic."""
        connection = self.connect()
        self.insert_signals(table, count, first, connection)
        connection.rollback()
        connection.close()

    def on_delete(self, table, statements, at_commit=False, by_trigger=False):
        """
        Makes every DELETE statement on a table execute PL/pgSQL statements before it, or at the
        commit: by a rule, or by a trigger, which has rows deleted before they are sent.
        """
        function = f"on_delete_{next(self.numbers)}"
        returns = "trigger" if by_trigger or at_commit else "void"
        end = "RETURN NULL;" if returns == "trigger" else ""
        self.execute(f"CREATE FUNCTION {function}() RETURNS {returns} LANGUAGE plpgsql "
                     "SECURITY DEFINER "
                     f"AS $$ BEGIN {statements}; {end} END $$")
        action = f"SELECT {self}.{function}() LIMIT 1"  # else it would be once for each row
        if at_commit:
            watched, event = (table, "DELETE") if by_trigger else (function, "INSERT")
            if not by_trigger:
                self.execute(f"CREATE TABLE {function} (n int)")
                action = f"INSERT INTO {function} SELECT 1 LIMIT 1"
            self.execute(f"CREATE CONSTRAINT TRIGGER at_commit AFTER {event} ON {watched} "
                         f"DEFERRABLE INITIALLY DEFERRED "
                         f"FOR EACH ROW EXECUTE FUNCTION {function}()")
        elif by_trigger:
            self.execute(f"CREATE TRIGGER before_delete BEFORE DELETE ON {table} "
                         f"FOR EACH STATEMENT EXECUTE FUNCTION {function}()")
        if not by_trigger:
            self.execute(f"CREATE RULE {function} AS ON DELETE TO {table} DO ALSO {action}")

    def backends(self):
        """The sessions of the database that are not this test's."""
        own = [connection.info.backend_pid for connection in self.connections
               if not connection.closed]
        return self.execute("SELECT pid, state, query, clock_timestamp() - state_change "
                            "FROM pg_stat_activity WHERE datname = current_database() "
                            "AND backend_type = 'client backend' AND NOT pid = ANY (%s)", own)

    def wait_polls(self, count=3):
        """Until a daemon has found nothing in its tables this many times from now on."""
        def polls():
            return set(self.execute(
                "SELECT pid, state_change FROM pg_stat_activity WHERE query = 'ROLLBACK' "
                "AND datname = current_database() AND application_name = 'signalbus'"))
        before, seen = polls(), set()
        self.wait_until(lambda: seen.update(polls() - before) or len(seen) >= count, what="polls")

    def end_backends(self):
        """Ends what a killed signalbus left running on the server: its transaction rolls back."""
        for pid, *_ in self.backends():
            self.execute("SELECT pg_terminate_backend(%s, 10000)", pid)

    def wait_until(self, condition, timeout=20, what="condition"):
        return wait_until(condition, timeout, what)

    def drop(self):
        """Drops the schema; first ends sessions of a killed signalbus."""
        for connection in self.connections:
            connection.close()
        cleaner = self.postgres.connect()
        cursor = cleaner.cursor()
        cursor.execute("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
                       "WHERE datname = current_database() AND backend_type = 'client backend' "
                       "AND pid <> pg_backend_pid()")
        cursor.execute(f"DROP SCHEMA {self.name} CASCADE")
        cleaner.close()


class Gate:
    """
    Stops every DELETE on a table until it is opened: rows that are claimed, sent and acknowledged
    stay in that state, so that a test can kill, examine or continue at that point.  By a trigger, they are not
    sent yet.
    """

    def __init__(self, schema, table, at_commit=False, by_trigger=False):
        self.schema = schema
        self.key = schema.value("SELECT hashtext(%s)", f"{schema}.{table}")
        self.holder = schema.connect()
        self.close()
        schema.on_delete(table, f"PERFORM pg_advisory_xact_lock_shared({self.key})", at_commit,
                         by_trigger)

    def waiting(self):
        """How many sessions stand before the gate."""
        return self.schema.value(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted "
            "AND objid = (%s::bigint & 4294967295)::oid", self.key)

    def wait_for(self, count=1, timeout=30):
        self.schema.wait_until(lambda: self.waiting() >= count, timeout,
                               f"{count} sessions before the gate")

    def close(self):
        self.holder.cursor().execute("SELECT pg_advisory_lock(%s)", (self.key,))

    def open(self):
        self.holder.cursor().execute("SELECT pg_advisory_unlock(%s)", (self.key,))
