"""
The real servers that the tests run against: PostgreSQL and Apache Kafka on free loopback ports.

Each server lives in a temporary folder of its own and is a child of the test process.  Nothing
outlives that process, however it ends: the kernel kills the servers (setpriv --pdeathsig), and a
janitor process that waits for the end of a pipe removes the folders.
"""

import base64
import glob
import os
import pwd
import random
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import uuid
from pathlib import Path

import psycopg2
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

ROOT = Path(__file__).resolve().parents[2]
# Other versions (tests/versions/run): the folders of Kafka's jars, and of PostgreSQL's programs.
KAFKA_LIB = Path(os.environ.get("SIGNALBUS_KAFKA_LIB", ROOT / "build" / "kafka" / "lib"))
POSTGRES_BIN = os.environ.get("SIGNALBUS_POSTGRES_BIN")
POSTGRES_USER = "postgres"

# Servers of the tests and of the user's other work must not mix.
FOREIGN_VARIABLES = ("PG", "KAFKA", "LOG_DIR", "JAVA_TOOL_OPTIONS", "SIGNALBUS_CONFIG",
                     "JOURNAL_STREAM", "NOTIFY_SOCKET")


class ServerError(Exception):
    """A server did not do what was asked of it; the text holds the end of its log."""


def clean_environment(**more):
    """The environment without what would steer PostgreSQL, Kafka or signalbus."""
    kept = {name: value for name, value in os.environ.items()
            if not name.startswith(FOREIGN_VARIABLES)}
    return {**kept, **more}


def find_program(name, package):
    """The path of a program, looked for where Debian keeps PostgreSQL's servers as well."""
    candidates = sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"),
                        key=lambda path: int(path.split("/")[4]), reverse=True)
    found = (POSTGRES_BIN and shutil.which(name, path=POSTGRES_BIN)
             or next(iter(candidates), None) or shutil.which(name) or in_pg_bindir(name))
    if not found:
        raise ServerError(f"{name}: not found; install {package} (tests/install-deps test)")
    return found


def in_pg_bindir(name):
    if not shutil.which("pg_config"):
        return None
    bindir = subprocess.run(["pg_config", "--bindir"], capture_output=True, text=True,
                            check=True).stdout.strip()
    return shutil.which(name, path=bindir)


def wait_until(condition, timeout, what, pause=0.02):
    """Returns the first true answer of condition(); fails after timeout seconds."""
    deadline = time.monotonic() + timeout
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {timeout} s")
        time.sleep(pause)


class Meanwhile:
    """Something that is done again and again, by a thread of its own, until the end of a block."""

    def __init__(self, pause=0):
        self.pause = pause
        self.leaving = threading.Event()
        self.thread = threading.Thread(target=self.work, daemon=True)

    def work(self):
        while not self.leaving.wait(self.pause):
            self.step()

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.leaving.set()
        self.thread.join()


class Ports:
    """
    Free loopback ports below the range that the kernel gives to outgoing connections: a port from
    that range could be taken while its server is down.  Each stays reserved against other test
    runs, by an abstract socket of its name, until this process ends.
    """

    FIRST, LAST = 20000, 32000
    reservations = []

    @classmethod
    def take(cls):
        for port in random.SystemRandom().sample(range(cls.FIRST, cls.LAST), 200):
            if cls.is_free(port) and cls.reserve(port):
                return port
        raise ServerError("no free port found")

    @classmethod
    def reserve(cls, port):
        mark = socket.socket(socket.AF_UNIX)
        try:
            mark.bind(f"\0signalbus-test-port-{port}")
        except OSError:
            mark.close()
            return False
        cls.reservations.append(mark)
        return True

    @staticmethod
    def is_free(port):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return False
            return True


class TempFolder:
    """
    A temporary folder that disappears with remove() or with this process.

    The janitor reads from a pipe whose other end only this process holds, so it sees the end of
    this process even after SIGKILL.  It tries again while dying servers still write.
    """

    JANITOR = """
        read -r _
        tries=0
        until rm -rf -- "$1" || [ $((tries += 1)) -ge 100 ]; do sleep 0.1; done
    """

    def __init__(self, prefix):
        self.path = Path(tempfile.mkdtemp(prefix=f"signalbus-{prefix}-"))
        self.path.chmod(0o755)  # the user postgres has to get in
        self.janitor = subprocess.Popen(["sh", "-c", self.JANITOR, "janitor", str(self.path)],
                                        stdin=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                        start_new_session=True)

    def remove(self):
        self.janitor.stdin.close()
        self.janitor.wait()


class Process:
    """A server process in a session of its own that dies with the test process."""

    def __init__(self, command, log, user=None, death_signal="KILL", environment=None, cwd="/"):
        self.log = Path(log)
        with open(self.log, "ab") as output:
            self.popen = subprocess.Popen(
                self.setpriv(user, death_signal) + [str(word) for word in command],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=cwd,
                env=environment or clean_environment(), start_new_session=True)

    @staticmethod
    def setpriv(user, death_signal):
        identity = [f"--reuid={user}", f"--regid={group_of(user)}", "--init-groups"] if user else []
        return [find_program("setpriv", "util-linux"), f"--pdeathsig={death_signal}", *identity]

    @property
    def pid(self):
        return self.popen.pid

    def is_alive(self):
        return self.popen.poll() is None

    def send(self, number):
        self.popen.send_signal(number)

    def end(self, number, timeout):
        """Sends a signal and waits; a process that does not heed it in time is killed."""
        if self.is_alive():
            self.send(number)
        try:
            return self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
            raise ServerError(f"process {self.pid} did not end within {timeout} s of signal "
                              f"{number}\n{self.log_tail()}") from None

    def log_tail(self, lines=30):
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def require_alive(self, what):
        if not self.is_alive():
            raise ServerError(f"{what} ended with status {self.popen.returncode}\n"
                              f"{self.log_tail()}")


def group_of(user):
    return pwd.getpwnam(user).pw_gid


def run_quietly(command, user=None):
    """Runs a preparing command to its end; its output is shown only where it failed."""
    with tempfile.TemporaryDirectory() as folder:
        process = Process(command, Path(folder) / "log", user)
        if process.popen.wait(timeout=120) != 0:
            raise ServerError(f"{command[0]} failed\n{process.log_tail()}")


class Postgres:
    """
    A PostgreSQL cluster.  As root it runs as the user postgres, since PostgreSQL refuses root.
    Everybody is trusted; the database is "signalbus".  Tests connect as the superuser postgres, and
    signalbus connects as a role that gets the privileges of conf/grants.sql on each new table.  What
    triggers of the tests do, they do as their owner.
    """

    RELAY = "bus"
    GRANTS = """
        DO $do$ BEGIN
            IF to_regrole('{relay}') IS NULL THEN CREATE ROLE {relay} LOGIN; END IF;
        END $do$;
        CREATE SCHEMA fixture;
        CREATE FUNCTION fixture.grant_privileges() RETURNS event_trigger LANGUAGE plpgsql
        SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        DECLARE o record; a name;  -- of the first column
        BEGIN
            FOR o IN SELECT d.objid, d.object_type, d.object_identity, c.relispartition OR EXISTS (
                     SELECT FROM pg_inherits i WHERE i.inhrelid = d.objid) AS is_child
                     FROM pg_event_trigger_ddl_commands() d LEFT JOIN pg_class c ON c.oid = d.objid
                     WHERE d.schema_name IS DISTINCT FROM 'pg_temp' LOOP
                IF o.object_type = 'schema' THEN
                    EXECUTE format('GRANT USAGE ON SCHEMA %s TO {relay}', o.object_identity);
                ELSIF o.object_type = 'table' AND NOT o.is_child THEN
                    SELECT attname INTO a FROM pg_attribute WHERE attrelid = o.objid
                    AND attnum > 0 AND NOT attisdropped ORDER BY attnum LIMIT 1;
                    EXECUTE format('GRANT SELECT, DELETE%s ON %s TO {relay}',
                                   ', UPDATE (' || quote_ident(a) || ')', o.object_identity);
                ELSIF EXISTS (SELECT FROM pg_proc WHERE oid = o.objid AND NOT prosecdef
                              AND o.object_type = 'function' AND prorettype = 'trigger'::regtype
                              AND proname <> 'signalbus_notify') THEN
                    EXECUTE format('ALTER FUNCTION %s SECURITY DEFINER', o.object_identity);
                END IF;
            END LOOP;
        END $$;
        CREATE EVENT TRIGGER grant_privileges ON ddl_command_end
        WHEN TAG IN ('CREATE SCHEMA', 'CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO',
                     'CREATE FUNCTION')
        EXECUTE FUNCTION fixture.grant_privileges();
    """

    # What PostgreSQL has since version 14: to wait for the end of the session.
    TERMINATE = """
        CREATE FUNCTION public.pg_terminate_backend(pid int, ms bigint) RETURNS boolean
        LANGUAGE plpgsql AS $$ BEGIN
            PERFORM pg_terminate_backend(pid);
            FOR i IN 1 .. ms / 10 LOOP
                PERFORM pg_stat_clear_snapshot();
                EXIT WHEN NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.pid = $1);
                PERFORM pg_sleep(0.01);
            END LOOP;
            RETURN true;
        END $$;
    """

    SETTINGS = {
        "max_connections": 200,
        "max_prepared_transactions": 20,
        "max_locks_per_transaction": 256,
        "log_line_prefix": "%m [%p] %e ",
        "log_statement": "none",
        "logging_collector": "off",
    }
    STOP_SIGNALS = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}

    def __init__(self, settings=None):
        self.user = POSTGRES_USER if os.geteuid() == 0 else None
        self.settings = {**self.SETTINGS, **(settings or {})}
        self.port = Ports.take()
        self.folder = TempFolder("postgres")
        self.data = self.folder.path / "data"
        self.sockets = self.folder.path / "sockets"
        self.process = None
        try:
            self.initialize()
        except BaseException:
            self.folder.remove()
            raise

    def initialize(self):
        for folder in (self.data, self.sockets):
            folder.mkdir()
            if self.user:
                os.chown(folder, pwd.getpwnam(self.user).pw_uid, group_of(self.user))
        run_quietly([find_program("initdb", "postgresql"), "-D", self.data, "-U", "postgres",
                     "--auth=trust", "--encoding=UTF8", "--locale=C"], self.user)

    @property
    def settings_as_options(self):
        settings = {"port": self.port, "listen_addresses": "127.0.0.1",
                    "unix_socket_directories": self.sockets, **self.settings}
        return [f"-c{name}={value}" for name, value in settings.items()]

    def start(self, timeout=120):
        """Starts the server, without waiting where timeout is 0."""
        # SIGQUIT is the immediate shutdown: the postmaster takes its children along.
        self.process = Process(
            [find_program("postgres", "postgresql"), "-D", self.data, *self.settings_as_options],
            self.folder.path / "log", self.user, "QUIT", cwd=self.sockets)
        if timeout:
            self.wait_ready(timeout)
        return self

    def wait_ready(self, timeout=120):
        wait_until(self.is_ready, timeout, "PostgreSQL accepts connections")

    def is_ready(self):
        self.process.require_alive("PostgreSQL")
        try:
            self.connect("postgres").close()
        except psycopg2.OperationalError:
            return False
        return True

    def create_database(self, name="signalbus", options=""):
        connection = self.connect("postgres")
        connection.cursor().execute(f'CREATE DATABASE "{name}" {options}')
        connection.close()
        connection = self.connect(name)
        connection.cursor().execute(self.GRANTS.replace("{relay}", self.RELAY))
        if connection.server_version < 140000:
            connection.cursor().execute(self.TERMINATE)
        connection.close()

    def conninfo(self, database="signalbus", **more):
        """A libpq connection string over TCP; host=... may name the folder of the socket."""
        words = {"host": "127.0.0.1", "port": self.port, "user": self.RELAY, "dbname": database,
                 **more}
        return " ".join(f"{name}='{value}'" for name, value in words.items())

    def connect(self, database="signalbus", autocommit=True):
        connection = psycopg2.connect(self.conninfo(database, user="postgres"), connect_timeout=10,
                                      options="-c statement_timeout=120s")
        connection.autocommit = autocommit
        return connection

    def stop(self, mode="fast", timeout=120):
        if self.process:
            self.process.end(self.STOP_SIGNALS[mode], timeout)

    def kill(self):
        """
        SIGKILL for all processes at once, as when the machine's power fails.  The postmaster is
        frozen first: it cannot start another child while its children are listed.
        """
        self.process.send(signal.SIGSTOP)
        children = [os.pidfd_open(pid) for pid in children_of(self.process.pid)]
        self.process.end(signal.SIGKILL, 30)
        for child in children:
            end_by_pidfd(child)

    def restart(self, mode="fast", timeout=120):
        """Stops with smart, fast, immediate or kill, and starts again on the same port."""
        if mode == "kill":
            self.kill()
        else:
            self.stop(mode)
        return self.start(timeout)

    def remove(self):
        try:
            self.stop("immediate")
        finally:
            self.folder.remove()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.remove()


def children_of(pid):
    return [int(child) for child in
            Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def end_by_pidfd(pidfd):
    """SIGKILL by pidfd, which cannot hit a process that came to the same number later."""
    try:
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        select.select([pidfd], [], [], 30)
    except ProcessLookupError:
        pass
    finally:
        os.close(pidfd)


class Broker:
    """
    One KRaft node, broker and controller in one; made and steered by Kafka.  Who comes by the
    listener BYWAY is sent to proxy_port, where a test may put a proxy (proxy.py).
    """

    JAVA_OPTIONS = ["-Xms96m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
                    "-XX:-UsePerfData", "-Djava.awt.headless=true"]
    LOGGING = """
status = ERROR
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = [%d] %p %m (%c)%n
rootLogger.level = WARN
rootLogger.appenderRef.out.ref = out
"""

    def __init__(self, node, folder):
        self.node = node
        self.folder = folder
        self.port = Ports.take()
        self.controller_port = Ports.take()
        self.byway_port = Ports.take()
        self.proxy_port = Ports.take()
        self.process = None
        folder.mkdir()
        (folder / "tmp").mkdir()
        (folder / "log4j2.properties").write_text(self.LOGGING)

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    @property
    def proxy_address(self):
        return f"127.0.0.1:{self.proxy_port}"

    @property
    def voter(self):
        return f"{self.node}@127.0.0.1:{self.controller_port}"

    @property
    def properties_file(self):
        return self.folder / "server.properties"

    def configure(self, properties):
        own = {
            "process.roles": "broker,controller",
            "node.id": self.node,
            "listeners": f"PLAINTEXT://{self.address},BYWAY://127.0.0.1:{self.byway_port},"
                         f"CONTROLLER://127.0.0.1:{self.controller_port}",
            "advertised.listeners": f"PLAINTEXT://{self.address},BYWAY://{self.proxy_address}",
            "listener.security.protocol.map":
                "PLAINTEXT:PLAINTEXT,BYWAY:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "log.dirs": self.folder / "data",
        }
        self.properties_file.write_text(
            "".join(f"{name}={value}\n" for name, value in {**own, **properties}.items()))

    def java(self, *words):
        return [find_program("java", "openjdk-17-jre-headless"), *self.JAVA_OPTIONS,
                f"-Djava.io.tmpdir={self.folder / 'tmp'}",
                f"-Dlog4j2.configurationFile={self.folder / 'log4j2.properties'}",
                "-cp", f"{KAFKA_LIB}/*", *words]

    def format(self, cluster, options):
        return Process(self.java("kafka.tools.StorageTool", "format", "-t", cluster,
                                 "-c", self.properties_file, *options), self.folder / "format.log")

    def start(self):
        self.process = Process(self.java("kafka.Kafka", self.properties_file),
                               self.folder / "log", cwd=self.folder)

    def is_running(self):
        return self.process is not None and self.process.is_alive()


class Kafka:
    """
    A Kafka cluster of one node or of several.  Each broker is a process of its own; what takes
    node=... acts on that one (numbered from 1), and on all of them without it.
    """

    FORMAT_OPTIONS = []  # of its storage

    def __init__(self, brokers=1, auto_create_topics=False, settings=None):
        self.folder = TempFolder("kafka")
        self.brokers = [Broker(node, self.folder.path / f"broker-{node}")
                        for node in range(1, brokers + 1)]
        self.settings = {**self.default_settings(auto_create_topics), **(settings or {})}
        try:
            self.initialize()
        except BaseException:
            self.folder.remove()
            raise

    def default_settings(self, auto_create_topics):
        replicas = min(3, len(self.brokers))
        return {
            "controller.quorum.voters": ",".join(broker.voter for broker in self.brokers),
            "auto.create.topics.enable": str(auto_create_topics).lower(),
            "default.replication.factor": replicas,
            "offsets.topic.replication.factor": replicas,
            "offsets.topic.num.partitions": 1,
            "transaction.state.log.replication.factor": replicas,
            "transaction.state.log.min.isr": 1,
            "transaction.state.log.num.partitions": 4,
            "group.initial.rebalance.delay.ms": 0,
            "num.network.threads": 2,
            "num.io.threads": 4,
            "num.partitions": 1,
            # A broker that was killed may come back when its old session has run out (9 s).
            "broker.session.timeout.ms": 2500,
            "broker.heartbeat.interval.ms": 400,
            "log.index.size.max.bytes": 1024 * 1024,  # the default reserves 10 MB a partition
        }

    def initialize(self):
        if "SIGNALBUS_KAFKA_LIB" not in os.environ:
            fetch = ROOT / "tests" / "kafka" / "fetch"
            subprocess.run([fetch, KAFKA_LIB], check=True, timeout=900, stdin=subprocess.DEVNULL)
        for broker in self.brokers:
            broker.configure(self.settings)
        # Kafka takes 16 bytes in base64; a letter in front, since "-" would begin an option.
        cluster = "A" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[1:].rstrip("=")
        for process in [broker.format(cluster, self.FORMAT_OPTIONS) for broker in self.brokers]:
            if process.popen.wait(timeout=60) != 0:
                raise ServerError(f"formatting Kafka's storage failed\n{process.log_tail()}")

    @property
    def bootstrap(self):
        return ",".join(broker.address for broker in self.brokers)

    @property
    def bootstrap_by_proxy(self):
        """For who shall meet the brokers at the tests' proxies only."""
        return ",".join(broker.proxy_address for broker in self.brokers)

    def chosen(self, node):
        return self.brokers if node is None else [self.brokers[node - 1]]

    def start(self, node=None, timeout=120):
        """Starts brokers that are down, and waits until they serve, unless timeout is 0."""
        for broker in self.chosen(node):
            broker.start()
        if timeout:
            self.wait_ready(timeout)
        return self

    def wait_ready(self, timeout=120):
        """Waits until every broker whose process runs is a member of the cluster."""
        wait_until(self.is_ready, timeout, "Kafka serves", pause=0.1)
        self.wait_idempotent(timeout)

    def is_ready(self):
        running = [broker for broker in self.brokers if broker.is_running()]
        for broker in self.brokers:
            if broker.process and not broker.is_running() and broker.process.popen.returncode > 0:
                broker.process.require_alive(f"Kafka's broker {broker.node}")
        if not all(accepts_connections(broker.port) for broker in running):
            return False
        return {broker.node for broker in running} <= self.members()

    def wait_idempotent(self, timeout):
        """
        A node that has just started has no numbers for idempotent producers yet, and they warn
        about it; so readiness includes that one of them has got a message through.
        """
        topic = NewTopic("readiness", 1, self.settings["default.replication.factor"])
        admin = self.admin()  # it has to live until the answer is there
        for created in admin.create_topics([topic]).values():
            created.exception(timeout)  # it may exist
        producer = Producer({"bootstrap.servers": self.bootstrap, "enable.idempotence": True,
                             "log_level": 0})
        producer.produce("readiness", b"ready")
        if producer.flush(timeout) > 0:
            raise ServerError(f"Kafka stored no message within {timeout} s")

    def members(self):
        try:
            metadata = self.admin().list_topics(timeout=2)
        except Exception:  # KafkaException while no broker answers
            return set()
        return set(metadata.brokers)

    def admin(self):
        return AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0,
                            "socket.timeout.ms": 5000, "reconnect.backoff.ms": 50})

    def stop(self, node=None, timeout=120):
        """
        A controlled shutdown by SIGTERM.  Of a cluster that stops as a whole, the last brokers
        find no controller to sign off from: they are killed in the end.
        """
        whole_cluster = node is None and len(self.brokers) > 1
        try:
            self.end(signal.SIGTERM, node, 20 if whole_cluster else timeout)
        except ServerError:
            if not whole_cluster:
                raise
            self.kill()

    def kill(self, node=None):
        self.end(signal.SIGKILL, node, 30)

    def end(self, number, node, timeout):
        running = [broker for broker in self.chosen(node) if broker.is_running()]
        for broker in running:
            broker.process.send(number)
        for broker in running:
            broker.process.end(number, timeout)

    def restart(self, mode="stop", node=None, timeout=120):
        """Stops (or kills) and starts again on the same ports."""
        if mode == "kill":
            self.kill(node)
        else:
            self.stop(node)
        return self.start(node, timeout)

    def freeze(self, node=None):
        """The brokers stop answering, but their connections stay."""
        for broker in self.chosen(node):
            broker.process.send(signal.SIGSTOP)

    def thaw(self, node=None):
        for broker in self.chosen(node):
            broker.process.send(signal.SIGCONT)

    def remove(self):
        try:
            self.kill()
        finally:
            self.folder.remove()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.remove()


def accepts_connections(port):
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
