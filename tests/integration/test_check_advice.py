"""What check warns of: what works, and does not do what was meant."""

import os
import pty
import re
import struct

import pytest

from inject import injector
from libconfig import render
from runner import model
from servers import Ports, Postgres

NOW = "created_at timestamptz NOT NULL DEFAULT {}"
LATE = "a signal that is committed late is sent out of order"

# The columns of a table, order_by, and of which columns of the order something is said.
ORDERS = {
    "identity": ("id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY", ["id"], {}),
    "serial": ("id bigserial PRIMARY KEY", ["id"], {}),
    "trigger": ("id bigint PRIMARY KEY", ["id"], {"id": "so a trigger or the application sets it"}),
    "domain": ("id random_id PRIMARY KEY", ["id"], {"id": "is random"}),
    "now": ("id bigserial PRIMARY KEY, " + NOW.format("now()"), ["created_at"],
            {"created_at": r"is the time at which its transaction began \(DEFAULT now\(\)\)"}),
    "utc": ("id bigserial PRIMARY KEY, at timestamp NOT NULL DEFAULT timezone('utc', CURRENT_TIMESTAMP)",
            ["at", "id"], {"at": "its transaction began"}),
    "statement": ("id bigserial PRIMARY KEY, " + NOW.format("statement_timestamp()"), ["created_at"],
                  {"created_at": "its statement arrived"}),
    "clock": ("id bigserial PRIMARY KEY, " + NOW.format("clock_timestamp()"), ["created_at"],
              {"created_at": "the time of a clock"}),
    "stamped": ("id bigserial PRIMARY KEY, at timestamptz NOT NULL", ["at"],
                {"at": "has no default, so the application sets it"}),
    "random": ("id uuid DEFAULT gen_random_uuid() PRIMARY KEY", ["id"], {"id": "is random"}),
    "application": ("id bigint PRIMARY KEY", ["id"], {"id": "has no default"}),
    "ties": ("id uuid DEFAULT gen_random_uuid() PRIMARY KEY, n int NOT NULL", ["n"],
             {"n": "has no default", "id": "is random"}),
    "unique": ("id uuid DEFAULT gen_random_uuid() PRIMARY KEY, "
               "n bigint GENERATED ALWAYS AS IDENTITY UNIQUE", ["n"], {}),
    "groups": ("id bigserial PRIMARY KEY, customer int NOT NULL", ["customer", "id"], {}),
    "null": ("id bigserial PRIMARY KEY, customer int", ["customer", "id"], {"customer": "may be NULL"}),
}


def test_orders_that_are_none(signalbus, schema, make_topic, check):
    """The remedy is a column that is there, or one to be made; an index is recommended after that."""
    topic = make_topic()
    schema.execute("CREATE DOMAIN random_id AS uuid DEFAULT gen_random_uuid()")
    for name, (columns, _, _) in ORDERS.items():
        schema.execute(f'CREATE TABLE "{name}" ({columns}, payload text)')
        schema.execute(f"INSERT INTO \"{name}\" ({'n' if name == 'ties' else 'payload'}) SELECT 1 WHERE false")
    schema.execute("CREATE TRIGGER t BEFORE INSERT ON trigger FOR EACH ROW "
                   "EXECUTE FUNCTION suppress_redundant_updates_trigger()")
    signalbus.configure(*[model(name, schema.table(f'"{name}"'), topic, order_by=order_by)
                          for name, (_, order_by, _) in ORDERS.items()], notify_channel="")
    lines = check()
    for name, (_, _, says) in ORDERS.items():
        own = [line for line in lines if f'model "{name}"' in line]
        found = [line for line in own if "no index serves" not in line]
        assert len(found) == len(says), (name, own)
        assert own[:len(found)] == found, own
        for line, (column, text) in zip(found, says.items()):
            assert re.search(f"column {column} of (the order|order_by) .*{text}", line), line
            assert LATE in line or "may be NULL" in line, line
    [line] = [line for line in lines if 'model "now"' in line and LATE in line]
    assert line.endswith('; order_by = ( "id" )')
    [line] = [line for line in lines if 'model "application"' in line and LATE in line]
    schema.execute(line.split("; ")[1])
    assert line.endswith('ALTER TABLE ' + schema.table("application") + ' ADD position bigint GENERATED '
                         'ALWAYS AS IDENTITY UNIQUE; order_by = ( "position" )')
    signalbus.configure(model("application", schema.table("application"), topic, order_by=["position"]),
                        notify_channel="")
    assert check() == []


def test_the_remedy_for_an_order_works(signalbus, schema, make_topic, check):
    """Partitioned and inherited tables have no identity; a partition has the columns of its table."""
    key = "(id uuid DEFAULT gen_random_uuid() PRIMARY KEY, {})"
    schema.execute("CREATE TABLE parts " + key.format("v int") + " PARTITION BY HASH (id)")
    schema.execute("CREATE TABLE part PARTITION OF parts FOR VALUES WITH (MODULUS 1, REMAINDER 0)")
    schema.execute("CREATE TABLE parents " + key.format("v int"))
    schema.execute("CREATE TABLE child (PRIMARY KEY (id)) INHERITS (parents)")
    schema.execute("CREATE TABLE taken " + key.format("position int, position_2 int"))
    topic, expected = make_topic(), [("parts", "position"), ("parents", "position"), ("taken", "position_3")]
    for table in ("part", *(name for name, _ in expected)):
        signalbus.configure(model("A", schema.table(table), topic, order_by=["id"]), notify_channel="")
        [line] = check(about=LATE)
        remedy, order_by = line.split("; ")[1:3]
        if table == "part":
            assert f"ALTER TABLE {schema}.parts ADD" in remedy
            continue
        schema.execute(remedy)
        column = re.fullmatch(r'order_by = \( "(\w+)" \)', order_by)[1]
        assert (table, column) in expected
        signalbus.configure(model("A", schema.table(table), topic, order_by=[column]), notify_channel="")
        assert check(about=LATE) == []


@pytest.mark.parametrize(("sequence", "order", "says"), [
    ("", "id DESC", 'counts up, and with DESC later signals are sent first; order_by = ( "id" )'),
    ("(INCREMENT -1)", "id", 'counts down, so later signals are sent first; order_by = ( "id DESC" )'),
    ("(INCREMENT -1)", "id DESC", None), ("(MAXVALUE 10 CYCLE)", "id", "has CYCLE, "),
])
def test_sequences_against_the_order(signalbus, schema, make_topic, check, sequence, order, says):
    schema.execute(f"CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY {sequence} PRIMARY KEY)")
    signalbus.configure(model("A", schema.table("t"), make_topic(), order_by=[order]), notify_channel="")
    lines = check(about="sequence")
    assert len(lines) == (says is not None) and all(says in line for line in lines), lines


def test_models_that_share_rows(signalbus, schema, make_topic, check):
    schema.make_signals('"T"')
    schema.make_signals("u")
    quoted, plain, topic = schema.table('"T"'), schema.table("u"), make_topic()
    signalbus.database += f" options='-c search_path={schema}'"
    signalbus.configure(
        model("A", quoted, topic), model("B", '"T"', topic, where="id > 5"),
        model("C", plain, topic, where="id > 5"), model("D", "U", topic, where="id > 5"),
        model("E", plain, topic, where="id <= 5"), model("F", schema.table("gone"), topic),
        notify_channel="")
    found = [re.match(r'warning: model "(.)": table \S+: model "(.)" reads the same rows', line).groups()
             for line in check(about="same rows")]
    assert found == [("A", "B"), ("C", "D")]
    signalbus.configure(*[model(f"M{n}", plain, topic) for n in range(6)], notify_channel="")
    lines = check(about="same rows")
    assert len(lines) == 5 and 'model "M1" and 4 more read the same rows' in lines[0], lines


def test_tables_that_are_missing(signalbus, schema, make_topic, check):
    """The nearest one, wherever it is, and where a name was looked for."""
    schema.make_signals("outbox_mails")
    signalbus.database += f" options='-c search_path={schema}'"
    topic = make_topic()
    right = schema.table("outbox_mails")
    signalbus.configure(model("A", "outbox_mail", topic), model("B", f"{schema}.outbox_mial", topic),
                        model("C", "shop.outbox_mails", topic), model("D", "quite_different", topic),
                        notify_channel="")
    texts = [re.sub(r'^model ".": \S+:\d+: ', "", line) for line in check()]
    assert texts == [
        f"table outbox_mail does not exist in the search path ({schema}); did you mean {right}?",
        f"table {schema}.outbox_mial does not exist; did you mean {right}?",
        f"table shop.outbox_mails does not exist; did you mean {right}?",
        f"table quite_different does not exist in the search path ({schema})"]


def test_a_backlog_one_by_one(signalbus, schema, make_topic, check):
    schema.make_signals("t", 1100)
    topic = make_topic()
    signalbus.configure(model("A", schema.table("t"), topic), notify_channel="")
    assert check() == [f'warning: model "A": table {schema}.t: 1100 signals are pending and burst_count '
                       "is 1, so each is a transaction of its own: at 100/s that takes 0:00:11; set "
                       "burst_count = 100"]
    signalbus.configure(model("A", schema.table("t"), topic, burst_count=100), notify_channel="")
    assert check() == []
    signalbus.configure(model("A", schema.table("t"), topic, where="id > 500"), notify_channel="")
    assert check() == []


def test_synchronous_commit_is_off(signalbus, schema, make_topic, check, role):
    schema.execute(f"ALTER ROLE {role} SET synchronous_commit = off")
    signalbus.configure(model("A", schema.make_signals("t"), make_topic()), notify_channel="")
    [line] = check()
    assert line.startswith("warning: database: synchronous_commit is off, ")
    schema.execute(line.split("; ")[1])
    assert check() == []


@pytest.mark.parametrize("settings, says", [
    ("autovacuum_enabled = false", "autovacuum is off"),
    ("autovacuum_vacuum_threshold = 2000000", "autovacuum begins after 2000000 dead rows"),
])
def test_autovacuum(signalbus, schema, make_topic, check, settings, says):
    """The statement of the warning changes it, also of a partition."""
    schema.execute("CREATE TABLE p (id bigint PRIMARY KEY) PARTITION BY RANGE (id)")
    schema.execute("CREATE TABLE p_1 PARTITION OF p DEFAULT")
    schema.execute(f"ALTER TABLE p_1 SET ({settings})")
    signalbus.configure(model("A", schema.table("p"), make_topic()), notify_channel="")
    [line] = check()
    assert line.startswith(f'warning: model "A": table {schema}.p_1: {says}')
    schema.execute(line.split("; ")[1])
    assert check() == []


def test_roles_that_may_too_much(signalbus, schema, make_topic, check, role, postgres):
    """A superuser is one; and whoever owns a table can execute what he likes as who deletes there."""
    table, topic = schema.make_signals("t"), make_topic()
    signalbus.configure(model("A", table, topic), notify_channel="")
    assert check() == []
    schema.execute(f"CREATE TABLE treasure (); ALTER TABLE treasure OWNER TO {role}")
    assert check() == []  # the owner of t is a superuser
    owner, team = f'"{schema} owner"', f'"{schema} team"'
    schema.execute(f"CREATE ROLE {owner}; CREATE ROLE {team}")
    try:
        schema.execute(f"ALTER TABLE t OWNER TO {owner}; GRANT SELECT, DELETE, UPDATE ON t TO {role}")
        [line] = check()
        assert line == (f'warning: model "A": table {table}: its owner {owner} can execute any code as '
                        f"role {role}, by a trigger, and that role owns {schema}.treasure; connect as a "
                        "role that owns nothing else")
        schema.execute(f"ALTER TABLE treasure OWNER TO {team}; GRANT {team} TO {role}")
        assert check() == [line.replace("treasure;", f"treasure, as a member of {team};")]
        schema.execute(f"GRANT {team} TO {owner}")
        assert check() == []  # the owner of t can read it without that
        schema.execute("DROP TABLE treasure")
        schema.execute(f"CREATE TABLE signalbus_paused (); ALTER TABLE signalbus_paused OWNER TO {role}")
        assert check() == []  # the first "signalbus pause" creates it
    finally:
        schema.execute(f"DROP OWNED BY {owner}, {team} CASCADE; DROP ROLE {owner}, {team}")
    schema.execute("DROP TABLE signalbus_paused")
    schema.make_signals("t")
    signalbus.database = postgres.conninfo(user="postgres")
    signalbus.configure(model("A", table, topic), notify_channel="")
    run = signalbus("check").expect(0)
    assert run.stdout == ("warning: database: role postgres is a superuser, so owners of signal tables can "
                          "execute any code, by triggers; connect as a role that may only SELECT, UPDATE "
                          "and DELETE in the signal tables\n")
    # The triggers of t could execute SET ROLE NONE.
    signalbus.database += " options='-c role=bus'"
    signalbus.configure(model("A", table, topic), notify_channel="")
    superuser = ("role postgres (to which SET ROLE NONE returns) is a superuser, so owners of signal tables "
                 "can execute any code")
    assert signalbus("check").expect(0).stdout.startswith(f"warning: database: {superuser}")
    daemon = signalbus.start("run")
    daemon.wait_log("the broker answers")
    daemon.wait_log("database: connected")
    assert daemon.stop().expect(0).stderr.count(superuser) == 1


def test_a_role_that_logs_in_to_be_another_one(signalbus, schema, make_topic, check, role, postgres):
    """Whoever owns the table can use its powers and its tables by SET ROLE NONE; its limits apply."""
    login, owner = f'"{schema} login"', f'"{schema} owner"'
    table = schema.make_signals("t")
    schema.execute(f"CREATE ROLE {owner}; ALTER TABLE t OWNER TO {owner}; "
                   f"CREATE ROLE {login} LOGIN BYPASSRLS CONNECTION LIMIT 2; GRANT {role} TO {login}; "
                   f"ALTER ROLE {login} SET role = {role}; GRANT SELECT, DELETE, UPDATE ON t TO {role}; "
                   f"CREATE TABLE treasure (); ALTER TABLE treasure OWNER TO {login}")
    signalbus.database = postgres.conninfo(user=f"{schema} login")
    signalbus.configure(model("A", table, make_topic()), notify_channel="")
    try:
        limit, power, owns = check()
        assert f"any code as role {login}, by a trigger, and that role owns {schema}.treasure;" in owns
        assert limit.startswith(f"warning: database: role {login} has CONNECTION LIMIT 2, ")
        assert power == (f"warning: database: role {login} (to which SET ROLE NONE returns) has BYPASSRLS, "
                         f"which owners of signal tables can use, by triggers; ALTER ROLE {login} "
                         "NOBYPASSRLS")
        for line in limit, power:
            schema.execute(line.rsplit("; ")[-1])
        schema.execute("DROP TABLE treasure")
        assert check() == []
    finally:
        schema.execute(f"DROP OWNED BY {owner}, {login} CASCADE; DROP ROLE {owner}, {login}")


def test_powers_that_sending_does_not_need(signalbus, schema, make_topic, check, role):
    """Also those of roles that it is a member of, by which there is one line."""
    team, user = f'"{schema} team"', f'"{schema} user"'
    schema.execute(f"CREATE ROLE {team} CREATEROLE; GRANT pg_write_all_data TO {team}; "
                   f"CREATE ROLE {user}; GRANT {team} TO {user}; ALTER ROLE {role} CREATEROLE; "
                   f"GRANT pg_read_server_files, {user}, pg_read_all_stats TO {role}")
    signalbus.configure(model("A", schema.make_signals("t"), make_topic()), notify_channel="")
    because = "database: owners of signal tables can use the privileges of"
    warnings = [
        f"{because} {team}, pg_write_all_data, by triggers, since role {role} is a member of {user}; "
        f"REVOKE {user} FROM {role}",
        f"{because} pg_read_server_files, by triggers, since role {role} is a member of "
        f"pg_read_server_files; REVOKE pg_read_server_files FROM {role}",
        f"database: role {role} has CREATEROLE, which owners of signal tables can use, by triggers; "
        f"ALTER ROLE {role} NOCREATEROLE"]
    try:
        assert check() == [f"warning: {line}" for line in warnings]
        daemon = signalbus.start("run")
        for line in warnings:
            daemon.wait_log(f"warning: {line}\n")
        assert daemon.stop().expect(0).stderr.count("by triggers") == 3
        for line in warnings:
            schema.execute(line.rsplit("; ")[-1])
        assert check() == []
    finally:
        schema.execute(f"DROP ROLE {team}, {user}")


def test_the_daemon_warns_of_a_server_that_is_not_verified(signalbus, schema, make_topic):
    """Once; 2130706433 is 127.0.0.1, and does not look local."""
    signalbus.database += " hostaddr=2130706433 sslmode=prefer"
    signalbus.configure(model("A", schema.make_signals("t"), make_topic()), notify_channel="")
    daemon = signalbus.start("run")
    daemon.wait_log("warning: database: sslmode=prefer does not verify the server, so whoever answers "
                    "for 2130706433 may read signals and passwords; set sslmode=verify-full and "
                    "sslrootcert\n")
    daemon.wait_log("the broker answers")
    assert daemon.stop().expect(0).stderr.count("does not verify") == 1


@pytest.mark.parametrize("database, warned", [
    ("host={} sslmode=require", "sslmode=require"), ("host={}", "sslmode=prefer"),
    ("host=127.0.0.1,{}", "sslmode=prefer"), ("host={} sslmode=verify-full", None),
    ("host={} channel_binding=require", None), ("host=localhost", None), ("host=/nowhere", None),
])
def test_the_network(signalbus, schema, check, database, warned):
    """Nobody is asked who could pose as the server."""
    host = "database.invalid"
    signalbus.database = database.format(host) + f" port={Ports.take()} dbname=x"
    signalbus.bootstrap = f"127.0.0.1:{Ports.take()}"
    signalbus.configure(model("A", "t"), notify_channel="", timeout=0.5)
    lines = check(about="verify the server")
    assert lines == ([f"warning: database: {warned} does not verify the server, so whoever answers for "
                      f"{host} may read signals and passwords; set sslmode=verify-full and sslrootcert"]
                     if warned else [])


def test_properties_of_kafka(signalbus, schema, check):
    signalbus.bootstrap = f"127.0.0.1:{Ports.take()}"
    signalbus.configure(model("A", schema.make_signals("t")), notify_channel="", timeout=0.5, kafka={
        "security_protocol": "ssl", "enable_ssl_certificate_verification": False,
        "ssl_endpoint_identification_algorithm": "none", "queue_buffering_max_kbytes": 500})
    lines = check(about="warning: kafka: ")
    assert [line.split()[2] for line in lines] == [
        "enable_ssl_certificate_verification", "ssl_endpoint_identification_algorithm",
        "queue_buffering_max_kbytes"]
    assert lines[2].endswith("set queue_buffering_max_kbytes = 977")


@pytest.mark.parametrize("properties, says", [
    ({"bootstrap_servers": "127.0.0.1:1,ssl://broker.invalid:2"},
     "plaintext, so others on the network on the way to broker.invalid may read and change signals; "
     "set ssl or sasl_ssl and ssl_ca_location"),
    ({"metadata_broker_list": "[fe80::1]:9092", "security_protocol": "sasl_plaintext"},
     "sasl_plaintext, so others on the network on the way to fe80::1 may read and change signals, and "
     "read passwords; set sasl_ssl and ssl_ca_location"),
    ({"bootstrap_servers": "localhost:1, [::1]:2"}, None),
    ({"bootstrap_servers": "broker.invalid:1", "security_protocol": "SSL"}, None),
])
def test_brokers_across_the_network(signalbus, check, properties, says):
    """The daemon says so as well, when it starts."""
    settings = signalbus.settings(model("A", "t"), notify_channel="", timeout=0.5)
    settings["kafka"] = {"sasl_mechanism": "PLAIN", "sasl_username": "u", "sasl_password": "p", **properties}
    signalbus.write(render(settings))
    expected = [f"warning: kafka: security_protocol is {says}"] if says else []
    assert check(about="security_protocol") == expected
    daemon = signalbus.start("run")
    daemon.wait_log("the broker does not answer")
    said = [line.partition(" ")[2] for line in daemon.stop().stderr.splitlines() if "security_protocol" in line]
    assert said == expected


def test_exit_status_and_numbers(signalbus, schema, make_topic, install):
    """Warnings are 1 only on demand; --config-only asks nobody."""
    signalbus.configure(model("A", schema.make_signals("t"), make_topic()))
    run = signalbus("-v", "check").expect(0)
    assert run.logged("checked 1 model: 0 problems, 1 warning")
    run = signalbus("check", "--deny-warnings").expect(1)
    assert run.findings() and run.stderr == ""
    signalbus.database = f"host=127.0.0.1 port={Ports.take()}"
    signalbus.configure(model("A", "gone"))
    signalbus("check", "--config-only", "--deny-warnings").expect_silence()
    signalbus("check", "--config-only", "Typo").expect(2)
    signalbus.configure(model("A", "gone", burst_count=0))
    signalbus("check", "--config-only").expect(78)


@pytest.mark.parametrize("environment, is_coloured", [
    ({"TERM": "xterm"}, True), ({"TERM": "dumb"}, False), ({"TERM": "xterm", "NO_COLOR": "1"}, False)])
def test_on_a_terminal(signalbus, schema, environment, is_coloured):
    """The numbers are always there, and colours unless they are not wanted."""
    signalbus.database = f"host=127.0.0.1 port={Ports.take()}"
    signalbus.bootstrap = f"127.0.0.1:{Ports.take()}"
    signalbus.configure(model("A", "gone"), timeout=0.2, kafka={"queue_buffering_max_kbytes": 500})
    ours, its = pty.openpty()
    run = signalbus.start(command=["/bin/sh", "-c", 'exec "$0" "$@" >&2', *signalbus.command(["check"])],
                          environment=environment, terminal=its)
    os.close(its)
    shown = b""
    while True:
        try:
            shown += os.read(ours, 4096)
        except OSError:  # the end of a terminal
            break
    os.close(ours)
    run.finish().expect(1)
    lines = shown.decode().splitlines()
    assert lines[-1] == "checked 1 model: 2 problems, 1 warning"
    red, yellow, plain = ("\x1b[31m", "\x1b[33m", "\x1b[0m") if is_coloured else ("", "", "")
    assert lines[0].startswith(f"{yellow}warning: kafka: ") and lines[0].endswith(plain)
    assert lines[1].startswith(f"{red}database: ")


def test_who_holds_back_vacuum(signalbus, schema, check, monkeypatch):
    """A transaction that was prepared an hour ago, by the server's clock; it also holds up signals."""
    own = Postgres(settings={"max_prepared_transactions": 2})
    clock = own.data / "clock"
    clock.write_bytes(struct.pack("q", 0))
    clock.chmod(0o644)
    with monkeypatch.context() as patch:
        patch.setenv("LD_PRELOAD", str(injector("stepped_clock.so")))
        patch.setenv("CLOCK_STEP_FILE", str(clock))
        own.start()
    try:
        own.create_database()
        connection = own.connect()
        cursor = connection.cursor()
        cursor.execute("CREATE TABLE t (id int PRIMARY KEY)")
        for statement in ("BEGIN", "INSERT INTO t VALUES (1)", "PREPARE TRANSACTION 'it''s mine'"):
            cursor.execute(statement)
        signalbus.database = own.conninfo()
        signalbus.configure(model("A", "t"), notify_channel="")
        assert check(about="prepared") == []
        clock.write_bytes(struct.pack("q", 3700))
        line, held_up = check(about="prepared")
        assert held_up.startswith('warning: model "A": table public.t: the prepared transaction '
                                  "'it''s mine', of role postgres, ")
        assert held_up.split("; ")[1] == line.split("; ")[1]
        assert line.startswith("warning: database: the prepared transaction 'it''s mine', of ")
        cursor.execute(line.split("; ")[1].split(" or ")[0])
        assert check(about="prepared") == []
        connection.close()
    finally:
        own.remove()


def test_a_privilege_is_revoked_meanwhile(signalbus, schema, make_topic, role):
    """The daemon's line has the statement that grants it."""
    table = schema.make_signals("t")
    signalbus.configure(model("A", table, make_topic()), notify_channel="", poll_interval=0.1)
    daemon = signalbus.start("run")
    daemon.wait_log("the broker answers")
    schema.execute(f"REVOKE SELECT, DELETE ON t FROM {role}")
    schema.insert_signals("t", 1)
    remedy = f"GRANT SELECT, DELETE ON {table} TO {role}"
    daemon.wait_log(remedy)
    [line] = [line for line in daemon.log().splitlines() if remedy in line]
    assert f'model "A": table {table}: database: permission denied for table t SQLSTATE 42501; user {role} ' \
           "lacks SELECT, DELETE; " in line
    schema.execute(remedy)
    schema.wait_until(lambda: schema.count("t") == 0)
    daemon.stop().expect(0)


def test_a_command_may_not_use_the_schema(signalbus, schema, make_topic, role):
    table = schema.make_signals("t", 1)
    signalbus.configure(model("A", table, make_topic()), notify_channel="")
    schema.execute(f"REVOKE USAGE ON SCHEMA {schema} FROM {role}")
    run = signalbus("flushmany").expect(78)
    remedy = f"GRANT USAGE ON SCHEMA {schema} TO {role}"
    assert run.stderr.endswith(f"SQLSTATE 42501; user {role} may not use it; {remedy}\n")
    schema.execute(remedy)
    signalbus("flushmany").expect_silence()


def test_the_daemon_meets_a_backlog_one_by_one(signalbus, schema, make_topic):
    """One warning for each such model that it sends."""
    topic = make_topic()
    for table in "abc":
        schema.make_signals(table, 10000)
    signalbus.configure(model("A", schema.table("a"), "no.such.topic"),
                        model("B", schema.table("b"), topic, autoflush=False),
                        model("C", schema.table("c"), "no.such.topic", burst_count=2), notify_channel="")
    daemon = signalbus.start("run")
    daemon.wait_log("burst_count is 1, so each is a transaction of its own; set burst_count = 100", 30)
    assert re.findall(r"warning: (.*?) signals are pending and burst_count is 1", daemon.stop().stderr) == \
        ['model "A": 10000']
