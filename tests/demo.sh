#!/bin/bash
# Shows signalbus at work: signals go from the tables of a throw-away PostgreSQL cluster to an
# embedded Kafka broker.  Fails when the messages are not exactly what was committed.  Everything
# lives in one temporary folder and is gone afterwards, also when interrupted.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
signalbus=${SIGNALBUS:-$root/build/signalbus}
topics=(orders.created payments.received)

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
	for tool in psql pg_isready kcat setpriv; do
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
	[ -z "${broker_pid:-}" ] || kill -KILL "$broker_pid" 2>/dev/null || true
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
		models = (
		  { name = "OrderCreated";     table = "order_created";
		    topic = "orders.created";    key = "customer"; burst_count = 100; },
		  { name = "PaymentReceived";  table = "payment_received";
		    topic = "payments.received"; key = "customer"; burst_count = 100; }
		);
	END
	chmod 600 "$folder/signalbus.conf"
	indent <"$folder/signalbus.conf"
}

# What PostgreSQL itself says that the messages are to be: key and value of each committed row.
committed() {
	PGTZ=UTC psql -qXAt shop <<-'END'
		SELECT customer || ' ' || row_to_json(o) FROM order_created o
		UNION ALL SELECT customer || ' ' || row_to_json(p) FROM payment_received p;
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
	received | LC_ALL=C sort >"$folder/received"
	diff -u "$folder/committed" "$folder/received" | indent ||
		die "the messages are not what was committed"
	psql -qXAt shop -c "SELECT count(*) FROM (TABLE order_created) o" >"$folder/left"
	psql -qXAt shop -c "SELECT count(*) FROM (TABLE payment_received) p" >>"$folder/left"
	[ "$(sort -u "$folder/left")" = 0 ] || die "signals that were sent are still in their tables"
}

check_tools
find_postgres
folder=$(mktemp -d "${TMPDIR:-/tmp}/signalbus-demo.XXXXXX")
trap remove_all EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
chmod 755 "$folder" # the user postgres has to get in
unset "${!PG@}"     # no other server is to be met
export PGHOST=$folder/socket PGUSER=postgres KCAT_CONFIG=/dev/null
export SIGNALBUS_CONFIG=$folder/signalbus.conf
PATH=$(dirname "$signalbus"):$PATH

heading "1. A PostgreSQL cluster and an embedded Kafka broker, only for this demonstration"
start_postgres
start_broker
printf '    PostgreSQL: %s\n    Kafka:      %s\n' "$folder/socket" "$broker"

heading "2. Two signal tables: each row is a message that waits to be sent"
show_sql <<'END'
CREATE TABLE order_created (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  customer text NOT NULL, total numeric, ordered_at timestamptz, items jsonb);
CREATE TABLE payment_received (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  customer text NOT NULL, amount numeric);
END

heading "3. An application writes signals in its transactions; one of them is rolled back"
show_sql <<'END'
BEGIN;
INSERT INTO order_created (customer, total, ordered_at, items) VALUES
  ('alice', 19.90, '2026-11-23 18:00+01', '[{"sku": "tea", "count": 2}]'),
  ('bob',    7.00, '2026-11-23 18:05+01', '[{"sku": "cup", "count": 1}]');
COMMIT;

BEGIN;
INSERT INTO order_created (customer, total) VALUES ('mallory', 1000000.00);
ROLLBACK;

BEGIN;
INSERT INTO payment_received (customer, amount) VALUES ('alice', 19.90);
COMMIT;
END
committed | LC_ALL=C sort >"$folder/committed"

heading "4. The configuration"
show_configuration

heading "5. What is pending"
show signalbus pending

heading "6. signalbus sends it, and deletes a row only when the broker has stored its message"
show signalbus -v flushmany

heading "7. What a consumer reads: key and value"
for topic in "${topics[@]}"; do
	show kcat -q -C -e -b "$broker" -t "$topic" -f '%k  %s\n'
done

heading "8. What is pending now"
show signalbus pending

compare
heading "All $(wc -l <"$folder/committed") committed signals were sent once; what was rolled back was not."
