/*
 * catalog_check_internal - the parts of catalog_check().  Private to catalog_check*.c.
 */
#ifndef SIGNALBUS_CATALOG_CHECK_INTERNAL_H
#define SIGNALBUS_CATALOG_CHECK_INTERNAL_H

#include "catalog/catalog.h"

#include <stdbool.h>
#include <stddef.h>

/* A model that is being checked. */
struct examination {
	struct db *db;
	const struct config *config;
	struct check_report *findings;
	struct model *model;
	struct problems mistakes;
	struct hidden_table table;
	bool fits; /* the settings match the table */
	bool can_claim;
	struct error refusal; /* of a statement that sending needs; or ERROR_NONE */
	size_t problems;      /* that were found earlier */
};

/* How long the server's answer to a statement of a check is waited for. */
struct instant check_deadline(const struct config *config);

/* Report about the model. */
typedef void check_say(struct examination *x, const char *text);
check_say check_problem, check_warning;

/* A statement about the table, $1, and something else, $2, that returns a line for each finding. */
struct question {
	const char *sql;
	const char *parameter;
	check_say *say;
};

/* Ask it, and report the lines.  False with e if that fails. */
bool check_ask(struct examination *x, struct question q, struct error *e);

/* The same, with warnings; frees the parameter. */
bool check_warn(struct examination *x, const char *sql, char *parameter, struct error *e);

/* A check; false with e if the database is unavailable. */
typedef bool check_part(struct examination *x, struct error *e);

check_part check_order, check_sequences, check_order_lock; /* catalog_check_order.c */
check_part check_privileges;                               /* catalog_privileges.c */
check_part check_backlog, check_shared_rows, check_autovacuum,
	check_owner; /* catalog_check_table.c */
check_part check_foreign_keys, check_trigger, check_dead_letters, check_replica_identity,
	check_prepared;

#endif
