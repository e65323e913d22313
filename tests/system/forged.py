#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
"""forged.py SERVER THIRD: a client of `weir bench serve` that knows the secret (WEIR_BENCH_SECRET) has it
listen for a UDP flow, and asks for that flow by datagrams whose source is a third address. Prints how many
bytes the third address got, and what the server says of the flow."""
import hashlib, hmac, json, os, secrets, socket, struct, sys, time

SERVER, THIRD = sys.argv[1:]
COOKIE = secrets.token_hex(16)
control = socket.create_connection((SERVER, 9479))
lines = control.makefile("rw")


def ask(**what):
    lines.write(json.dumps(what) + "\n")
    lines.flush()
    while "event" in (answer := json.loads(lines.readline())):
        pass
    return answer


def forge(port, payload):
    """An IPv4 and UDP header of our own; the kernel fills in the checksum of the first."""
    udp = struct.pack("!HHHH", 7777, port, 8 + len(payload), 0)
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 0, 0, 0, 64, 17, 0,
                     socket.inet_aton(THIRD), socket.inet_aton(SERVER))
    return ip + udp + payload


nonce = secrets.token_hex(16)
theirs = ask(do="hello", protocol=2, nonce=nonce)["ok"]["nonce"]
proof = hmac.new(os.environ["WEIR_BENCH_SECRET"].encode(), f"weir-bench client {nonce} {theirs}".encode(),
                 hashlib.sha256).hexdigest()
assert "ok" in ask(do="prove", proof=proof)
answer = ask(do="prepare", job="stream", role="listen", udp=True, flows=1, address=SERVER, cookie=COOKIE,
             send=True, receive=False, length=1000, rate=0)
third = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
third.bind((THIRD, 7777))
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
for _ in range(200):
    hello = b"weir-ask" + COOKIE.encode() + struct.pack("!I", 0) + bytes(16)
    raw.sendto(forge(answer["ok"]["ports"][0], hello), (SERVER, 0))
    time.sleep(0.001)
said = ask(do="start", omit=0, time=200_000_000, interval=100_000_000)
third.settimeout(0.5)
got = 0
try:
    while True:
        got += len(third.recv(65536))
except TimeoutError:
    pass
print(got, said.get("error", "the flow has begun"))
