/*
 * addresses - a host name that has several addresses, in an order that is known: "many.test" has
 * those that ADDRESSES lists, separated by commas.  To be preloaded.
 */
#include <dlfcn.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

typedef int resolve(const char *host, const char *service, const struct addrinfo *hints,
	struct addrinfo **result);

int getaddrinfo(const char *restrict host, const char *restrict service,
	const struct addrinfo *restrict hints, struct addrinfo **restrict result)
{
	resolve *real = (resolve *)dlsym(RTLD_NEXT, "getaddrinfo");
	const char *list = getenv("ADDRESSES");
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
