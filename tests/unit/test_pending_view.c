/*
 * What `pending --watch` shows on a terminal of some size.
 */
#include "cli/pending_view.h"

#include "suite.h"

#include <stdlib.h>
#include <string.h>

static struct instant at(double seconds)
{
	return instant_after((struct instant){ INT64_C(1000000000000) }, seconds);
}

static void note(struct pending_view *v, size_t model, const char *name, size_t count, double now)
{
	const struct pending_count_of counted = { model, name, count, at(0), model == 2, false };
	pending_view_note(v, &counted, at(now));
}

static void check(struct pending_view *v, size_t rows, size_t columns, const char *expected)
{
	struct text t = { 0 };
	const struct pending_frame frame = { rows, columns, "12:34:56" };
	pending_view_draw(v, &frame, at(65), &t);
	ck_assert_str_eq(t.text, expected);
	text_free(&t);
}

#define HEADING "   pending   change/s   oldest >       left  model\x1b[K\n"

START_TEST(models_with_most_signals_come_first)
{
	struct pending_view *v = pending_view_new(3);
	note(v, 0, "A", 0, 0);
	note(v, 1, "B", 1000, 0);
	check(v, 24, 80,
		"\x1b[Hsignalbus pending  12:34:56  |\x1b[K\n" HEADING
		"      1000       +0.0    0:01:05             B\x1b[K\n"
		"         0       +0.0                        A\x1b[K\n"
		"Total pending: 1000\x1b[K\x1b[J");
	note(v, 0, "A", 20, 2);
	note(v, 1, "B", 800, 2);
	check(v, 24, 80,
		"\x1b[Hsignalbus pending  12:34:56  /\x1b[K\n" HEADING
		"       800     -100.0    0:01:05    0:00:08  B\x1b[K\n"
		"        20      +10.0    0:01:05             A\x1b[K\n"
		"Total pending: 820\x1b[K\x1b[J");
	check(v, 5, 50,
		"\x1b[Hsignalbus pending  12:34:56  -\x1b[K\n" HEADING
		"       800     -100.0    0:01:05    0:00:08  B\x1b[K\n"
		"        20 in 1 more models\x1b[K\n"
		"Total pending: 820\x1b[K\x1b[J");
	check(v, 1, 12,
		"\x1b[Hsignalbus pe\x1b[K\n"
		"   pending  \x1b[K\n"
		"       820 i\x1b[K\n"
		"Total pendin\x1b[K\x1b[J");
	pending_view_free(v);
}
END_TEST

START_TEST(paused_models_are_marked)
{
	struct pending_view *v = pending_view_new(3);
	note(v, 1, "B", 2, 0);
	note(v, 2, "C", 1, 0);
	check(v, 24, 80,
		"\x1b[Hsignalbus pending  12:34:56  |\x1b[K\n" HEADING
		"         2       +0.0    0:01:05             B\x1b[K\n"
		"         1       +0.0    0:01:05             C (paused)\x1b[K\n"
		"Total pending: 3\x1b[K\x1b[J");
	pending_view_free(v);
}
END_TEST

/* A narrow screen has fewer columns, and always the names. */
static const struct {
	size_t columns;
	const char *heading, *line;
} narrow[] = {
	{ 57, "   pending   change/s   oldest >       left  model",
		"       800     -100.0    0:01:05    0:00:08  OrderCreated" },
	{ 56, "   pending   change/s   oldest >  model",
		"       800     -100.0    0:01:05  OrderCreated" },
	{ 45, "   pending   change/s  model", "       800     -100.0  OrderCreated" },
	{ 34, "   pending  model", "       800  OrderCreated" },
};

START_TEST(a_narrow_screen_has_the_names)
{
	struct pending_view *v = pending_view_new(1);
	note(v, 0, "OrderCreated", 1000, 0);
	note(v, 0, "OrderCreated", 800, 2);
	char *expected =
		text_format("\x1b[Hsignalbus pending  12:34:56  |\x1b[K\n%s\x1b[K\n%s\x1b[K\n"
			    "Total pending: 800\x1b[K\x1b[J",
			narrow[_i].heading, narrow[_i].line);
	check(v, 24, narrow[_i].columns, expected);
	free(expected);
	pending_view_free(v);
}
END_TEST

START_TEST(what_cannot_be_counted_is_not_in_the_total)
{
	struct pending_view *v = pending_view_new(2);
	const struct pending_count_of unknown = { .model = 1, .name = "B", .is_unknown = true };
	note(v, 0, "A", 20, 0);
	note(v, 1, "B", 1000, 0);
	pending_view_note(v, &unknown, at(1));
	check(v, 24, 80,
		"\x1b[Hsignalbus pending  12:34:56  |\x1b[K\n" HEADING
		"        20       +0.0    0:01:05             A\x1b[K\n"
		"         ?                                   B\x1b[K\n"
		"Total pending: 20\x1b[K\x1b[J");
	pending_view_free(v);
}
END_TEST

/* The change is that of the last samples. */
START_TEST(what_was_long_ago_is_forgotten)
{
	struct pending_view *v = pending_view_new(1);
	for (int i = 0; i <= 20; i++)
		note(v, 0, "A", i < 10 ? 5000 : 5000 - 100 * (size_t)(i - 10), i);
	check(v, 24, 80,
		"\x1b[Hsignalbus pending  12:34:56  |\x1b[K\n" HEADING
		"      4000     -100.0    0:01:05    0:00:40  A\x1b[K\n"
		"Total pending: 4000\x1b[K\x1b[J");
	pending_view_free(v);
}
END_TEST

int main(void)
{
	const struct test tests[] = {
		{ models_with_most_signals_come_first, 1, 0 },
		{ paused_models_are_marked, 1, 0 },
		{ a_narrow_screen_has_the_names, COUNT(narrow), 0 },
		{ what_cannot_be_counted_is_not_in_the_total, 1, 0 },
		{ what_was_long_ago_is_forgotten, 1, 0 },
	};
	return suite_run("pending_view", tests, COUNT(tests));
}
