/*
 * catalog - what PostgreSQL's system catalog says of a model's table.  For store.c, and for
 * the command that shows it.
 */
#ifndef SIGNALBUS_CATALOG_H
#define SIGNALBUS_CATALOG_H

#include "db.h"
#include "facts.h"
#include "model.h"

/* Make the model number index of the configuration from the catalog; blocks until deadline.
 * Returns NULL with e, ERROR_CONFIG where table and configuration do not fit. */
struct model *catalog_read(struct db *db, const struct config *config, size_t index,
	struct instant deadline, struct error *e);

/* What the catalog says of the values of m beyond that, to be freed; blocks until deadline.
 * (catalog_facts.c) */
bool catalog_facts(struct db *db, const struct model *m, struct facts *f, struct instant deadline,
	struct error *e);

#endif
