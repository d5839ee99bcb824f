#include "suite.h"

#include "base/identity.h"

static const struct {
	const char *other;
	bool differs;
} cases[] = {
	{ "7412/16384/shop", false },
	{ "7412/16384/renamed", false },
	{ "7412/16385/shop", true },
	{ "7413/16384/shop", true },
	{ "0/16384/shop", false }, /* not known there */
	{ "0/16384/stock", true },
	{ "0/16385/shop", true },
	/* Of an older signalbus, or of other programs. */
	{ "", false },
	{ "7413/", false },
	{ "7413/16384", false },
	{ "/16385/shop", false },
	{ "consumer/7/x", false },
};

START_TEST(databases_are_told_apart)
{
	ck_assert_int_eq(identity_differs("7412/16384/shop", cases[_i].other), cases[_i].differs);
	ck_assert_int_eq(identity_differs(cases[_i].other, "7412/16384/shop"), cases[_i].differs);
}
END_TEST

static const struct {
	const char *identity, *text;
} descriptions[] = {
	{ "7412/16384/my/shop", "\"my/shop\" (oid 16384, system identifier 7412)" },
	{ "0/16384/shop", "\"shop\" (oid 16384)" },
};

START_TEST(people_read_it)
{
	struct text t = { 0 };
	identity_describe(descriptions[_i].identity, &t);
	ck_assert_str_eq(t.text, descriptions[_i].text);
	text_free(&t);
}
END_TEST

int main(void)
{
	const struct test tests[] = {
		{ databases_are_told_apart, COUNT(cases), 0 },
		{ people_read_it, COUNT(descriptions), 0 },
	};
	return suite_run("identity", tests, COUNT(tests));
}
