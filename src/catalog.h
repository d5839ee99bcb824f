/*
 * catalog - what PostgreSQL's system catalog says of a model's table.  For store.c alone.
 */
#ifndef SIGNALBUS_CATALOG_H
#define SIGNALBUS_CATALOG_H

#include "db.h"
#include "model.h"

/* Make the model number index of the configuration from the catalog; blocks until deadline.
 * Returns NULL with e, ERROR_CONFIG where table and configuration do not fit. */
struct model *catalog_read(struct db *db, const struct config *config, size_t index,
	struct instant deadline, struct error *e);

#endif
