#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026, the weir authors
# weir vf and weir pci bind on real functions: what they set is read back by plain tools, what they refuse is
# explained, and nobody who uses a function is disturbed.
# part of: changes
# timeout: 600
# cpus: 2
# load: 1
. "$(dirname "$0")/lib.sh"

pci=/sys/bus/pci/devices/0000

sriov_start || exit 1
boot() { vm_wait sriov 120 && note "in $SECONDS s"; }
vm_it "a guest with three igb boots" boot
run true || exit 1

# refuses COMMAND PATTERN...: status 1 and one line that matches each.
refuses() {
	local status=0
	run "$1 2>&1 >/dev/null" >"$T/refuses" || status=$?
	[[ $status = 1 && $(wc -l <"$T/refuses") = 1 ]] && says "${@:2}" <"$T/refuses" && return
	echo "status $status:" && cat "$T/refuses"
	return 1
}
# vf FILTER: jq -e on the VFs of eth0 as ip sees them.
vf() {
	run "ip -d -j link show eth0" >"$T/vf.json" && jq -e ".[0].vfinfo_list | $1" "$T/vf.json" >/dev/null && return
	jq -c '.[0].vfinfo_list' "$T/vf.json"
	return 1
}
driver() { # FUNCTION NAME
	run "readlink $pci:$1/driver" | grep -q "/$2\$"
}

created() {
	run "ip link set eth0 up && ip link set eth1 up && weir vf create eth0 7"
	vf 'length == 7'
	driver 01:11.4 igbvf
	run "ls $pci:01:11.4/net" | grep -q eth
	refuses "weir vf create eth1 8" '8 VFs are too many: 0000:02:00.0 can have 0 to 7'
	until_ok 10 run "ip link show eth0 | grep LOWER_UP"
}
vm_it "seven VFs are made, with their drivers and interfaces" created

configured() {
	run "weir vf set eth0 0 mac=52:54:00:00:00:10 vlan=100 qos=3 && weir vf set eth0 1-2 max-rate=100Mbit trust=on spoofchk=off &&
		weir vf set eth0 0 vlan=101 && weir vf set eth0 1 max-rate=none"
	vf '.[0].address == "52:54:00:00:00:10" and .[0].vlan_list[0] == {"vlan": 101, "qos": 3} and .[1].rate.max_tx == 0 and
		.[2].rate.max_tx == 100 and .[1].trust and .[2].trust and (.[1].spoofchk | not) and .[3].spoofchk'
	# The VF's own driver has learned of it.
	run "cat $pci:01:10.0/net/*/address" | grep -qx 52:54:00:00:00:10
	run "weir vf list eth0 -j" | jq -e '.[0].vlan == 101 and .[0].qos == 3 and .[2].max_rate == 100 and .[2].trust'
}
vm_it "MAC, VLAN, rate, trust and spoof check are what ip reads" configured

explained() {
	refuses "weir vf set eth0 3 vlan=5 proto=802.1ad" 'can only tag VFs with 802.1Q'
	refuses "weir vf set eth0 3 min-rate=10Mbit" 'guarantees no min rate'
	refuses "weir vf set eth0 3 max-rate=20Gbit" 'it needs a link, and at most its speed'
	refuses "weir vf set eth0 3 trust=on link-state=enable" '^weir: nothing is changed: ' 'driver igb cannot do it'
	vf '.[3].trust | not'
}
vm_it "what the kernel refuses is explained, and what was done before it taken back" explained

allocated() {
	local before
	before=$(run "weir vf list eth0 -j" | jq -S '.[3] | del(.mac, .interface)')
	# VF 0 has a VLAN by hand, VF 2 a rate.
	run "weir vf alloc eth0 --owner vm5 -j" | jq -e '.function == "0000:01:10.2"'
	run "weir vf alloc eth0 --owner vm6 -j" | jq -e '.function == "0000:01:10.6"'
	run "weir vf release 01:10.6 --owner vm6 && weir vf release --owner vm5"
	run "ip addr add 10.9.9.1/24 dev \$(ls $pci:01:10.0/net) && ip addr add 10.9.8.1/24 dev \$(ls $pci:01:10.2/net) &&
		ip addr add 10.9.7.1/24 dev \$(ls $pci:01:10.4/net)"
	run "weir vf alloc eth0 --owner vm7 --vlan 200 --max-rate 50Mbit --driver vfio-pci -j" |
		jq -e '.function == "0000:01:10.6" and .done'
	driver 01:10.6 vfio-pci
	vf '.[3].vlan_list[0].vlan == 200 and .[3].rate.max_tx == 50 and (.[3].address | test("^.[26ae]:"))'
	run "weir vf list eth0 -j" | jq -e '.[3].owner == "vm7"'
	refuses "weir vf release 01:10.6 --owner vm8" 'belongs to vm7, not to vm8'
	run "ip link set eth0 vf 3 mac 52:54:00:00:00:99"
	refuses "weir vf release --owner vm7" 'has MAC 52:54:00:00:00:99, weir gave it' 'somebody else uses it'
	run "weir vf release --owner vm7 --force"
	driver 01:10.6 igbvf
	[[ $(run "weir vf list eth0 -j" | jq -S '.[3] | del(.mac, .interface)') = "$before" ]]
}
vm_it "a VF is allocated to a VM and given back as it was" allocated

undisturbed() {
	refuses "weir vf delete eth0" '0000:01:10.0 would go, but is in use: 10.9.9.1/24'
	refuses "weir vf bind eth0 0 vfio-pci" 'would lose its driver, but is in use'
	refuses "weir vf set eth0 0 mac=auto" 'driver bound anew'
	refuses "weir pci bind eth3" 'would cut you off from this host: 192.0.2.10/24, default route'
	refuses "weir pci bind 06:00.0" '/data on nvme0n1'
	vf 'length == 7'
}
vm_it "who uses a function is not disturbed" undisturbed

shared_group() {
	run "weir vf create eth2 2 && ls -d $pci:05:10.0"
	refuses "weir vf bind eth2 0 vfio-pci" 'is shared with 0000:05:00.0 \(igb\), 0000:05:10.2 \(igbvf\)'
	run "weir vf delete eth2"
}
vm_it "one function of a shared IOMMU group is not given away alone" shared_group

whole() {
	run "umount /data && weir pci bind 06:00.0"
	driver 06:00.0 vfio-pci
	run "test -c /dev/vfio/\$(basename \$(readlink $pci:06:00.0/iommu_group))"
	run "weir pci unbind 06:00.0"
	driver 06:00.0 nvme
	run "weir pci bind 06:00.0 && echo 'devices: {disk: {match: 0000:06:00.0, driver: kernel}}' >/tmp/disk.yaml"
	run "weir host apply /tmp/disk.yaml" | says '^0000:06:00.0 +driver +vfio-pci -> nvme'
	driver 06:00.0 nvme
	run "cat $pci:06:00.0/driver_override" | grep -qx '(null)'
}
vm_it "a disk goes to vfio-pci and back to its driver" whole

full() {
	run "mkdir -p /tmp/full && mount -t tmpfs -o size=16k,mode=755 none /tmp/full && mkdir /tmp/full/journal && : >/tmp/full/lock
		dd if=/dev/zero of=/tmp/full/fill bs=1k 2>/dev/null; test -s /tmp/full/fill"
	refuses "weir vf set eth0 5 vlan=5 trust=on --state /tmp/full" 'No space left on device' 'changes nothing'
	vf '.[5].vlan_list[0].vlan == null and (.[5].trust | not)'
}
vm_it "a full disk for the journal leaves everything as it was" full
it "neither the guest's kernel nor a sanitizer complained of anything" content
