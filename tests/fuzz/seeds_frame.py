#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes corpus/frame: one input a kind of frame, as fuzz_frame.c reads them."""
import struct
from pathlib import Path

OUT = Path(__file__).parent / "corpus" / "frame"
MACS = bytes.fromhex("020000000002020000000001")
NEEDS, TCP4, UDP, TCP6, ECN = 1, 1, 3, 4, 0x80


def lie(at=0, head=64, split=3, extra=0, flags=0, gso=0, hdr=0, size=0, start=0, off=0):
    return struct.pack("<BBHHBBHHHH", at, head, split, extra, flags, gso, hdr, size, start, off)


def ip4(proto, body, extra=0, options=b"", frag=0x4000):
    n = 20 + len(options)
    return struct.pack(">BBHHHBBH4s4s", 0x40 | n // 4, 0, n + len(body) + extra, 1, frag, 64, proto, 0,
                       bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])) + options + body


def ip6(proto, body, extra=0, exts=b""):
    a = bytes.fromhex("fd000000000000000000000000000001")
    return struct.pack(">IHBB16s16s", 6 << 28, len(exts) + len(body) + extra, proto, 64, a, a[::-1]) + exts + body


def tcp(flags=0x18, options=b""):
    return struct.pack(">HHIIBBHHH", 40000, 80, 0xfffff000, 1, (5 + len(options) // 4) << 4, flags, 1000,
                       0x1234, 0) + options


def udp(n):
    return struct.pack(">HHHH", 5000, 53, (8 + n) & 0xffff, 0x4321)


def tags(*tci):
    return b"".join(struct.pack(">HH", 0x8100, t) for t in tci)


def eth(kind, body, vlan=b""):
    return MACS + vlan + struct.pack(">H", kind) + body


V4, V6 = 0x0800, 0x86dd
HOP = bytes([17, 0, 5, 2, 0, 0, 1, 0])
CHAIN = bytes([60, 0, 5, 2, 0, 0, 1, 0]) + bytes([43, 0, 1, 4, 0, 0, 0, 0]) \
    + bytes([44, 0, 4, 0, 0, 0, 0, 0]) + bytes([6, 0, 0, 0, 0, 0, 0, 1])
MSS = bytes([1, 1, 8, 10]) + bytes(8)

SEEDS = {
    "arp": lie() + eth(0x0806, bytes(46)),
    "runt": lie(head=13) + MACS + b"\x08",
    "tag-cut": lie(head=17) + MACS + b"\x81\x00\x00\x64\x08",
    "udp4": lie(head=18) + eth(V4, ip4(17, udp(10), 10) + bytes(10)),
    "udp4-padded": lie(head=18) + eth(V4, ip4(17, udp(0)) + bytes(18)),
    "udp4-fragment": lie() + eth(V4, ip4(17, udp(8), frag=0x2000)),
    "tcp4-tagged": lie(head=18) + eth(V4, ip4(6, tcp(options=MSS)), tags(0xa064)),
    "tcp4-three-tags": lie(head=18, split=0x0114) + eth(V4, ip4(6, tcp()), tags(1, 2, 3)),
    "icmp4": lie() + eth(V4, ip4(1, bytes(8))),
    "gre4-tunnel-csum": lie(flags=NEEDS, start=58, off=6) + eth(V4, ip4(47, bytes(4) + ip4(17, udp(2)) + b"ab")),
    "tcp6-chain": lie(head=18, split=0x0205) + eth(V6, ip6(0, tcp(), exts=CHAIN)),
    "udp4-csum": lie(at=4, head=20, flags=NEEDS, start=34, off=6, extra=999) + eth(V4, ip4(17, udp(999), 999)),
    "tcp6-csum-tagged": lie(flags=NEEDS, start=58, off=16, extra=100) + eth(V6, ip6(6, tcp(), 100), tags(7)),
    "csum-in-tag": lie(flags=NEEDS, start=2, off=16) + eth(V4, ip4(6, tcp()), tags(7)),
    "csum-over-address": lie(flags=NEEDS, start=14, off=12) + eth(V4, ip4(6, tcp())),
    "tso4": lie(split=0x0313, extra=9000, flags=NEEDS, gso=TCP4 | ECN, hdr=54, size=1448, start=34, off=16)
        + eth(V4, ip4(6, tcp(0x99), 9000)),
    "tso4-64k": lie(split=0x04ff, extra=65000, flags=NEEDS, gso=TCP4, hdr=66, size=65000, start=34, off=16)
        + eth(V4, ip4(6, tcp(options=MSS), 65012)),
    "tso4-mss-1": lie(extra=3000, flags=NEEDS, gso=TCP4, size=1, start=34, off=16) + eth(V4, ip4(6, tcp(), 3000)),
    "tso4-tagged-early": lie(head=18, split=0x8303, extra=4000, flags=NEEDS, gso=TCP4, size=1448, start=38, off=16)
        + eth(V4, ip4(6, tcp(), 4000), tags(5)),
    "csum4-tagged-early": lie(head=18, split=0x8303, flags=NEEDS, start=42, off=6, extra=50)
        + eth(V4, ip4(17, udp(50), 50), tags(5, 6)),
    "tso6": lie(head=200, split=0x0509, extra=5000, flags=NEEDS, gso=TCP6, size=1000, start=86, off=16)
        + eth(V6, ip6(0, tcp(), 5000, CHAIN)),
    "ufo4": lie(split=0x0604, extra=5000, flags=NEEDS, gso=UDP, size=1483, start=50, off=6)
        + eth(V4, ip4(17, udp(5000), 5000, bytes([0x88, 4, 1, 2, 0x44, 4, 5, 0] * 2))),
    "ufo6": lie(split=0x0704, extra=4000, flags=NEEDS, gso=UDP, size=1448, start=62, off=6)
        + eth(V6, ip6(0, udp(4000), 4000, HOP)),
}

OUT.mkdir(parents=True, exist_ok=True)
for name, data in SEEDS.items():
    (OUT / name).write_bytes(data)
