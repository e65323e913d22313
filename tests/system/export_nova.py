#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
"""Reads each FILE as Nova would and prints what it makes of the PCI devices under /sys, as JSON.

  export_nova.py FILE...

{NAME of FILE: {"spec": {ADDRESS: tags}, "alias": {NAME: [ADDRESS...]}, "filters": [...]}}: the devices
that device_spec lets Nova have, with which tags, and which of those a flavor gets that asks for an alias;
{"error": TEXT} for a file that Nova refuses.
"""
import json
import os
import sys

import nova.conf
from nova import objects
from nova.pci import request, utils, whitelist
from nova.scheduler import filters

CONF = nova.conf.CONF
DEVICES = "/sys/bus/pci/devices"


def number(address, name):
    try:
        with open(f"{DEVICES}/{address}/{name}") as f:
            return int(f.read(), 0)
    except FileNotFoundError:
        return 0


def devices():
    """As Nova's libvirt driver reports them to its tracker."""
    for address in sorted(os.listdir(DEVICES)):
        parent = f"{DEVICES}/{address}/physfn"
        device = {
            "address": address,
            "vendor_id": "%04x" % number(address, "vendor"),
            "product_id": "%04x" % number(address, "device"),
            "parent_addr": os.path.basename(os.readlink(parent)) if os.path.islink(parent) else None,
            "dev_type": "type-PF" if number(address, "sriov_totalvfs") else "type-PCI",
        }
        if device["parent_addr"]:
            device["dev_type"] = "type-VF"
        yield device


def asked_for(alias):
    requests = request.get_pci_requests_from_flavor({"extra_specs": {"pci_passthrough:alias": alias + ":1"}})
    return [spec for one in requests.requests for spec in one.spec]


def judge(file):
    CONF.reset()
    CONF([], project="nova", default_config_files=[file])
    taken = {}
    specs = whitelist.Whitelist(CONF.pci.device_spec).specs
    for device in devices():
        for spec in specs:
            if spec.match(device):
                taken[device["address"]] = dict(device, **spec.get_tags())
                break
    known = {c.__name__ for c in filters.HostFilterHandler().get_matching_classes(
        CONF.filter_scheduler.available_filters)}
    wanted = CONF.filter_scheduler.enabled_filters
    if not set(wanted) <= known:
        raise ValueError(f"there are no filters {set(wanted) - known}")
    return {
        "spec": {a: {k: d[k] for k in ("physical_network", "trusted") if k in d} for a, d in taken.items()},
        "alias": {name: [a for a, d in taken.items() if utils.pci_device_prop_match(d, asked_for(name))]
                  for name in (json.loads(alias)["name"] for alias in CONF.pci.alias)},
        "filters": wanted,
    }


def main():
    objects.register_all()
    out = {}
    for file in sys.argv[1:]:
        try:
            out[os.path.basename(file)] = judge(file)
        except Exception as error:  # whatever Nova raises is its answer
            out[os.path.basename(file)] = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(out))


main()
