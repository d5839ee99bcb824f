#include "config/topic_template.h"

#include "suite.h"

#include <string.h>

static const struct {
	const char *text;
	const char *names[3]; /* of its columns */
	const char *topic;    /* with the columns A, B and C */
} good[] = {
	{ "orders", { NULL }, "orders" },
	{ "Or-d_e.rs9", { NULL }, "Or-d_e.rs9" },
	{ "{a}", { "a" }, "A" },
	{ "outbox.event.{aggregatetype}", { "aggregatetype" }, "outbox.event.A" },
	{ "{a}{b}{a}", { "a", "b", "a" }, "ABC" },
	{ "x.{a b.ü\"}-y", { "a b.ü\"" }, "x.A-y" },
	{ "{\"a\"}", { "\"a\"" }, "A" },
	{ "{\"a}{b\"}.x", { "\"a}{b\"" }, "A.x" },
	{ "{\"a\"\"}\"}.x", { "\"a\"\"}\"" }, "A.x" },
	{ "{\"\"\"\"}", { "\"\"\"\"" }, "A" },
};

static const struct {
	const char *text, *message;
} bad[] = {
	{ "", "the topic name is empty" },
	{ "a b", "invalid topic name \"a b\"" },
	{ "a{b", "\"{\" without its \"}\"" },
	{ "a{", "\"{\" without its \"}\"" },
	{ "a{b{c}}", "\"{\" without its \"}\"" },
	{ "{\"a}", "\"{\" without its \"}\"" },
	{ "{\"a\"b}", "\"{\" without its \"}\"" },
	{ "{\"", "\"{\" without its \"}\"" },
	{ "{\"\"", "\"{\" without its \"}\"" },
	{ "a}", "\"}\" without its \"{\"" },
	{ "{a}}", "\"}\" without its \"{\"" },
	{ "{}", "no column name in \"{}\"" },
	{ "{a} ", "invalid topic name \"{a} \"" },
	{ ".", "invalid topic name \".\"" },
	{ "..", "invalid topic name \"..\"" },
};

static const struct {
	const char *content; /* of the column in "{c}" */
	const char *message; /* NULL: is fine */
} rows[] = {
	{ "a", NULL },
	{ "...", NULL },
	{ "a.b_c-D9", NULL },
	{ NULL, "no topic: column \"c\" is NULL" },
	{ "", "the topic name is empty" },
	{ ".", "invalid topic name \".\"" },
	{ "..", "invalid topic name \"..\"" },
	{ "a/b", "invalid topic name \"a/b\"" },
	{ "a\nb\x7f\xc3", "invalid topic name \"a?b??\"" },
	{ "{c}", "invalid topic name \"{c}\"" },
};

static struct field field_of(const char *text)
{
	return (struct field){ text, text != NULL ? strlen(text) : 0 };
}

static void number_fields(struct template *t)
{
	size_t columns = 0;
	for (size_t i = 0; i < t->count; i++)
		if (t->parts[i].is_column)
			t->parts[i].field = columns++;
}

START_TEST(good_templates_expand)
{
	const struct field fields[] = { field_of("A"), field_of("B"), field_of("C") };
	struct template t;
	struct error e;
	struct text topic = { 0 };
	size_t columns = 0;
	ck_assert_msg(template_parse(&t, good[_i].text, &e), "%s", e.text);
	number_fields(&t);
	for (size_t i = 0; i < t.count; i++)
		if (t.parts[i].is_column)
			ck_assert_str_eq(t.parts[i].text, good[_i].names[columns++]);
	ck_assert(columns == 3 || good[_i].names[columns] == NULL);
	ck_assert_int_eq(template_is_constant(&t), columns == 0);
	text_add(&topic, "of the row before", 17);
	ck_assert_msg(template_expand(&t, fields, &topic, &e), "%s", e.text);
	ck_assert_str_eq(topic.text, good[_i].topic);
	text_free(&topic);
	template_free(&t);
	ck_assert_uint_eq(t.count, 0);
}
END_TEST

START_TEST(bad_templates_are_wrong_configuration)
{
	struct template t;
	struct error e;
	ck_assert(!template_parse(&t, bad[_i].text, &e));
	ck_assert_int_eq(e.kind, ERROR_CONFIG);
	ck_assert_msg(strncmp(e.text, bad[_i].message, strlen(bad[_i].message)) == 0, "%s", e.text);
	template_free(&t);
}
END_TEST

START_TEST(rows_are_rejected_alone)
{
	struct template t;
	struct error e;
	struct text topic = { 0 };
	struct field field = field_of(rows[_i].content);
	ck_assert(template_parse(&t, "{c}", &e));
	number_fields(&t);
	bool ok = template_expand(&t, &field, &topic, &e);
	ck_assert_int_eq(ok, rows[_i].message == NULL);
	if (!ok) {
		ck_assert_int_eq(e.kind, ERROR_REJECTED);
		ck_assert_msg(strncmp(e.text, rows[_i].message, strlen(rows[_i].message)) == 0,
			"%s", e.text);
	}
	text_free(&topic);
	template_free(&t);
}
END_TEST

START_TEST(topics_have_249_bytes_at_most)
{
	char name[251];
	struct error e;
	memset(name, 'x', sizeof name);
	name[250] = '\0';
	ck_assert(!topic_check(name, ERROR_REJECTED, &e));
	ck_assert_ptr_nonnull(strstr(e.text, "x...\" has 250 bytes; the limit is 249"));
	name[249] = '\0';
	ck_assert(topic_check(name, ERROR_REJECTED, &e));
	/* What is shown of a name ends in time at any length. */
	for (size_t length = 249; length > 0; length--) {
		name[length - 1] = ' ';
		name[length] = '\0';
		ck_assert(!topic_check(name, ERROR_REJECTED, &e));
	}
}
END_TEST

/* However the placeholders turn out. */
START_TEST(constant_parts_have_249_bytes_at_most)
{
	char text[260];
	struct template t;
	struct error e;
	memset(text, 'x', sizeof text);
	memcpy(text + 100, "{c}", 3);
	text[252] = '\0';
	ck_assert(template_parse(&t, text, &e));
	template_free(&t);
	memcpy(text + 252, "x", 2);
	ck_assert(!template_parse(&t, text, &e));
	ck_assert_int_eq(e.kind, ERROR_CONFIG);
	ck_assert_str_eq(e.text, "250 bytes outside of \"{}\"; a topic name has 249 at most");
	template_free(&t);
}
END_TEST

int main(void)
{
	const struct test tests[] = {
		{ good_templates_expand, COUNT(good), 0 },
		{ bad_templates_are_wrong_configuration, COUNT(bad), 0 },
		{ rows_are_rejected_alone, COUNT(rows), 0 },
		{ topics_have_249_bytes_at_most, 1, 0 },
		{ constant_parts_have_249_bytes_at_most, 1, 0 },
	};
	return suite_run("topic_template", tests, COUNT(tests));
}
