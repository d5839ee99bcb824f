/*
 * addresses - a host name that has several addresses, in an order that is known: "many.test" has
 * those that ADDRESSES lists, separated by commas.  Nobody answers who is asked for "stuck.test".
 * And PGLOADBALANCEHOSTS, for a libpq before 16, which does not know it.  To be preloaded.
 */
#include <dlfcn.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef int resolve(const char *host, const char *service, const struct addrinfo *hints,
	struct addrinfo **result);

int getaddrinfo(const char *restrict host, const char *restrict service,
	const struct addrinfo *restrict hints, struct addrinfo **restrict result)
{
	resolve *real = (resolve *)dlsym(RTLD_NEXT, "getaddrinfo");
	const char *list = getenv("ADDRESSES");
	while (host != NULL && strcmp(host, "stuck.test") == 0)
		pause();
	if (host == NULL || list == NULL || strcmp(host, "many.test") != 0)
		return real(host, service, hints, result);
	char copy[256] = "", *state;
	struct addrinfo **next = result;
	strncpy(copy, list, sizeof copy - 1);
	for (char *one = strtok_r(copy, ",", &state); one != NULL;
		one = strtok_r(NULL, ",", &state)) {
		int failure = real(one, service, hints, next);
		if (failure != 0)
			return failure;
		while (*next != NULL)
			next = &(*next)->ai_next;
	}
	return 0;
}

/* As libpq-fe.h has it. */
struct option {
	char *keyword, *variable, *compiled, *value, *label, *display;
	int size;
};

struct option *PQconninfo(void *connection);
struct option *PQconninfo(void *connection)
{
	struct option *(*real)(void *) =
		(struct option * (*)(void *)) dlsym(RTLD_NEXT, "PQconninfo");
	struct option *options = real(connection);
	const char *order = getenv("PGLOADBALANCEHOSTS");
	size_t count = 0;
	if (order == NULL)
		return options;
	while (options[count].keyword != NULL)
		count++;
	options = realloc(options, (count + 2) * sizeof *options);
	if (options == NULL)
		abort();
	options[count + 1] = options[count];
	options[count] = (struct option){ .keyword = "load_balance_hosts", .value = strdup(order) };
	return options;
}
