#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
# A desired state of a host with real virtual functions: applied, verified, undone; with
# somebody else who changes a part of it.
# part of: desired
# timeout: 600
# cpus: 2
# load: 1
. "$(dirname "$0")/lib.sh"

one=0000:01:00.0 two=0000:02:00.0
sriov_pfs="$one $two"

sriov_start || exit 1
boot() { vm_wait sriov 120 && note "in $SECONDS s"; }
vm_it "the guest boots" boot

# Two cards as one pool.
run 'cat >/tmp/pool.yaml <<END
pfs:
  one: {match: 0000:01:00.0, vfs: 2, link: up}
  two: {match: 0000:02:00.0, vfs: 2, link: up}
pools:
  tenants: {pfs: [one, two], vfs: 0-1, vlan: 100, max-rate: 100Mbit, mac-prefix: 52:54:77, owners: [vm1]}
END'

pool() {
	settings "$sriov_pfs" >"$T/original"
	run 'weir host apply /tmp/pool.yaml && weir host verify /tmp/pool.yaml' || return 1
	local pf
	for pf in eth0 eth1; do
		run "ip -d -j link show $pf" | jq -e '.[0].vfinfo_list | length == 2 and
			all(.vlan_list[0].vlan == 100 and .rate.max_tx == 100 and (.address | startswith("52:54:77")))' || return 1
	done
}
it "two cards are one pool of four functions, as the file wants it" pool

flap() {
	qmp set_link '{"name": "igb0", "up": false}' && sleep 1 && qmp set_link '{"name": "igb0", "up": true}'
	until_ok 10 run 'ip link show eth0 | grep LOWER_UP'
	run 'ip link set eth0 vf 1 max_tx_rate 10'
	run 'weir host verify /tmp/pool.yaml' >"$T/drift" && return 1
	says '0000:01:00.0 vf 1 +rate' <"$T/drift"
	run 'weir host apply /tmp/pool.yaml && weir host verify /tmp/pool.yaml'
}
it "what somebody else changed is told, and applied again" flap

undone() {
	# The first takes back what repaired the other's change, which the second then has to be told to overwrite.
	run 'weir host undo && ! weir host undo && weir host undo --force' || return 1
	settings "$sriov_pfs" | diff "$T/original" -
}
it "undone, all is as it was" undone

it "neither the guest's kernel nor a sanitizer complained of anything" content
