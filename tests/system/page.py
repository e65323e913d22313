#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
"""Opens the page of a result in headless Chromium and holds its plots to result.json.

    page.py make FILE           a result that has every kind of entry, with numbers of its own
    page.py check DIR [WIDTH]   opens DIR/index.html

A line for each thing that is wrong, and exit status 1. The last line is `plots: KIND N, ...`.
Chromium gets no name resolved, and what it would have fetched is in its network log."""

import collections
import html
import json
import math
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
CHROMIUM = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            "--disable-background-networking", "--disable-component-update", "--no-first-run",
            "--host-resolver-rules=MAP * ~NOTFOUND", "--enable-logging=stderr", "--dump-dom"]
PATIENCE_S = 100


# ---- a result with everything ----

def histogram(dice, count):
    """Buckets as docs/bench-result.md describes them, and what is told of all values."""
    values = sorted(int(dice.lognormvariate(10, 0.4)) * (40 if i % 500 == 0 else 1)
                    for i in range(count))
    buckets = collections.Counter()
    for v in values:
        width = 1 if v < 256 else 1 << (v.bit_length() - 8)
        buckets[v // width * width] += 1
    quantiles = {name: values[math.ceil(count * part - 1e-6) - 1] for name, part in QUANTILES.items()}
    return {"count": count, "min": values[0], "max": values[-1], "mean": sum(values) / count,
            "error": 0.0039, "buckets": sorted(map(list, buckets.items())), **quantiles,
            "low": quantiles, "high": {**quantiles, "p99.99": None}}


QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999, "p99.99": 0.9999}
PARTS = ["user", "nice", "system", "irq", "softirq", "steal", "guest"]


def make():
    dice = random.Random(2544)
    conditions = {"host": "h", "kernel": "6.1", "cpu": "c", "cpus": 8, "governor": None,
                  "isolated": "", "smt": True, "numa_nodes": 1,
                  "hugepages": {"transparent": "always"}, "virtualised": False,
                  "versions": {"weir": "0", "dpdk": "22", "qemu": None, "ovs": None}, "load": 0.1,
                  "others": [], "counters": {"seconds": 1.5, "stolen": 0, "throttled": 0, "held_back": 0}}
    doc = {"schema": "weir-bench", "version": 1, "instrument": "paths",
           "started": "2026-01-31T12:00:00.000Z", "seconds": 61.5,
           "command": ["weir", "bench", "paths", "<script>alert(1)</script>"], "complete": True,
           "why_incomplete": None, "warnings": ["a sentence & <b>one more</b>"],
           "conditions": conditions, "figures": [], "latencies": [], "endpoints": [], "cpu": [],
           "intervals": [], "searches": []}
    for i, path in enumerate(["bridge", "macvtap", "e1000", "weir"]):
        labels = {"path": path, "mss": "1448"}
        for name, unit, size in [("throughput", "bit/s", 9e9), ("transactions", "1/s", 4e4)]:
            v = sorted(size / (i + 1) * dice.uniform(0.9, 1.1) for _ in range(5))
            doc["figures"].append({"name": name, "unit": unit, "better": "more", "labels": labels,
                                   "values": v, "median": v[2], "mean": sum(v) / 5, "min": v[0],
                                   "max": v[4], "sd": size / 50, "ci95": size / 40})
        doc["latencies"].append({"name": "reply", "labels": labels, "mode": "open",
                                 **histogram(dice, 20000)})
        for repeat in ["1", "2", "3"][:i + 1]:
            vms = {f"vm{n + 1}": dice.uniform(1e9, 2e9) for n in range(12)}
            doc["endpoints"].append({"name": "throughput", "unit": "bit/s",
                                     "labels": {**labels, "repeat": repeat}, "values": vms,
                                     "skew": 0.5, "cv": 0.2, "jain": 0.99})
        for n in [1, 2, 4, 64]:
            jain = dice.uniform(0.8, 1)
            doc["figures"].append({"name": "Jain", "unit": "", "better": "more", "sd": 0.0, "ci95": None,
                                   "labels": {**labels, "endpoints": str(n)}, "values": [jain],
                                   **{k: jain for k in ["median", "mean", "min", "max"]}})
        parts = {p: dice.uniform(0.1, 1) for p in PARTS}
        doc["cpu"].append({"labels": labels, "seconds": 10.0, "cpus": 8, "busy": sum(parts.values()),
                           "parts": parts, "busiest": {"cpu": 1, "busy": 0.9}, "threads": [],
                           "per_gbit": 0.2})
        for repeat in range(1, 6):  # one value each: told by repeat, not by a time that is the same
            doc["intervals"].append({"name": "transactions", "unit": "1/s",
                                     "labels": {**labels, "repeat": str(repeat)},
                                     "times": [1.0 + repeat / 10000],
                                     "values": [dice.uniform(3e4, 4e4)]})
        doc["intervals"].append({"name": "alone", "unit": "1/s", "labels": labels,
                                 "times": [1.0], "values": [dice.uniform(3e4, 4e4)]})
        doc["intervals"].append({"name": "throughput", "unit": "bit/s", "labels": labels,
                                 "times": [n + 1.0 for n in range(10)],
                                 "values": [dice.uniform(8e9, 9e9) for _ in range(10)]})
    for n in ["2", "64"]:
        doc["figures"].append({"name": "skew", "unit": "", "better": "less", "sd": 0.0, "ci95": None,
                               "labels": {"path": "weir", "endpoints": n}, "values": [0.5],
                               **{k: 0.5 for k in ["median", "mean", "min", "max"]}})
    for size in ["60", "1514"]:
        rates = [1e6 * dice.uniform(0.4, 1) for _ in range(9)]
        doc["searches"].append({
            "name": "throughput", "unit": "frame/s", "labels": {"size": size}, "result": min(rates),
            "trials": [{"rate": r, "seconds": 1.0, "offered": int(r), "sent": int(r),
                        "received": int(r) - n % 2, "loss": n % 2 / r,
                        "verdict": "fail" if n % 2 else "pass"} for n, r in enumerate(rates)]})
    return doc


# ---- the page ----

def open_page(folder, width):
    """What page_check.js saw, what the browser said, and the addresses it asked for."""
    with tempfile.TemporaryDirectory() as tmp, open(f"{folder}/index.html", encoding="utf-8") as f:
        with open(f"{HERE}/page_check.js", encoding="utf-8") as js:
            page = f.read().replace("</body>", f"<script>{js.read()}</script></body>")
        with open(f"{tmp}/page.html", "w", encoding="utf-8") as out:
            out.write(page)
        done = subprocess.run(
            [*CHROMIUM, f"--user-data-dir={tmp}/profile", f"--log-net-log={tmp}/net.json",
             f"--window-size={width},900", f"file://{tmp}/page.html"], stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        with open(f"{tmp}/net.json", encoding="utf-8") as net:
            events = [e.get("params", {}) for e in json.load(net)["events"]]
    # What the browser wants for itself has no origin.
    asked = {p["url"] for p in events if p.get("initiator", "not an origin") != "not an origin"}
    found = re.search(r'<pre id="seen">(.*?)</pre>', done.stdout, re.S)
    if not found:
        sys.exit(f"the page did not come to its end:\n{done.stderr[-2000:]}")
    # The browser has pages of its own that talk, too.
    said = [line for line in done.stderr.splitlines() if "CONSOLE" in line and tmp in line]
    return json.loads(html.unescape(found[1])), said, asked


def alike(a, b):
    """The same, but for what is lost of a double on its way through 15 decimal digits."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(alike(v, b[k]) for k, v in a.items())
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(map(alike, a, b))
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        return math.isclose(a, b, rel_tol=1e-12)
    return a == b


class Check:
    def __init__(self, doc, seen):
        self.doc, self.seen, self.wrong = doc, seen, []

    def plots(self, kind):
        return [p for p in self.seen["plots"] if p["kind"] == kind]

    def same(self, what, got, want):
        if not alike(got, want):
            self.wrong.append(f"{what}: the page has {str(got)[:300]}, the result {str(want)[:300]}")

    def over(self, figure):
        """Is it on a line over the number of endpoints?"""
        counts = {f["labels"].get("endpoints") for f in self.doc["figures"] if f["name"] == figure["name"]}
        return len(counts - {None}) > 1

    def lines(self):
        got = sorted([q["x"], q["y"]] for p in self.plots("over") for d in p["datasets"] for q in d["data"])
        self.same("lines over endpoints", got, sorted(
            [int(f["labels"]["endpoints"]), f["median"]] for f in self.doc["figures"]
            if self.over(f) and f["name"] != "skew"))  # it does not compare across numbers

    def figures(self):
        """Bars and ranges are those of figures; a figure with others of its name has them, beside
        what tells it from the others."""
        bars = [[m, *r] for p in self.plots("figures")
                for m, r in zip(p["datasets"][0]["data"], p["datasets"][1]["data"])]
        told = [f for f in self.doc["figures"] if f["median"] is not None and not self.over(f)]
        for f in told:
            of_name = sum(g["name"] == f["name"] for g in told)
            mine = [b for b in bars if alike(b, [f["median"], f["min"], f["max"]])]
            if mine:
                bars.remove(mine[0])
            elif of_name > 1:
                self.wrong.append(f"figures: there is no bar of {f['name']} {f['labels']}, {f['median']}")
        self.same("figures", bars, [])
        for p in self.plots("figures"):
            for m, label in zip(p["datasets"][0]["data"], p["labels"]):
                paths = [f["labels"].get("path", "") for f in self.doc["figures"] if alike(f["median"], m)]
                if not any(path in label for path in paths):
                    self.wrong.append(f"figures: the bar of {paths} is called {label}")

    def latencies(self):
        """One line a distribution: from the least to the greatest, through every quantile."""
        lines = [(d["label"], d["data"]) for p in self.plots("latencies") for d in p["datasets"]]
        self.same("latencies", len(lines), len(self.doc["latencies"]))
        for (label, line), entry in zip(lines, self.doc["latencies"]):
            first, last = line[0], line[-1]
            self.same(f"{label}: ends", [first["y"], last["x"], last["y"]],
                      [entry["min"], entry["count"], entry["max"]])
            self.same(f"{label}: points", len(line), len(entry["buckets"]) + 1)
            for name, part in QUANTILES.items():
                if entry["count"] * (1 - part) < 1 - 1e-9:  # none can lie above it
                    self.same(f"{label}: {name} of too few", entry[name], None)
                    continue
                at = next((p["y"] for p in line if 1 - 1 / p["x"] > part - 1e-9), last["y"])
                if abs(at - entry[name]) > 2 * entry["error"] * entry[name] + 1:
                    self.wrong.append(f"{label}: {name} is drawn at {at}, and is {entry[name]}")
        tail = max((e["max"] / max(e["p50"], 1) for e in self.doc["latencies"]), default=0)
        for p in self.plots("latencies"):
            self.same("latencies: axes", p["scales"],
                      {"x": "logarithmic", "y": "logarithmic" if tail > 20 else "linear"})

    def endpoints(self):
        """The repeats of one plot are bars of medians, and ranges."""
        repeats = collections.defaultdict(list)
        for e in self.doc["endpoints"]:
            if len(e["values"]) > 1:
                others = [(k, v) for k, v in e["labels"].items() if k != "repeat"]
                repeats[str([e["name"], others])].append(e["values"])
        want = []
        for r in repeats.values():
            each = [[v[name] for v in r] for name in r[0]]
            ranges = [[min(v), max(v)] for v in each] if len(r) > 1 else None
            want.append([list(r[0]), [statistics.median(v) for v in each], ranges])
        got = [[p["labels"], p["datasets"][0]["data"],
                p["datasets"][2]["data"] if len(p["datasets"]) > 2 else None]
               for p in self.plots("endpoints")]
        self.same("endpoints", got, want)

    def cpu(self):
        bars = {d["label"]: d["data"] for p in self.plots("cpu") for d in p["datasets"]}
        for part in PARTS:
            want = [c["parts"][part] for c in self.doc["cpu"]]
            self.same(f"cpu {part}", bars.get(part, [0] * len(want)), want)

    def intervals(self):
        """Over time what has several values; what has one a repeat by the number of the repeat."""
        series = collections.defaultdict(list)
        for s in self.doc["intervals"]:
            series[s["name"], s["unit"]].append(s)
        over, single = [], collections.defaultdict(list)
        for g in series.values():
            if any(len(s["values"]) > 1 for s in g):
                over += [list(zip(s["times"], s["values"])) for s in g]
                continue
            for s in g:
                others = [(k, v) for k, v in s["labels"].items() if k != "repeat"]
                if "repeat" in s["labels"] and len({t["labels"].get("repeat") for t in g}) > 1:
                    single[str([s["name"], others])].append((int(s["labels"]["repeat"]), s["values"][0]))
        for kind, want in [("intervals", over), ("repeats", single.values())]:
            lines = [[(q["x"], q["y"]) for q in d["data"]] for p in self.plots(kind) for d in p["datasets"]]
            self.same(kind, sorted(lines), sorted(sorted(line) for line in want))

    def searches(self):
        plots = self.plots("searches")
        self.same("searches", len(plots), len(self.doc["searches"]))
        for p, s in zip(plots, self.doc["searches"]):
            sets = {d["label"]: d["data"] for d in p["datasets"]}
            for verdict in ["pass", "fail"]:
                want = [{"x": i + 1, "y": t["rate"]} for i, t in enumerate(s["trials"])
                        if t["verdict"] == verdict]
                self.same(f"search: {verdict}", sets[verdict], want)
            self.same("search: result", [q["y"] for q in sets.get("result", [])],
                      [s["result"]] * 2 if s["result"] is not None else [])

    def painted(self):
        for p in self.seen["plots"]:
            if p["painted"]["part"] < 0.01 or p["painted"]["colours"] < 3:
                self.wrong.append(f"{p['kind']}, {p['title']}: painted is only {p['painted']}")

    def words(self):
        for text in [*self.doc["command"], *self.doc["warnings"]]:
            if text not in self.seen["text"]:
                self.wrong.append(f"the page does not say: {text}")


def check(folder, width):
    with open(f"{folder}/result.json", encoding="utf-8") as f:
        doc = json.load(f)
    seen, said, asked = open_page(folder, width)
    c = Check(doc, seen)
    for part in [c.figures, c.lines, c.latencies, c.endpoints, c.cpu, c.intervals, c.searches, c.painted, c.words]:
        part()
    c.same("the browser's console", said, [])
    c.same("asked of the network", sorted(asked) + seen["fetched"], [])
    if seen["width"] > seen["window"]:
        c.wrong.append(f"the page is {seen['width']} wide in a window of {seen['window']}")
    for line in c.wrong:
        print(line)
    kinds = collections.Counter(p["kind"] for p in seen["plots"])
    print("plots: " + ", ".join(f"{kind} {n}" for kind, n in sorted(kinds.items())))
    return 1 if c.wrong else 0


if __name__ == "__main__":
    if sys.argv[1] == "make":
        with open(sys.argv[2], "w", encoding="utf-8") as new:
            json.dump(make(), new)
    else:
        sys.exit(check(sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 1200))
