#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
# Virtual functions that weir made, set up and bound to vfio-pci, used through VFIO by weir's own DPDK endpoint.
# part of: functions
# timeout: 600
# cpus: 2
# load: 1
. "$(dirname "$0")/lib.sh"

one=0000:01:00.0 two=0000:02:00.0
sriov_pfs="$one $two 0000:05:00.0"
pci=/sys/bus/pci/devices

sriov_start || exit 1
boot() { vm_wait sriov 120 && run 'echo 128 >/proc/sys/vm/nr_hugepages' && note "in $SECONDS s"; }
vm_it "the guest boots" boot

ready() {
	run 'ip link set eth0 up; weir vf create eth0 4 && weir vf set eth0 0,1 vlan=100 mac=auto &&
		weir vf set eth0 3 vlan=200 mac=auto && weir vf bind eth0 0,1,3 vfio-pci'
	run 'ls /dev/vfio' | grep -cx '[0-9]*' | grep -qx 3
}
it "two are in one VLAN, one in another, and bound to vfio-pci" ready

frames() { # VF VF: of up to 500 frames that weir sends through VFIO from one to the other, "SENT RECEIVED"
	VM_LIMIT=90 run "weir bench frames dpdk:$1 dpdk:$2 --repeat 1 --time 1s --omit 0s --rate 500 --wait 1s -j" >"$T/bench"
	jq -r '[.figures[] | select(.name == ("frames sent", "frames received")).values[0]] | join(" ")' "$T/bench" || { cat "$T/bench"; return 1; }
}
carried() {
	local sent received
	read -r sent received <<<"$(frames 0000:01:10.0 0000:01:10.2)"
	echo "$sent sent, $received received"
	[[ $sent -gt 50 && $received = "$sent" ]]
}
it "every frame passes between two of one VLAN, sent by weir through VFIO" carried
isolated() {
	local sent received
	read -r sent received <<<"$(frames 0000:01:10.0 0000:01:10.6)"
	echo "$sent sent, $received received"
	[[ $sent -gt 50 && $received = 0 ]]
}
it "none pass between two of different VLANs" isolated

busy() {
	vm_behind sriov frames "timeout -s INT 200 weir bench frames dpdk:0000:01:10.0 dpdk:0000:01:10.2 --repeat 1 --time 200s --rate 20"
	until_ok 20 run "test -e /dev/vfio/vfio && weir vf list eth0 -j | jq -e '.[0].use.text | test(\"DPDK process weir\")'"
	unchanged 'weir vf bind eth0 0 kernel' 'in use: .*DPDK process weir'
	unchanged 'weir vf delete eth0' 'in use'
	run 'pkill -INT -x weir'
	until_ok 20 not run 'pgrep -x weir'
}
it "weir sees the process that has a function through VFIO, and does not take it away" busy

pulled() {
	qmp device_del '{"id": "igb1"}'
	until_ok 20 not run "test -e $pci/$two"
	run 'weir nic list -j' | jq -e '[.[].address] == ["0000:01:00.0", "0000:05:00.0", "0000:07:00.0"]'
	run 'weir vf list'
	not run 'weir vf create 02:00.0 1' 2>&1 | says '0000:02:00.0'
}
it "a card that was pulled out is gone for weir, too" pulled
it "neither the guest's kernel nor a sanitizer complained of anything" content
