#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
# The bed itself, by plain tools: what QEMU's igb does with its virtual functions, which the other tests
# here rely on.
# part of: functions
# timeout: 600
# cpus: 2
# load: 1
. "$(dirname "$0")/lib.sh"

pci=/sys/bus/pci/devices/0000

sriov_start || exit 1
boot() { vm_wait sriov 120 && note "in $SECONDS s"; }
vm_it "a guest with three igb boots" boot

vfs() { # PF NUMBER
	run "echo $2 >$pci:$1/sriov_numvfs"
}
count() { # PF NUMBER
	run "ls -d $pci:$1/virtfn* | wc -l" | grep -qx "$2"
}
seven() {
	vfs 01:00.0 7
	count 01:00.0 7
	run "readlink -f $pci:01:00.0/virtfn6" | grep -q '/0000:01:11.4$'
	run "readlink $pci:01:10.0/driver" | grep -q '/igbvf$'
}
vm_it "seven virtual functions appear, each with its driver" seven
many() {
	vfs 02:00.0 0
	not run "bash -c 'echo 8 >$pci:02:00.0/sriov_numvfs'" >"$T/many"
	says 'Numerical result out of range' <"$T/many"
	count 02:00.0 0
}
vm_it "eight are refused as out of range" many
busy() {
	not run "bash -c 'echo 5 >$pci:01:00.0/sriov_numvfs'" >"$T/busy"
	says 'Device or resource busy' <"$T/busy"
	count 01:00.0 7
}
vm_it "another number is refused as busy before it was 0" busy

group() { # FUNCTION: its members
	run "ls $pci:$1/iommu_group/devices | tr '\n' ' '"
}
groups() {
	vfs 05:00.0 2
	[[ $(group 01:00.0) = "0000:01:00.0 " ]]
	[[ $(group 01:10.2) = "0000:01:10.2 " ]]
	[[ $(group 05:10.0) = "0000:04:00.0 0000:05:00.0 0000:05:10.0 0000:05:10.2 " ]]
	vfs 05:00.0 0
}
vm_it "functions are in IOMMU groups of their own, and in one behind a switch without access control" groups

configured() {
	# A rate is refused before the link is up, with which the driver compares it.
	run "ip link set eth0 up"
	until_ok 10 run "ip link show eth0 | grep LOWER_UP"
	run "ip link set eth0 vf 0 mac 02:00:00:00:00:01 && ip link set eth0 vf 0 vlan 100 &&
		ip link set eth0 vf 1 max_tx_rate 100 && ip link set eth0 vf 2 spoofchk off"
	run "ip -d -j link show eth0" | jq -e '.[0].vfinfo_list |
		length == 7 and .[0].address == "02:00:00:00:00:01" and .[0].vlan_list[0].vlan == 100 and
		.[1].rate.max_tx == 100 and .[2].spoofchk == false'
}
vm_it "MAC, VLAN and spoof check of a virtual function are read back" configured

passed() {
	run "echo vfio-pci >$pci:01:10.0/driver_override && echo 0000:01:10.0 >$pci:01:10.0/driver/unbind &&
		echo 0000:01:10.0 >/sys/bus/pci/drivers_probe && readlink $pci:01:10.0/driver" | grep -q '/vfio-pci$'
	run "test -c /dev/vfio/\$(basename \$(readlink $pci:01:10.0/iommu_group))"
}
vm_it "one is bound to vfio-pci" passed

plugged() {
	qmp device_del '{"id": "igb1"}'
	until_ok 15 not run "test -e $pci:02:00.0"
}
vm_it "a physical function can be pulled out" plugged

whole() {
	run 'grep -q "/dev/nvme0n1 /data ext4" /proc/mounts && ip route show default | grep -q "via 192.0.2.1 "'
	run 'weir --version'
}
vm_it "a disk is mounted, a route is there, and weir runs" whole
it "neither the guest's kernel nor a sanitizer complained of anything" content
