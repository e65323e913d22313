#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
"""Prints a line for each frame that arrives: listen.py DEVICE ETHERTYPE... (hexadecimal, of what
follows a VLAN tag). Needs no more than a user namespace gives, where tcpdump does not run."""

import socket
import struct
import sys

SOL_PACKET, PACKET_AUXDATA, PACKET_OUTGOING, TP_STATUS_VLAN_VALID = 263, 8, 4, 0x10

wanted = {int(t, 16) for t in sys.argv[2:]}
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
wire.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
wire.bind((sys.argv[1], 3))  # ETH_P_ALL
print("listening", file=sys.stderr, flush=True)
while True:
    frame, beside, _, address = wire.recvmsg(65600, socket.CMSG_SPACE(20))
    kind, = struct.unpack_from("!H", frame, 12)
    if address[2] == PACKET_OUTGOING or kind not in wanted:
        continue
    vlan = ""
    for level, what, data in beside:
        if level == SOL_PACKET and what == PACKET_AUXDATA:
            status, *_, tci, tpid = struct.unpack("IIIHHHH", data)
            if status & TP_STATUS_VLAN_VALID:
                vlan = f" vlan {'88a8:' if tpid == 0x88A8 else ''}{tci & 0xFFF}"
    print(f"{frame[6:12].hex(':')} > {frame[:6].hex(':')}{vlan} type {kind:04x} length {len(frame)}",
          flush=True)
