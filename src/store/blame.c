#include "catalog/catalog.h"
#include "store/store_internal.h"

#include <string.h>

static const char database[] = "database";

bool store_blame(struct store *s, size_t index, struct error *e)
{
	const struct model_config *config = &s->config->models[index];
	const struct session_model *d = &s->models[index];
	const char *table =
		d->model != NULL && d->model->relation != NULL ? d->model->relation : config->table;
	bool is_statement = strncmp(e->text, database, strlen(database)) == 0 &&
			    e->text[strlen(database)] != '_'; /* database_listen */
	if (e->kind == ERROR_STOPPED || e->kind == ERROR_CONFIG || e->kind == ERROR_INSTANCE ||
		strncmp(e->text, "model \"", strlen("model \"")) == 0)
		return false;
	catalog_say_holder(s->db, table, store_deadline(s), e);
	catalog_say_privileges(s->db, table, store_deadline(s), e);
	if (is_statement)
		error_prefix(e, "table %s", table);
	return error_prefix(e, "model \"%s\"", config->name);
}
