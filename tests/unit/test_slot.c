#include "base/text.h"
#include "catalog/catalog.h"
#include "store/store.h"

#include "model_fixture.h"
#include "suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The answer to the question for the system identifier: 7412, or an error. */
static struct {
	const char *sqlstate;
	size_t asked;
} server;

struct rows *scripted_catalog_query(struct db *db, struct instant deadline, const char *sql,
	const char *value, struct error *e);
struct rows *scripted_catalog_query(
	struct db *db, struct instant deadline, const char *sql, const char *value, struct error *e)
{
	(void)db, (void)deadline;
	bool is_first = strstr(sql, "pg_control_system") != NULL;
	server.asked += is_first;
	if (is_first && server.sqlstate != NULL) {
		error_set(e, ERROR_DATABASE, "refused");
		snprintf(e->sqlstate, sizeof e->sqlstate, "%s", server.sqlstate);
		return NULL;
	}
	char *answer = is_first ? text_copy("7412") : text_format("%s/16384/shop", value);
	struct rows *r = rows_new(1);
	rows_add(r, &(struct field){ answer, strlen(answer) });
	free(answer);
	return r;
}

/* What is answered, and which identity follows; NULL: none. */
static const struct {
	const char *sqlstate, *identity;
} answers[] = {
	{ NULL, "7412/16384/shop" },
	{ "42501", "0/16384/shop" },
	{ "42883", "0/16384/shop" },
	/* That the server cannot tell now does not mean that it never could. */
	{ "53200", NULL },
	{ "57014", NULL },
	{ "55P03", NULL },
	{ "", NULL },
};

START_TEST(the_identity_of_a_database_is_known_or_an_error)
{
	struct fixture fixture;
	struct error e = { 0 };
	const char *identity = NULL;
	fixture_init(&fixture);
	struct store *s = store_new(&fixture.config);
	server.sqlstate = answers[_i].sqlstate;
	ck_assert_int_eq(store_database(s, &identity, &e), answers[_i].identity != NULL);
	if (answers[_i].identity == NULL) {
		ck_assert_str_eq(e.text, "refused");
		server.sqlstate = NULL;
		ck_assert(store_database(s, &identity, &e)); /* later */
		ck_assert_str_eq(identity, "7412/16384/shop");
	} else {
		ck_assert_str_eq(identity, answers[_i].identity);
		ck_assert(store_database(s, &identity, &e));
		ck_assert_uint_eq(server.asked, 1);
	}
	store_free(s);
}
END_TEST

int main(void)
{
	const struct test tests[] = {
		{ the_identity_of_a_database_is_known_or_an_error, COUNT(answers), 0 },
	};
	return suite_run("slot", tests, COUNT(tests));
}
