/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "host/want/want.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/yaml.h"
#include "host/want/want_table.h"

static const struct want_pf *pf_named(const struct want *w, const char *name) {
	for (unsigned i = 0; i < w->npfs; i++)
		if (strcmp(w->pfs[i].name, name) == 0)
			return &w->pfs[i];
	return NULL;
}

static int no_such_pf(struct schema *s, const json_t *tree, const json_t *mark, const char *name) {
	char all[300];

	schema_list(all, sizeof(all), json_object_get(tree, "pfs"));
	return schema_fail(s, ENOENT, mark, "no PF '%s' in the map pfs:; there are: %s", name,
		all[0] != '\0' ? all : "none");
}

/* Names that stand for PFs do. */
static int check_names(struct schema *s, const struct want *w, const json_t *tree) {
	for (unsigned i = 0; i < w->npools; i++) {
		const struct want_pool *p = &w->pools[i];
		const json_t *at = yaml_member(yaml_member(w->marks, "pools"), p->name);

		snprintf(s->where, sizeof(s->where), "pool %s: ", p->name);
		for (unsigned j = 0; j < p->npfs; j++)
			if (pf_named(w, p->pfs[j]) == NULL)
				return no_such_pf(s, tree, yaml_member(at, "pfs"), p->pfs[j]);
	}
	for (unsigned i = 0; i < w->nvfs; i++) {
		const struct want_single *v = &w->vfs[i];
		const json_t *at = yaml_member(yaml_member(w->marks, "vfs"), v->name);

		snprintf(s->where, sizeof(s->where), "vf %s: ", v->name);
		if (pf_named(w, v->pf) == NULL)
			return no_such_pf(s, tree, yaml_member(at, "pf"), v->pf);
	}
	s->where[0] = '\0';
	return 0;
}

/* Takes over `marks`. */
static int from_tree(
	struct want **out, const json_t *tree, json_t *marks, const char *file, struct err *e) {
	struct schema s = {.file = file, .e = e};
	struct want *w = calloc(1, sizeof(*w));
	char show[YAML_SHOW_MAX];
	int rc;

	*out = NULL;
	if (w == NULL || (w->file = strdup(file)) == NULL) {
		json_decref(marks);
		free(w);
		return value_no_memory(&s);
	}
	w->marks = marks;
	if (json_is_object(tree))
		rc = schema_take(&s, want_fields, tree, marks, w);
	else
		rc = schema_fail(&s, EINVAL, marks,
			"the desired state is %s; it must be a map such as {pfs: {}}",
			yaml_show(tree, show));
	if (rc == 0)
		rc = check_names(&s, w, tree);
	if (rc != 0) {
		want_free(w);
		return rc;
	}
	*out = w;
	return 0;
}

int want_parse(struct want **out, const char *text, size_t len, const char *file, struct err *e) {
	json_t *tree, *marks;
	int rc = yaml_read(&tree, &marks, text, len, file, e);

	*out = NULL;
	if (rc != 0)
		return rc;
	rc = from_tree(out, tree, marks, file, e);
	json_decref(tree);
	return rc;
}

int want_load(struct want **out, const char *file, struct err *e) {
	json_t *tree, *marks;
	int rc = yaml_load(&tree, &marks, file, e);

	*out = NULL;
	if (rc != 0)
		return rc;
	rc = from_tree(out, tree, marks, file, e);
	json_decref(tree);
	return rc;
}

static void words_free(char **words, unsigned n) {
	for (unsigned i = 0; i < n; i++)
		free(words[i]);
	free(words);
}

void want_free(struct want *w) {
	if (w == NULL)
		return;
	for (unsigned i = 0; i < w->npfs; i++)
		words_free(w->pfs[i].match, w->pfs[i].nmatch);
	for (unsigned i = 0; i < w->npools; i++) {
		words_free(w->pools[i].pfs, w->pools[i].npfs);
		words_free(w->pools[i].owners, w->pools[i].nowners);
		free(w->pools[i].macs);
	}
	for (unsigned i = 0; i < w->ndevices; i++)
		words_free(w->devices[i].match, w->devices[i].nmatch);
	free(w->pfs);
	free(w->pools);
	free(w->vfs);
	free(w->devices);
	json_decref(w->marks);
	free(w->file);
	free(w);
}
