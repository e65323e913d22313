#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
# weir nic on real functions, QEMU's igb: what there is, and who uses it.
# part of: functions
# timeout: 600
# cpus: 2
# load: 1
. "$(dirname "$0")/lib.sh"

sriov_start || exit 1
boot() { vm_wait sriov 120 && note "in $SECONDS s"; }
vm_it "a guest with three igb boots" boot

# listed FILTER [ARGUMENT...]: jq -e on `weir nic list -j`.
listed() {
	run "weir nic list -j ${*:2}" >"$T/nic.json"
	jq -e "$1" "$T/nic.json" || { jq -c '.[]' "$T/nic.json"; return 1; }
}
# use ADDRESS FILTER: of who uses it.
use() {
	listed "[.[] | select(.address == \"0000:$1\").use] | length == 1 and (.[0] | $2)" --vfs
}

idle() {
	listed '[.[] | [.address, .interface, .driver, .vfs.total, .up]] == [
		["0000:01:00.0", "eth0", "igb", 7, false], ["0000:02:00.0", "eth1", "igb", 7, false],
		["0000:05:00.0", "eth2", "igb", 7, false], ["0000:07:00.0", "eth3", "e1000e", null, true]]' &&
		listed '[.[].use | [.kind, .lifeline]] == [["free", false], ["free", false], ["free", false], ["netdev", true]]' &&
		listed '.[3] | .speed == 1000 and .carrier and .offloads["tx-checksum"] and (.use.text | test("192.0.2.10/24"))'
}
vm_it "cards without virtual functions are listed, and the operator's interface is known" idle

made() {
	run "echo 3 >/sys/class/net/eth0/device/sriov_numvfs && echo 2 >/sys/class/net/eth2/device/sriov_numvfs" &&
		listed '[.[] | select(.vf != null) | [.pf, .vf, .address, .driver]] == [
			["0000:01:00.0", 0, "0000:01:10.0", "igbvf"], ["0000:01:00.0", 1, "0000:01:10.2", "igbvf"],
			["0000:01:00.0", 2, "0000:01:10.4", "igbvf"], ["0000:05:00.0", 0, "0000:05:10.0", "igbvf"],
			["0000:05:00.0", 1, "0000:05:10.2", "igbvf"]]' --vfs &&
		listed '.[0].vfs == {"count":3, "total":7, "device":"10ca", "autoprobe":true, "free":3} and .[0].group_others == []
			and .[2].group_others == ["0000:04:00.0", "0000:05:10.0", "0000:05:10.2"]' &&
		run "weir nic list --vfs" | says '^  0000:05:10\.2 .* shared +vf 1 +free$' &&
		run "weir nic show eth0" | says '^  IOMMU group +[0-9]+, alone in it$' '^ 2  0000:01:10\.4  eth[0-9]+ +igbvf'
}
vm_it "virtual functions are listed with their numbers, and groups with their members" made

host_uses() {
	# shellcheck disable=SC2016 # the guest's variables
	run 'ip link add br0 type bridge && ip link set eth1 master br0 && ip address add 198.51.100.1/24 dev br0 &&
		ip link add link eth2 name eth2.7 type vlan id 7 && { unshare -n sleep 300 >/dev/null 2>&1 & } && sleep 1 &&
		ip link set $(ls /sys/bus/pci/devices/0000:01:10.4/net) netns $!' &&
		use 02:00.0 '.kind == "netdev" and .text == "bridge br0 (198.51.100.1/24)"' &&
		use 05:00.0 '.kind == "netdev" and .text == "vlan eth2.7"' &&
		use 01:10.4 '.kind == "namespace"'
}
vm_it "bridge, VLAN and another namespace are seen" host_uses

process_uses() {
	# shellcheck disable=SC2016
	run 'weir pci bind 01:10.0 01:10.2' && use 01:10.0 '.kind == "free" and .text == "bound to vfio-pci"' &&
		run '{ sleep 300 <>/dev/vfio/$(basename $(readlink /sys/bus/pci/devices/0000:01:10.0/iommu_group)) >/dev/null 2>&1 & }' &&
		until_ok 10 use 01:10.0 '.kind == "process" and .name == "sleep"' && use 01:10.2 '.kind == "free"' &&
		listed '.[0].vfs.free == 1'
}
vm_it "a process that has the VFIO group is named" process_uses

dpdk_uses() {
	run 'setsid dpdk-testpmd --no-huge -m 256 -a 0000:01:10.2 -l 0,1 -- --total-num-mbufs=4096 </dev/null >/tmp/pmd 2>&1 &' &&
		until_ok 30 use 01:10.2 '.kind == "dpdk" and .name == "dpdk-testpmd" and .pid > 0' &&
		listed '.[0].vfs.free == 0'
}
vm_it "and a process with DPDK is one of DPDK" dpdk_uses
it "neither the guest's kernel nor a sanitizer complained of anything" content
