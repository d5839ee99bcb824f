/*
 * ceiling - how fast the database itself can be emptied: nothing is sent anywhere.
 *
 *   ceiling CONNINFO TABLE METHOD BURST CONNECTIONS
 *
 * Claims, deletes and commits all rows of TABLE, which nobody else touches, in transactions of
 * about BURST rows, and fetches every column of them, as who sends them must.  Prints the rows, the
 * transactions and the seconds from the first claim to the last commit.  METHOD:
 *
 *   range   DELETE … RETURNING of a range of pages, one statement a transaction
 *   limit   DELETE … RETURNING of the next BURST rows after the last one
 *   lock    SELECT … FOR UPDATE of these, then DELETE by their places, then COMMIT
 */
#include <libpq-fe.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define COLUMNS "id, aggregatetype, aggregateid, type, created_at, payload"

struct run {
	const char *conninfo, *table, *method;
	long burst;
	long pages, pages_a_burst; /* of the table; range */
	atomic_long next_page;
};

struct worker {
	struct run *run;
	PGconn *conn;
	pthread_t thread;
	long rows, transactions;
};

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static _Noreturn void die(PGconn *conn)
{
	fprintf(stderr, "ceiling: %s", PQerrorMessage(conn));
	exit(1);
}

static PGresult *check(PGconn *conn, PGresult *result)
{
	ExecStatusType status = PQresultStatus(result);
	if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK)
		die(conn);
	return result;
}

static void execute(PGconn *conn, const char *sql)
{
	PQclear(check(conn, PQexec(conn, sql)));
}

static PGresult *run_prepared(PGconn *conn, const char *name, int count, const char *const *values)
{
	return check(conn, PQexecPrepared(conn, name, count, values, NULL, NULL, 0));
}

/* Prepare a statement in which @ stands for the table. */
static void prepare(struct worker *w, const char *name, const char *sql)
{
	char text[1024];
	size_t length = 0;
	for (; *sql != '\0' && length < sizeof text; sql++)
		if (*sql == '@')
			length += (size_t)snprintf(
				text + length, sizeof text - length, "%s", w->run->table);
		else
			text[length++] = *sql;
	if (length >= sizeof text)
		abort();
	text[length] = '\0';
	PQclear(check(w->conn, PQprepare(w->conn, name, text, 0, NULL)));
}

/* Each worker takes the next pages. */
static void drain_range(struct worker *w)
{
	struct run *run = w->run;
	prepare(w, "range",
		"DELETE FROM @ WHERE ctid >= $1 AND ctid < $2 RETURNING ctid, " COLUMNS);
	for (;;) {
		long page = atomic_fetch_add(&run->next_page, run->pages_a_burst);
		if (page >= run->pages)
			return;
		char first[32], end[32];
		snprintf(first, sizeof first, "(%ld,0)", page);
		snprintf(end, sizeof end, "(%ld,0)", page + run->pages_a_burst);
		PGresult *rows =
			run_prepared(w->conn, "range", 2, (const char *const[]){ first, end });
		w->rows += PQntuples(rows);
		w->transactions++;
		PQclear(rows);
	}
}

static void remember_last(char last[32], const PGresult *rows)
{
	snprintf(last, 32, "%s", PQgetvalue(rows, PQntuples(rows) - 1, 0));
}

static void drain_limit(struct worker *w)
{
	char last[32] = "(0,0)", burst[32];
	snprintf(burst, sizeof burst, "%ld", w->run->burst);
	prepare(w, "limit",
		"DELETE FROM @ WHERE ctid = ANY (ARRAY(SELECT ctid FROM @ WHERE ctid > $1"
		" LIMIT $2::bigint FOR UPDATE SKIP LOCKED)) RETURNING ctid, " COLUMNS);
	for (;;) {
		PGresult *rows =
			run_prepared(w->conn, "limit", 2, (const char *const[]){ last, burst });
		int count = PQntuples(rows);
		if (count > 0)
			remember_last(last, rows);
		w->rows += count;
		w->transactions++;
		PQclear(rows);
		if (count == 0)
			return;
	}
}

static char *places_of(const PGresult *rows)
{
	int count = PQntuples(rows);
	char *array = malloc((size_t)count * 32 + 3);
	char *end = array;
	if (array == NULL)
		abort();
	for (int i = 0; i < count; i++)
		end += snprintf(end, 32, "%c\"%s\"", i == 0 ? '{' : ',', PQgetvalue(rows, i, 0));
	memcpy(end, "}", 2);
	return array;
}

static void drain_lock(struct worker *w)
{
	char last[32] = "(0,0)", burst[32];
	snprintf(burst, sizeof burst, "%ld", w->run->burst);
	prepare(w, "lock",
		"SELECT ctid, " COLUMNS " FROM @ WHERE ctid > $1 LIMIT $2::bigint"
		" FOR UPDATE SKIP LOCKED");
	prepare(w, "delete", "DELETE FROM @ WHERE ctid = ANY ($1::tid[])");
	for (int count = 1; count > 0;) {
		execute(w->conn, "BEGIN");
		PGresult *rows =
			run_prepared(w->conn, "lock", 2, (const char *const[]){ last, burst });
		count = PQntuples(rows);
		if (count > 0) {
			char *places = places_of(rows);
			remember_last(last, rows);
			PQclear(run_prepared(
				w->conn, "delete", 1, (const char *const[]){ places }));
			free(places);
		}
		execute(w->conn, "COMMIT");
		w->rows += count;
		w->transactions++;
		PQclear(rows);
	}
}

static const struct method {
	const char *name;
	void (*drain)(struct worker *w);
} methods[] = {
	{ "range", drain_range },
	{ "limit", drain_limit },
	{ "lock", drain_lock },
};

static void *work(void *arg)
{
	struct worker *w = arg;
	for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
		if (strcmp(methods[i].name, w->run->method) == 0)
			methods[i].drain(w);
	return NULL;
}

static void connect_worker(struct worker *w, struct run *run)
{
	w->run = run;
	w->conn = PQconnectdb(run->conninfo);
	if (PQstatus(w->conn) != CONNECTION_OK)
		die(w->conn);
	execute(w->conn, "SET plan_cache_mode = force_generic_plan");
	execute(w->conn, "SET jit = off");
}

/* How many pages the table has, and how many of them hold a burst, by what ANALYZE has counted. */
static void measure_pages(struct run *run, PGconn *conn)
{
	PGresult *r = check(
		conn, PQexecParams(conn,
			      "SELECT relpages, reltuples FROM pg_class WHERE oid = $1::regclass",
			      1, NULL, &run->table, NULL, NULL, 0));
	run->pages = strtol(PQgetvalue(r, 0, 0), NULL, 10);
	double rows = strtod(PQgetvalue(r, 0, 1), NULL);
	double pages_a_burst = (double)run->burst * (double)run->pages / (rows > 1 ? rows : 1);
	run->pages_a_burst = pages_a_burst < 1 ? 1 : (long)(pages_a_burst + 0.5);
	PQclear(r);
}

static void run_workers(struct worker *workers, long count)
{
	for (long i = 0; i < count; i++)
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
			abort();
	for (long i = 0; i < count; i++)
		pthread_join(workers[i].thread, NULL);
}

int main(int argc, char **argv)
{
	if (argc != 6) {
		fprintf(stderr, "usage: ceiling CONNINFO TABLE METHOD BURST CONNECTIONS\n");
		return 2;
	}
	struct run run = { .conninfo = argv[1], .table = argv[2], .method = argv[3] };
	run.burst = strtol(argv[4], NULL, 10);
	long count = strtol(argv[5], NULL, 10), rows = 0, transactions = 0;
	struct worker *workers = calloc((size_t)count, sizeof *workers);
	if (workers == NULL)
		abort();
	for (long i = 0; i < count; i++)
		connect_worker(&workers[i], &run);
	measure_pages(&run, workers[0].conn);
	double start = now();
	run_workers(workers, count);
	double seconds = now() - start;
	for (long i = 0; i < count; i++) {
		rows += workers[i].rows;
		transactions += workers[i].transactions;
		PQfinish(workers[i].conn);
	}
	free(workers);
	printf("%ld %ld %.6f\n", rows, transactions, seconds);
	return 0;
}
