/*
 * Connecting, address by address.  libpq has no time-out for a list of hosts, or the addresses of a
 * name, in asynchronous mode (connect_timeout applies to PQconnectdb() only), so it would never
 * proceed after a silent one.  Here each address is a separate connection with its share of the
 * time, and with the name that it was found by, so that TLS verification and the password file work
 * as in libpq.
 */
#include "postgres/db_internal.h"

#include "base/address.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/stop.h"
#include "base/suggest.h"
#include "base/text.h"
#include "postgres/host_lookup.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* The maximum length of the reason for each address that failed. */
#define REASON_MAX 300

/* More than libpq has connection parameters. */
#define OPTIONS_MAX 100

#define STATE_LETTERS "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"

/* SQLSTATEs of refused credentials: invalid_password, invalid_authorization_specification. */
static const char *const refusals[] = { "28P01", "28000" };

/* Comma-separated lists with as many items as there are hosts; a single port applies to all. */
struct hosts {
	const char *names, *addresses, *ports;
	double limit; /* seconds for each address; 0: none */
	size_t count;
};

/* The parameters to try, instead of those in the connection string; NULL: as in that string. */
struct target {
	const char *host, *address, *port;
};

/* One attempt to connect, until it has succeeded, or all addresses were tried. */
struct attempt {
	struct db *db;
	const char *conninfo, *password; /* NULL: none apart from the one in conninfo, if any */
	bool is_refused;                 /* the credentials were */
	struct instant deadline;
	double limit;
	size_t hosts_left; /* after the one that is tried */
	struct text failures;
};

/* All parameters that libpq would connect with: from the connection string, the service file, the
 * environment, its defaults.  Only a connection knows them, so one is created that is refused
 * before anything is sent. */
static PQconninfoOption *read_options(const char *conninfo)
{
	const char *const keywords[] = { "dbname", "gssencmode", NULL };
	const char *const values[] = { conninfo, "no mode at all", NULL };
	PGconn *conn = PQconnectStartParams(keywords, values, 1);
	PQconninfoOption *options = PQconninfo(conn);
	PQfinish(conn);
	if (options == NULL)
		abort();
	return options;
}

static const char *option(const PQconninfoOption *options, const char *keyword)
{
	for (; options->keyword != NULL; options++)
		if (strcmp(options->keyword, keyword) == 0 && options->val != NULL &&
			options->val[0] != '\0')
			return options->val;
	return NULL;
}

/* Whether what should be a number is one.  libpq quotes what is not, which may be a part of a
 * password that has a space or a quote. */
static bool check_numbers(const PQconninfoOption *options, struct error *e)
{
	static const char *const numbers[] = { "port", "connect_timeout", "keepalives",
		"keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout" };
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
		const char *value = option(options, numbers[i]);
		if (value != NULL && value[strspn(value, "0123456789+-, ")] != '\0')
			return error_set(e, ERROR_CONFIG,
				"database: %s is not a number (its text is not shown, since it "
				"may be a part of a password)",
				numbers[i]);
	}
	return true;
}

/* libpq skips spaces after "=": the host in "host= password=x" is "password=x". */
static bool check_values(const PQconninfoOption *options, struct error *e)
{
	for (; options->keyword != NULL; options++)
		if (options->val != NULL && strcasestr(options->val, "password=") != NULL &&
			strstr(options->keyword, "password") == NULL)
			return error_set(e, ERROR_CONFIG,
				"database: the value of %s has a password in it (its text is not "
				"shown)",
				options->keyword);
	return true;
}

static bool check_options(const char *conninfo, struct error *e)
{
	PQconninfoOption *options = read_options(conninfo);
	const char *attrs = option(options, "target_session_attrs");
	bool ok = check_numbers(options, e) && check_values(options, e);
	if (ok && attrs != NULL && strcmp(attrs, "prefer-standby") == 0)
		ok = error_set(e, ERROR_CONFIG,
			"database: target_session_attrs=prefer-standby: a standby takes no writes, "
			"and signals are deleted; use read-write, which is the default, or any");
	PQconninfoFree(options);
	return ok;
}

/* libpq looks for the end of a password at the first "@", and for that of a port at the "/". */
static bool check_uri(const char *uri, struct error *e)
{
	const char *start = strstr(uri, "://") + strlen("://");
	const char *at = memchr(start, '@', strcspn(start, "/?"));
	PQconninfoOption *options = PQconninfoParse(uri, NULL);
	const char *port = options != NULL ? option(options, "port") : NULL;
	bool ok = options != NULL && strpbrk(uri, " \t\r\n") == NULL && /* a setting may follow */
		  (at == NULL || memchr(at + 1, '@', strcspn(at + 1, "/?")) == NULL) &&
		  (port == NULL || port[strspn(port, "0123456789, ")] == '\0');
	PQconninfoFree(options);
	return ok || error_set(e, ERROR_CONFIG,
			     "database: the URI is wrong (its text is not shown, since it may "
			     "have a password); write %%40 for @, %%3A for :, %%2F for /, %%25 "
			     "for %% and %%20 for a space, and [ ] around an IPv6 address");
}

/* The keyword that the user may have meant; NULL: none is like it. */
static const char *keyword_like(const PQconninfoOption *keywords, const char *name)
{
	struct nearest n = nearest_to(name);
	for (; keywords != NULL && keywords->keyword != NULL; keywords++)
		nearest_offer(&n, keywords->keyword);
	return n.best;
}

/* The keyword that libpq does not know and quotes, if it looks like one: it may be a part of a
 * password. */
static bool is_keyword(const char *conninfo, const char *reason, char name[static 32])
{
	int end = 0;
	return reason != NULL && strcasestr(conninfo, "passw") == NULL &&
	       strstr(conninfo, "://") == NULL &&
	       sscanf(reason, "invalid connection option \"%31[a-z_]\"%n", name, &end) == 1 &&
	       end > 0;
}

static bool check_list(const char *conninfo, struct error *e)
{
	char *reason = NULL, name[32];
	PQconninfoOption *options = PQconninfoParse(conninfo, &reason),
			 *keywords = PQconndefaults();
	bool ok = options != NULL;
	if (!ok && is_keyword(conninfo, reason, name)) {
		const char *best = keyword_like(keywords, name);
		error_set(e, ERROR_CONFIG, "database: invalid connection option \"%s\"%s%s%s", name,
			best != NULL ? ", did you mean \"" : "", best != NULL ? best : "",
			best != NULL ? "\"?" : "");
	} else if (!ok) {
		error_set(e, ERROR_CONFIG,
			"database: the connection string is wrong (its text is not shown, since "
			"it may have a password); write NAME='VALUE' if a value has spaces or "
			"quotes, "
			"with \\' for ' and \\\\ for \\ in it");
	}
	PQfreemem(reason);
	PQconninfoFree(options);
	PQconninfoFree(keywords);
	return ok;
}

/* libpq takes a string that is neither a list of settings nor a URI for the name of a database, and
 * the server quotes that if there is none (expand_dbname of PQconnectStartParams).  It may be a
 * password. */
bool db_check(const char *conninfo, struct error *e)
{
	bool ok = true;
	if (strncmp(conninfo, "postgres://", strlen("postgres://")) == 0 ||
		strncmp(conninfo, "postgresql://", strlen("postgresql://")) == 0)
		ok = check_uri(conninfo, e);
	else if (strchr(conninfo, '=') != NULL || strstr(conninfo, "://") != NULL)
		ok = check_list(conninfo, e);
	else if (conninfo[0] != '\0')
		ok = error_set(e, ERROR_CONFIG,
			"database: it is neither a list of NAME=VALUE nor a URI (its text is not "
			"shown, since it may have a password); write dbname=NAME for the name of a "
			"database; a URI begins with postgresql://");
	return ok && check_options(conninfo, e);
}

static size_t count_items(const char *list)
{
	size_t count = list != NULL;
	for (const char *p = list; p != NULL && (p = strchr(p, ',')) != NULL; p++)
		count++;
	return count;
}

/* An item of a list, to be freed; NULL if it is empty. */
static char *item_of(const char *list, size_t number)
{
	if (list == NULL)
		return NULL;
	for (; number > 0; number--)
		list = strchr(list, ',') + 1;
	size_t length = strcspn(list, ",");
	return length > 0 ? text_copy_bytes(list, length) : NULL;
}

/* Lists of different lengths, or with gaps, are left to libpq, as a single host. */
static struct hosts find_hosts(const PQconninfoOption *options)
{
	struct hosts h = { option(options, "host"), option(options, "hostaddr"),
		option(options, "port"), 0, 1 };
	const char *limit = option(options, "connect_timeout");
	size_t names = count_items(h.names), addresses = count_items(h.addresses);
	size_t ports = count_items(h.ports);
	h.count = addresses > 0 ? addresses : names > 0 ? names : 1;
	h.limit = limit != NULL ? strtod(limit, NULL) : 0;
	bool fits = (names == 0 || names == h.count) && (ports <= 1 || ports == h.count);
	bool has_gap = false;
	for (size_t i = 0; fits && i < h.count; i++) {
		char *item = item_of(addresses > 0 ? h.addresses : h.names, i);
		has_gap = has_gap || item == NULL;
		free(item);
	}
	return fits && !has_gap ? h : (struct hosts){ NULL, NULL, NULL, h.limit, 1 };
}

/* Whether connections to a host stay on this machine. */
static bool is_local(const char *host)
{
	return host == NULL || host[0] == '/' || host[0] == '@' || address_is_local(host);
}

/* A host that is connected to across the network; to be freed.  NULL: there is none. */
static char *remote_host(const PQconninfoOption *options)
{
	const char *addresses = option(options, "hostaddr");
	const char *hosts = addresses != NULL ? addresses : option(options, "host");
	for (size_t i = 0; i < count_items(hosts); i++) {
		char *host = item_of(hosts, i);
		if (!is_local(host))
			return host;
		free(host);
	}
	return NULL;
}

/* Frees the options. */
static char *exposure(PQconninfoOption *options)
{
	const char *mode = option(options, "sslmode");
	const char *binding = option(options, "channel_binding");
	bool verifies = (mode != NULL && strncmp(mode, "verify-", strlen("verify-")) == 0) ||
			(binding != NULL && strcmp(binding, "require") == 0);
	char *host = verifies ? NULL : remote_host(options);
	char *text =
		host == NULL
			? NULL
			: text_format("database: sslmode=%s does not verify the server, so "
				      "whoever answers for %s may read signals and passwords; set "
				      "sslmode=verify-full and sslrootcert",
				  mode != NULL ? mode : "prefer", host);
	free(host);
	PQconninfoFree(options);
	return text;
}

char *db_exposure(const char *conninfo)
{
	return exposure(read_options(conninfo));
}

char *db_session_exposure(const struct db *db)
{
	return exposure(PQconninfo(db->conn));
}

static PGconn *start(const struct attempt *a, const struct target *t)
{
	const struct db *db = a->db;
	char tcp_user_timeout[32];
	snprintf(tcp_user_timeout, sizeof tcp_user_timeout, "%.0f", db->timeout * 1000);
	/* Parameters before dbname, the connection string, are overridden by it; parameters after
	 * it are not.  A NULL leaves the parameter to libpq. */
	const char *const keywords[] = { "keepalives_idle", "keepalives_interval",
		"keepalives_count", "tcp_user_timeout", "target_session_attrs", "dbname",
		"fallback_application_name", "client_encoding", "host", "hostaddr", "port",
		"password", NULL };
	const char *attrs = getenv("PGTARGETSESSIONATTRS") == NULL ? "read-write" : NULL;
	const char *const values[] = { "10", "5", "3", tcp_user_timeout, attrs, a->conninfo,
		"signalbus", "UTF8", t->host, t->address, t->port, a->password, NULL };
	PGconn *conn = PQconnectStartParams(keywords, values, 1);
	if (conn == NULL)
		abort();
	PQsetErrorVerbosity(conn, PQERRORS_VERBOSE); /* for the SQLSTATE: see plain_failure() */
	return conn;
}

/* Another connection to the server of this one. */
static PGconn *start_like(PGconn *conn)
{
	const char *keywords[OPTIONS_MAX + 1] = { NULL }, *values[OPTIONS_MAX + 1];
	PQconninfoOption *options = PQconninfo(conn);
	size_t count = 0;
	for (const PQconninfoOption *o = options; o->keyword != NULL && count < OPTIONS_MAX; o++)
		if (o->val != NULL) {
			keywords[count] = o->keyword;
			values[count++] = o->val;
		}
	PGconn *other = PQconnectStartParams(keywords, values, 0);
	if (other == NULL)
		abort();
	PQconninfoFree(options);
	return other;
}

/* Whether a line has an SQLSTATE, as in "FATAL:  28P01: password …", and where that begins. */
static const char *find_state(const char *line, const char *end)
{
	for (const char *p = line; p + 10 <= end; p++)
		if (strncmp(p, ":  ", 3) == 0 && strspn(p + 3, STATE_LETTERS) >= 5 &&
			strncmp(p + 8, ": ", 2) == 0)
			return p + 3;
	return NULL;
}

/* libpq has the SQLSTATE of a refused connection in its verbose message only.  Returns the message
 * without that, to be freed. */
static char *plain_failure(const char *message, bool *is_refused)
{
	struct text t = { 0 };
	text_add(&t, "", 0);
	for (const char *line = message; *line != '\0';) {
		const char *end = line + strcspn(line, "\n");
		const char *state = find_state(line, end);
		const char *rest = state != NULL ? state + strlen("28P01: ") : line;
		if (state != NULL)
			text_add(&t, line, (size_t)(state - line));
		for (size_t i = 0; state != NULL && i < 2; i++)
			*is_refused = *is_refused || strncmp(state, refusals[i], 5) == 0;
		end += *end == '\n';
		if (strncmp(line, "LOCATION:  ", strlen("LOCATION:  ")) != 0)
			text_add(&t, rest, (size_t)(end - rest));
		line = end;
	}
	return t.text;
}

/* Record why an address cannot be used. */
static void note_failure(struct attempt *a, const char *message)
{
	char *reason = plain_failure(message, &a->is_refused);
	/* libpq quotes a mode that it does not know, which may be a part of a password. */
	char *value = strstr(reason, " value: \"");
	if (value != NULL)
		value[strlen(" value")] = '\0';
	const char *advice =
		strstr(reason, "\n\t"); /* such as to check whether the server is running */
	size_t length = advice != NULL ? (size_t)(advice - reason) : strlen(reason);
	while (length > 0 && reason[length - 1] == '\n')
		length--;
	char *line = text_copy_bytes(reason, length);
	log_debug("database: %s", line);
	text_addf(&a->failures, "%s", a->failures.length > 0 ? "; " : "");
	text_add_short(&a->failures, line, REASON_MAX);
	free(line);
	free(reason);
}

/* In libpq's words. */
static void note_silence(struct attempt *a, double seconds)
{
	const PGconn *conn = a->db->conn;
	const char *host = PQhost(conn), *address = PQhostaddr(conn);
	bool has_name = strcmp(host, address) != 0 && address[0] != '\0';
	char *reason = text_format("connection to server at \"%s\"%s%s%s, port %s failed: timed "
				   "out after %.1f s waiting for %s",
		host, has_name ? " (" : "", has_name ? address : "", has_name ? ")" : "",
		PQport(conn), seconds,
		PQstatus(conn) == CONNECTION_STARTED ? "the network" : "the server's answer");
	note_failure(a, reason);
	free(reason);
}

/* Continue with a connection until it is established, or has failed.  False also when the time is
 * up or, with or_stop, when the process is asked to stop. */
static bool finish(struct db *db, struct instant deadline, bool or_stop)
{
	PostgresPollingStatusType want = PGRES_POLLING_WRITING;
	while (want != PGRES_POLLING_OK && want != PGRES_POLLING_FAILED) {
		if (!db_wait(db, want == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline,
			    or_stop))
			return false;
		want = PQconnectPoll(db->conn);
	}
	return want == PGRES_POLLING_OK;
}

bool db_answers(const struct db *db, struct instant deadline)
{
	struct db probe = { .conn = start_like(db->conn) };
	bool ok = PQstatus(probe.conn) == CONNECTION_BAD || finish(&probe, deadline, false) ||
		  PQstatus(probe.conn) == CONNECTION_BAD; /* a refusal is an answer */
	PQfinish(probe.conn);
	return ok;
}

/* How many seconds one address has, of this many that are left including it. */
static double share_of(const struct attempt *a, size_t left)
{
	double share = instant_seconds(clock_now(), a->deadline) / (double)(left + a->hosts_left);
	return a->limit > 0 && a->limit < share ? a->limit : share;
}

/* Try one address, of this many that are left including it. */
static bool try_target(struct attempt *a, const struct target *t, size_t left)
{
	struct db *db = a->db;
	double share = share_of(a, left);
	struct instant until = instant_after(clock_now(), share);
	db->conn = start(a, t);
	if (PQstatus(db->conn) != CONNECTION_BAD && finish(db, until, true))
		return true;
	if (PQstatus(db->conn) == CONNECTION_BAD)
		note_failure(a, PQerrorMessage(db->conn));
	else if (!stop_requested())
		note_silence(a, share);
	db_disconnect(db);
	return false;
}

/* Try the addresses of a name, starting with the one whose turn it is. */
static bool try_name(struct attempt *a, const struct target *t)
{
	struct addrinfo *found;
	struct error e;
	if (!host_lookup(t->host, instant_after(clock_now(), share_of(a, 1)), &found, &e)) {
		note_failure(a, e.text);
		return false;
	}
	size_t count = 0;
	bool ok = false;
	for (const struct addrinfo *i = found; i != NULL; i = i->ai_next)
		count++;
	for (size_t tried = 0; !ok && tried < count && !stop_requested(); tried++) {
		char address[NI_MAXHOST];
		const struct addrinfo *i = found;
		for (size_t skip = (a->db->next_address + tried) % count; skip > 0; skip--)
			i = i->ai_next;
		if (getnameinfo(i->ai_addr, i->ai_addrlen, address, sizeof address, NULL, 0,
			    NI_NUMERICHOST) != 0)
			abort();
		ok = try_target(a, &(struct target){ t->host, address, t->port }, count - tried);
		if (ok)
			a->db->next_address = (a->db->next_address + tried) % count;
	}
	freeaddrinfo(found);
	return ok;
}

static bool try_host(struct attempt *a, const struct hosts *h, size_t number)
{
	char *host = item_of(h->names, number), *address = item_of(h->addresses, number);
	char *port = item_of(h->ports, count_items(h->ports) > 1 ? number : 0);
	const struct target t = { host, address, port };
	bool is_name = address == NULL && host != NULL && host[0] != '/' && host[0] != '@';
	bool ok = is_name ? try_name(a, &t) : try_target(a, &t, 1);
	free(host);
	free(address);
	free(port);
	return ok;
}

/* If the hosts share the load, begin with a random one. */
static void choose_first(struct db *db, const PQconninfoOption *options)
{
	const char *order = option(options, "load_balance_hosts");
	if (order == NULL || strcmp(order, "random") != 0)
		return;
	if (getrandom(&db->next_host, sizeof db->next_host, 0) < 0)
		abort();
	db->next_address = db->next_host / 2;
}

static bool open_first(struct attempt *a, struct error *e)
{
	struct db *db = a->db;
	PQconninfoOption *options = read_options(a->conninfo);
	struct hosts h = find_hosts(options);
	choose_first(db, options);
	a->limit = h.limit;
	bool ok = false;
	for (size_t tried = 0; !ok && tried < h.count && !stop_requested(); tried++) {
		size_t number = (db->next_host + tried) % h.count;
		a->hosts_left = h.count - tried - 1;
		ok = try_host(a, &h, number);
		if (ok)
			db->next_host = number;
	}
	PQconninfoFree(options);
	if (!ok) { /* the next attempt begins with another one */
		db->next_host++;
		db->next_address++;
		if (stop_requested())
			error_set(e, ERROR_STOPPED, "asked to stop");
		else
			error_set(e, ERROR_CONNECTION, "database: %s",
				a->failures.length > 0 ? a->failures.text : "no host is given");
	}
	text_free(&a->failures);
	return ok;
}

/* Whether the connection string that was read is well formed. */
static bool check_read(const struct credentials *c, const char *conninfo, struct error *e)
{
	struct place at = credentials_place(c, DB_CONNINFO);
	return db_check(conninfo, e) || error_prefix(e, "%s:%u", at.file, at.line);
}

/* Connect with the credentials as they are now. */
static bool open_now(struct db *db, struct instant *deadline, bool *is_refused, struct error *e)
{
	struct credentials_values v;
	struct instant start = clock_now();
	if (!credentials_read(db->credentials, limit_secret(db->timeout), &v, e))
		return false;
	*deadline = instant_after(*deadline, instant_seconds(start, clock_now()));
	struct attempt a = { .db = db,
		.conninfo = v.values[DB_CONNINFO],
		.password = v.count > DB_PASSWORD ? v.values[DB_PASSWORD] : NULL,
		.deadline = *deadline };
	bool ok = check_read(db->credentials, a.conninfo, e) && open_first(&a, e);
	*is_refused = !ok && a.is_refused;
	if (ok)
		credentials_accepted(db->credentials);
	else if (*is_refused)
		credentials_refused(db->credentials, &v.print, e);
	credentials_values_free(&v);
	return ok;
}

bool db_connect_bare(struct db *db, struct instant *deadline, struct error *e)
{
	bool is_refused = false;
	db_disconnect(db);
	/* What is refused may have been changed just now. */
	if (!open_now(db, deadline, &is_refused, e) &&
		(!is_refused || !open_now(db, deadline, &is_refused, e)))
		return false;
	PQsetErrorVerbosity(db->conn, PQERRORS_DEFAULT);
	PQsetNoticeReceiver(db->conn, db_note_notice, db);
	if (PQsetnonblocking(db->conn, 1) != 0 || !PQenterPipelineMode(db->conn))
		return db_lost(db, e);
	return true;
}
