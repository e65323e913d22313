#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes corpus/config: configurations, good and bad, one idea each."""
from pathlib import Path

OUT = Path(__file__).parent / "corpus" / "config"
NETS = "networks:\n  blue: {vlan: 100}\n  green: {vlan: 200}\n  plain:\n"
SEEDS = {
    "empty": "",
    "settings": "workers: [0]\nidle: busy\napi: /tmp/a\nmetrics: '[::1]:9478'\nmac-age: 2m\nmac-table: 7\n",
    "metrics4": "metrics: 127.0.0.1:9478\n",
    "vhost": "ports:\n  vm1: {vhost-user: /run/weir/vm1.sock, mode: client, queues: 4, mtu: 9000, link: down}\n",
    "group": "ports: {a: {vhost-user: /a, group: kvm, mode: server}}\n",
    "tap": "ports:\n  a:\n    tap: weir0\n    netns: blue\n    isolated: true\n    mac-limit: 0\n",
    "macs": "ports:\n  a: {tap: a, mac: 52:54:00:00:00:02, static-macs: ['52:54:00:00:01:02', 52-54-00-00-02-02]}\n",
    "trunk": NETS + "ports:\n  up: {tap: up, trunk: [blue, green], native: plain}\n  a: {tap: a, network: blue}\n",
    "json": '{"ports": {"a": {"tap": "a"}}, "networks": {"default": {"vlan": 1}}}',
    "default-net": "networks: {default: {vlan: 7}, b: {}}\nports: {a: {tap: a}, c: {tap: c, network: b}}\n",
    "numbers-as-names": "networks: {1: {vlan: 1}}\nports: {2: {tap: 3, network: 1}}\n",
    "unknown-key": "prots: {}\n",
    "unknown-net": NETS + "ports: {vm9: {tap: a, network: blu}}\n",
    "twice": "idle: busy\nidle: busy\n",
    "mac-twice": "ports:\n  a: {tap: a, mac: 02:00:00:00:00:01}\n  b: {tap: b, static-macs: [02:00:00:00:00:01]}\n",
    "nic": "ports: {up0: {nic: eth1}}\n",
    "anchor": "a: &x [1]\nb: *x\n",
    "tag": "idle: !!str busy\n",
    "merge": "ports: {a: {<<: {tap: a}}}\n",
    "deep": "[" * 20 + "]" * 20,
    "documents": "---\nidle: busy\n...\n---\nidle: busy\n",
    "block-text": "idle: |\n  busy\napi: >-\n  /tmp/\n  a\n",
    "escapes": 'api: "/\\x41\\u00e9\\0"\n"\\e[31m": 1\n',
    "explicit": "? ports\n: ? a\n  : tap: a\n",
    "mark": "\ufeffidle: busy\nports: {a: {tap: a}}\n",
    "mark-twice": "\ufeff\ufeffidle: busy\n",
    "mark-inside": "idle: \ufeffbusy\n",
    "utf16le": "\ufeffidle: busy\napi: /tmp/\u00e9\U0001f600\n".encode("utf-16-le"),
    "utf16be": "\ufeffidle: busy\nports: {a: {tap: a}}\n".encode("utf-16-be"),
    "utf16-half": "\ufeffidle: busy\n".encode("utf-16-le")[:-1],
    "utf16-surrogate": "\ufeffidle: ".encode("utf-16-le") + b"\x00\xdc",
    "long": "ports: {a: {vhost-user: /" + "x" * 107 + "}}\n",
}

OUT.mkdir(parents=True, exist_ok=True)
for name, text in SEEDS.items():
    (OUT / name).write_bytes(text if isinstance(text, bytes) else text.encode())
