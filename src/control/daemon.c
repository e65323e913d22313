/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * Start: configuration, API socket (so that a second switch is refused before anything else),
 * limits, privileges, DPDK, ports and workers, metrics; then systemd is told. Until then nothing is
 * logged: a start that fails says one sentence. The way down is the same backwards.
 *
 * CPUs: the control thread keeps off the workers' CPUs when there are others. */
#include "control/daemon.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include "base/err.h"
#include "base/json_memory.h"
#include "base/log.h"
#include "control/api.h"
#include "control/capture.h"
#include "control/config.h"
#include "control/crashes.h"
#include "control/metrics.h"
#include "control/switch.h"
#include "control/watchdog.h"

#define LOOK_US      1000000ull
#define REBALANCE_US 5000000ull

static uint64_t now_us(void) {
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* Off the workers' CPUs again. */
static void narrow(struct daemon *d) {
	const struct config *c = sw_config(d->sw);

	host_control_cpus(c->cpus, c->ncpus, &d->control);
	host_cpus(&d->control);
}

/* --api wins over what the configuration says, and that over WEIR_API. */
static int own_api(struct daemon *d, struct config *c, struct err *e) {
	const char *api = d->options->api;
	char *copy;

	if (api == NULL && strcmp(c->api, CONFIG_API_DEFAULT) == 0)
		api = d->options->api_env;
	if (api == NULL)
		return 0;
	copy = strdup(api);
	if (copy == NULL)
		return err_set(e, ENOMEM, "out of memory");
	free(c->api);
	c->api = copy;
	return 0;
}

static int parsed(struct daemon *d, struct config **out, int ret, struct err *e) {
	if (ret == 0)
		ret = own_api(d, *out, e);
	if (ret < 0) {
		config_free(*out);
		*out = NULL;
	}
	return ret;
}

int daemon_parse(struct daemon *d, struct config **out, const char *text, size_t len,
	const char *file, struct err *e) {
	*out = NULL;
	return parsed(d, out, config_parse(out, text, len, file, e), e);
}

int daemon_from_json(struct daemon *d, struct config **out, const json_t *tree, struct err *e) {
	*out = NULL;
	return parsed(d, out, config_from_json(out, tree, e), e);
}

json_t *daemon_config(struct daemon *d, bool full) {
	return config_dump(sw_config(d->sw), full);
}

static int load(struct daemon *d, struct config **out, struct err *e) {
	*out = NULL;
	if (d->options->file == NULL)
		return daemon_parse(d, out, "{}", 2, "default configuration", e);
	return parsed(d, out, config_load(out, d->options->file, e), e);
}

static struct port *find_port(void *arg, const char *name) {
	struct daemon *d = arg;

	return sw_port(d->sw, name, NULL);
}

static bool workers_moved(const json_t *diff) {
	size_t i;
	json_t *one;

	json_array_foreach (diff, i, one) {
		const char *what = json_string_value(json_object_get(one, "what"));

		if (what != NULL && strcmp(what, "workers") == 0)
			return true;
	}
	return false;
}

void daemon_log_changes(const json_t *diff, const char *who) {
	size_t i;
	json_t *one;

	json_array_foreach (diff, i, one) {
		const char *op = "", *what = "", *name = "", *how = "", *why = "";

		json_unpack(one, "{s?s, s?s, s?s, s?s, s?s}", "op", &op, "what", &what, "name",
			&name, "how", &how, "why", &why);
		if (strcmp(what, name) == 0)
			name = "";
		log_info("%s: %s %s%s%s (%s)%s%s", who, op, what, name[0] != '\0' ? " " : "", name,
			how, why[0] != '\0' ? ": " : "", why);
	}
}

/* Metrics at `address` (NULL: nowhere) instead of where they are. The old place is left first: the
 * new one may be the same port of another address. */
static int serve_metrics(struct daemon *d, const char *address, struct err *e) {
	metrics_stop(d->metrics);
	d->metrics = NULL;
	if (address == NULL)
		return 0;
	return metrics_start(&d->metrics, d->loop, address, d->sw, d->started_s, e);
}

static bool same_text(const char *a, const char *b) {
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static int apply(struct daemon *d, const struct config *want, json_t **diff, struct err *e) {
	const char *was = sw_config(d->sw)->metrics; // of the running configuration until sw_apply
	bool moves = !same_text(was, want->metrics);
	struct err back;
	int ret = moves ? serve_metrics(d, want->metrics, e) : 0;

	*diff = NULL;
	if (ret == 0)
		ret = sw_apply(d->sw, want, false, diff, e);
	if (ret != 0 && moves && serve_metrics(d, was, &back) != 0)
		log_error("the change of metrics could not be taken back: %s", back.text);
	return ret;
}

int daemon_apply(
	struct daemon *d, const struct config *want, bool dry_run, json_t **diff, struct err *e) {
	int ret = dry_run ? sw_apply(d->sw, want, true, diff, e) : apply(d, want, diff, e);

	narrow(d);
	if (!dry_run && workers_moved(*diff))
		host_all_cpus(&d->control);
	if (!dry_run) {
		// Also after a failure: ports may have been reopened to undo it.
		workers_set_capture(sw_workers(d->sw), captures_frame, d->captures);
		captures_follow(d->captures, find_port, d);
	}
	return ret;
}

static void status(const struct daemon *d, bool ready) {
	const struct config *c = sw_config(d->sw);

	sd_notifyf(0, "%sSTATUS=%u ports, %u networks, %u workers", ready ? "READY=1\n" : "",
		c->nports, c->nnets, c->ncpus);
}

static void reload(struct daemon *d) {
	struct config *want;
	json_t *diff = NULL;
	struct err e;
	int ret;

	if (d->options->file == NULL) {
		log_warn("SIGHUP: nothing to reload, the switch was started without a file");
		return;
	}
	json_memory_begin();
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)now_us());
	ret = load(d, &want, &e);
	if (ret == 0) {
		ret = daemon_apply(d, want, false, &diff, &e);
		config_free(want);
	}
	if (ret < 0)
		log_error("reload refused, the running switch is unchanged: %s", e.text);
	else
		log_info("reloaded %s: %zu changes", d->options->file, json_array_size(diff));
	if (ret == 0)
		daemon_log_changes(diff, "reload");
	json_decref(diff);
	status(d, true);
}

static int on_signal(sd_event_source *s, const struct signalfd_siginfo *si, void *arg) {
	struct daemon *d = arg;

	if (si->ssi_signo == SIGHUP) {
		reload(d);
		return 0;
	}
	log_flush(true);
	log_info("%s: stopping", si->ssi_signo == SIGTERM ? "SIGTERM" : "SIGINT");
	sd_notify(0, "STOPPING=1");
	sd_event_exit(d->loop, 0);
	return 0;
}

static int once_more(sd_event_source *s, uint64_t us) {
	sd_event_source_set_time_relative(s, us);
	return sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

static int on_rebalance(sd_event_source *s, uint64_t usec, void *arg) {
	struct daemon *d = arg;

	sw_rebalance(d->sw);
	return once_more(s, REBALANCE_US);
}

static int on_look(sd_event_source *s, uint64_t usec, void *arg) {
	struct daemon *d = arg;

	listener_look(&d->api_socket);
	log_flush(false);
	return once_more(s, LOOK_US);
}

static int start_loop(struct daemon *d, struct err *e) {
	static const int signals[] = {SIGTERM, SIGINT, SIGHUP};
	sigset_t set;
	int ret;

	sigemptyset(&set);
	for (int i = 0; i < 3; i++)
		sigaddset(&set, signals[i]);
	sigprocmask(SIG_BLOCK, &set, NULL); // for all threads to come
	signal(SIGPIPE, SIG_IGN);
	ret = sd_event_new(&d->loop);
	for (int i = 0; i < 3 && ret >= 0; i++)
		ret = sd_event_add_signal(d->loop, NULL, signals[i], on_signal, d);
	if (ret >= 0)
		ret = sd_event_add_time_relative(
			d->loop, NULL, CLOCK_MONOTONIC, REBALANCE_US, 100000, on_rebalance, d);
	if (ret >= 0)
		ret = sd_event_add_time_relative(
			d->loop, NULL, CLOCK_MONOTONIC, LOOK_US, 100000, on_look, d);
	return ret < 0 ? err_set(e, -ret, "event loop: %s", strerror(-ret)) : 0;
}

static void client_gone(void *arg, struct api_client *c) {
	struct daemon *d = arg;

	captures_end_of(d->captures, c);
}

static void ports_reopened(void *arg) {
	struct daemon *d = arg;

	captures_follow(d->captures, find_port, d);
}

/* Everything that needs the switch to be there. */
static int start_services(struct daemon *d, struct err *e) {
	const struct config *c = sw_config(d->sw);
	int ret;

	d->captures = captures_new(d->loop);
	if (d->captures == NULL)
		return err_set(e, ENOMEM, "out of memory");
	workers_set_capture(sw_workers(d->sw), captures_frame, d->captures);
	sw_on_reopen(d->sw, ports_reopened, d);
	ret = api_start(&d->api, d->loop, &d->api_socket, api_methods, d, client_gone, e);
	if (ret < 0)
		return ret;
	ret = watchdog_start(&d->watchdog, d->loop, d->sw, e);
	return ret < 0 ? ret : serve_metrics(d, c->metrics, e);
}

/* Remembers, beside the API's socket, what a crash is to leave. */
static int start_ports(struct daemon *d, const struct config *c, struct err *e) {
	char path[sizeof(d->api_socket.path) + 16];

	snprintf(path, sizeof(path), "%s.crashes", d->api_socket.path);
	d->crashes = crashes_open(path, now_us());
	return sw_start_after(&d->sw, c, d->loop, d->crashes, e);
}

static int start_switch(
	struct daemon *d, const struct config *c, char *kept, size_t size, struct err *e) {
	cpu_set_t control;
	int ret = listener_open(&d->api_socket, c->api, NULL, 0660, e);

	if (ret < 0)
		return ret;
	host_limits();
	host_control_cpus(c->cpus, c->ncpus, &control);
	ret = host_drop_privileges(c, d->options, kept, size, e);
	if (ret == 0)
		ret = host_start_dpdk(&control, host_switch_memory, e);
	if (ret == 0)
		ret = start_ports(d, c, e);
	if (ret < 0)
		return ret;
	narrow(d);
	return start_services(d, e);
}

static void stop(struct daemon *d) {
	watchdog_stop(d->watchdog);
	if (d->captures != NULL)
		captures_close(d->captures);
	api_stop(d->api);
	metrics_stop(d->metrics);
	if (d->sw != NULL)
		sw_stop(d->sw);
	crashes_close(d->crashes, d->ready);
	captures_free(d->captures);
	listener_close(&d->api_socket);
	sd_event_unref(d->loop);
}

int daemon_run(const struct daemon_options *o, struct err *e) {
	struct daemon d = {.options = o, .started_us = now_us(), .started_s = (double)time(NULL)};
	struct config *c = NULL;
	char kept[96];
	int ret;

	json_memory_watch();
	if (o->verbose)
		log_set_level(LOG_L_DEBUG);
	ret = load(&d, &c, e);
	if (ret == 0)
		ret = start_loop(&d, e);
	if (ret == 0)
		ret = start_switch(&d, c, kept, sizeof(kept), e);
	config_free(c);
	if (ret == 0) {
		host_log_dpdk(o->verbose);
		log_info("weir %s ready after %llu ms, API at %s, privileges kept: %s",
			WEIR_VERSION, (unsigned long long)(now_us() - d.started_us) / 1000,
			d.api_socket.path, kept[0] != '\0' ? kept : "none");
		d.ready = true;
		status(&d, true);
		ret = sd_event_loop(d.loop);
		if (ret < 0)
			err_set(e, -ret, "event loop: %s", strerror(-ret));
	}
	stop(&d);
	return ret;
}
