#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Writes the seeds of fuzz_ring: python3 seeds_ring.py corpus/ring
import os
import struct
import sys

PAGE, A = 4096, 0x10000
NEXT, WRITE, INDIRECT, AVAIL, USED = 1, 2, 4, 1 << 7, 1 << 15


def split(descs, heads, used=b""):
    mem = bytearray(5 * PAGE + 64)
    for i, (addr, length, flags, nxt) in enumerate(descs):
        struct.pack_into("<QIHH", mem, 16 * i, addr, length, flags, nxt)
    struct.pack_into("<HH", mem, 4 * PAGE, 0, len(heads))
    for i, h in enumerate(heads):
        struct.pack_into("<H", mem, 4 * PAGE + 4 + 2 * i, h)
    mem[5 * PAGE:5 * PAGE + len(used)] = used
    return bytes(mem)


def packed(descs):
    return b"".join(struct.pack("<QIHH", *d) for d in descs)


def script(kind, order, *steps):
    return struct.pack("BB", kind, order) + bytes(steps).ljust(14, b"\0")[:14]


BUF = A + 8 * PAGE
TABLE = A + 0x200
FAR = 1 << 32
seeds = {
    "split-one": script(2, 4, 8) + split([(BUF, 76, 0, 0)], [0]),
    "split-chain": script(2, 4, 8, 7) + split([(BUF, 12, NEXT, 1), (BUF + 64, 40, NEXT, 2), (BUF + 900, 700, 0, 0)], [0]),
    "split-loop": script(2, 2, 8) + split([(BUF, 12, NEXT, 1), (BUF, 12, NEXT, 0)], [0]),
    "split-cross": script(2, 4, 8) + split([(A + 16 * PAGE - 30, 100, 0, 0)], [0]),
    "split-outside": script(2, 4, 8) + split([(0, 100, 0, 0)], [0]),
    "split-indirect": script(2, 4, 8) + split([(A + 64, 32, INDIRECT, 0)] + [(0, 0, 0, 0)] * 3 + [(BUF, 12, NEXT, 1), (BUF + 64, 100, 0, 0)], [0]),
    "split-push": script(2, 4, 0x1a, 0x22, 0x2a, 6) + split([(BUF + 2048 * i, 1526, WRITE, 0) for i in range(16)], range(16)),
    "split-push-tagged": script(2, 4, 0xa2, 0x8a, 0xaa, 0xfb) + split([(BUF + 2048 * i, 1526, WRITE, 0) for i in range(16)], range(16)),
    "split-push-chains": script(0, 5, 0x1a, 3, 6) + split([(BUF, 12, WRITE | NEXT, 1), (BUF + 64, 1500, WRITE | NEXT, 2), (BUF + 2000, 1000, WRITE, 0)], [0]),
    "split-push-merged": script(2, 6, 3, 3, 0x24, 3) + split([(BUF + 256 * (i % 64), 1526, WRITE, 0) for i in range(64)], range(64)),
    "split-long-piece": script(0, 4, 0xfb, 0xfb) + split([(FAR, 1, WRITE | NEXT, 1), (FAR + PAGE, 65554, WRITE, 0)] * 2, [0, 2]),
    "packed-4-gib": script(3, 15, 0x0a, 0xfb, 0x1a) + packed([(FAR + PAGE * i, 0xffffffff if i else 12, i, AVAIL | WRITE) for i in range(16)]),
    "split-4-gib": script(2, 4, 0x0a, 0xfb, 0x1a) + split([(FAR + PAGE * i, 0xffffffff if i else 12, WRITE, 0) for i in range(16)], range(16)),
    "split-jump": script(2, 3, 0xfc, 8) + split([(BUF, 76, 0, 0)] * 8, range(8)),
    "packed-one": script(3, 15, 8, 7, 8) + packed([(BUF, 76, 0, AVAIL)]),
    "packed-chain": script(3, 15, 8) + packed([(BUF, 12, 0, AVAIL | NEXT), (BUF + 64, 600, 5, AVAIL)]),
    "packed-indirect": script(3, 15, 8) + packed([(A + 64, 32, 0, AVAIL | INDIRECT)] + [(0, 0, 0, 0)] * 3 + [(BUF, 12, 0, 0), (BUF + 64, 100, 0, 0)]),
    "packed-push": script(3, 15, 0x1a, 0x22, 3, 6, 7) + packed([(BUF + 2048 * i, 1526, i, AVAIL | WRITE) for i in range(12)]),
    "packed-push-tagged": script(3, 15, 0xa2, 0x8a, 0xfb, 6, 0x92) + packed([(FAR + 2048 * i, 1526, i, AVAIL | WRITE) for i in range(16)]),
    "packed-recover": script(3, 7, 7, 8, 6) + packed([(BUF, 76, 0, AVAIL | USED)] * 3 + [(BUF, 76, 3, AVAIL)] * 5),
}
os.makedirs(sys.argv[1], exist_ok=True)
for name, data in seeds.items():
    with open(os.path.join(sys.argv[1], name), "wb") as f:
        f.write(data)
