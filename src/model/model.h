/*
 * model - a signal model: its settings combined with the catalog's description of its table.  Pure:
 * the store passes what it read from the catalog.  A model belongs to one worker.
 */
#ifndef SIGNALBUS_MODEL_H
#define SIGNALBUS_MODEL_H

#include "base/error.h"
#include "base/problems.h"
#include "config/config.h"
#include "config/topic_template.h"
#include "postgres/rows.h"
#include "postgres/types.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct column {
	char *name;
	char *type;         /* for people */
	char *cast;         /* the same with its schema, for SQL */
	char *operators;    /* the schema of its comparison operators, for SQL */
	unsigned type_oid;  /* a domain's base type */
	int attnum;         /* in its table */
	bool has_inner_xml; /* in composite values: their text leaves out its declaration */
	bool is_serial;     /* a sequence generates its values; never NULL */
	enum value_form form;
};

/* An SQL expression of the settings. */
struct expression {
	const char *sql; /* borrowed from the configuration */
	enum value_form form;
	unsigned type_oid;
};

struct order_item {
	size_t column;
	bool descending;
};

/* An expression in the list that a claim selects, after ROW_FIXED_FIELDS. */
struct output {
	size_t column;        /* NO_FIELD: an expression */
	bool as_json;         /* to_json() of it */
	bool as_milliseconds; /* since 1970, of a timestamp; NULL of an infinite one */
	const char *sql;      /* the expression */
	enum value_form form; /* of the field */
	unsigned type_oid;    /* of the field */
};

/* A member of the value, or a header. */
struct part {
	const char *name;     /* borrowed from a column or from the configuration */
	size_t field;         /* of a claimed row; NO_FIELD: a constant */
	enum value_form form; /* of the field */
	const char *constant;
	size_t column; /* NO_FIELD: an expression, or a constant */
	unsigned type_oid;
};

/* The fields that each claimed row begins with, in every model. */
enum { ROW_CTID, ROW_TABLEOID, ROW_FIXED_FIELDS };

#define NO_FIELD SIZE_MAX

struct model {
	const struct config *config;
	const struct model_config *settings;
	struct problems *mistakes; /* collects all mistakes of the settings; NULL: the first one is
				      returned as an error */
	size_t index;              /* in the configuration's list */
	char *relation;            /* schema and table, quoted for SQL */
	unsigned table_oid;
	char *dead_letters;        /* table for rejected rows, quoted for SQL; NULL: they stay */
	char *dead_letter_problem; /* why rejected rows stay, although they should move; or NULL */
	char *dead_letter_grant; /* what the user lacks to move rows there, with the GRANT; or NULL
				  */
	char *scope;       /* the rows of this model: the relation and, if needed, a condition */
	bool has_children; /* partitioned or inherited from: ctids are not unique in it */
	char *table_state; /* to detect that the table has changed (sql.h) */
	bool may_refuse;   /* triggers, rules or policies may prevent rows from being deleted */
	bool has_rule;     /* has a rule on DELETE */
	bool as_role; /* its statements include code of users: expressions, triggers, casts; they
			 are executed with the search_path that the code was written for (db.h) */
	struct column *columns;
	size_t column_count;
	struct expression *expressions;
	size_t expression_count;
	size_t *primary_key; /* columns */
	size_t primary_key_count;
	struct order_item *order; /* order_by, then the rest of the primary key */
	size_t order_count;
	bool serial_order;  /* places in the order are assigned ascending (or descending) */
	size_t floor_field; /* a claimed row's place in an order in which sent rows leave nothing
			       after them; NO_FIELD: the order is not of that kind */
	struct output *outputs;
	size_t output_count;
	/* The result of a claim: the fixed fields, the outputs and, for the types of outputs that
	 * use to_json(), one column each, which is always NULL. */
	struct row_column *claimed;
	size_t claimed_count;
	/* The shape of its messages.  Fields are those of a claimed row; NO_FIELD: none. */
	struct template topic;
	size_t key_field;
	size_t message_max; /* kafka.message_max_bytes */
	size_t value_field; /* the value, unchanged; NO_FIELD: a JSON object of members */
	struct part *members;
	size_t member_count;
	struct part *headers;
	size_t header_count;
	size_t partition_field;
	size_t timestamp_field;
	size_t *primary_key_fields;
};

/* The model number index of the configuration, without a description of its table. */
struct model *model_new(const struct config *file, size_t index);
void model_free(struct model *m);

/* The catalog's description, to be added in this order: the table, its columns in order, the
 * columns of the primary key (names, in the order of the key), the types of the expressions in
 * fields and headers (those without a type use to_json()), then model_resolve().  Set the other
 * properties of a column in the result of model_add_column(), before the next one is added: its
 * type, cast and operators, which the model owns, and whether it is serial. */
void model_set_table(struct model *m, const char *relation, bool has_children);
struct column *model_add_column(struct model *m, const char *name, unsigned type_oid);
void model_add_primary_key(struct model *m, const char *column_name);
void model_add_expression(struct model *m, const char *sql, unsigned type_oid);

/* Resolve the columns in the settings.  Returns false with ERROR_CONFIG, text beginning with
 * FILE:LINE:, if one does not exist and this is not tolerated. */
bool model_resolve(struct model *m, struct error *e);

/* Whether to continue after e: it is a mistake of the settings, and all of them are collected.
 * Then it is recorded, and the model can only be used to find more. */
bool model_tolerates(struct model *m, const struct error *e);

/* The column named by text, unchanged or quoted as in SQL; NO_FIELD if there is none. */
size_t model_column(const struct model *m, const char *text);

/* Fill e with FILE:LINE: of at: "what" names a column that the table does not have.  Always returns
 * false. */
bool model_no_column(const struct model *m, struct place at, const char *what, const char *name,
	struct error *e);

/* Fill e with FILE:LINE: of the model's setting and a message.  Always returns false. */
bool model_error(const struct model *m, const char *setting, struct error *e, const char *format,
	...) __attribute__((format(printf, 4, 5)));

#endif
