/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "control/config.h"

/* The configuration against arbitrary bytes. What is refused must say why in one printable line; what
 * is accepted must be the same after it was written back and read again, in short and in full, as JSON
 * and as YAML, and must not differ from itself or its copy. */

#define MUST(x)                                                                                  \
	do {                                                                                     \
		if (!(x)) {                                                                      \
			fprintf(stderr, "fuzz_config: must hold: %s (line %d)\n", #x, __LINE__); \
			abort();                                                                 \
		}                                                                                \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same(const struct config *a, const struct config *b) {
	json_t *x = config_dump(a, true), *y = config_dump(b, true), *diff = config_diff(a, b);

	MUST(json_equal(x, y));
	MUST(json_array_size(diff) == 0);
	json_decref(x);
	json_decref(y);
	json_decref(diff);
}

static void reads_back(const struct config *c, bool full) {
	json_t *tree = config_dump(c, full);
	char *text = json_dumps(tree, full ? JSON_INDENT(2) : JSON_COMPACT);
	struct config *json, *yaml;
	struct err e = {""};

	MUST(text != NULL);
	MUST(config_from_json(&json, tree, &e) == 0);
	same(c, json);
	config_free(json);
	// JSON is YAML; but a name in it may be longer than a YAML key can be (1024 bytes): never ours.
	MUST(config_parse(&yaml, text, strlen(text), "again", &e) == 0);
	same(c, yaml);
	config_free(yaml);
	free(text);
	json_decref(tree);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	struct err e = {""};
	struct config *c, *copy;

	if (config_parse(&c, (const char *)data, size, "f", &e) != 0) {
		MUST(c == NULL);
		MUST(strncmp(e.text, "f:", 2) == 0);
		MUST(strlen(e.text) > 10);
		for (const char *p = e.text; *p != '\0'; p++)
			MUST((unsigned char)*p >= 0x20 && *p != 0x7f);
		return 0;
	}
	copy = config_copy(c);
	MUST(copy != NULL);
	same(c, copy);
	config_free(copy);
	reads_back(c, false);
	reads_back(c, true);
	config_free(c);
	return 0;
}
