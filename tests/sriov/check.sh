#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
# `weir host check` and `weir pci check` on real functions: QEMU's igb, in groups of their own and in a shared
# one, a disk that is mounted, and the interface by which the operator came.
# part of: functions
# timeout: 600
# cpus: 2
# load: 1
. "$(dirname "$0")/lib.sh"

sriov_start || exit 1
boot() { vm_wait sriov 120 && note "in $SECONDS s"; }
vm_it "a guest with three igb boots" boot

host() { # STATUS ARGUMENT...
	run "weir host check ${*:2} >/tmp/out 2>&1; test \$? = $1 && cat /tmp/out" >"$T/out"
}
pci() { # STATUS ARGUMENT...
	run "weir pci check ${*:2} >/tmp/out 2>&1; test \$? = $1 && cat /tmp/out" >"$T/out"
}

silent() {
	host 0
	[[ $(<"$T/out") = "nothing found" ]]
}
vm_it "a host without virtual functions has no findings" silent

free() {
	pci 0 -j eth0
	jq -e '.[0] | .slot == "0000:01:00.0" and .possible and
		([.checks[] | select(.rule != "memory") | .severity] | all(. == "good"))' "$T/out"
}
vm_it "a card that nobody uses can be passed through, with its IOMMU, reset and interrupts in order" free

used() {
	pci 1 eth3
	says '^use +error +in use: .*192\.0\.2\.10.*cut you off' <"$T/out"
	pci 1 06:00.0
	says '^use +error +in use: .*/data' '-> unmount it' <"$T/out"
}
vm_it "the operator's interface and a mounted disk cannot" used

shared() {
	run "echo 2 >/sys/class/net/eth2/device/sriov_numvfs"
	run "ip link set eth2 up"
	pci 1 05:10.0
	says '^group +error +group [0-9]+ is shared with 0000:05:00.0 \(igb\), 0000:05:10.2 \(igbvf\)$' <"$T/out"
	host 0 --only group-shared -j
	jq -e '.warnings == 1 and (.findings[0].evidence | test("0000:05:10.0"))' "$T/out"
	# Of two VFs one at vfio: a guest would be refused it.
	run "echo vfio-pci >/sys/bus/pci/devices/0000:05:10.0/driver_override &&
		echo 0000:05:10.0 >/sys/bus/pci/drivers/igbvf/unbind && echo 0000:05:10.0 >/sys/bus/pci/drivers_probe"
	host 1 --only group-shared
	says '^errors: 1$' 'vfio refuses what it has of it' <"$T/out"
	run "echo 0 >/sys/class/net/eth2/device/sriov_numvfs"
}
vm_it "a group behind a switch without access control is refused" shared

guests() {
	run "echo 2 >/sys/class/net/eth0/device/sriov_numvfs"
	host 0
	says '0000:01:00.0: eth0 is down, and with it its 2 VFs' <"$T/out"
	run "ip link set eth0 up && ip link set eth1 up && ip link set eth0 vf 1 mac 52:54:00:02:00:00"
	run "echo vfio-pci >/sys/bus/pci/devices/0000:01:10.0/driver_override &&
		echo 0000:01:10.0 >/sys/bus/pci/drivers/igbvf/unbind && echo 0000:01:10.0 >/sys/bus/pci/drivers_probe"
	until_ok 10 run "ip link show eth0 | grep LOWER_UP"
	host 1 -j
	jq -e '[.findings[] | [.rule, .severity, .subject]] | sort == [
		["autoprobe", "note", "0000:01:00.0"],
		["mac-duplicate", "error", "0000:01:00.0 vf 1"],
		["spoof-zero-mac", "warning", "0000:01:00.0 vf 0"]]' "$T/out"
}
vm_it "a PF that is down, an address twice, a guest's VF without one are found" guests
it "neither the guest's kernel nor a sanitizer complained of anything" content
