/*
 * The barrier: which rows of a claim may be sent, by the list and the writers that were seen.
 */
#include "base/text.h"
#include "store/barrier.h"
#include "suite.h"

#include <stdio.h>
#include <string.h>

/* A double of db.c's rows: words, each a value; "-" is NULL. */
struct rows {
	char *words[64];
	size_t columns, count;
};

size_t rows_count(const struct rows *r)
{
	return r != NULL ? r->count : 0;
}

const char *rows_value(const struct rows *r, size_t row, size_t column)
{
	const char *word = r->words[row * r->columns + column];
	return strcmp(word, "-") == 0 ? NULL : word;
}

void rows_free(struct rows *r)
{
	if (r == NULL)
		return;
	for (size_t i = 0; i < r->count * r->columns; i++)
		free(r->words[i]);
	free(r);
}

static struct rows *rows_of(size_t columns, const char *text)
{
	struct rows *r = memory_new(1, sizeof *r);
	char *copy = text_copy(text), *rest = NULL;
	size_t n = 0;
	for (char *w = strtok_r(copy, " ", &rest); w != NULL; w = strtok_r(NULL, " ", &rest))
		r->words[n++] = text_copy(w);
	free(copy);
	r->columns = columns;
	r->count = n / columns;
	return r;
}

/* A key of one column, which is the third field of a claimed row. */
static size_t key_fields[] = { 2, 3 };
static const struct model serial = {
	.primary_key_count = 1, .primary_key_fields = key_fields, .serial_order = true
};
static const struct model other = { .primary_key_count = 1, .primary_key_fields = key_fields };

static struct rows *claimed_of(const char *keys)
{
	struct text t = { 0 };
	char *copy = text_copy(keys), *rest = NULL;
	text_addf(&t, " ");
	for (char *w = strtok_r(copy, " ", &rest); w != NULL; w = strtok_r(NULL, " ", &rest))
		text_addf(&t, "(0,1) 16384 %s ", w);
	struct rows *r = rows_of(3, t.text);
	text_free(&t);
	free(copy);
	return r;
}

static void begin(struct barrier *b, const struct model *m, const char *list, const char *writers)
{
	struct rows *w = rows_of(1, writers);
	barrier_begin(b, m, rows_of(m->primary_key_count, list), w, (struct instant){ 5 });
	rows_free(w);
}

/* How many of the first rows, while they come: what was said before holds. */
static size_t admit_first(const struct barrier *b, const struct model *m, const char *keys,
	size_t count, struct admission *admission)
{
	char *first = text_copy(keys), *end = first;
	for (size_t i = 0; i < count && *end != '\0'; i++)
		end += strcspn(end + 1, " ") + 1;
	*end = '\0';
	struct rows *claimed = claimed_of(first);
	size_t before = admission->admitted;
	size_t admitted = barrier_admit(b, m, claimed, admission);
	ck_assert_uint_ge(admitted, before);
	ck_assert_uint_le(admitted, rows_count(claimed));
	rows_free(claimed);
	free(first);
	return admitted;
}

static size_t admit(const struct barrier *b, const struct model *m, const char *keys)
{
	struct admission at_once = { 0 }, one_by_one = { 0 };
	size_t admitted = admit_first(b, m, keys, SIZE_MAX, &at_once);
	for (size_t count = 1; count < 8; count++)
		admit_first(b, m, keys, count, &one_by_one);
	ck_assert_uint_eq(one_by_one.admitted, admitted);
	return admitted;
}

/* What may be sent of a claim when the list is open. */
static const struct {
	const struct model *model;
	const char *list, *claimed;
	size_t admitted;
} cases[] = {
	{ &serial, "1 2 3", "1 2 3", 3 },
	/* no key should be NULL */
	{ &serial, "1 - -", "1 - 2", 1 },
	{ &other, "1 - -", "- 1", 0 },
	{ &other, "1 2 3", "1 2 3", 3 },
	/* after the list: their elders may be unknown */
	{ &serial, "1 2 3", "1 2 3 4 5", 3 },
	{ &other, "1 2 3", "1 2 3 4 5", 3 },
	/* came in between: in a serial order, older than what follows */
	{ &serial, "2 4", "1 2 3 4 5", 4 },
	{ &other, "2 4", "1 2 3 4 5", 0 },
	{ &other, "2 4", "2 3 4 5", 1 },
	/* some of the list are gone */
	{ &serial, "1 2 3 4", "2 4", 2 },
	{ &other, "1 2 3 4", "2 4", 2 },
	{ &serial, "1 2 3", "2 4 5", 1 },
	{ &serial, "1 2 3", "4 5", 0 },
	{ &serial, "1 2 3", "", 0 },
};

START_TEST(test_admit)
{
	struct barrier b = { 0 };
	begin(&b, cases[_i].model, cases[_i].list, "");
	ck_assert_int_eq(b.state, BARRIER_OPEN);
	ck_assert_uint_eq(admit(&b, cases[_i].model, cases[_i].claimed), cases[_i].admitted);
	barrier_reset(&b);
}
END_TEST

START_TEST(test_writers_hold_it)
{
	struct barrier b = { 0 };
	begin(&b, &serial, "1 2", "3/7 -1/700");
	ck_assert_int_eq(b.state, BARRIER_HELD);
	ck_assert_int_eq(b.since.ns, 5);
	ck_assert_uint_eq(b.awaited_count, 2);
	ck_assert_str_eq(b.awaited[0], "3/7");
	ck_assert_uint_eq(admit(&b, &serial, "1 2"), 0);

	struct rows *still = rows_of(1, "-1/700");
	barrier_look(&b, still);
	rows_free(still);
	ck_assert_int_eq(b.state, BARRIER_HELD);
	ck_assert_uint_eq(b.awaited_count, 1);

	struct rows *none = rows_of(1, "");
	barrier_look(&b, none);
	rows_free(none);
	ck_assert_int_eq(b.state, BARRIER_OPEN);
	ck_assert_uint_eq(b.awaited_count, 0);
	ck_assert_uint_eq(admit(&b, &serial, "1 2"), 2);
	barrier_reset(&b);
}
END_TEST

START_TEST(test_an_empty_list_is_none)
{
	struct barrier b = { 0 };
	begin(&b, &serial, "", "3/7");
	ck_assert_int_eq(b.state, BARRIER_NONE);
	ck_assert_uint_eq(admit(&b, &serial, "1"), 0);
	barrier_reset(&b);
}
END_TEST

static void note_sent(struct barrier *b, const char *keys, const bool *flags, size_t count)
{
	struct rows *claimed = claimed_of(keys);
	barrier_note_sent(b, &other, claimed, flags, count);
	rows_free(claimed);
}

START_TEST(test_a_list_serves_until_it_is_used_up)
{
	struct barrier b = { 0 };
	begin(&b, &other, "1 2 3 4", "");
	note_sent(&b, "1 2 3", (const bool[]){ true, true, false }, 3);
	ck_assert_uint_eq(b.left, 2);
	/* a key that has come again is another row */
	ck_assert_uint_eq(admit(&b, &other, "2 3 4"), 0);
	ck_assert_uint_eq(admit(&b, &other, "3 4 5"), 2);
	note_sent(&b, "3 4 5", (const bool[]){ true, true, true }, 3);
	ck_assert_int_eq(b.state, BARRIER_NONE);
	note_sent(&b, "5", (const bool[]){ true }, 1);
	barrier_reset(&b);
}
END_TEST

START_TEST(test_columns_of_a_key_are_kept_apart)
{
	const struct model two = { .primary_key_count = 2, .primary_key_fields = key_fields };
	struct barrier b = { 0 };
	begin(&b, &two, "a bc", "");
	struct rows *same = rows_of(4, "(0,1) 1 a bc"), *different = rows_of(4, "(0,1) 1 ab c");
	ck_assert_uint_eq(barrier_admit(&b, &two, same, &(struct admission){ 0 }), 1);
	ck_assert_uint_eq(barrier_admit(&b, &two, different, &(struct admission){ 0 }), 0);
	rows_free(same);
	rows_free(different);
	barrier_reset(&b);
}
END_TEST

int main(void)
{
	const struct test tests[] = {
		{ test_admit, COUNT(cases), 0 },
		{ test_writers_hold_it, 1, 0 },
		{ test_an_empty_list_is_none, 1, 0 },
		{ test_a_list_serves_until_it_is_used_up, 1, 0 },
		{ test_columns_of_a_key_are_kept_apart, 1, 0 },
	};
	return suite_run("barrier", tests, COUNT(tests));
}
