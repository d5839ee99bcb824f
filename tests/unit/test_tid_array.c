#include "postgres/tid_array.h"

#include "suite.h"

START_TEST(tids_become_an_array)
{
	static const char expected[] = "\0\0\0\1\0\0\0\0\0\0\0\33\0\0\0\2\0\0\0\1"
				       "\0\0\0\6\0\0\0\0\0\1"
				       "\0\0\0\6\xff\xff\xff\xfe\xff\xff";
	struct text t = { 0 };
	tid_array_add(&t, "(0,1)");
	tid_array_add(&t, "(4294967294,65535)");
	ck_assert_uint_eq(t.length, sizeof expected - 1);
	ck_assert_mem_eq(t.text, expected, t.length);
	text_free(&t);
}
END_TEST

int main(void)
{
	const struct test tests[] = {
		{ tids_become_an_array, 1, 0 },
	};
	return suite_run("tid_array", tests, COUNT(tests));
}
