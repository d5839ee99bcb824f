/*
 * The progress of a flush: its line, and its rate, which is that of the last ten seconds.
 */
#include "relay/progress.h"

#include "base/terminal.h"
#include "suite.h"

#include <string.h>

static const struct {
	struct progress_state state;
	const char *line;
} lines[] = {
	{ { { 84, 1503 }, { 84, 584 }, 50, "Mail", 79 },
		"84 of 1503 signals (6%), 50/s, Mail: 0:00:10 left" },
	{ { { 1000, 1503 }, { 600, 584 }, 50, "Mail", 79 },
		"1000 of 1503 signals (67%), 50/s, Mail: 0:00:00 left" },
	{ { { 0, 1503 }, { 0, 584 }, 0, "Mail", 79 }, "0 of 1503 signals (0%), 0/s" },
	{ { { 5, 0 }, { 5, 0 }, 1, "Mail", 79 }, "5 of 0 signals (100%), 1/s, Mail: 0:00:00 left" },
	{ { { 1, 40001 }, { 1, 40001 }, 10, "Mail", 79 },
		"1 of 40001 signals (0%), 10/s, Mail: 1:06:40 left" },
	{ { { 84, 1503 }, { 84, 584 }, 50, "Mäil", 49 },
		"84 of 1503 signals (6%), 50/s, Mäil: 0:00:10 left" },
	{ { { 84, 1503 }, { 84, 584 }, 50, "Mäil", 48 }, "84 of 1503 signals (6%), 50/s" },
	{ { { 84, 1503 }, { 84, 584 }, 50, "Mail", 28 }, "84 of 1503 signals (6%)" },
};

START_TEST(the_line_has_the_time_left_of_its_model)
{
	char line[128];
	progress_line(line, sizeof line, &lines[_i].state);
	ck_assert_str_eq(line, lines[_i].line);
	char small[20];
	progress_line(small, sizeof small, &lines[_i].state);
	ck_assert_int_eq(strncmp(small, lines[_i].line, sizeof small - 1), 0);
}
END_TEST

/* 100 signals a second for a minute, then 10: after ten seconds the old rate is forgotten. */
START_TEST(the_rate_is_of_the_last_ten_seconds)
{
	struct progress p;
	progress_init(&p, false, 1);
	double rate = 0;
	for (int tenth = 1; tenth <= 800; tenth++) {
		progress_add(&p, 0, "A", tenth <= 600 ? 10 : 1);
		rate = progress_rate(&p, instant_after(p.start, tenth / 10.0));
		if (tenth == 600)
			ck_assert_double_eq_tol(rate, 100, 1);
		if (tenth == 650)
			ck_assert_double_eq_tol(rate, 55, 7);
	}
	ck_assert_double_eq_tol(rate, 10, 1);
	progress_end(&p);
}
END_TEST

START_TEST(a_line_is_cut_by_characters)
{
	ck_assert_uint_eq(terminal_cut("abc", 5), 3);
	ck_assert_uint_eq(terminal_cut("abc", 2), 2);
	ck_assert_uint_eq(terminal_cut("äöü", 2), 4);
	ck_assert_uint_eq(terminal_cut("äöü", 0), 0);
	ck_assert_uint_eq(terminal_width("日本語a"), 7);
	ck_assert_uint_eq(terminal_cut("日本語", 3), 3);
	ck_assert_uint_eq(terminal_cut("日本語", 4), 6);
	ck_assert_uint_eq(terminal_cut("e\xcc\x81x", 1), 3);
	ck_assert_uint_eq(terminal_cut("\xffx", 1), 1);
}
END_TEST

int main(void)
{
	const struct test tests[] = {
		{ the_line_has_the_time_left_of_its_model, COUNT(lines), 0 },
		{ the_rate_is_of_the_last_ten_seconds, 1, 0 },
		{ a_line_is_cut_by_characters, 1, 0 },
	};
	return suite_run("progress", tests, COUNT(tests));
}
