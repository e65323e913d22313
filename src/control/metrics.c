/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors */
#include "control/metrics.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <microhttpd.h>

#include "base/acceptor.h"
#include "base/err.h"
#include "control/switch.h"
#include "forward/fdb.h"

enum {
	CONNECTIONS_MAX = 32,
	PATIENCE_S = 5, // for a connection on which nothing moves
	CLEAR_TRIES = 4 // rounds of the library until a connection that was shut has gone
};

/* A connection that is open; they stand in the order in which they came. */
struct client {
	int fd;
	struct sockaddr_storage from; // the port is 0: only the address tells who it is
};

struct metrics {
	struct MHD_Daemon *http;
	sd_event *loop;
	sd_event_source *io, *timer;
	struct acceptor acceptor;
	int fd; /* listens */
	struct sw *sw;
	double start_s;
	struct client clients[CONNECTIONS_MAX];
	unsigned nclients;
};

static void add_counters(struct metrics_port *o, const struct port *p) {
	for (unsigned q = 0; q < p->queues; q++) {
		const struct rx_counters *rx = &p->rxq[q]->c;
		const struct tx_counters *tx = &p->txq[q]->c;

		o->rx.frames += rx->frames;
		o->rx.bytes += rx->bytes;
		o->rx.cycles += rx->cycles;
		o->rx.long_turns += rx->long_turns;
		o->tx.frames += tx->frames;
		o->tx.bytes += tx->bytes;
		o->tx.notifications += tx->notifications;
		o->tx.segmented += tx->segmented;
		o->tx.checksummed += tx->checksummed;
		for (int r = 0; r < DROP_COUNT; r++) {
			o->rx.drops[r] += rx->drops[r];
			o->tx.drops[r] += tx->drops[r];
		}
	}
}

/* The ports of the switch in the order of the configuration; their number. */
static unsigned collect_ports(struct sw *sw, struct metrics_port *out, unsigned max) {
	const struct config *c = sw_config(sw);
	unsigned n = 0;

	for (unsigned i = 0; i < c->nports && n < max; i++) {
		struct port *p = sw_port(sw, c->ports[i].spec.name, NULL);

		if (p == NULL)
			continue;
		memset(&out[n], 0, sizeof(out[n]));
		out[n].name = p->name;
		out[n].kind = port_kind_name(p->kind);
		port_status(p, &out[n].status);
		add_counters(&out[n], p);
		n++;
	}
	return n;
}

/* The page as malloc'd text; NULL when memory is short. */
static char *page(struct metrics *m, size_t *len) {
	struct workers *w = sw_workers(m->sw);
	const struct snapshot *s = workers_snapshot(w);
	unsigned nports = sw_config(m->sw)->nports, nworkers = workers_count(w);
	struct metrics_port *ports = calloc(nports + 1, sizeof(*ports));
	struct worker_stats *stats = calloc(nworkers + 1, sizeof(*stats));
	struct fdb_stats fdb;
	char *text = NULL;
	FILE *f = open_memstream(&text, len);

	if (f != NULL && ports != NULL && stats != NULL) {
		struct metrics_page p = {.ports = ports,
			.nports = collect_ports(m->sw, ports, nports),
			.workers = stats,
			.nworkers = nworkers,
			.tsc_hz = workers_hz(),
			.start_s = m->start_s};

		for (unsigned i = 0; i < nworkers; i++)
			workers_stats(w, i, &stats[i]);
		if (s != NULL && s->fwd != NULL) {
			fdb_stats(s->fwd->fdb, &fdb);
			p.fdb = &fdb;
		}
		metrics_write(f, &p);
	}
	if (f != NULL && fclose(f) != 0) {
		free(text);
		text = NULL;
	}
	free(ports);
	free(stats);
	return text;
}

static enum MHD_Result reply(struct MHD_Connection *conn, unsigned status, char *text, size_t len,
	enum MHD_ResponseMemoryMode mode) {
	struct MHD_Response *r = MHD_create_response_from_buffer(len, text, mode);
	enum MHD_Result ret;

	if (r == NULL)
		return MHD_NO;
	MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE,
		status == MHD_HTTP_OK ? "text/plain; version=0.0.4; charset=utf-8" : "text/plain");
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	ret = MHD_queue_response(conn, status, r);
	MHD_destroy_response(r);
	return ret;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *conn, const char *url,
	const char *method, const char *version, const char *upload, size_t *upload_len,
	void **seen) {
	static char no_method[] = "GET or HEAD only\n", no_page[] = "there is /metrics\n";
	struct metrics *m = arg;
	size_t len;
	char *text;

	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
		if (*seen == NULL) { // a body may come first
			*seen = m;
			return MHD_YES;
		}
		*upload_len = 0;
		return reply(conn, MHD_HTTP_METHOD_NOT_ALLOWED, no_method, strlen(no_method),
			MHD_RESPMEM_PERSISTENT);
	}
	if (strcmp(url, "/metrics") != 0)
		return reply(
			conn, MHD_HTTP_NOT_FOUND, no_page, strlen(no_page), MHD_RESPMEM_PERSISTENT);
	text = page(m, &len);
	return text != NULL ? reply(conn, MHD_HTTP_OK, text, len, MHD_RESPMEM_MUST_FREE) : MHD_NO;
}

/* Lets the HTTP library do what there is to do, and asks when it wants to be called again. */
static void run(struct metrics *m) {
	MHD_UNSIGNED_LONG_LONG ms;

	MHD_run(m->http);
	if (MHD_get_timeout(m->http, &ms) == MHD_YES) {
		sd_event_source_set_time_relative(m->timer, ms * 1000);
		sd_event_source_set_enabled(m->timer, SD_EVENT_ONESHOT);
	} else {
		sd_event_source_set_enabled(m->timer, SD_EVENT_OFF);
	}
}

static int on_io(sd_event_source *s, int fd, uint32_t revents, void *arg) {
	run(arg);
	return 0;
}

static int on_timer(sd_event_source *s, uint64_t usec, void *arg) {
	run(arg);
	return 0;
}

static void address_of(int fd, struct sockaddr_storage *from) {
	socklen_t len = sizeof(*from);

	memset(from, 0, sizeof(*from));
	if (getpeername(fd, (struct sockaddr *)from, &len) < 0)
		return;
	if (from->ss_family == AF_INET6)
		((struct sockaddr_in6 *)from)->sin6_port = 0;
	else
		((struct sockaddr_in *)from)->sin_port = 0;
}

/* The library says that a connection begins or ends. */
static void on_connection(void *arg, struct MHD_Connection *conn, void **own,
	enum MHD_ConnectionNotificationCode what) {
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(conn, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct metrics *m = arg;
	unsigned i = 0;

	if (info == NULL)
		return;
	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		if (m->nclients < CONNECTIONS_MAX) {
			m->clients[m->nclients].fd = info->connect_fd;
			address_of(info->connect_fd, &m->clients[m->nclients++].from);
		}
		return;
	}
	while (i < m->nclients && m->clients[i].fd != info->connect_fd)
		i++;
	if (i < m->nclients)
		memmove(&m->clients[i], &m->clients[i + 1],
			(--m->nclients - i) * sizeof(m->clients[0]));
}

/* The oldest connection of the address that has the most of them. */
static const struct client *most_dispensable(const struct metrics *m) {
	const struct client *best = NULL;
	unsigned most = 0;

	for (unsigned i = 0; i < m->nclients; i++) {
		unsigned n = 0;

		for (unsigned j = 0; j < m->nclients; j++)
			n += memcmp(&m->clients[i].from, &m->clients[j].from,
				     sizeof(m->clients[i].from)) == 0;
		if (n > most) {
			most = n;
			best = &m->clients[i];
		}
	}
	return best;
}

/* Whoever keeps all connections and asks nothing keeps nobody else out: who comes anew has the place of
 * who has most. */
static void make_room(struct metrics *m) {
	const struct client *victim = m->nclients == CONNECTIONS_MAX ? most_dispensable(m) : NULL;

	if (victim != NULL)
		shutdown(victim->fd, SHUT_RDWR); // which the library sees, and closes it
	for (int i = 0; i < CLEAR_TRIES && m->nclients == CONNECTIONS_MAX; i++)
		MHD_run(m->http);
}

/* The library would take connections itself, and look again at once when it cannot. */
static void on_arrival(int conn, void *arg) {
	struct metrics *m = arg;
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	if (getpeername(conn, (struct sockaddr *)&ss, &len) < 0) {
		close(conn);
		return;
	}
	make_room(m);
	MHD_add_connection(m->http, conn, (struct sockaddr *)&ss, len); // closes it when it refuses
	run(m);
}

/* "127.0.0.1:9478", "[::1]:9478" to an address; its length, 0: none. The schema checked the text. */
static socklen_t parse(const char *text, struct sockaddr_storage *ss) {
	struct sockaddr_in *in = (struct sockaddr_in *)ss;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ss;
	const char *colon = strrchr(text, ':');
	char host[64];
	size_t n = colon != NULL ? (size_t)(colon - text) : 0;
	bool six = n > 2 && text[0] == '[' && text[n - 1] == ']';
	in_port_t port = colon != NULL ? htons((uint16_t)atoi(colon + 1)) : 0;

	if (n == 0 || n >= sizeof(host))
		return 0;
	memset(ss, 0, sizeof(*ss));
	memcpy(host, text + six, n);
	host[six ? n - 2 : n] = '\0';
	if (six) {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = port;
		return inet_pton(AF_INET6, host, &in6->sin6_addr) == 1 ? sizeof(*in6) : 0;
	}
	in->sin_family = AF_INET;
	in->sin_port = port;
	return inet_pton(AF_INET, host, &in->sin_addr) == 1 ? sizeof(*in) : 0;
}

static int listen_at(const char *address, struct err *e) {
	struct sockaddr_storage ss;
	socklen_t len = parse(address, &ss);
	int fd, one = 1, ret;

	if (len == 0)
		return err_set(
			e, EINVAL, "metrics: '%s' is no address; write 127.0.0.1:9478", address);
	fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_set(e, errno, "metrics: %s: %s", address, strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&ss, len) < 0 || listen(fd, CONNECTIONS_MAX) < 0) {
		ret = err_set(e, errno,
			"metrics: cannot listen at %s: %s; choose another address or port", address,
			strerror(errno));
		close(fd);
		return ret;
	}
	return fd;
}

static int attach(struct metrics *m, struct err *e) {
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(m->http, MHD_DAEMON_INFO_EPOLL_FD);
	int ret = info != NULL ? 0 : -EIO;

	if (ret == 0)
		ret = sd_event_add_io(m->loop, &m->io, info->epoll_fd, EPOLLIN, on_io, m);
	if (ret >= 0)
		ret = sd_event_add_time(
			m->loop, &m->timer, CLOCK_MONOTONIC, UINT64_MAX, 0, on_timer, m);
	if (ret >= 0)
		ret = sd_event_source_set_enabled(m->timer, SD_EVENT_OFF);
	if (ret < 0)
		return err_set(e, -ret, "metrics: %s", strerror(-ret));
	return acceptor_open(&m->acceptor, m->loop, m->fd, "metrics", on_arrival, m, e);
}

int metrics_start(struct metrics **out, sd_event *loop, const char *address, struct sw *sw,
	double start_s, struct err *e) {
	int fd = listen_at(address, e), ret;
	struct metrics *m;

	*out = NULL;
	if (fd < 0)
		return fd;
	m = calloc(1, sizeof(*m));
	if (m == NULL) {
		close(fd);
		return err_set(e, ENOMEM, "out of memory");
	}
	m->loop = loop;
	m->sw = sw;
	m->fd = fd;
	m->start_s = start_s;
	m->http = MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET, 0, NULL, NULL,
		on_request, m, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)PATIENCE_S, MHD_OPTION_NOTIFY_CONNECTION,
		on_connection, m, MHD_OPTION_END);
	if (m->http == NULL) {
		close(fd);
		free(m);
		return err_set(e, EIO, "metrics: the HTTP server at %s did not start", address);
	}
	ret = attach(m, e);
	if (ret < 0) {
		metrics_stop(m);
		return ret;
	}
	*out = m;
	return 0;
}

void metrics_stop(struct metrics *m) {
	if (m == NULL)
		return;
	sd_event_source_disable_unref(m->io);
	sd_event_source_disable_unref(m->timer);
	acceptor_close(&m->acceptor);
	MHD_stop_daemon(m->http);
	close(m->fd);
	free(m);
}
