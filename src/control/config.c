/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "control/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/yaml.h"
#include "control/config_schema.h"

/* A configuration is read in three steps: YAML to a tree with its lines (base/yaml.c), tree to
 * structs by the tables of keys (config_schema.c, config_values.c, config_table.c), then what concerns
 * several of them at once (config_check.c). What comes from the API enters at the second step. */

static int from_tree(struct config **out, const json_t *tree, const json_t *marks, const char *file,
	struct err *e) {
	struct schema s = {.file = file, .e = e};
	struct config *c = calloc(1, sizeof(*c));
	char show[YAML_SHOW_MAX];
	int rc;

	*out = NULL;
	if (c == NULL)
		return value_no_memory(&s);
	if (json_is_object(tree))
		rc = schema_take(&s, top_fields, tree, marks, c);
	else
		rc = schema_fail(&s, EINVAL, marks,
			"the configuration is %s; it must be a map such as {ports: {}}",
			yaml_show(tree, show));
	if (rc == 0)
		rc = config_check(&s, c, marks);
	if (rc != 0) {
		config_free(c);
		return rc;
	}
	*out = c;
	return 0;
}

int config_parse(
	struct config **out, const char *text, size_t len, const char *file, struct err *e) {
	json_t *tree, *marks;
	int rc;

	*out = NULL;
	rc = yaml_read(&tree, &marks, text, len, file, e);
	if (rc != 0)
		return rc;
	rc = from_tree(out, tree, marks, file, e);
	json_decref(tree);
	json_decref(marks);
	return rc;
}

int config_from_json(struct config **out, const json_t *tree, struct err *e) {
	return from_tree(out, tree, NULL, NULL, e);
}

int config_load(struct config **out, const char *file, struct err *e) {
	json_t *tree, *marks;
	int rc;

	*out = NULL;
	rc = yaml_load(&tree, &marks, file, e);
	if (rc != 0)
		return rc;
	rc = from_tree(out, tree, marks, file, e);
	json_decref(tree);
	json_decref(marks);
	return rc;
}

static void *copy_of(const void *p, size_t n, bool *ok) {
	void *copy = p != NULL ? malloc(n + 1) : NULL;

	if (copy != NULL && n > 0)
		memcpy(copy, p, n);
	*ok &= (copy != NULL) == (p != NULL);
	return copy;
}

static char *text_copy(const char *text, bool *ok) {
	return copy_of(text, text != NULL ? strlen(text) + 1 : 0, ok);
}

static bool copy_port(struct config_port *to, const struct config_port *from) {
	bool ok = true;

	*to = *from;
	to->spec.path = to->path = text_copy(from->path, &ok);
	to->spec.netns = to->netns = text_copy(from->netns, &ok);
	to->spec.group = to->group = text_copy(from->group, &ok);
	to->static_macs =
		copy_of(from->static_macs, from->nstatic * sizeof(*from->static_macs), &ok);
	to->trunk = from->trunk != NULL ? calloc(from->ntrunk + 1, sizeof(*to->trunk)) : NULL;
	ok &= (to->trunk != NULL) == (from->trunk != NULL);
	to->ntrunk = 0;
	for (unsigned i = 0; ok && from->trunk != NULL && i < from->ntrunk; i++)
		to->trunk[to->ntrunk++] = text_copy(from->trunk[i], &ok);
	return ok;
}

struct config *config_copy(const struct config *c) {
	bool ok = true;
	struct config *copy = copy_of(c, sizeof(*c), &ok);

	if (copy == NULL)
		return NULL;
	copy->api = text_copy(c->api, &ok);
	copy->metrics = text_copy(c->metrics, &ok);
	copy->cpus = copy_of(c->cpus, c->ncpus * sizeof(*c->cpus), &ok);
	copy->nets = copy_of(c->nets, c->nnets * sizeof(*c->nets), &ok);
	copy->ports = calloc(c->nports + 1, sizeof(*c->ports));
	ok &= copy->ports != NULL;
	copy->nports = 0;
	for (unsigned i = 0; i < c->nports && ok; i++)
		ok = copy_port(&copy->ports[copy->nports++], &c->ports[i]);
	if (!ok) {
		config_free(copy);
		return NULL;
	}
	return copy;
}

void config_free(struct config *c) {
	if (c == NULL)
		return;
	for (unsigned i = 0; i < c->nports; i++) {
		struct config_port *p = &c->ports[i];

		for (unsigned j = 0; j < p->ntrunk; j++)
			free(p->trunk[j]);
		free(p->trunk);
		free(p->static_macs);
		free(p->path);
		free(p->netns);
		free(p->group);
	}
	free(c->ports);
	free(c->nets);
	free(c->cpus);
	free(c->api);
	free(c->metrics);
	free(c);
}
