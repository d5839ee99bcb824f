/*
 * Who may write a configuration, what it may be, and which secrets and properties in it are
 * noticed.
 */
#include "config/config_file.h"

#include "config_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

#define OTHER_USER 54321

int scripted_open(const char *path, int flags, ...);
int scripted_access(const char *path, int mode);
int scripted_fstat(int fd, struct stat *st);
int scripted_lstat(const char *path, struct stat *st);
int scripted_stat(const char *path, struct stat *st);
int scripted_statvfs(const char *path, struct statvfs *st);
int scripted_poll(struct pollfd *fds, nfds_t count, int timeout);

static struct {
	bool is_of_another_user, is_link_of_another_user, is_folder_of_another_user;
	bool is_read_only;
	bool is_denied;
	int waited_ms;
} script;

int scripted_open(const char *path, int flags, ...)
{
	errno = EACCES;
	return script.is_denied ? -1 : openat(AT_FDCWD, path, flags);
}

int scripted_access(const char *path, int mode)
{
	errno = EACCES;
	return script.is_denied ? -1 : faccessat(AT_FDCWD, path, mode, 0);
}

int scripted_fstat(int fd, struct stat *st)
{
	int status = fstatat(fd, "", st, AT_EMPTY_PATH);
	if (script.is_of_another_user)
		st->st_uid = OTHER_USER;
	return status;
}

int scripted_lstat(const char *path, struct stat *st)
{
	int status = fstatat(AT_FDCWD, path, st, AT_SYMLINK_NOFOLLOW);
	if (script.is_link_of_another_user && S_ISLNK(st->st_mode))
		st->st_uid = OTHER_USER;
	return status;
}

int scripted_stat(const char *path, struct stat *st)
{
	int status = fstatat(AT_FDCWD, path, st, 0);
	if (script.is_folder_of_another_user && S_ISDIR(st->st_mode))
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
} odd_names[] = { { "x\\\"y", "x\"y" }, { "x\\\\y", "x\\y" }, { "x\\\\\\\"", "x\\\"" } };

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

/* For libconfig the name continues in the next line. */
START_TEST(an_include_ends_in_its_line)
{
	static const char problem[] =
		"bus.conf:4: the name after @include has no closing quote in its line\n";
	struct fixture f;
	fixture_init(&f);
	fixture_write(&f, "x\ny", "\"id\"\n");
	fixture_write(&f, "bus.conf",
		KAFKA "models = ( { name = \"A\"; table = \"a\"; order_by = (\n\n"
		      "@include \"x\ny\"\n); } );\n");
	fixture_load(&f);
	char *problems = fixture_problems(&f);
	ck_assert_str_eq(problems, problem);
	free(problems);
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
} folder_modes[] = { { 0777, false, true }, { 0703, false, true }, { 01777, false, false },
	{ 0777, true, false }, { 0775, false, false } };

/* In a folder of a volume of Kubernetes all may write, if they could. */
START_TEST(a_file_that_others_may_replace_is_refused)
{
	struct fixture f;
	fixture_init(&f);
	script.is_read_only = folder_modes[_i].is_read_only;
	ck_assert_int_eq(chmod(f.folder, folder_modes[_i].mode), 0);
	char *problem = text_format("bus.conf: others may replace it, as everybody may write to "
				    "the folder %s; run chmod o-w %s\n",
		f.folder, f.folder);
	fixture_expect(&f, KAFKA MODELS, folder_modes[_i].is_refused ? problem : "");
	free(problem);
	fixture_free(&f);
}
END_TEST

START_TEST(a_file_in_a_folder_of_another_user_is_refused)
{
	struct fixture f;
	fixture_init(&f);
	script.is_folder_of_another_user = true;
	char *problem = text_format("bus.conf: others may replace it, as uid %d owns the folder "
				    "%s; run chown %u %s\n",
		OTHER_USER, f.folder, geteuid(), f.folder);
	fixture_expect(&f, KAFKA MODELS, problem);
	free(problem);
	fixture_free(&f);
}
END_TEST

static void make_folder(const struct fixture *f, const char *name, mode_t mode)
{
	char *path = fixture_path(f, name);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	ck_assert_int_eq(chmod(path, mode), 0);
	free(path);
}

/* Link a name in the folder to a target. */
static void make_link(const struct fixture *f, const char *name, const char *target)
{
	char *path = fixture_path(f, name);
	ck_assert_int_eq(symlink(target, path), 0);
	free(path);
}

/* The second of two links, or the file that it leads to, is in a folder for everybody. */
static const struct {
	const char *second, *file;
	bool is_refused;
} links[] = { { "open/second", "closed/part", true }, { "closed/second", "open/part", true },
	{ "closed/second", "closed/part", false } };

START_TEST(a_link_to_what_others_may_replace_is_refused)
{
	struct fixture f;
	fixture_init(&f);
	make_folder(&f, "open", 0777);
	make_folder(&f, "closed", 0755);
	fixture_write(&f, links[_i].file, "timeout = 5.0;\n");
	char *file = fixture_path(&f, links[_i].file);
	make_link(&f, links[_i].second, file);
	make_link(&f, "first", links[_i].second);
	fixture_write(&f, "bus.conf", KAFKA MODELS "@include \"first\"\n");
	fixture_load(&f);
	ck_assert_uint_eq(f.problems.count, links[_i].is_refused);
	if (links[_i].is_refused) {
		ck_assert_ptr_nonnull(strstr(f.problems.lines[0],
			"/first: others may replace it, as everybody may write to the folder "));
		ck_assert_ptr_nonnull(strstr(f.problems.lines[0], "/open; run chmod o-w "));
	}
	free(file);
	fixture_free(&f);
}
END_TEST

START_TEST(a_link_of_another_user_is_refused)
{
	struct fixture f;
	fixture_init(&f);
	script.is_link_of_another_user = true;
	fixture_write(&f, "part", "timeout = 5.0;\n");
	make_link(&f, "link", "part");
	fixture_write(&f, "bus.conf", KAFKA MODELS "@include \"link\"\n");
	fixture_load(&f);
	ck_assert_uint_eq(f.problems.count, 1);
	ck_assert_ptr_nonnull(
		strstr(f.problems.lines[0], "/link: others may replace it, as uid 54321 owns the "
					    "link "));
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

#define DENIED                                                                                     \
	"Permission denied; the user that runs signalbus must be able to read it: chgrp "          \
	"signalbus "                                                                               \
	"%s && chmod 640 %s\n"

START_TEST(what_may_not_be_read_has_a_remedy)
{
	struct fixture f;
	fixture_init(&f);
	char *expected =
		text_format("bus.conf: cannot read the configuration: " DENIED, f.file, f.file);
	fixture_write(&f, "bus.conf", KAFKA MODELS);
	script.is_denied = true;
	fixture_load(&f);
	script.is_denied = false;
	char *problems = fixture_problems(&f);
	ck_assert_str_eq(problems, expected);
	free(problems);
	free(expected);
	fixture_free(&f);
}
END_TEST

/* libconfig itself does not get it, either. */
START_TEST(what_may_not_be_included_has_a_remedy)
{
	struct problems problems = { 0 };
	script.is_denied = true;
	ck_assert(file_explain_include(
		(struct place){ "bus.conf", 1 }, "@include \"part\"\n", "/etc/bus", &problems));
	script.is_denied = false;
	char *expected = text_format("bus.conf:1: cannot include /etc/bus/part: " DENIED,
		"/etc/bus/part", "/etc/bus/part");
	ck_assert_uint_eq(problems.count, 1);
	ck_assert_ptr_eq(strstr(expected, problems.lines[0]), expected);
	ck_assert_uint_eq(strlen(problems.lines[0]), strlen(expected) - 1);
	free(expected);
	problems_free(&problems);
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
		{ a_file_that_others_may_replace_is_refused, COUNT(folder_modes), 0 },
		{ a_file_in_a_folder_of_another_user_is_refused, 1, 0 },
		{ a_link_to_what_others_may_replace_is_refused, COUNT(links), 0 },
		{ a_link_of_another_user_is_refused, 1, 0 },
		{ an_include_ends_in_its_line, 1, 0 },
		{ a_file_with_an_odd_name_is_refused, COUNT(odd_names), 0 },
		{ what_is_included_is_a_regular_file, 1, 0 },
		{ what_may_not_be_read_has_a_remedy, 1, 0 },
		{ what_may_not_be_included_has_a_remedy, 1, 0 },
		{ a_pipe_that_nobody_writes_to_is_given_up, 1, 0 },
		{ properties_that_execute_code_have_to_be_allowed, 1, 0 },
		{ files_of_secrets_and_keys_are_noticed, 1, 0 },
	};
	return suite_run("config_file", tests, COUNT(tests));
}
