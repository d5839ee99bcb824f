#include "base/log.h"

#include "base/log_json.h"
#include "base/text.h"
#include "suite.h"

#include <cjson/cJSON.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define REPLACED "\xEF\xBF\xBD"
#define CUT      "\xE2\x80\xA6"

/* Standard error, which each test has for itself. */
static int divert(void)
{
	int ends[2];
	ck_assert_int_eq(pipe(ends), 0);
	ck_assert_int_eq(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
	close(ends[1]);
	return ends[0];
}

/* What was written since the last time, in one go. */
static const char *heard(int fd)
{
	static char line[2 * LOG_JSON_BYTES];
	ssize_t got = read(fd, line, sizeof line - 1);
	ck_assert_int_gt(got, 0);
	line[got] = '\0';
	ck_assert_ptr_eq(strchr(line, '\n'), line + got - 1);
	return line;
}

static const char *member(const cJSON *object, const char *name)
{
	const char *value = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
	ck_assert_ptr_nonnull(value);
	return value;
}

/* The message of a line of JSON, to be freed. */
static char *message_of(const char *line, const char *level)
{
	cJSON *object = cJSON_Parse(line);
	ck_assert_ptr_nonnull(object);
	ck_assert_int_eq(cJSON_GetArraySize(object), 3);
	ck_assert_str_eq(member(object, "level"), level);
	ck_assert_uint_eq(strlen(member(object, "time")), strlen("2026-11-23T17:00:00.123Z"));
	char *message = strdup(member(object, "message"));
	cJSON_Delete(object);
	return message;
}

START_TEST(text_has_time_and_level)
{
	static const char pattern[] = "0000-00-00T00:00:00.000Z "; /* 0: a digit */
	int fd = divert();
	log_set_level(LOG_LEVEL_INFO);
	log_debug("not this");
	log_info("%s %d", "this", 5);
	const char *line = heard(fd);
	for (size_t i = 0; i < strlen(pattern); i++)
		ck_assert(pattern[i] == '0' ? line[i] >= '0' && line[i] <= '9'
					    : line[i] == pattern[i]);
	ck_assert_str_eq(line + strlen(pattern), "info: this 5\n");
	log_problem("file:5: wrong");
	ck_assert_str_eq(heard(fd), "file:5: wrong\n");
}
END_TEST

static int divert_to_journal(void)
{
	char stream[64];
	struct stat st;
	int fd = divert();
	ck_assert_int_eq(fstat(STDERR_FILENO, &st), 0);
	snprintf(stream, sizeof stream, "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	return fd;
}

/* Mistakes in a configuration are reported before its settings for the log apply. */
START_TEST(the_journal_gets_priorities_from_the_first_line_on)
{
	int fd = divert_to_journal();
	log_problem("file:5: wrong");
	ck_assert_str_eq(heard(fd), "<3>file:5: wrong\n");
	log_error("e");
	ck_assert_str_eq(heard(fd), "<3>e\n");
}
END_TEST

START_TEST(the_journal_gets_priorities)
{
	int fd = divert_to_journal();
	log_set_level(LOG_LEVEL_DEBUG);
	log_error("e");
	ck_assert_str_eq(heard(fd), "<3>e\n");
	log_warning("w");
	ck_assert_str_eq(heard(fd), "<4>w\n");
	log_info("i");
	ck_assert_str_eq(heard(fd), "<6>i\n");
	log_debug("d");
	ck_assert_str_eq(heard(fd), "<7>d\n");
}
END_TEST

START_TEST(another_stream_is_not_the_journal)
{
	int fd = divert();
	setenv("JOURNAL_STREAM", "1:1", 1);
	log_set_level(LOG_LEVEL_DEBUG);
	log_error("e");
	ck_assert_ptr_nonnull(strstr(heard(fd), "Z error: e\n"));
}
END_TEST

START_TEST(json_is_an_object_a_line)
{
	int fd = divert();
	log_set_level(LOG_LEVEL_INFO);
	log_set_format(LOG_FORMAT_JSON);
	log_debug("not this");
	log_warning("a \"%s\"\n\tin\\", "b");
	char *message = message_of(heard(fd), "warning");
	ck_assert_str_eq(message, "a \"b\"\n\tin\\");
	free(message);
	log_problem("file:5: wrong");
	message = message_of(heard(fd), "error");
	ck_assert_str_eq(message, "file:5: wrong");
	free(message);
	log_set_format(LOG_FORMAT_TEXT);
	log_warning("plain");
	ck_assert_ptr_nonnull(strstr(heard(fd), "Z warning: plain\n"));
}
END_TEST

/* Bytes, and what becomes of them. */
static const struct {
	const char *message, *expected;
} bytes[] = {
	{ "", "" },
	{ "\x7f\x01 \x1f \xC2\x9B", "\x7f\x01 \x1f \xC2\x9B" },
	{ "\xC3\xA4 \xE2\x82\xAC \xF0\x9F\x98\x80", "\xC3\xA4 \xE2\x82\xAC \xF0\x9F\x98\x80" },
	{ "\xED\x9F\xBF\xEE\x80\x80\xF4\x8F\xBF\xBF", "\xED\x9F\xBF\xEE\x80\x80\xF4\x8F\xBF\xBF" },
	{ "a\x80z", "a" REPLACED "z" },
	{ "\xC3", REPLACED },
	{ "\xC3z", REPLACED "z" },
	{ "\xE2\x82", REPLACED REPLACED },
	{ "\xE2\x82z", REPLACED REPLACED "z" },
	{ "\xC0\xAF", REPLACED REPLACED },                           /* overlong */
	{ "\xE0\x9F\xBF", REPLACED REPLACED REPLACED },              /* overlong */
	{ "\xED\xA0\x80", REPLACED REPLACED REPLACED },              /* a surrogate */
	{ "\xF4\x90\x80\x80", REPLACED REPLACED REPLACED REPLACED }, /* beyond U+10FFFF */
	{ "\xF0\x8F\xBF\xBF", REPLACED REPLACED REPLACED REPLACED }, /* overlong */
	{ "\xFF\xFE", REPLACED REPLACED },
};

/* What a row, or a server, says is no line of its own, has no priority, and moves no cursor. */
START_TEST(no_message_is_two_lines)
{
	static const char message[] = "a\n<0>b\r\t\x1b[2J\x7f\xC2\x9Bm\xff\n\n";
	static const char expected[] = "a\\n<0>b\\r\\t\\x1b[2J\\u007f\\u009bm\\xff\n";
	int fd = _i == 0 ? divert() : divert_to_journal();
	log_error("%s", message);
	const char *line = heard(fd);
	ck_assert_str_eq(line + strlen(line) - strlen(expected), expected);
	log_problem(message);
	line = heard(fd);
	ck_assert_str_eq(line + (_i == 0 ? 0 : strlen("<3>")), expected);
}
END_TEST

/* Fill the pipe that standard error is, and return what it holds. */
static size_t fill(void)
{
	int flags = fcntl(STDERR_FILENO, F_GETFL);
	size_t filled = 0;
	fcntl(STDERR_FILENO, F_SETFL, flags | O_NONBLOCK);
	for (ssize_t got; (got = write(STDERR_FILENO, "                ", 16)) > 0;)
		filled += (size_t)got;
	fcntl(STDERR_FILENO, F_SETFL, flags);
	return filled;
}

static void drain(int fd, size_t filled)
{
	char ignored[4096];
	while (filled > 0) {
		ssize_t got = read(fd, ignored, filled < sizeof ignored ? filled : sizeof ignored);
		ck_assert_int_gt(got, 0);
		filled -= (size_t)got;
	}
}

static int64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

START_TEST(a_reader_that_stalls_stops_nobody)
{
	int fd = divert();
	size_t filled = fill();
	int64_t start = now_ms();
	for (int i = 0; i < 100; i++)
		log_warning("lost");
	ck_assert_int_lt(now_ms() - start, 5000); /* one moment of waiting, not a hundred */
	drain(fd, filled);
	log_warning("seen");
	char lines[1024];
	ssize_t got = read(fd, lines, sizeof lines - 1);
	ck_assert_int_gt(got, 0);
	lines[got] = '\0';
	char *second = strchr(lines, '\n');
	ck_assert_ptr_nonnull(second);
	*second++ = '\0';
	ck_assert_ptr_nonnull(
		strstr(lines, "Z warning: lost 100 log lines: standard error was not read"));
	ck_assert_ptr_nonnull(strstr(second, "Z warning: seen\n"));
	log_warning("as before");
	ck_assert_ptr_nonnull(strstr(heard(fd), "Z warning: as before\n"));
}
END_TEST

/* A problem that is too long is cut, and is still one line. */
START_TEST(a_long_problem_is_cut)
{
	char problem[8192];
	int fd = _i == 0 ? divert() : divert_to_journal();
	memset(problem, 'x', sizeof problem - 1);
	problem[sizeof problem - 1] = '\0';
	log_problem(problem);
	const char *line = heard(fd);
	ck_assert_uint_eq(strlen(line), 2048);
	ck_assert_str_eq(line + 2048 - 5, "x" CUT "\n");
	ck_assert_int_eq(strncmp(line, "<3>", 3) == 0, _i == 1);
}
END_TEST

START_TEST(json_takes_any_bytes)
{
	char line[LOG_JSON_BYTES + 1];
	size_t length = log_json(line, "2026-11-23T17:00:00.123Z", "info", bytes[_i].message);
	line[length] = '\0';
	for (size_t i = 0; i < length; i++)
		ck_assert(line[i] != 0x7F && strncmp(line + i, "\xC2\x9B", 2) != 0);
	char *message = message_of(line, "info");
	ck_assert_str_eq(message, bytes[_i].expected);
	free(message);
}
END_TEST

/* Of messages that are all one character, the first part is kept, in whole characters. */
static const char *const characters[] = { "a", "\"", "\x01", "\xE2\x82\xAC", "\x80" };

START_TEST(a_long_line_is_cut)
{
	char line[LOG_JSON_BYTES + 1];
	const char *character = characters[_i];
	const char *expected = (unsigned char)character[0] == 0x80 ? REPLACED : character;
	struct text long_one = { 0 };
	for (size_t i = 0; i < 8192; i++)
		text_add(&long_one, character, strlen(character));
	size_t length = log_json(line, "2026-11-23T17:00:00.123Z", "info", long_one.text);
	ck_assert_uint_le(length, LOG_JSON_BYTES);
	ck_assert_uint_gt(length, LOG_JSON_BYTES / 2);
	line[length] = '\0';
	char *message = message_of(line, "info");
	ck_assert_uint_gt(strlen(message), strlen(CUT));
	char *end = message + strlen(message) - strlen(CUT);
	ck_assert_str_eq(end, CUT);
	*end = '\0';
	ck_assert_uint_eq(strlen(message) % strlen(expected), 0);
	for (size_t i = 0; message[i] != '\0'; i += strlen(expected))
		ck_assert_int_eq(strncmp(message + i, expected, strlen(expected)), 0);
	free(message);
	text_free(&long_one);
}
END_TEST

int main(void)
{
	const struct test tests[] = {
		{ text_has_time_and_level, 1, 0 },
		{ the_journal_gets_priorities, 1, 0 },
		{ the_journal_gets_priorities_from_the_first_line_on, 1, 0 },
		{ a_long_problem_is_cut, 2, 0 },
		{ no_message_is_two_lines, 2, 0 },
		{ a_reader_that_stalls_stops_nobody, 1, 0 },
		{ another_stream_is_not_the_journal, 1, 0 },
		{ json_is_an_object_a_line, 1, 0 },
		{ json_takes_any_bytes, COUNT(bytes), 0 },
		{ a_long_line_is_cut, COUNT(characters), 0 },
	};
	return suite_run("log", tests, COUNT(tests));
}
