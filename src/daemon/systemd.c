#include "daemon/systemd.h"

#ifdef HAVE_SYSTEMD

#include "base/utf8.h"

#include <stdint.h>
#include <stdlib.h>
#include <systemd/sd-daemon.h>
#include <time.h>

void systemd_ready(void)
{
	sd_notify(0, "READY=1");
}

/* systemd.service(5): with the time on CLOCK_MONOTONIC, as Type=notify-reload requires. */
void systemd_reloading(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%jd",
		(intmax_t)now.tv_sec * 1000000 + now.tv_nsec / 1000);
}

void systemd_stopping(void)
{
	sd_notify(0, "STOPPING=1");
}

void systemd_status(const char *status)
{
	char *shown = utf8_shown(status); /* a line feed would begin another variable */
	sd_notifyf(0, "STATUS=%s", shown);
	free(shown);
}

void systemd_alive(void)
{
	sd_notify(0, "WATCHDOG=1");
}

double systemd_watchdog_interval(void)
{
	uint64_t usec;
	return sd_watchdog_enabled(0, &usec) > 0 ? (double)usec / 1e6 : 0;
}

#else

void systemd_ready(void)
{
}

void systemd_reloading(void)
{
}

void systemd_stopping(void)
{
}

void systemd_status(const char *status)
{
	(void)status;
}

void systemd_alive(void)
{
}

double systemd_watchdog_interval(void)
{
	return 0;
}

#endif

void systemd_add_library_version(struct text *t)
{
#ifdef HAVE_SYSTEMD
	text_addf(t, "%s", HAVE_SYSTEMD);
#else
	text_addf(t, "none");
#endif
}
