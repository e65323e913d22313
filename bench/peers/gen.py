#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
"""Compares the frame generator with testpmd's, as guests of one switch, in one run.

    bench/peers/gen.py [--rounds N] [--windows N] [--frame BYTES] [--build DIR]

The sink costs nothing: `weir switch` with one vhost-user port has nowhere to send a frame, and counts
it. One generator CPU each: `weir bench frames --rate max`, testpmd `txonly` and `flowgen`, over
virtio-user with rings of 1024, alternating. What the switch counted in the middle of each is the
figure: the median of windows of a fifth of a second in which nothing else took more than 5 % of the
generator's or the switch's CPU; eight times as many are tried before it is content with fewer. Wants 3 CPUs and 256 MiB of free
hugepages. Prints a table of medians, lowest and highest, and the ratios; status 1 when one is below 1."""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time

import switches as sw

GENERATORS = ["weir bench frames", "testpmd txonly", "testpmd flowgen"]
SHARE_MIN, TRIES, WARM_S, WINDOW_S = 0.95, 8, 0.5, 0.2


class Bed:
    def __init__(self, args, folder):
        cpus = sorted(os.sched_getaffinity(0))
        self.args, self.folder = args, folder
        self.control, self.switch_cpu, self.gen_cpu = cpus[0], cpus[-2], cpus[-1]
        self.weir = os.path.join(args.build, "weir")
        self.path, self.api = os.path.join(folder, "p0"), os.path.join(folder, "api")
        config = os.path.join(folder, "weir.yaml")
        with open(config, "w", encoding="utf-8") as f:
            f.write(f"api: {self.api}\nworkers: [{self.switch_cpu}]\nidle: busy\n"
                    f"ports:\n  p0: {{vhost-user: {self.path}}}\n")
        self.switch = sw.Child([self.weir, "switch", "-c", config], os.path.join(folder, "switch.log"))
        sw.until("weir switch", lambda: os.path.exists(self.path), child=self.switch)

    def frames(self):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(self.api)
            s.sendall(b'{"jsonrpc": "2.0", "id": 1, "method": "show.ports"}\n')
            return json.loads(s.makefile().readline())["result"][0]["rx"]["frames"]

    def start(self, name):
        log = os.path.join(self.folder, "generator.log")
        seconds = 60 + self.args.windows * TRIES
        if name.startswith("weir"):
            return sw.Child(
                [self.weir, "bench", "frames", f"vhost-user:{self.path}", "tap:weirgen0", "--size",
                 str(self.args.frame), "--cpus", str(self.gen_cpu), "--sink-cpus", str(self.control),
                 "--time", f"{seconds:.0f}s", "--omit", "0s", "--repeat", "1", "--quiet"], log)
        return sw.Child(
            ["dpdk-testpmd", "--lcores", f"0@{self.control},1@{self.gen_cpu}",
             f"--file-prefix=weirgen{os.getpid()}", "--no-pci", "--in-memory", "--socket-mem",
             str(sw.GUEST_MIB), "--single-file-segments", "--vdev",
             f"net_virtio_user0,path={self.path},queues=1,queue_size=1024", "--", "--no-mlockall",
             "--total-num-mbufs=16384", "--txd=1024", "--rxd=1024", "--burst=32", "--auto-start",
             f"--forward-mode={name.split()[1]}", f"--txpkts={self.args.frame}"],
            log, stdin=subprocess.PIPE)

    def busiest(self, pid, cpu):
        """CPU seconds of the process's threads that are bound to the CPU."""
        total = 0.0
        for tid in os.listdir(f"/proc/{pid}/task"):
            if os.sched_getaffinity(int(tid)) == {cpu}:
                with open(f"/proc/{pid}/task/{tid}/schedstat", encoding="utf-8") as f:
                    total += int(f.read().split()[0]) / 1e9
        return total

    def look(self, child):
        """Now, the frames so far, and the CPU seconds of generator and switch."""
        frames = self.frames()
        return (time.monotonic(), frames, self.busiest(child.pid, self.gen_cpu),
                self.busiest(self.switch.pid, self.switch_cpu))

    def measure(self, name):
        """Frames a second, median of the undisturbed windows, and how many those were."""
        child, first = self.start(name), self.frames()
        sw.until(name, lambda: self.frames() > first + 10000, child=child)
        time.sleep(WARM_S)
        good, windows = [], 0
        while len(good) < self.args.windows and windows < self.args.windows * TRIES:
            before = self.look(child)
            time.sleep(WINDOW_S)
            took, frames, *shares = [y - x for x, y in zip(before, self.look(child))]
            windows += 1
            if min(shares) >= SHARE_MIN * took:
                good.append(frames / took)
        if not child.running():
            raise sw.Trouble(f"{name} ended early: {child.text()[-400:].strip()}")
        child.end()
        return good


def main():
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    ask.add_argument("--rounds", type=int, default=5)
    ask.add_argument("--windows", type=int, default=5)
    ask.add_argument("--frame", type=int, default=60, help="bytes without FCS (60: 64 with it)")
    ask.add_argument("--build", default=os.path.join(sw.TOP, "build"))
    args = ask.parse_args()
    found = {name: [] for name in GENERATORS}
    disturbed = 0
    try:
        with tempfile.TemporaryDirectory(prefix="weir-gen.") as folder:
            bed = Bed(args, folder)
            for i in range(args.rounds):
                for name in GENERATORS[i % len(GENERATORS):] + GENERATORS[:i % len(GENERATORS)]:
                    good = bed.measure(name)
                    found[name] += [statistics.median(good)] if good else []
                    disturbed += len(good) < args.windows
                    print(f"{name}: {' '.join(f'{v / 1e6:.2f}' for v in good)} M/s", file=sys.stderr)
        if not all(found.values()):
            raise sw.Trouble("there was no undisturbed window; others use these CPUs")
    except sw.Trouble as trouble:
        print(f"gen.py: {trouble}", file=sys.stderr)
        return 1
    finally:
        sw.Child.end_all()
    ours = statistics.median(found[GENERATORS[0]])
    print(f"| {args.frame} B, one generator CPU, M frames/s | median | lowest | highest | weir / it |")
    print("|---|---|---|---|---|")
    for name, v in found.items():
        m = statistics.median(v)
        print(f"| {name} | {m / 1e6:.2f} | {min(v) / 1e6:.2f} | {max(v) / 1e6:.2f} | {ours / m:.2f} |")
    if disturbed:
        print(f"\n{disturbed} of {args.rounds * len(GENERATORS)} had fewer windows.")
    return 0 if all(ours >= statistics.median(v) for v in found.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
