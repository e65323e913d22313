/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "bench/endpoint.h"
#include "bench/fair/fair.h"
#include "bench/flows/flows.h"
#include "bench/options.h"

const char *const fair_loads[] = {"stream", "rr", NULL};
const char *const fair_noises[] = {"none", "frames", "64b", "connections", NULL};
static const char *const switches[] = {"off", "on", NULL};

enum { QUEUES_MAX = 16, TEXT_MAX = 256 };

/* Words with commas between; each is one of `names`. */
static int read_words(const char *option, const char *text, const char *const *names, bool *chosen,
	struct err *e) {
	char list[TEXT_MAX], all[TEXT_MAX] = "", *rest = list, *word;
	size_t n = 0;
	int i;

	if (text == NULL)
		return 0;
	for (i = 0; names[i] != NULL; i++)
		n += (size_t)snprintf(
			all + n, sizeof(all) - n, "%s%s", i > 0 ? ", " : "", names[i]);
	snprintf(list, sizeof(list), "%s", text);
	while ((word = strsep(&rest, ",")) != NULL) {
		for (i = 0; names[i] != NULL && strcmp(names[i], word) != 0;)
			i++;
		if (names[i] == NULL)
			return err_set(e, EINVAL, "--%s: there is no '%.40s'; there are: %s",
				option, word, all);
		chosen[i] = true;
	}
	return 0;
}

/* Numbers with commas between, 1 to `most`. */
static int read_numbers(const char *option, const char *text, unsigned most, unsigned *v,
	unsigned *n, struct err *e) {
	char list[TEXT_MAX], *rest = list, *word, *end;

	if (text == NULL)
		return 0;
	*n = 0;
	snprintf(list, sizeof(list), "%s", text);
	while ((word = strsep(&rest, ",")) != NULL) {
		unsigned long one = strtoul(word, &end, 10);

		if (word[0] < '0' || word[0] > '9' || *end != '\0' || one < 1 || one > most)
			return err_set(e, EINVAL,
				"--%s: '%.40s' is no number of 1 to %u; write it like 1,2,4",
				option, word, most);
		if (*n == FAIR_LIST_MAX)
			return err_set(
				e, EINVAL, "--%s takes up to %d numbers", option, FAIR_LIST_MAX);
		v[(*n)++] = (unsigned)one;
	}
	return 0;
}

/* "ns:a,ns:b" */
static int read_neighbour(struct fair_options *o, const char *text, struct err *e) {
	const char *comma = text != NULL ? strchr(text, ',') : NULL;
	struct endpoint ep;

	if (text == NULL)
		return 0;
	if (comma == NULL || strlen(comma + 1) >= sizeof(o->neighbour[1]) ||
		(size_t)(comma - text) >= sizeof(o->neighbour[0]))
		return err_set(e, EINVAL,
			"--neighbour wants two namespaces, whence and whither noise goes: "
			"ns:a,ns:b");
	memcpy(o->neighbour[0], text, (size_t)(comma - text));
	strcpy(o->neighbour[1], comma + 1);
	for (int i = 0; i < 2; i++) {
		if (endpoint_parse(&ep, o->neighbour[i], e) < 0)
			return -EINVAL;
		if (ep.kind != ENDPOINT_NS)
			return err_set(e, EINVAL, "--neighbour: %s is no namespace (ns:NAME)",
				o->neighbour[i]);
	}
	return 0;
}

static int read_endpoints(struct fair_options *o, int argc, char **argv, struct err *e) {
	if (o->made)
		return argc == 1 ? 0
				 : err_set(e, EINVAL,
					   "'%.40s' is too much; --through makes its own endpoints",
					   argv[1]);
	if (argc < 3)
		return err_set(e, EINVAL,
			"which endpoints, and which server? give them (there are: " ENDPOINT_KINDS
			"), or --through a path");
	if (argc - 2 > FAIR_MAX)
		return err_set(
			e, EINVAL, "%d endpoints are too many; up to %d are", argc - 2, FAIR_MAX);
	for (int i = 1; i < argc - 1; i++) {
		for (int k = 1; k < i; k++)
			if (strcmp(argv[k], argv[i]) == 0)
				return err_set(e, EINVAL,
					"%.40s is there twice; figures go by names", argv[i]);
		o->endpoint[o->nendpoints++] = argv[i];
	}
	o->server = argv[argc - 1];
	if (o->nendpoints > 1 && strncmp(o->server, "vm:", 3) == 0)
		return err_set(e, EINVAL,
			"%.40s cannot serve several: in a VM there is one agent; make it an "
			"endpoint, "
			"and a namespace or host the server",
			o->server);
	return 0;
}

/* What goes together, and what was not given. */
static int complete(struct fair_options *o, bool queues, struct err *e) {
	static const unsigned usual[] = {1, 2, 4, 8};
	bool noise = o->noise[FAIR_FRAMES] || o->noise[FAIR_64B] || o->noise[FAIR_CONNECTIONS];

	if (!o->made && (queues || o->rps[0] || o->rps[1]))
		return err_set(e, EINVAL,
			"--queues and --rps are of what --through makes; set those of your own "
			"endpoints yourself");
	for (int i = 0; i < FAIR_PATHS; i++)
		if (o->through[i] && fair_paths[i]->nic != NULL &&
			(queues || o->rps[0] || o->rps[1]))
			return err_set(e, EINVAL,
				"--queues and --rps are of namespaces (veth, weir-ns), not of the "
				"VMs of %s",
				fair_paths[i]->name);
	if (!o->made && noise && o->neighbour[0][0] == '\0')
		return err_set(e, EINVAL,
			"--noise between your own endpoints wants --neighbour ns:FROM,ns:TO");
	if (o->made ? o->neighbour[0][0] != '\0' || o->to != NULL
		    : o->neighbour[0][0] != '\0' && !noise)
		return err_set(e, EINVAL,
			o->made ? "--neighbour and --to are of endpoints that are there, not of "
				  "--through"
				: "--neighbour goes with --noise; which?");
	if (o->nn == 0 && !o->made)
		o->n[o->nn++] = o->nendpoints;
	if (o->nn == 0) {
		memcpy(o->n, usual, sizeof(usual));
		o->nn = sizeof(usual) / sizeof(usual[0]);
	}
	for (unsigned i = 0; i < o->nn; i++) {
		if (!o->made && o->n[i] > o->nendpoints)
			return err_set(
				e, EINVAL, "--endpoints %u: there are %u", o->n[i], o->nendpoints);
		if (o->flows % o->n[i] != 0)
			return err_set(e, EINVAL,
				"--flows %llu cannot be shared out evenly to %u endpoints",
				(unsigned long long)o->flows, o->n[i]);
	}
	if (o->nqueues == 0)
		o->queues[o->nqueues++] = 0;
	if (!o->load[FAIR_STREAM] && !o->load[FAIR_RR])
		o->load[FAIR_STREAM] = o->load[FAIR_RR] = true;
	if (!noise)
		o->noise[FAIR_QUIET] = true;
	return 0;
}

int fair_options_parse(struct fair_options *o, int argc, char **argv, struct err *e) {
	const char *through = NULL, *n = NULL, *queues = NULL, *rps = NULL, *load = NULL,
		   *noise = NULL, *neighbour = NULL, *paths[FAIR_PATHS + 1] = {NULL};
	const struct option_spec options[] = {
		{"through", OPTION_TEXT, &through},
		{"endpoints", OPTION_TEXT, &n},
		{"queues", OPTION_TEXT, &queues},
		{"rps", OPTION_TEXT, &rps},
		{"load", OPTION_TEXT, &load},
		{"noise", OPTION_TEXT, &noise},
		{"neighbour", OPTION_TEXT, &neighbour},
		{"flows", OPTION_COUNT, &o->flows, 1, FLOWS_MAX},
		{"to", OPTION_TEXT, &o->to},
		{"kernel", OPTION_TEXT, &o->kernel},
		{NULL},
	};

	if (options_take(options, &argc, argv, e) < 0)
		return -EINVAL;
	for (int i = 0; i < FAIR_PATHS; i++)
		paths[i] = fair_paths[i]->name;
	o->made = through != NULL;
	if (read_words("through", through, paths, o->through, e) < 0 ||
		read_numbers("endpoints", n, FAIR_MAX, o->n, &o->nn, e) < 0 ||
		read_numbers("queues", queues, QUEUES_MAX, o->queues, &o->nqueues, e) < 0 ||
		read_words("rps", rps, switches, o->rps, e) < 0 ||
		read_words("load", load, fair_loads, o->load, e) < 0 ||
		read_words("noise", noise, fair_noises, o->noise, e) < 0 ||
		read_neighbour(o, neighbour, e) < 0 || read_endpoints(o, argc, argv, e) < 0)
		return -EINVAL;
	return complete(o, queues != NULL, e);
}

const char fair_help[] =
	"\n"
	"All endpoints exchange data with the server at once, and all count in the same interval:\n"
	"rate and latency of each, skew ((max - min) / mean), coefficient of variation, Jain's "
	"index, what\n"
	"it costs this host; and what is left of that beside a neighbour that makes noise. Give "
	"endpoints\n"
	"(ns:NAME, if:NAME, vm:NAME, HOST[:PORT]), the server last, or let it make its own: the "
	"server is then\n"
	"a namespace (root only; all is removed again, the host's network is not touched).\n"
	"\n"
	"  --through LIST  makes namespaces: veth (a Linux bridge), weir-ns (weir over TAP);\n"
	"                  VMs, as weir bench paths: bridge, bridge-vhost, e1000, weir, weir-tap\n"
	"  --endpoints 1,2,4,8  how many at once, 1 to 64; default: all that were given\n"
	"  --load LIST     stream (TCP), rr (1-byte transactions); default: both, one after the "
	"other\n"
	"  --flows N       of all endpoints together (128 of rr, one an endpoint of stream)\n"
	"  --noise LIST    none, frames (of 1514 bytes), 64b, connections: a neighbour sends them "
	"as fast as\n"
	"                  it can, to another that takes no part (none)\n"
	"  --neighbour A,B the namespaces noise goes from and to, beside endpoints of your own\n"
	"  --queues LIST   queues of each made endpoint, 1 to 16; rr has as many threads, weir as "
	"many workers\n"
	"  --rps LIST      off, on: receive packet steering of what is made, to all CPUs\n"
	"  --kernel FILE   what VMs boot; default: the kernel of this host\n"
	"  --to ADDRESS    the address of the server to use, when it has several\n"
	"\n";
