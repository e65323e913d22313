/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "bench/agent_guard.h"

#include <errno.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>

#include "base/err.h"
#include "bench/agent.h"

json_t *guard_challenge(struct guard_talk *t, const json_t *msg, struct err *e) {
	const char *nonce = json_string_value(json_object_get(msg, "nonce"));

	t->challenged = false;
	if (nonce == NULL || strlen(nonce) != sizeof(t->theirs) - 1) {
		err_set(e, EPROTO, "a secret is wanted here; say hello with a nonce");
		return NULL;
	}
	if (secret_nonce(t->ours, e) < 0)
		return NULL;
	memcpy(t->theirs, nonce, sizeof(t->theirs));
	t->challenged = true;
	return json_pack("{s:i, s:s}", "protocol", AGENT_PROTOCOL, "nonce", t->ours);
}

int guard_check(struct guard_talk *t, const struct agent_guard *g, const json_t *msg,
	char proof[SECRET_PROOF_TEXT], struct err *e) {
	const char *shown = json_string_value(json_object_get(msg, "proof"));

	if (!t->challenged || g == NULL || g->secret == NULL)
		return err_set(e, EPROTO, "say hello first");
	t->challenged = false;
	secret_proof(g->secret, SECRET_CLIENT, t->theirs, t->ours, proof);
	if (!secret_shown(proof, shown))
		return err_set(e, EACCES, "this is another secret than that of the server");
	secret_proof(g->secret, SECRET_SERVER, t->theirs, t->ours, proof);
	return 0;
}

json_t *guard_tied(const struct agent_guard *g, const json_t *msg, struct err *e) {
	const char *role = json_string_value(json_object_get(msg, "role"));
	const char *to = json_string_value(json_object_get(msg, "address"));
	char peer[INET6_ADDRSTRLEN + IFNAMSIZ] = "";
	struct reach may = g->reach;
	json_t *args, *peers;

	reach_add_address(&may, &g->peer);
	getnameinfo((const struct sockaddr *)&g->peer, sizeof(g->peer), peer, sizeof(peer), NULL, 0,
		NI_NUMERICHOST);
	// Only a listener takes what comes; whatever else a role says connects.
	if ((role == NULL || strcmp(role, "listen") != 0) &&
		(to == NULL || !reach_has_text(&may, to))) {
		err_set(e, EACCES,
			"this server connects to %s, from where it is asked, and not to %.60s; "
			"start it with --reach and that address",
			peer, to != NULL ? to : "nowhere");
		return NULL;
	}
	args = json_copy((json_t *)msg);
	peers = json_array();
	json_array_append_new(peers, json_string(peer));
	json_array_extend(peers, json_object_get(msg, "peers"));
	json_object_set_new(args, "peers", peers);
	return args;
}
