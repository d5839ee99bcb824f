#include "catalog/catalog.h"

struct db *catalog_session(const struct config *config)
{
	struct db *db = db_new(config->login, config->timeout);
	if (config->listen_login != NULL)
		db_share(db);
	return db;
}
