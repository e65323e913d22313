#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes corpus/want: desired states of a host, good and bad, one idea each."""
from pathlib import Path

OUT = Path(__file__).parent / "corpus" / "want"
PFS = "pfs:\n  eth0: {vfs: 4}\n  eth1: {vfs: 3, autoprobe: off}\n"
SEEDS = {
    "empty": "",
    "pf": "pfs: {eth0: {vfs: 7, eswitch: legacy, autoprobe: on, link: up, mtu: 9000, physnet: physnet1}}\n",
    "address": "pfs: {0000:01:00.0: {vfs: 2, defaults: {spoofchk: on, vlan: 5, qos: 3, proto: 802.1ad}}}\n",
    "ids": "pfs: {cards: {match: '8086:10c9', vfs: 4}}\npools: {a: {pfs: cards, mac-prefix: 52:54:00:00:01}}\n",
    "list": "pfs: {cards: {match: [eth0, 02:00.0]}}\n",
    "pool": PFS + "pools:\n  t:\n    pfs: [eth0, eth1]\n    vfs: 0-1,2\n    vlan: 100\n    min-rate: 10Mbit\n"
    "    max-rate: 1Gbit\n    trust: off\n    link-state: auto\n    rss-query: off\n    driver: vfio-pci\n"
    "    owners: [vm1, vm2]\n    alias: t\n",
    "macs": PFS + "pools: {t: {pfs: eth1, macs: [52:54:00:00:01:01, 52:54:00:00:01:02, 52:54:00:00:01:03]}}\n",
    "rest": PFS + "vfs: {w: {pf: eth0, vf: 1}}\npools: {t: {pfs: eth0}}\n",
    "single": PFS + "vfs: {w: {pf: eth0, vf: 3, mac: 52:54:00:00:00:09, owner: web, driver: kernel}}\n",
    "device": "devices: {gpu: {match: '10de:1eb8', driver: vfio-pci, owner: vm9, alias: gpu}}\n",
    "overlap": PFS + "pools: {a: {pfs: eth0, vfs: 0-2}, b: {pfs: eth0, vfs: 2}}\n",
    "beyond": PFS + "pools: {a: {pfs: eth1, vfs: 0-3}}\n",
    "too-many": "pfs: {eth0: {vfs: 9}}\n",
    "same-mac": PFS + "vfs: {a: {pf: eth0, vf: 0, mac: 02:00:00:00:00:01}, b: {pf: eth1, vf: 0, mac: 02:00:00:00:00:01}}\n",
    "rates": PFS + "pools: {a: {pfs: eth0, min-rate: 2Gbit, max-rate: 1Gbit}}\n",
    "no-pf": "pools: {a: {pfs: eth9}}\n",
    "vf-as-pf": "pfs: {a: {match: '0000:01:10.0'}}\n",
    "twice": "pfs: {eth0: {}, a: {match: 0000:01:00.0}}\n",
    "range": PFS + "pools: {a: {pfs: eth0, vfs: 3-1}}\n",
    "mark": "\ufeffpfs: {eth0: {vfs: 4}}\n",
    "utf16": ("\ufeff" + PFS).encode("utf-16-le"),
    "multicast": PFS + "pools: {a: {pfs: eth0, mac-prefix: 01:00:5e}}\n",
}

OUT.mkdir(parents=True, exist_ok=True)
for name, text in SEEDS.items():
    (OUT / name).write_bytes(text if isinstance(text, bytes) else text.encode())
