#include "kafka/login.h"

#include "base/limits.h"
#include "base/log.h"
#include "base/outage.h"
#include "kafka/oauth_token.h"
#include "kafka/producer.h"
#include "kafka/property.h"
#include "kafka/reason.h"

#include <string.h>
#include <sys/stat.h>
#include <time.h>

/* How librdkafka reports what login_refresh() could not do. */
#define NO_TOKEN "Failed to acquire SASL OAUTHBEARER token: "

#define USER     "sasl.username"
#define PASSWORD "sasl.password"

/* Files that librdkafka reads when a handle is made, and never again. */
static const char *const files[] = { "ssl.ca.location", "ssl.certificate.location",
	"ssl.key.location", "ssl.keystore.location", "ssl.crl.location" };

static uint64_t hash(uint64_t before, const void *bytes, size_t size)
{
	for (const unsigned char *p = bytes; size > 0; size--, p++)
		before = (before ^ *p) * UINT64_C(1099511628211); /* FNV-1a */
	return before;
}

/* What differs, almost always, after one of the files was written or replaced. */
static uint64_t print_files(const struct config *config)
{
	uint64_t print = 0;
	struct stat st;
	for (size_t i = 0; i < config->kafka_count; i++)
		for (size_t k = 0; k < sizeof files / sizeof files[0]; k++)
			if (strcmp(config->kafka[i].name, files[k]) == 0 &&
				!config->kafka[i].is_secret &&
				stat(config->kafka[i].value, &st) == 0) {
				print = hash(print, &st.st_ino, sizeof st.st_ino);
				print = hash(print, &st.st_size, sizeof st.st_size);
				print = hash(print, &st.st_mtim, sizeof st.st_mtim);
			}
	return print;
}

bool login_is_outdated(struct login *l)
{
	uint64_t before = l->files_seen;
	l->files_seen = print_files(l->config);
	return l->files_seen != l->files && l->files_seen == before;
}

/* Set a property that is a secret, as strictly as one in the file.  The error does not show it. */
static bool set_secret(
	rd_kafka_conf_t *conf, const struct property *p, const char *value, struct error *e)
{
	char reason[512];
	const struct property known = { .name = p->name, .value = value };
	return (property_check(&known, e) == PROPERTY_TAKEN &&
		       rd_kafka_conf_set(conf, p->name, value, reason, sizeof reason) ==
			       RD_KAFKA_CONF_OK) ||
	       error_set(e, ERROR_CONNECTION,
		       "%s:%u: kafka: what was read for %s is not a valid value", p->place.file,
		       p->place.line, p->name);
}

static bool read_secrets(const struct config *config, struct credentials_values *v, struct error *e)
{
	return credentials_read(config->kafka_secrets, limit_secret(config->timeout), v, e);
}

bool login_configure(
	struct login *l, const struct config *config, rd_kafka_conf_t *conf, struct error *e)
{
	struct credentials_values v;
	bool ok = true;
	l->config = config;
	l->is_refused = false;
	l->files = l->files_seen = print_files(config);
	atomic_store(&l->has_token, false);
	if (!read_secrets(config, &v, e))
		return false;
	for (size_t i = 0; ok && i < config->kafka_count; i++) {
		const struct property *p = &config->kafka[i];
		ok = !p->is_secret || set_secret(conf, p, v.values[p->secret], e);
	}
	l->secrets = v.print;
	credentials_values_free(&v);
	if (config->tokens != NULL)
		rd_kafka_conf_enable_sasl_queue(conf, 1);
	return ok;
}

void login_begin(const struct login *l, rd_kafka_t *handle)
{
	if (l->config->tokens == NULL)
		return;
	rd_kafka_error_t *failure = rd_kafka_sasl_background_callbacks_enable(handle);
	if (failure == NULL)
		return;
	/* uncovered: no thread is left; without one, tokens are read when the handle is polled */
	log_debug("kafka: %s", rd_kafka_error_string(failure));
	rd_kafka_error_destroy(failure);
}

/* Tokens expire by the wall clock. */
static int64_t wall_clock_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool set_token(rd_kafka_t *handle, const char *text, struct error *e)
{
	char reason[512];
	struct oauth_token t;
	if (!oauth_token_parse(text, wall_clock_ms(), &t, e))
		return false;
	rd_kafka_resp_err_t code = rd_kafka_oauthbearer_set_token(handle, t.value, t.expires_ms,
		t.principal, (const char **)t.extensions, t.extension_count, reason, sizeof reason);
	oauth_token_free(&t);
	return code == RD_KAFKA_RESP_ERR_NO_ERROR ||
	       error_set(e, ERROR_CONNECTION, "%s", rd_kafka_err2str(code));
}

/* Read a token, and give it to the handle. */
static bool get_token(struct login *l, rd_kafka_t *handle, struct error *e)
{
	struct credentials_values v;
	const struct config *config = l->config;
	struct place at = credentials_place(config->tokens, 0);
	if (!credentials_read(config->tokens, limit_secret(config->timeout), &v, e))
		return false;
	bool ok = set_token(handle, v.values[0], e) ||
		  error_prefix(e, "%s:%u: kafka.oauthbearer_token", at.file, at.line);
	if (ok) {
		atomic_store(&l->token, v.print.hash);
		atomic_store(&l->token_begun_ns, v.print.begun.ns);
	}
	credentials_values_free(&v);
	return ok;
}

/* Connections work until the last token expires: that no other is found is news, and so is the end
 * of that.  Without any, the broker does not answer, and that is logged. */
static void report(struct login *l, bool ok, const char *why)
{
	struct instant now = clock_now();
	if (ok && outage_lasts(&l->without))
		log_warning("kafka: tokens are renewed again, after %.0f s",
			outage_end(&l->without, now));
	if (ok)
		atomic_store(&l->has_token, true);
	else if (atomic_load(&l->has_token) && l->reports && outage_note(&l->without, why, now))
		log_warning("kafka: the token cannot be renewed: %s; trying again", why);
}

void login_refresh(struct login *l, rd_kafka_t *handle)
{
	struct error e = { .kind = ERROR_NONE };
	bool ok = get_token(l, handle, &e);
	if (!ok)
		rd_kafka_oauthbearer_set_token_failure(handle, e.text);
	if (ok || e.kind != ERROR_STOPPED)
		report(l, ok, e.text);
}

/* Whether TLS fails for a handle with secrets for it, such as a key.  With TLS 1.3, a broker
 * refuses a certificate after the handshake, when librdkafka reads. */
static bool is_tls_refused(const struct config *config, int code, const char *reason)
{
	if (code != RD_KAFKA_RESP_ERR__SSL && strstr(reason, "SSL alert") == NULL)
		return false;
	for (size_t i = 0; i < config->kafka_count; i++)
		if (config->kafka[i].is_secret && strncmp(config->kafka[i].name, "ssl.", 4) == 0)
			return true;
	return false;
}

const char *login_note(struct login *l, int code, const char *reason)
{
	struct error why;
	const struct config *config = l->config;
	const struct credentials_print token = { atomic_load(&l->token),
		{ atomic_load(&l->token_begun_ns) } };
	if (strncmp(reason, NO_TOKEN, strlen(NO_TOKEN)) == 0) {
		l->is_refused = !atomic_load(&l->has_token); /* librdkafka would wait for long */
		return reason + strlen(NO_TOKEN);
	}
	if (code != RD_KAFKA_RESP_ERR__AUTHENTICATION && !is_tls_refused(config, code, reason))
		return reason;
	l->is_refused = true;
	error_set(&why, ERROR_CONNECTION, "%s", "");
	reason_plain(why.text, sizeof why.text, reason);
	credentials_refused(config->kafka_secrets, &l->secrets, &why);
	if (config->tokens != NULL)
		credentials_refused(config->tokens, &token, &why);
	return reason;
}

/* The value that a property has now, of the secrets that were read or in the file; NULL: none. */
static const char *value_now(
	const struct config *config, const struct credentials_values *v, const char *name)
{
	for (size_t i = 0; i < config->kafka_count; i++) {
		const struct property *p = &config->kafka[i];
		if (strcmp(p->name, name) == 0)
			return p->is_secret ? v->values[p->secret] : p->value;
	}
	return NULL;
}

/* Whether no other secrets than those that a handle can be given are there. */
static bool is_only_password(const struct config *config)
{
	for (size_t i = 0; i < config->kafka_count; i++) {
		const struct property *p = &config->kafka[i];
		if (p->is_secret && strcmp(p->name, USER) != 0 && strcmp(p->name, PASSWORD) != 0)
			return false;
	}
	return true;
}

/* Give a changed user and password to the handle. */
static bool set_password(struct login *l, rd_kafka_t *handle)
{
	struct error e;
	struct credentials_values v;
	if (!is_only_password(l->config) || !read_secrets(l->config, &v, &e))
		return false;
	const char *user = value_now(l->config, &v, USER);
	const char *password = value_now(l->config, &v, PASSWORD);
	rd_kafka_error_t *failure = user != NULL && password != NULL
					    ? rd_kafka_sasl_set_credentials(handle, user, password)
					    : NULL;
	bool ok = user != NULL && password != NULL && failure == NULL;
	if (failure != NULL)
		rd_kafka_error_destroy(failure);
	l->secrets = v.print;
	credentials_values_free(&v);
	return ok;
}

bool login_renew(struct login *l, rd_kafka_t *handle)
{
	struct error e;
	l->is_refused = false;
	return l->config->tokens != NULL ? get_token(l, handle, &e) : set_password(l, handle);
}
