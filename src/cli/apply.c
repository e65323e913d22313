/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/file.h"
#include "cli/cli.h"
#include "cli/output.h"
#include "control/api_rpc.h"

/* The whole file; NULL after the sentence. What does not fit a request cannot be applied. */
static char *read_file(const char *path, size_t *len) {
	struct err e = {"no memory to read it"};
	FILE *f = strcmp(path, "-") == 0 ? stdin : file_stream(path, &e);
	char *text = f != NULL ? malloc(RPC_LINE_MAX) : NULL;

	if (text == NULL) {
		cli_fail("%s; '-' would be standard input", e.text);
		if (f != NULL && f != stdin)
			fclose(f);
		return NULL;
	}
	*len = fread(text, 1, RPC_LINE_MAX, f);
	if (ferror(f)) {
		cli_fail("%s: %s", path, strerror(errno));
	} else if (*len == RPC_LINE_MAX) {
		cli_fail("%s: longer than %d bytes, which is what a switch takes", path,
			RPC_LINE_MAX - 1);
	} else {
		if (f != stdin)
			fclose(f);
		return text;
	}
	if (f != stdin)
		fclose(f);
	free(text);
	return NULL;
}

static int run(const struct command *c, int argc, char **argv) {
	int dry = cli_flag(&argc, argv, "dry-run"), json = cli_flag(&argc, argv, "j");
	const char *stray = cli_stray(argc, argv);
	json_t *params, *result;
	size_t len;
	char *text;

	if (stray != NULL)
		return cli_usage(c, "no such option '%s'", stray);
	if (argc != 2)
		return cli_usage(c, argc < 2 ? "which file?" : "one file at a time");
	text = read_file(argv[1], &len);
	if (text == NULL)
		return STATUS_REFUSED;
	params = json_pack("{s:s%, s:s, s:b}", "text", text, len, "file", argv[1], "dry_run", dry);
	free(text);
	if (params == NULL)
		return cli_fail("%s: not valid UTF-8", argv[1]);
	result = cli_call("apply", params);
	if (result == NULL)
		return STATUS_REFUSED;
	if (json)
		output_json(stdout, json_object_get(result, "diff"));
	else
		output_diff(stdout, json_object_get(result, "diff"));
	json_decref(result);
	return STATUS_DONE;
}

const struct command cmd_apply = {
	"apply",
	"FILE [--dry-run] [-j]",
	"Bring the running switch to a configuration file, all or nothing",
	"\n"
	"Prints the difference, one line a change: + added, - removed, ~ changed. Ports that do "
	"not\n"
	"change lose no frame. When one step fails the switch stays as it was.\n"
	"\n"
	"  FILE       configuration, see weir.yaml(5); '-' reads standard input\n"
	"  --dry-run  print the difference and change nothing\n"
	"  -j         print it as JSON\n",
	run,
};
