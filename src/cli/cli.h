/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#ifndef WEIR_CLI_CLI_H
#define WEIR_CLI_CLI_H

#include <stdint.h>

#include <jansson.h>

/* The command line: a table of subcommands, each in a file of its own. All but `switch` talk to a
 * running switch over its API and need nothing of DPDK, so they start in milliseconds. */

struct err;

enum { STATUS_DONE, STATUS_REFUSED, STATUS_USAGE };

struct command {
	const char *name;
	const char *args; /* "PORT FRAME" */
	const char *brief; /* one line for `weir help` */
	const char *help; /* the rest of `weir NAME --help`, whole lines */
	/* argv[0] is the command's name; argc counts it. Returns an exit status. */
	int (*run)(const struct command *c, int argc, char **argv);
	/* For a command with subcommands: prints the help of what argv[1] names. NULL: cli_help. */
	int (*show_help)(const struct command *c, int argc, char **argv);
};

extern const struct command cmd_switch, cmd_apply, cmd_port, cmd_network, cmd_show, cmd_top,
	cmd_trace, cmd_capture, cmd_bench, cmd_bench_serve, cmd_bench_agent, cmd_bench_report,
	cmd_bench_compare, cmd_nic, cmd_vf, cmd_pci, cmd_host, cmd_export;

/* One line on stderr, "weir: TEXT", and the exit status to return. cli_usage points to the help. */
int cli_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
int cli_usage(const struct command *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Prints how it is used, what it is for, and the rest of its help. */
void cli_help(const struct command *c);

/* Takes `--NAME VALUE`, `--NAME=VALUE` (name without dashes; `-X` when it has one letter) out of argv
 * and returns the value, NULL when it is not there. cli_flag: without a value. Given several times an
 * option means its last value, here as in bench/options.h. *bad is set when a value is missing. What stays and looks like an option is the caller's to refuse: cli_stray. */
const char *cli_option(int *argc, char **argv, const char *name, int *bad);
int cli_flag(int *argc, char **argv, const char *name);
/* The first argument that begins with '-' (and is not "-"), NULL: none. */
const char *cli_stray(int argc, char **argv);

/* --api, else WEIR_API; NULL: the default. cli_api_given: --api alone; `switch` else does what its
 * configuration says. */
extern const char *cli_api, *cli_api_given;

/* Calls a method of the running switch. Takes over `params` (NULL: none). NULL on failure, after the
 * sentence went to stderr. */
json_t *cli_call(const char *method, json_t *params);

/* The same over a connection that stays: client_open returns a descriptor or -1 after the sentence;
 * pass_fd >= 0 goes along with the request. client_call sets `e` instead of printing. */
int client_open(void);
json_t *client_call(int conn, const char *method, json_t *params, int pass_fd, struct err *e);

/* "key=value" words or KEY VALUE pairs to an object in the words of the YAML schema: numbers, true and
 * false are what they look like, commas or brackets make a list, an empty value is null (back to the
 * default). 0 or -EINVAL with a sentence. */
int words_parse(json_t **out, int argc, char **argv, struct err *e);

/* A frame for `weir trace`: hex digits (blanks, colons and dashes between them are passed over),
 * "-" (stdin) or "@FILE" with them or with raw bytes, or layers in words: "eth dst=… src=… vlan=…
 * ipv4 src=… dst=… udp sport=… dport=… len=…". Length, or a negative errno with a sentence. */
enum { COMPOSE_MAX = 65535 };
int compose_frame(int argc, char **argv, uint8_t *frame, struct err *e);

#endif
