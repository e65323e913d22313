/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "cli/cli.h"
#include "cli/output.h"

static const struct column step_columns[] = {
	{"STAGE", "stage", CELL_TEXT},
	{"WHAT AND WHY", "text", CELL_TEXT},
	{NULL},
};

/* Where it would go, a line a receiver. */
static void print_out(const json_t *out) {
	size_t i;
	json_t *one;

	json_array_foreach (out, i, one) {
		const char *port = json_string_value(json_object_get(one, "port"));
		const char *drop = json_string_value(json_object_get(one, "drop"));
		json_t *vlan = json_object_get(one, "vlan"), *queue = json_object_get(one, "queue");

		printf("-> port %s", port != NULL ? port : "?");
		if (json_is_integer(queue))
			printf(", queue %lld", (long long)json_integer_value(queue));
		if (json_is_integer(vlan) && json_integer_value(vlan) != 0)
			printf(", tagged %lld", (long long)json_integer_value(vlan));
		if (drop != NULL && strcmp(drop, "none") != 0)
			printf(": dropped there, %s", drop);
		putchar('\n');
	}
}

static int run(const struct command *c, int argc, char **argv) {
	static const char digits[] = "0123456789abcdef";
	int json = cli_flag(&argc, argv, "j"), len;
	static uint8_t frame[COMPOSE_MAX + 64];
	static char hex[2 * sizeof(frame)];
	const char *drop;
	json_t *result;
	struct err e;

	if (cli_stray(argc, argv) != NULL)
		return cli_usage(c, "no such option '%s'", cli_stray(argc, argv));
	if (argc < 3)
		return cli_usage(c, argc < 2 ? "which port, and which frame?" : "which frame?");
	len = compose_frame(argc - 2, argv + 2, frame, &e);
	if (len < 0)
		return cli_fail("%s", e.text);
	for (int i = 0; i < len; i++) {
		hex[2 * i] = digits[frame[i] >> 4];
		hex[2 * i + 1] = digits[frame[i] & 15];
	}
	result = cli_call(
		"trace", json_pack("{s:s, s:s%}", "port", argv[1], "frame", hex, (size_t)len * 2));
	if (result == NULL)
		return STATUS_REFUSED;
	if (json) {
		output_json(stdout, result);
	} else {
		output_table(stdout, step_columns, json_object_get(result, "steps"));
		print_out(json_object_get(result, "out"));
		drop = json_string_value(json_object_get(result, "drop"));
		if (drop != NULL && strcmp(drop, "none") != 0)
			printf("-> dropped: %s\n", drop);
	}
	json_decref(result);
	return STATUS_DONE;
}

const struct command cmd_trace = {
	"trace",
	"PORT FRAME [-j]",
	"Tell what would happen to a frame, step by step, and why",
	"\n"
	"The frame is judged by the code that carries frames; nothing is sent and nothing learned. "
	"FRAME is\n"
	"  hex digits   weir trace vm1 ffffffffffff020000000001 0806...\n"
	"  @FILE or -   a file or standard input with hex digits, or with the bytes themselves\n"
	"  words        weir trace vm1 eth src=02:00:00:00:00:01 dst=ff:ff:ff:ff:ff:ff vlan=100 "
	"\\\n"
	"                 arp op=request spa=10.0.0.1 tpa=10.0.0.2\n"
	"               eth   dst= src= type= vlan= len=\n"
	"               arp   op=request|reply sha= spa= tha= tpa=\n"
	"               ipv4  src= dst= ttl= tos= proto= len=\n"
	"               udp   sport= dport= len=       (len: payload bytes behind the layer)\n"
	"  -j           the steps as JSON\n",
	run,
};
