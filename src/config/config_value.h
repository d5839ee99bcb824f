/*
 * config_value - reads one value of the configuration file, according to its row in the table of
 * settings.  Private to config.c, with which it shares libconfig.
 */
#ifndef SIGNALBUS_CONFIG_VALUE_H
#define SIGNALBUS_CONFIG_VALUE_H

#include "config/config.h"
#include "config/settings.h"

#include <libconfig.h>

struct config_memory {
	struct config_t tree; /* strings of the configuration point into it */
	char *file;
	char **owned; /* strings that are not in the file: secrets, converted names */
	size_t owned_count;
};

/* A loading in progress. */
struct reader {
	struct config *config;
	struct model_config defaults; /* the initial values of a model */
	const struct config_checks *checks;
	struct problems *problems;
};

/* Set field from s, or add a problem and leave field unchanged. */
typedef void value_reader(
	struct reader *r, const struct setting *row, const config_setting_t *s, void *field);

value_reader value_read_string;
value_reader value_read_text;
value_reader value_read_address;
value_reader value_read_topic;
value_reader value_read_secret; /* config_secret.c */
value_reader value_read_boolean;
value_reader value_read_integer;
value_reader value_read_seconds;
value_reader value_read_choice;
value_reader value_read_strings;
value_reader value_read_properties; /* config_properties.c */
value_reader value_read_fields;     /* config_item.c */
value_reader value_read_headers;    /* config_item.c */

/* Set the fields of target that have a preset in the table. */
void value_set_presets(const struct setting_table *table, void *target);

/* Add the problem that s, which is the setting of row, or a member or an element of it, does not
 * have the expected type. */
void value_wrong_type(struct reader *r, const struct setting *row, const config_setting_t *s,
	const char *expected);

/* Add the problem, if there is one, that topic is never a valid name; "what" begins the message. */
void value_check_topic(struct reader *r, struct place at, const char *what, const char *topic);

/* "timeout", "kafka.linger_ms", "each element of order_by"; to be freed. */
char *value_full_name(const struct setting *row, const config_setting_t *s);

/* Record a file that contains passwords or keys (config_secret.c). */
void value_note_secret_file(struct config *c, const char *file);

/* Read { file } or { command } of a token; otherwise add a problem (config_secret.c). */
void value_read_token(struct reader *r, const struct setting *row, const config_setting_t *s);

/* The length of the byte order mark that some editors put before UTF-8; 0: there is none. */
size_t value_mark_length(const char *content);

/* Transfer allocated memory to the configuration.  Returns it. */
void *value_keep(struct config *c, void *allocated);

struct place value_place(const struct config *c, const config_setting_t *s);

#endif
