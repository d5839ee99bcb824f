"""check: a line for everything that would keep signals from being sent, and nothing done about it."""

import contextlib
import json
import re
import shutil
import signal
import socket
import time

import pytest

import acls
from runner import BINARY, model
from servers import Kafka, Ports, Postgres, wait_until
from topics import Topics

SASL = {"security_protocol": "sasl_plaintext", "sasl_mechanism": "PLAIN",
        "sasl_username": "relay", "sasl_password": "secret"}


class GuardedKafka(Kafka):
    """
    Makes topics by itself, has a second listener for a user who may do nothing that is not allowed
    to him, and two folders for its logs.
    """

    def default_settings(self, auto_create_topics):
        broker = self.brokers[0]
        self.guarded = f"127.0.0.1:{Ports.take()}"
        self.logs = [broker.folder / "data", broker.folder / "more"]
        module = "org.apache.kafka.common.security.plain.PlainLoginModule"
        return {
            **super().default_settings(auto_create_topics),
            "listeners": f"PLAINTEXT://{broker.address},GUARDED://{self.guarded},"
                         f"CONTROLLER://127.0.0.1:{broker.controller_port}",
            "advertised.listeners": f"PLAINTEXT://{broker.address},GUARDED://{self.guarded}",
            "listener.security.protocol.map":
                "PLAINTEXT:PLAINTEXT,GUARDED:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT",
            "sasl.enabled.mechanisms": "PLAIN",
            "listener.name.guarded.plain.sasl.jaas.config":
                f'{module} required user_relay="secret";',
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
            "log.dirs": ",".join(str(folder) for folder in self.logs),
            "metadata.log.dir": self.logs[0],
            "log.flush.offset.checkpoint.interval.ms": 100,
            # Too little for exactly-once delivery.
            "transaction.max.timeout.ms": 80000,
            "offsets.retention.minutes": 1000,
            "transaction.partition.verification.enable": "false",
        }

    def names(self):
        return set(self.admin().list_topics(timeout=20).topics)


@pytest.fixture(scope="module")
def guarded():
    with GuardedKafka(auto_create_topics=True) as server:
        yield server


def test_silent_when_all_is_well(signalbus, schema, role, make_topic, install, check,
                                 count_in_log):
    schema.execute("CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, payload text)")
    schema.execute("INSERT INTO t (payload) VALUES ('one'), ('two')")
    table, topic = schema.table("t"), make_topic()
    schema.execute("CREATE TABLE p (id bigserial, part int, PRIMARY KEY (part, id)) "
                   "PARTITION BY LIST (part)")
    schema.execute("CREATE TABLE p_1 PARTITION OF p FOR VALUES IN (1)")
    schema.execute(f"REVOKE ALL ON p_1 FROM {role}")  # the parent's privileges do
    signalbus.configure(
        model("A", table, topic, order_by=["id"], key="payload", where="id > 0",
              fields=["id", {"name": "n", "sql": "length(payload)"}], headers=["payload"]),
        model("B", table, "events.{payload}", order_by=["id"], where="id <= 0"),
        model("C", schema.table("p"), topic, order_by=["part", "id"], where="id > 0"),
        model("D", schema.table("p"), topic, where="id <= 0"))
    install()
    before = table_state(schema)
    assert check() == []
    assert table_state(schema) == before and count_in_log(topic) == 0
    run = signalbus("-v", "check").expect(0)
    warnings = run.stdout.count("\n")
    assert run.findings() == [] and warnings == (schema.connection().server_version < 140000)
    assert run.logged(f"checked 4 models: 0 problems, {warnings} warning{'s' * (warnings != 1)}")


def table_state(schema):
    """Rows with the traces of locks and changes."""
    return schema.execute("SELECT ctid, xmin, xmax, * FROM t ORDER BY id")


def test_names_choose_models(signalbus, schema, make_topic, check):
    schema.make_signals("t")
    signalbus.configure(*[model(name, schema.table("gone"), make_topic()) for name in "ABC"])
    assert len(check()) == 3
    lines = check("-e", "B")
    assert [line.split(":")[0] for line in lines] == ['model "A"', 'model "C"']
    [line] = signalbus("check", "B").expect(1).findings()
    assert line.startswith('model "B": ')
    run = signalbus("check", "--json", "B").expect(1)
    found = json.loads(run.stdout)
    [problem] = found["problems"]
    assert found["models"] == 1 and list(found) == ["models", "problems", "warnings"]
    assert problem["model"] == "B" and line == f'model "B": {problem["text"]}'
    only = signalbus("check", "--json", "--config-only").expect(0).stdout
    assert json.loads(only) == {"models": 3, "problems": [], "warnings": []}


PRIVILEGES = [
    ("SELECT", "lacks SELECT", "GRANT SELECT ON {table} TO {role}"),
    ("DELETE", "lacks DELETE", "GRANT DELETE ON {table} TO {role}"),
    ("UPDATE", "lacks UPDATE on a column (to lock rows)",
     "GRANT UPDATE (id) ON {table} TO {role}"),
]


@pytest.mark.parametrize("partitioned", [False, True], ids=["plain", "partitioned"])
def test_a_privilege_is_missing_and_the_remedy_helps(signalbus, schema, role, make_topic, check,
                                                     partitioned):
    topic = make_topic()
    expected = []
    for privilege, says, remedy in PRIVILEGES:
        table = schema.table(privilege.lower() + "less")
        schema.execute(f"CREATE TABLE {table} (id bigint PRIMARY KEY, payload text)" +
                       (" PARTITION BY RANGE (id)" if partitioned else ""))
        if partitioned:
            schema.execute(f"CREATE TABLE {table}_1 PARTITION OF {table} DEFAULT")
        schema.execute(f"REVOKE {privilege} ON {table} FROM {role}")
        expected.append(f'model "{privilege}": table {table}: user {role} {says}; '
                        + remedy.format(table=table, role=role))
    signalbus.configure(*[model(privilege, schema.table(privilege.lower() + "less"), topic)
                          for privilege, *_ in PRIVILEGES], notify_channel="")
    assert check() == expected
    for line in expected:
        schema.execute(line.split("; ")[1])
    assert check() == []
    signalbus("flushmany").expect_silence()


def test_the_table_for_dead_letters(signalbus, schema, role, make_topic, check):
    """It is not there; then it may not be written to; then all is well."""
    table, dead = schema.make_signals("t"), schema.table('"Dead x"')
    signalbus.configure(model("A", table, make_topic(), on_reject="dead-letter"),
                        dead_letter_table=dead, notify_channel="")
    line, = check()
    assert f'table {dead} does not exist; "signalbus triggers" prints its definition' in line
    schema.execute(signalbus("triggers").expect(0).stdout)
    schema.execute(f"REVOKE INSERT ON {dead} FROM {role}")
    line, = check()
    remedy = f"GRANT INSERT ON {dead} TO {role}"
    assert line == (f'model "A": table {dead}: user {role} lacks INSERT, which dead letters need; {remedy}')
    schema.execute(remedy)
    assert check() == []


def test_all_privileges_are_missing(signalbus, schema, role, make_topic, check):
    table, topic = schema.make_signals("t"), make_topic()
    schema.execute(f"REVOKE ALL ON t FROM {role}")
    schema.execute(f"REVOKE ALL ON SCHEMA {schema} FROM {role}")
    signalbus.configure(model("A", table, topic), notify_channel="")
    lines = check()
    assert [re.search("use it|SELECT|DELETE|UPDATE", line)[0] for line in lines] == \
        ["use it", "SELECT"]
    assert lines[1].endswith(f"lacks SELECT, DELETE, UPDATE on a column (to lock rows); "
                             f"GRANT SELECT, DELETE, UPDATE (id) ON {table} TO {role}")
    for line in lines:
        schema.execute(line.split("; ")[1])
    assert check() == []
    signalbus("flushmany").expect_silence()  # it is true


def test_a_condition_that_cannot_be_examined(signalbus, schema, role, make_topic, check):
    """Without SELECT: one line; and triggers do not need the condition."""
    table = schema.make_signals("t")
    schema.execute(f"REVOKE SELECT ON t FROM {role}")
    signalbus.configure(model("A", table, make_topic(), where="signal.id > 0"))
    assert f"ON {table}\n" in signalbus("triggers").expect(0).stdout
    lines = [line for line in check() if "trigger" not in line]
    assert lines == [f'model "A": table {table}: user {role} lacks SELECT; GRANT SELECT ON {table} TO {role}']


def test_select_on_the_columns_that_are_sent_is_enough(signalbus, schema, role, make_topic, check):
    table, topic = schema.make_signals("t", 1), make_topic()
    signalbus.configure(model("A", table, topic, fields=["id"]), notify_channel="")
    schema.execute(f"REVOKE SELECT ON t FROM {role}")
    schema.execute(f"GRANT SELECT (ctid, tableoid, id) ON t TO {role}")
    assert check() == []
    signalbus("flushmany").expect_silence()
    signalbus.configure(model("A", table, topic), notify_channel="")
    assert "lacks SELECT" in check()[0]
    signalbus("flushmany").expect_failure()


def test_row_level_security(signalbus, schema, role, make_topic, check):
    table, topic = schema.make_signals("t", 1), make_topic()
    schema.execute("ALTER TABLE t ENABLE ROW LEVEL SECURITY")
    signalbus.configure(model("A", table, topic), notify_channel="")
    [line] = check()
    assert line.startswith(f'model "A": table {table}: row level security applies to user {role}')
    signalbus("flushmany").expect_failure()
    schema.execute(line.split("; ")[1])
    assert check() == []


def test_what_an_expression_needs(signalbus, schema, role, make_topic, check):
    """What only the server can tell: another table, a function."""
    table, topic = schema.make_signals("t"), make_topic()
    schema.execute("CREATE TABLE other (id int)")
    schema.execute(f"REVOKE ALL ON other FROM {role}")
    fields = [{"name": "n", "sql": f"(SELECT count(*) FROM {schema}.other)"}]
    path = signalbus.configure(model("A", table, topic, fields=fields), notify_channel="")
    [line] = check()
    assert re.fullmatch(rf'model "A": {path}:\d+: fields: n: database: permission denied for table other '
                        r"SQLSTATE 42501", line), line


def test_what_only_the_statements_show(signalbus, schema, make_topic, check):
    """The settings fit and no privilege is missing, and still the server refuses them."""
    topic = make_topic()
    schema.execute("CREATE TABLE documents (id int PRIMARY KEY, content json)")
    schema.make_signals("published")
    schema.execute("ALTER TABLE published REPLICA IDENTITY NOTHING")
    schema.execute(f"CREATE PUBLICATION {schema} FOR TABLE published")
    signalbus.configure(model("A", schema.table("documents"), topic, order_by=["content"]),
                        model("B", schema.table("published"), topic), notify_channel="")
    try:
        lines = [line for line in check() if not line.startswith("warning: ")]
    finally:
        schema.execute(f"DROP PUBLICATION {schema}")
    assert [line.split(": ")[0] for line in lines] == ['model "A"', 'model "B"']
    assert "could not identify an ordering operator for type json" in lines[0]
    remedy = f"ALTER TABLE {schema}.published REPLICA IDENTITY DEFAULT"
    assert lines[1] == (f'model "B": table {schema}.published: it has no replica identity, so signals cannot '
                        f"be deleted while publication {schema} publishes that; {remedy}")


def test_all_mistakes_of_a_model(signalbus, schema, make_topic, check):
    table = schema.make_signals("t")
    path = signalbus.configure(model(
        "A", table, "to.{topik}", key="kee", order_by=["idd", "payloat DESC"],
        partition="payload", timestamp="id", where="nothing > 1",
        headers=["header", {"name": "h", "sql": "1 +"}],
        fields=["id", "field", {"name": "x", "sql": "syntax error"}]))
    lines = [line for line in check() if not line.startswith("warning")]
    for wanted in ('key: table {t} has no column "kee"', 'order_by: table {t} has no column "idd"',
                   'has no column "payloat"; did you mean "payload"?',
                   'fields: table {t} has no column "field"', 'headers: table {t} has no column',
                   'topic: table {t} has no column "topik"', 'partition: column "payload" is of',
                   'timestamp: column "id" is of', ': where: database: column "nothing" does not exist',
                   ': fields: x: database: syntax error at or near', ': headers: h: database: syntax'):
        wanted = wanted.format(t=table)
        assert [line for line in lines if wanted in line], f"{wanted} in {lines}"
    assert len(lines) == 11, lines
    assert all(re.match(rf'model "A": {path}:\d+: ', line) for line in lines)


def test_tables_that_are_none(signalbus, schema, make_topic, check):
    topic = make_topic()
    schema.execute("CREATE VIEW v AS SELECT 1 AS id")
    schema.execute("CREATE TABLE nokey (id int)")
    signalbus.configure(model("A", schema.table("gone"), topic), model("B", schema.table("v"), topic),
                        model("C", schema.table("nokey"), topic, key="kee"),
                        model("D", '"odd', topic), model("E", "nowhere.t", topic),
                        notify_channel="")
    says = [line.split(": ", 2)[::2] for line in check()]
    assert [name for name, _ in says] == [f'model "{name}"' for name in "ABCCDE"]
    for (_, text), wanted in zip(says, [
            "table {s}.gone does not exist", "{s}.v is not a table",
            "table {s}.nokey has no primary key", 'key: table {s}.nokey has no column "kee"',
            # PostgreSQL 16 takes a name that is none for that of a missing table.
            ('database: ', 'table "odd does not exist'), "table nowhere.t does not exist"]):
        assert text.startswith(wanted if isinstance(wanted, tuple) else wanted.format(s=schema))


# Of a table with rows: an order, an index, and whether that serves it.
ORDERS = [
    (["at"], "", False),
    (["at"], "CREATE INDEX ON {t} (at)", True),  # the key sorts what is equal
    (["at"], "CREATE INDEX ON {t} (at DESC)", True),  # read backwards
    (["at DESC", "id DESC"], "CREATE INDEX ON {t} (at, id)", True),
    (["at DESC", "id"], "CREATE UNIQUE INDEX ON {t} (id, at)", False),
    (["n", "at DESC"], "CREATE INDEX ON {t} (n, at DESC)", True),
    (["at"], "CREATE INDEX ON {t} (at NULLS FIRST)", False),
    (["at"], "CREATE INDEX ON {t} (n, at)", False),
    (["at"], "CREATE INDEX ON {t} USING brin (at)", False),
    (["at"], "CREATE INDEX ON {t} (at) WHERE n > 5", False),
    (["name"], 'CREATE INDEX ON {t} (name COLLATE "POSIX")', False),
    (["name"], "CREATE INDEX ON {t} (name)", True),
    (["id"], "", True),
    (["at"], "CREATE INDEX invalid ON {t} (at); UPDATE pg_index SET indisvalid = false "
             "WHERE indexrelid = 'invalid'::regclass", False),
]


NO_INDEX = "no index serves the order"


def test_index_for_the_order(signalbus, schema, make_topic, check):
    topic, models, lacking = make_topic(), [], []
    for number, (order_by, index, serves) in enumerate(ORDERS):
        t = f"t{number}"
        schema.execute(f"CREATE TABLE {t} (id bigint PRIMARY KEY, at timestamptz, n int, name text)")
        schema.execute(f"INSERT INTO {t} SELECT n, now(), n, n FROM generate_series(1, 500) n")
        schema.execute(index.format(t=t) or f"ANALYZE {t}")
        models.append(model(t, schema.table(t), topic, order_by=order_by))
        lacking += [] if serves else [t]
    signalbus.configure(*models, notify_channel="")
    lines = check(about=NO_INDEX)
    assert [re.match(r'warning: model "(\w+)": table \S+: no index serves the order, ', line)[1]
            for line in lines] == lacking
    for line in lines:
        schema.execute(line.split("; ")[1])  # the remedy
    assert check(about=NO_INDEX) == []


def test_index_of_the_rows_of_a_model(signalbus, schema, make_topic, check):
    """One with a condition serves the model whose condition implies it; one that finds the rows is
    no reason to sort them."""
    schema.execute("CREATE TABLE t (id bigint PRIMARY KEY, at timestamptz, n int)")
    schema.execute("INSERT INTO t SELECT n, now(), n FROM generate_series(1, 500) n")
    schema.execute("CREATE INDEX ON t (at) WHERE n > 5")
    schema.execute("CREATE INDEX ON t (n)")
    schema.execute("ANALYZE t")
    table, topic = schema.table("t"), make_topic()
    signalbus.configure(
        model("A", table, topic, order_by=["at"], where="signal.n > 7 -- seven"),
        model("B", table, topic, order_by=["at"], where="signal.n > 3"),
        model("C", table, topic, order_by=["at"], where="n = 300"), notify_channel="")
    [line] = check(about=NO_INDEX)
    assert line.startswith('warning: model "B": ')


def test_index_of_each_partition(signalbus, schema, make_topic, check):
    schema.execute("CREATE TABLE t (id bigint PRIMARY KEY, at timestamptz) PARTITION BY RANGE (id)")
    schema.execute("CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM (1) TO (10)")
    schema.execute("CREATE TABLE t_2 PARTITION OF t DEFAULT")
    schema.execute("CREATE INDEX ON t_1 (at)")
    signalbus.configure(model("A", schema.table("t"), make_topic(), order_by=["at"]),
                        notify_channel="")
    assert len(check(about=NO_INDEX)) == 1
    schema.execute("CREATE INDEX ON t_2 (at)")
    assert check(about=NO_INDEX) == []


SEQUENCES = [
    ("id bigint GENERATED ALWAYS AS IDENTITY (CACHE 20) PRIMARY KEY", True),
    ("id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY", False),
    ("id bigint DEFAULT nextval('{s}.numbers') PRIMARY KEY", True),
    ("id bigserial PRIMARY KEY", False),
    ("other bigint GENERATED ALWAYS AS IDENTITY (CACHE 20), id bigserial PRIMARY KEY", False),
    ("other bigint DEFAULT nextval('{s}.others'), id bigserial PRIMARY KEY", False),
]


def test_sequences_with_a_cache(signalbus, schema, make_topic, check):
    schema.execute("CREATE SEQUENCE numbers CACHE 20; CREATE SEQUENCE others CACHE 20")
    topic, models, cached = make_topic(), [], []
    for number, (columns, has_cache) in enumerate(SEQUENCES):
        name, table = f"t{number}", schema.table(f"t{number}")
        schema.execute(f"CREATE TABLE {name} ({columns.format(s=schema)})")
        models += [model(name, table, topic, order_by=["id DESC"]), model(f"any {name}", table, topic)]
        cached += [name] if has_cache else []
    signalbus.configure(*models, notify_channel="")
    lines = check(about="CACHE")
    assert [re.match(r'warning: model "(\w+)": table \S+: sequence \S+, .* column id .* CACHE 20,',
                     line)[1] for line in lines] == cached
    for line in lines:
        schema.execute(line.split("; ")[1])
    assert check(about="CACHE") == []


def test_triggers(signalbus, schema, make_topic, check, install):
    table, topic = schema.make_signals("t"), make_topic()
    quiet = model("B", table, topic, autoflush=False, where="false")
    signalbus.configure(model("A", table, topic, where="true"), quiet, notify_channel="it's")
    [line] = check()
    assert line == (f"warning: model \"A\": table {table}: no trigger notifies channel "
                    "'it''s', so the daemon finds signals only by polling (poll_interval); "
                    "signalbus triggers | psql")
    install()
    assert check() == []
    schema.execute("ALTER TABLE t DISABLE TRIGGER signalbus_notify")
    assert check() == [line]
    install()
    assert check() == []
    for channel, warnings in (("its", 1), ("it's more", 1), ("", 0)):
        signalbus.configure(model("A", table, topic, where="true"), quiet, notify_channel=channel)
        lines = check()
        assert len(lines) == warnings and all("its trigger does not notify channel" in line for line in lines)
    signalbus.configure(model("A", table, topic, where="true"), quiet, notify_channel="its", autoflush=False)
    assert check() == []


def test_the_triggers_function_of_somebody_else(signalbus, schema, make_topic, check, install, role):
    """Its owner could have all who insert execute what he likes."""
    table = schema.make_signals("t")
    signalbus.configure(model("A", table, make_topic()), autoflush=False)
    schema.execute(f"GRANT CREATE ON SCHEMA {schema} TO {role}; SET ROLE {role}; "
                   "CREATE FUNCTION signalbus_notify() RETURNS trigger LANGUAGE plpgsql "
                   "AS 'BEGIN RETURN NULL; END'; RESET ROLE")
    with pytest.raises(Exception, match=f"belongs to user {role}, who may not create triggers"):
        install()
    schema.execute("ROLLBACK")
    assert schema.value("SELECT count(*) FROM pg_trigger WHERE tgrelid = 't'::regclass") == 0
    schema.execute("CREATE TRIGGER signalbus_notify AFTER INSERT ON t FOR EACH STATEMENT "
                   "EXECUTE FUNCTION signalbus_notify('signalbus')")
    function = f"{schema}.signalbus_notify()"
    assert check() == [
        f'warning: model "A": table {table}: its trigger executes function {function}, which '
        f"belongs to user {role}, who may not create triggers on the table; DROP FUNCTION "
        f"{function} CASCADE, then signalbus triggers | psql"]
    schema.execute(f"ALTER SCHEMA {schema} OWNER TO {role}")  # who may replace the table
    install()
    assert check() == []
    schema.execute(f"ALTER SCHEMA {schema} OWNER TO postgres; GRANT USAGE ON SCHEMA {schema} TO {role}")
    schema.execute(f"DROP FUNCTION {function} CASCADE")
    install()
    assert check() == []


def test_topics(signalbus, schema, make_topic, check):
    table, topic = schema.make_signals("t"), make_topic(partitions=2)
    missing = Topics.unique_name()
    signalbus.configure(
        *[model(name, table, where, where=f"payload = '{name}'")
          for name, where in (("A", topic), ("B", missing), ("C", missing))], notify_channel="")
    assert sorted(check()) == [
        f'model "{name}": topic {missing}: does not exist; create it' for name in "BC"]


@pytest.mark.parametrize("command", ["check", "flushmany", "pending"])
def test_topics_that_cannot_be(signalbus, schema, command):
    """They are mistakes of the file, whatever the tables."""
    path = signalbus.configure(*[model(name, schema.table("gone"), topic) for name, topic in [
        ("A", "x" * 250), ("B", ".."), ("C", "a{payload"), ("D", "no spaces"), ("E", "{a}/b")]])
    lines = signalbus(command).expect(78).stderr.splitlines()
    assert len(lines) == 5, lines
    assert all(re.match(rf"{path}:\d+: topic: ", line) for line in lines), lines


def test_nothing_is_created(signalbus, schema, check, guarded):
    """If the broker creates topics on request, and if the user may see none."""
    table, topic = schema.make_signals("t"), Topics.unique_name()
    before = guarded.names()
    signalbus.configure(model("A", table, topic), notify_channel="",
                        kafka={"bootstrap_servers": guarded.bootstrap})
    for _ in range(2):  # what the first one made would be there for the second one
        assert check() == [f'model "A": topic {topic}: does not exist; create it']
    signalbus.configure(model("A", table, topic), notify_channel="",
                        kafka={"bootstrap_servers": guarded.guarded, **SASL})
    assert check() == [f'model "A": topic {topic}: the Kafka user may not see it; '
                       "allow it WRITE and DESCRIBE"]
    assert guarded.names() == before


def test_the_broker_refuses_the_password(signalbus, schema, check, guarded):
    kafka = {"bootstrap_servers": guarded.guarded, **SASL, "sasl_password": "wrong"}
    signalbus.configure(model("A", schema.make_signals("t"), "a"), notify_channel="", timeout=60,
                        kafka=kafka)
    start = time.monotonic()
    [line] = check()
    assert line.startswith("kafka: refused: ") and "uthentication" in line
    assert time.monotonic() - start < 20  # at once


def test_exactly_once_needs_more_of_the_broker(signalbus, schema, check, guarded):
    """Settings that do not fit, of the broker and of signalbus, each with the remedy."""
    table, topic = schema.make_signals("t"), Topics(guarded).make()

    def lines(timeout, **kafka):
        signalbus.configure(model("A", table, topic), delivery="exactly-once", timeout=timeout,
                            notify_channel="",
                            kafka={"bootstrap_servers": guarded.bootstrap, **kafka})
        return check()
    broker = f"kafka: broker 1 at {guarded.bootstrap}: "
    late = (broker + "transaction.partition.verification.enable is false, so it accepts late messages "
            'outside of their transaction, and delivery = "exactly-once" may repeat signals; set it '
            "to true")
    expires = (broker + "offsets.retention.minutes is 1000, so the number that decides on a prepared "
               "transaction expires too early; set it to 1440 or more")
    assert lines(30) == [late, broker + "transaction.max.timeout.ms is 80000, and signalbus asks for "
                         "130000; set it to 130000 or more", expires]
    assert lines(70, transaction_timeout_ms=65000) == [
        "warning: kafka: transaction_timeout_ms is 65000, so the broker aborts transactions of bursts "
        "that have until timeout (70 s); remove it", late, expires]


# What the Kafka user lacks for exactly-once delivery, the line that says so, and what it then gets.
PREFIX = "once-"
LACKS = [
    (r'for the group "once-0" cannot be read: .* READ on consumer groups',
     acls.GROUP, PREFIX, "DESCRIBE"),
    (r'transactional id "once-0": .* WRITE and DESCRIBE on transactional ids',
     acls.TRANSACTIONAL_ID, PREFIX, "WRITE", "DESCRIBE"),
    ("Failed to add offsets .* READ on consumer groups", acls.GROUP, PREFIX, "READ"),
    ("Failed to commit offsets .* READ on the topic", acls.TOPIC, "test-", "READ"),
]


def test_exactly_once_needs_privileges(signalbus, schema, check, guarded):
    """Each remedy helps, and in the end a signal is sent."""
    topic = Topics(guarded).make()
    acls.allow(guarded.bootstrap, "relay", (acls.TOPIC, topic, acls.LITERAL), "WRITE", "DESCRIBE")
    signalbus.configure(model("A", schema.make_signals("t", 1), topic), delivery="exactly-once",
                        timeout=10, instance="once", notify_channel="",
                        kafka={"bootstrap_servers": guarded.guarded, **SASL})
    for says, kind, prefix, *operations in LACKS:
        [line] = check()
        assert re.search(says, line), line
        acls.allow(guarded.bootstrap, "relay", (kind, prefix, acls.PREFIXED), *operations)
    assert check() == []
    assert Topics(guarded).count_in_log(topic) == 0  # not even a marker
    signalbus("flushmany").expect_silence()
    assert len(Topics(guarded).consume(topic, 1)) == 1


def test_no_leader(signalbus, schema, check, guarded):
    """A disk of the broker is gone, and the only replica with it."""
    topic = Topics(guarded).make(partitions=4)
    signalbus.configure(model("A", schema.make_signals("t"), topic), notify_channel="",
                        kafka={"bootstrap_servers": guarded.bootstrap})
    assert check() == []
    shutil.rmtree(guarded.logs[1])
    [line] = wait_until(check, 30, "a partition without leader")
    assert re.fullmatch(rf'model "A": topic {topic}: partition \d has no leader; '
                        "start a broker that has a replica of it", line)


@contextlib.contextmanager
def away(signalbus, *names):
    """What names is where nobody answers."""
    kept = signalbus.database, signalbus.bootstrap
    if "database" in names:
        signalbus.database = f"host=127.0.0.1 port={Ports.take()} dbname=x"
    if "broker" in names:
        signalbus.bootstrap = f"127.0.0.1:{Ports.take()}"
    yield
    signalbus.database, signalbus.bootstrap = kept


def test_an_unavailable_database_does_not_hide_the_rest(signalbus, schema, check):
    missing = Topics.unique_name()
    with away(signalbus, "database"):
        signalbus.configure(model("A", schema.make_signals("t"), missing), timeout=5)
        lines = check()
    assert lines[0].startswith("database: ") and "Connection refused" in lines[0]
    assert lines[1:] == [f'model "A": topic {missing}: does not exist; create it']


def test_an_unavailable_broker_does_not_hide_the_rest(signalbus, schema, check):
    with away(signalbus, "broker"):
        signalbus.configure(model("A", schema.table("gone")), model("B", schema.table("gone2")),
                            timeout=1)
        start = time.monotonic()
        lines = check()
    assert 1 <= time.monotonic() - start < 20
    assert [line.split(":")[0] for line in lines] == ['model "A"', 'model "B"', "kafka"]
    assert lines[2].startswith("kafka: no answer in time: ") and "Connection refused" in lines[2]


def test_a_standby(signalbus, schema, make_topic, check, postgres):
    schema.execute("CREATE ROLE reader LOGIN SUPERUSER")
    try:
        schema.execute("ALTER ROLE reader SET default_transaction_read_only = on")
        signalbus.database = postgres.conninfo(user="reader")
        signalbus.configure(model("A", schema.make_signals("t"), make_topic()), notify_channel="")
        [line] = check()
        assert line.startswith("database: ") and "session is read-only" in line
        signalbus.database += " target_session_attrs=any"
        signalbus.configure(model("A", schema.table("t"), make_topic()), notify_channel="")
        assert check()[0].startswith("database: the session is read-only; connect to the primary")
    finally:
        schema.execute("DROP ROLE reader")


def test_the_database_becomes_unavailable_meanwhile(signalbus, schema, make_topic):
    """It is reported once, and the broker is checked nevertheless."""
    missing = Topics.unique_name()
    with Postgres() as own:
        own.create_database()
        holder = own.connect(autocommit=False)
        holder.cursor().execute("CREATE TABLE t (id int PRIMARY KEY)")
        holder.commit()
        holder.cursor().execute("LOCK TABLE t")
        signalbus.database = own.conninfo()
        signalbus.configure(*[model(name, "t", missing, where=f"id > {len(name)}") for name in "AB"], notify_channel="",
                            timeout=20)
        running = signalbus.start("check")
        watcher = own.connect()
        cursor = watcher.cursor()

        def is_waiting():
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            return cursor.fetchone()[0] == 1
        wait_until(is_waiting, 20, "a lock that is waited for")
        own.kill()
        run = running.finish(20).expect(1)
    lines = run.findings()
    assert lines[0].startswith("database at 127.0.0.1 port ") and len(lines) == 3, run
    assert lines[1:] == [f'model "{name}": topic {missing}: does not exist; create it'
                         for name in "AB"]


def test_a_locked_table(signalbus, schema, make_topic, check):
    schema.make_signals("t")
    holder = schema.connect()
    holder.cursor().execute("LOCK TABLE t")
    signalbus.configure(model("A", schema.table("t"), make_topic()),
                        model("B", schema.table("gone"), make_topic()), notify_channel="",
                        timeout=1)
    lines = check()
    assert "timeout" in lines[0] and lines[0].startswith('model "A": locked by server process ')
    assert lines[-1].startswith('model "B": ')


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("what", ["database", "broker"])
def test_stopped_while_it_waits(signalbus, schema, number, what):
    silent = Silent()
    if what == "database":
        signalbus.database = f"host=127.0.0.1 port={silent.port} dbname=x"
    else:
        signalbus.bootstrap = f"127.0.0.1:{silent.port}"
    signalbus.configure(model("A", schema.make_signals("t")), notify_channel="", timeout=60)
    running = signalbus.start("check")
    silent.wait_for_visitor()
    run = running.stop(number, timeout=5)
    silent.close()
    run.expect(-number)
    assert run.findings() == [] and run.stderr == ""


class Silent:
    """A server that takes connections and says nothing."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.visitors = []

    def wait_for_visitor(self):
        self.socket.settimeout(20)
        self.visitors.append(self.socket.accept())

    def close(self):
        self.socket.close()
        for visitor, _ in self.visitors:
            visitor.close()


def test_a_wrong_configuration(signalbus, schema):
    path = signalbus.configure(model("A", "a", burst_count=0), model("A", "b"))
    run = signalbus("check").expect(78)
    assert run.stdout == "" and run.stderr.count(f"{path}:") == 2


def test_properties_that_do_not_go_together(signalbus, schema, check):
    path = signalbus.configure(model("A", schema.make_signals("t"), "a"), notify_channel="",
                               kafka={"linger_ms": 1000, "message_timeout_ms": 500})
    [line] = check()
    assert re.match(rf"{path}:\d+: kafka: ", line) and "linger.ms" in line


def test_standard_output_is_closed_or_full(signalbus, schema, make_topic):
    signalbus.configure(model("A", schema.table("gone"), make_topic()))
    for redirection in (">&-", "> /dev/full"):
        run = signalbus.start(command=["/bin/sh", "-c", f'exec "$0" "$@" {redirection}', BINARY,
                                       "-c", signalbus.config, "check"]).finish()
        run.expect(1)
        assert "cannot write to standard output" in run.stderr and run.stdout == ""


def test_foreign_keys_that_keep_signals(signalbus, schema, make_topic, check):
    """Each warning has the statement that fixes it."""
    schema.make_signals("t", 1)
    schema.execute("CREATE TABLE p (id bigint PRIMARY KEY) PARTITION BY RANGE (id)")
    schema.execute("CREATE TABLE p_1 PARTITION OF p FOR VALUES FROM (1) TO (10)")
    schema.execute('CREATE TABLE "Odd line" (t bigint REFERENCES t DEFERRABLE INITIALLY DEFERRED)')
    schema.execute("CREATE TABLE u (t bigint REFERENCES t ON UPDATE CASCADE ON DELETE RESTRICT, "
                   "fine bigint REFERENCES t ON DELETE CASCADE, "
                   "also bigint REFERENCES t ON DELETE SET NULL)")
    schema.execute("CREATE TABLE v (p bigint REFERENCES p, p_1 bigint)")
    schema.execute("ALTER TABLE v ADD FOREIGN KEY (p_1) REFERENCES p_1 NOT VALID")
    topic = make_topic()
    signalbus.configure(model("A", schema.table("t"), topic), model("B", schema.table("p"), topic),
                        notify_channel="")
    lines = check()
    assert [re.match(r'warning: model "(.)": table .*because of the foreign key (.+?);', line).groups()
            for line in lines] == [("A", '"Odd line_t_fkey"'), ("A", "u_t_fkey"),
                                   ("B", "v_p_fkey"), ("B", "v_p_1_fkey")]
    for line in lines:
        schema.execute(line.split("; ", 1)[1])
    assert check() == []
    assert schema.value("SELECT pg_get_constraintdef(oid) FROM pg_constraint "
                        "WHERE conname = 'Odd line_t_fkey'").endswith(
        "ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED")


@pytest.mark.parametrize("clause", ["", "ON DELETE CASCADE"])
def test_foreign_keys_between_signals(signalbus, schema, make_topic, check, clause):
    """Signals must not be deleted unsent, with others that were sent."""
    schema.make_signals("t", 1)
    schema.execute(f"CREATE TABLE line (id bigint PRIMARY KEY, t bigint REFERENCES t {clause}, "
                   f"line bigint REFERENCES line {clause})")
    schema.execute("INSERT INTO line VALUES (1, 1, NULL), (2, NULL, 1)")
    topic = make_topic()
    signalbus.configure(model("A", schema.table("t"), topic), model("B", schema.table("line"), topic),
                        notify_channel="")
    lines = check()
    assert [line.split(";", 1)[1].strip().replace(f"{schema}.", "") for line in lines] == [
        "ALTER TABLE line DROP CONSTRAINT line_t_fkey",
        "ALTER TABLE line DROP CONSTRAINT line_line_fkey"]
    if clause:
        for line, key in zip(lines, ("t", "line")):
            assert f"signals of table {schema}.line would be deleted unsent" in line, line
            assert f"with signals of table {schema}.{key}," in line, line
        signalbus("flushmany").expect(78)
        assert schema.count("t") == 1 and schema.count("line") == 2
