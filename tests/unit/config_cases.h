/*
 * config_cases - configurations, most of them with mistakes, and what becomes of them.
 */
#ifndef SIGNALBUS_TEST_CONFIG_CASES_H
#define SIGNALBUS_TEST_CONFIG_CASES_H

#include "config/config_file.h"

#include "config_fixture.h"

#define TEN_LETTERS   "abcdefghij"
#define FIFTY_LETTERS TEN_LETTERS TEN_LETTERS TEN_LETTERS TEN_LETTERS TEN_LETTERS
#define LONG_NAME     FIFTY_LETTERS FIFTY_LETTERS

/* Mistakes, and all that is said of them.  Line 1 is KAFKA, line 2 MODELS or MODEL. */
static const struct {
	const char *content, *problems;
} mistakes[] = {
	{ "", "bus.conf:1: the setting \"kafka\" is missing\n"
	      "bus.conf:1: the setting \"models\" is missing\n" },
	{ "# nothing but a comment\n", "bus.conf:1: the setting \"kafka\" is missing\n"
				       "bus.conf:1: the setting \"models\" is missing\n" },
	{ MODELS, "bus.conf:1: the setting \"kafka\" is missing\n" },
	{ KAFKA, "bus.conf:1: the setting \"models\" is missing\n" },
	{ KAFKA MODELS "timout = 5.0;\n",
		"bus.conf:3: unknown setting \"timout\"; did you mean \"timeout\"?\n" },
	{ KAFKA MODELS "\n\nTimeout = 5.0;\n",
		"bus.conf:5: unknown setting \"Timeout\"; did you mean \"timeout\"?\n" },
	{ KAFKA MODELS "something_else = 5.0;\n",
		"bus.conf:3: unknown setting \"something_else\"\n" },
	{ KAFKA MODEL "tpoic = \"t\";\nburst = 3; } );\n",
		"bus.conf:3: unknown model setting \"tpoic\"; did you mean \"topic\"?\n"
		"bus.conf:4: unknown model setting \"burst\"; did you mean \"burst_count\"?\n" },
	{ KAFKA MODELS "poll = 1;\ndead_letter = \"d\";\nmetrics = \":1\";\n",
		"bus.conf:3: unknown setting \"poll\"; did you mean \"poll_interval\"?\n"
		"bus.conf:4: unknown setting \"dead_letter\"; did you mean "
		"\"dead_letter_table\"?\n"
		"bus.conf:5: unknown setting \"metrics\"; did you mean \"metrics_listen\"?\n" },
	{ KAFKA MODEL "order = ( \"id\" );\nx = 1; } );\n",
		"bus.conf:3: unknown model setting \"order\"; did you mean \"order_by\"?\n"
		"bus.conf:4: unknown model setting \"x\"\n" },
	{ KAFKA MODEL "workers = 5; } );\nburst_count = 5;\ndefaults = {\ntimeout = 5; };\n",
		"bus.conf:6: unknown model setting \"timeout\"; it is a setting of the top "
		"level\n"
		"bus.conf:3: unknown model setting \"workers\"; it is a setting of the top "
		"level\n"
		"bus.conf:4: unknown setting \"burst_count\"; it is a setting of a model\n" },
	{ KAFKA "models = (\n{ name = \"A\"; },\n{ table = \"b\"; },\n{ } );\n",
		"bus.conf:3: the model setting \"table\" is missing\n"
		"bus.conf:4: the model setting \"name\" is missing\n"
		"bus.conf:5: the model setting \"name\" is missing\n"
		"bus.conf:5: the model setting \"table\" is missing\n" },
	{ KAFKA "models = ( { name = \"A\"; table = \"a\"; },\n{ name = \"B\"; table = \"a\"; },\n"
		"{ table = \"a\";\nname = \"A\"; } );\n",
		"bus.conf:5: another model already has the name \"A\"\n" },
	{ KAFKA MODELS "instance = \"a\";\ninstance = \"b\";\n",
		"bus.conf:4: \"instance\" is set twice, first in line 3\n" },
	{ KAFKA MODEL "topic = \"a\";\ntopic = \"a\"; } );\n",
		"bus.conf:4: \"topic\" is set twice, first in line 3\n" },
	{ KAFKA "models = ();\n", "bus.conf:2: models must not be empty\n" },
	{ KAFKA MODEL "order_by = (); } );\n", "bus.conf:3: order_by must not be empty\n" },
	{ KAFKA MODEL "order_by = []; } );\n", "bus.conf:3: order_by must not be empty\n" },
	{ KAFKA "models = ( { name = \"\";\ntable = \"\";\ntopic = \"\";\nkey = \"\"; } );\n",
		"bus.conf:2: name must not be empty\nbus.conf:3: table must not be empty\n"
		"bus.conf:4: topic must not be empty\nbus.conf:5: key must not be empty\n" },
	{ KAFKA MODELS "instance = \"\";\n", "bus.conf:3: instance must not be empty\n" },
	{ KAFKA MODELS "\nmetrics_listen = \"here\";\n",
		"bus.conf:4: metrics_listen: invalid address \"here\": it must be HOST:PORT, such "
		"as "
		"\"127.0.0.1:9464\" or \"[::1]:9464\"\n" },
	{ KAFKA MODELS "log_level = \"loud\";\n",
		"bus.conf:3: log_level must be one of \"error\", \"warning\", \"info\", \"debug\", "
		"not \"loud\"\n" },
	{ KAFKA MODELS "log_format = \"xml\";\n",
		"bus.conf:3: log_format must be one of \"text\", \"json\", not \"xml\"\n" },
	{ KAFKA MODELS "delivery = \"exactly-once\";\n", "" },
	{ KAFKA MODELS "delivery = \"exactly-once\";\ninstance = \"" LONG_NAME "x\";\n",
		"bus.conf:4: instance has 101 bytes; with delivery = \"exactly-once\" it may have "
		"100\n" },
	{ KAFKA MODELS "delivery = \"exactly-once\";\ninstance = \"" LONG_NAME "\";\n", "" },
	{ KAFKA MODELS "instance = \"" LONG_NAME "x\";\n", "" },
	{ KAFKA MODELS "delivery = \"at-least-once\";\n", "" },
	{ KAFKA MODELS "delivery = \"at-most-once\";\n",
		"bus.conf:3: delivery must be one of \"at-least-once\", \"exactly-once\", not "
		"\"at-most-once\"\n" },
	{ KAFKA MODELS "defaults = { name = \"A\"; topic = \"t\";\ntable = \"a\"; };\n",
		"bus.conf:3: \"name\" is a setting of a model, not of defaults\n"
		"bus.conf:4: \"table\" is a setting of a model, not of defaults\n" },
	{ KAFKA MODELS "defaults = { burst_cuont = 3; };\n",
		"bus.conf:3: unknown model setting \"burst_cuont\"; did you mean "
		"\"burst_count\"?\n" },
	{ KAFKA MODELS "defaults = { burst_count = 0; };\n",
		"bus.conf:3: burst_count must be 1 to 100000, not 0\n" },
	{ KAFKA "models = ( 1,\n( ),\n{ name = \"A\"; table = \"a\"; } );\n",
		"bus.conf:2: each element of models must be a group, not an integer\n"
		"bus.conf:3: each element of models must be a group, not a list\n" },
	{ KAFKA "models = (\n\"x\" );\n",
		"bus.conf:3: each element of models must be a group, not a string\n" },
	/* What is wrong with a topic, whatever its table: in models, in defaults, of the name. */
	{ KAFKA MODEL "topic = \"x.{unclosed\"; },\n{ name = \"B\"; table = \"b\";\n"
		      "topic = \"no spaces\"; }, { name = \"C\"; table = \"c\";\n"
		      "topic = \"{a} {b}\"; } );\ndefaults = {\ntopic = \"..\"; };\ntimeout = 0;\n",
		"bus.conf:8: topic: invalid topic name \"..\"\n"
		"bus.conf:3: topic: \"{\" without its \"}\"\n"
		"bus.conf:5: topic: invalid topic name \"no spaces\": use ASCII "
		"letters, digits, \".\", \"_\" and \"-\" only\n"
		"bus.conf:6: topic: invalid topic name \"{a} {b}\": use ASCII "
		"letters, digits, \".\", \"_\" and \"-\" only\n"
		"bus.conf:9: timeout must be 0.1 to 3600, not 0\n" },
	{ KAFKA "models = ( {\nname = \"Order/Paid\"; table = \"a\"; },\n"
		"{ name = \"Order/Sent\"; table = \"a\"; topic = \"t\"; } );\n",
		"bus.conf:3: topic (the name): invalid topic name \"Order/Paid\": use ASCII "
		"letters, digits, \".\", \"_\" and \"-\" only\n" },
	{ KAFKA MODEL "order_by = ( \"id\",\n\"\", \"x DESC\",\n\"id\" ); } );\n",
		"bus.conf:4: each element of order_by must not be empty\n"
		"bus.conf:5: order_by names \"id\" twice\n" },
	{ KAFKA MODEL "headers = ( { name = 5; value = \"x\"; },\n7 );\n"
		      "fields = ( { name = \"x\"; sql = true; } ); } );\n",
		"bus.conf:3: headers.name must be a string, not an integer\n"
		"bus.conf:4: each element of headers must be a column's name or a group, not an "
		"integer\n"
		"bus.conf:5: fields.sql must be a string, not a boolean\n" },
	{ MARK KAFKA MODELS, "" },
	{ MARK KAFKA "models = ();\n", "bus.conf:2: models must not be empty\n" },
	{ KAFKA MARK MODELS,
		"bus.conf:2: syntax error: a byte order mark, which may only begin the file\n"
		"bus.conf:2:   " MARK "models = ( { name = \"A\"; table = \"a\"; } );\n"
		"bus.conf:2:   ^\n" },
	{ KAFKA MODEL "order_by = ( \"id\", 1,\n( \"x\" ) ); } );\n",
		"bus.conf:3: each element of order_by must be a string, not an integer\n"
		"bus.conf:4: each element of order_by must be a string, not a list\n" },
	{ "kafka = { client_id = \"x\"; };\n" MODELS,
		"bus.conf:1: kafka: \"bootstrap_servers\" is missing\n" },
	{ "kafka = { };\n" MODELS, "bus.conf:1: kafka: \"bootstrap_servers\" is missing\n" },
	{ KAFKA MODELS "\ndatabase = \"wrong\";\nnonsense = 1;\n",
		"bus.conf:5: unknown setting \"nonsense\"\n"
		"bus.conf:4: database: it is \"wrong\"\n" },
	{ KAFKA MODELS "\ndatabase_listen = \"wrong\";\ndelivery = \"exactly-once\";\n",
		"bus.conf:4: database_listen: database: it is \"wrong\"\n"
		"bus.conf:4: database_listen excludes delivery = \"exactly-once\", which needs "
		"sessions of its own; remove it, and let database lead to the server\n" },
	{ "\xff\xfe\x01x = 1;\n", "bus.conf:1: syntax error: the name of a setting is missing\n"
				  "bus.conf:1:   \xff\xfe\x01x = 1;\nbus.conf:1:   ^\n" },
	{ KAFKA MODEL "batch_size = 5; } );\n", "bus.conf:3: unknown model setting \"batch_size\"; "
						"did you mean \"burst_count\"?\n" },
	{ KAFKA "#include \"models\"\n",
		"bus.conf:1: the setting \"models\" is missing\n"
		"bus.conf:2: \"#include\" begins a comment; write @include "
		"\"FILE\"\n" },
	{ "kafka = 5;\n" MODELS, "bus.conf:1: kafka must be a group, not an integer\n" },
	{ "kafka = ( );\n" MODELS, "bus.conf:1: kafka must be a group, not a list\n" },
	{ KAFKA "models = { };\n", "bus.conf:2: models must be a list of groups such as ( { name ="
				   " \"A\"; table = \"a\"; } ), not a group\n" },
	{ KAFKA "models = [ 1 ];\n", "bus.conf:2: models must be a list of groups such as ( { name"
				     " = \"A\"; table = \"a\"; } ), not an array\n" },
	{ KAFKA MODELS "# a comment without a line feed", "" },
	/* All at once. */
	{ "kafka = {\n  bootstrap_servers = \"b:1\";\n  wrong_name = 5;\n};\n"
	  "timout = 3;\nlog_level = 1;\n"
	  "models = (\n  { name = \"A\"; table = 5; burst_count = 0; },\n"
	  "  { name = \"A\"; tabel = \"a\"; autoflush = \"yes\"; },\n  7\n);\n",
		"bus.conf:3: kafka.wrong_name: no such property: \"wrong.name\" = \"5\"\n"
		"bus.conf:5: unknown setting \"timout\"; did you mean \"timeout\"?\n"
		"bus.conf:6: log_level must be a string, not an integer\n"
		"bus.conf:8: table must be a string, not an integer\n"
		"bus.conf:8: burst_count must be 1 to 100000, not 0\n"
		"bus.conf:9: unknown model setting \"tabel\"; did you mean \"table\"?\n"
		"bus.conf:9: autoflush must be true or false, not a string\n"
		"bus.conf:9: the model setting \"table\" is missing\n"
		"bus.conf:9: another model already has the name \"A\"\n"
		"bus.conf:10: each element of models must be a group, not an integer\n" },
};

/* What a secret may be. */
#define SECRET_FORMS                                                                               \
	"a string, { env = \"NAME\"; }, { file = \"PATH\"; } or { command = ( \"PROGRAM\", "       \
	"\"ARGUMENT\" ); }"

/* Settings, each with a value of another type than its own. */
static const struct {
	const char *setting, *value, *expected, *found;
	bool in_model;
} types[] = {
	{ "instance", "5", "a string", "an integer", false },
	{ "instance", "( \"a\" )", "a string", "a list", false },
	{ "instance", "[ \"a\" ]", "a string", "an array", false },
	{ "instance", "{ env = \"HOME\"; }", "a string", "a group", false },
	{ "log_level", "true", "a string", "a boolean", false },
	{ "timeout", "\"5\"", "a number of seconds", "a string", false },
	{ "timeout", "true", "a number of seconds", "a boolean", false },
	{ "timeout", "( 5 )", "a number of seconds", "a list", false },
	{ "autoflush", "1", "true or false", "an integer", false },
	{ "workers", "2.0", "an integer", "a floating-point number", false },
	{ "notify_channel", "5", "a string", "an integer", false },
	{ "metrics_listen", "9464", "a string such as \"127.0.0.1:9464\"", "an integer", false },
	{ "database", "5L", SECRET_FORMS, "an integer", false },
	{ "database", "{ }", SECRET_FORMS, "a group", false },
	{ "database", "{ file = 5; }", SECRET_FORMS, "a group", false },
	{ "database", "{ path = \"/x\"; }", SECRET_FORMS, "a group", false },
	{ "database", "{ command = \"/x\"; }", SECRET_FORMS, "a group", false },
	{ "database", "{ command = ( ); }", SECRET_FORMS, "a group", false },
	{ "database", "{ command = ( \"\" ); }", SECRET_FORMS, "a group", false },
	{ "database", "{ command = ( \"/x\", 5 ); }", SECRET_FORMS, "a group", false },
	{ "database_password", "5", SECRET_FORMS, "an integer", false },
	{ "database_listen", "5", SECRET_FORMS, "an integer", false },
	{ "database", "{ file = \"/x\"; env = \"X\"; }", SECRET_FORMS, "a group", false },
	{ "defaults", "( )", "a group", "a list", false },
	{ "defaults", "5", "a group", "an integer", false },
	{ "topic", "5", "a string", "an integer", true },
	{ "key", "( \"id\" )", "a string", "a list", true },
	{ "burst_count", "5.0", "an integer", "a floating-point number", true },
	{ "burst_count", "\"5\"", "an integer", "a string", true },
	{ "burst_count", "true", "an integer", "a boolean", true },
	{ "autoflush", "1", "true or false", "an integer", true },
	{ "autoflush", "\"true\"", "true or false", "a string", true },
	{ "order_by", "\"id\"", "a list of strings such as ( \"id\" )", "a string", true },
	{ "order_by", "{ }", "a list of strings such as ( \"id\" )", "a group", true },
};

/* Numbers at their limits. */
static const struct {
	const char *line, *problem; /* "": it is right */
} ranges[] = {
	{ "timeout = 0.1;", "" },
	{ "timeout = 3600;", "" },
	{ "timeout = 3600L;", "" },
	{ "timeout = 0.0999;", "bus.conf:2: timeout must be 0.1 to 3600, not 0.0999\n" },
	{ "timeout = 3600.5;", "bus.conf:2: timeout must be 0.1 to 3600, not 3600.5\n" },
	{ "timeout = 0;", "bus.conf:2: timeout must be 0.1 to 3600, not 0\n" },
	{ "timeout = -1;", "bus.conf:2: timeout must be 0.1 to 3600, not -1\n" },
	{ "timeout = 1e400;", "bus.conf:2: timeout must be 0.1 to 3600, not inf\n" },
	{ "poll_interval = 0.01;", "" },
	{ "poll_interval = 86400;", "" },
	{ "poll_interval = 0.009;",
		"bus.conf:2: poll_interval must be 0.01 to 86400, not 0.009\n" },
	{ "poll_interval = 86401;",
		"bus.conf:2: poll_interval must be 0.01 to 86400, not 86401\n" },
	{ "workers = 1;", "" },
	{ "workers = 64;", "" },
	{ "workers = 0;", "bus.conf:2: workers must be 1 to 64, not 0\n" },
	{ "workers = 65;", "bus.conf:2: workers must be 1 to 64, not 65\n" },
	{ "defaults = { burst_count = 1; };", "" },
	{ "defaults = { burst_count = 0x10; };", "" },
	{ "defaults = { burst_count = 100000; };", "" },
	{ "defaults = { burst_count = 0; };",
		"bus.conf:2: burst_count must be 1 to 100000, not 0\n" },
	{ "defaults = { burst_count = -1; };",
		"bus.conf:2: burst_count must be 1 to 100000, not -1\n" },
	{ "defaults = { burst_count = 100001; };",
		"bus.conf:2: burst_count must be 1 to 100000, not 100001\n" },
	{ "defaults = { burst_bytes = 0; };",
		"bus.conf:2: burst_bytes must be 1 to 1073741824, not 0\n" },
	{ "defaults = { burst_count = 4294967297L; };",
		"bus.conf:2: burst_count must be 1 to 100000, not 4294967297\n" },
};

/* A file that cannot be read, and the problem; it is where the path says, in the folder or not. */
static const struct {
	const char *path, *problem;
} unreadable[] = {
	{ "nowhere", " cannot read the configuration: No such file or directory; an example is "
		     "installed as " DOCDIR "/signalbus.conf.example" },
	{ "", " cannot read the configuration: No such file or directory; an example is "
	      "installed as " DOCDIR "/signalbus.conf.example" },
	{ "/", " cannot read the configuration: Is a directory" },
	{ "/dev/zero", " is no regular file" },
};

/* What is opened and closed, again and again. */
static const struct {
	const char *open, *close;
	size_t depth;
} nests[] = {
	{ "a={", "};", 1000 },
	{ "a={", "};", 1000000 },
	{ "a=(", ");", 1000000 },
	{ "models=(", ");", 100000 },
	{ "{", "}", 1000000 },
	{ "a={", "", 1000000 },
};

#define TOUCHED "the string that begins here has no closing quote, or contains one (write \\\")"

/* A mistake in a configuration's last lines, and what is said of it: lines from the last one of
 * content, in the place of "FILE:LINE: syntax error: ", and the column of the mark; 0: the line is
 * not shown, since it may contain a secret. */
static const struct {
	const char *content;
	unsigned line;
	const char *cause;
	unsigned column;
} syntax_errors[] = {
	{ "kafka = { bootstrap.servers = \"b\"; };", 1,
		"write bootstrap_servers: \"_\" replaces \".\"", 20 },
	{ "models = (\n{ name = \"A\"; },\n);", 2, "remove the comma after the last element", 16 },
	{ "order_by = [ \"a\", ];", 1, "remove the comma after the last element", 17 },
	{ "name = 'A';", 1, "use double quotes, not single quotes", 8 },
	{ "name = “A”;", 1, "enclose text in straight double quotes (\")", 8 },
	{ "name = A;", 1, "enclose text in double quotes: \"A\"", 8 },
	{ "x = yes;", 1, "write true or false", 5 },
	{ "x = 1;;", 1, "remove the second \";\"", 7 },
	{ "; x = 1;", 1, "there is no setting before \";\"", 1 },
	{ "a = \"x;\nb = \"y\";", 1, "the string that begins here has no closing quote", 5 },
	{ "a = \"x;\nb = \"y:1\";\nc = \"z\";", 1,
		"the string that begins here has no closing quote", 5 },
	{ "a = \"x\\\";\n", 1, "the string that begins here has no closing quote", 5 },
	{ "where = \"x = \"y\"\";", 1, TOUCHED, 9 },
	{ "models = (\n{ name = \"A; table = \"a\"; } );", 2, TOUCHED, 10 },
	{ "a = \"1\"2\";", 1, TOUCHED, 5 },
	{ "a = 1e+5; b = 1.5E+5; c 1;", 1, "\"=\" is missing after \"c\"", 25 },
	{ "true = 1;", 1, "true and false are no names", 1 },
	{ "@include\"more.conf\"\n", 1, "write @include \"FILE\", in a line of its own", 1 },
	{ "a = 1;\nb = /* unclosed\n", 2, "\"*/\" is missing for this comment", 5 },
	{ "a = 1,000;", 1, "write the number without \",\"", 7 },
	{ "a = 5 s;", 1, "write the number without a unit, or enclose text in double quotes", 7 },
	{ "a \"x\";", 1, "\"=\" is missing after \"a\"", 3 },
	{ "a b", 1, "\"=\" is missing after \"a\"", 3 },
	{ "a == 1;", 1, "remove the second \"=\"", 4 },
	{ "a = ;", 1, "\"a\" has no value", 5 },
	{ "a = 30s;", 1, "write the number without a unit, or enclose text in double quotes", 5 },
	{ "a = {\nb = ( 1 );\n", 1, "missing \"}\" for this \"{\"", 5 },
	{ "a = {\nb = ( 1; );\n", 2,
		"elements are separated by \",\", and the list ends with \")\"", 8 },
	{ "a = (\n{ b = 1; );\n", 2, "missing \"}\" for the \"{\" in line 2", 10 },
	{ "a = ( 1, 2 };", 1, "missing \")\" for the \"(\" in line 1", 12 },
	{ "a = 1; }", 1, "no bracket is open that \"}\" could close", 8 },
	{ "a = ( { } { } );", 1, "a comma is missing before this element", 11 },
	{ "a = ( , 1 );", 1, "an element is missing", 7 },
	{ "a = [ { } ];", 1, "use ( ) for a list of groups or lists, not [ ]", 7 },
	{ "[a]\nb = 1", 1, "there are no sections: write NAME = { … };", 1 },
	{ "\"a\": 1", 1, "remove the quotes around the name", 1 },
	{ "include \"x\"", 1, "write @include \"FILE\", in a line of its own", 1 },
	{ "a = 1; @include \"x\"", 1, "write @include \"FILE\", in a line of its own", 8 },
	{ "/* ; */ a = // 1\n0x1FL b = 1.5e3, c = True d = \"x\" \"y\\\"\" # ;\ne f", 3,
		"\"=\" is missing after \"e\"", 3 },
	{ "sasl_password = hunter2;", 1, "enclose text in double quotes", 0 },
	{ "database = 'postgres://u:p@h/d';", 1, "use double quotes, not single quotes", 0 },
};

/* A configuration that includes the file "part", and that file. */
static const struct {
	const char *content, *part, *problems;
} includes[] = {
	{ KAFKA "models = (\n@include \"part\"\n);\n",
		"{ name = \"A\"; table = \"a\"; },\n{ name = \"B\"; table = \"b\"; }\n", "" },
	{ KAFKA "models = (\n@include \"part\"\n);\nx = 1;\n",
		"{ name = \"A\"; table = \"a\"; },\n{ name = \"B\"; tabel = \"b\"; }\n",
		"part:2: unknown model setting \"tabel\"; did you mean \"table\"?\n"
		"part:2: the model setting \"table\" is missing\n"
		"bus.conf:5: unknown setting \"x\"\n" },
	{ KAFKA MODELS "@include \"part\"\n", "timeout = 5.0;\n", "" },
	{ KAFKA MODELS "@include \"part\"\n", "\ntimeout = ;\n",
		"part:2: syntax error: \"timeout\" has no value\n"
		"part:2:   timeout = ;\npart:2:             ^\n" },
	{ KAFKA "models = (\n@include \"part\"\n{ name = \"B\"; table = \"b\"; } );\n",
		"{ name = \"A\"; table = \"a\"; }\n",
		"bus.conf:4: syntax error: a comma is missing before this element\n"
		"bus.conf:4:   { name = \"B\"; table = \"b\"; } );\nbus.conf:4:   ^\n" },
	{ KAFKA MODELS "@include \"part\"\n", "@include \"part\"\n",
		"part:1: include file nesting too deep\n" },
	{ MARK KAFKA MODELS "@include \"part\"\nx = 1;\n", MARK "timeout = 5.0;\n",
		"part:1: an included file must not begin with a byte order mark; save it as UTF-8 "
		"without a byte order mark\n" },
	{ "@include \"bus.conf\"\n", "", "bus.conf:1: include file nesting too deep\n" },
};

/* The source of a secret, its content, and the result or else the problem. */
static const struct {
	const char *from, *name; /* a name with "/" is a path, others are in the test's folder */
	const char *content;
	const char *secret, *problem;
} secrets[] = {
	{ "file", "secret", "dbname=x", "dbname=x", NULL },
	{ "file", "secret", "dbname=x\n", "dbname=x", NULL },
	{ "file", "secret", "dbname=x \r\n\n", "dbname=x ", NULL },
	{ "file", "secret", "two\nlines\n", "two\nlines", NULL },
	{ "file", "secret", MARK "dbname=x\n", "dbname=x", NULL },
	{ "file", "secret", MARK, "", NULL },
	{ "file", "secret", "\xEF\xBB", "\xEF\xBB", NULL },
	{ "file", "secret", "", "", NULL },
	{ "file", "other", "", NULL, "database: cannot read %s: No such file or directory" },
	{ "file", "/", "", NULL, "database: cannot read %s: Is a directory" },
	{ "file", "/dev/zero", "", NULL, "database: cannot read %s: not a regular file" },
	{ "env", "/SIGNALBUS_TEST_SECRET", "", " from the environment ", NULL },
	{ "env", "/SIGNALBUS_TEST_EMPTY", "", "", NULL },
	{ "env", "/SIGNALBUS_TEST_UNSET", "", NULL,
		"database: environment variable %s is not set" },
};

/* A line of the configuration, and whether a password stands in it. */
static const struct {
	const char *line;
	bool holds;
} passwords[] = {
	{ "database = \"host=h dbname=d\";", false },
	{ "database = \"host=h password=p\";", true },
	{ "database = \"host=h PASSWORD = p\";", true },
	{ "database = \"postgresql://user:p@h:5432/d\";", true },
	{ "database = \"postgresql://user@h:5432/d\";", false },
	{ "database = \"postgresql://h:5432/d\";", false },
	{ "database = \"postgresql://[::1]:5432/d\";", false },
	{ "kafka = { bootstrap_servers = \"b:1\"; sasl_password = \"p\"; };", true },
	{ "kafka = { bootstrap_servers = \"b:1\"; ssl_key_pem = \"k\"; };", true },
	{ "kafka = { bootstrap_servers = \"b:1\"; ssl_certificate_pem = \"c\"; };", false },
	{ "kafka = { bootstrap_servers = \"b:1\"; ssl_key_password = \"p\"; };", true },
	{ "kafka = { bootstrap_servers = \"b:1\"; sasl_oauthbearer_client_secret = \"p\"; };",
		true },
	{ "kafka = { bootstrap_servers = \"b:1\"; sasl_username = \"u\"; };", false },
	{ "kafka = { bootstrap_servers = \"b:1\"; sasl_password = { env = \"HOME\"; }; };", false },
};

#endif
