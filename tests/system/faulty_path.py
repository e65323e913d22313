#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
"""A path with known faults: faulty_path.py NS-A DEVICE-A NS-B DEVICE-B DROP DELAY-MS

Makes a TAP in each namespace and carries frames between them. Each frame arrives DELAY-MS later than
it was sent, either way. From A to B every DROPth large frame (over 500 bytes) is dropped, 0: none.
Prints `ready` when both devices are there, and ends with its parent's end or SIGTERM."""

import ctypes
import fcntl
import heapq
import os
import select
import struct
import sys
import time

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 2, 0x1000
CLONE_NEWNET, PR_SET_PDEATHSIG, SIGKILL = 0x40000000, 1, 9
LARGE = 500
libc = ctypes.CDLL(None, use_errno=True)


def tap(netns, name):
    with open(f"/run/netns/{netns}", "rb") as ns:
        if libc.setns(ns.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"setns {netns}")
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TAP | IFF_NO_PI))
    return fd


def main():
    ns_a, dev_a, ns_b, dev_b, drop, delay = sys.argv[1:]
    drop, delay = int(drop), float(delay) / 1000
    libc.prctl(PR_SET_PDEATHSIG, SIGKILL)
    a, b = tap(ns_a, dev_a), tap(ns_b, dev_b)
    print("ready", flush=True)
    due, large, order = [], 0, 0
    while True:
        wait = max(0, due[0][0] - time.monotonic()) if due else None
        for fd in select.select([a, b], [], [], wait)[0]:
            frame = os.read(fd, 65536)
            if fd == a and len(frame) > LARGE:
                large += 1
                if drop and large % drop == 0:
                    continue
            order += 1
            heapq.heappush(due, (time.monotonic() + delay, order, b if fd == a else a, frame))
        while due and due[0][0] <= time.monotonic():
            _, _, fd, frame = heapq.heappop(due)
            try:
                os.write(fd, frame)
            except OSError:
                pass  # the device is down


main()
