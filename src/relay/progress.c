#include "relay/progress.h"

#include "base/terminal.h"
#include "base/text.h"
#include "base/utf8.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIRST_DRAW_S 1.0 /* a short flush shows nothing */
#define REDRAW_S     0.2
#define SAMPLE_S     1.0

void progress_init(struct progress *p, bool shown, size_t count)
{
	*p = (struct progress){ .shown = shown,
		.models = memory_new(count, sizeof *p->models),
		.start = clock_now(),
		.samples = 1 };
	p->times[0] = p->start;
	p->next = instant_after(p->start, FIRST_DRAW_S);
	pthread_mutex_init(&p->lock, NULL);
}

void progress_expect(struct progress *p, size_t model, size_t more)
{
	pthread_mutex_lock(&p->lock);
	p->all.total += more;
	p->models[model].total += more;
	pthread_mutex_unlock(&p->lock);
}

static size_t left_of(const struct progress_count *c)
{
	return c->total > c->sent ? c->total - c->sent : 0;
}

void progress_line(char *line, size_t size, const struct progress_state *s)
{
	size_t total = s->all.total, left = left_of(&s->all), rest = left_of(&s->model);
	double percent = total > 0 ? 100.0 * (double)(total - left) / (double)total : 100.0;
	bool has_rest = s->rate > 0 || rest == 0;
	unsigned long eta =
		rest > 0 && has_rest ? (unsigned long)((double)rest / s->rate + 0.5) : 0;
	char *const parts[] = { text_format(
					"%zu of %zu signals (%.0f%%)", s->all.sent, total, percent),
		text_format(", %.0f/s", s->rate),
		has_rest ? text_format(", %s: %lu:%02lu:%02lu left", s->name, eta / 3600,
				   eta / 60 % 60, eta % 60)
			 : text_copy("") };
	struct text t = { 0 };
	bool fits = true;
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
		fits = fits &&
		       (i == 0 || terminal_width(t.text) + terminal_width(parts[i]) <= s->columns);
		text_addf(&t, "%s", fits ? parts[i] : "");
		free(parts[i]);
	}
	snprintf(line, size, "%s", t.text);
	text_free(&t);
}

double progress_rate(struct progress *p, struct instant now)
{
	enum { RING = PROGRESS_S + 1 };
	size_t last = (p->samples - 1) % RING;
	size_t first = p->samples > RING ? p->samples % RING : 0;
	double seconds = instant_seconds(p->times[first], now);
	double rate = seconds > 0 ? (double)(p->all.sent - p->sent_at[first]) / seconds : 0;
	if (instant_seconds(p->times[last], now) >= SAMPLE_S) {
		p->times[p->samples % RING] = now;
		p->sent_at[p->samples++ % RING] = p->all.sent;
	}
	return rate;
}

/* Write to the terminal, unless it is gone or stopped: nothing waits for it. */
static void put(const char *text)
{
	struct pollfd fd = { .fd = STDERR_FILENO, .events = POLLOUT };
	ssize_t ignored = poll(&fd, 1, 0) == 1 ? write(STDERR_FILENO, text, strlen(text)) : 0;
	(void)ignored;
}

/* Replace the line, without escape sequences, which not all terminals know.  The last column
 * remains free: some continue in the next line after it. */
static void put_line(const char *line)
{
	size_t columns = terminal_columns(STDERR_FILENO) - 1;
	size_t length = terminal_cut(line, columns), shown = terminal_width(line);
	int blanks = shown < columns ? (int)(columns - shown) : 0;
	char *text =
		text_format("\r%.*s%*s\r%.*s", (int)length, line, blanks, "", (int)length, line);
	put(text);
	free(text);
}

static void draw(struct progress *p, size_t model, const char *name, struct instant now)
{
	char line[512];
	char *shown = utf8_shown(name);
	const struct progress_state state = { p->all, p->models[model], progress_rate(p, now),
		shown, terminal_columns(STDERR_FILENO) - 1 };
	progress_line(line, sizeof line, &state);
	put_line(line);
	free(shown);
	p->drawn = true;
	p->next = instant_after(now, REDRAW_S);
}

void progress_add(struct progress *p, size_t model, const char *name, size_t sent)
{
	pthread_mutex_lock(&p->lock);
	p->all.sent += sent;
	p->models[model].sent += sent;
	struct instant now = clock_now();
	if (p->shown && !instant_before(now, p->next))
		draw(p, model, name, now);
	pthread_mutex_unlock(&p->lock);
}

void progress_end(struct progress *p)
{
	if (p->drawn) {
		put_line("");
		put("\r");
	}
	double seconds = instant_seconds(p->start, clock_now());
	if (p->shown && (p->all.sent > 0 || seconds >= FIRST_DRAW_S)) {
		char *text = text_format("%zu signal%s sent in %.1f s\n", p->all.sent,
			p->all.sent == 1 ? "" : "s", seconds);
		put(text);
		free(text);
	}
	free(p->models);
	pthread_mutex_destroy(&p->lock);
}
