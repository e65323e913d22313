#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
"""A VLAN interface for kernels that have none: vlan.py LOWER VLAN NAME

Makes a TAP of that name; what is sent into it leaves through LOWER with the tag, what arrives there
with the tag comes out of it without. Checksums and segments that are still to be made stay so: each
frame travels with its struct virtio_net_hdr. Runs until it is killed."""

import fcntl
import select
import socket
import struct
import sys

TUNSETIFF, IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x400454CA, 2, 0x1000, 0x4000
SOL_PACKET, PACKET_AUXDATA, PACKET_ADD_MEMBERSHIP, PACKET_MR_PROMISC = 263, 8, 1, 1
PACKET_VNET_HDR, VNET_HDR_LEN, NEEDS_CSUM = 15, 10, 1
PACKET_OUTGOING, TP_STATUS_VLAN_VALID = 4, 0x10

lower, vlan, name = sys.argv[1], int(sys.argv[2]), sys.argv[3]
tap = open("/dev/net/tun", "r+b", buffering=0)
fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI | IFF_VNET_HDR))
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
wire.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
wire.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
wire.bind((lower, 3))  # ETH_P_ALL
wire.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP,
                struct.pack("iHH8x", socket.if_nametoindex(lower), PACKET_MR_PROMISC, 0))
while True:
    ready = select.select([tap, wire], [], [])[0]
    if tap in ready:
        packet = tap.read(65600)
        header, frame = packet[:VNET_HDR_LEN], packet[VNET_HDR_LEN:]
        if header[0] & NEEDS_CSUM:  # where the checksum starts moves behind the tag
            start, = struct.unpack_from("H", header, 6)
            header = header[:6] + struct.pack("H", start + 4) + header[8:]
        try:
            wire.send(header + frame[:12] + struct.pack("!HH", 0x8100, vlan) + frame[12:])
        except OSError:
            pass  # LOWER is down
    if wire in ready:
        # The kernel takes the tag out of the frame and tells of it beside.
        try:
            frame, beside, _, address = wire.recvmsg(65600, socket.CMSG_SPACE(20))
        except OSError:
            continue  # LOWER is down
        if address[2] == PACKET_OUTGOING:
            continue
        for level, kind, data in beside:
            if level == SOL_PACKET and kind == PACKET_AUXDATA:
                status, *_, tci, _ = struct.unpack("IIIHHHH", data)
                if status & TP_STATUS_VLAN_VALID and tci & 0xFFF == vlan:
                    try:
                        tap.write(frame)
                    except OSError:
                        pass  # the interface is down
