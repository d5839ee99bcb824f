/*
 * suite - runs the tests of one program, each in a process of its own.
 */
#ifndef SIGNALBUS_TEST_SUITE_H
#define SIGNALBUS_TEST_SUITE_H

#include <check.h>
#include <stddef.h>
#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* Generous, for valgrind: a test that ends at all ends long before. */
#define TEST_TIMEOUT_S 300

struct test {
	const TTest *function;
	size_t rows; /* how often it runs, with _i counting from 0: once a row of its table */
	int signal;  /* that is to end it; 0: none */
};

/* Run them.  Returns what main() is to return. */
static inline int suite_run(const char *name, const struct test *tests, size_t count)
{
	Suite *suite = suite_create(name);
	TCase *all = tcase_create(name);
	tcase_set_timeout(all, TEST_TIMEOUT_S);
	for (size_t i = 0; i < count; i++)
		tcase_add_loop_test_raise_signal(
			all, tests[i].function, tests[i].signal, 0, (int)tests[i].rows);
	suite_add_tcase(suite, all);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
