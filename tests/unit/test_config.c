#include "base/log.h"
#include "config_cases.h"
#include "config_fixture.h"

START_TEST(a_mistake_is_a_line_with_its_place)
{
	struct fixture f;
	fixture_init(&f);
	fixture_expect(&f, mistakes[_i].content, mistakes[_i].problems);
	fixture_free(&f);
}
END_TEST

START_TEST(a_wrong_type_says_what_is_required)
{
	struct fixture f;
	fixture_init(&f);
	char *content =
		text_format("%s%s = %s;\n%s", types[_i].in_model ? KAFKA MODEL : KAFKA MODELS,
			types[_i].setting, types[_i].value, types[_i].in_model ? "} );\n" : "");
	char *expected = text_format("bus.conf:3: %s must be %s, not %s\n", types[_i].setting,
		types[_i].expected, types[_i].found);
	fixture_expect(&f, content, expected);
	free(content);
	free(expected);
	fixture_free(&f);
}
END_TEST

START_TEST(numbers_have_limits)
{
	struct fixture f;
	fixture_init(&f);
	char *content = text_format(KAFKA "%s\n" MODELS, ranges[_i].line);
	fixture_expect(&f, content, ranges[_i].problem);
	free(content);
	fixture_free(&f);
}
END_TEST

static struct config *load(struct fixture *f, const char *content)
{
	fixture_init(f);
	fixture_expect(f, content, "");
	return f->config;
}

START_TEST(what_is_not_set_has_its_preset)
{
	struct fixture f;
	const struct config *c = load(&f, KAFKA MODELS);
	const struct model_config *m = &c->models[0];
	ck_assert_str_eq(c->file, f.file);
	ck_assert_str_eq(c->database.text, "");
	ck_assert_str_eq(c->instance, "signalbus");
	ck_assert_double_eq(c->timeout, 30);
	ck_assert_int_eq(c->log_level, -1);
	ck_assert_int_eq(c->log_format, LOG_FORMAT_TEXT);
	ck_assert(c->autoflush);
	ck_assert_int_eq(c->delivery, DELIVERY_AT_LEAST_ONCE);
	ck_assert_int_eq(c->workers, 2);
	ck_assert_double_eq(c->poll_interval, 1);
	ck_assert_str_eq(c->notify_channel, "signalbus");
	ck_assert_ptr_null(c->metrics_listen);
	ck_assert_uint_eq(c->secret_files.count, 0);
	ck_assert_uint_eq(c->model_count, 1);
	ck_assert_str_eq(m->name, "A");
	ck_assert_str_eq(m->table, "a");
	ck_assert_str_eq(m->topic, "A");
	ck_assert_ptr_null(m->key);
	ck_assert_int_eq(m->burst_count, 1);
	ck_assert_int_eq(m->burst_bytes, 16777216);
	ck_assert(m->autoflush);
	ck_assert_uint_eq(m->order_by.count, 0);
	fixture_free(&f);
}
END_TEST

START_TEST(what_is_set_is_read)
{
	struct fixture f;
	const struct config *c = load(&f,
		"database = \"dbname=shop\"; instance = \"b\"; timeout = 2.5;\n"
		"log_level = \"debug\"; log_format = \"json\";\nautoflush = false; workers = 5; "
		"poll_interval = 7;\n"
		"notify_channel = \"\"; metrics_listen = \"[::1]:9464\";\n" KAFKA
		"models = ( { name = \"A\"; table = \"s.a\"; topic = \"t\"; key = \"k\";\n"
		"burst_count = 500; burst_bytes = 7; autoflush = false; order_by = ( \"x DESC\", "
		"\"id\" ); },\n"
		"{ name = \"B\"; table = \"b\"; order_by = [ \"id\" ]; } );\n");
	const struct model_config *m = &c->models[0];
	ck_assert_str_eq(c->database.text, "dbname=shop");
	ck_assert_str_eq(c->instance, "b");
	ck_assert_double_eq(c->timeout, 2.5);
	ck_assert_int_eq(c->log_level, LOG_LEVEL_DEBUG);
	ck_assert_int_eq(c->log_format, LOG_FORMAT_JSON);
	ck_assert(!c->autoflush);
	ck_assert_int_eq(c->workers, 5);
	ck_assert_double_eq(c->poll_interval, 7);
	ck_assert_str_eq(c->notify_channel, "");
	ck_assert_str_eq(c->metrics_listen, "[::1]:9464");
	ck_assert_uint_eq(c->model_count, 2);
	ck_assert_str_eq(m->table, "s.a");
	ck_assert_str_eq(m->topic, "t");
	ck_assert_str_eq(m->key, "k");
	ck_assert_int_eq(m->burst_count, 500);
	ck_assert_int_eq(m->burst_bytes, 7);
	ck_assert(!m->autoflush);
	ck_assert_uint_eq(m->order_by.count, 2);
	ck_assert_str_eq(m->order_by.items[0], "x DESC");
	ck_assert_str_eq(m->order_by.items[1], "id");
	ck_assert_str_eq(c->models[1].name, "B");
	ck_assert_uint_eq(c->models[1].order_by.count, 1);
	fixture_free(&f);
}
END_TEST

/* Wherever the group stands in the file. */
START_TEST(defaults_apply_if_a_model_sets_none)
{
	struct fixture f;
	const struct config *c = load(&f,
		KAFKA "models = ( { name = \"A\"; table = \"a\"; },\n"
		      "{ name = \"B\"; table = \"b\"; topic = \"own\"; burst_count = 7;\n"
		      "autoflush = true; order_by = ( \"y\" ); } );\n"
		      "defaults = { topic = \"all\"; burst_count = 500; autoflush = false;\n"
		      "key = \"k\"; order_by = ( \"x\", \"z\" ); };\n");
	const struct model_config *a = &c->models[0], *b = &c->models[1];
	ck_assert_str_eq(a->topic, "all");
	ck_assert_int_eq(a->burst_count, 500);
	ck_assert(!a->autoflush);
	ck_assert_str_eq(a->key, "k");
	ck_assert_uint_eq(a->order_by.count, 2);
	ck_assert_str_eq(b->topic, "own");
	ck_assert_int_eq(b->burst_count, 7);
	ck_assert(b->autoflush);
	ck_assert_str_eq(b->key, "k");
	ck_assert_uint_eq(b->order_by.count, 1);
	ck_assert_str_eq(b->order_by.items[0], "y");
	fixture_free(&f);
}
END_TEST

START_TEST(a_setting_has_a_place_and_else_its_model_has)
{
	struct fixture f;
	const struct config *c =
		load(&f, KAFKA "models = (\n{ name = \"A\";\n  table = \"a\"; },\n"
			       "{ name = \"B\"; table = \"b\";\n  key = \"k\"; } );\n");
	ck_assert_uint_eq(config_place(c, &c->models[0], "table").line, 4);
	ck_assert_uint_eq(config_place(c, &c->models[0], "key").line, 3);
	ck_assert_uint_eq(config_place(c, &c->models[1], "key").line, 6);
	ck_assert_str_eq(config_place(c, &c->models[1], "key").file, f.file);
	fixture_free(&f);
}
END_TEST

START_TEST(a_file_that_cannot_be_read_is_a_problem)
{
	struct problems problems = { 0 };
	ck_assert_ptr_null(config_load(unreadable[_i].path, &checks, &problems));
	char *expected = text_format("%s:%s", unreadable[_i].path, unreadable[_i].problem);
	ck_assert_uint_ge(problems.count, 1);
	ck_assert_str_eq(problems.lines[0], expected);
	free(expected);
	problems_free(&problems);
}
END_TEST

START_TEST(a_file_with_nul_bytes_is_no_text)
{
	static const char content[] = KAFKA "\0" MODELS;
	struct fixture f;
	fixture_init(&f);
	fixture_write_bytes(&f, "bus.conf", content, sizeof content - 1);
	fixture_load(&f);
	char *problems = fixture_problems(&f);
	ck_assert_str_eq(problems, "bus.conf:1: the configuration is not text: it has NUL bytes\n");
	free(problems);
	fixture_free(&f);
}
END_TEST

START_TEST(a_file_may_have_16_mebibytes)
{
	const size_t limit = 16 << 20;
	struct text content = { 0 };
	struct fixture f;
	fixture_init(&f);
	text_addf(&content, KAFKA MODELS);
	while (content.length < limit)
		text_add(&content, "\n", 1);
	fixture_expect(&f, content.text, "");
	config_free(f.config);
	text_add(&content, "\n", 1);
	fixture_expect(&f, content.text, "bus.conf:1: the configuration is larger than 16 MiB\n");
	text_free(&content);
	fixture_free(&f);
}
END_TEST

START_TEST(a_configuration_may_come_through_a_pipe)
{
	int ends[2];
	struct problems problems = { 0 };
	ck_assert_int_eq(pipe(ends), 0);
	ck_assert_int_gt(write(ends[1], KAFKA MODELS, strlen(KAFKA MODELS)), 0);
	close(ends[1]);
	char *path = text_format("/dev/fd/%d", ends[0]);
	struct config *c = config_load(path, &checks, &problems);
	ck_assert_ptr_nonnull(c);
	ck_assert_str_eq(c->models[0].name, "A");
	config_free(c);
	free(path);
	close(ends[0]);
}
END_TEST

START_TEST(deep_nesting_is_a_problem_and_no_crash)
{
	struct text content = { 0 };
	text_add(&content, "", 0);
	struct fixture f;
	fixture_init(&f);
	for (size_t i = 0; i < nests[_i].depth; i++)
		text_add(&content, nests[_i].open, strlen(nests[_i].open));
	for (size_t i = 0; i < nests[_i].depth; i++)
		text_add(&content, nests[_i].close, strlen(nests[_i].close));
	fixture_write(&f, "bus.conf", content.text);
	fixture_load(&f);
	ck_assert_uint_gt(f.problems.count, 0);
	text_free(&content);
	fixture_free(&f);
}
END_TEST

START_TEST(problems_of_an_included_file_are_reported_with_its_name)
{
	struct fixture f;
	fixture_init(&f);
	fixture_write(&f, "part", includes[_i].part);
	fixture_expect(&f, includes[_i].content, includes[_i].problems);
	fixture_free(&f);
}
END_TEST

START_TEST(a_syntax_error_is_shown_and_explained)
{
	struct fixture f;
	fixture_init(&f);
	unsigned line = syntax_errors[_i].line, column = syntax_errors[_i].column;
	struct text expected = { 0 };
	text_addf(&expected, "bus.conf:%u: syntax error: %s\n", line, syntax_errors[_i].cause);
	const char *text = syntax_errors[_i].content;
	for (unsigned i = 1; i < line; i++)
		text = strchr(text, '\n') + 1;
	if (column > 0)
		text_addf(&expected, "bus.conf:%u:   %.*s\nbus.conf:%u:   %*s\n", line,
			(int)strcspn(text, "\n"), text, line, (int)column, "^");
	fixture_expect(&f, syntax_errors[_i].content, expected.text);
	text_free(&expected);
	fixture_free(&f);
}
END_TEST

START_TEST(a_bracket_in_an_included_file_is_named_with_the_file)
{
	struct fixture f;
	fixture_init(&f);
	fixture_write(&f, "part", "\nmodels = ( 1\n");
	char *expected =
		text_format("bus.conf:2: syntax error: missing \")\" for the \"(\" in line "
			    "2 of %s/part\nbus.conf:2:   };\nbus.conf:2:   ^\n",
			f.folder);
	fixture_expect(&f, "@include \"part\"\n};\n", expected);
	free(expected);
	fixture_free(&f);
}
END_TEST

START_TEST(a_file_that_cannot_be_included_is_named)
{
	struct fixture f;
	fixture_init(&f);
	char *expected = text_format(
		"bus.conf:3: cannot include %s/nowhere: No such file or directory\n", f.folder);
	fixture_expect(&f, KAFKA MODELS "@include \"nowhere\"\n", expected);
	free(expected);
	fixture_free(&f);
}
END_TEST

START_TEST(only_the_part_of_a_long_line_is_shown)
{
	struct fixture f;
	fixture_init(&f);
	struct text content = { 0 }, expected = { 0 };
	for (int i = 0; i < 100; i++)
		text_addf(&content, "\t");
	text_addf(&content, "x = \"%0100d é\" = %0100d;\n", 0, 1);
	text_addf(&expected,
		"bus.conf:1: syntax error: the name of a setting is missing\nbus.conf:1:   …");
	text_addf(&expected, "%055d é\" = %039d\nbus.conf:1:   %61s\n", 0, 0, "^");
	fixture_expect(&f, content.text, expected.text);
	text_free(&content);
	text_free(&expected);
	fixture_free(&f);
}
END_TEST

START_TEST(including_a_folder_is_a_problem)
{
	struct fixture f;
	fixture_init(&f);
	fixture_expect(&f, KAFKA MODELS "@include \".\"\n",
		".: cannot read the configuration: Is a directory\n");
	fixture_free(&f);
}
END_TEST

/* Found out in no time, though there are eight ways at each of ten levels. */
START_TEST(a_file_that_includes_itself_is_a_problem)
{
	struct text content = { 0 };
	struct fixture f;
	fixture_init(&f);
	for (int i = 0; i < 8; i++)
		text_addf(&content, "@include \"bus.conf\"\n");
	fixture_write(&f, "bus.conf", content.text);
	alarm(20);
	fixture_load(&f);
	alarm(0);
	ck_assert_uint_eq(f.problems.count, 1);
	text_free(&content);
	fixture_free(&f);
}
END_TEST

/* The configuration whose database is secret number i, and what is said of it. */
static void write_secret(const struct fixture *f, int i, char **content, struct text *problem)
{
	const char *from = secrets[i].from, *name = secrets[i].name;
	char *path = name[0] != '/'             ? fixture_path(f, name)
		     : strcmp(from, "env") == 0 ? text_copy(name + 1)
						: text_copy(name);
	const char *expected = secrets[i].problem != NULL ? secrets[i].problem : "";
	const char *gap = strstr(expected, "%s");
	*content = text_format(KAFKA MODELS "database = { %s = \"%s\"; };\n", from, path);
	text_add(problem, "", 0);
	if (gap != NULL)
		text_addf(problem, "bus.conf:3: %.*s%s%s\n", (int)(gap - expected), expected, path,
			gap + 2);
	fixture_write(f, "secret", secrets[i].content);
	free(path);
}

/* Read it again, as each connection does. */
static void expect_login(const struct config *c, const char *expected)
{
	struct error e;
	struct credentials_values v;
	ck_assert_msg(credentials_read(c->login, 1, &v, &e), "%s", e.text);
	ck_assert_str_eq(v.values[0], expected);
	credentials_values_free(&v);
}

START_TEST(a_secret_is_read_from_a_file_or_the_environment)
{
	struct fixture f;
	struct text problem = { 0 };
	char *content;
	setenv("SIGNALBUS_TEST_SECRET", " from the environment ", 1);
	setenv("SIGNALBUS_TEST_EMPTY", "", 1);
	unsetenv("SIGNALBUS_TEST_UNSET");
	fixture_init(&f);
	write_secret(&f, _i, &content, &problem);
	fixture_expect(&f, content, problem.text);
	if (f.config != NULL) {
		expect_login(f.config, secrets[_i].secret);
		ck_assert_uint_eq(
			f.config->secret_files.count, strcmp(secrets[_i].from, "file") == 0);
	}
	free(content);
	text_free(&problem);
	fixture_free(&f);
}
END_TEST

/* A secret of 65535 bytes is taken whole, a longer one is refused and not cut. */
START_TEST(a_secret_too_long_is_refused)
{
	static char secret[SECRET_SIZE + 1];
	struct fixture f;
	fixture_init(&f);
	memset(secret, 's', sizeof secret - 1);
	secret[sizeof secret - 1] = '\0';
	char *content =
		text_format(KAFKA MODELS "database = { file = \"%s/secret\"; };\n", f.folder);
	fixture_write_bytes(&f, "secret", secret, SECRET_SIZE);
	fixture_write(&f, "bus.conf", content);
	fixture_load(&f);
	ck_assert_ptr_null(f.config);
	problems_free(&f.problems);
	fixture_write_bytes(&f, "secret", secret, SECRET_SIZE - 1);
	secret[SECRET_SIZE - 1] = '\0';
	fixture_load(&f);
	ck_assert_ptr_nonnull(f.config);
	expect_login(f.config, secret);
	free(content);
	fixture_free(&f);
}
END_TEST

START_TEST(a_password_in_the_file_is_noticed)
{
	struct fixture f;
	bool has_kafka = passwords[_i].line[0] == 'k';
	char *content = text_format("%s\n%s" MODELS, passwords[_i].line, has_kafka ? "" : KAFKA);
	setenv("HOME", "/root", 1);
	const struct config *c = load(&f, content);
	ck_assert_uint_eq(c->secret_files.count, passwords[_i].holds ? 1 : 0);
	if (passwords[_i].holds)
		ck_assert_str_eq(c->secret_files.items[0], f.file);
	free(content);
	fixture_free(&f);
}
END_TEST

/* Each once, and no file that only includes it. */
START_TEST(the_files_that_hold_passwords_are_named)
{
	struct fixture f;
	fixture_init(&f);
	char *part = fixture_path(&f, "part"), *other = fixture_path(&f, "other");
	fixture_write(&f, "part", "sasl_password = \"p\";\nssl_key_pem = \"k\";\n");
	fixture_write(&f, "other", "database = \"password=p\";\n");
	fixture_expect(&f,
		"kafka = { bootstrap_servers = \"b:1\";\n@include \"part\"\n};\n" MODELS
		"@include \"other\"\n",
		"");
	const struct strings *files = &f.config->secret_files;
	ck_assert_uint_eq(files->count, 2);
	ck_assert_str_eq(files->items[0], part);
	ck_assert_str_eq(files->items[1], other);
	free(part);
	free(other);
	fixture_free(&f);
}
END_TEST

START_TEST(kafka_properties_are_text_under_the_names_of_librdkafka)
{
	static const char *const expected[][2] = { { "bootstrap.servers", "b:1,c:2" },
		{ "linger.ms", "5" }, { "message.max.bytes", "-3000000000" },
		{ "queue.buffering.max.kbytes", "16" }, { "some.share", "0.25" },
		{ "enable.idempotence", "true" }, { "socket.keepalive.enable", "false" },
		{ "client.id", "a_b" }, { "sasl.password", "from env" }, { "empty", "" },
		{ "under_line", "3" } };
	struct fixture f;
	setenv("SIGNALBUS_TEST_SECRET", "from env", 1);
	const struct config *c = load(&f,
		MODELS "kafka = { bootstrap_servers = \"b:1,c:2\";\nlinger_ms = 5;\n"
		       "message_max_bytes = -3000000000L;\nqueue_buffering_max_kbytes = 0x10;\n"
		       "some_share = 0.25;\nenable_idempotence = true;\n"
		       "socket_keepalive_enable = false;\nclient_id = \"a_b\";\n"
		       "sasl_password = { env = \"SIGNALBUS_TEST_SECRET\"; };\nempty = "
		       "\"\";\nunder_line = 3; };\n");
	ck_assert_uint_eq(c->kafka_count, COUNT(expected));
	for (size_t i = 0; i < COUNT(expected); i++) {
		ck_assert_str_eq(c->kafka[i].name, expected[i][0]);
		ck_assert_str_eq(c->kafka[i].value, expected[i][1]);
		ck_assert_uint_eq(c->kafka[i].place.line, i + 2);
		ck_assert_str_eq(c->kafka[i].place.file, f.file);
	}
	fixture_free(&f);
}
END_TEST

START_TEST(each_kafka_property_that_the_producer_refuses_is_a_problem)
{
	struct fixture f;
	fixture_init(&f);
	fixture_expect(&f,
		"kafka = { metadata_broker_list = \"b:1\";\nwrong_one = 5L;\nright = 1;\n"
		"wrong_two_three = false;\nwrong_four = ( 1 );\nwrong_five = { };\n"
		"wrong_six = { env = \"SIGNALBUS_TEST_UNSET\"; };\n"
		"right_not = \"never\";\nunder_not = \"never\"; };\n" MODELS,
		"bus.conf:2: kafka.wrong_one: no such property: \"wrong.one\" = \"5\"\n"
		"bus.conf:4: kafka.wrong_two_three: no such property: \"wrong.two.three\" = "
		"\"false\"\n"
		"bus.conf:5: kafka.wrong_four must be " SECRET_FORMS ", not a list\n"
		"bus.conf:6: kafka.wrong_five must be " SECRET_FORMS ", not a group\n"
		"bus.conf:7: kafka.wrong_six: environment variable SIGNALBUS_TEST_UNSET is not "
		"set\n"
		"bus.conf:8: kafka.right_not: \"right.not\" may not be never\n"
		"bus.conf:9: kafka.under_not: \"under_not\" may not be never\n");
	fixture_free(&f);
}
END_TEST

int main(void)
{
	const struct test tests[] = {
		{ a_mistake_is_a_line_with_its_place, COUNT(mistakes), 0 },
		{ a_wrong_type_says_what_is_required, COUNT(types), 0 },
		{ numbers_have_limits, COUNT(ranges), 0 },
		{ what_is_not_set_has_its_preset, 1, 0 },
		{ what_is_set_is_read, 1, 0 },
		{ defaults_apply_if_a_model_sets_none, 1, 0 },
		{ a_setting_has_a_place_and_else_its_model_has, 1, 0 },
		{ a_file_that_cannot_be_read_is_a_problem, COUNT(unreadable), 0 },
		{ a_file_with_nul_bytes_is_no_text, 1, 0 },
		{ a_file_may_have_16_mebibytes, 1, 0 },
		{ a_configuration_may_come_through_a_pipe, 1, 0 },
		{ deep_nesting_is_a_problem_and_no_crash, COUNT(nests), 0 },
		{ problems_of_an_included_file_are_reported_with_its_name, COUNT(includes), 0 },
		{ a_syntax_error_is_shown_and_explained, COUNT(syntax_errors), 0 },
		{ a_bracket_in_an_included_file_is_named_with_the_file, 1, 0 },
		{ a_file_that_cannot_be_included_is_named, 1, 0 },
		{ only_the_part_of_a_long_line_is_shown, 1, 0 },
		{ including_a_folder_is_a_problem, 1, 0 },
		{ a_file_that_includes_itself_is_a_problem, 1, 0 },
		{ a_secret_is_read_from_a_file_or_the_environment, COUNT(secrets), 0 },
		{ a_secret_too_long_is_refused, 1, 0 },
		{ a_password_in_the_file_is_noticed, COUNT(passwords), 0 },
		{ the_files_that_hold_passwords_are_named, 1, 0 },
		{ kafka_properties_are_text_under_the_names_of_librdkafka, 1, 0 },
		{ each_kafka_property_that_the_producer_refuses_is_a_problem, 1, 0 },
	};
	return suite_run("config", tests, COUNT(tests));
}
