/*
 * config - the configuration file as structures.  The only place that includes libconfig.
 *
 * Loading blocks on reading files only.  All strings belong to the struct config and live until
 * config_free(); a loaded configuration does not change, so any thread may read it.
 */
#ifndef SIGNALBUS_CONFIG_H
#define SIGNALBUS_CONFIG_H

#include "base/credentials.h"
#include "base/error.h"
#include "base/problems.h"
#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>

struct strings {
	const char **items;
	size_t count;
};

/* A member of the value, or a header: its source, and its name. */
struct item {
	const char *name;   /* NULL: the column's */
	const char *column; /* this, or … */
	const char *sql;    /* … an expression over the row "signal", or … */
	const char *value;  /* … a constant; for headers only */
	struct place place;
};

struct items {
	struct item *items;
	size_t count;
};

/* The settings of a signal model; NULL and empty if not set. */
enum on_reject { ON_REJECT_STOP, ON_REJECT_DEAD_LETTER };

struct model_config {
	const char *name;
	const char *table;
	const char *topic; /* with {column} placeholders; the name if not set */
	const char *key;   /* column */
	long long burst_count;
	long long burst_bytes;
	bool autoflush;
	int on_reject; /* enum on_reject */
	struct strings order_by;
	const char *value; /* column; excludes fields */
	struct items fields;
	struct items headers;
	const char *partition; /* column */
	const char *timestamp; /* column */
	const char *where;     /* SQL condition over the row "signal" */
	const void *source;    /* for config_place() */
};

/* A property for librdkafka, under its name there. */
struct property {
	const char *name;
	const char *value; /* empty if it is … */
	bool is_secret;    /* … in config.kafka_secrets … */
	size_t secret;     /* … with this number */
	struct place place;
};

/* Which bounds the histograms of the metrics have. */
enum metrics_buckets { METRICS_BUCKETS_FEW, METRICS_BUCKETS_ALL };

enum delivery { DELIVERY_AT_LEAST_ONCE, DELIVERY_EXACTLY_ONCE };

struct config {
	const char *file;
	struct secret database, database_listen, database_password; /* the secrets of … */
	struct credentials *login;                                  /* … this, for db_new() … */
	struct credentials *listen_login; /* … and this, for sessions that a pooler must not share;
					     NULL: those of login are not shared either */
	struct property *kafka;
	size_t kafka_count;
	struct credentials *kafka_secrets; /* of properties */
	struct credentials *tokens;        /* for SASL OAUTHBEARER; NULL: there are none */
	struct model_config *models;
	size_t model_count;
	bool autoflush;
	int delivery; /* enum delivery */
	const char *instance;
	long long workers;
	double poll_interval;          /* seconds */
	const char *notify_channel;    /* empty: none */
	double timeout;                /* seconds */
	const char *dead_letter_table; /* NULL: none */
	const char *metrics_listen;    /* HOST:PORT, validated with address_parse(); NULL: none */
	int metrics_buckets;           /* enum metrics_buckets */
	int log_level;                 /* enum log_level, or -1: the command's default */
	int log_format;                /* enum log_format */
	bool core_dumps;
	struct strings allowed_properties; /* of those that run code */
	struct strings secret_files;       /* those that contain passwords or keys */
	struct config_memory *memory;
};

/* Whether the producer would accept a property; if not, e has the reason.  The value of a secret
 * may be unknown, and is then empty; is_secret says so. */
enum property_answer { PROPERTY_TAKEN, PROPERTY_REFUSED, PROPERTY_UNKNOWN };
typedef enum property_answer config_property_check(const struct property *p, struct error *e);

/* Whether a connection string is valid.  Returns false with e if not. */
typedef bool config_database_check(const char *conninfo, struct error *e);

/* Checks of values that the configuration only passes on. */
struct config_checks {
	config_property_check *property;
	config_database_check *database;
	bool skips_secrets; /* those that are not in the file are not read, and remain unset */
};

/* Read file.  Every mistake is added to problems; returns the configuration, to be freed with
 * config_free(), or NULL if there was any. */
struct config *config_load(
	const char *file, const struct config_checks *checks, struct problems *problems);

void config_free(struct config *c);

/* Whether the daemon sends a model (index); otherwise it is paused. */
static inline bool config_autoflushes(const struct config *c, size_t model)
{
	return c->autoflush && c->models[model].autoflush;
}

/* The place in the file of a model's setting or, if m is NULL, of a top-level one; the model or the
 * file itself if the setting is not there. */
struct place config_place(
	const struct config *c, const struct model_config *m, const char *setting);

/* Add the version of libconfig, such as "1.5": the one that signalbus was built with. */
void config_add_library_version(struct text *t);

#endif
