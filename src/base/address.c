#include "base/address.h"

#include <stdlib.h>
#include <string.h>

/* The port after the last colon; NULL if there is none. */
static const char *port_of(const char *text)
{
	const char *colon = strrchr(text, ':');
	const char *port = colon != NULL ? colon + 1 : "";
	size_t digits = strspn(port, "0123456789");
	if (digits == 0 || digits > 5 || port[digits] != '\0')
		return NULL;
	long number = strtol(port, NULL, 10);
	return number >= 1 && number <= 65535 ? port : NULL;
}

/* A host is in brackets if and only if it contains colons. */
static bool is_host(const char *host, size_t length)
{
	bool in_brackets = length > 2 && host[0] == '[' && host[length - 1] == ']';
	if (in_brackets)
		return strcspn(host + 1, "[]/ ") >= length - 2;
	return strcspn(host, ":[]/ ") >= length;
}

bool address_parse(struct address *a, const char *text, struct error *e)
{
	const char *port = port_of(text), *host = text;
	size_t length = port != NULL ? (size_t)(port - 1 - text) : 0;
	if (port == NULL || length >= sizeof a->host || !is_host(host, length))
		return error_set(e, ERROR_CONFIG,
			"invalid address \"%s\": it must be HOST:PORT, such as \"127.0.0.1:9464\" "
			"or \"[::1]:9464\"",
			text);
	if (length > 0 && host[0] == '[') {
		host++;
		length -= 2;
	}
	if (length == 1 && host[0] == '*')
		length = 0;
	*a = (struct address){ 0 };
	memcpy(a->host, host, length);
	memcpy(a->port, port, strlen(port));
	return true;
}

bool address_is_local(const char *host)
{
	static const char *const names[] = { "localhost", "::1", "[::1]" };
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		size_t length = strlen(names[i]);
		bool is_name = strncmp(host, names[i], length) == 0;
		if (is_name && (host[length] == '\0' || host[length] == ':'))
			return true;
	}
	return strncmp(host, "127.", 4) == 0 && host[strspn(host, "0123456789.:")] == '\0';
}
