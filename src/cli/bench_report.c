/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "base/err.h"
#include "bench/report/report.h"
#include "cli/cli.h"

static int run_report(const struct command *c, int argc, char **argv) {
	struct err e;
	json_t *doc;
	int ret;

	if (cli_stray(argc, argv) != NULL)
		return cli_usage(c, "no such option '%s'", cli_stray(argc, argv));
	if (argc != 2)
		return cli_usage(c, "give the directory of one result");
	ret = report_load(argv[1], &doc, &e);
	if (ret == 0) {
		ret = report_pages(doc, argv[1], &e);
		json_decref(doc);
	}
	return ret < 0 ? cli_fail("%s: %s", c->name, e.text) : STATUS_DONE;
}

const struct command cmd_bench_report = {
	"bench report",
	"DIR",
	"Write the page and the tables of a result anew",
	"\n"
	"Reads DIR/result.json and writes DIR/index.html, which needs no network, and a CSV file "
	"for\n"
	"each kind of entry, as '-o DIR' of an instrument does.\n",
	run_report,
};
