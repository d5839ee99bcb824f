/*
 * The group "kafka": properties of librdkafka, and the source of tokens.
 */
#include "config/config_value.h"

#include "base/text.h"

#include <string.h>

#define TOKEN "oauthbearer_token" /* in the group, and not librdkafka's */

/* The value of a property that is a string, or a secret; the environment does not change. */
static void read_text(
	struct reader *r, const struct setting *row, const config_setting_t *s, struct property *p)
{
	char *value;
	struct error ignored;
	struct secret secret = { 0 };
	value_read_secret(r, row, s, &secret);
	p->value = secret.text != NULL ? secret.text : "";
	p->is_secret = secret.file != NULL || secret.command != NULL;
	if (p->is_secret)
		p->secret = credentials_add(r->config->kafka_secrets, &secret);
	else if (secret.env != NULL && !r->checks->skips_secrets &&
		 secret_read(&secret, INSTANT_NEVER, &value, &ignored))
		p->value = value_keep(r->config, value);
	else
		p->is_secret = secret.env != NULL; /* its value is not known */
}

/* Set the value of a property, in librdkafka's syntax.  Returns false with a problem. */
static bool read_property_value(
	struct reader *r, const struct setting *row, const config_setting_t *s, struct property *p)
{
	size_t before = r->problems->count;
	switch (config_setting_type(s)) {
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		p->value = value_keep(r->config, text_format("%lld", config_setting_get_int64(s)));
		break;
	case CONFIG_TYPE_FLOAT:
		p->value = value_keep(r->config, text_format("%.15g", config_setting_get_float(s)));
		break;
	case CONFIG_TYPE_BOOL:
		p->value = config_setting_get_bool(s) ? "true" : "false";
		break;
	default:
		read_text(r, row, s, p);
	}
	return r->problems->count == before;
}

/* librdkafka's names contain dots, and a few contain underscores instead (log_level). */
static enum property_answer check_property(
	struct reader *r, struct property *p, const char *written, struct error *e)
{
	enum property_answer answer = r->checks->property(p, e);
	if (answer != PROPERTY_UNKNOWN)
		return answer;
	struct error other;
	struct property as_written = *p;
	as_written.name = written;
	answer = r->checks->property(&as_written, &other);
	if (answer != PROPERTY_UNKNOWN) {
		*p = as_written;
		*e = other;
	}
	return answer;
}

static bool is_among(const char *const *names, const char *name)
{
	for (; *names != NULL; names++)
		if (strcmp(*names, name) == 0)
			return true;
	return false;
}

/* Whether a property executes no code, or is in allow_kafka_properties, which may be further down
 * in the file.  Asked before librdkafka gets it: that loads plug-ins at once. */
static bool may_set(const struct reader *r, const char *name)
{
	static const char allowing[] = "allow_kafka_properties";
	const config_setting_t *allowed = config_lookup(&r->config->memory->tree, allowing);
	if (!is_among(setting_find(&top_settings, allowing)->choices, name))
		return true;
	for (int i = 0; allowed != NULL && i < config_setting_length(allowed); i++) {
		const char *one = config_setting_get_string_elem(allowed, i);
		if (one != NULL && strcmp(one, name) == 0)
			return true;
	}
	return false;
}

/* Files of which a property has the path. */
static void note_key_file(struct config *c, const char *written, const char *path)
{
	static const char *const keys[] = { "ssl_key_location", "ssl_keystore_location",
		"sasl_kerberos_keytab", "sasl_oauthbearer_assertion_private_key_file", NULL };
	if (path[0] != '\0' && is_among(keys, written))
		value_note_secret_file(c, path);
}

static void read_property(struct reader *r, const struct setting *row, const config_setting_t *s)
{
	struct config *c = r->config;
	const char *written = config_setting_name(s);
	if (strcmp(written, TOKEN) == 0) {
		value_read_token(r, row, s);
		return;
	}
	if (!may_set(r, written)) {
		problems_add(r->problems, value_place(c, s),
			"%s.%s executes or loads a program; if that is meant, set "
			"allow_kafka_properties = ( \"%s\" )",
			row->name, written, written);
		return;
	}
	char *name = value_keep(c, text_copy(written));
	for (char *p = name; (p = strchr(p, '_')) != NULL;)
		*p = '.';
	struct property p = { .name = name, .place = value_place(c, s) };
	struct error e;
	if (!read_property_value(r, row, s, &p))
		return;
	if (check_property(r, &p, written, &e) != PROPERTY_TAKEN)
		problems_add(r->problems, p.place, "%s.%s: %s", row->name, written, e.text);
	note_key_file(c, written, p.value);
	c->kafka[c->kafka_count++] = p;
}

static const char *property(const struct config *c, const char *name)
{
	for (size_t i = 0; i < c->kafka_count; i++)
		if (strcmp(c->kafka[i].name, name) == 0)
			return c->kafka[i].value;
	return "";
}

/* A token is for the mechanism OAUTHBEARER, which needs one, unless librdkafka makes it. */
static void check_token(struct reader *r, const config_setting_t *group)
{
	const struct config *c = r->config;
	const config_setting_t *token = config_setting_get_member(group, TOKEN);
	const char *method = property(c, "sasl.oauthbearer.method");
	bool is_own = strcmp(method, "oidc") == 0 ||
		      strcmp(property(c, "enable.sasl.oauthbearer.unsecure.jwt"), "true") == 0;
	bool is_bearer = strcmp(property(c, "sasl.mechanism"), "OAUTHBEARER") == 0 ||
			 strcmp(property(c, "sasl.mechanisms"), "OAUTHBEARER") == 0;
	if (token != NULL && !is_bearer)
		problems_add(r->problems, value_place(c, token),
			"kafka." TOKEN " needs sasl_mechanism = \"OAUTHBEARER\"");
	else if (token != NULL && is_own)
		problems_add(r->problems, value_place(c, token),
			"kafka." TOKEN " is set, and so is another source of tokens");
	else if (token == NULL && is_bearer && !is_own)
		problems_add(r->problems, value_place(c, group),
			"kafka.sasl_mechanism is \"OAUTHBEARER\", and there are no tokens; "
			"set " TOKEN " = { command = ( \"PROGRAM\" ); } or { file = \"PATH\"; }");
}

void value_read_properties(
	struct reader *r, const struct setting *row, const config_setting_t *s, void *field)
{
	(void)field;
	if (!config_setting_is_group(s)) {
		value_wrong_type(r, row, s, "a group");
		return;
	}
	int count = config_setting_length(s);
	struct config *c = r->config;
	if (config_setting_get_member(s, "bootstrap_servers") == NULL &&
		config_setting_get_member(s, "metadata_broker_list") == NULL)
		problems_add(r->problems, value_place(c, s), "%s: \"bootstrap_servers\" is missing",
			row->name);
	c->kafka = memory_new((size_t)count, sizeof *c->kafka);
	for (int i = 0; i < count; i++)
		read_property(r, row, config_setting_get_elem(s, (unsigned)i));
	check_token(r, s);
}
