#include "base/suggest.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#define NAME_MAX_LENGTH 64
#define BEGINNING_MIN   3

static size_t least(size_t a, size_t b, size_t c)
{
	size_t ab = a < b ? a : b;
	return ab < c ? ab : c;
}

/* Levenshtein distance, ignoring case, one row at a time. */
static size_t distance(const char *a, const char *b)
{
	size_t row[NAME_MAX_LENGTH + 1];
	size_t columns = strlen(b);
	for (size_t j = 0; j <= columns; j++)
		row[j] = j;
	for (size_t i = 1; a[i - 1] != '\0'; i++) {
		size_t diagonal = row[0];
		row[0] = i;
		for (size_t j = 1; j <= columns; j++) {
			size_t change = diagonal + (tolower((unsigned char)a[i - 1]) !=
							   tolower((unsigned char)b[j - 1]));
			diagonal = row[j];
			row[j] = least(change, row[j] + 1, row[j - 1] + 1);
		}
	}
	return row[columns];
}

/* Whether whole begins with start, and start is long enough to be meaningful. */
static bool is_beginning(const char *start, const char *whole)
{
	size_t i = 0;
	while (start[i] != '\0' &&
		tolower((unsigned char)start[i]) == tolower((unsigned char)whole[i]))
		i++;
	return start[i] == '\0' && i >= BEGINNING_MIN;
}

/* Up to a third of the letters, but at least one, may be wrong. */
static size_t limit(const char *wanted)
{
	return strlen(wanted) / 3 + 1;
}

/* A name that was cut short counts as one mistake, however much is missing.  A name that is longer
 * than the candidate has the greatest distance allowed, so that other near names win. */
static size_t mistakes(const char *wanted, const char *candidate)
{
	size_t d = distance(wanted, candidate);
	if (d > 1 && is_beginning(wanted, candidate))
		return 1;
	return d > limit(wanted) && is_beginning(candidate, wanted) ? limit(wanted) : d;
}

struct nearest nearest_to(const char *wanted)
{
	return (struct nearest){ .wanted = wanted, .distance = limit(wanted) + 1 };
}

void nearest_offer(struct nearest *n, const char *candidate)
{
	if (strlen(n->wanted) > NAME_MAX_LENGTH || strlen(candidate) > NAME_MAX_LENGTH)
		return;
	size_t d = mistakes(n->wanted, candidate);
	if (d < n->distance) {
		n->distance = d;
		n->best = candidate;
	}
}
