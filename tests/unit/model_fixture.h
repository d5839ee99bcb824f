/*
 * model_fixture - models made by hand: stands in for the configuration and for the catalog.
 */
#ifndef SIGNALBUS_TEST_MODEL_FIXTURE_H
#define SIGNALBUS_TEST_MODEL_FIXTURE_H

#include "model/model.h"

#include "base/text.h"
#include "suite.h"

#include <string.h>

struct told_column {
	const char *name;
	unsigned type_oid;
	const char *type;
};

/* A configuration of one model, whose settings a test sets before fixture_model(). */
struct fixture {
	struct model_config settings;
	struct config config;
	struct model *model;
};

static inline void fixture_init(struct fixture *f)
{
	*f = (struct fixture){ .settings = { .name = "Order",
				       .table = "shop.order",
				       .topic = "orders",
				       .burst_count = 100,
				       .autoflush = true },
		.config = { .file = "bus.conf", .model_count = 1, .timeout = 30 } };
	f->config.models = &f->settings;
}

static inline void fixture_column(struct model *m, const struct told_column *told)
{
	struct column *c = model_add_column(m, told->name, told->type_oid);
	c->type = text_copy(told->type);
	c->cast = text_copy(told->type);
	c->operators = text_copy("pg_catalog");
	c->attnum = (int)m->column_count;
}

/* Tell of the table.  key: its primary key's columns, apart by a space; not resolved yet. */
static inline struct model *fixture_model(
	struct fixture *f, const struct told_column *columns, size_t count, const char *key)
{
	char names[256];
	char *rest = NULL;
	f->model = model_new(&f->config, 0);
	model_set_table(f->model, "shop.\"order\"", false);
	for (size_t i = 0; i < count; i++)
		fixture_column(f->model, &columns[i]);
	strncpy(names, key, sizeof names - 1);
	names[sizeof names - 1] = '\0';
	for (char *name = strtok_r(names, " ", &rest); name != NULL;
		name = strtok_r(NULL, " ", &rest))
		model_add_primary_key(f->model, name);
	return f->model;
}

/* The same, resolved. */
static inline struct model *fixture_resolved(
	struct fixture *f, const struct told_column *columns, size_t count, const char *key)
{
	struct error e;
	struct model *m = fixture_model(f, columns, count, key);
	ck_assert_msg(model_resolve(m, &e), "%s", e.text);
	return m;
}

/* In the place of config.c's: each setting stands on a line of its own. */
struct place config_place(const struct config *c, const struct model_config *m, const char *setting)
{
	static const char *const lines[] = { "name", "table", "key", "order_by" };
	ck_assert_ptr_eq(m, &c->models[0]);
	for (unsigned i = 0; i < COUNT(lines); i++)
		if (strcmp(lines[i], setting) == 0)
			return (struct place){ c->file, i + 1 };
	return (struct place){ c->file, 99 };
}

#endif
