#include "base/identity.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct parts {
	uint64_t system, oid;
	const char *name;
};

static bool read_number(const char **p, uint64_t *number)
{
	char *end;
	if (**p < '0' || **p > '9')
		return false;
	*number = strtoull(*p, &end, 10);
	*p = end + 1;
	return *end == '/';
}

static bool read_parts(const char *identity, struct parts *parts)
{
	parts->name = identity;
	return read_number(&parts->name, &parts->system) && read_number(&parts->name, &parts->oid);
}

bool identity_differs(const char *a, const char *b)
{
	struct parts x, y;
	if (!read_parts(a, &x) || !read_parts(b, &y))
		return false;
	if (x.system == 0 || y.system == 0)
		return x.oid != y.oid || strcmp(x.name, y.name) != 0;
	return x.oid != y.oid || x.system != y.system;
}

void identity_describe(const char *identity, struct text *t)
{
	struct parts parts;
	if (!read_parts(identity, &parts))
		abort(); /* it differs from another one */
	text_addf(t, "\"%s\" (oid %" PRIu64, parts.name, parts.oid);
	if (parts.system != 0)
		text_addf(t, ", system identifier %" PRIu64, parts.system);
	text_addf(t, ")");
}
