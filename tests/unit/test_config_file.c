/*
 * Who may write a configuration, what it may be, and which secrets and properties in it are
 * noticed.
 */
#include "config_fixture.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

#define OTHER_USER 54321

int scripted_fstat(int fd, struct stat *st);
int scripted_statvfs(const char *path, struct statvfs *st);
int scripted_poll(struct pollfd *fds, nfds_t count, int timeout);

static struct {
	bool is_of_another_user;
	bool is_read_only;
	int waited_ms;
} script;

int scripted_fstat(int fd, struct stat *st)
{
	int status = fstatat(fd, "", st, AT_EMPTY_PATH);
	if (script.is_of_another_user)
		st->st_uid = OTHER_USER;
	return status;
}

int scripted_statvfs(const char *path, struct statvfs *st)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int status = fstatvfs(fd, st);
	close(fd);
	st->f_flag = script.is_read_only ? st->f_flag | ST_RDONLY
					 : st->f_flag & ~(unsigned long)ST_RDONLY;
	return status;
}

/* Nobody has written anything when the time is over. */
int scripted_poll(struct pollfd *fds, nfds_t count, int timeout)
{
	struct stat st;
	ck_assert_uint_eq(count, 1);
	ck_assert_int_eq(fstatat(fds[0].fd, "", &st, AT_EMPTY_PATH), 0);
	fds[0].revents = POLLIN;
	if (!S_ISFIFO(st.st_mode))
		return 1;
	script.waited_ms = timeout;
	return 0;
}

static const struct {
	mode_t mode;
	bool is_refused;
} modes[] = { { 0600, false }, { 0400, false }, { 0640, false }, { 0644, false }, { 0444, false },
	{ 0602, true }, { 0620, true }, { 0660, true }, { 0664, true }, { 0666, true } };

/* The file itself, and one that it includes. */
START_TEST(a_file_that_others_may_write_is_refused)
{
	static const char *const names[] = { "bus.conf", "part" };
	for (size_t i = 0; i < COUNT(names); i++) {
		struct fixture f;
		fixture_init(&f);
		fixture_write(&f, "part", "timeout = 5.0;\n");
		fixture_write(&f, "bus.conf", KAFKA MODELS "@include \"part\"\n");
		char *path = fixture_path(&f, names[i]);
		ck_assert_int_eq(chmod(path, modes[_i].mode), 0);
		fixture_load(&f);
		char *expected = modes[_i].is_refused
					 ? text_format("%s: others may change it (its mode is "
						       "%04o); run chmod go-w %s\n",
						   names[i], modes[_i].mode, path)
					 : text_copy("");
		char *problems = fixture_problems(&f);
		ck_assert_str_eq(problems, expected);
		free(problems);
		free(expected);
		free(path);
		fixture_free(&f);
	}
}
END_TEST

/* How @include writes its name, and the name in the folder. */
static const struct {
	const char *written, *name;
} odd_names[] = { { "x\\\"y", "x\"y" }, { "x\\\\y", "x\\y" }, { "x\\\\\\\"", "x\\\"" },
	{ "x\ny", "x\ny" } };

/* libconfig decides which file is included; a quotation mark in its name hides it from nobody. */
START_TEST(a_file_with_an_odd_name_is_refused)
{
	struct fixture f;
	fixture_init(&f);
	char *content = text_format(KAFKA MODELS "@include \"%s\"\n", odd_names[_i].written);
	fixture_write(&f, "bus.conf", content);
	fixture_write(&f, odd_names[_i].name, "timeout = 5.0;\n");
	char *path = fixture_path(&f, odd_names[_i].name);
	ck_assert_int_eq(chmod(path, 0666), 0);
	fixture_load(&f);
	ck_assert_uint_eq(f.problems.count, 1);
	ck_assert_ptr_nonnull(strstr(f.problems.lines[0], "others may change it"));
	ck_assert_int_eq(chmod(path, 0600), 0);
	problems_free(&f.problems);
	fixture_expect(&f, content, "");
	free(path);
	free(content);
	fixture_free(&f);
}
END_TEST

START_TEST(a_file_of_another_user_is_refused)
{
	struct fixture f;
	fixture_init(&f);
	script.is_of_another_user = true;
	char *expected = text_format("bus.conf: its owner, uid %d, is neither root nor the user of "
				     "this process, and may change it; run chown %u %s\n",
		OTHER_USER, geteuid(), f.file);
	fixture_expect(&f, KAFKA MODELS, expected);
	free(expected);
	fixture_free(&f);
}
END_TEST

static const struct {
	mode_t mode;
	bool is_read_only, is_refused;
} folders[] = { { 0777, false, true }, { 0703, false, true }, { 01777, false, false },
	{ 0777, true, false }, { 0775, false, false } };

/* In a folder of a volume of Kubernetes all may write, if they could. */
START_TEST(a_file_that_others_may_replace_is_refused)
{
	struct fixture f;
	fixture_init(&f);
	script.is_read_only = folders[_i].is_read_only;
	ck_assert_int_eq(chmod(f.folder, folders[_i].mode), 0);
	fixture_expect(&f, KAFKA MODELS,
		folders[_i].is_refused ? "bus.conf: others may replace it, as everybody may write "
					 "to its folder; run chmod o-w on the folder\n"
				       : "");
	fixture_free(&f);
}
END_TEST

/* Neither is waited for. */
START_TEST(what_is_included_is_a_regular_file)
{
	struct fixture f;
	fixture_init(&f);
	char *part = fixture_path(&f, "part");
	ck_assert_int_eq(mkfifo(part, 0600), 0);
	alarm(20);
	fixture_write(
		&f, "bus.conf", KAFKA MODELS "@include \"part\"\n@include \"../../dev/zero\"\n");
	fixture_load(&f);
	alarm(0);
	ck_assert_uint_eq(f.problems.count, 2);
	ck_assert_str_eq(f.problems.lines[0] + strlen(f.folder) + 1, "part: is no regular file");
	ck_assert_ptr_nonnull(strstr(f.problems.lines[1], "dev/zero: is no regular file"));
	free(part);
	fixture_free(&f);
}
END_TEST

START_TEST(a_pipe_that_nobody_writes_to_is_given_up)
{
	struct fixture f;
	fixture_init(&f);
	ck_assert_int_eq(mkfifo(f.file, 0600), 0);
	fixture_load(&f);
	ck_assert_uint_eq(f.problems.count, 1);
	ck_assert_ptr_nonnull(strstr(f.problems.lines[0],
		"bus.conf: cannot read the configuration: Connection timed out"));
	ck_assert_int_eq(script.waited_ms, 10000);
	fixture_free(&f);
}
END_TEST

/* Also if allow_kafka_properties is after them; and it has no other names. */
START_TEST(properties_that_execute_code_have_to_be_allowed)
{
	static const char refused[] =
		"kafka.plugin_library_paths executes or loads a program; if that is meant, set "
		"allow_kafka_properties = ( \"plugin_library_paths\" )\n";
	struct fixture f;
	fixture_init(&f);
	fixture_write(&f, "bus.conf",
		MODELS "kafka = { bootstrap_servers = \"b\";\nplugin_library_paths = \"x\";\n"
		       "ssl_providers = \"y\"; };\n"
		       "allow_kafka_properties = ( \"ssl_providers\", \"acks\" );\n");
	fixture_load(&f);
	char *problems = fixture_problems(&f);
	char *expected = text_format("bus.conf:3: %sbus.conf:5: allow_kafka_properties must be one "
				     "of \"plugin_library_paths\", \"sasl_kerberos_kinit_cmd\", "
				     "\"ssl_engine_location\", \"ssl_providers\", not \"acks\"\n",
		refused);
	ck_assert_str_eq(problems, expected);
	free(expected);
	free(problems);
	fixture_free(&f);
	fixture_init(&f);
	fixture_expect(&f,
		MODELS "kafka = { bootstrap_servers = \"b\"; plugin_library_paths = \"x\"; };\n"
		       "allow_kafka_properties = [ \"plugin_library_paths\" ];\n",
		"");
	ck_assert_str_eq(f.config->kafka[1].value, "x");
	fixture_free(&f);
}
END_TEST

/* Each once: those of { file }, and those that librdkafka reads. */
START_TEST(files_of_secrets_and_keys_are_noticed)
{
	struct fixture f;
	fixture_init(&f);
	fixture_write(&f, "secret", "hidden\n");
	char *content = text_format(
		"kafka = { bootstrap_servers = \"b\"; ssl_key_location = \"/k.pem\";\n"
		"sasl_password = { file = \"%s/secret\"; }; ssl_key_password = { file = "
		"\"%s/secret\"; };\nssl_ca_location = \"/ca.pem\"; };\n" MODELS,
		f.folder, f.folder);
	fixture_expect(&f, content, "");
	const struct strings *files = &f.config->secret_files;
	char *secret = fixture_path(&f, "secret");
	ck_assert_uint_eq(files->count, 2);
	ck_assert_str_eq(files->items[0], "/k.pem");
	ck_assert_str_eq(files->items[1], secret);
	free(secret);
	free(content);
	fixture_free(&f);
}
END_TEST

int main(void)
{
	const struct test tests[] = {
		{ a_file_that_others_may_write_is_refused, COUNT(modes), 0 },
		{ a_file_of_another_user_is_refused, 1, 0 },
		{ a_file_that_others_may_replace_is_refused, COUNT(folders), 0 },
		{ a_file_with_an_odd_name_is_refused, COUNT(odd_names), 0 },
		{ what_is_included_is_a_regular_file, 1, 0 },
		{ a_pipe_that_nobody_writes_to_is_given_up, 1, 0 },
		{ properties_that_execute_code_have_to_be_allowed, 1, 0 },
		{ files_of_secrets_and_keys_are_noticed, 1, 0 },
	};
	return suite_run("config_file", tests, COUNT(tests));
}
