#include "base/error.h"

#include "base/utf8.h"

#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	enum error_policy policy;
	int exit_status; /* 75 and 78 are EX_TEMPFAIL and EX_CONFIG of sysexits.h */
} kinds[ERROR_KINDS] = {
	[ERROR_NONE] = { "none", POLICY_GIVE_UP, 0 },
	[ERROR_CONFIG] = { "configuration", POLICY_GIVE_UP, 78 },
	[ERROR_CONNECTION] = { "connection", POLICY_RECONNECT, 1 },
	[ERROR_POOLED] = { "database", POLICY_GIVE_UP, 1 },
	[ERROR_TEMPORARY] = { "database", POLICY_WAIT, 1 },
	[ERROR_MEMORY] = { "database", POLICY_WAIT, 1 },
	[ERROR_UNCONFIRMED] = { "database", POLICY_WAIT, 1 },
	[ERROR_CONFLICT] = { "conflict", POLICY_RETRY, 1 },
	[ERROR_PLAN] = { "table changed", POLICY_REPREPARE, 1 },
	[ERROR_DATABASE] = { "database", POLICY_GIVE_UP, 1 },
	[ERROR_BROKER] = { "broker", POLICY_WAIT, 1 },
	[ERROR_TOPIC] = { "topic", POLICY_WAIT, 1 },
	[ERROR_REJECTED] = { "rejected", POLICY_GIVE_UP, 1 },
	[ERROR_BUSY] = { "stands by", POLICY_GIVE_UP, 75 },
	[ERROR_LOCKED] = { "locked", POLICY_GIVE_UP, 75 },
	[ERROR_INSTANCE] = { "configuration", POLICY_GIVE_UP, 1 },
	[ERROR_STOPPED] = { "stopped", POLICY_GIVE_UP, 0 },
};

bool error_vset(struct error *e, enum error_kind kind, const char *format, va_list args)
{
	e->kind = kind;
	e->sqlstate[0] = '\0';
	if (vsnprintf(e->text, sizeof e->text, format, args) >= (int)sizeof e->text)
		utf8_mark_cut(e->text, sizeof e->text);
	/* One error is one line; texts of libraries often contain line feeds. */
	size_t length = strlen(e->text);
	while (length > 0 && e->text[length - 1] == '\n')
		e->text[--length] = '\0';
	for (char *p = e->text; (p = strpbrk(p, "\r\n\t")) != NULL;)
		*p = ' ';
	return false;
}

bool error_set(struct error *e, enum error_kind kind, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	error_vset(e, kind, format, args);
	va_end(args);
	return false;
}

bool error_prefix(struct error *e, const char *format, ...)
{
	char prefix[256];
	va_list args;
	va_start(args, format);
	if (vsnprintf(prefix, sizeof prefix, format, args) >= (int)sizeof prefix)
		utf8_mark_cut(prefix, sizeof prefix);
	va_end(args);
	const struct error old = *e;
	error_set(e, old.kind, "%s: %s", prefix, old.text);
	memcpy(e->sqlstate, old.sqlstate, sizeof e->sqlstate);
	return false;
}

bool error_suffix(struct error *e, const char *text)
{
	const struct error old = *e;
	error_set(e, old.kind, "%s%s", old.text, text);
	memcpy(e->sqlstate, old.sqlstate, sizeof e->sqlstate);
	return false;
}

const char *error_kind_name(enum error_kind kind)
{
	return kinds[kind].name;
}

enum error_policy error_policy(enum error_kind kind)
{
	return kinds[kind].policy;
}

int error_exit_status(enum error_kind kind)
{
	return kinds[kind].exit_status;
}
