#include "base/text.h"
#include "config/config_syntax.h"

#include "suite.h"

#include <stdlib.h>
#include <string.h>

/* The letters of secrets; nothing else has them. */
#define SECRET "ZQXJ"

/* Mistakes next to a secret. */
static const char *const mistakes[] = {
	"sasl_password = \"Z\"QX;XJ\";",
	"sasl_password = \"Z\" QX;XJ\";",
	"sasl_password =\n\"Z\" QX;XJ\";",
	"sasl_password =\n\"Z\";XJ\";",
	"sasl_password =\n\"Z\nQX\" XJ;",
	"sasl_password = \"abc\"ZQ.XJ2\";",
	"sasl_password\n = ZQXJ;",
	"sasl_password =\n'ZQXJ';",
	"sasl_password =\n“ZQXJ”;",
	"sasl_password =\n30ZQXJ;",
	"sasl_password =\n\"ZQXJ\n; where = \" x \"",
	"sasl_pas;sword = \"ZQXJ\";",
	"sasl_pas\nsword = \"ZQXJ\";",
	"database_password =\nZQXJ;",
	"sasl_pwd = ZQ;",
	"kafka = { client_id = \"x\";\n sasl_oauthbearer_client_secret\n= ZQ.XJ; };",
	"database = { command = ( \"sh\", \"-c\",\n 'echo ZQXJ' ); };",
	"database =\n{ command = (\n \"x\",\n ZQXJ ); };",
	"database =\n(\n{ x = 1;\n\n y ZQXJ } );",
	"x = \"postgresql://u:ZQXJ@h/d\" y;",
	"ssl_key_pem = \"--\"\n \"ZQ\"\n XJ\"\n \"QQ\";",
	"ssl_key_pem = \"--\"\n \"ZQ\"\nXJ==\"\n;",
	"ssl_key_pem =\n -----\nZQ XJ\n",
};

static void expect_no_secret(const char *content)
{
	struct problems problems = { 0 };
	syntax_explain("bus.conf", content, "/", &problems);
	for (size_t i = 0; i < problems.count; i++)
		if (strpbrk(problems.lines[i], SECRET) != NULL)
			ck_abort_msg("%s\nof: %s", problems.lines[i], content);
	problems_free(&problems);
}

START_TEST(a_secret_is_not_shown)
{
	struct problems problems = { 0 };
	ck_assert(syntax_explain("bus.conf", mistakes[_i], "/", &problems));
	problems_free(&problems);
	expect_no_secret(mistakes[_i]);
}
END_TEST

/* A file that is right. */
static const char right[] = "instance = \"a\";\n"
			    "database = \"host=x password=ZQXJ\";\n"
			    "kafka = { bootstrap_servers = \"b:1\";\n"
			    "\tsasl_password = \"ZQXJ\"; sasl_username = \"u\";\n"
			    "\tssl_key_password\n\t\t= \"ZQ;XJ\";\n"
			    "\tssl_key_pem = \"---\"\n\t\t\"ZQXJ\"\n\t\t\"XJ==\"; };\n"
			    "poll_interval = 1.0;\n"
			    "database_password =\n\"ZQXJ\";\n"
			    "models = (\n\t{ name = \"a\"; table = \"a\"; } );\n";

/* The file with one mistake: cut bytes fewer at a place, and other bytes there. */
static void expect_no_secret_with(size_t place, size_t cut, const char *bytes, size_t length)
{
	struct text content = { 0 };
	text_add(&content, right, place);
	text_add(&content, bytes, length);
	text_addf(&content, "%s", right + place + cut);
	expect_no_secret(content.text);
	text_free(&content);
}

START_TEST(no_mistake_in_a_file_shows_its_secrets)
{
	static const char inserted[] = "\"';:=,(){}[]#@/*\\.-\n a1\xE2";
	struct problems problems = { 0 };
	ck_assert(!syntax_explain("bus.conf", right, "/", &problems));
	for (size_t place = 0; place + 1 < sizeof right; place++) {
		expect_no_secret_with(place, 1, "", 0);
		expect_no_secret_with(place, 0, &right[place], 1);
		expect_no_secret_with(place, strlen(right) - place, "", 0);
		for (const char *c = inserted; *c != '\0'; c++) {
			expect_no_secret_with(place, 0, c, 1);
			expect_no_secret_with(place, 1, c, 1);
		}
	}
}
END_TEST

int main(void)
{
	const struct test tests[] = {
		{ a_secret_is_not_shown, COUNT(mistakes), 0 },
		{ no_mistake_in_a_file_shows_its_secrets, 1, 0 },
	};
	return suite_run("config_syntax", tests, COUNT(tests));
}
