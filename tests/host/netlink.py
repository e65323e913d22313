#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes netlink messages as a kernel would, for tests: netlink.py FOLDER.

Knows the formats from the kernel's headers and nothing of weir's own code. VF number n of every PF has
the values that vf() gives it; tests/unit/test_netlink.c expects them by the same rule.

captured.nl  igb.nl, recorded from Linux 6.1 and an igb with 7 VFs, whose entries are there 43 times, each
            time with numbers 7 higher
many.nl     a dump: a PF with 100 VFs, one with 300 whose list is longer than its length can say, lo
devlink.nl  two PFs with an eswitch, one without, and a device on another bus
"""
import struct
import sys
from pathlib import Path

NEWLINK, DONE, MULTI = 16, 3, 2
NESTED = 0x8000


def attr(kind, payload=b""):
    """The length is cut to its 16 bits, as the kernel does it at the end of a nest."""
    return struct.pack("<HH", (4 + len(payload)) & 0xFFFF, kind) + payload + bytes(-len(payload) % 4)


def text(kind, s):
    return attr(kind, s.encode() + b"\0")


def u32(kind, n):
    return attr(kind, struct.pack("<I", n & 0xFFFFFFFF))


def message(kind, body, flags=MULTI):
    return struct.pack("<IHHII", 16 + len(body), kind, flags, 1, 0) + body


def done():
    return message(DONE, struct.pack("<i", 0))


def vf(n):
    """One IFLA_VF_INFO, the attributes in the order of rtnl_fill_vfinfo."""
    def switch(kind, on):
        return attr(kind, struct.pack("<II", n, on & 0xFFFFFFFF))

    mac = bytes([2, 0, 0, 0, n >> 8, n & 255]) + bytes(26)
    info = struct.pack("<III", n, n % 4095, n % 8) + struct.pack(">HH", 0x88A8 if n % 2 else 0x8100, 0)
    return attr(1, b"".join([
        attr(1, struct.pack("<I", n) + mac),
        attr(13, b"\xff" * 6 + bytes(26)),
        attr(2, struct.pack("<III", n, n % 4095, n % 8)),
        attr(6, struct.pack("<III", n, n, 1000 + n)),
        attr(3, struct.pack("<II", n, 1000 + n)),
        switch(4, n % 2),
        switch(5, n % 3),
        switch(7, -1 if n % 5 == 0 else n % 2),
        switch(9, n % 3 == 0),
        attr(12, attr(1, info)),
        attr(8, b"".join(attr(k, struct.pack("<Q", n * 10 + k)) for k in (0, 1, 2, 3, 4, 5, 7, 8))),
    ]))


def link(index, name, *attrs):
    return message(NEWLINK, struct.pack("<BxHiII", 0, 1, index, 0x1043, 0) + text(3, name) + b"".join(attrs))


def pf(index, name, slot, vfs):
    return link(
        index, name,
        attr(1, bytes([2, 1, 0, 0, 0, index])), u32(4, 1500), u32(50, 68), u32(51, 9216), attr(16, b"\x06"),
        attr(52 | NESTED, text(53, name + "-alt") + text(53, name + "-x" * 60)), u32(31, 64), u32(32, 32), u32(35, 3), attr(36, bytes.fromhex("0123456789abcdef")), text(38, "p0"),
        u32(21, vfs), attr(22, b"".join(vf(n) for n in range(vfs))),
        attr(54, bytes([2, 2, 0, 0, 0, index])), text(56, slot), text(57, "pci"))


def generic(command, *attrs):
    return message(0x1C, struct.pack("<BBxx", command, 1) + b"".join(attrs))


def device(command, slot, *attrs, bus="pci"):
    return generic(command, text(1, bus), text(2, slot), *attrs)


def version(name, value):
    return attr(101, text(103, name) + text(104, value))


def attrs(data):
    while data:
        n, kind = struct.unpack_from("<HH", data)
        yield kind, data[4:n]
        data = data[n + 3 & ~3:]


def renumber(entry, by):
    """All but statistics and broadcast address begin with the VF's number, that of VLANs one level deeper."""
    def shift(payload):
        return struct.pack("<I", struct.unpack_from("<I", payload)[0] + by) + payload[4:]

    def again(kind, payload):
        if kind == 12:
            return attr(kind, b"".join(attr(k, shift(p)) for k, p in attrs(payload)))
        return attr(kind, payload if kind in (8, 13) else shift(payload))

    return attr(1, b"".join(again(kind, payload) for kind, payload in attrs(entry)))


def multiply(dump, times):
    n = struct.unpack_from("<I", dump)[0]
    body = dump[16:32]
    for kind, payload in attrs(dump[32:n]):
        if kind == 21:
            body += u32(kind, times * struct.unpack("<I", payload)[0])
        elif kind == 22:
            entries = [p for _, p in attrs(payload)]
            body += attr(kind, b"".join(renumber(e, i * len(entries)) for i in range(times) for e in entries))
        else:
            body += attr(kind, payload)
    return message(NEWLINK, body) + dump[n + 3 & ~3:]


CAPTURED = multiply((Path(__file__).parent / "igb.nl").read_bytes(), 43)
MANY = pf(2, "pf100", "0000:01:00.0", 100) + pf(3, "pf300", "0000:02:00.0", 300) + link(1, "lo") + done()
NEW, ESWITCH, INFO = 3, 29, 51
DEVLINK = b"".join([
    device(NEW, "0000:01:00.0"), device(NEW, "0000:02:00.0"), device(NEW, "0000:03:00.0"),
    device(NEW, "netdevsim1", bus="netdevsim"),
    device(ESWITCH, "0000:01:00.0", attr(25, struct.pack("<H", 1)), attr(26, b"\x02"), attr(62, b"\x01")),
    device(ESWITCH, "0000:02:00.0", attr(25, struct.pack("<H", 0))),
    device(INFO, "0000:01:00.0", text(98, "mlx5_core"), attr(100, text(103, "fw.psid") + text(104, "MT_1")),
           version("fw.version", "16.31.1014"), version("fw", "16.32.0"), version("fw.mgmt", "1.0")),
    done(),
])

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    (folder / "captured.nl").write_bytes(CAPTURED)
    (folder / "many.nl").write_bytes(MANY)
    (folder / "devlink.nl").write_bytes(DEVLINK)
