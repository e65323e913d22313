/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "host/change/change.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

int changes_add(struct changes *l, const struct change *c, struct err *e) {
	// Room doubles when the number is a power of two.
	if ((l->n & (l->n - 1)) == 0) {
		unsigned room = l->n > 0 ? 2 * l->n : 1;
		struct change *more = realloc(l->c, room * sizeof(*more));

		if (more == NULL)
			return err_set(e, ENOMEM, "no memory for %u changes", room);
		l->c = more;
	}
	l->c[l->n++] = *c;
	return 0;
}

int changes_put(struct changes *l, enum attr a, const char *slot, int vf, const char *from,
	const char *to, struct err *e) {
	struct change c = {.attr = a, .vf = vf};

	if (strcmp(from, to) == 0)
		return 0;
	snprintf(c.slot, sizeof(c.slot), "%s", slot);
	snprintf(c.from, sizeof(c.from), "%s", from);
	snprintf(c.to, sizeof(c.to), "%s", to);
	return changes_add(l, &c, e);
}

void changes_free(struct changes *l) {
	free(l->c);
	*l = (struct changes){0};
}

int changes_reverse(const struct changes *l, struct changes *back, struct err *e) {
	*back = (struct changes){0};
	for (unsigned i = l->n; i-- > 0;) {
		struct change c = l->c[i];

		memcpy(c.from, l->c[i].to, sizeof(c.from));
		memcpy(c.to, l->c[i].from, sizeof(c.to));
		if (changes_add(back, &c, e) < 0) {
			changes_free(back);
			return -ENOMEM;
		}
	}
	return 0;
}

json_t *change_json(const struct change *c) {
	json_t *v = json_pack("{s:s, s:s}", "attribute", attr_name(c->attr), "function", c->slot);

	if (c->vf >= 0)
		json_object_set_new(v, "vf", json_integer(c->vf));
	json_object_set_new(v, "from", c->from[0] != '\0' ? json_string(c->from) : json_null());
	json_object_set_new(v, "to", json_string(c->to));
	if (c->implied)
		json_object_set_new(v, "implied", json_true());
	return v;
}

static bool take(char *to, size_t size, const json_t *v, bool needed) {
	const char *text = json_string_value(v);

	to[0] = '\0';
	if (text == NULL)
		return !needed && (v == NULL || json_is_null(v));
	if (strlen(text) >= size)
		return false;
	memcpy(to, text, strlen(text) + 1);
	return true;
}

int change_parse(struct change *c, const json_t *v, struct err *e) {
	const char *name = json_string_value(json_object_get(v, "attribute"));
	const json_t *vf = json_object_get(v, "vf");

	*c = (struct change){.vf = -1};
	c->attr = name != NULL ? attr_by_name(name) : ATTR_COUNT;
	if (c->attr == ATTR_COUNT)
		return err_set(e, EBADMSG, "a change of the unknown attribute '%.40s'",
			name != NULL ? name : "");
	if (vf != NULL) {
		json_int_t n = json_integer_value(vf);

		if (!json_is_integer(vf) || n < 0 || n > UINT16_MAX)
			return err_set(e, EBADMSG, "a change of a VF without a number");
		c->vf = (int)n;
	}
	c->implied = json_is_true(json_object_get(v, "implied"));
	if (!take(c->slot, sizeof(c->slot), json_object_get(v, "function"), true) ||
		!take(c->from, sizeof(c->from), json_object_get(v, "from"), false) ||
		!take(c->to, sizeof(c->to), json_object_get(v, "to"), true))
		return err_set(e, EBADMSG, "a change of %s without function, from or to", name);
	return 0;
}
