#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
"""relay.py TAP1 TAP2 FILE: relays between two TAPs that it makes, and spoils what goes from the first
to the second in a known way: of the frames of `weir bench frames` (stream 0) every 100th is dropped,
every 150th sent twice, every 170th sent behind the one after it, and all are 5 ms under way. Writes
what it did to FILE when it is ended by SIGTERM."""

import collections
import fcntl
import json
import os
import select
import signal
import struct
import subprocess
import sys
import time

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0002, 0x1000
DROP, TWICE, SWAP, DELAY_S = 100, 150, 170, 0.005
STREAM_AT = 46  # Ethernet, IPv4, UDP, magic


def tap(name):
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    subprocess.run(["ip", "link", "set", name, "up", "txqueuelen", "10000"], check=True)
    return fd


class Relay:
    def __init__(self, first, second):
        self.fds = first, second
        self.number = 0
        self.queue = collections.deque()  # (when, frame)
        self.held = None
        self.did = {"dropped": 0, "twice": 0, "swapped": 0}

    def later(self, frame):
        self.queue.append((time.monotonic() + DELAY_S, frame))
        if self.held is not None:
            self.queue.append((self.queue[-1][0], self.held))
            self.held = None
            self.did["swapped"] += 1

    def spoil(self, frame):
        if len(frame) < 60 or frame[12:14] != b"\x08\x00" or frame[STREAM_AT:STREAM_AT + 2] != b"\0\0":
            self.queue.append((time.monotonic() + DELAY_S, frame))
            return
        self.number += 1
        if self.number % DROP == 0:
            self.did["dropped"] += 1
        elif self.number % TWICE == 0:
            self.did["twice"] += 1
            self.later(frame)
            self.later(frame)
        elif self.number % SWAP == 0 and self.held is None:
            self.held = frame
        else:
            self.later(frame)

    def turn(self):
        wait = None
        if self.queue:
            wait = max(0, self.queue[0][0] - time.monotonic())
        ready = select.select(self.fds, [], [], wait)[0]
        if self.fds[1] in ready:
            os.write(self.fds[0], os.read(self.fds[1], 65536))
        if self.fds[0] in ready:
            self.spoil(os.read(self.fds[0], 65536))
        while self.queue and self.queue[0][0] <= time.monotonic():
            os.write(self.fds[1], self.queue.popleft()[1])


def main():
    relay = Relay(tap(sys.argv[1]), tap(sys.argv[2]))

    def end(*_):
        with open(sys.argv[3], "w", encoding="utf-8") as f:
            json.dump(relay.did, f)
        sys.exit(0)

    signal.signal(signal.SIGTERM, end)
    print("relaying", flush=True)
    while True:
        relay.turn()


main()
