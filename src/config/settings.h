/*
 * settings - every setting of the configuration file, one row each.  The reader, its messages and
 * the documentation test all use these rows.  Pure data.
 */
#ifndef SIGNALBUS_SETTINGS_H
#define SIGNALBUS_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>

enum setting_type {
	SETTING_STRING,  /* const char *; not empty */
	SETTING_ADDRESS, /* const char *; an address (address.h) */
	SETTING_TOPIC,   /* const char *; a topic, possibly with placeholders (topic_template.h) */
	SETTING_TEXT,    /* const char *; may be empty */
	SETTING_SECRET, /* struct secret; a string, { file = … }, { env = … } or { command = … } */
	SETTING_BOOLEAN,    /* bool */
	SETTING_INTEGER,    /* long long, within min and max */
	SETTING_SECONDS,    /* double, within min and max */
	SETTING_CHOICE,     /* int: the index in choices */
	SETTING_STRINGS,    /* struct strings; a list of strings, not empty */
	SETTING_FIELDS,     /* struct items; columns and expressions, not empty */
	SETTING_HEADERS,    /* struct items; columns, expressions and constants, not empty */
	SETTING_PROPERTIES, /* the group "kafka" */
	SETTING_MODELS,     /* the list "models" */
	SETTING_DEFAULTS,   /* the group "defaults" */
};

struct setting {
	const char *name;
	enum setting_type type;
	bool required;
	size_t field;               /* offset in struct config or struct model_config */
	const char *const *choices; /* also of the elements of a list of strings */
	double preset;              /* for booleans and numbers, and the index of a choice */
	double min, max;            /* for numbers; max also for bytes in a text, unless it is 0 */
	const char *help;
	const char *also; /* names that other programs use for it, with spaces around each */
};

struct setting_table {
	const struct setting *rows;
	size_t count;
	const char *what;  /* the name of an entry in messages: "setting", "model setting" */
	const char *owner; /* and of its place: "the top level", "a model" */
};

extern const struct setting_table top_settings;
extern const struct setting_table model_settings;

/* The row of a name, or NULL. */
const struct setting *setting_find(const struct setting_table *table, const char *name);

/* The row that other programs call by this name, or NULL. */
const struct setting *setting_called(const struct setting_table *table, const char *name);

#endif
