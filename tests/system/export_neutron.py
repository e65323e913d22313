#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
"""Reads each FILE as Neutron's server and its SR-IOV agent would, and prints what they make of it, as JSON.

  export_neutron.py FILE...

{NAME of FILE: {...}}; {"error": TEXT} for a file that one of them refuses.
"""
import json
import os
import sys

from neutron.agent import securitygroups_rpc
from neutron.conf.agent import securitygroups_rpc as securitygroups_config
from neutron.conf.plugins.ml2 import config as ml2_config
from neutron.conf.plugins.ml2.drivers import driver_type
from neutron.plugins.ml2.drivers.mech_sriov.agent import sriov_nic_agent
from neutron_lib.plugins import utils
from oslo_config import cfg
import pkg_resources

CONF = cfg.CONF


def judge(file):
    CONF.reset()
    CONF([], project="neutron", default_config_files=[file])
    agent = sriov_nic_agent.SriovNicAgentConfigParser()
    agent.parse()
    for kind, names in (("mechanism", CONF.ml2.mechanism_drivers), ("type", CONF.ml2.type_drivers)):
        known = {p.name for p in pkg_resources.iter_entry_points(f"neutron.ml2.{kind}_drivers")}
        if not set(names) <= known:
            raise ValueError(f"there are no {kind}_drivers {set(names) - known}")
    return {
        "mappings": agent.device_mappings,
        "excluded": {k: sorted(v) for k, v in agent.exclude_devices.items()},
        "vlans": utils.parse_network_vlan_ranges(CONF.ml2_type_vlan.network_vlan_ranges),
        "mechanisms": CONF.ml2.mechanism_drivers,
        "types": CONF.ml2.type_drivers,
        "firewall": securitygroups_rpc.firewall.load_firewall_driver_class(
            CONF.SECURITYGROUP.firewall_driver).__name__,
    }


def main():
    ml2_config.register_ml2_plugin_opts()
    driver_type.register_ml2_drivers_vlan_opts()
    securitygroups_config.register_securitygroups_opts()
    out = {}
    for file in sys.argv[1:]:
        try:
            out[os.path.basename(file)] = judge(file)
        except Exception as error:  # whatever Neutron raises is its answer
            out[os.path.basename(file)] = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(out))


main()
