/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the weir authors
 *
 * Two looks at the counters and what lies between them. The picture is made as text in both modes:
 * `--batch` prints it, else it is put on the screen line by line. Rates are over the time between the
 * two replies, by our clock; cycles and shares are of the switch's own clock. */
#include <ctype.h>
#include <errno.h>
#include <locale.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <curses.h>

#include "base/err.h"
#include "base/units.h"
#include "cli/cli.h"
#include "cli/output.h"

static const struct column port_columns[] = {
	{"PORT", "name", CELL_TEXT},
	{"STATE", "state", CELL_TEXT},
	{"RX/S", "rx_frames", CELL_COUNT},
	{"RX", "rx_bits", CELL_BITS},
	{"TX/S", "tx_frames", CELL_COUNT},
	{"TX", "tx_bits", CELL_BITS},
	{"DROPS/S", "drops", CELL_COUNT},
	{"CYCLES A FRAME", "cycles", CELL_NUMBER},
	{"CPU", "cpu", CELL_PERCENT},
	{"MOSTLY", "mostly", CELL_TEXT},
	{NULL},
};
static const struct column worker_columns[] = {
	{"WORKER", "worker", CELL_NUMBER},
	{"CPU", "cpu", CELL_NUMBER},
	{"QUEUES", "queues", CELL_NUMBER},
	{"FRAMES/S", "frames", CELL_COUNT},
	{"BUSY", "busy", CELL_PERCENT},
	{"ASLEEP", "asleep", CELL_PERCENT},
	{"CYCLES A FRAME", "cycles", CELL_NUMBER},
	{"PULL", "pull", CELL_NUMBER},
	{"PARSE", "parse", CELL_NUMBER},
	{"VERDICT", "verdict", CELL_NUMBER},
	{"PUSH", "push", CELL_NUMBER},
	{"NOTIFY", "notify", CELL_NUMBER},
	{NULL},
};
static const char *const stages[] = {"pull", "parse", "verdict", "push", "notify"};

/* One look. */
struct look {
	json_t *ports, *workers;
	double at;
};

static double now_s(void) {
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void forget(struct look *l) {
	json_decref(l->ports);
	json_decref(l->workers);
	*l = (struct look){NULL};
}

static int take_look(int conn, struct look *l, struct err *e) {
	l->ports = client_call(conn, "show.ports", NULL, -1, e);
	l->at = now_s();
	l->workers = l->ports != NULL ? client_call(conn, "show.workers", NULL, -1, e) : NULL;
	if (l->workers != NULL)
		return 0;
	forget(l);
	return -EIO;
}

static double number_at(const json_t *v, const char *path) {
	return json_number_value(output_at(v, path));
}

/* What a counter grew by; a port that was opened anew begins again at 0. */
static double grown(const json_t *was, const json_t *is, const char *path) {
	double d = number_at(is, path) - number_at(was, path);

	return d >= 0 ? d : number_at(is, path);
}

static json_t *same_in(const json_t *rows, const char *key, const json_t *row) {
	size_t i;
	json_t *o;

	json_array_foreach (rows, i, o)
		if (json_equal(json_object_get(o, key), json_object_get(row, key)))
			return o;
	return NULL;
}

/* Frames lost between two looks, and the reason that took most of them. */
static double lost(const json_t *was, const json_t *is, const char **mostly) {
	static const char *const sides[] = {"rx.drops", "tx.drops"};
	double all = 0, most = 0;

	*mostly = NULL;
	for (int i = 0; i < 2; i++) {
		json_t *then = output_at(was, sides[i]), *n;
		const char *reason;

		json_object_foreach (output_at(is, sides[i]), reason, n) {
			double d = grown(then, output_at(is, sides[i]), reason);

			all += d;
			if (d > most) {
				most = d;
				*mostly = reason;
			}
		}
	}
	return all;
}

static void put(json_t *row, const char *key, double v) {
	json_object_set_new(row, key, json_real(v));
}

static json_t *port_rows(const struct look *was, const struct look *is, double hz) {
	double s = is->at - was->at;
	json_t *rows = json_array(), *p;
	size_t i;

	json_array_foreach (is->ports, i, p) {
		json_t *before = same_in(was->ports, "name", p), *row = json_object();
		double frames = grown(before, p, "rx.frames"),
		       cycles = grown(before, p, "rx.cycles");
		const char *mostly;

		json_object_set(row, "name", json_object_get(p, "name"));
		json_object_set(row, "state", json_object_get(p, "state"));
		put(row, "rx_frames", frames / s);
		put(row, "rx_bits", grown(before, p, "rx.bytes") * 8 / s);
		put(row, "tx_frames", grown(before, p, "tx.frames") / s);
		put(row, "tx_bits", grown(before, p, "tx.bytes") * 8 / s);
		put(row, "drops", lost(before, p, &mostly) / s);
		if (frames > 0)
			put(row, "cycles", cycles / frames);
		put(row, "cpu", hz > 0 ? cycles / (hz * s) : 0);
		if (mostly != NULL)
			json_object_set_new(row, "mostly", json_string(mostly));
		json_array_append_new(rows, row);
	}
	return rows;
}

static json_t *worker_rows(const struct look *was, const struct look *is) {
	double s = is->at - was->at;
	json_t *rows = json_array(), *w;
	size_t i;

	json_array_foreach (is->workers, i, w) {
		json_t *before = same_in(was->workers, "worker", w), *row = json_object();
		double frames = grown(before, w, "frames"), cycles = grown(before, w, "cycles"),
		       sum = 0;

		json_object_set(row, "worker", json_object_get(w, "worker"));
		json_object_set(row, "cpu", json_object_get(w, "cpu"));
		json_object_set(row, "queues", json_object_get(w, "queues"));
		put(row, "frames", frames / s);
		put(row, "busy", cycles > 0 ? grown(before, w, "busy_cycles") / cycles : 0);
		put(row, "asleep", cycles > 0 ? grown(before, w, "sleep_cycles") / cycles : 0);
		for (size_t k = 0; frames > 0 && k < sizeof(stages) / sizeof(stages[0]); k++) {
			double c = grown(output_at(before, "stage_cycles"),
				output_at(w, "stage_cycles"), stages[k]);

			put(row, stages[k], c / frames);
			sum += c;
		}
		if (frames > 0)
			put(row, "cycles", sum / frames);
		json_array_append_new(rows, row);
	}
	return rows;
}

/* The picture of the time between two looks. */
static void draw(FILE *f, const struct look *was, const struct look *is) {
	double hz = number_at(json_array_get(is->workers, 0), "hz");
	json_t *ports = port_rows(was, is, hz), *workers = worker_rows(was, is);

	output_table(f, worker_columns, workers);
	fputc('\n', f);
	output_table(f, port_columns, ports);
	json_decref(ports);
	json_decref(workers);
}

static int batch(int conn, unsigned long n, double interval) {
	struct look was, is;
	struct err e;

	if (take_look(conn, &was, &e) < 0)
		return cli_fail("%s", e.text);
	for (; n > 0; n--) {
		usleep((useconds_t)(interval * 1e6));
		if (take_look(conn, &is, &e) < 0) {
			forget(&was);
			return cli_fail("%s", e.text);
		}
		draw(stdout, &was, &is);
		if (n > 1)
			putchar('\n');
		fflush(stdout);
		forget(&was);
		was = is;
	}
	forget(&was);
	return STATUS_DONE;
}

/* Puts text on the screen from its line `from` on; returns how many lines it has. */
static int show_text(const char *text, int from) {
	int n = 0;

	erase();
	for (const char *p = text; *p != '\0'; n++) {
		const char *nl = strchr(p, '\n');
		int len = nl != NULL ? (int)(nl - p) : (int)strlen(p);

		if (n >= from && n - from < LINES - 1)
			mvaddnstr(n - from, 0, p, len);
		p += len + (nl != NULL);
	}
	attron(A_REVERSE);
	mvprintw(LINES - 1, 0, " weir top   q quit   up, down scroll ");
	attroff(A_REVERSE);
	refresh();
	return n;
}

/* Waits until it is time for the next look, obeying keys. false: quit. */
static bool wait_keys(double until, const char *text, int *from) {
	int lines = show_text(text, *from);

	for (double left; (left = until - now_s()) > 0;) {
		timeout((int)(left * 1000) + 1);
		switch (getch()) {
		case 'q':
		case 'Q':
		case 27:
			return false;
		case KEY_UP:
		case 'k':
			*from -= *from > 0;
			break;
		case KEY_DOWN:
		case 'j':
			*from += *from < lines - 1;
			break;
		case ERR:
			if (!isatty(STDIN_FILENO))
				return false;
			continue;
		default:
			break;
		}
		show_text(text, *from);
	}
	return true;
}

/* Until q, or until the switch is gone. */
static int live(int conn, double interval, struct err *e) {
	struct look was, is;
	char *text = strdup("looking...\n");
	int from = 0, ret = take_look(conn, &was, e);
	bool go_on = ret == 0;

	while (go_on && text != NULL && wait_keys(was.at + interval, text, &from)) {
		size_t n;
		FILE *f;

		ret = take_look(conn, &is, e);
		if (ret < 0)
			break;
		free(text);
		text = NULL;
		f = open_memstream(&text, &n);
		if (f != NULL) {
			draw(f, &was, &is);
			fclose(f);
		}
		forget(&was);
		was = is;
	}
	if (go_on)
		forget(&was);
	free(text);
	return ret;
}

static int on_screen(int conn, double interval) {
	SCREEN *screen;
	struct err e;
	int ret;

	setlocale(LC_CTYPE, "");
	screen = newterm(NULL, stdout, stdin);
	if (screen == NULL)
		return cli_fail("no terminal for a live picture (TERM is '%s'); use --batch N",
			getenv("TERM") != NULL ? getenv("TERM") : "");
	cbreak();
	noecho();
	keypad(stdscr, TRUE);
	curs_set(0);
	set_escdelay(50);
	ret = live(conn, interval, &e);
	endwin();
	delscreen(screen);
	return ret < 0 ? cli_fail("%s", e.text) : STATUS_DONE;
}

static int run(const struct command *c, int argc, char **argv) {
	int bad = 0, conn;
	const char *n = cli_option(&argc, argv, "batch", &bad),
		   *every = cli_option(&argc, argv, "d", &bad);
	unsigned long rounds = 0;
	uint64_t ns = 1000000000;
	struct err e;
	char *end;

	if (bad)
		return cli_usage(c, "an option without its value");
	if (cli_stray(argc, argv) != NULL)
		return cli_usage(c, "no such option '%s'", cli_stray(argc, argv));
	if (argc > 1)
		return cli_usage(c, "'%s' is too much", argv[1]);
	if (n != NULL) {
		rounds = strtoul(n, &end, 10);
		if (*end != '\0' || rounds == 0 || rounds > 1000000 ||
			!isdigit((unsigned char)n[0]))
			return cli_usage(
				c, "--batch is '%s', it must be a number from 1 to 1000000", n);
	}
	if (every != NULL &&
		(units_duration(every, &ns, &e) < 0 || ns < 100000000 || ns > 3600000000000))
		return cli_usage(c, "-d is '%s', it must be a duration from 100ms to 1h", every);
	conn = client_open();
	if (conn < 0)
		return STATUS_REFUSED;
	return n != NULL ? batch(conn, rounds, (double)ns / 1e9)
			 : on_screen(conn, (double)ns / 1e9);
}

const struct command cmd_top = {
	"top",
	"[-d TIME] [--batch N]",
	"Watch rates, drops, cycles and shares of time",
	"\n"
	"  -d TIME    between two looks, 1s unless told\n"
	"  --batch N  print N pictures as plain text and end\n"
	"\n"
	"Workers: share of time in turns that moved frames, share asleep, cycles a frame by "
	"stage.\n"
	"Ports: RX is what the switch receives from the port; CPU is the share of one CPU its "
	"frames took;\n"
	"MOSTLY is the reason of most of its drops. Keys: q quits, up and down scroll.\n",
	run,
};
