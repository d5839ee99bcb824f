"""burst_bytes: bursts are bounded by bytes too, and rows of any size pass or are rejected alone."""

import resource

import pytest

from runner import every_flush, ids, is_sanitized, model
from schemas import Gate

MB = 1_000_000
LARGE = {"message_max_bytes": 200 * MB, "compression_type": "lz4"}


def make_rows(schema, sizes):
    """A table of texts so long, which compress well, so that the servers have little to do."""
    schema.execute("CREATE TABLE t (id bigint PRIMARY KEY, payload text)")
    for number, size in enumerate(sizes, 1):
        schema.execute("INSERT INTO t VALUES (%s, repeat('x', %s))", number, size)
    return schema.table("t")


def check_memory(run, megabytes):
    print(f"peak {run.peak_kb} kB in {run.seconds:.1f} s")
    assert run.peak_kb < megabytes * 1024 or is_sanitized(), run


@every_flush
def test_a_burst_is_closed_early(signalbus, schema, make_topic, consume, flush):
    """150 MB in bursts of 150 rows at most: 16 MB of them are in memory at a time."""
    topic = make_topic()
    signalbus.configure(model("A", make_rows(schema, [MB] * 150), topic, burst_count=150,
                              order_by=["id"]), kafka=LARGE)
    run = signalbus.measured(*flush).expect_silence()
    assert sorted(ids(consume(topic, 150))) == list(range(1, 151))
    assert schema.count("t") == 0
    check_memory(run, 80)


@every_flush
def test_as_many_rows_as_fit(signalbus, schema, make_topic, consume, flush):
    """No burst is too large; when rows are small again, they are of burst_count again."""
    sizes = [100] * 50 + [10_000] * 100 + [100] * 200
    schema.execute("CREATE TABLE bursts (xid xid8, rows int, bytes int)")
    table, topic = make_rows(schema, sizes), make_topic()
    schema.execute("CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                   "INSERT INTO bursts SELECT pg_current_xact_id(), count(*), sum(length(payload)) FROM old; "
                   "RETURN NULL; END $$")
    schema.execute("CREATE TRIGGER note AFTER DELETE ON t REFERENCING OLD TABLE AS old "
                   "FOR EACH STATEMENT EXECUTE FUNCTION note()")
    schema.execute("ALTER FUNCTION note SET search_path = " + str(schema))
    # 10,000 bytes, a number, a ctid and a tableoid
    signalbus.configure(model("A", table, topic, burst_count=50, burst_bytes=10 * 10_020,
                              order_by=["id"]))
    signalbus(*flush).expect_silence()
    assert ids(consume(topic, len(sizes))) == list(range(1, len(sizes) + 1))
    bursts = [rows for rows, in schema.execute("SELECT rows FROM bursts ORDER BY xid")]
    # If the rest could not be cancelled in time, the burst has the ten that fit.
    assert bursts[0] == 50 and bursts[1] in (6, 10), bursts
    assert max(bursts) == 50 and 50 in bursts[2:], bursts
    assert schema.value("SELECT max(bytes) FROM bursts") <= 100_000


@every_flush
def test_nothing_overtakes_a_row_that_does_not_fit(signalbus, schema, make_topic, consume, flush):
    """Small rows after it would fit, but wait with it."""
    topic = make_topic()
    sizes = [60_000, 60_000, 10, 10, 60_000, 10, 60_000, 60_000, 10]
    signalbus.configure(model("A", make_rows(schema, sizes), topic, burst_count=100,
                              burst_bytes=100_000, order_by=["id"]))
    signalbus(*flush).expect_silence()
    assert ids(consume(topic, len(sizes))) == list(range(1, len(sizes) + 1))


@pytest.mark.parametrize("flush", [("flushmany",), ("flushordered",)], ids=lambda f: f[0])
def test_rows_of_100_megabytes_pass(signalbus, schema, topics, consume, flush):
    topic = topics.make(config={"max.message.bytes": str(200 * MB)})
    sizes = [10, 100 * MB, 10]
    signalbus.configure(model("A", make_rows(schema, sizes), topic, burst_count=1000,
                              order_by=["id"]), kafka=LARGE)
    run = signalbus.measured(*flush).expect_silence()
    messages = consume(topic, len(sizes))
    assert ids(messages) == list(range(1, len(sizes) + 1))
    assert [len(message.value) - size for message, size in zip(messages, sizes)] == [
        len(f'{{"id":{number},"payload":""}}') for number in range(1, len(sizes) + 1)]
    check_memory(run, 450)


@pytest.mark.early
def test_large_rows_are_rejected(signalbus, schema, make_topic, consume):
    """Too large ones, 300 MB in all, of which one is in memory at a time."""
    topic = make_topic()
    signalbus.configure(model("A", make_rows(schema, [10] * 5 + [20 * MB] * 15), topic,
                              burst_count=1000))
    run = signalbus.measured("flushmany", timeout=120)
    assert "(id)=(6) was rejected" in run.expect_failure()
    assert ids(consume(topic, 5)) == [1, 2, 3, 4, 5] and schema.count("t") == 15
    check_memory(run, 200)


@pytest.mark.parametrize("kind", ["any", "ordered"])
def test_a_claim_of_too_much_is_cancelled(signalbus, schema, make_topic, consume, kind):
    """The session continues, and keeps its ordered lock."""
    topic = make_topic()
    order = {"order_by": ["id"]} if kind == "ordered" else {}
    signalbus.configure(model("A", make_rows(schema, [2 * MB] * 30), topic, burst_count=30,
                              burst_bytes=MB, **order), kafka=LARGE)
    schema.execute("CREATE TABLE sessions (pid int)")  # of all deletes
    schema.on_delete("t", f"INSERT INTO {schema}.sessions VALUES (pg_backend_pid())")
    run = signalbus("flushordered" if order else "flushmany", "-vv").expect(0)
    assert ids(consume(topic, 30)) == list(range(1, 31))
    assert schema.value("SELECT count(DISTINCT pid) FROM sessions") == 1
    assert schema.value("SELECT count(*) FROM sessions") == 30
    assert "57014" not in run.stderr and "surplus bytes: cancelling" in run.stderr, run


def test_the_daemon_bounds_its_bursts(signalbus, schema, make_topic, consume):
    topic = make_topic()
    signalbus.configure(model("A", make_rows(schema, [MB] * 100), topic, burst_count=1000),
                        kafka=LARGE)
    gate = Gate(schema, "t")
    daemon = signalbus.start("run")
    gate.wait_for()
    gate.open()
    schema.wait_until(lambda: schema.count("t") == 0, 30, "an empty table")
    peak = next(line for line in open(f"/proc/{daemon.pid}/status") if "VmHWM" in line)
    daemon.stop().expect(0)
    assert sorted(ids(consume(topic, 100))) == list(range(1, 101))
    print(peak)
    assert int(peak.split()[1]) < 150 * 1024 or is_sanitized()


# A value of 20 MB of each kind of type, and the length of its text.
HUGE = {"text": ("repeat('x', 20000000)", 20_000_000),
        "bytea": ("repeat('x', 20000000)::bytea", 20_000_000),
        "jsonb": ("to_jsonb(repeat('x', 20000000))", 20_000_002),
        "text[]": ("ARRAY[repeat('x', 20000000)]", 20_000_004)}


def check_too_large(signalbus, schema, flush, reasons):
    """They become dead letters, and are not in memory more than twice."""
    run = signalbus.measured(*flush).expect(0)
    for number, reason in reasons.items():
        assert (f"(id)=({number}) was rejected: {reason} bytes, and kafka.message_max_bytes is "
                "1000000; it was moved") in run.stderr, run
    check_memory(run, 75)
    assert schema.count("t") == 0 and schema.count("dead") == len(reasons)


def test_rows_that_are_far_too_large_are_not_read(signalbus, schema, make_topic, consume, install):
    """Whoever may insert could exhaust this process's memory; the others are sent."""
    schema.execute("CREATE TABLE t (id bigint PRIMARY KEY, "
                   + ", ".join(f'"{column}" {column}' for column in HUGE) + ")")
    for number, (column, (value, _)) in enumerate(HUGE.items(), 2):
        schema.execute(f'INSERT INTO t (id, "{column}") SELECT {number}, {value}')
    schema.execute("INSERT INTO t VALUES (1), (100)")
    table, topic, dead = schema.table("t"), make_topic(), schema.table("dead")
    signalbus.configure(model("A", table, topic, burst_count=10, on_reject="dead-letter"),
                        dead_letter_table=dead)
    install()
    check_too_large(signalbus, schema, ["flushmany"], {
        number: f"{column}: too large: {size}"
        for number, (column, (_, size)) in enumerate(HUGE.items(), 2)})
    assert sorted(ids(consume(topic, 2))) == [1, 100]


LONG = "array_fill(1e131000::numeric, ARRAY[{}])"  # a kilobyte at most when it is stored


@pytest.mark.parametrize("flush", [("flushmany",), ("flushordered",)], ids=lambda f: f[0])
def test_rows_whose_size_does_not_show_are_not_read(signalbus, schema, make_topic, consume,
                                                    install, flush):
    """Long text of small values, several columns together, and an expression."""
    schema.execute("CREATE TABLE t (id bigint PRIMARY KEY, numbers numeric[], json jsonb, a text, "
                   "b text, times int DEFAULT 1); INSERT INTO t SELECT generate_series(1, 9, 2); "
                   f"INSERT INTO t (id, numbers) VALUES (2, {LONG.format(130)}); "
                   f"INSERT INTO t (id, json) VALUES (4, to_jsonb({LONG.format(130)})); "
                   "INSERT INTO t (id, a, b) SELECT 6, x, x FROM repeat('x', 8500000) AS x; "
                   "INSERT INTO t (id, times) VALUES (8, 17000000)")
    topic = make_topic()
    fields = ["id", "numbers", "json", "a", "b", {"name": "long", "sql": "repeat('x', times)"}]
    signalbus.configure(model("A", schema.table("t"), topic, order_by=["id"], fields=fields,
                              on_reject="dead-letter"), dead_letter_table=schema.table("dead"))
    install()
    check_too_large(signalbus, schema, flush, {
        2: f"numbers: too large: {130 * 131_002 + 1}", 4: f"json: too large: {130 * 131_003}",
        6: "the row: too large: 17000002", 8: "long: too large: 17000000"})
    assert sorted(ids(consume(topic, 5))) == [1, 3, 5, 7, 9]


def test_a_lack_of_memory_is_a_matter_of_the_model(signalbus, schema, make_topic, consume):
    """A row that libpq has no memory for stops neither the process nor another model."""
    schema.execute("CREATE TABLE a (id bigint PRIMARY KEY, numbers numeric[])")
    schema.execute("CREATE TABLE b (id bigint PRIMARY KEY)")
    topic = make_topic()
    signalbus.configure(model("A", schema.table("a"), topic), model("B", schema.table("b"), topic),
                        poll_interval=0.1)
    daemon = signalbus.start("run")
    schema.execute("INSERT INTO b VALUES (1); INSERT INTO a VALUES (2, '{}')")
    schema.wait_until(lambda: schema.count("a") + schema.count("b") == 0, 20, "empty tables")
    used = int(open(f"/proc/{daemon.pid}/statm").read().split()[0]) * resource.getpagesize()
    resource.prlimit(daemon.pid, resource.RLIMIT_AS, (used + 40 * MB, used + 40 * MB))
    schema.execute(f"INSERT INTO a VALUES (3, {LONG.format(500)})")
    daemon.wait_log("was rejected")
    schema.execute("INSERT INTO b VALUES (4); INSERT INTO a VALUES (5, '{}')")
    schema.wait_until(lambda: schema.count("a") == 1 and schema.count("b") == 0, 20, "the others")
    schema.execute("DELETE FROM a")
    schema.execute("INSERT INTO a VALUES (6, '{}')")
    assert sorted(ids(consume(topic, 5))) == [1, 2, 4, 5, 6]
    log = daemon.stop().expect(0).stderr
    assert log.count("error: ") == 1 and (
        f"model \"A\": the message of signal (id)=(3) was rejected: numbers: too large: "
        f"{500 * 131_002 + 1} bytes") in log, log
