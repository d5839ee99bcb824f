/*
 * model - a signal model: what the file says and what the catalog says of its table, brought
 * together.  Pure: the store tells what it read from the catalog.  A model belongs to one worker.
 */
#ifndef SIGNALBUS_MODEL_H
#define SIGNALBUS_MODEL_H

#include "base/error.h"
#include "base/problems.h"
#include "config/config.h"
#include "config/template.h"
#include "postgres/rows.h"
#include "postgres/types.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct column {
	char *name;
	char *type;         /* for people */
	char *cast;         /* the same with its schema, for SQL */
	char *operators;    /* the schema of those that compare its values, for SQL */
	unsigned type_oid;  /* a domain's base type */
	int attnum;         /* in its table */
	bool has_binary;    /* the server knows a binary form of its type */
	bool has_inner_xml; /* in composite values: their text leaves out its declaration */
	bool is_serial;     /* a sequence gives its values; never NULL */
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

/* One expression of the list that a claim selects, after ROW_FIXED_FIELDS. */
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

/* The fields that each claimed row begins with, whatever the model. */
enum { ROW_CTID, ROW_TABLEOID, ROW_FIXED_FIELDS };

#define NO_FIELD SIZE_MAX

struct model {
	const struct config *file;
	const struct model_config *config;
	struct problems *mistakes; /* where mistakes of the settings go, all of them; NULL: the
				      first one ends what is done with the model */
	size_t index;              /* in the configuration's list */
	char *relation;            /* schema and table, quoted for SQL */
	unsigned table_oid;
	char *dead_letters; /* table for what is rejected, quoted for SQL; NULL: it stays */
	char *scope;    /* which rows are this model's: the relation and, if need be, a condition */
	bool is_parent; /* partitioned or inherited from: a ctid is not unique in it */
	char *table_state; /* by which it is found that the table has changed (sql.h) */
	bool may_refuse;   /* triggers, rules or policies may keep rows from being deleted */
	bool has_rule;     /* for DELETE, whatever it does */
	bool as_role;      /* code of people's belongs to its statements: expressions, triggers,
			      casts; they are executed with the search_path that it was written
			      for (db.h) */
	struct column *columns;
	size_t column_count;
	struct expression *expressions;
	size_t expression_count;
	size_t *primary_key; /* columns */
	size_t primary_key_count;
	struct order_item *order; /* order_by, then what is left of the primary key */
	size_t order_count;
	bool serial_order;  /* the place in the order is handed out, ascending (or descending) */
	size_t floor_field; /* a claimed row's place in an order of which rows that are sent leave
			       nothing behind; NO_FIELD: the order is not of that kind */
	bool is_numbered;   /* it is, and the places are integers */
	struct output *outputs;
	size_t output_count;
	bool is_binary; /* the outputs may come in binary form: binary.h knows their types */
	/* What a claim returns: the fixed fields, the outputs, and, for the types of those that
	 * come as to_json() of them, one column each, which is always NULL. */
	struct row_column *claimed;
	size_t claimed_count;
	/* The shape of its messages.  Fields are those of a claimed row; NO_FIELD: has none. */
	struct template topic;
	size_t key_field;
	size_t value_field; /* the value as it is; NO_FIELD: a JSON object of members */
	struct part *members;
	size_t member_count;
	struct part *headers;
	size_t header_count;
	size_t partition_field;
	size_t timestamp_field;
	size_t *primary_key_fields;
};

/* The model number index of the configuration, with nothing known of its table. */
struct model *model_new(const struct config *file, size_t index);
void model_free(struct model *m);

/* What the catalog says, to be told in this order: the table, its columns in their order, the
 * columns of the primary key (names, in the key's order), the types of the expressions in fields
 * and headers (one that is not told of goes through to_json()), then model_resolve().  What else
 * there is to tell of a column goes to what model_add_column() returns, until the next one is
 * added: its type, cast and operators, which the model owns, and whether it is serial. */
void model_set_table(struct model *m, const char *relation, bool is_parent);
struct column *model_add_column(struct model *m, const char *name, unsigned type_oid);
void model_add_primary_key(struct model *m, const char *column_name);
void model_add_expression(struct model *m, const char *sql, unsigned type_oid);

/* Find the columns that the settings name.  Returns false with ERROR_CONFIG, text beginning with
 * FILE:LINE:, where one does not exist and that is not tolerated. */
bool model_resolve(struct model *m, struct error *e);

/* Whether to go on past e: it is a mistake of the settings, and all of them are wanted.  Then it is
 * noted, and the model is good for nothing but to find more. */
bool model_tolerates(struct model *m, const struct error *e);

/* The column that text names, as it stands or quoted as in SQL; NO_FIELD where there is none. */
size_t model_column(const struct model *m, const char *text);

/* Fill e with FILE:LINE: of at: that what wants a column which the table has not got.  Always
 * returns false. */
bool model_no_column(const struct model *m, struct place at, const char *what, const char *name,
	struct error *e);

/* Fill e with FILE:LINE: of the model's setting and a message.  Always returns false. */
bool model_error(const struct model *m, const char *setting, struct error *e, const char *format,
	...) __attribute__((format(printf, 4, 5)));

#endif
