#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes corpus/netlink: messages as a kernel sends them, as fuzz_netlink.c reads them."""
import struct
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "host"))
from netlink import DEVLINK, attr, done, link, message, pf, text, u32  # noqa: E402

OUT = Path(__file__).parent / "corpus" / "netlink"
NEWADDR, NEWROUTE, ERROR = 20, 24, 2


def way(index):
    return struct.pack("<HBBi", 16, 0, 0, index) + attr(5, bytes([192, 0, 2, 9]))


def route(prefix, *attrs, kind=1, table=254):
    return message(NEWROUTE, struct.pack("<8BI", 2, prefix, 0, 0, table, 3, 0, kind, 0) + b"".join(attrs))


SEEDS = {
    "vfs": pf(2, "eth0", "0000:01:00.0", 3) + done(),
    "vlan-on-bond": link(5, "bond0.7", u32(10, 4), u32(5, 3), attr(18, text(1, "vlan"))) + done(),
    "elsewhere": link(6, "mv0", u32(5, 3), u32(37, 0), attr(18, text(1, "macvtap"))),
    "short-list": link(7, "eth1", u32(21, 2), attr(22, attr(1, attr(1, struct.pack("<I", 1) + bytes(32))))),
    "address": message(NEWADDR, struct.pack("<4BI", 2, 24, 128, 0, 2) + attr(1, bytes([192, 0, 2, 1]))
                       + attr(2, bytes([192, 0, 2, 2])) + text(3, "eth0")),
    "address6": message(NEWADDR, struct.pack("<4BI", 10, 64, 128, 0, 2) + attr(1, bytes(16))),
    "routes": route(0, u32(4, 2)) + route(24, u32(4, 3)) + route(8, u32(4, 1), kind=2, table=255) + done(),
    "ways": route(0, attr(9, way(2) + way(3))),
    "error": message(ERROR, struct.pack("<i", -95) + bytes(16)),
    "devlink": DEVLINK,
}

OUT.mkdir(parents=True, exist_ok=True)
for name, data in SEEDS.items():
    (OUT / name).write_bytes(data)
