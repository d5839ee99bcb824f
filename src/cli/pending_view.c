#include "cli/pending_view.h"

#include "base/terminal.h"
#include "base/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The change of a count is that since the first of this many samples. */
enum { SAMPLES = 6 };

#define OTHER_LINES 4 /* two above the models, two below them */

struct line {
	const char *name; /* NULL: not counted yet */
	size_t counts[SAMPLES];
	struct instant times[SAMPLES];
	size_t samples;
	struct instant since;
	bool is_paused;
};

struct pending_view {
	struct line *lines;
	const struct line **sorted;
	size_t count;
	unsigned beat;
};

struct pending_view *pending_view_new(size_t count)
{
	struct pending_view *v = memory_new(1, sizeof *v);
	v->lines = memory_new(count, sizeof *v->lines);
	v->sorted = memory_new(count, sizeof *v->sorted);
	v->count = count;
	return v;
}

void pending_view_free(struct pending_view *v)
{
	free(v->lines);
	free(v->sorted);
	free(v);
}

void pending_view_note(
	struct pending_view *v, const struct pending_count_of *counted, struct instant now)
{
	struct line *l = &v->lines[counted->model];
	l->name = counted->name;
	l->since = counted->since;
	l->is_paused = counted->is_paused;
	if (counted->is_unknown) {
		l->samples = 0;
		return;
	}
	l->counts[l->samples % SAMPLES] = counted->count;
	l->times[l->samples++ % SAMPLES] = now;
}

static size_t pending_of(const struct line *l)
{
	return l->samples > 0 ? l->counts[(l->samples - 1) % SAMPLES] : 0;
}

/* Signals per second by which the count grows; negative: shrinks. */
static double change_of(const struct line *l)
{
	size_t first = l->samples > SAMPLES ? l->samples % SAMPLES : 0;
	size_t last = (l->samples - 1) % SAMPLES;
	double seconds = instant_seconds(l->times[first], l->times[last]);
	double change = (double)l->counts[last] - (double)l->counts[first];
	return seconds > 0 ? change / seconds : 0;
}

/* Most first; names break ties. */
static int compare_lines(const void *a, const void *b)
{
	const struct line *x = *(const struct line *const *)a, *y = *(const struct line *const *)b;
	if (pending_of(x) != pending_of(y))
		return pending_of(x) > pending_of(y) ? -1 : 1;
	return strcmp(x->name, y->name);
}

/* The columns between the count and the name; if the screen is too narrow for the names, the last
 * ones are omitted. */
enum { EXTRA_COLUMNS = 3 };
#define COLUMN_WIDTH 11 /* with a space */
#define NAME_COLUMN  12 /* without the extra columns */

static char *shown_name(const struct line *l)
{
	char *name = utf8_shown(l->name);
	char *shown = text_format("%s%s", name, l->is_paused ? " (paused)" : "");
	free(name);
	return shown;
}

/* How many extra columns fit to the names of some models. */
static size_t extra_columns(
	const struct pending_frame *frame, const struct line *const *lines, size_t count)
{
	size_t width = strlen("model"), extra = 0;
	for (size_t i = 0; i < count; i++) {
		char *name = shown_name(lines[i]);
		size_t own = terminal_width(name);
		width = own > width ? own : width;
		free(name);
	}
	while (extra < EXTRA_COLUMNS &&
		NAME_COLUMN + (extra + 1) * COLUMN_WIDTH + width <= frame->columns)
		extra++;
	return extra;
}

/* Add a line of the screen, cut to its width; text is freed. */
static void add_line(struct text *t, const struct pending_frame *frame, char *text)
{
	text_add(t, text, terminal_cut(text, frame->columns));
	text_addf(t, "\x1b[K\n");
	free(text);
}

static char *duration(double seconds)
{
	unsigned long s = (unsigned long)(seconds + 0.5);
	return text_format("%lu:%02lu:%02lu", s / 3600, s / 60 % 60, s % 60);
}

/* Add a line of the table. */
static void add_row(
	struct text *t, const struct pending_frame *frame, size_t extra, const char *const *columns)
{
	struct text row = { 0 };
	text_addf(&row, "%10s", columns[0]);
	for (size_t i = 0; i < extra; i++)
		text_addf(&row, " %10s", columns[1 + i]);
	text_addf(&row, "  %s", columns[1 + EXTRA_COLUMNS]);
	add_line(t, frame, row.text);
}

static void add_model(struct text *t, const struct pending_frame *frame, size_t extra,
	const struct line *l, struct instant now)
{
	if (l->samples == 0) {
		char *unknown = utf8_shown(l->name);
		add_line(t, frame, text_format("%10s %33s %s", "?", "", unknown));
		free(unknown);
		return;
	}
	size_t count = pending_of(l);
	double change = change_of(l);
	char *pending = text_format("%zu", count), *growth = text_format("%+.1f", change);
	char *age = count > 0 ? duration(instant_seconds(l->since, now)) : text_copy("");
	char *left = change < 0 ? duration((double)count / -change) : text_copy("");
	char *name = shown_name(l);
	add_row(t, frame, extra, (const char *[]){ pending, growth, age, left, name });
	free(pending);
	free(growth);
	free(age);
	free(left);
	free(name);
}

void pending_view_draw(struct pending_view *v, const struct pending_frame *frame,
	struct instant now, struct text *t)
{
	size_t count = 0, total = 0, rest = 0;
	for (size_t i = 0; i < v->count; i++)
		if (v->lines[i].name != NULL)
			v->sorted[count++] = &v->lines[i];
	qsort(v->sorted, count, sizeof *v->sorted, compare_lines);
	size_t room = frame->rows > OTHER_LINES ? frame->rows - OTHER_LINES : 0;
	text_addf(t, "\x1b[H");
	add_line(t, frame,
		text_format("signalbus pending  %s  %c", frame->time, "|/-\\"[v->beat++ % 4]));
	size_t extra = extra_columns(frame, v->sorted, count < room ? count : room);
	add_row(t, frame, extra,
		(const char *[]){ "pending", "change/s", "oldest >", "left", "model" });
	for (size_t i = 0; i < count; i++) {
		total += pending_of(v->sorted[i]);
		if (i < room)
			add_model(t, frame, extra, v->sorted[i], now);
		else
			rest += pending_of(v->sorted[i]);
	}
	if (count > room)
		add_line(t, frame, text_format("%10zu in %zu more models", rest, count - room));
	char *end = text_format("Total pending: %zu", total);
	text_add(t, end, terminal_cut(end, frame->columns));
	text_addf(t, "\x1b[K\x1b[J");
	free(end);
}
