"""flushmany: huge backlogs, any number of processes, every kind of table."""

import json
import signal
import time

import pytest

from runner import FLUSHES, every_flush, ids, is_sanitized, model


def test_four_processes_send_each_row_once(signalbus, schema, make_topic, consume):
    count, topic = 20_000, make_topic(partitions=4)
    schema.make_signals("t", count)
    schema.roll_back_signals("t", 100, first=count + 1)
    signalbus.configure(model("A", schema.table("t"), topic, burst_count=100))
    runs = [signalbus.start("flushmany") for _ in range(4)]
    for run in runs:
        run.finish().expect_silence()
    assert sorted(ids(consume(topic, count))) == list(range(1, count + 1))
    assert schema.count("t") == 0


def test_four_connections_send_each_row_once(signalbus, schema, make_topic, consume):
    count, topic = 20_000, make_topic(partitions=4)
    signalbus.configure(model("A", schema.make_signals("t", count), topic, burst_count=100))
    run = signalbus("flushmany", "-j", "4", "-v").expect(0)
    assert run.logged(f"{count} signals have been successfully processed.")
    assert sorted(ids(consume(topic, count))) == list(range(1, count + 1))
    assert schema.count("t") == 0


def test_connections_leave_nothing_of_unevenly_spread_rows(signalbus, schema, make_topic, consume):
    """Each claims a range of its own, by how densely rows have lain so far."""
    count, topic = 12_000, make_topic()
    schema.make_signals("t")
    schema.execute("INSERT INTO t SELECT n, repeat('x', CASE WHEN n %% 4000 < 1500 THEN 10"
                   " WHEN n %% 4000 < 2500 THEN 2000 ELSE 100 END) FROM generate_series(1, %s) n",
                   count)
    schema.execute("DELETE FROM t WHERE id BETWEEN 3000 AND 7000 AND id % 50 <> 0")
    left = [number for number, in schema.execute("SELECT id FROM t ORDER BY id")]
    signalbus.configure(model("A", schema.table("t"), topic, burst_count=200))
    signalbus("flushmany", "-j", "4").expect_silence()
    assert sorted(ids(consume(topic, len(left)))) == left
    assert schema.count("t") == 0


@pytest.mark.parametrize("stops", [True, False], ids=["stops", "goes-on"])
def test_a_table_that_is_locked_during_a_backlog(signalbus, schema, make_topic, count_in_log, stops):
    """The next claim is sent after each commit, and is what waits now."""
    count, topic = 8_000, make_topic()
    signalbus.configure(model("A", schema.make_signals("t", count), topic, burst_count=10))
    run = signalbus.start("flushmany", "-v")
    schema.wait_until(lambda: schema.count("t") < count - 200, 20, "a backlog under way")
    holder = schema.connect()
    holder.cursor().execute("LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
    schema.wait_until(lambda: schema.value(
        "SELECT count(*) FROM pg_locks WHERE relation = %s::regclass AND NOT granted", "t"), 20,
        "a claim that waits")
    start = time.monotonic()
    if stops:
        completed = run.stop(signal.SIGTERM)
        assert time.monotonic() - start < 15, completed
        assert "error" not in completed.stderr, completed
    holder.rollback()
    if not stops:
        run.finish().expect(0)
        assert schema.count("t") == 0
    assert count_in_log(topic) + schema.count("t") == count


@pytest.mark.parametrize("order", [{}, {"order_by": ["id"]}], ids=["any-order", "in-order"])
def test_a_burst_goes_in_few_batches(signalbus, schema, make_topic, topics, order):
    bursts, topic = 40, make_topic()
    table = schema.make_signals("t", bursts * 2000)
    signalbus.configure(model("A", table, topic, burst_count=2000, **order))
    signalbus("flushordered" if order else "flushmany").expect_silence()
    assert topics.count_in_log(topic) == bursts * 2000
    assert topics.count_batches(topic) < (10 if is_sanitized() else 2) * bursts


def test_a_linger_ms_that_is_set_is_kept_to(signalbus, schema, make_topic):
    """Each of five bursts waits for so long; the first one also waits for its topic's leader."""
    signalbus.configure(model("A", schema.make_signals("t", 5), make_topic(), burst_count=1),
                        kafka={"linger_ms": 300})
    assert signalbus("flushmany").expect(0).seconds >= 5 * 0.3


@pytest.mark.early
def test_a_million_rows_in_little_memory(signalbus, schema, make_topic, count_in_log):
    count, topic = 1_000_000, make_topic()
    signalbus.configure(model("A", schema.make_signals("t", count), topic, burst_count=1000))
    run = signalbus.measured("flushmany", timeout=180).expect_silence()
    print(f"{count} rows: {run.seconds:.1f} s, peak {run.peak_kb} kB")
    assert schema.count("t") == 0 and count_in_log(topic) == count
    assert run.peak_kb < 40 * 1024 or is_sanitized()


def test_wide_rows_in_little_memory(signalbus, schema, make_topic, count_in_log):
    """One burst is in memory, whatever the backlog: 30 MB in bursts of 3.75 MB."""
    count, topic = 4000, make_topic()
    schema.make_signals("t")
    schema.execute("ALTER TABLE t ALTER payload SET STORAGE PLAIN")
    schema.execute("INSERT INTO t SELECT n, repeat(chr(32 + n %% 90), 7500) "
                   "FROM generate_series(1, %s) n", count)
    signalbus.configure(model("A", schema.table("t"), topic, burst_count=500))
    run = signalbus.measured("flushmany").expect_silence()
    assert count_in_log(topic) == count
    assert run.peak_kb < 40 * 1024 or is_sanitized()


def test_locked_rows_are_left_to_their_holder(signalbus, schema, make_topic, consume):
    topic = make_topic()
    signalbus.configure(model("A", schema.make_signals("t", 30), topic, burst_count=7))
    holder = schema.connect()
    holder.cursor().execute("SELECT FROM t WHERE id % 3 = 0 FOR UPDATE")
    signalbus("flushmany").expect_silence()
    assert sorted(ids(consume(topic, 20))) == [n for n in range(1, 31) if n % 3]
    holder.rollback()
    signalbus("flushmany").expect_silence()
    assert sorted(ids(consume(topic, 30))) == list(range(1, 31))


def test_rows_that_others_change_are_sent_in_their_last_version(signalbus, schema, make_topic,
                                                                 consume):
    """Changed while two connections share the backlog, whose deletions take their time."""
    count, topic, changer, last = 2000, make_topic(), schema.connect(autocommit=True).cursor(), {}
    schema.make_signals("t", count)
    schema.on_delete("t", "PERFORM pg_sleep(0.02)")
    signalbus.configure(model("A", schema.table("t"), topic, burst_count=50))
    run = signalbus.start("flushmany", "-j", "2")
    while schema.count("t") > 0:
        changer.execute("UPDATE t SET payload = 'new' WHERE id IN (SELECT id FROM t WHERE id >= "
                        "(SELECT min(id) + %s FROM t) AND payload <> 'new' ORDER BY id LIMIT 1 "
                        "FOR UPDATE SKIP LOCKED) RETURNING id, payload", (len(last) % 7 * 20,))
        last.update(changer.fetchall())
    run.finish().expect_silence()
    sent = [json.loads(message.value) for message in consume(topic, count)]
    assert sorted(row["id"] for row in sent) == list(range(1, count + 1))
    assert {row["id"]: row["payload"] for row in sent if row["id"] in last} == last and last


def test_rows_that_are_inserted_meanwhile(signalbus, schema, make_topic, consume):
    """Writers commit and roll back while two processes flush: all that is committed arrives."""
    topic, rounds, per_round = make_topic(), 40, 25
    signalbus.configure(model("A", schema.make_signals("t"), topic, burst_count=10))
    runs = [signalbus.start("flushmany", "-r", "0.01") for _ in range(2)]
    writer = schema.connect()
    for number in range(rounds):
        schema.insert_signals("t", per_round, first=1 + number * per_round, connection=writer)
        writer.commit()
        schema.insert_signals("t", per_round, first=1_000_000, connection=writer)
        writer.rollback()
    schema.wait_until(lambda: schema.count("t") == 0, what="an empty table")
    for run in runs:
        run.stop().expect_silence()
    count = rounds * per_round
    assert sorted(ids(consume(topic, count))) == list(range(1, count + 1))


@every_flush
class TestTables:
    """Every command with every kind of table: each row is sent once and deleted."""

    def drain(self, signalbus, schema, make_topic, consume, flush, table, expected, **settings):
        topic = make_topic()
        signalbus.configure(model("A", table, topic, **{"burst_count": 7, **settings}))
        signalbus(*flush).expect_silence()
        messages = consume(topic, expected)
        assert len(set(message.value for message in messages)) == expected
        assert schema.count(table) == 0

    def test_composite_key(self, signalbus, schema, make_topic, consume, flush):
        schema.execute("""CREATE TABLE t (shop text, day date, number numeric, note text,
            PRIMARY KEY (day, shop, number))""")
        schema.execute("""INSERT INTO t SELECT shop, date '2026-11-01' + day, number, 'same'
            FROM unnest(ARRAY['', 'a', 'a,b', '"q"', E'back\\\\slash', 'NULL', '{x}']) shop,
            generate_series(0, 4) day, unnest(ARRAY[1.0, 1.5, 'NaN', 1e20]) number""")
        self.drain(signalbus, schema, make_topic, consume, flush, schema.table("t"), 140)

    def test_quoted_names(self, signalbus, schema, make_topic, consume, flush):
        schema.execute('CREATE TABLE "Odd ""Näme"".x" ("select" int, "Id ""1" text, '
                       'PRIMARY KEY ("Id ""1"))')
        schema.execute('INSERT INTO "Odd ""Näme"".x" '
                       "SELECT n, n FROM generate_series(1, 20) n")
        self.drain(signalbus, schema, make_topic, consume, flush,
                   f'{schema}."Odd ""Näme"".x"', 20, key='Id "1', order_by=['Id "1'])

    def test_unquoted_names_fold_to_lower_case(self, signalbus, schema, make_topic, consume,
                                               flush):
        schema.make_signals("folded", 20)
        self.drain(signalbus, schema, make_topic, consume, flush,
                   f"{str(schema).upper()}.FOLDED", 20)

    def test_partitioned(self, signalbus, schema, make_topic, consume, flush):
        """Rows of two partitions share their places (ctid); one partition has other columns."""
        schema.execute("""
            CREATE TABLE t (id int, kind text, payload text, PRIMARY KEY (kind, id))
                PARTITION BY LIST (kind);
            CREATE TABLE t_a PARTITION OF t FOR VALUES IN ('a');
            CREATE TABLE t_b (gone int, payload text, id int NOT NULL, kind text NOT NULL);
            ALTER TABLE t_b DROP COLUMN gone;
            ALTER TABLE t ATTACH PARTITION t_b FOR VALUES IN ('b');
            CREATE TABLE t_rest PARTITION OF t DEFAULT PARTITION BY HASH (id);
            CREATE TABLE t_rest_0 PARTITION OF t_rest FOR VALUES WITH (MODULUS 2, REMAINDER 0);
            CREATE TABLE t_rest_1 PARTITION OF t_rest FOR VALUES WITH (MODULUS 2, REMAINDER 1)""")
        schema.execute("INSERT INTO t SELECT n, kind, 'p' FROM generate_series(1, 25) n, "
                       "unnest(ARRAY['a', 'b', 'c', 'd']) kind")
        self.drain(signalbus, schema, make_topic, consume, flush, schema.table("t"), 100)

    @pytest.mark.parametrize("kind, expression", [
        ("uuid", "gen_random_uuid()"),
        ("text COLLATE \"C\"", "chr(n + 1000) || '%'"),
        ("bytea", "decode(lpad(to_hex(n), 6, '0'), 'hex')"),
        ("timestamptz", "timestamptz '2026-11-23 17:00:00.123456+00' + n * interval '1 us'"),
        ("float8", "n / 3.0::float8"),
        ("int4[]", "ARRAY[n, NULL]"),
        ("jsonb", "jsonb_build_object('a', n)"),
        ("char(20)", "'x' || n"),
        ("interval", "n * interval '1 month 1 second'"),
    ])
    def test_key_types(self, signalbus, schema, make_topic, consume, flush, kind, expression):
        schema.execute(f"CREATE TABLE t (id {kind} PRIMARY KEY)")
        schema.execute(f"INSERT INTO t SELECT {expression} FROM generate_series(1, 20) n")
        self.drain(signalbus, schema, make_topic, consume, flush, schema.table("t"), 20)

    def test_table_found_by_search_path(self, signalbus, schema, make_topic, consume, flush):
        schema.make_signals("bare_name", 10)
        signalbus.database += f" options='-c search_path={schema}'"
        self.drain(signalbus, schema, make_topic, consume, flush, "bare_name", 10)

    def test_rows_that_are_locked_and_deleted_by_others(self, signalbus, schema, make_topic,
                                                        consume, flush):
        """Another sender has rows in hand, and deletes them: they are not sent."""
        topic = make_topic()
        signalbus.configure(model("A", schema.make_signals("t", 20), topic, burst_count=7))
        other = schema.connect()
        other.cursor().execute("DELETE FROM t WHERE id <= 10")
        running = signalbus.start(*flush)
        # flushmany passes them by; the others may wait for the lock, so it has to be let go.
        schema.wait_until(lambda: not running.is_alive() or schema.value(
            "SELECT count(*) FROM pg_locks WHERE NOT granted") > 0, what="a wait for the lock")
        other.commit()
        running.finish().expect(0)
        assert sorted(ids(consume(topic, 10))) == list(range(11, 21))
        assert schema.count("t") == 0


def test_the_least_privileges_suffice(signalbus, schema, postgres, make_topic, count_in_log):
    """SELECT, DELETE and UPDATE of one column: FOR UPDATE needs no more."""
    role, topic = f"least_{schema}", make_topic()
    table = schema.make_signals("t", 5)
    schema.execute(f"CREATE ROLE {role} LOGIN")
    schema.execute(f"GRANT USAGE ON SCHEMA {schema} TO {role}")
    schema.execute(f"GRANT SELECT, DELETE, UPDATE (id) ON {table} TO {role}")
    signalbus.database = postgres.conninfo(user=role)
    signalbus.configure(model("A", table, topic, burst_count=5))
    for flush in FLUSHES.values():
        signalbus(*flush).expect_silence()
        schema.insert_signals("t", 5)
    assert count_in_log(topic) == 15
    schema.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")
