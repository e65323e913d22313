#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
# `weir host plan|apply|verify|undo|watch` on real functions: two ports of QEMU's igb as one pool, drift of
# each kind, undo, a service that restores.
# part of: desired
# timeout: 600
# cpus: 2
# load: 1
. "$(dirname "$0")/lib.sh"

sriov_start || exit 1
boot() { vm_wait sriov 120 && note "in $SECONDS s"; }
vm_it "a guest with three igb boots" boot

file() { # of stdin, in the guest
	run "cat >/tmp/host.yaml <<'YAML'
$(cat)
YAML"
}
wanted() {
	file <<-'YAML'
		pfs:
		  eth0: {vfs: 3, link: up}
		  eth1: {vfs: 2, link: up, mtu: 2000}
		pools:
		  tenants: {pfs: [eth0, eth1], vfs: 0-1, vlan: 100, mac-prefix: 52:54:00, owners: [vm1]}
		vfs:
		  web: {pf: eth0, vf: 2, vlan: 200, qos: 3, mac: 52:54:00:00:00:02, trust: on, driver: vfio-pci}
	YAML
}
# verify STATUS FILTER: of what verify says.
verify() {
	run "weir host verify /tmp/host.yaml -j >/tmp/out; test \$? = $1 && cat /tmp/out" >"$T/out" &&
		jq -e "$2" "$T/out"
}
as_wanted() { verify 0 '.drift == [] and .left == []'; }
# until SECONDS TEXT: the watch has logged it.
logged() { until_ok "$1" run "grep -q '$2' /tmp/watch.log" || { run "cat /tmp/watch.log"; return 1; }; }

planned() {
	wanted
	run "weir host plan /tmp/host.yaml" >"$T/plan"
	[[ $(grep -c ' vf . ' "$T/plan") = 17 ]]
	grep -q '^0000:01:00.0 vf 2  driver  *none -> vfio-pci' "$T/plan"
	run "! ls /sys/bus/pci/devices/0000:01:00.0/virtfn0"
}
vm_it "a plan names each attribute and changes none" planned

applied() {
	run "weir host apply /tmp/host.yaml" >"$T/out"
	diff "$T/plan" "$T/out"
	as_wanted
	[[ $(run "weir host apply /tmp/host.yaml") = "nothing to change" ]]
	run "ip -j link show eth0" | jq -e '.[0].flags | index("UP")'
	run "ip link show eth0" | says 'vf 0 .*52:54:00:.*vlan 100' 'vf 2 .*52:54:00:00:00:02.*vlan 200, qos 3.*trust on'
	run "ip link show eth1" | says 'mtu 2000' 'vf 1 .*52:54:00:.*vlan 100'
	run "readlink /sys/bus/pci/devices/0000:01:10.4/driver" | grep vfio-pci
	# The kernel's driver of a VF found its address when it was bound.
	[[ $(run "cat /sys/bus/pci/devices/0000:02:10.0/net/*/address") = \
		$(run "ip link show eth1" | sed -n 's/.*vf 0 *link.ether \([^ ]*\) .*/\1/p') ]]
}
vm_it "two ports are one pool: applied, read back, and there is nothing more to change" applied

drift() {
	run "ip link set eth1 vf 0 vlan 7"
	verify 1 '.drift == [{function: "0000:02:00.0", vf: 0, attribute: "vlan", is: "7", want: "100",
		by: "pool tenants", why: null}]'
	run "echo 0000:01:10.4 >/sys/bus/pci/drivers/vfio-pci/unbind"
	verify 1 '[.drift[] | [.function, .vf, .attribute, .is]] ==
		[["0000:01:00.0", 2, "driver", "none"], ["0000:02:00.0", 0, "vlan", "7"]]'
	run "weir host apply /tmp/host.yaml"
	as_wanted
}
vm_it "what somebody else changed is found, and applied again" drift

rates() {
	wanted
	run "sed -i 's/vlan: 100,/vlan: 100, max-rate: 100Mbit,/' /tmp/host.yaml"
	until_ok 10 run "ip link show eth0 | grep LOWER_UP && ip link show eth1 | grep LOWER_UP"
	run "weir host apply /tmp/host.yaml"
	as_wanted
	qmp set_link '{"name": "igb0", "up": false}'
	until_ok 10 run "ip link show eth0 | grep NO-CARRIER"
	qmp set_link '{"name": "igb0", "up": true}'
	until_ok 10 run "ip link show eth0 | grep LOWER_UP"
	# igb itself drops them when the link comes back at another speed, which QEMU has not.
	run "ip link set eth0 vf 0 max_tx_rate 0; ip link set eth1 vf 0 max_tx_rate 0"
	verify 1 '[.drift[] | [.function, .vf, .attribute, (.why // "none" | test("^the link flapped"))]] ==
		[["0000:01:00.0", 0, "rate", true], ["0000:02:00.0", 0, "rate", false]]'
	run "weir host apply /tmp/host.yaml"
	as_wanted
}
vm_it "rates that went with the link are found, and why" rates

undone() {
	wanted
	run "weir host apply /tmp/host.yaml"
	run "ip link set eth1 mtu 1500 && weir host apply /tmp/host.yaml" | says 'mtu +1500 -> 2000'
	run "weir host undo /tmp/host.yaml --dry-run" | says 'mtu +2000 -> 1500'
	as_wanted
	run "weir host undo /tmp/host.yaml" | says 'mtu +2000 -> 1500'
	verify 1 '[.drift[].attribute] == ["mtu"]'
	run "weir host apply /tmp/host.yaml"
}
vm_it "undo takes the last apply back, and shows with --dry-run what it would" undone

left() {
	run "ip link set eth0 vf 1 vlan 9"
	run "sed -i 's/, owners: .vm1.//' /tmp/host.yaml"
	verify 1 '[.drift[].vf] == [1] and [.left[] | [.function, .vf, .owner]] == [["0000:01:00.0", 0, "vm1"]]'
	run "weir host apply /tmp/host.yaml" | says '0000:01:00.0 vf 0 belongs to vm1 and is left alone'
	run "sed -i 's/vfs: 3/vfs: 4/' /tmp/host.yaml"
	run "! weir host plan /tmp/host.yaml 2>/tmp/err && cat /tmp/err" |
		says 'VF 0 of 0000:01:00.0 belongs to vm1 and would go'
}
vm_it "a VF that belongs to somebody the file does not name stays as it is, and stays" left

watched() {
	wanted
	run "weir host apply /tmp/host.yaml >/dev/null && ip link set eth0 vf 2 vlan 201 qos 3"
	run "weir host watch /tmp/host.yaml --every 2s >/tmp/watch.log 2>&1 & echo \$! >/tmp/watch.pid"
	logged 10 'applied 0000:01:00.0 vf 2 vlan: 201 qos 3 -> 200 qos 3'
	run "ip link set eth1 vf 1 vlan 8"
	logged 10 'restored 0000:02:00.0 vf 1 vlan: 8 -> 100'
	run "echo 0000:01:10.4 >/sys/bus/pci/drivers/vfio-pci/unbind"
	logged 10 'restored 0000:01:00.0 vf 2 driver: none -> vfio-pci'
	run "! weir host watch /tmp/host.yaml 2>/tmp/err && cat /tmp/err" | says "another 'weir host watch' runs"
	as_wanted
}
vm_it "a watch applies the file and restores what drifts, VLAN and driver" watched

fights() {
	run "ip link set eth1 vf 1 vlan 8"
	logged 10 'restored 0000:02:00.0 vf 1 vlan: 8 -> 100.*'
	until_ok 10 run "ip link set eth1 vf 1 vlan 8; sleep 1; grep -q 'vf 1: vlan drifts again and again' /tmp/watch.log"
	run "ip link set eth1 vf 1 vlan 8; sleep 3; ip link show eth1" | says 'vf 1 .*vlan 8'
	run "ip link set eth1 vf 0 vlan 8"
	logged 10 'restored 0000:02:00.0 vf 0 vlan: 8 -> 100'
}
vm_it "it does not fight: what drifts again and again is let be, and nothing else is" fights

reloads() {
	run "sed -i 's/vlan: 100/vlan: oops/' /tmp/host.yaml; kill -HUP \$(cat /tmp/watch.pid)"
	logged 10 'reload refused, .*host.yaml:5: pool tenants: vlan is'
	run "sed -i 's/vlan: oops/vlan: 102/' /tmp/host.yaml; kill -HUP \$(cat /tmp/watch.pid)"
	logged 10 'applied 0000:02:00.0 vf 1 vlan: 8 -> 102'
	as_wanted
	run "kill \$(cat /tmp/watch.pid)"
	logged 5 'SIGTERM: stopping; the host stays as it is'
	as_wanted
}
vm_it "it reads the file again, keeps to the old one when it is wrong, and leaves the host as it is" reloads
it "neither the guest's kernel nor a sanitizer complained of anything" content
