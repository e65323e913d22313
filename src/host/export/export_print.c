/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "host/export/export.h"
#include "host/export/xml.h"

int export_section(json_t *doc, const char *file, const char *section, json_t *options) {
	json_t *sections = json_object_get(doc, "sections");

	if (sections == NULL) {
		sections = json_array();
		json_object_set_new(doc, "sections", sections);
	}
	return json_array_append_new(sections,
		json_pack("{s:s, s:s, s:o}", "file", file, "section", section, "options", options));
}

void export_option(json_t *options, const char *name, json_t *value) {
	json_array_append_new(options, json_pack("{s:s, s:o}", "name", name, "value", value));
}

enum { LINE_MAX_COLUMNS = 100 };

/* A note as comment lines that begin with "# ". */
static void print_note(FILE *f, const char *text) {
	size_t column = 0;

	while (*text != '\0') {
		size_t word = strcspn(text, " ");

		if (column == 0)
			column = (size_t)fprintf(f, "# ");
		else if (column + 1 + word > LINE_MAX_COLUMNS)
			column = (size_t)fprintf(f, "\n#   ") - 1;
		else
			column += (size_t)fprintf(f, " ");
		column += (size_t)fprintf(f, "%.*s", (int)word, text);
		text += word;
		text += strspn(text, " ");
	}
	fputc('\n', f);
}

static void print_notes(FILE *f, const json_t *doc) {
	size_t i;
	json_t *note;

	json_array_foreach (json_object_get(doc, "notes"), i, note)
		print_note(f, json_string_value(note));
}

/* Option and its value in one line: two words an argument of QEMU has. */
static void print_arguments(FILE *f, const json_t *arguments) {
	size_t n = json_array_size(arguments);

	for (size_t i = 0; i + 1 < n; i += 2)
		fprintf(f, "%s %s\n", json_string_value(json_array_get(arguments, i)),
			json_string_value(json_array_get(arguments, i + 1)));
}

static void print_option(FILE *f, const json_t *option) {
	const json_t *value = json_object_get(option, "value");
	char *text = json_is_string(value) ? strdup(json_string_value(value))
					   : json_dumps(value, JSON_ENCODE_ANY);

	fprintf(f, "%s = %s\n", json_string_value(json_object_get(option, "name")),
		text != NULL ? text : "");
	free(text);
}

static void print_sections(FILE *f, const json_t *sections) {
	size_t i, k;
	json_t *section, *option;

	json_array_foreach (sections, i, section) {
		fprintf(f, "\n# %s\n[%s]\n", json_string_value(json_object_get(section, "file")),
			json_string_value(json_object_get(section, "section")));
		json_array_foreach (json_object_get(section, "options"), k, option)
			print_option(f, option);
	}
}

void export_print(FILE *f, const json_t *doc) {
	const char *xml = json_string_value(json_object_get(doc, "xml"));
	struct xml x = {.f = f};
	size_t i;
	json_t *note;

	if (xml == NULL) {
		print_notes(f, doc);
		print_arguments(f, json_object_get(doc, "arguments"));
		print_sections(f, json_object_get(doc, "sections"));
		return;
	}
	json_array_foreach (json_object_get(doc, "notes"), i, note)
		xml_comment(&x, json_string_value(note));
	fputs(xml, f);
}
