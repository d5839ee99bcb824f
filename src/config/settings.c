#include "config/settings.h"

#include "base/log.h"
#include "config/config.h"

#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

#define BURST_COUNT_MAX 100000
/* NAMEDATALEN - 1 in PostgreSQL, whose NOTIFY refuses longer names. */
#define CHANNEL_MAX_BYTES 63

#define MEBIBYTE    1048576
#define WORKERS_MAX 64

static const char *const on_reject_names[] = {
	[ON_REJECT_STOP] = "stop", [ON_REJECT_DEAD_LETTER] = "dead-letter", NULL
};

static const char *const delivery_names[] = {
	[DELIVERY_AT_LEAST_ONCE] = "at-least-once", [DELIVERY_EXACTLY_ONCE] = "exactly-once", NULL
};

static const char *const metrics_buckets_names[] = {
	[METRICS_BUCKETS_FEW] = "few", [METRICS_BUCKETS_ALL] = "all", NULL
};

/* Properties by which librdkafka executes programs and loads libraries. */
static const char *const code_properties[] = { "plugin_library_paths", "sasl_kerberos_kinit_cmd",
	"ssl_engine_location", "ssl_providers", NULL };

static const struct setting top_rows[] = {
	{ .name = "database",
		.type = SETTING_SECRET,
		.field = offsetof(struct config, database),
		.help = "libpq connection string or URI; PG* variables and ~/.pgpass apply",
		.also = " dsn url uri postgres postgresql conninfo connection connection_string "
			"database_url " },
	{ .name = "database_listen",
		.type = SETTING_SECRET,
		.field = offsetof(struct config, database_listen),
		.help = "the same, for LISTEN and locks, if database leads to a transaction "
			"pooler" },
	{ .name = "database_password",
		.type = SETTING_SECRET,
		.field = offsetof(struct config, database_password),
		.help = "password or token for the database, apart from database",
		.also = " password pgpassword " },
	{ .name = "kafka",
		.type = SETTING_PROPERTIES,
		.required = true,
		.field = offsetof(struct config, kafka),
		.help = "librdkafka producer properties, \"_\" for \".\"",
		.also = " broker brokers producer bootstrap_servers " },
	{ .name = "models",
		.type = SETTING_MODELS,
		.required = true,
		.field = offsetof(struct config, models),
		.help = "list of groups, one per signal model, in processing order",
		.also = " signals tables signal_models " },
	{ .name = "defaults",
		.type = SETTING_DEFAULTS,
		.help = "model settings that apply where a model sets none" },
	{ .name = "autoflush",
		.type = SETTING_BOOLEAN,
		.field = offsetof(struct config, autoflush),
		.preset = 1,
		.help = "false: the daemon sends nothing" },
	{ .name = "delivery",
		.type = SETTING_CHOICE,
		.field = offsetof(struct config, delivery),
		.choices = delivery_names,
		.preset = DELIVERY_AT_LEAST_ONCE,
		.help = "how often a signal's message is stored" },
	{ .name = "instance",
		.type = SETTING_STRING,
		.field = offsetof(struct config, instance),
		.help = "names this bus where several share a database or a broker" },
	{ .name = "workers",
		.type = SETTING_INTEGER,
		.field = offsetof(struct config, workers),
		.preset = 2,
		.min = 1,
		.max = WORKERS_MAX,
		.help = "database connections that the daemon flushes with",
		.also = " threads jobs connections " },
	{ .name = "poll_interval",
		.type = SETTING_SECONDS,
		.field = offsetof(struct config, poll_interval),
		.preset = 1.0,
		.min = 0.01,
		.max = 86400,
		.help = "seconds between polls of a table without notifications",
		.also = " interval poll_frequency " },
	{ .name = "notify_channel",
		.type = SETTING_TEXT,
		.field = offsetof(struct config, notify_channel),
		.max = CHANNEL_MAX_BYTES,
		.help = "PostgreSQL channel that wakes the daemon; \"\": poll only" },
	{ .name = "timeout",
		.type = SETTING_SECONDS,
		.field = offsetof(struct config, timeout),
		.preset = 30.0,
		.min = 0.1,
		.max = 3600,
		.help = "seconds to wait for the database or the broker",
		.also = " timeout_ms " },
	{ .name = "dead_letter_table",
		.type = SETTING_STRING,
		.field = offsetof(struct config, dead_letter_table),
		.help = "table for signals that the broker rejects for good",
		.also = " dlq dead_letters " },
	{ .name = "metrics_listen",
		.type = SETTING_ADDRESS,
		.field = offsetof(struct config, metrics_listen),
		.help = "HOST:PORT at which the daemon serves /metrics, /healthz, /readyz",
		.also = " metrics http listen prometheus " },
	{ .name = "metrics_buckets",
		.type = SETTING_CHOICE,
		.field = offsetof(struct config, metrics_buckets),
		.choices = metrics_buckets_names,
		.preset = METRICS_BUCKETS_FEW,
		.help = "which buckets the histograms of each model have",
		.also = " buckets histogram_buckets " },
	{ .name = "log_level",
		.type = SETTING_CHOICE,
		.field = offsetof(struct config, log_level),
		.choices = log_level_names,
		.preset = -1,
		.help = "least urgent messages that are logged" },
	{ .name = "log_format",
		.type = SETTING_CHOICE,
		.field = offsetof(struct config, log_format),
		.choices = log_format_names,
		.preset = LOG_FORMAT_TEXT,
		.help = "lines of text, or a JSON object each" },
	{ .name = "core_dumps",
		.type = SETTING_BOOLEAN,
		.field = offsetof(struct config, core_dumps),
		.help = "whether a crash may write the memory, with passwords, to a file" },
	{ .name = "allow_kafka_properties",
		.type = SETTING_STRINGS,
		.field = offsetof(struct config, allowed_properties),
		.choices = code_properties,
		.help = "properties in kafka that execute programs or load libraries" },
};

static const struct setting model_rows[] = {
	{ .name = "name",
		.type = SETTING_STRING,
		.required = true,
		.field = offsetof(struct model_config, name),
		.help = "unique name of the model" },
	{ .name = "table",
		.type = SETTING_STRING,
		.required = true,
		.field = offsetof(struct model_config, table),
		.help = "signal table, as in SQL" },
	{ .name = "topic",
		.type = SETTING_TOPIC,
		.field = offsetof(struct model_config, topic),
		.help = "Kafka topic; {column} stands for the row's content (default: the name)" },
	{ .name = "key",
		.type = SETTING_STRING,
		.field = offsetof(struct model_config, key),
		.help = "column whose text is the message key (bytea: its bytes)" },
	{ .name = "value",
		.type = SETTING_STRING,
		.field = offsetof(struct model_config, value),
		.help = "column whose content is the message value, instead of a JSON object",
		.also = " payload message " },
	{ .name = "fields",
		.type = SETTING_FIELDS,
		.field = offsetof(struct model_config, fields),
		.help = "members of the JSON object: columns, or { name, sql } (default: all)",
		.also = " columns " },
	{ .name = "headers",
		.type = SETTING_HEADERS,
		.field = offsetof(struct model_config, headers),
		.help = "message headers: columns, or { name, column }, { name, value }" },
	{ .name = "partition",
		.type = SETTING_STRING,
		.field = offsetof(struct model_config, partition),
		.help = "integer column with the partition's number; NULL: by key" },
	{ .name = "timestamp",
		.type = SETTING_STRING,
		.field = offsetof(struct model_config, timestamp),
		.help = "timestamp column for the record (default: the time of sending)" },
	{ .name = "burst_count",
		.type = SETTING_INTEGER,
		.field = offsetof(struct model_config, burst_count),
		.preset = 1,
		.min = 1,
		.max = BURST_COUNT_MAX,
		.help = "maximum signals per transaction",
		.also = " batch batch_size batch_count max_batch_size bulk_size limit "
			"chunk_size " },
	{ .name = "burst_bytes",
		.type = SETTING_INTEGER,
		.field = offsetof(struct model_config, burst_bytes),
		.preset = 16 * MEBIBYTE,
		.min = 1,
		.max = 1024 * MEBIBYTE,
		.help = "size at which a burst is closed early",
		.also = " batch_bytes " },
	{ .name = "where",
		.type = SETTING_STRING,
		.field = offsetof(struct model_config, where),
		.help = "SQL condition over the row \"signal\": the rows of this model",
		.also = " filter condition " },
	{ .name = "autoflush",
		.type = SETTING_BOOLEAN,
		.field = offsetof(struct model_config, autoflush),
		.preset = 1,
		.help = "whether the daemon sends this model's signals" },
	{ .name = "order_by",
		.type = SETTING_STRINGS,
		.field = offsetof(struct model_config, order_by),
		.help = "columns, each optionally with DESC, that order flushordered",
		.also = " order ordering sort " },
	{ .name = "on_reject",
		.type = SETTING_CHOICE,
		.field = offsetof(struct model_config, on_reject),
		.choices = on_reject_names,
		.help = "what to do with a signal that the broker rejects for good" },
};

const struct setting *setting_called(const struct setting_table *table, const char *name)
{
	char word[64];
	if (snprintf(word, sizeof word, " %s ", name) >= (int)sizeof word)
		return NULL;
	for (size_t i = 0; i < table->count; i++)
		if (table->rows[i].also != NULL && strcasestr(table->rows[i].also, word) != NULL)
			return &table->rows[i];
	return NULL;
}

const struct setting_table top_settings = { top_rows, COUNT(top_rows), "setting", "the top level" };
const struct setting_table model_settings = { model_rows, COUNT(model_rows), "model setting",
	"a model" };

const struct setting *setting_find(const struct setting_table *table, const char *name)
{
	for (size_t i = 0; i < table->count; i++)
		if (strcmp(table->rows[i].name, name) == 0)
			return &table->rows[i];
	return NULL;
}
