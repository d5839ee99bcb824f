#include "base/outage.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>

#define PAUSE_S     10.0
#define PAUSE_MAX_S 600.0

bool outage_same(const char *a, const char *b)
{
	for (;;) {
		while (isdigit((unsigned char)*a))
			a++;
		while (isdigit((unsigned char)*b))
			b++;
		if (*a != *b)
			return false;
		if (*a++ == '\0')
			return true;
		b++;
	}
}

bool outage_lasts(const struct outage *o)
{
	return o->since.ns != 0;
}

bool outage_note(struct outage *o, const char *reason, struct instant now)
{
	bool is_first = !outage_lasts(o);
	char shown[sizeof o->reason]; /* as much as can be compared */
	snprintf(shown, sizeof shown, "%s", reason);
	if (!is_first && (instant_before(now, o->next) || outage_same(o->reason, shown)))
		return false;
	if (is_first)
		o->since = now;
	o->pause = is_first ? PAUSE_S : fmin(2 * o->pause, PAUSE_MAX_S);
	o->next = instant_after(now, o->pause);
	snprintf(o->reason, sizeof o->reason, "%s", shown);
	return true;
}

double outage_end(struct outage *o, struct instant now)
{
	double seconds = outage_lasts(o) ? instant_seconds(o->since, now) : 0;
	*o = (struct outage){ 0 };
	return seconds;
}
