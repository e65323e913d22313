#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
"""A path with known faults: faulty_path.py NS-A DEVICE-A NS-B DEVICE-B DROP DELAY-MS [OPTION...]

Makes a TAP in each namespace and carries frames between them. Each frame arrives DELAY-MS later than
it was sent, either way. From A to B every DROPth large frame (over 500 bytes) is dropped, 0: none, and
  --twice N, --swap N      every Nth large one is sent twice, or behind the next one;
  --police RATE,BURST,S    of large ones RATE a second pass, and BURST at once; for S seconds after more
                           came every 10th of those that pass is dropped as well.
Prints `ready` when both devices are there, and ends with its parent's end or SIGTERM; then it writes
to the file of --report what it did: dropped, twice, swapped."""

import argparse
import ctypes
import fcntl
import heapq
import json
import os
import select
import signal
import struct
import sys
import time

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 2, 0x1000
CLONE_NEWNET, PR_SET_PDEATHSIG = 0x40000000, 1
LARGE = 500
libc = ctypes.CDLL(None, use_errno=True)


def tap(netns, name):
    with open(f"/run/netns/{netns}", "rb") as ns:
        if libc.setns(ns.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"setns {netns}")
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TAP | IFF_NO_PI))
    return fd


class Police:
    def __init__(self, rate, burst, sick_s):
        self.rate, self.burst, self.sick_s = rate, burst, sick_s
        self.tokens, self.at, self.well_at = burst, time.monotonic(), 0

    def passes(self, number):
        now = time.monotonic()
        self.tokens = min(self.burst, self.tokens + (now - self.at) * self.rate)
        self.at = now
        if self.tokens < 1:
            self.well_at = now + self.sick_s
            return False
        self.tokens -= 1
        return number % 10 != 0 or now >= self.well_at


class Faults:
    """What arrives, in order, of the large frames from A."""

    def __init__(self, args):
        self.args, self.number, self.held = args, 0, None
        self.police = Police(*args.police) if args.police else None
        self.did = {"dropped": 0, "twice": 0, "swapped": 0}

    def apply(self, frame):
        self.number += 1
        nth = lambda n: n and self.number % n == 0
        if nth(self.args.drop) or (self.police and not self.police.passes(self.number)):
            self.did["dropped"] += 1
            return []
        if nth(self.args.swap) and self.held is None and not nth(self.args.twice):
            self.held = frame
            return []
        out = [frame]
        if nth(self.args.twice):
            self.did["twice"] += 1
            out.append(frame)
        if self.held is not None:
            self.did["swapped"] += 1
            out.insert(1, self.held)
            self.held = None
        return out


def carry(a, b, delay, faults):
    due, order = [], 0
    while True:
        wait = max(0, due[0][0] - time.monotonic()) if due else None
        for fd in select.select([a, b], [], [], wait)[0]:
            frame = os.read(fd, 65536)
            spoilt = faults.apply(frame) if fd == a and len(frame) > LARGE else [frame]
            for one in spoilt:
                order += 1
                heapq.heappush(due, (time.monotonic() + delay, order, b if fd == a else a, one))
        while due and due[0][0] <= time.monotonic():
            _, _, fd, frame = heapq.heappop(due)
            try:
                os.write(fd, frame)
            except OSError:
                pass  # the device is down


def main():
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    for name in "ns_a", "dev_a", "ns_b", "dev_b":
        ask.add_argument(name)
    ask.add_argument("drop", type=int)
    ask.add_argument("delay", type=float)
    ask.add_argument("--twice", type=int, default=0)
    ask.add_argument("--swap", type=int, default=0)
    ask.add_argument("--police", type=lambda text: [float(v) for v in text.split(",")])
    ask.add_argument("--report")
    args = ask.parse_args()
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    faults = Faults(args)

    def end(*_):
        if args.report:
            with open(args.report, "w", encoding="utf-8") as f:
                json.dump(faults.did, f)
        sys.exit(0)

    signal.signal(signal.SIGTERM, end)
    a, b = tap(args.ns_a, args.dev_a), tap(args.ns_b, args.dev_b)
    print("ready", flush=True)
    carry(a, b, args.delay / 1000, faults)


main()
