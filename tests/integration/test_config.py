"""Section 3 of the interface: the configuration, and how its mistakes are reported."""

import os
import re
import signal

import pytest

from runner import ids, model

KAFKA = 'kafka = { bootstrap_servers = "localhost:1"; };'
MODELS = 'models = ( { name = "A"; table = "a"; } );'


def problems(run):
    """Every line of standard error as (file, line, message)."""
    found = [re.fullmatch(r"(.+?):(\d+): (.+)", line) for line in run.stderr.splitlines()]
    assert found and all(found), run
    return [(match[1], int(match[2]), match[3]) for match in found]


@pytest.fixture
def refused(signalbus):
    """Runs with a wrong configuration; returns the problems, which must be all of one file."""
    def run(text, *arguments, file=None, name="signalbus.conf"):
        path = signalbus.write(text, name=name)
        completed = signalbus(*(arguments or ["signals"])).expect(78)
        assert completed.stdout == ""
        found = problems(completed)
        assert {os.path.basename(place) for place, _, _ in found} == {(file or path).name}
        return [(line, message) for _, line, message in found]
    return run


def test_every_problem_is_reported_with_its_line(refused):
    found = refused("\n".join([
        'databas = "dbname=x";',                                         # 1
        'kafka = { bootstrap_servers = "localhost:1";',                  # 2
        '  nonsense_property = 1;',                                      # 3
        '  compression_type = "zip"; };',                                # 4
        'timeout = "long";',                                             # 5
        'log_level = "loud";',                                           # 6
        'models = (',                                                    # 7
        '  { name = "A"; table = "a"; brust_count = 5; },',              # 8
        '  { name = "B"; table = "b"; burst_count = 0; },',              # 9
        '  { name = "A"; table = "c"; },',                               # 10
        '  { table = "d"; },',                                           # 11
        '  { name = "E"; },',                                            # 12
        '  { name = "F"; table = "f"; order_by = (); },',                # 13
        '  { name = "G"; table = "g"; order_by = "id"; },',              # 14
        '  { name = "H"; table = "h"; autoflush = "yes"; },',            # 15
        '  { name = 5; table = "i"; }',                                  # 16
        ');']))
    assert sorted({line for line, _ in found}) == [1, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 15, 16]


@pytest.mark.parametrize("wrong, near", [
    ("databse", "database"), ("kafak", "kafka"), ("Timeout", "timeout"), ("default", "defaults"),
    ("poll", "poll_interval"),
])
def test_unknown_setting_names_the_nearest(refused, wrong, near):
    [(line, message)] = refused(f"{KAFKA}\n{MODELS}\n{wrong} = 1;")
    assert line == 3 and wrong in message and f'"{near}"' in message


@pytest.mark.parametrize("wrong, near", [
    ("brust_count", "burst_count"), ("tabel", "table"), ("orderby", "order_by"), ("Key", "key"),
    ("order", "order_by"),
])
def test_unknown_model_setting_names_the_nearest(refused, wrong, near):
    [(line, message)] = refused(
        f'{KAFKA}\nmodels = ( {{ name = "A"; table = "a";\n {wrong} = 1; }} );')
    assert line == 3 and wrong in message and f'"{near}"' in message


@pytest.mark.parametrize("text, line, word", [
    ("", 1, "kafka"),
    ("", 1, "models"),
    (f"{KAFKA}", 1, "models"),
    (f"{MODELS}", 1, "kafka"),
    (f"{KAFKA}\nmodels = ();", 2, "models"),
    (f"{KAFKA}\nmodels = 5;", 2, "models"),
    (f'{KAFKA}\nmodels = {{ name = "A"; table = "a"; }};', 2, "models"),
    (f"{KAFKA}\nmodels = ( 5 );", 2, "group"),
    (f"{MODELS}\nkafka = 5;", 2, "kafka"),
    (f"{KAFKA}\n{MODELS}\ntimeout = 0;", 3, "timeout"),
    (f"{KAFKA}\n{MODELS}\ntimeout = -1.0;", 3, "timeout"),
    (f"{KAFKA}\n{MODELS}\ntimeout = true;", 3, "timeout"),
    (f"{KAFKA}\n{MODELS}\ndatabase = 5;", 3, "database"),
    (f'{KAFKA}\n{MODELS}\ndefaults = {{ name = "B"; }};', 3, "name"),
    (f'{KAFKA}\n{MODELS}\ndefaults = {{ burst_cuont = 1; }};', 3, "burst_count"),
    (f'{KAFKA}\nmodels = ( {{ name = ""; table = "a"; }} );', 2, "name"),
    (f'{KAFKA}\nmodels = ( {{ name = "A"; table = ""; }} );', 2, "table"),
    (f'{KAFKA}\nmodels = ( {{ name = "A"; table = "a"; burst_count = -1; }} );', 2, "burst_count"),
    (f'{KAFKA}\nmodels = ( {{ name = "A"; table = "a"; burst_count = 1.5; }} );', 2,
     "burst_count"),
    (f'{KAFKA}\nmodels = ( {{ name = "A"; table = "a"; burst_count = 99999999999L; }} );', 2,
     "burst_count"),
    (f'{KAFKA}\nmodels = ( {{ name = "A"; table = "a"; order_by = ( 5 ); }} );', 2, "string"),
    (f'{KAFKA}\nmodels = ( {{ name = "A"; table = "a"; topic = ""; }} );', 2, "topic"),
    (f'{KAFKA}\nmodels = ( {{ name = "A"; table = "a"; topic = "x.{{unclosed"; }} );', 2,
     'topic: "{" without its "}"'),
    (f'\ufeff{KAFKA}\nmodels = ( {{ name = "A B"; table = "a"; }} );', 2, "topic (the name)"),
    (f'{KAFKA}\nmodels = ( "x" );', 2, "each element of models must be a group"),
    (f'{KAFKA}\nmodels = ( {{ name = "A"; table = "a" }}', 2, "syntax"),
    (f"{KAFKA}\n{MODELS}\n{MODELS}", 3, "is set twice"),
    ("kafka = { bootstrap_servers = \"b\"; acks = 1; };\n" + MODELS, 1, "acks"),
    ("kafka = { bootstrap_servers = \"b\"; acks = \"0\"; };\n" + MODELS, 1, "acks"),
    ("kafka = { bootstrap_servers = \"b\"; request_required_acks = 1; };\n" + MODELS, 1, "acks"),
    ("kafka = { bootstrap_servers = \"b\"; enable_idempotence = false; };\n" + MODELS, 1,
     "idempotence"),
    ("kafka = { bootstrap_servers = \"b\"; linger_ms = \"soon\"; };\n" + MODELS, 1, "linger"),
    ("kafka = { bootstrap_servers = \"b\"; compression_type = \"zstandard\"; };\n" + MODELS, 1,
     "it must be one of: none, gzip, snappy, lz4, zstd"),
    ("kafka = { bootstrap_servers = \"b\"; message_max_bytes = \"10MB\"; };\n" + MODELS, 1,
     '"10MB" is not a number; it must be 1000 .. 1000000000'),
    ("kafka = { bootstrap.servers = \"b\"; };\n" + MODELS, 1, "bootstrap_servers"),
    ("kafka = { bootstrap_servers = \"b\"; group_id = \"g\"; };\n" + MODELS, 1,
     "kafka.group_id: is for consumers only"),
    ("kafka = { bootstrap_servers = \"b\"; compresion_type = 1; };\n" + MODELS, 1,
     'did you mean "compression_type"?'),
    ("kafka = { bootstrap_servers = \"b\"; linger_ms = ( 1 ); };\n" + MODELS, 1, "linger"),
    ("kafka = { bootstrap_servers = \"b\"; test_mock_num_brokers = 1; };\n" + MODELS, 1,
     "kafka.test_mock_num_brokers: may not be set"),
    ("kafka = { bootstrap_servers = \"b\"; sasl_kerberos_principal = \"a;touch x\"; };\n" + MODELS,
     1, "which a shell would not take as it is"),
    ("kafka = { bootstrap_servers = \"b\"; sasl_kerberos_keytab = \"/k$(touch x)\"; };\n" + MODELS,
     1, "which a shell would not take as it is"),
    ("kafka = { bootstrap_servers = \"b\"; sasl_kerberos_kinit_cmd = \"touch x\"; };\n" + MODELS,
     1, 'set allow_kafka_properties = ( "sasl_kerberos_kinit_cmd" )'),
])
def test_mistakes(refused, text, line, word):
    found = refused(text)
    assert any(at == line and word in message for at, message in found), found


@pytest.mark.parametrize("content", [b"\0\1\2\3" * 1000, b"\xff\xfe junk", b"{" * 20000,
                                     b"a = " + b"(" * 100000])
def test_what_is_no_configuration(refused, content):
    refused(content)


def test_what_is_nested_too_deeply(refused):
    [(line, message)] = refused("\nmodels = " + "(" * 100000 + ")" * 100000 + ";")
    assert (line, message) == (2, "groups and lists are nested too deeply")


def test_empty_file(refused):
    assert [line for line, _ in refused("")] == [1, 1]  # kafka and models are missing


def test_a_gigabyte(signalbus):
    """Nobody reads all of it."""
    path = signalbus.write("", name="huge.conf")
    os.truncate(path, 2 ** 30)
    run = signalbus.bare("-c", path, "signals").expect(78)
    assert run.stderr.startswith(f"{path}:1: ") and "16 MiB" in run.stderr and run.seconds < 10


def test_missing_file(signalbus):
    path = signalbus.folder / "nowhere.conf"
    run = signalbus.bare("-c", path, "signals").expect(78)
    assert run.stderr.startswith(f"{path}:") and "No such file" in run.stderr


def test_folder_instead_of_file(signalbus):
    run = signalbus.bare("-c", signalbus.folder, "signals").expect(78)
    assert run.stderr.startswith(f"{signalbus.folder}:")


def test_include(signalbus):
    signalbus.write('{ name = "Included"; table = "i"; }', name="more.conf")
    signalbus.write(f'{KAFKA}\nmodels = (\n@include "more.conf"\n'
                    ', { name = "A"; table = "a"; } );')
    assert signalbus("signals").expect(0).stdout == "Included\nA\n"


def test_mistake_in_an_included_file_names_that_file(refused, signalbus):
    more = signalbus.write("\n\ntimeout = true;\n", name="more.conf")
    [(line, message)] = refused(f'{KAFKA}\n{MODELS}\n@include "more.conf"\n', file=more)
    assert line == 3 and "timeout" in message


def test_include_loop_and_missing_include(refused):
    assert refused('@include "signalbus.conf"\n')
    assert refused('@include "nowhere.conf"\n')


def test_defaults_apply_if_a_model_sets_none(signalbus, schema, make_topic, topics):
    shared, own = make_topic(), make_topic()
    signalbus.configure(model("A", schema.make_signals("a", 3)),
                        model("B", schema.make_signals("b", 3), own, key="payload"),
                        defaults={"topic": shared, "key": "id", "burst_count": 2})
    signalbus("flushmany").expect_silence()
    assert sorted(message.key for message in topics.consume(shared, 3)) == [b"1", b"2", b"3"]
    assert {message.key for message in topics.consume(own, 3)} == {
        b"signal 1", b"signal 2", b"signal 3"}


def test_topic_is_the_name_if_none_is_set(signalbus, schema, make_topic, consume):
    topic = make_topic()
    signalbus.configure(model(topic, schema.make_signals("t", 1)))
    signalbus("flushmany").expect_silence()
    assert ids(consume(topic, 1)) == [1]


def test_database_from_file_and_environment(signalbus, schema, make_topic, count_in_log):
    topic = make_topic()
    table = schema.make_signals("t", 1)
    conninfo = signalbus.database
    secret = signalbus.write(conninfo + "\n", name="secret")
    signalbus.database = {"file": str(secret)}
    signalbus.configure(model("A", table, topic))
    signalbus("flushmany").expect_silence()
    schema.insert_signals("t", 1)
    signalbus.database = {"env": "SHOP_DATABASE"}
    signalbus.configure(model("A", table, topic))
    signalbus("flushmany", environment={"SHOP_DATABASE": conninfo}).expect_silence()
    assert count_in_log(topic) == 2
    assert "SHOP_DATABASE" in signalbus("flushmany").expect(78).stderr


@pytest.mark.parametrize("delivery", ["at-least-once", "exactly-once"])
def test_delivery_is_at_least_or_exactly_once(signalbus, delivery):
    signalbus.write(f'{KAFKA}\n{MODELS}\ndelivery = "{delivery}";')
    signalbus("signals").expect(0)


def test_missing_secret_file(refused, signalbus):
    nowhere = signalbus.folder / "nowhere"
    [(line, message)] = refused(f'{KAFKA}\n{MODELS}\ndatabase = {{ file = "{nowhere}"; }};')
    assert line == 3 and str(nowhere) in message


def test_database_from_libpq_environment(signalbus, schema, postgres, make_topic, count_in_log):
    topic = make_topic()
    signalbus.database = ""
    signalbus.configure(model("A", schema.make_signals("t", 1), topic))
    signalbus("flushmany", environment={
        "PGHOST": str(postgres.sockets), "PGPORT": str(postgres.port), "PGUSER": "postgres",
        "PGDATABASE": "signalbus"}).expect_silence()
    assert count_in_log(topic) == 1


def test_database_as_uri(signalbus, schema, postgres, make_topic, count_in_log):
    topic = make_topic()
    signalbus.database = f"postgresql://postgres@127.0.0.1:{postgres.port}/signalbus"
    signalbus.configure(model("A", schema.make_signals("t", 1), topic))
    signalbus("flushmany").expect_silence()
    assert count_in_log(topic) == 1


def test_wrong_conninfo(signalbus, schema):
    signalbus.database = "host=localhost nonsense=1"
    signalbus.configure(model("A", "a"))
    run = signalbus("flushmany").expect(78)
    assert "nonsense" in run.stderr and problems(run)[0][1] == 1


def test_wrong_conninfo_beside_other_mistakes(refused):
    found = refused(f'database = "foo=bar";\n{KAFKA}\n{MODELS}\nnonsense = 1;')
    assert sorted(line for line, _ in found) == [1, 4]
    assert any('"foo"' in message for line, message in found if line == 1)


@pytest.mark.parametrize("conninfo", [
    "host=x password=abc ZQXJ", "host=x password='abc'ZQXJ x'", "host=x passwd=a ZQXJ=1",
    "postgresql://u:ZQXJ@[::1/d", "postgresql://u:abc@ZQXJ:1@h/d", "postgres://u:ZQXJ/x@h/d",
    "postgresql://u:abc%ZQXJ@h/d", "postgresql://h/d?password=x&ZQXJ=1", "postgre://u:ZQXJ@h/d"])
def test_the_reason_has_no_part_of_a_password(refused, conninfo):
    [(line, message)] = refused(f'database = "{conninfo}";\n{KAFKA}\n{MODELS}')
    assert line == 1 and re.match("database: the (URI|connection string) is wrong", message)
    assert "ZQXJ" not in message


@pytest.mark.parametrize("value", [65536, "65536", "gzip"])
def test_kafka_properties_pass_through(signalbus, schema, make_topic, count_in_log, value):
    topic = make_topic()
    name = "compression_type" if value == "gzip" else "batch_size"
    kafka = {name: value, "linger_ms": 0.5, "log_connection_close": False, "log_level": 7}
    signalbus.configure(model("A", schema.make_signals("t", 1), topic), kafka=kafka)
    signalbus("flushmany").expect_silence()
    assert count_in_log(topic) == 1


def test_client_id_and_partitioner(signalbus, schema, make_topic, topics):
    """The default partitioner is that of the Java client: murmur2 of the key."""
    topic = make_topic(partitions=7)
    signalbus.configure(model("A", schema.make_signals("t", 50), topic, key="id", burst_count=50))
    signalbus("flushmany").expect_silence()
    for message in topics.consume(topic, 50):
        assert message.partition == (murmur2(message.key) & 0x7fffffff) % 7


def murmur2(data):
    """The hash as Kafka's clients define it (org.apache.kafka.common.utils.Utils.murmur2)."""
    multiplier, mask = 0x5bd1e995, 0xffffffff
    result = (0x9747b28c ^ len(data)) & mask
    whole = len(data) // 4 * 4
    for start in range(0, whole, 4):
        part = int.from_bytes(data[start:start + 4], "little") * multiplier & mask
        part = (part ^ part >> 24) * multiplier & mask
        result = result * multiplier & mask ^ part
    if len(data) > whole:
        result = (result ^ int.from_bytes(data[whole:], "little")) * multiplier & mask
    result = (result ^ result >> 13) * multiplier & mask
    return result ^ result >> 15


def test_password_that_others_may_read_is_a_warning(signalbus, schema):
    signalbus.database += " password=secret"
    text = signalbus.configure(model("A", schema.make_signals("t"))).read_text()
    signalbus("flushmany").expect_silence()
    path = signalbus.write(text, mode=0o644)
    run = signalbus("flushmany").expect(0)
    assert "warning" in run.stderr and str(path) in run.stderr
    assert "secret" not in run.stderr


def test_a_plug_in_is_loaded_only_if_it_is_allowed(signalbus):
    """librdkafka loads it as soon as the property is set, and says when it cannot."""
    kafka = 'kafka = { bootstrap_servers = "localhost:1"; plugin_library_paths = "no-such-plug-in"; };'
    signalbus.write(f"{kafka}\n{MODELS}")
    assert "no-such-plug-in" not in signalbus("signals").expect(78).stderr
    signalbus.write(f'{kafka}\n{MODELS}\nallow_kafka_properties = ( "plugin_library_paths" );')
    assert "no-such-plug-in" in signalbus("signals").expect(78).stderr


def test_a_configuration_that_others_may_write_is_refused(signalbus, schema, make_topic):
    """Also on a reload: the one from before stays in force."""
    path = signalbus.configure(model("A", schema.make_signals("t"), make_topic()))
    daemon = signalbus.start("run")
    daemon.wait_log("connected")
    path.chmod(0o622)
    assert signalbus("flushmany").expect(78).stderr == (
        f"{path}: others may change it (its mode is 0622); run chmod go-w {path}\n")
    daemon.send(signal.SIGHUP)
    daemon.wait_log("invalid configuration; keeping the previous one")
    daemon.stop().expect(0)


def test_files_of_keys_and_secrets_that_others_may_read_are_warnings(signalbus):
    key = signalbus.write("no key\n", name="key.pem", mode=0o644)
    secret = signalbus.write("hidden\n", name="secret", mode=0o604)
    kafka = (f'kafka = {{ bootstrap_servers = "localhost:1"; ssl_key_location = "{key}"; '
             f'sasl_password = {{ file = "{secret}"; }}; }};')
    signalbus.write(f"{kafka}\n{MODELS}")
    log = signalbus("signals").expect(0).stderr
    for path in (key, secret):
        assert f"{path} contains a password or a key and others may read it" in log
        path.chmod(0o600)
    assert signalbus("signals").expect(0).stderr == ""


def test_an_included_file_that_others_may_read_is_a_warning(signalbus):
    part = signalbus.write('sasl_password = "hidden";\n', name="part.conf", mode=0o644)
    kafka = 'kafka = { bootstrap_servers = "localhost:1";\n@include "part.conf"\n};'
    path = signalbus.write(f"{kafka}\n{MODELS}", mode=0o644)
    run = signalbus("signals").expect(0)
    assert f"warning: {part} contains a password" in run.stderr
    assert str(path) not in run.stderr and "hidden" not in run.stderr
    part.chmod(0o640)
    assert signalbus("signals").expect(0).stderr == ""


def test_secrets_are_never_logged(signalbus, schema):
    signalbus.database = {"env": "SHOP_DATABASE"}
    signalbus.configure(model("A", "a"), timeout=1)
    conninfo = "host=127.0.0.1 port=1 dbname=x password=hidden-word"
    run = signalbus("flushmany", "-vv", environment={"SHOP_DATABASE": conninfo}).expect(1)
    assert "hidden-word" not in run.stderr


@pytest.mark.parametrize("command", ["flushmany", "pending", "triggers"])
def test_problems_of_tables_and_columns(signalbus, schema, command):
    """Mistakes that only the catalog shows are reported in the same way, all, with exit status 78."""
    schema.make_signals("good", 1)
    schema.execute("CREATE TABLE no_key (id int)")
    schema.execute("CREATE VIEW looks AS SELECT * FROM good")
    path = signalbus.write("\n".join([
        f'database = "{signalbus.database}"; dead_letter_table = "d";',                  # 1
        f'kafka = {{ bootstrap_servers = "{signalbus.bootstrap}"; }};',                  # 2
        'models = (',                                                                    # 3
        f'  {{ name = "A"; table = "{schema}.nowhere"; }},',                             # 4
        f'  {{ name = "B"; table = "{schema}.no_key"; }},',                              # 5
        f'  {{ name = "C"; table = "{schema}.good"; key = "nothing"; }},',               # 6
        f'  {{ name = "D"; table = "{schema}.good"; order_by = ( "id", "nix DESC" ); }},',  # 7
        f'  {{ name = "E"; table = "{schema}.looks"; }},',                               # 8
        f'  {{ name = "F"; table = "{schema}.good; DROP TABLE good"; }}',                # 9
        ');']))
    run = signalbus(command).expect(78)
    found = [(file, line) for file, line, _ in problems(run)]
    assert sorted(found) == [(str(path), line) for line in (4, 5, 6, 7, 8, 9)]
    for word in ("nowhere", "no_key", "nothing", "nix", "looks"):
        assert word in run.stderr
    assert run.stdout == ""
    assert schema.count("good") == 1


@pytest.mark.parametrize("command", ["pending", "flush", "flushordered"])
def test_missing_table_of_every_command(signalbus, schema, command):
    path = signalbus.configure(model("A", f"{schema}.nowhere"))
    run = signalbus(command).expect(78)
    assert problems(run)[0][0] == str(path)


def test_the_example_is_a_configuration(signalbus):
    example = os.path.join(os.path.dirname(__file__), "..", "..", "signalbus.conf.example")
    run = signalbus.bare("-c", example, "signals").expect(0)
    assert run.stdout != "" and run.stderr == ""
