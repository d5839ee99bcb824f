#include "relay/progress.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FIRST_DRAW_S 1.0 /* a short flush shows nothing */
#define REDRAW_S     0.2

void progress_init(struct progress *p, bool shown)
{
	*p = (struct progress){ .shown = shown, .start = clock_now() };
	p->next = instant_after(p->start, FIRST_DRAW_S);
	pthread_mutex_init(&p->lock, NULL);
}

void progress_expect(struct progress *p, size_t more)
{
	pthread_mutex_lock(&p->lock);
	p->total += more;
	pthread_mutex_unlock(&p->lock);
}

void progress_line(char *line, size_t size, size_t sent, size_t total, double seconds)
{
	double rate = seconds > 0 ? (double)sent / seconds : 0;
	size_t left = total > sent ? total - sent : 0;
	double percent = total > 0 ? 100.0 * (double)(total - left) / (double)total : 100.0;
	if (rate > 0 || left == 0) {
		unsigned long eta = left > 0 ? (unsigned long)((double)left / rate + 0.5) : 0;
		snprintf(line, size, "%zu of %zu signals (%.0f%%), %.0f/s, %lu:%02lu:%02lu left",
			sent, total, percent, rate, eta / 3600, eta / 60 % 60, eta % 60);
	} else {
		snprintf(line, size, "%zu of %zu signals (%.0f%%)", sent, total, percent);
	}
}

/* Write to the terminal, unless it is gone or stopped: nothing waits for it. */
static void put(const char *text)
{
	struct pollfd fd = { .fd = STDERR_FILENO, .events = POLLOUT };
	ssize_t ignored = poll(&fd, 1, 0) == 1 ? write(STDERR_FILENO, text, strlen(text)) : 0;
	(void)ignored;
}

static void draw(struct progress *p, struct instant now)
{
	char line[128], text[160];
	progress_line(line, sizeof line, p->sent, p->total, instant_seconds(p->start, now));
	snprintf(text, sizeof text, "\r%s\x1b[K", line);
	put(text);
	p->drawn = true;
	p->next = instant_after(now, REDRAW_S);
}

void progress_add(struct progress *p, size_t sent)
{
	pthread_mutex_lock(&p->lock);
	p->sent += sent;
	struct instant now = clock_now();
	if (p->shown && !instant_before(now, p->next))
		draw(p, now);
	pthread_mutex_unlock(&p->lock);
}

void progress_end(struct progress *p)
{
	if (p->drawn)
		put("\r\x1b[K");
	pthread_mutex_destroy(&p->lock);
}
