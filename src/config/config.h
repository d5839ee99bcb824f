/*
 * config - the configuration file as structures.  The only place that includes libconfig.
 *
 * Loading blocks on reading files only.  All strings belong to the struct config and live until
 * config_free(); a loaded configuration does not change, so any thread may read it.
 */
#ifndef SIGNALBUS_CONFIG_H
#define SIGNALBUS_CONFIG_H

#include "base/error.h"
#include "base/problems.h"

#include <stdbool.h>
#include <stddef.h>

struct strings {
	const char **items;
	size_t count;
};

/* A member of the value, or a header: where it comes from, and what it is called. */
struct item {
	const char *name;   /* NULL: as the column */
	const char *column; /* this, or … */
	const char *sql;    /* … an expression over the row "signal", or … */
	const char *value;  /* … a constant; of headers only */
	struct place place;
};

struct items {
	struct item *items;
	size_t count;
};

/* What the file says of a signal model; NULL and empty where it says nothing. */
enum on_reject { ON_REJECT_STOP, ON_REJECT_DEAD_LETTER };

struct model_config {
	const char *name;
	const char *table;
	const char *topic; /* with {column} placeholders; the name where the file says nothing */
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

/* A property for librdkafka, under librdkafka's name. */
struct property {
	const char *name;
	const char *value;
	struct place place;
};

enum delivery { DELIVERY_AT_LEAST_ONCE, DELIVERY_EXACTLY_ONCE };

struct config {
	const char *file;
	const char *database;
	struct property *kafka;
	size_t kafka_count;
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
	const char *metrics_listen;    /* HOST:PORT, an address_parse() is sure of; NULL: nowhere */
	int log_level;                 /* enum log_level, or -1: as the command sees fit */
	int log_format;                /* enum log_format */
	struct strings secret_files;   /* those, included ones too, that hold passwords or keys */
	struct config_memory *memory;
};

/* Says whether the producer would take a property; where it would not, e says why. */
enum property_answer { PROPERTY_TAKEN, PROPERTY_REFUSED, PROPERTY_UNKNOWN };
typedef enum property_answer config_property_check(const struct property *p, struct error *e);

/* Says whether a connection string makes sense.  Returns false with e where it does not. */
typedef bool config_database_check(const char *conninfo, struct error *e);

/* Those who know what the file only passes on. */
struct config_checks {
	config_property_check *property;
	config_database_check *database;
};

/* Read file.  Every mistake is added to problems; returns the configuration to be freed with
 * config_free(), or NULL where there was any. */
struct config *config_load(
	const char *file, const struct config_checks *checks, struct problems *problems);

void config_free(struct config *c);

/* Where in the file a model's setting stands, or, with m NULL, one of the top level; the model or
 * the file itself where the setting is not there. */
struct place config_place(
	const struct config *c, const struct model_config *m, const char *setting);

#endif
