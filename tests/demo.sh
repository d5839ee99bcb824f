#!/bin/bash
# Shows signalbus at work: its daemon sends signals from the tables of a throw-away PostgreSQL
# cluster to an embedded Kafka broker as soon as they are committed.  Fails when the messages are
# not exactly what was committed.  Everything lives in one temporary folder and is gone afterwards,
# also when interrupted.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
signalbus=${SIGNALBUS:-$root/build/signalbus}
topics=(orders.created payments.received)
backlog=10000

die() {
	printf 'demo: %s\n' "$*" >&2
	exit 1
}

heading() {
	if [ -t 1 ]; then
		printf '\n\033[1m%s\033[0m\n\n' "$*"
	else
		printf '\n%s\n\n' "$*"
	fi
}

indent() {
	sed 's/^/    /'
}

# Prints a command as one would type it, then runs it; its log comes with its output.
show() {
	local words=() word
	for word; do
		case $word in
		*[[:space:]%]* | '') words+=("'$word'") ;;
		*) words+=("$word") ;;
		esac
	done
	printf '    $ %s\n' "${words[*]}"
	"$@" 2>&1 | indent
}

# Repeats a command until it succeeds, for 30 seconds at most.
await() {
	local what=$1 tries=0
	shift
	until "$@"; do
		[ $((tries += 1)) -lt 300 ] || die "$what: waited in vain"
		sleep 0.1
	done
}

find_postgres() {
	local candidate
	for candidate in /usr/lib/postgresql/*/bin "$(pg_config --bindir 2>/dev/null)" \
		"$(dirname "$(command -v postgres)" 2>/dev/null)"; do
		if [ -x "$candidate/initdb" ] && [ -x "$candidate/postgres" ]; then
			postgres_bin=$candidate
		fi
	done
	[ -n "${postgres_bin:-}" ] || die "initdb not found: install postgresql (tests/install-deps demo)"
}

check_tools() {
	local tool
	for tool in psql pg_isready kcat setpriv mkfifo; do
		command -v "$tool" >/dev/null || die "$tool not found (tests/install-deps demo)"
	done
	[ -x "$signalbus" ] || die "$signalbus not found: run make first"
}

# PostgreSQL refuses to run as root, so there it runs as its own user.  It ends with this script
# whatever happens to it, and listens only on a socket in the folder: no port is needed.
start_postgres() {
	local as_user=()
	mkdir "$folder/data" "$folder/socket"
	if [ "$(id -u)" -eq 0 ]; then
		as_user=(--reuid=postgres --regid=postgres --init-groups)
		chown postgres: "$folder/data" "$folder/socket"
	fi
	setpriv --pdeathsig TERM "${as_user[@]}" "$postgres_bin/initdb" -D "$folder/data" \
		-U postgres --auth=trust --encoding=UTF8 --locale=C >"$folder/initdb.log" 2>&1 ||
		{ cat "$folder/initdb.log" >&2; die "initdb failed"; }
	setpriv --pdeathsig QUIT "${as_user[@]}" "$postgres_bin/postgres" -D "$folder/data" \
		-c listen_addresses= -c "unix_socket_directories=$folder/socket" \
		</dev/null >"$folder/postgres.log" 2>&1 &
	postgres_pid=$!
	await "PostgreSQL" pg_isready -q
	psql -qXc 'CREATE DATABASE shop' postgres
}

broker_is_up() {
	broker=$(sed -n 's/.*Mock cluster enabled:.* replaced with \([0-9.:]*\).*/\1/p' \
		"$folder/broker.log")
	[ -n "$broker" ]
}

# librdkafka brings a small broker of its own for tests.  It lives as long as the client that made
# it, here a producer whose input stays open until this script ends.
start_broker() {
	coproc {
		exec kcat -P -b embedded -t keep-alive -X test.mock.num.brokers=1 2>"$folder/broker.log"
	}
	broker_pid=$COPROC_PID
	await "the embedded broker" broker_is_up
}

# shellcheck disable=SC2317  # called by trap
remove_all() {
	local status=$?
	trap - EXIT
	trap '' INT TERM HUP
	case $status in
	0) ;;
	130 | 143) printf 'demo: interrupted\n' >&2 ;;
	*) printf 'demo: failed\n' >&2 ;;
	esac
	local pid
	for pid in "${consumer_pids[@]}" ${daemon_pid:-} ${client_pid:-} ${broker_pid:-}; do
		kill -KILL "$pid" 2>/dev/null || true
	done
	[ -z "${postgres_pid:-}" ] || kill -QUIT "$postgres_pid" 2>/dev/null || true
	wait 2>/dev/null || true
	rm -rf "$folder"
	exit "$status"
}

# Shows some SQL and executes it.
show_sql() {
	local sql
	sql=$(cat)
	indent <<<"$sql"
	psql -qX -v ON_ERROR_STOP=1 shop <<<"$sql"
}

show_configuration() {
	cat >"$folder/signalbus.conf" <<-END
		database = "host=$folder/socket user=postgres dbname=shop";
		kafka = { bootstrap_servers = "$broker"; };
		poll_interval = 60.0;   # seconds: what follows is quick because of the triggers
		models = (
		  { name = "OrderCreated";     table = "order_created";
		    topic = "orders.created";    key = "customer"; burst_count = 500; },
		  { name = "PaymentReceived";  table = "payment_received";
		    topic = "payments.received"; key = "customer"; burst_count = 500; }
		);
	END
	chmod 600 "$folder/signalbus.conf"
	indent <"$folder/signalbus.conf"
}

log_has() {
	kill -0 "$daemon_pid" 2>/dev/null || die "the daemon has ended: $(cat "$folder/daemon.log")"
	grep -q "$1" "$folder/daemon.log"
}

start_daemon() {
	printf '    $ signalbus run &\n'
	setpriv --pdeathsig KILL "$signalbus" run 2>"$folder/daemon.log" &
	daemon_pid=$!
	await "the database" log_has 'database: connected'
	await "the broker" log_has 'kafka: the broker answers'
	indent <"$folder/daemon.log"
}

# What the daemon still logs is shown with the exit status, which has to be 0.
stop_daemon() {
	local logged status=0
	logged=$(wc -l <"$folder/daemon.log")
	printf '    $ kill -TERM %%1; wait %%1; echo $?\n'
	kill -TERM "$daemon_pid"
	wait "$daemon_pid" || status=$?
	daemon_pid=
	tail -n "+$((logged + 1))" "$folder/daemon.log" | indent
	printf '    %s\n' "$status"
	[ "$status" -eq 0 ] || die "the daemon ended with status $status"
}

# Prints messages as they come, with the time since their COMMIT; keys are in the file of commits.
print_messages() {
	local topic=$1 key value now begin
	while read -r key value; do
		now=${EPOCHREALTIME//[!0-9]/}
		begin=$(sed -n "s/^$key //p" "$folder/commits")
		printf '    + %3d ms  %s  %s  %s\n' "$(((now - begin + 500) / 1000))" "$topic" "$key" "$value"
		printf '%s\n' "$key" >>"$folder/seen"
	done
}

# The embedded broker answers a consumer only when its wait is over, so that has to be short.
start_consumers() {
	local topic
	: >"$folder/seen"
	for topic in "${topics[@]}"; do
		setpriv --pdeathsig KILL kcat -q -u -C -b "$broker" -t "$topic" -f '%k %s\n' \
			-X fetch.wait.max.ms=5 2>/dev/null > >(print_messages "$topic") &
		consumer_pids+=($!)
	done
}

stop_consumers() {
	kill "${consumer_pids[@]}"
	wait "${consumer_pids[@]}" 2>/dev/null || true
	consumer_pids=()
}

start_client() {
	mkfifo "$folder/client"
	setpriv --pdeathsig KILL psql -qX -v ON_ERROR_STOP=1 shop <"$folder/client" &
	client_pid=$!
	exec {client}>"$folder/client"
}

# One transaction of the application: its own row, and the signals that announce it.
transact() {
	local customer=$1 total=$2 end=$3
	printf '    %s of %s, %s\n' "$end" "$customer" "$total"
	cat >&"$client" <<-END
		BEGIN;
		INSERT INTO customer_order (customer, total) VALUES ('$customer', $total);
		INSERT INTO order_created SELECT * FROM customer_order WHERE customer = '$customer';
		INSERT INTO payment_received SELECT id, customer, total FROM customer_order
		  WHERE customer = '$customer' AND total > 10;
	END
	printf '%s %s\n' "$customer" "${EPOCHREALTIME//[!0-9]/}" >>"$folder/commits"
	printf '%s;\n' "$end" >&"$client"
}

seen() {
	[ "$(wc -l <"$folder/seen")" -ge "$1" ]
}

# The expected messages, key and value, which PostgreSQL derives from the application's table.
committed() {
	PGTZ=UTC psql -qXAt shop <<-'END'
		SELECT customer || ' ' || row_to_json(o) FROM customer_order o
		UNION ALL SELECT customer || ' ' || row_to_json(p)
		  FROM (SELECT id AS order_id, customer, total AS amount FROM customer_order
		         WHERE total > 10) p;
	END
}

received() {
	local topic
	for topic in "${topics[@]}"; do
		timeout 30 kcat -q -C -e -b "$broker" -t "$topic" -f '%k %s\n'
	done
}

# Compares messages with what was committed: nothing lost, nothing sent twice, no ghost.
compare() {
	committed | LC_ALL=C sort >"$folder/committed"
	received | LC_ALL=C sort >"$folder/received"
	diff -u "$folder/committed" "$folder/received" >"$folder/difference" || {
		head -n 20 "$folder/difference" >&2
		die "the messages are not what was committed"
	}
	[ -s "$folder/committed" ] || die "nothing was committed"
	printf '    %s messages, exactly what was committed, each once.\n' "$(wc -l <"$folder/received")"
}

# Shows what is pending, which has to be this many.
show_pending() {
	show signalbus pending | tee "$folder/pending"
	grep -qx " *Total pending: $1" "$folder/pending" || die "pending should say $1"
}

consumer_pids=()
check_tools
find_postgres
folder=$(mktemp -d "${TMPDIR:-/tmp}/signalbus-demo.XXXXXX")
trap remove_all EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
chmod 755 "$folder" # the user postgres has to get in
unset "${!PG@}"     # no other server is to be met
unset NOTIFY_SOCKET JOURNAL_STREAM
export PGHOST=$folder/socket PGUSER=postgres KCAT_CONFIG=/dev/null
export SIGNALBUS_CONFIG=$folder/signalbus.conf
PATH=$(dirname "$signalbus"):$PATH

heading "1. A PostgreSQL cluster and an embedded Kafka broker, only for this demonstration"
start_postgres
start_broker
printf '    PostgreSQL: %s\n    Kafka:      %s\n' "$folder/socket" "$broker"

heading "2. A table of the application, and two signal tables: each row waits to be sent"
show_sql <<'END'
CREATE TABLE customer_order (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  customer text NOT NULL, total numeric, ordered_at timestamptz DEFAULT now());
CREATE TABLE order_created (
  id bigint PRIMARY KEY, customer text NOT NULL, total numeric, ordered_at timestamptz);
CREATE TABLE payment_received (
  order_id bigint PRIMARY KEY, customer text NOT NULL, amount numeric);
END

heading "3. The configuration"
show_configuration

heading "4. Triggers wake the daemon at commit"
show signalbus triggers
printf '    $ signalbus triggers | psql shop\n'
signalbus triggers | psql -qX -v ON_ERROR_STOP=1 shop

heading "5. The daemon"
start_daemon

heading "6. The application commits and rolls back; a consumer shows the time since each COMMIT"
start_consumers
start_client
printf "    (the first one also opens the topic)\n"
transact first 1.00 COMMIT
await "the first message" seen 1
transact alice 19.90 COMMIT
await "alice's messages" seen 3
transact bob 7.00 COMMIT
await "bob's message" seen 4
transact mallory 1000000.00 ROLLBACK
transact carol 42.00 COMMIT
await "carol's messages" seen 6
transact mallory 2000000.00 ROLLBACK
transact dave 9.99 COMMIT
await "dave's message" seen 7
exec {client}>&-
wait "$client_pid" || die "the client failed"
client_pid=
stop_consumers

heading "7. A clean stop: bursts in flight are settled, and the exit status is 0"
stop_daemon
show_pending 0
compare

heading "8. While the daemon is stopped, the application continues"
show_sql <<END
BEGIN;
INSERT INTO customer_order (customer, total) SELECT 'erin', 5 FROM generate_series(1, $backlog);
INSERT INTO order_created SELECT * FROM customer_order WHERE customer = 'erin';
COMMIT;
END
show_pending "$backlog"

heading "9. Flush the backlog by hand; the daemon would send it as well"
show signalbus -v flushmany -j 2
show_pending 0
compare

heading "All committed signals were sent once; rolled-back signals were not sent."
